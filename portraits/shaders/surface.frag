// Skin, eyes, mouth, hair and cloth under one key light, a fill and a hemisphere; in linear light.
in vec3 v_canonical;
in vec2 v_uv;
flat in float v_kind;
in float v_occlusion;
in vec3 v_position;
in vec3 v_normal;
in vec3 v_shadow;
out vec4 result;
layout(early_fragment_tests) in;  // the depth pass has cut hairlines already; only what is seen gets here

uniform sampler2D masks;  // lips, eyelids, inside of the mouth, ears in the mesh's UV space
uniform sampler2D shadow;
uniform vec3 eye_position, key_direction, key_colour, fill_direction, fill_colour, sky_colour, ground_colour;
uniform vec3 skin_colour, blush_colour, lip_colour, lid_colour, iris_colour, iris_inner, brow_colour, hair_colour;
uniform vec3 hair_tint, hat_colour, hat_trim, cloth_colour, cloth_trim, collar_colour, beard_colour, tooth_colour;
uniform float blush, mottle, freckles, age, shine, lip_amount, lid_amount, pupil, brow_arch, brow_thickness;
uniform float brow_amount, brow_length, beard, moustache, goatee, stubble, hair_amount, hair_strands, hair_shine;
uniform float neck_height, neck_vee, cloth_folds, trim_width, stroke, stroke_scale, exposure, shadow_strength;
uniform float hat_bands, shadow_soft, brow_height;
uniform vec2 noise_offset;

float cloud(vec2 p) { return texture(noise, p + noise_offset).r; }
float bump(vec3 c, vec3 at, vec3 size) { vec3 d = (c - at) / size; return exp(-dot(d, d)); }

float lit() {
    float sum = 0.0, bias = KIND == COLLAR ? 0.04 : 0.012;  // collars are drawn nearer than they are
    if (any(greaterThan(abs(v_shadow.xy - 0.5), vec2(0.49)))) return 1.0;
    for (int i = 0; i < 4; i++) {
        vec2 o = (vec2(i & 1, i >> 1) - 0.5) * shadow_soft;
        sum += v_shadow.z - bias < texture(shadow, v_shadow.xy + o).r ? 0.25 : 0.0;
    }
    return mix(1.0, sum, shadow_strength);
}

float brow(vec3 c) {
    float x = abs(c.x), t = (x - 0.11) / (0.42 * brow_length);
    float line = 7.57 + brow_height + 0.06 * brow_arch * sin(2.3 * clamp(t, 0.0, 1.2)) - 0.025 * t;
    float hairs = texture(noise, vec2(c.x * 9.0 + sign(c.x) * c.y * 6.0, c.y * 2.0)).g;
    float wide = brow_thickness * (1.0 - 0.55 * clamp(t, 0.0, 1.0));
    float d = (c.y - line) / wide;
    return brow_amount * smoothstep(-0.08, 0.08, t) * smoothstep(1.08, 0.85, t) * smoothstep(1.1, 1.2, c.z)
        * clamp(1.5 * exp(-d * d) * (0.55 + 0.9 * hairs), 0.0, 1.0);
}

float beard_field(vec3 c, float lips) {
    float x = abs(c.x), hairs = texture(noise, vec2(c.x * 7.0, c.y * 2.5)).g;
    float cheek = 6.62 + 0.42 * smoothstep(0.25, 0.75, x);
    float full = smoothstep(cheek + 0.05, cheek - 0.12, c.y) * smoothstep(0.45, 0.7, c.z) * smoothstep(5.95, 6.12, c.y);
    float upper = bump(vec3(x, c.y, 0.0), vec3(0.10, 6.755, 0.0), vec3(0.20, 0.055, 1.0)) * smoothstep(1.3, 1.45, c.z);
    float chin = smoothstep(0.32, 0.2, x) * smoothstep(6.56, 6.46, c.y) * smoothstep(6.0, 6.15, c.y) * step(1.0, c.z);
    float amount = max(max(beard * full, moustache * upper * 1.4), goatee * chin);
    amount *= clamp(0.45 + 1.1 * hairs, 0.0, 1.0);
    return clamp(max(amount, stubble * max(full, upper) * 0.45), 0.0, 1.0) * (1.0 - lips);
}

