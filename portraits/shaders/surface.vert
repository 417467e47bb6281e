// One vertex of a figure. `spread` widens the picture so that a coarse grid's outer samples hit its outer centres.
in vec3 canonical;
in vec2 uv;
in float kind;
in float occlusion;
in vec3 position;
in vec3 normal;
uniform mat4 camera;
uniform mat4 shadow_camera;
uniform vec2 spread;
out vec3 v_canonical;
out vec2 v_uv;
flat out float v_kind;
out float v_occlusion;
out vec3 v_position;
out vec3 v_normal;
out vec3 v_shadow;
invariant gl_Position;

void main() {
    v_canonical = canonical;
    v_uv = uv;
    v_kind = kind;
    v_occlusion = occlusion;
    v_position = position;
    v_normal = normal;
    v_shadow = (shadow_camera * vec4(position + 0.025 * normal, 1.0)).xyz * 0.5 + 0.5;
    gl_Position = camera * vec4(position, 1.0);
    gl_Position.xy *= spread;
    if (kind == 7.0) gl_Position.z -= 0.04 * gl_Position.w;  // collars lie on cloth: never torn by it
}
