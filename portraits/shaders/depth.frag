// Which triangle is seen, and how far away.
in vec3 v_canonical;
in vec2 v_uv;
flat in float v_kind;
out vec2 result;

void main() {
    if (cut_away(v_kind, v_canonical, v_uv)) discard;
    result = vec2(float(gl_PrimitiveID + 1), 1.0 / gl_FragCoord.w);
}
