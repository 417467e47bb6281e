"""Keypoints drawn on pictures, each in its own colour, smooth at any place between pixels."""

from __future__ import annotations

import colorsys
import math

import numpy as np

# The golden ratio's part of the circle of hues: keypoints that follow each other get colours far apart.
_HUE_STEP = (math.sqrt(5) - 1) / 2
_RIM = (255, 255, 255)


def keypoint_colours(count: int) -> np.ndarray:
    """(count,3) uint8, the colours of keypoints 0, 1, …; they do not depend on how many there are."""
    hues = [(i * _HUE_STEP) % 1 for i in range(count)]
    # Two shades, as two dozen hues alone are hard to tell apart.
    colours = [
        colorsys.hsv_to_rgb(hue, 0.9 - 0.35 * (i % 2), 0.8 + 0.2 * (i % 2)) for i, hue in enumerate(hues)
    ]
    return np.rint(np.array(colours).reshape(-1, 3) * 255).astype(np.uint8)


def with_keypoints(
    picture: np.ndarray,
    value: np.ndarray,
    origin: np.ndarray | None = None,
    colours: np.ndarray | None = None,
) -> np.ndarray:
    """A copy of the (H,W,3) uint8 `picture` with a rimmed dot at each keypoint.

    Args:
        value: (K,2), (x, y) in [-1, 1] from the centre of the first pixel to that of the last; what lies beyond
            the picture is not drawn.
        origin: (K,2), where the keypoints came from: a line leads from there to each dot.
        colours: (K,3) uint8; `keypoint_colours` by default.
    """
    picture = picture.copy()
    height, width = picture.shape[:2]
    scale = np.array([width - 1, height - 1]) / 2
    ends = (np.asarray(value, np.float64) + 1) * scale
    starts = ends if origin is None else (np.asarray(origin, np.float64) + 1) * scale
    radius = max(2.0, width / 80)
    marks = list(zip(starts, ends, keypoint_colours(len(ends)) if colours is None else colours))
    if origin is not None:
        for start, end, colour in marks:  # all of them first: no line is to hide a dot
            _stroke(picture, start, end, radius / 3, colour)
    for _, end, colour in marks:
        _stroke(picture, end, end, radius + 1, _RIM)
        _stroke(picture, end, end, radius, colour)
    return picture


def _stroke(picture: np.ndarray, start: np.ndarray, end: np.ndarray, radius: float, colour) -> None:
    """Draw all that lies within `radius` of the line from `start` to `end`, (x, y) in pixels, into `picture`."""
    height, width = picture.shape[:2]
    left, top = np.clip(np.floor(np.minimum(start, end) - radius - 1), 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(np.maximum(start, end) + radius + 2), 0, (width, height)).astype(int)
    if left >= right or top >= bottom:
        return
    places = np.stack(np.meshgrid(np.arange(left, right), np.arange(top, bottom)), axis=-1) - start
    along = end - start
    share = (places @ along / max(along @ along, 1e-9)).clip(0, 1)
    distance = np.linalg.norm(places - share[..., None] * along, axis=-1)
    cover = (radius + 0.5 - distance).clip(0, 1)[..., None]
    part = picture[top:bottom, left:right]
    part[:] = np.rint(part * (1 - cover) + np.asarray(colour) * cover)
