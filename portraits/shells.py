"""Shells around the head: hair, hats, scarves and collars as grids that are wrapped about the canonical head.

A shell's `foot` is the place on the canonical head (or below it, in the air) that a vertex covers: the shader cuts
hairlines and brims by it, and identities and poses carry the shell along by it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from .head import Head

CENTRE = np.array([0.0, 7.35, 0.55])
COLUMNS, ROWS, DROP_ROWS = 72, 26, 18
LOWEST_POLAR = 1.75  # radians from the crown, where hair stops following the skull and hangs


@dataclass
class Shell:
    """A grid of points (n,3) with their feet (n,3), texture coordinates (n,2) and triangles."""

    kind: str
    points: np.ndarray
    foot: np.ndarray
    aux: np.ndarray
    triangles: np.ndarray


@dataclass
class Style:
    """What a shell looks like from outside. Lengths in decimetres.

    thickness: above the skin; top, side, back, front: added there; wave: amplitude of the unevenness;
    length: how far it hangs below the ears; flare: how much wider it gets on the way down.
    """

    thickness: float = 0.06
    top: float = 0.05
    side: float = 0.03
    back: float = 0.08
    front: float = 0.03
    wave: float = 0.02
    length: float = 0.0
    flare: float = 0.1
    seed: int = 0
    root: float = 0.0  # share of the lift that stands right at the hairline
    rise: float = 0.3  # how far behind the hairline the lift is full


def _grid(rows: int, columns: int) -> np.ndarray:
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns - 1), indexing="ij")
    a = (i * columns + j).ravel()
    return np.concatenate(
        [np.stack([a, a + columns, a + columns + 1], 1), np.stack([a, a + columns + 1, a + 1], 1)]
    )


def _skull(head: Head, directions: np.ndarray) -> np.ndarray:
    """Distance from CENTRE to the skin along unit directions (n,3), ears left out."""
    v = head.vertices[head.is_body]
    v = v[(v[:, 1] > 6.1) & (np.abs(v[:, 0]) < 0.76)] - CENTRE
    radius = np.linalg.norm(v, axis=1)
    score = directions @ (v / radius[:, None]).T
    # The outermost of the close ones: mouth cavity and eye sockets lie behind them.
    near = np.where(score > np.cos(0.13), radius[None], 0)
    found = near.max(1)
    best = radius[score.argmax(1)]
    return np.where(found > 0, found, best)


def hair_field(c: np.ndarray, looks: dict) -> np.ndarray:
    """The shader's hairline (cover.glsl) for canonical points (...,3), without its raggedness."""

    def smooth(low: float, high: float, x: np.ndarray) -> np.ndarray:
        t = np.clip((x - low) / (high - low), 0, 1)
        return t * t * (3 - 2 * t)

    x, y, z = np.abs(c[..., 0]), c[..., 1], c[..., 2]
    side = looks["hair_open"] + (0.86 - looks["hair_open"]) * smooth(6.80, 7.05, y)
    side = side + (1.12 - looks["hair_temple"] - side) * smooth(7.20, 7.75, y)
    top = looks["hair_top"] - 0.10 * smooth(0.0, 0.5, x) * (1 - 3 * looks["hair_temple"])
    limit = side + (2.2 - side) * smooth(0, 1, (y - top + 0.22) / 0.27)
    field = np.minimum(limit - z, y - looks["hair_low"] + 0.25 * (z - 0.3))
    return np.minimum(field, looks["hair_crown"] - y)


_skulls: dict[int, np.ndarray] = {}


