// Where hair, hats and scarves end. Shared by every pass, so that pictures, depth and flow agree to the pixel.
const float BODY = 0.0, EYES = 1.0, TEETH = 2.0, TONGUE = 3.0, LASHES = 4.0, HAIR = 5.0, HAT = 6.0, COLLAR = 7.0;
uniform sampler2D noise;
uniform float hair_top, hair_temple, hair_open, hair_low, hair_crown, hair_ragged;
uniform float hat_brim, hat_slope, hat_scarf, hat_face;

// > 0 where hair grows, roughly in decimetres from the hairline.
float hair_field(vec3 c, float grain) {
    float side = mix(hair_open, 0.86, smoothstep(6.80, 7.05, c.y));
    side = mix(side, 1.12 - hair_temple, smoothstep(7.20, 7.75, c.y));
    float top = hair_top - 0.10 * smoothstep(0.0, 0.5, abs(c.x)) * (1.0 - 3.0 * hair_temple);
    float limit = mix(side, 2.2, smoothstep(top - 0.22, top + 0.05, c.y));
    float field = min(limit - c.z, c.y - hair_low + 0.25 * (c.z - 0.3));
    field = min(field, hair_crown - c.y);
    return field + hair_ragged * (grain - 0.5);
}

float hat_field(vec3 c) {
    float cap = c.y - (hat_brim + hat_slope * (c.z - 0.6));
    vec2 face = vec2(c.x / (0.70 * hat_face), (c.y - 7.10) / (0.98 * hat_face));
    float scarf = mix(1.0, 0.5 * (length(face) - 1.0), smoothstep(0.45, 0.75, c.z));
    return mix(cap, scarf, hat_scarf);
}

bool cut_away(float kind, vec3 c, vec2 uv) {
    if (kind == HAIR) return hair_field(c, texture(noise, vec2(uv.x * 12.0, uv.y * 0.25)).r) < 0.0;
    if (kind == HAT) return hat_field(c) < 0.0;
    if (kind == LASHES) return c.y < 7.27 || abs(c.x) > 0.44;  // the upper ones, no wings
    return false;
}
