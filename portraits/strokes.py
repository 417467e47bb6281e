"""Oil paint: a picture repainted with curved brush strokes, large ones first, small ones where they are needed.

After the idea of painting in layers of decreasing brush size (Hertzmann 1998); the strokes are ribbons drawn with
OpenGL, and their bristles leave a relief that is lit in the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import moderngl
import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from .paint import noise_field

VERTEX = """#version 330
in vec2 place; in vec2 along; in vec4 paint; in float seed;
uniform vec2 size;
out vec2 v_along; out vec4 v_paint; flat out float v_seed;
void main() {
    v_along = along; v_paint = paint; v_seed = seed;
    gl_Position = vec4(place / size * 2.0 - 1.0, 0.0, 1.0);
}"""
FRAGMENT = """#version 330
in vec2 v_along; in vec4 v_paint; flat in float v_seed;
uniform sampler2D noise;
layout(location = 0) out vec4 colour;
layout(location = 1) out vec4 relief;
void main() {
    float bristles = texture(noise, vec2(v_along.x * 0.04 + v_seed, v_along.y * 0.09 + v_seed * 7.0)).g;
    float edge = 1.0 - abs(v_along.y), end = min(v_along.x, 1.0 - v_along.x);
    // A brush runs dry: the end of a stroke breaks up along the bristles.
    float cover = smoothstep(0.0, 0.35, edge + 0.5 * (bristles - 0.5))
        * smoothstep(0.0, 0.12, end + 0.15 * (bristles - 0.5));
    colour = vec4(v_paint.rgb * (0.94 + 0.12 * bristles), v_paint.a * cover);
    relief = vec4(vec3(bristles * (0.4 + 0.6 * smoothstep(0.0, 0.6, edge))), v_paint.a * cover);
}"""


@dataclass
class Layer:
    """One brush. Lengths in pixels; `need` is the difference below which the layer beneath is left alone."""

    width: float
    length: float
    spacing: float
    opacity: float
    need: float
    swirl: float = 0.0  # how much strokes follow the free field instead of the picture's edges


class Painter:
    """Paints pictures of one size."""

    STEPS = 9

    def __init__(self, context: moderngl.Context, noise: moderngl.Texture, size: tuple[int, int]):
        self.context, self.noise, self.size = context, noise, size
        self.program = context.program(VERTEX, FRAGMENT)
        self._colour, self._relief = (
            context.texture(size, 4, dtype="f2"),
            context.texture(size, 4, dtype="f2"),
        )
        self._target = context.framebuffer([self._colour, self._relief])

    def paint(
        self, picture: np.ndarray, layers: list[Layer], rng: np.random.Generator, relief: float = 0.5
    ) -> np.ndarray:
        """The picture (H,W,3) float in [0,1] in oil, the same shape."""
        height, width = picture.shape[:2]
        canvas = np.full_like(picture, picture.mean((0, 1)) * 0.8)
        self._fill(canvas)
        free = 2 * np.pi * noise_field(rng, (height, width), 0.09 * width) * 0.35
        for layer in layers:
            guide = gaussian_filter(picture, (0.35 * layer.width,) * 2 + (0,))
            self._stroke(guide, np.abs(canvas - guide).sum(-1), free, layer, rng)
            canvas = self._read(self._colour)
        bumps = gaussian_filter(self._read(self._relief)[..., 0], 0.7)
        slope = np.gradient(bumps)
        shade = 1 + relief * np.clip(-(slope[0] + slope[1]) * 2.0, -0.25, 0.25)
        return np.clip(canvas * shade[..., None], 0, 1)

    def _fill(self, canvas: np.ndarray) -> None:
        pixels = np.concatenate([canvas, np.ones_like(canvas[..., :1])], -1).astype("f2")
        self._colour.write(pixels.tobytes())
        self._relief.write(np.full_like(pixels, 0.5).tobytes())

    def _read(self, texture: moderngl.Texture) -> np.ndarray:
        pixels = np.frombuffer(texture.read(), "f2").reshape(self.size[1], self.size[0], 4)
        return pixels[..., :3].astype("f4")

    def _directions(self, guide: np.ndarray, free: np.ndarray, layer: Layer) -> tuple[np.ndarray, np.ndarray]:
        """Unit field along which brushes move, from the smoothed structure tensor; x and y parts."""
        grey = gaussian_filter(guide.mean(-1), 0.5 * layer.width)
        gy, gx = np.gradient(grey)
        smooth = 1.5 * layer.width
        xx, yy, xy = (gaussian_filter(g, smooth) for g in (gx * gx, gy * gy, gx * gy))
        angle = 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2
        strength = np.sqrt((xx - yy) ** 2 + 4 * xy**2)
        weight = strength / (strength + 2e-6 + layer.swirl * 2e-4)
        # Directions have no sign, so they are mixed as doubled angles.
        c = weight * np.cos(2 * angle) + (1 - weight) * np.cos(free)
        s = weight * np.sin(2 * angle) + (1 - weight) * np.sin(free)
        angle = 0.5 * np.arctan2(s, c)
        return np.cos(angle), np.sin(angle)

    def _stroke(
        self, guide: np.ndarray, error: np.ndarray, free: np.ndarray, layer: Layer, rng: np.random.Generator
    ) -> None:
        height, width = guide.shape[:2]
        ys, xs = np.mgrid[0 : height : layer.spacing, 0 : width : layer.spacing]
        start = np.stack([xs.ravel(), ys.ravel()], -1) + rng.uniform(-0.6, 0.6, (xs.size, 2)) * layer.spacing
        start = np.clip(start, 0, [width - 1, height - 1])
        column, row = start.astype(int).T
        wanted = gaussian_filter(error, 0.4 * layer.width)[row, column] > layer.need
        start = start[wanted]
        if not len(start):
            return
        start = rng.permutation(start)
        vx, vy = self._directions(guide, free, layer)
        length = layer.length * rng.uniform(0.6, 1.3, (len(start), 1))
        step = length / (self.STEPS - 1)
        heading = np.zeros_like(start)
        path = [start]
        for _ in range(self.STEPS - 1):
            x, y = path[-1].T
            d = np.stack([map_coordinates(v, (y, x), order=0, mode="nearest") for v in (vx, vy)], -1)
            d *= np.where((d * heading).sum(-1, keepdims=True) < 0, -1, 1)
            heading = 0.5 * heading + 0.5 * d if len(path) > 1 else d
            heading /= np.maximum(np.linalg.norm(heading, axis=1, keepdims=True), 1e-6)
            path.append(path[-1] + heading * step)
        path = np.stack(path, 1) - 0.5 * length[:, None] * heading[:, None] * 0.3
        middle = path[:, self.STEPS // 2]
        mx, my = np.clip(middle, 0, [width - 1, height - 1]).astype(int).T
        paint = guide[my, mx] * (1 + rng.normal(0, 0.035, (len(start), 1))) + rng.normal(
            0, 0.005, (len(start), 3)
        )
        self._draw(path, paint, layer, rng)

    def _draw(self, path: np.ndarray, paint: np.ndarray, layer: Layer, rng: np.random.Generator) -> None:
        count, steps = path.shape[:2]
        tangent = np.gradient(path, axis=1)
        tangent /= np.maximum(np.linalg.norm(tangent, axis=-1, keepdims=True), 1e-6)
        normal = np.stack([-tangent[..., 1], tangent[..., 0]], -1)
        half = 0.5 * layer.width * rng.uniform(0.7, 1.2, (count, 1, 1))
        t = np.broadcast_to(np.linspace(0, 1, steps)[None, :, None], (count, steps, 1))
        rgba = np.concatenate([np.clip(paint, 0, 1), np.full((count, 1), layer.opacity)], 1)[:, None]
        rgba = np.broadcast_to(rgba, (count, steps, 4))
        seed = np.broadcast_to(rng.random((count, 1, 1)), (count, steps, 1))
        sides = [
            np.concatenate([path + k * half * normal, t, np.full_like(t, k), rgba, seed], -1) for k in (-1, 1)
        ]
        vertices = np.stack(sides, 2).reshape(-1, 9).astype("f4")
        a = (np.arange(count)[:, None] * steps + np.arange(steps - 1)[None]).ravel() * 2
        index = np.stack([a, a + 1, a + 2, a + 1, a + 3, a + 2], 1).astype("i4")
        array = self.context.vertex_array(
            self.program,
            [(self.context.buffer(vertices.tobytes()), "2f 2f 4f 1f", "place", "along", "paint", "seed")],
            self.context.buffer(index.tobytes()),
        )
        self._target.use()
        self.context.enable_only(moderngl.BLEND)
        self.context.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA
        self.noise.use(0)
        self.program["size"].value = tuple(map(float, self.size))
        array.render()
        array.release()
