"""Paintings and a driving clip: the project's own, of sitters who are not drawn at random, and of any who are."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.interpolate import PchipInterpolator

from .clip import draw
from .figure import Figure, Pose
from .head import LANDMARK_NAMES, Head
from .looks import linear, random_looks
from .motion import BROWS, MOUTHS, blend, lids
from .paint import Finish, background, noise_field, random_finish
from .raster import Camera, Rasterizer
from .shells import Shell, Style, falling_band, ruff, wrap
from .strokes import Layer, Painter

PAINTING_SIZE = (900, 1200)
GROUP_SIZE = (1600, 1000)
SITTER_SIZE = (640, 800)
CLIP_SIZE, CLIP_FPS, CLIP_SECONDS = 320, 25, 4


def _unit(*xyz: float) -> np.ndarray:
    return np.array(xyz) / np.linalg.norm(xyz)


def _sitter(**macro: float) -> dict[str, float]:
    return {f"macrodetails/{name.replace('_', '-')}": weight for name, weight in macro.items()} | {
        f"eyes/{side}-eye-scale-incr": 0.45 for side in "lr"
    }


# Unremarkable skin, clothes and hair; each scene changes what it needs.
PLAIN = {
    "skin_colour": linear((233, 190, 160)),
    "blush_colour": linear((214, 120, 98)),
    "blush": 0.5,
    "mottle": 0.14,
    "age": 0.1,
    "freckles": 0.0,
    "shine": 1.0,
    "lip_colour": linear((176, 82, 74)),
    "lip_amount": 0.75,
    "lid_colour": linear((190, 140, 120)),
    "lid_amount": 0.4,
    "iris_colour": linear((84, 66, 40)),
    "iris_inner": linear((120, 96, 56)),
    "pupil": 0.2,
    "brow_colour": linear((62, 42, 30)),
    "brow_arch": 0.9,
    "brow_thickness": 0.03,
    "brow_amount": 0.75,
    "brow_length": 1.0,
    "brow_height": -0.06,
    "beard": 0.0,
    "moustache": 0.0,
    "goatee": 0.0,
    "stubble": 0.0,
    "beard_colour": linear((60, 40, 26)),
    "hair_colour": linear((58, 36, 22)),
    "hair_tint": linear((150, 100, 58)),
    "hair_amount": 1.0,
    "hair_strands": 16.0,
    "hair_shine": 0.7,
    "hair_top": 8.18,
    "hair_temple": 0.02,
    "hair_open": 0.4,
    "hair_low": 6.4,
    "hair_ragged": 0.1,
    "hair_crown": 99.0,
    "hat_colour": np.zeros(3),
    "hat_trim": np.zeros(3),
    "hat_bands": 0.0,
    "cloth_colour": linear((30, 25, 24)),
    "cloth_trim": linear((30, 25, 24)),
    "trim_width": 0.05,
    "cloth_folds": 0.3,
    "collar_colour": linear((228, 222, 208)),
    "neck_height": 5.5,
    "neck_vee": 0.0,
    "tooth_colour": np.array([0.7, 0.65, 0.55]),
    "noise_offset": (0.0, 0.0),
    "stroke": 0.0,
    "stroke_scale": 1.2,
    "exposure": 1.0,
    "shadow_strength": 0.8,
}

# An old master's light, from a window high on the left.
STUDIO = {
    "key_direction": _unit(-0.72, 0.55, 0.66),
    "key_colour": (1.5, 1.33, 1.06),
    "fill_direction": _unit(0.8, 0.1, 0.5),
    "fill_colour": (0.07, 0.06, 0.055),
    "sky_colour": (0.12, 0.11, 0.10),
    "ground_colour": (0.09, 0.065, 0.045),
    "shadow_soft": 0.008,
    "stroke": 0.2,
}


class Sitter(NamedTuple):
    """One of a group: `looks` over `PLAIN`, shape and proportions as `Figure` takes them, what is worn, the pose.

    `chin` is where it is to be, in the picture's heights from its middle, right and down; `tall` what the picture's
    height spans beside the sitter, in decimetres.
    """

    looks: dict
    shape: dict[str, float]
    proportions: np.ndarray
    shells: list[Callable[[Head, dict], Shell]]
    pose: Pose
    chin: tuple[float, float]
    tall: float


def painting(heads: Path, output: Path, seed: int) -> None:
    """A young woman with a linen collar, lit from one side, in oil; written as JPEG or PNG."""
    width, height = PAINTING_SIZE
    rng = np.random.default_rng(seed)
    head = Head(heads)
    raster = Rasterizer(head, PAINTING_SIZE, 1.5, shadow_size=1024)
    looks = (
        PLAIN
        | STUDIO
        | {
            "cloth_colour": linear((74, 22, 26)),
            "cloth_trim": linear((74, 22, 26)),
            "cloth_folds": 0.25,
            "hair_open": 0.22,
            "hair_low": 6.1,
            "hair_strands": 18.0,
        }
    )
    shape = _sitter(caucasian_female_young=0.7, asian_female_young=0.15, african_female_young=0.15)
    shape |= {f"ears/{side}-ear-wing-decr": 1.0 for side in "lr"}
    hair = Style(0.02, 0.06, 0.12, 0.16, 0.0, 0.025, length=1.6, flare=0.0, seed=3, rise=0.8)
    figure = Figure(
        head, shape, np.array([0.15, 0.15, 0.7]), [falling_band(head, 0.8), wrap(head, "hair", hair, looks)]
    )
    raster.load(figure, looks)
    face = blend((MOUTHS["smile"], 0.25), (lids(0.1, 0.1), 1.0), (BROWS["up"], 0.1))
    raster.pose(*figure.posed(Pose(yaw=-0.16, pitch=0.02, roll=0.04, gaze=(0.12, -0.02), expression=face)))
    chin = figure.rest[head.landmarks[LANDMARK_NAMES.index("chin")]]
    colour = raster.colour(Camera((0.05, chin[1] - 0.15, 0.6), 4.9, 16.0, width / height))
    y, x = np.mgrid[0:height, 0:width] / height
    glow = np.exp(-((x - 0.60) ** 2 + (y - 0.42) ** 2) / 0.10)
    behind = (0.10 + 0.22 * glow + 0.012 * noise_field(rng, x.shape, 40))[..., None] * np.array(
        [1.18, 0.88, 0.58]
    )
    picture = np.clip(colour[..., :3] + (1 - colour[..., 3:]) * behind, 0, 1).astype("f4")
    _in_oil(raster, picture, rng, output, quality=93)


def sitters(heads: Path, output: Path, seed: int, count: int) -> None:
    """Portraits of sitters drawn at random, painted in many ways: `output`/sitter_01.jpg and on.

    What a model makes of portraits is seen in many, not in three.
    """
    head = Head(heads)
    raster = Rasterizer(head, SITTER_SIZE, 1.5, shadow_size=1024)
    output.mkdir(parents=True, exist_ok=True)
    for number in range(1, count + 1):
        _random_sitter(
            head, raster, np.random.default_rng((seed, number)), output / f"sitter_{number:02}.jpg"
        )


def _random_sitter(head: Head, raster: Rasterizer, rng: np.random.Generator, output: Path) -> None:
    """One of them, at rest, as sitters are: turned aside by some degrees or many, the mouth hardly open."""
    width, height = SITTER_SIZE
    looks = random_looks(rng, head, painterly=True)
    figure = Figure(head, looks.shape, looks.ancestry, looks.shells)
    raster.load(figure, looks.uniforms | {"stroke": 0.5 * looks.uniforms["stroke"]})
    yaw, pitch, roll = rng.normal(0, np.radians([18, 5, 4]))
    open_eyes = float(rng.uniform(-0.2, 0.15))
    face = blend((MOUTHS["smile"], rng.uniform(0, 0.3)), (lids(open_eyes, open_eyes), 1.0))
    raster.pose(*figure.posed(Pose(float(np.clip(yaw, -0.6, 0.6)), pitch, roll, expression=face)))
    chin, forehead = (figure.rest[head.landmarks[LANDMARK_NAMES.index(n)]] for n in ("chin", "forehead"))
    tall = (forehead[1] - chin[1]) / rng.uniform(0.26, 0.42)
    camera = Camera((rng.normal(0, 0.03) * tall, chin[1] - 0.02 * tall, 0.6), tall, 16.0, width / height)
    colour = raster.colour(camera)
    behind = background(rng, height, width, painterly=True)
    picture = np.clip(colour[..., :3] + (1 - colour[..., 3:]) * behind, 0, 1).astype("f4")
    if rng.random() < 0.5:
        _in_oil(raster, picture, rng, output, quality=93)
    else:
        finished = random_finish(rng, height, width, painterly=True).apply(picture, rng)
        Image.fromarray((finished * 255 + 0.5).astype("u1")).save(output, quality=93)


def group(heads: Path, output: Path, seed: int) -> None:
    """Two women and a bearded man between them, in one light before one wall, in oil; written as JPEG or PNG."""
    width, height = GROUP_SIZE
    rng = np.random.default_rng(seed)
    head = Head(heads)
    raster = Rasterizer(head, GROUP_SIZE, 1.5, shadow_size=1024)
    y, x = np.mgrid[0:height, 0:width] / height
    glow = np.exp(-((x - 0.75) ** 2 + (y - 0.38) ** 2) / 0.35)
    light = 0.11 + 0.24 * glow + 0.012 * noise_field(rng, x.shape, 40)
    picture = light[..., None] * np.array([1.05, 0.92, 0.72])
    # The man stands behind the women: he is painted first.
    for sitter in (_man(head), _left_woman(head), _right_woman(head)):
        looks = PLAIN | STUDIO | sitter.looks
        figure = Figure(head, sitter.shape, sitter.proportions, [make(head, looks) for make in sitter.shells])
        raster.load(figure, looks)
        raster.pose(*figure.posed(sitter.pose))
        chin = figure.rest[head.landmarks[LANDMARK_NAMES.index("chin")]]
        right, down = sitter.chin
        centre = (-right * sitter.tall, chin[1] + down * sitter.tall, 0.6)
        colour = raster.colour(Camera(centre, sitter.tall, 26.0, width / height))
        picture = colour[..., :3] + (1 - colour[..., 3:]) * picture
    _in_oil(raster, np.clip(picture, 0, 1).astype("f4"), rng, output, quality=84)


def _man(head: Head) -> Sitter:
    looks = {
        "skin_colour": linear((214, 166, 134)),
        "blush": 0.6,
        "age": 0.5,
        "hair_colour": linear((96, 88, 80)),
        "hair_tint": linear((150, 142, 132)),
        "hair_temple": 0.12,
        "hair_open": 0.34,
        "hair_top": 8.1,
        "brow_colour": linear((70, 60, 52)),
        "beard": 0.9,
        "moustache": 0.9,
        "goatee": 0.8,
        "beard_colour": linear((92, 80, 70)),
        "lip_amount": 0.5,
        "cloth_colour": linear((22, 20, 22)),
        "cloth_trim": linear((22, 20, 22)),
    }
    shape = _sitter(caucasian_male_old=0.6, caucasian_male_young=0.4)
    hair = Style(0.03, 0.06, 0.05, 0.1, 0.0, 0.03, seed=5, rise=0.6)
    collar = lambda head, looks: ruff(head, 5.62, 0.62, 0.12, 22)  # noqa: E731
    face = blend((MOUTHS["smile"], 0.1), (lids(0.1, 0.1), 1.0))
    pose = Pose(yaw=0.08, pitch=0.03, gaze=(-0.05, 0.0), expression=face)
    return Sitter(looks, shape, np.array([0.3, 0.3, 0.4]), [collar, _hair(hair)], pose, (0.0, -0.07), 5.8)


def _left_woman(head: Head) -> Sitter:
    looks = {
        "hair_colour": linear((120, 74, 40)),
        "hair_tint": linear((186, 130, 76)),
        "hair_open": 0.24,
        "hair_low": 6.1,
        "hair_strands": 18.0,
        "iris_colour": linear((70, 88, 96)),
        "iris_inner": linear((104, 124, 130)),
        "cloth_colour": linear((38, 58, 92)),
        "cloth_trim": linear((38, 58, 92)),
    }
    shape = _sitter(caucasian_female_young=0.85, caucasian_female_old=0.15)
    hair = Style(0.02, 0.07, 0.12, 0.16, 0.0, 0.03, length=1.3, flare=0.05, seed=8, rise=0.8)
    collar = lambda head, looks: falling_band(head, 0.7)  # noqa: E731
    face = blend((MOUTHS["smile"], 0.3), (lids(0.1, 0.1), 1.0), (BROWS["up"], 0.1))
    pose = Pose(yaw=0.12, pitch=0.02, roll=-0.04, gaze=(-0.1, 0.0), expression=face)
    return Sitter(looks, shape, np.array([0.2, 0.2, 0.6]), [collar, _hair(hair)], pose, (-0.5, 0.02), 5.6)


def _right_woman(head: Head) -> Sitter:
    looks = {
        "skin_colour": linear((150, 100, 72)),
        "blush_colour": linear((150, 74, 58)),
        "blush": 0.35,
        "lip_colour": linear((128, 58, 54)),
        "brow_colour": linear((28, 20, 16)),
        "hair_colour": linear((24, 18, 15)),
        "hair_tint": linear((66, 46, 34)),
        "hair_open": 0.26,
        "hair_low": 6.3,
        "cloth_colour": linear((96, 34, 26)),
        "cloth_trim": linear((140, 104, 44)),
    }
    shape = _sitter(african_female_young=0.75, caucasian_female_young=0.25)
    hair = Style(0.03, 0.12, 0.14, 0.2, 0.02, 0.03, seed=13, rise=0.6)
    collar = lambda head, looks: falling_band(head, 0.55)  # noqa: E731
    face = blend((MOUTHS["smile"], 0.2), (lids(0.08, 0.08), 1.0))
    pose = Pose(yaw=-0.1, pitch=0.0, roll=0.03, gaze=(0.08, 0.0), expression=face)
    return Sitter(looks, shape, np.array([0.1, 0.1, 0.8]), [collar, _hair(hair)], pose, (0.5, 0.0), 5.7)


def _hair(style: Style) -> Callable[[Head, dict], Shell]:
    return lambda head, looks: wrap(head, "hair", style, looks)


def _in_oil(
    raster: Rasterizer, picture: np.ndarray, rng: np.random.Generator, output: Path, quality: int
) -> None:
    """Paint the (H,W,3) `picture` in oil on canvas, under a yellowed varnish, and write it."""
    height, width = picture.shape[:2]
    brushes = [
        Layer(46, 170, 17, 0.9, -1, swirl=1.0),
        Layer(24, 90, 9, 0.9, 0.05, swirl=0.6),
        Layer(11, 40, 5, 0.9, 0.05, swirl=0.2),
        Layer(5, 18, 3, 0.9, 0.05),
        Layer(2.6, 9, 2, 0.9, 0.05),
        Layer(1.8, 6, 1.5, 0.9, 0.06),
    ]
    oil = Painter(raster.context, raster.noise, (width, height)).paint(picture, brushes, rng, relief=0.4)
    y, x = np.mgrid[0:height, 0:width] / height
    weave = np.sin(2 * np.pi * x * height / 3.1) * np.sin(2 * np.pi * y * height / 3.1)
    varnish = (
        np.array([1.05, 1.0, 0.94]) * (1 + 0.012 * weave + 0.01 * noise_field(rng, x.shape, 30))[..., None]
    )
    pixels = (np.clip(oil * varnish, 0, 1) * 255 + 0.5).astype("u1")
    output.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(output, quality=quality)


# The driving clip's motion: seconds, then values. The end is the beginning, so that it loops.
SCRIPT: dict[str, tuple[list[float], list[float]]] = {
    "yaw": ([0, 1.2, 1.65, 1.85, 2.4, 2.6, 3.1, 4], [0, 0, 0.42, 0.42, -0.42, -0.42, 0.0, 0]),
    "pitch": ([0, 0.3, 0.55, 0.85, 1.1, 1.4, 2.9, 3.3, 4], [0, -0.08, 0.24, -0.08, 0.12, 0, 0, 0.05, 0]),
    "roll": ([0, 1.1, 1.7, 2.45, 2.8, 3.15, 3.4, 3.85, 4], [0, 0, -0.05, 0.05, 0.0, 0.26, 0.26, 0, 0]),
    "gaze": ([0, 1.2, 1.7, 2.05, 2.5, 3.0, 4], [0, 0, -0.2, 0.1, 0.2, 0, 0]),
    "brows": (
        [0, 0.2, 0.4, 0.9, 1.2, 1.9, 2.1, 2.5, 2.9, 3.3, 3.9, 4],
        [0, 0, 1, 0.8, 0, 0, 0.7, 0.6, 0, 0.4, 0, 0],
    ),
    "open": (
        [0, 0.25, 0.42, 0.58, 1.4, 1.55, 1.7, 1.85, 2.0, 2.15, 2.3, 2.5, 2.75, 3.0, 4],
        [0, 0, 0.75, 0.15, 0, 0.6, 0.15, 0.55, 0.1, 0.85, 0.2, 0.6, 0.1, 0.0, 0],
    ),
    "round": ([0, 0.5, 0.72, 1.0, 2.3, 2.45, 2.65, 4], [0, 0, 1.0, 0, 0, 0.6, 0, 0]),
    "smile": ([0, 0.8, 1.25, 1.5, 2.7, 3.1, 3.5, 3.9, 4], [0, 0, 0.8, 0.2, 0.1, 1.0, 1.0, 0, 0]),
    "teeth": ([0, 2.8, 3.15, 3.45, 3.8, 4], [0, 0, 0.8, 0.8, 0, 0]),
}
BLINKS = (1.22, 2.08, 3.0, 3.62)


def hello(seconds: float) -> Pose:
    """The driving clip's pose at a time."""
    value = {name: float(PchipInterpolator(*keys)(seconds)) for name, keys in SCRIPT.items()}
    shut = max(float(np.exp(-(((seconds - t) / 0.065) ** 4))) for t in BLINKS)
    o = {"mouth-open": 0.35, "mouth-pursing": 0.9, "mouth-protusion": 0.2}
    expression = blend(
        (MOUTHS["open"], value["open"]), (o, value["round"]), (MOUTHS["smile"], value["smile"]),
        ({"mouth-elevation": 0.7, "mouth-part-later": 0.6}, value["teeth"]), (BROWS["up"], value["brows"]),
        (lids(max(shut, 0.02), max(shut, 0.02)), 1.0),
    )  # fmt: skip
    shift = (0.12 * np.sin(value["yaw"]), 0.0)
    return Pose(value["yaw"], value["pitch"], value["roll"], shift, 1.0, (value["gaze"], 0.0), expression)


