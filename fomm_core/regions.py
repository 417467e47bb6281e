"""Where the sitter is: a square around the face, in the painting and in the driving video."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image

from .errors import UserError

# The cascade sees an old master's face best at this long side.
SEARCH_SIDE = 640
# Smaller boxes, in pixels of the searched picture, are not looked at.
LEAST_FACE = 48
# The smallest take most of the time. Where the largest face alone matters, boxes from the first number on come
# before all others, and one from the second on is believed: just above the first they come out too large. It is
# SMALL_FACE of SEARCH_SIDE: no finer detail would be asked for.
LARGE_FACE, SURELY_LARGE = 72, 96
# Where the largest face is a smaller share of the shorter side, a group may sit there: finer detail tells.
SMALL_FACE = 0.15
# Beside a face, one this much smaller is a pattern in the clothes, or a figure in the background.
FAR_SMALLER = 0.45
# No more pixels than this are searched: a frieze, made to fit by its height, has many.
MOST_PIXELS = 4_000_000
# A hit is looked at again so large, in pixels, and mirrored; a face is found in so many of these looks.
LOOKS, ENOUGH = [(size, mirrored) for size in (60, 76, 96) for mirrored in (False, True)], 4
# The square around a face, as multiples of the detected box: the training crops' head room.
SIDE, RISE = 2.1, 0.06
# Next to another face it gets smaller, down to this.
LEAST_SIDE = 1.5
# A driving face moves about: where the picture has it, more room keeps its chin in sight.
ROOM = 2.5
# Fewer pixels a side show no face, and are no region to animate.
SMALLEST = 16


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


def find_faces(image: np.ndarray) -> list[Region]:
    """The boxes of the faces in an (H,W,3) uint8 image, largest first.

    The cascade's hits are only where to look: a face is what it finds again in most of a few other sizes, mirrored
    and not, what does not overlap a surer one, and what is not far smaller than the largest. Where that is small in
    the picture, or there is none, the search is repeated in finer detail.
    """
    scale, finer = _scales(image)
    faces = _faces(image, scale)
    if finer > scale and (not faces or faces[0].w < SMALL_FACE * min(image.shape[:2])):
        faces = _faces(image, finer) or faces
    return [face for face in faces if face.w >= FAR_SMALLER * faces[0].w]


def find_face(image: np.ndarray) -> Region | None:
    """The box of the largest face in an (H,W,3) uint8 image, or None."""
    scale, _ = _scales(image)
    for face in _faces(image, scale, LARGE_FACE)[:1]:
        if face.w * scale >= SURELY_LARGE:
            return face
    return next(iter(find_faces(image)), None)


def _scales(image: np.ndarray) -> tuple[float, float]:
    """By how much an image is scaled to be searched, and to be searched in finer detail."""
    height, width = image.shape[:2]
    most = (MOST_PIXELS / (height * width)) ** 0.5
    scale = min(most, max(SEARCH_SIDE / max(height, width), min(1.0, SEARCH_SIDE / 2 / min(height, width))))
    return scale, min(1.0, most, 2 * scale)


def _faces(image: np.ndarray, scale: float, least: int = LEAST_FACE) -> list[Region]:
    """What is found in the image scaled by `scale`, and found again, largest first."""
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    small = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    hits = _hits(np.asarray(small), least, min(size), 1.15)
    hits = [Region(*(round(v / scale) for v in hit)) for hit in hits]
    seen = [(_votes(image, hit), hit.w, hit) for hit in _merged(hits) if hit.w >= SMALLEST]
    faces: list[Region] = []
    for votes, _, hit in sorted(seen, reverse=True):
        if votes >= ENOUGH and not any(overlap(hit, face) for face in faces):
            faces.append(hit)
    return sorted(faces, key=lambda face: -face.w)


def _hits(image: np.ndarray, least: int, most: int, step: float) -> list[Region]:
    """Where the cascade sees a face of `least` to `most` pixels, each size `step` times the one before."""
    if min(image.shape[:2]) < least:
        return []
    found = _cascade().detect_multi_scale(
        image, scale_factor=step, step_ratio=1, min_size=(least, least), max_size=(most, most)
    )
    return [Region(hit["c"], hit["r"], hit["width"], hit["height"]) for hit in found]


def _merged(hits: list[Region]) -> list[Region]:
    """The same face hit several times is one: the median of hits of about one size at about one place."""
    groups: list[list[Region]] = []
    for hit in sorted(hits, key=lambda hit: -hit.w):
        group = next((group for group in groups if _alike(hit, group[0])), None)
        if group is None:
            groups.append([hit])
        else:
            group.append(hit)
    return [Region(*(int(v) for v in np.median(group, axis=0))) for group in groups]


def _votes(image: np.ndarray, hit: Region) -> int:
    """In how many of `LOOKS` the cascade finds `hit` again."""
    around = Region(hit.x - hit.w // 2, hit.y - hit.h // 2, 2 * hit.w, 2 * hit.h)
    close = Image.fromarray(np.ascontiguousarray(crop(image, around)))
    votes = 0
    for size, mirrored in LOOKS:
        look = np.asarray(close.resize((2 * size, 2 * size), Image.Resampling.BILINEAR, reducing_gap=2.0))
        found = _hits(look[:, ::-1].copy() if mirrored else look, size * 2 // 3, size * 3 // 2, 1.1)
        votes += any(_alike(Region(size // 2, size // 2, size, size), again) for again in found)
    return votes


def _alike(one: Region, other: Region) -> bool:
    """Whether two boxes are of about one size, at about one place."""
    across, down = (one.x - other.x) + (one.w - other.w) / 2, (one.y - other.y) + (one.h - other.h) / 2
    return max(abs(across), abs(down)) < 0.25 * one.w and 2 / 3 < one.w / other.w < 3 / 2


def overlap(one: Region, other: Region) -> bool:
    """Whether two boxes have more than a corner in common: a quarter of the smaller."""
    return common(one, other) > 0.25 * min(one.w * one.h, other.w * other.h)


def common(one: Region, other: Region) -> int:
    """How many pixels two regions share."""
    across = min(one.x + one.w, other.x + other.w) - max(one.x, other.x)
    down = min(one.y + one.h, other.y + other.h) - max(one.y, other.y)
    return max(0, across) * max(0, down)


def square_around(face: Region, width: int, height: int, within: bool = False, side: float = SIDE) -> Region:
    """The square with head room around a face, moved into the picture where it fits there.

    It is `side` times the face, and may be larger than the picture, unless it has to stay `within` it, as in a
    driving video: there it has room to move, but what is cropped closely already is better taken as it is than
    mirrored.
    """
    side = min(round(face.w * ROOM), width, height) if within else round(face.w * side)
    return square_of(face.x + face.w / 2, face.y + face.h * (0.5 - RISE), side, width, height)


def square_of(x: float, y: float, side: float, width: int, height: int) -> Region:
    """The square with its middle there, moved into a picture of that size where it fits."""
    side = max(SMALLEST, round(side))
    corner = round(x - side / 2), round(y - side / 2)
    return Region(_moved_inside(corner[0], side, width), _moved_inside(corner[1], side, height), side, side)


def around_sitters(image: np.ndarray) -> list[Region]:
    """The squares that move in an (H,W,3) uint8 painting, around its faces, largest first."""
    faces = find_faces(image)
    return [_beside(face, [other for other in faces if other is not face], image) for face in faces]


def around_sitter(image: np.ndarray) -> Region | None:
    """The square that moves in an (H,W,3) uint8 painting, around its largest face; None where there is no face."""
    return next(iter(around_sitters(image)), None)


def _beside(face: Region, others: list[Region], image: np.ndarray) -> Region:
    """The largest square around a face that keeps clear of the others; the smallest where none does."""
    for side in np.arange(SIDE, LEAST_SIDE - 0.01, -0.1):
        square = square_around(face, *image.shape[1::-1], side=side)
        if not any(common(square, other) for other in others):
            break
    return square


def centred_square(width: int, height: int) -> Region:
    """The largest square in the middle of a picture."""
    side = min(width, height)
    return Region((width - side) // 2, (height - side) // 2, side, side)


def middle(image: np.ndarray, what: str, warn: Callable[[str], None]) -> Region:
    """The square in the middle, for want of a face, which `warn` is told."""
    warn(f"No face was found in {what}; the square in its middle is used. A region can be given by hand.")
    return centred_square(*image.shape[1::-1])


def crop(image: np.ndarray, region: Region) -> np.ndarray:
    """The (h,w,C) pixels of `region`; past the edge the picture is mirrored, so nothing is distorted.

    Where the picture has it all, they are its own and no copy.
    """
    x, y, w, h = region
    if min(x, y) >= 0 and x + w <= image.shape[1] and y + h <= image.shape[0]:
        return image[y : y + h, x : x + w]
    rows, columns = (
        _mirrored(np.arange(y, y + h), image.shape[0]),
        _mirrored(np.arange(x, x + w), image.shape[1]),
    )
    return image[rows].take(columns, axis=1)


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
