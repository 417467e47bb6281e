"""Pictures of a figure with OpenGL: colour, and for the ground truth which triangle every pixel shows.

Runs wherever EGL does; Mesa's llvmpipe needs no GPU. Images have their first row at the top.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

# Two render processes share two cores; llvmpipe would otherwise start a thread per core in each.
os.environ.setdefault("LP_NUM_THREADS", "1")

import moderngl
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from .figure import KIND, Figure, Pose
from .head import ANCESTRIES, Head

SHADERS = Path(__file__).parent / "shaders"
SHADOW_SIZE = 224
NEUTRAL_CUT = {
    "hair_top": 99.0, "hair_temple": 0.0, "hair_open": 0.4, "hair_low": 6.4, "hair_crown": 99.0, "hair_ragged": 0.0,
    "hat_brim": 99.0, "hat_slope": 0.0, "hat_scarf": 0.0, "hat_face": 1.0,
}  # fmt: skip


@dataclass
class Camera:
    """A pinhole in front of the sitter. `centre` is at the middle of the picture, `height` what it spans there."""

    centre: tuple[float, float, float] = (0.0, 7.0, 0.6)
    height: float = 3.6
    distance: float = 12.0
    aspect: float = 1.0

    @property
    def position(self) -> np.ndarray:
        return np.add(self.centre, (0.0, 0.0, self.distance))

    def matrix(self) -> np.ndarray:
        """Clip from world, (4,4), row-major."""
        near, far = self.distance - 5.0, self.distance + 5.0
        f = 2 * self.distance / self.height
        projection = np.zeros((4, 4))
        projection[0, 0], projection[1, 1] = f / self.aspect, f
        projection[2, 2], projection[2, 3] = (far + near) / (near - far), 2 * far * near / (near - far)
        projection[3, 2] = -1
        view = np.eye(4)
        view[:3, 3] = -self.position
        return projection @ view


def _parallel(direction: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    """Clip from world of a parallel light that shines from `direction` onto a ball."""
    z = direction / np.linalg.norm(direction)
    x = np.cross((0.0, 1.0, 0.0) if abs(z[1]) < 0.95 else (1.0, 0.0, 0.0), z)
    x /= np.linalg.norm(x)
    rotation = np.stack([x, np.cross(z, x), -z])
    out = np.eye(4)
    out[:3, :3] = rotation / radius
    out[:3, 3] = -rotation @ centre / radius
    return out


def _noise(size: int, rng: np.random.Generator) -> np.ndarray:
    """Seamless noise (size,size,4) uint8: four octaves, fine grain, very soft, white."""

    def octave(sigma: float) -> np.ndarray:
        x = gaussian_filter(rng.normal(size=(size, size)), sigma, mode="wrap")
        return x / x.std()

    mixed = octave(12) + 0.7 * octave(6) + 0.5 * octave(3) + 0.35 * octave(1.2)
    channels = [mixed / mixed.std(), octave(1.6), octave(20), octave(0.6)]
    return np.stack([np.clip(128 + 46 * c, 0, 255) for c in channels], -1).astype("u1")


class Rasterizer:
    """Holds the OpenGL context, the programs and the mesh's textures. Load a figure, then draw its frames."""

    def __init__(
        self,
        head: Head,
        size: tuple[int, int] = (256, 256),
        samples: float = 1.5,
        shadow_size: int = SHADOW_SIZE,
    ):
        self.size, self.samples = size, samples
        self.context = moderngl.create_context(standalone=True, backend="egl")
        cover = (SHADERS / "cover.glsl").read_text()
        vertex = (SHADERS / "surface.vert").read_text()

        def program(name: str, kind: int | None = None) -> moderngl.Program:
            body = (SHADERS / name).read_text()
            define = "" if kind is None else f"#define KIND {kind}.0\n"
            return self.context.program("#version 420\n" + vertex, "#version 420\n" + define + cover + body)

        # A program per kind of surface: llvmpipe computes every branch of a shader for every pixel.
        self.surfaces, self.depth = [program("surface.frag", k) for k in KIND.values()], program("depth.frag")
        self.noise = self._texture(_noise(512, np.random.default_rng(7)))
        self.noise.build_mipmaps()
        self._masks = self._texture(self._load_masks(head.folder / "masks"))
        self._masks.repeat_x = self._masks.repeat_y = False
        self._shadow = self.context.depth_texture((shadow_size, shadow_size))
        self._shadow.compare_func = ""
        self._shadow.repeat_x = self._shadow.repeat_y = False
        self._shadow_target = self.context.framebuffer(depth_attachment=self._shadow)
        big = (round(size[0] * samples), round(size[1] * samples))
        # One depth buffer for both: colour is shaded only where the depth pass has found the surface that is seen.
        depth = self.context.depth_renderbuffer(big)
        self._colour = self.context.framebuffer([self.context.renderbuffer(big, 4)], depth)
        self._before = self.context.framebuffer(depth_attachment=depth)
        self._targets: dict[tuple[int, int], moderngl.Framebuffer] = {}
        self._vertex_arrays: list = []
        self._occlusion = np.ones(len(head.vertices), "f4")
        self._occlusion = self._bake_occlusion(head)

    def _texture(self, pixels: np.ndarray) -> moderngl.Texture:
        texture = self.context.texture(
            pixels.shape[1::-1], pixels.shape[2], np.ascontiguousarray(pixels).tobytes()
        )
        texture.filter = (moderngl.LINEAR_MIPMAP_NEAREST, moderngl.LINEAR)
        texture.build_mipmaps()
        return texture

    @staticmethod
    def _load_masks(folder: Path) -> np.ndarray:
        names = ("lips", "eyelids", "inside-mouth", "ears")
        masks = [np.asarray(Image.open(folder / f"{n}.jpg").convert("L"))[::-1] for n in names]
        masks[:2] = [gaussian_filter(m, 1.5) for m in masks[:2]]  # soft borders of lips and lids
        masks[3] = gaussian_filter(masks[3], 6)
        return np.stack(masks, -1)

    def _target(self, size: tuple[int, int]) -> moderngl.Framebuffer:
        if size not in self._targets:
            self._targets[size] = self.context.framebuffer(
                [self.context.texture(size, 2, dtype="f4")], self.context.depth_renderbuffer(size)
            )
        return self._targets[size]

    @staticmethod
    def _set(program: moderngl.Program, values: dict) -> None:
        for name, value in values.items():
            if name in program:
                program[name].value = tuple(map(float, value)) if np.ndim(value) else float(value)

    def load(self, figure: Figure, looks: dict) -> None:
        """Uploads what stays the same during a clip: the figure's buffers and the looks' uniforms."""
        for item in self._vertex_arrays:
            item.release()
        occlusion = np.ones(len(figure.rest), "f4")
        occlusion[: len(self._occlusion)] = self._occlusion
        static = np.concatenate(
            [figure.canonical, figure.uv, figure.kind[:, None], occlusion[figure.vertex, None]], 1
        ).astype("f4")
        buffer = self.context.buffer(static.tobytes())
        self._moving = self.context.buffer(reserve=len(figure.vertex) * 24, dynamic=True)
        index = self.context.buffer(figure.triangles.tobytes())
        names = ("canonical", "uv", "kind", "occlusion")
        arrays = []
        for program in (*self.surfaces, self.depth):
            used = [n if n in program else None for n in names]
            layout = " ".join(f"{k}f" if n else f"{4 * k}x" for n, k in zip(used, (3, 2, 1, 1)))
            moving = "3f 3f" if "normal" in program else "3f 12x"
            content = [
                (buffer, layout, *[n for n in used if n]),
                (self._moving, moving, *[n for n in ("position", "normal") if n in program]),
            ]
            arrays.append(self.context.vertex_array(program, content, index))
        *self._draw_surfaces, self._draw_depth = arrays
        self._vertex_arrays = [*arrays, buffer, self._moving, index]
        self._figure = figure
        self._looks = {**NEUTRAL_CUT, "shadow_soft": 0.006, "brow_height": 0.0, **looks}
        for program in (*self.surfaces, self.depth):
            self._set(program, self._looks)
        kinds = figure.kind[figure.triangles[:, 0]].astype(int)
        spans = [np.flatnonzero(kinds == k) for k in range(len(KIND))]
        self._spans = [(3 * s[0], 3 * len(s)) if len(s) else (0, 0) for s in spans]

    def pose(self, points: np.ndarray, normals: np.ndarray) -> None:
        """Uploads one frame's geometry, (G,3) each."""
        rows = self._figure.vertex
        self._moving.write(np.concatenate([points[rows], normals[rows]], 1).astype("f4").tobytes())

    def _depth_pass(
        self, target: moderngl.Framebuffer, camera: np.ndarray, spread: tuple[float, float]
    ) -> None:
        target.use()
        target.clear(0.0, 0.0, 0.0, 0.0)
        self.context.depth_func = "<"
        self.context.enable_only(moderngl.DEPTH_TEST)
        self.depth["camera"].write(camera.T.astype("f4").tobytes())
        self.depth["spread"].value = spread
        self.noise.use(0)
        self._draw_depth.render()

    def colour(self, camera: Camera) -> np.ndarray:
        """The posed figure, (H,W,4) float32 in [0,1]: premultiplied sRGB and coverage."""
        direction = np.asarray(self._looks["key_direction"])
        light = _parallel(direction, np.array([0.0, 6.7, 0.5]), 2.6)
        matrix = camera.matrix()
        self._depth_pass(self._shadow_target, light, (1.0, 1.0))
        self._depth_pass(self._before, matrix, (1.0, 1.0))
        self._colour.use()
        self._colour.depth_mask = False  # so that clearing and drawing keep the depth
        self._colour.clear(0.0, 0.0, 0.0, 0.0)
        self.context.depth_func = "=="
        for unit, texture in enumerate((self.noise, self._masks, self._shadow)):
            texture.use(unit)
        for program, array, (first, count) in zip(self.surfaces, self._draw_surfaces, self._spans):
            if not count:
                continue
            program["camera"].write(matrix.T.astype("f4").tobytes())
            program["spread"].value = (1.0, 1.0)
            if "shadow_camera" in program:
                program["shadow_camera"].write(light.T.astype("f4").tobytes())
            self._set(program, {"eye_position": camera.position})
            for unit, name in enumerate(("noise", "masks", "shadow")):
                if name in program:
                    program[name].value = unit
            array.render(vertices=count, first=first)
        width, height = self._colour.size
        pixels = np.frombuffer(self._colour.read(components=4), "u1").reshape(height, width, 4)
        small = Image.fromarray(pixels[::-1]).resize(self.size, Image.Resampling.BOX)
        out = (
            np.asarray(small, "f4") / 255
        )  # Pillow averages RGBA by its alpha and gives it back unmultiplied
        out[..., :3] *= out[..., 3:]
        return out

    def seen(self, camera: Camera, size: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
        """Triangle number (size,size) int, -1 for none, and distance along the view (size,size), inf for none."""
        target = self._target((size, size))
        self._depth_pass(target, camera.matrix(), (spread, spread))
        pixels = np.frombuffer(target.read(components=2, dtype="f4"), "f4").reshape(size, size, 2)[::-1]
        triangle = pixels[..., 0].astype(int) - 1
        return triangle, np.where(triangle < 0, np.inf, pixels[..., 1])

    def _bake_occlusion(self, head: Head, directions: int = 96) -> np.ndarray:
        """Ambient occlusion (V,) of an average bust: the share of the hemisphere from which a vertex is seen."""
        people = [f"{ancestry}-{sex}" for ancestry in ANCESTRIES for sex in ("male", "female")]
        shape = {f"macrodetails/{who}-young": 1 / len(people) for who in people}
        figure = Figure(head, shape, np.ones(3) / 3, [])
        points, normals = figure.posed(Pose(expression={"mouth-open": 0.15}))
        self.load(figure, {"key_direction": (0.0, 0.0, 1.0)})
        self.pose(points, normals)
        golden = np.arange(directions) + 0.5
        z, a = 1 - 2 * golden / directions, np.pi * (1 + 5**0.5) * golden
        around = np.stack([np.sqrt(1 - z * z) * np.cos(a), z, np.sqrt(1 - z * z) * np.sin(a)], 1)
        count, size = len(head.vertices), self._shadow.size[0]
        seen, possible = np.zeros(count), np.zeros(count)
        for d in around:
            matrix = _parallel(d, np.array([0.0, 6.7, 0.5]), 2.6)
            self._depth_pass(self._shadow_target, matrix, (1.0, 1.0))
            depth = np.frombuffer(self._shadow.read(), "f4").reshape(self._shadow.size)
            p = (points[:count] + 0.02 * normals[:count]) @ matrix[:3, :3].T + matrix[:3, 3]
            x, y = ((p[:, :2].T * 0.5 + 0.5) * size).astype(int).clip(0, size - 1)
            cosine = np.clip(normals[:count] @ d, 0, 1)
            seen += cosine * (p[:, 2] * 0.5 + 0.5 < depth[y, x] + 0.004)
            possible += cosine
        return (seen / np.maximum(possible, 1e-6)).clip(0.05, 1).astype("f4") ** 1.2