void main() {
    vec3 c = v_canonical, view = normalize(eye_position - v_position), n = normalize(v_normal);
    if (KIND != BODY && dot(n, view) < 0.0) n = -n;
    vec3 albedo = vec3(0.5), wrap = vec3(0.1);
    float gloss = 0.0, power = 20.0, ao = v_occlusion, self_shadow = 1.0;
    bool strands = false;

    if (KIND == BODY) {
        vec4 mask = texture(masks, v_uv);
        float fine = cloud(v_uv * 22.0), mid = cloud(v_uv * 7.0), broad = cloud(v_uv * 2.3);
        float vee = neck_vee * smoothstep(0.75, 0.0, abs(c.x)) * smoothstep(0.3, 0.6, c.z);
        float neckline = neck_height + 0.55 * smoothstep(0.45, 1.05, abs(c.x)) - 0.25 * (c.z - 0.3) - vee;
        float cloth = neckline - c.y + 0.02 * (mid - 0.5);
        if (cloth > 0.0) {
            albedo = cloth < trim_width ? cloth_trim : cloth_colour;
            float fold = cloud(vec2(c.x * 0.22 + 0.1 * broad, c.y * 0.07)) - 0.5;
            float fold2 = cloud(vec2(c.x * 0.22 + 0.02 + 0.1 * broad, c.y * 0.07)) - 0.5;
            n = normalize(n + cloth_folds * vec3((fold - fold2) * 6.0, 0.3 * fold, 0.0));
            albedo *= 0.85 + 0.3 * fine + cloth_folds * fold * 0.6;
            ao = mix(1.0, ao, 0.7) * smoothstep(-0.05, 0.12, cloth + 0.02);
        } else if (mask.b > 0.5) {
            albedo = vec3(0.22, 0.045, 0.04) * smoothstep(0.7, 1.45, c.z);
            ao *= 0.6;
            self_shadow = 0.5;
            gloss = 0.15;
        } else {
            float x = abs(c.x);
            vec3 m = vec3(x, c.yz);
            albedo = skin_colour * (1.0 + mottle * ((mid - 0.5) + 0.6 * (fine - 0.5) + 0.8 * (broad - 0.5)));
            float red = bump(m, vec3(0.42, 6.95, 1.35), vec3(0.22, 0.2, 0.5))
                + 0.7 * bump(m, vec3(0.0, 6.95, 1.65), vec3(0.13, 0.14, 0.25)) + 0.5 * mask.a
                + 0.35 * bump(m, vec3(0.0, 6.35, 1.45), vec3(0.25, 0.12, 0.3));
            albedo = mix(albedo, blush_colour, clamp(blush * red, 0.0, 0.8));
            albedo *= 1.0 - 0.25 * age * bump(m, vec3(0.3, 7.12, 1.4), vec3(0.16, 0.06, 0.3));  // under the eyes
            float wrinkle = smoothstep(0.55, 0.75, texture(noise, vec2(c.x * 0.35, c.y * 2.4)).g)
                * bump(m, vec3(0.0, 7.85, 1.45), vec3(0.45, 0.2, 0.4));
            albedo *= 1.0 - 0.3 * age * wrinkle;
            albedo *= 1.0 - freckles * smoothstep(0.62, 0.72, fine) * bump(m, vec3(0.25, 7.0, 1.5), vec3(0.4, 0.25, 0.4));
            albedo = mix(albedo, lid_colour, lid_amount * mask.g);
            albedo *= 1.0 - 0.45 * bump(m, vec3(0.31, 7.325, 1.41), vec3(0.17, 0.035, 0.12));  // the lash line
            float lips = mask.r * smoothstep(1.35, 1.42, c.z);
            albedo = mix(albedo, lip_colour * (0.9 + 0.2 * mid), lips * lip_amount);
            albedo *= 1.0 - 0.8 * bump(m, vec3(0.085, 6.86, 1.58), vec3(0.05, 0.03, 0.07));  // nostrils
            albedo = mix(albedo, beard_colour * (0.6 + 0.8 * fine), beard_field(c, lips));
            albedo = mix(albedo, brow_colour, brow(c));
            float scalp = smoothstep(-0.02, 0.10, hair_field(c, cloud(vec2(c.x * 3.0, c.y * 3.0)))) * hair_amount;
            scalp *= smoothstep(6.25, 6.4, c.y);
            scalp *= 1.0 - 0.9 * mask.a;
            albedo = mix(albedo, hair_colour * (0.7 + fine), scalp);
            wrap = mix(vec3(0.30, 0.19, 0.15), vec3(0.1), scalp);
            gloss = shine * (0.5 + mid) * (1.0 - 0.7 * scalp) * (1.0 + 1.2 * lips) * (1.0 - 0.7 * beard);
            power = 14.0 + 22.0 * lips;
        }
    } else if (KIND == EYES) {
        float r = acos(clamp(c.z, -1.0, 1.0)), a = atan(c.y, c.x);
        float fibres = texture(noise, vec2(a * 1.6, r * 0.6)).r;
        vec3 iris = mix(iris_inner, iris_colour, smoothstep(pupil, 0.42, r)) * (0.6 + 0.8 * fibres);
        iris *= smoothstep(pupil - 0.03, pupil + 0.03, r) * (1.0 - 0.75 * smoothstep(0.36, 0.50, r));
        vec3 white = mix(vec3(0.82, 0.78, 0.72), vec3(0.55, 0.33, 0.28), smoothstep(0.75, 1.5, r));
        albedo = mix(iris, white, smoothstep(0.455, 0.535, r));
        wrap = vec3(0.3);
        gloss = 1.4;
        power = 260.0;
        // Lids hang over the ball: its upper part is always in their shade.
        ao = (0.35 + 0.6 * smoothstep(0.6, 0.15, n.y)) * (0.4 + 0.6 * smoothstep(1.25, 0.6, r));
        self_shadow = 0.4 + 0.6 * ao;
    } else if (KIND == TEETH) {
        albedo = tooth_colour * smoothstep(1.1, 1.45, c.z);
        gloss = 0.5;
        power = 40.0;
        wrap = vec3(0.3);
        ao = 0.9;
    } else if (KIND == TONGUE) {
        albedo = vec3(0.42, 0.13, 0.12) * smoothstep(0.6, 1.4, c.z);
        gloss = 0.3;
        ao = 0.6;
    } else if (KIND == LASHES) {
        albedo = brow_colour * 0.5;
    } else if (KIND == HAIR) {
        float strand = cloud(vec2(v_uv.x * hair_strands, v_uv.y * 0.35));
        float lock = cloud(vec2(v_uv.x * hair_strands * 0.22 + 0.05 * strand, v_uv.y * 0.22));
        albedo = mix(hair_colour, hair_tint, strand * lock) * (0.35 + 0.75 * strand + 0.6 * lock);
        n = normalize(n + 0.55 * (lock - 0.5) * vec3(1.0, 0.0, 0.6) + 0.35 * (strand - 0.5) * vec3(1.0, 0.0, -0.4));
        ao *= 0.45 + 0.55 * smoothstep(0.0, 0.18, hair_field(c, strand));
        strands = true;
    } else if (KIND == HAT) {
        float fold = cloud(vec2(v_uv.x * 2.0, v_uv.y * 0.5)), weave = cloud(v_uv * vec2(40.0, 14.0));
        albedo = hat_field(c) < trim_width ? hat_trim : mix(hat_colour, hat_trim, hat_bands * step(0.5, fract(v_uv.y * 3.0)));
        albedo *= 0.85 + 0.3 * weave;
        n = normalize(n + 1.3 * (fold - 0.5) * vec3(1.0, 0.8, 0.3));
        ao *= 0.5 + 0.5 * smoothstep(0.0, 0.15, hat_field(c));
    } else {
        albedo = collar_colour * (0.9 + 0.2 * cloud(v_uv * vec2(60.0, 6.0)));
        wrap = vec3(0.3);
    }

    // Brush strokes lie on the sitter, not on the screen: they have to travel with the head.
    vec2 p = KIND == BODY ? c.xy + 0.35 * vec2(c.z, 0.0) : v_uv * vec2(4.0, 1.0);
    float bend = texture(noise, p * 0.06 * stroke_scale).b;
    vec2 along = vec2(cos(6.0 * bend), sin(6.0 * bend));
    float mark = texture(noise, stroke_scale * vec2(dot(p, along) * 0.12, dot(p, vec2(-along.y, along.x)) * 0.75)).r - 0.5;

    // Grazing light needs no shadow map: it is the wrapped light's soft edge.
    float seen = mix(1.0, lit(), smoothstep(-0.05, 0.3, dot(n, key_direction))) * self_shadow;
    vec3 diffuse = clamp((vec3(dot(n, key_direction)) + wrap) / (1.0 + wrap), 0.0, 1.0);
    diffuse = diffuse * (1.0 + stroke * 0.9 * mark);
    float fill = clamp(0.7 * dot(n, fill_direction) + 0.3, 0.0, 1.0);
    vec3 light = key_colour * diffuse * seen * (0.45 + 0.55 * ao) + fill_colour * fill * ao
        + mix(ground_colour, sky_colour, 0.5 + 0.5 * n.y) * ao;
    vec3 colour = albedo * (1.0 + stroke * 0.5 * mark) * light;
    vec3 h = normalize(view + key_direction);
    if (strands) {
        vec3 t = normalize(vec3(0.0, -1.0, 0.0) + n * n.y);
        float s = dot(t, h);
        colour += hair_shine * (hair_tint * 0.6 + 0.05) * key_colour * seen * pow(max(1.0 - s * s, 0.0), 24.0)
            * clamp(dot(n, key_direction), 0.0, 1.0);
    } else {
        float facing = clamp(dot(n, key_direction), 0.0, 1.0);
        colour += gloss * 0.16 * key_colour * seen * facing * pow(max(dot(n, h), 0.0), power) * (0.4 + 0.6 * ao);
        // The catch light, a little lower than physics has it: the lids would hide it.
        if (KIND == EYES) colour += 0.9 * key_colour * pow(max(dot(n, normalize(1.7 * view + key_direction)), 0.0), power);
    }
    colour *= exposure;
    colour = colour * (1.0 + 0.12 * colour) / (1.0 + 0.55 * colour) * 1.18;  // highlights roll off
    result = vec4(pow(clamp(colour, 0.0, 1.0), vec3(1.0 / 2.2)), 1.0);
}
