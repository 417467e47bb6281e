"""Where the sitter is: a square around the face, in the painting and in the driving video."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from itertools import islice
from typing import NamedTuple

import numpy as np
from PIL import Image

from .errors import UserError

# The cascade sees an old master's face best at this long side.
SEARCH_SIDE = 640
# The square around a face, as multiples of the detected box: the training crops' head room.
SIDE, RISE = 2.1, 0.06
# A driving face moves about: where the picture has it, more room keeps its chin in sight.
ROOM = 2.5
# Fewer pixels a side show no face, and are no region to animate.
SMALLEST = 16
# The cascade misses a face in some frames: look at this many of a clip, so many frames apart.
PROBES, PROBE_STEP = 12, 8


class Region(NamedTuple):
    """A rectangle in pixels: left, top, width, height. It may reach past the picture's edge."""

    x: int
    y: int
    w: int
    h: int


def parse_region(text: str, what: str) -> Region | None:
    """A rectangle from "X,Y,W,H"; None for auto and full. Raises `UserError`; `what` names it there."""
    if text in ("auto", "full"):
        return None
    try:
        region = Region(*(int(part) for part in text.split(",")))
    except (ValueError, TypeError):
        raise UserError(
            "arguments", f"{what} {text!r} is no region.", "Use auto, full, or X,Y,W,H in pixels."
        ) from None
    if min(region.w, region.h) < SMALLEST:
        raise UserError(
            "arguments", f"{what} {text} is too small.", f"Make it at least {SMALLEST} pixels a side."
        )
    return region


def given(image: np.ndarray, text: str, what: str) -> Region | None:
    """The region that `text` names in an image; None where it is to be found. Raises `UserError`."""
    height, width = image.shape[:2]
    if text == "full":
        return Region(0, 0, width, height)
    region = parse_region(text, f"The region of {what},")
    if region is not None:
        check_inside(region, width, height, f"The region of {what},")
    return region


def check_inside(region: Region, width: int, height: int, what: str) -> None:
    """Raises `UserError` where `region` shows nothing of a picture of that size, or reaches far beyond it."""
    if region.x >= width or region.y >= height or region.x + region.w <= 0 or region.y + region.h <= 0:
        raise UserError(
            "arguments",
            f"{what} {','.join(map(str, region))} lies outside the picture, which is {width} x {height}.",
            "Choose a region that overlaps it.",
        )
    if max(region.w, region.h) > 3 * max(width, height):  # all of it is held in memory
        raise UserError(
            "arguments",
            f"{what} {','.join(map(str, region))} is far larger than the picture, which is {width} x {height}.",
            "Choose a smaller region.",
        )


def find_face(image: np.ndarray) -> Region | None:
    """The box of the largest face in an (H,W,3) uint8 image, or None."""
    height, width = image.shape[:2]
    scale = SEARCH_SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if min(size) < 48:
        return None
    small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    hits = _cascade().detect_multi_scale(
        small, scale_factor=1.15, step_ratio=1, min_size=(48, 48), max_size=(min(size), min(size))
    )
    hits = [hit for hit in hits if hit["width"] / scale >= SMALLEST]
    if not hits:
        return None
    largest = max(hits, key=lambda hit: hit["width"])
    box = (largest["c"], largest["r"], largest["width"], largest["height"])
    return Region(*(round(v / scale) for v in box))


def square_around(face: Region, width: int, height: int, within: bool = False) -> Region:
    """The square with head room around a face, moved into the picture where it fits there.

    It may be larger than the picture, unless it has to stay `within` it, as in a driving video: there it has
    room to move, but what is cropped closely already is better taken as it is than mirrored.
    """
    side = min(round(face.w * ROOM), width, height) if within else round(face.w * SIDE)
    x = round(face.x + face.w / 2 - side / 2)
    y = round(face.y + face.h * (0.5 - RISE) - side / 2)
    return Region(_moved_inside(x, side, width), _moved_inside(y, side, height), side, side)


def around_sitter(image: np.ndarray) -> Region | None:
    """The square that moves in an (H,W,3) uint8 painting, around its largest face; None where there is no face."""
    face = find_face(image)
    return face and square_around(face, *image.shape[1::-1])


def find_moving_face(frames: Iterable[np.ndarray]) -> Region | None:
    """The box of the face near the beginning of a clip, or None: the median of what a few frames show."""
    found = []
    for frame in islice(frames, 0, PROBES * PROBE_STEP, PROBE_STEP):
        if (face := find_face(frame)) is not None:
            found.append(face)
        if len(found) == 3:
            break
    return Region(*(int(v) for v in np.median(found, axis=0))) if found else None


def centred_square(width: int, height: int) -> Region:
    """The largest square in the middle of a picture."""
    side = min(width, height)
    return Region((width - side) // 2, (height - side) // 2, side, side)


def middle(image: np.ndarray, what: str, warn: Callable[[str], None]) -> Region:
    """The square in the middle, for want of a face, which `warn` is told."""
    warn(f"No face was found in {what}; the square in its middle is used. A region can be given by hand.")
    return centred_square(*image.shape[1::-1])


def crop(image: np.ndarray, region: Region) -> np.ndarray:
    """The (h,w,C) pixels of `region`; past the edge the picture is mirrored, so nothing is distorted."""
    rows = _mirrored(np.arange(region.y, region.y + region.h), image.shape[0])
    columns = _mirrored(np.arange(region.x, region.x + region.w), image.shape[1])
    return image[rows[:, None], columns]


def _moved_inside(start: int, length: int, limit: int) -> int:
    return min(max(start, 0), limit - length) if length <= limit else start


def _mirrored(index: np.ndarray, length: int) -> np.ndarray:
    index = np.mod(index, 2 * length)
    return np.where(index < length, index, 2 * length - 1 - index)


@cache
def _cascade():
    # Importing scikit-image takes a while; a job whose regions are given never needs it.
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())