def driving(heads: Path, output: Path, seed: int) -> None:
    """Four seconds of somebody saying hello in front of a wall, as H.264."""
    import imageio_ffmpeg

    rng = np.random.default_rng(seed)
    head = Head(heads)
    raster = Rasterizer(head, (CLIP_SIZE, CLIP_SIZE), 2.0, shadow_size=512)
    looks = PLAIN | {
        "key_direction": _unit(0.45, 0.5, 0.75),
        "key_colour": (0.95, 0.92, 0.88),
        "fill_direction": _unit(-0.8, 0.0, 0.6),
        "fill_colour": (0.22, 0.23, 0.26),
        "sky_colour": (0.30, 0.31, 0.33),
        "ground_colour": (0.16, 0.14, 0.13),
        "shadow_strength": 0.5,
        "skin_colour": linear((206, 152, 120)),
        "blush_colour": linear((186, 104, 88)),
        "blush": 0.35,
        "brow_thickness": 0.042,
        "brow_amount": 0.95,
        "brow_colour": linear((34, 24, 20)),
        "hair_colour": linear((30, 22, 18)),
        "hair_tint": linear((84, 60, 44)),
        "stubble": 0.45,
        "hair_top": 8.05,
        "hair_temple": 0.1,
        "hair_open": 0.3,
        "cloth_colour": linear((52, 74, 96)),
        "cloth_trim": linear((44, 62, 82)),
        "neck_height": 5.75,
        "lip_amount": 0.6,
        "lip_colour": linear((158, 88, 80)),
        "iris_colour": linear((70, 46, 28)),
    }
    shape = _sitter(
        caucasian_male_young=0.55, african_male_young=0.2, asian_male_young=0.15, caucasian_female_young=0.1
    )
    hair = Style(0.04, 0.10, 0.03, 0.08, 0.02, 0.03, seed=11, rise=0.5)
    figure = Figure(head, shape, np.array([0.2, 0.2, 0.6]), [wrap(head, "hair", hair, looks)])
    raster.load(figure, looks)
    chin, forehead = (figure.rest[head.landmarks[LANDMARK_NAMES.index(n)]] for n in ("chin", "forehead"))
    tall = forehead[1] - chin[1]
    camera = Camera((0.0, 0.5 * (chin[1] + forehead[1]) + 0.02 * tall, 0.6), tall / 0.50, 14.0)
    y, x = np.mgrid[0:CLIP_SIZE, 0:CLIP_SIZE] / CLIP_SIZE
    wall = (0.60 + 0.10 * (x - y) + 0.006 * noise_field(rng, x.shape, 10))[..., None] * np.array(
        [0.98, 1.0, 1.0]
    )
    plain = Finish(0, 0.35, 1.0, 0.95, np.ones(3), 0.01, np.ones((CLIP_SIZE, CLIP_SIZE, 1), "f4"), 0.006)
    output.parent.mkdir(parents=True, exist_ok=True)
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
        "-s", f"{CLIP_SIZE}x{CLIP_SIZE}", "-r", str(CLIP_FPS), "-i", "-", "-c:v", "libx264", "-crf", "20",
        "-preset", "slow", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(output),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        for frame in range(CLIP_FPS * CLIP_SECONDS + 1):
            raster.pose(*figure.posed(hello(frame / CLIP_FPS)))
            encoder.stdin.write(draw(raster, camera, wall, plain, rng).tobytes())
    if encoder.returncode:
        raise RuntimeError(f"ffmpeg could not write {output}.")
