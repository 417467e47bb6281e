"""Poses and expressions: drawn at random for the data, scripted for the driving clip."""

from __future__ import annotations

import numpy as np

from .figure import Pose

LIMITS = np.radians([40.0, 25.0, 25.0])  # yaw, pitch, roll

# Mouths, as facial units of the base mesh with their full weights.
MOUTHS: dict[str, dict[str, float]] = {
    "open": {"mouth-open": 1.0},
    "talk": {"mouth-open": 0.45, "mouth-part-later": 0.4},
    "o": {"mouth-open": 0.5, "mouth-pursing": 0.8, "mouth-protusion": 0.3},
    "smile": {"mouth-corner-puller": 1.0},
    "grin": {"mouth-corner-puller": 0.9, "mouth-elevation": 0.7, "mouth-part-later": 0.5},
    "laugh": {"mouth-corner-puller": 0.8, "mouth-open": 0.6, "mouth-elevation": 0.5},
    "pucker": {"mouth-pursing": 1.1},
    "frown": {"mouth-depression": 0.9},
    "wide": {"mouth-retraction": 1.0, "mouth-parling": 0.6},
    "snarl": {"mouth-upward-retraction": 0.8, "nose-left-elevation": 0.7, "nose-right-elevation": 0.7},
    "shout": {"mouth-open": 1.1, "mouth-depression-retraction": 0.5},
    "press": {"mouth-compression": 0.9},
    "pout": {"mouth-eversion": 0.8, "mouth-protusion": 0.5},
}
MOUTH_ODDS = np.array([4, 4, 2, 3, 2, 2, 1.5, 1, 1, 0.5, 2.5, 1, 1])
BROWS: dict[str, dict[str, float]] = {
    "up": {"eyebrows-left-up": 1.0, "eyebrows-right-up": 1.0, "eyebrows-left-extern-up": 0.6,
           "eyebrows-right-extern-up": 0.6, "eyebrows-left-inner-up": 0.6, "eyebrows-right-inner-up": 0.6},
    "down": {"eyebrows-left-down": 1.0, "eyebrows-right-down": 1.0},
    "sad": {"eyebrows-left-inner-up": 1.0, "eyebrows-right-inner-up": 1.0},
    "left": {"eyebrows-left-up": 1.0, "eyebrows-left-extern-up": 0.8},
    "right": {"eyebrows-right-up": 1.0, "eyebrows-right-extern-up": 0.8},
}  # fmt: skip


def blend(*weighted: tuple[dict[str, float], float]) -> dict[str, float]:
    """Adds sets of facial units, each times its weight."""
    out: dict[str, float] = {}
    for units, weight in weighted:
        for name, value in units.items():
            out[name] = out.get(name, 0.0) + weight * value
    return out


def lids(left: float, right: float) -> dict[str, float]:
    """Eyelids: 1 shut, 0 at rest, below 0 wide open."""
    out = {}
    for side, value in (("left", left), ("right", right)):
        out[f"eye-{side}-closure" if value > 0 else f"eye-{side}-opened-up"] = abs(value)
    return out


def random_expression(rng: np.random.Generator) -> dict[str, float]:
    """An expression, mostly a strong one: a model learns mouths and lids only from faces that use them."""
    parts = []
    if rng.random() < 0.85:
        name = rng.choice(list(MOUTHS), p=MOUTH_ODDS / MOUTH_ODDS.sum())
        parts.append((MOUTHS[name], rng.uniform(0.3, 1.15)))
    if rng.random() < 0.3:
        parts.append((MOUTHS[rng.choice(list(MOUTHS))], rng.uniform(0.1, 0.5)))
    if rng.random() < 0.65:
        parts.append((BROWS[rng.choice(list(BROWS))], rng.uniform(0.4, 1.3)))
    draw = rng.random()
    if draw < 0.20:
        left = right = 1.0
    elif draw < 0.42:
        left = right = rng.uniform(0.25, 0.9)
    elif draw < 0.52:
        left = right = -rng.uniform(0.3, 1.0)
    elif draw < 0.57:
        left, right = rng.permutation([1.0, rng.uniform(0, 0.3)])
    else:
        left = right = rng.uniform(-0.5, 0.1)
    parts.append((lids(left, right), 1.0))
    expression = blend(*parts)
    if expression.get("mouth-open", 0) > 1.1:
        expression["mouth-open"] = 1.1
    return expression


def random_poses(rng: np.random.Generator, count: int) -> list[Pose]:
    """`count` poses of one sitter, scattered about the way they like to hold their head.

    The eyes stay as they are in the head: no landmark tells where they look, and from irises that go by themselves
    a model learns no more than to distrust, and to blur, what lies between the lids.
    """
    habit = rng.normal(0, np.radians([14, 5, 4]))
    gaze = np.clip(rng.normal(0, [0.25, 0.12]), (-0.55, -0.3), (0.55, 0.3))
    poses = []
    for _ in range(count):
        spread = np.radians([17, 9, 9]) * (1.0 if rng.random() < 0.75 else 1.8)
        turn = np.clip(habit + rng.normal(0, spread), -LIMITS, LIMITS)
        poses.append(
            Pose(
                *turn,
                shift=tuple(rng.normal(0, [0.10, 0.07])),
                scale=float(np.exp(rng.normal(0, 0.035))),
                gaze=tuple(gaze),
                expression=random_expression(rng),
            )
        )
    return poses
