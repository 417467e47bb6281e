"""Two small oil paintings for the demo's gallery, brush stroke by brush stroke: every run paints the same ones.

A picture is two fields over the canvas, a colour and the direction of the brush; strokes of four brushes, large to
small, are laid down at random places along them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE = (960, 720)  # width, height


def paint_landscapes(folder: Path) -> Iterator[Path]:
    """Paint both pictures into `folder` as PNG files, and yield the path of each when it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, scene, seed in (
        ("Wheat Field at Night", _wheat_field, 1889),
        ("Harbour at Sunset", _harbour, 1874),
    ):
        colors, angles = scene(np.random.default_rng(seed))
        path = folder / f"{name}.png"
        _paint(colors, angles, np.random.default_rng(seed)).save(path)
        yield path


def _paint(colors: np.ndarray, angles: np.ndarray, chance: np.random.Generator) -> Image.Image:
    """Strokes over `colors` (H x W x 3, in [0, 1]) along `angles` (H x W, radians from the horizontal)."""
    height, width = angles.shape
    blurred = Image.fromarray((colors.clip(0, 1) * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(9))
    picture = Image.fromarray((np.asarray(blurred) * 0.82).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for brush, count, jitter in ((20, 3000, 0.07), (11, 9000, 0.085), (6, 17000, 0.08), (4, 9000, 0.06)):
        xs, ys = chance.uniform(0, width, count), chance.uniform(0, height, count)
        for x, y in zip(xs, ys, strict=True):
            color = colors[int(y), int(x)] * (1 + chance.normal(0, jitter)) + chance.normal(0, jitter / 5, 3)
            _stroke(draw, angles, x, y, color, brush * chance.uniform(0.7, 1.2), chance)
    return picture.filter(ImageFilter.GaussianBlur(0.6))


def _stroke(
    draw, angles, x: float, y: float, color: np.ndarray, brush: float, chance: np.random.Generator
) -> None:
    """One stroke of about four brush widths that follows the directions, with a lighter and a darker bristle."""
    height, width = angles.shape
    angle = angles[int(y), int(x)]
    x, y = x - brush * 2 * np.cos(angle), y - brush * 2 * np.sin(angle)
    points = [(x, y)]
    for _ in range(5):
        angle = angles[min(max(int(y), 0), height - 1), min(max(int(x), 0), width - 1)]
        x, y = x + brush * 0.8 * np.cos(angle), y + brush * 0.8 * np.sin(angle)
        points.append((x, y))
    draw.line(points, _rgb(color), round(brush), joint="curve")
    side = np.array([-np.sin(angle), np.cos(angle)]) * brush * chance.uniform(0.1, 0.35)
    for sign, light in ((1, 0.86), (-1, 1.14)):
        draw.line(
            [(a + sign * side[0], b + sign * side[1]) for a, b in points],
            _rgb(color * light),
            max(1, round(brush / 6)),
        )


def _rgb(color: np.ndarray) -> tuple[int, int, int]:
    return tuple(int(c) for c in (color * 255).clip(0, 255))


def _grid() -> tuple[np.ndarray, np.ndarray]:
    """x and y of every pixel: x in widths from 0 to 1, y downwards in the same unit."""
    width, height = SIZE
    y, x = np.mgrid[0:height, 0:width] / width
    return x, y


def _mix(a, b, amount: np.ndarray) -> np.ndarray:
    """From colour `a` to colour `b` (each one colour or a field of them) by `amount` in [0, 1]."""
    amount = amount.clip(0, 1)[..., None]
    return np.asarray(a) * (1 - amount) + np.asarray(b) * amount


def _waves(x: np.ndarray, y: np.ndarray, chance: np.random.Generator, scale: float) -> np.ndarray:
    """Soft unevenness in [-1, 1], `scale` waves across the canvas."""
    total = np.zeros_like(x)
    for octave in range(4):
        turn, phase = chance.uniform(0, 2 * np.pi, 2)
        total += (
            np.sin(2 * np.pi * scale * 1.7**octave * (x * np.cos(turn) + y * np.sin(turn)) + phase)
            / 1.6**octave
        )
    return total / 2.2


def _wheat_field(chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A moon and two eddies of wind over blue hills, a cypress, ripe wheat."""
    x, y = _grid()
    colors = _mix((0.05, 0.12, 0.34), (0.36, 0.56, 0.66), y / 0.42 + 0.12 * _waves(x, y, chance, 2))
    angles = 0.25 * np.sin(5 * x + 3 * y) + 0.15
    for cx, cy, radius in ((0.30, 0.19, 0.15), (0.56, 0.12, 0.10)):
        far = np.hypot(x - cx, y - cy)
        pull = np.exp(-((far / radius) ** 2))
        turn = np.arctan2(y - cy, x - cx) + np.pi / 2 + 0.35
        angles = np.arctan2(
            (1 - pull) * np.sin(angles) + 3 * pull * np.sin(turn),
            (1 - pull) * np.cos(angles) + 3 * pull * np.cos(turn),
        )
        rings = 0.5 + 0.5 * np.cos(far * 170 - 2 * turn)
        colors = _mix(colors, (0.66, 0.78, 0.76), pull * rings * 0.85)
    moon = np.hypot(x - 0.85, y - 0.13)
    around = np.arctan2(y - 0.13, x - 0.85) + np.pi / 2
    near_moon = moon < 0.15
    angles[near_moon] = around[near_moon]
    colors = _mix(colors, (0.86, 0.82, 0.42), np.exp(-((moon / 0.085) ** 2)))
    colors = _mix(colors, (0.99, 0.93, 0.62), (0.042 - moon) * 200)

    hills = 0.43 + 0.025 * np.sin(7 * x + 1) + 0.012 * np.sin(17 * x)
    ridge = _mix((0.13, 0.24, 0.42), (0.22, 0.38, 0.40), (y - hills) / 0.07)
    colors = np.where((y > hills)[..., None], ridge, colors)
    angles = np.where(y > hills, 0.3 * np.cos(7 * x + 1), angles)
    field = 0.50 + 0.012 * np.sin(9 * x + 2)
    wheat = _mix(
        (0.80, 0.60, 0.16), (0.62, 0.36, 0.08), (y - field) / 0.26 + 0.35 * _waves(x, 2.5 * y, chance, 5)
    )
    wheat = _mix(wheat, (0.96, 0.82, 0.36), _waves(1.5 * x, 4 * y, chance, 6) - 0.35)
    colors = np.where((y > field)[..., None], wheat, colors)
    angles = np.where(y > field, -1.25 + 0.5 * np.sin(12 * x + 20 * y), angles)

    path = np.abs(x - 0.62 + 0.5 * (y - 0.5) - 0.05 * np.sin(22 * y)) - 0.16 * (y - 0.5)
    colors = np.where(
        ((path < 0) & (y > field))[..., None],
        _mix((0.52, 0.42, 0.28), (0.36, 0.38, 0.2), 20 * path + 1),
        colors,
    )
    axis = 0.135 + 0.012 * np.sin(14 * y)
    tree = np.abs(x - axis) - 0.058 * np.sin(np.pi * ((y - 0.045) / 0.62).clip(0, 1)) ** 0.6 * (0.4 + y)
    tree += 0.004 * np.sin(90 * y)
    leaves = _mix((0.035, 0.09, 0.07), (0.16, 0.26, 0.12), 0.5 + 0.5 * np.sin(60 * x + 25 * y))
    inside = (tree < 0) & (y > 0.045) & (y < 0.64)
    colors = np.where(inside[..., None], leaves, colors)
    angles = np.where(inside, -1.45 + 0.35 * np.sin(40 * y + 30 * x), angles)
    return colors, angles


def _harbour(chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A low sun in mist, its road on the water, three boats."""
    x, y = _grid()
    horizon, sun = 0.36, (0.60, 0.27)
    sky = _mix((0.42, 0.50, 0.60), (0.93, 0.66, 0.42), y / horizon + 0.15 * _waves(x, 3 * y, chance, 2))
    glow = np.exp(-np.hypot(x - sun[0], 1.6 * (y - sun[1])) / 0.13)
    sky = _mix(sky, (1.0, 0.72, 0.36), glow)
    sky = _mix(sky, (0.98, 0.36, 0.12), (0.036 - np.hypot(x - sun[0], y - sun[1])) * 300)
    clouds = _waves(x, 5 * y, chance, 2.2) - 0.2
    sky = _mix(sky, (0.62, 0.48, 0.55), clouds * 0.9 * (y < horizon - 0.06))
    ripple = _waves(x, 9 * y, chance, 5)
    sea = _mix((0.50, 0.50, 0.50), (0.13, 0.24, 0.32), (y - horizon) / 0.34 + 0.25 * ripple)
    road = np.exp(-(((x - sun[0]) / (0.03 + 0.16 * (y - horizon).clip(0))) ** 2))
    sea = _mix(sea, (1.0, 0.56, 0.22), road * (0.45 + 0.75 * ripple))
    colors = np.where((y > horizon)[..., None], sea, sky)
    angles = np.where(y > horizon, 0.12 * ripple, 0.22 * np.sin(6 * x + 9 * y))
    disc = np.hypot(x - sun[0], y - sun[1]) < 0.045
    angles = np.where(disc, np.arctan2(y - sun[1], x - sun[0]) + np.pi / 2, angles)

    quay = horizon - 0.018 - 0.014 * (np.sin(23 * x) > 0.2) - 0.03 * (np.sin(61 * x + 1) > 0.93)
    shore = (y > quay) & (y < horizon + 0.004) & ((x < 0.4) | (x > 0.8))
    colors = np.where(shore[..., None], (0.42, 0.38, 0.45), colors)
    for cx, cy, size in ((0.27, 0.47, 0.15), (0.78, 0.42, 0.085), (0.47, 0.395, 0.05)):
        u, v = (x - cx) / size, (y - cy) / size
        hull = (np.abs(u) < 0.55 - 0.35 * v) & (v > -0.02 + 0.08 * u**2) & (v < 0.16)
        mast = (np.abs(u - 0.03) < 0.018) & (v < 0) & (v > -1.15)
        sail = (v < -0.12) & (v > -1.05) & (u > 0.05) & (u < 0.05 + 0.62 * (v + 1.1))
        jib = (v < -0.12) & (v > -0.9) & (u < 0.0) & (u > -0.5 * (v + 0.92))
        mirrored = (np.abs(u) < 0.5) & (v >= 0.16) & (v < 0.55)
        dark, cloth = np.array((0.09, 0.08, 0.11)), np.array((0.55, 0.30, 0.20))
        colors = np.where(
            mirrored[..., None], _mix(colors, dark, np.full_like(x, 0.55) * (ripple < 0.35)), colors
        )
        colors = np.where((hull | mast)[..., None], dark, colors)
        colors = np.where((sail | jib)[..., None], _mix(cloth, (0.86, 0.52, 0.26), (u + 0.3) * 0.9), colors)
        angles = np.where(sail | jib | mast, 1.35, angles)
    return colors, angles