def wrap(head: Head, kind: str, style: Style, looks: dict | None = None) -> Shell:
    """A shell of hair or cloth about the canonical head, front column in the middle."""
    rng = np.random.default_rng(style.seed)
    azimuth = np.linspace(-np.pi, np.pi, COLUMNS)  # 0 is the front
    polar = np.linspace(0.0, LOWEST_POLAR, ROWS)
    p, a = np.meshgrid(polar, azimuth, indexing="ij")
    direction = np.stack([np.sin(p) * np.sin(a), np.cos(p), np.sin(p) * np.cos(a)], -1)
    if id(head) not in _skulls:
        raw = _skull(head, direction.reshape(-1, 3)).reshape(p.shape)[:, :-1]
        smooth = gaussian_filter(raw, 1.0, mode=("nearest", "wrap"))
        _skulls[id(head)] = np.concatenate([smooth, smooth[:, :1]], 1)
    radius = _skulls[id(head)]
    foot = CENTRE + direction * radius[..., None]
    front, lateral = np.cos(a), np.abs(np.sin(a))
    lift = style.thickness + style.top * np.cos(p).clip(0) ** 2
    lift = lift + np.sin(p) * (
        style.side * lateral + style.back * (-front).clip(0) + style.front * front.clip(0)
    )
    for _ in range(5):
        m, n, phase = rng.integers(1, 6), rng.uniform(0, 5), rng.uniform(0, 6.3)
        lift = lift + style.wave * rng.normal() * 0.5 * np.sin(m * a + n * p + phase) * np.sin(p)
    if looks:  # hair grows out of the skin instead of ending like a helmet
        lift = lift * (
            style.root + (1 - style.root) * np.clip(hair_field(foot, looks) / style.rise, 0.08, 1) ** 0.6
        )
    points = CENTRE + direction * (radius + lift)[..., None]
    if style.length > 0:
        t = np.linspace(0, 1, DROP_ROWS + 1)[1:, None]
        last, edge = points[-1], foot[-1]
        drop = t * style.length
        wide = 1 + style.flare * t * (1 + 0.3 * np.sin(3 * azimuth + style.seed)[None])
        # Hair that hangs leaves the skull's underside, which is narrow, along the widest ring instead.
        widest = points[ROWS * 3 // 4]
        blend = np.clip(3 * t, 0, 1)[..., None]
        ring = last[None] * (1 - blend) + widest[None] * blend
        x, z = ring[..., 0] * wide, CENTRE[2] + (ring[..., 2] - CENTRE[2]) * (1 + 0.3 * (wide - 1)) - 0.15 * t
        y = last[None, :, 1] - drop
        hang = np.stack([x, y, z], -1)
        points = np.concatenate([points, hang])
        foot = np.concatenate([foot, np.stack([x, np.broadcast_to(edge[None, :, 1] - drop, x.shape), z], -1)])
    rows = len(points)
    step = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    along = np.concatenate([np.zeros((1, COLUMNS)), np.cumsum(step, 0)])
    aux = np.stack([np.broadcast_to(azimuth / (2 * np.pi), (rows, COLUMNS)), along], -1)
    flat = (x.reshape(-1, x.shape[-1]) for x in (points, foot, aux))
    return Shell(kind, *flat, _grid(rows, COLUMNS))


def ruff(head: Head, height: float, radius: float, thickness: float, folds: int) -> Shell:
    """A pleated collar around the neck; radius 0 sits on the neck, thickness is its half height."""
    azimuth = np.linspace(-np.pi, np.pi, 240)
    section = np.linspace(0, 2 * np.pi, 13)
    s, a = np.meshgrid(section, azimuth, indexing="ij")
    wave = np.sin(folds * a)
    out = 0.36 + radius * (0.5 + 0.5 * np.cos(s)) * (1 + 0.05 * wave)
    x, z = out * np.sin(a) * 1.05, 0.30 + out * np.cos(a)
    y = height + thickness * np.sin(s) + 0.45 * thickness * wave * (0.5 + 0.5 * np.cos(s)) - 0.25 * (z - 0.3)
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    aux = np.stack([a / (2 * np.pi), s / (2 * np.pi)], -1).reshape(-1, 2)
    return Shell("collar", points, points.copy(), aux, _grid(len(section), len(azimuth)))


def falling_band(head: Head, width: float, lift: float = 0.07) -> Shell:
    """A flat linen collar that lies on the shoulders around the neck; `width` is how far out it reaches."""
    azimuth, out = np.linspace(-np.pi, np.pi, 121), np.linspace(0, 1, 14)
    t, a = np.meshgrid(out, azimuth, indexing="ij")
    # Two scallops where the band meets in front, the rest a plain curve.
    reach = width * (1 - 0.35 * np.exp(-((a / 0.09) ** 2)))
    x = np.sin(a) * (0.42 + reach * t * 1.15)
    z = 0.28 + np.cos(a) * (0.46 + reach * t * (0.55 + 0.15 * np.cos(a)))
    body = head.vertices[head.is_body]
    # The highest skin above each place of the plan: that is what linen would lie on.
    body = body[(body[:, 1] < 5.9) & (body[:, 1] > 3.6) & (np.abs(body[:, 0]) < 2.2)]
    near = np.hypot(x[..., None] - body[:, 0], z[..., None] - body[:, 2])
    y = np.where(near < 0.2, body[:, 1] - 0.15 * near, -np.inf).max(-1)
    neck = 5.72 - 0.30 * np.cos(a)
    y = np.where(np.isfinite(y), np.minimum(y, neck), neck - 1.2 * t * width)
    y = np.minimum(y, neck - 0.25 * width * t)
    y = gaussian_filter(np.minimum.accumulate(y, 0), (1.2, 3.0), mode=("nearest", "wrap")) + lift * (
        0.6 + 0.8 * t
    )
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    aux = np.stack([a / (2 * np.pi), t], -1).reshape(-1, 2)
    return Shell("collar", points, points.copy(), aux, _grid(len(out), len(azimuth)))
