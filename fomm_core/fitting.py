"""Heads, found by the model's keypoints, and the square around each: it fills it as much, and its hair has room."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
from PIL import Image

from . import heads, regions
from .animator import Animator, resized
from .regions import Region

# A head fills this much of the square (its scale, as `heads.Poses` has it, the square being [-1, 1]), and the joint
# that it turns about lies so far below the middle: hair and hat have room to move.
FILLS, BELOW = 0.31, 0.22
# Looks at a head, each at the square that the one before has fitted.
LOOKS = 2
# A head is looked for in squares of these shares of the picture's shorter side, in smaller ones where it is in none
# of them, each so much of a square's side from the next; but in no more than so many squares.
SHARES, STEP, MOST = ((1, 0.7, 0.5), (0.35, 0.25)), 1 / 3, 250
# So many squares have to show it in one place, the keypoints agreeing within this share of the head's size, or of
# the square's, of which the model sees so many pixels.
ENOUGH, AGREE, FINE = 4, 0.08, 0.025
# How strange it may look in those, and at the last look (`Head.away`). Heads stay below 0.09 at that.
NEARLY, CLEARLY = 0.24, 0.1
BATCH = 16
# The shorter side, in pixels, of the picture that is searched: the model sees as many of the smallest squares.
SEARCHED = 1024
# The box of a face is this much of the square: as large as the cascade's, in the middle.
FACE = 0.38
# Next to another face a square gets smaller, down to this much of what is fitted, by so much at once.
LEAST, SMALLER = 0.55, 0.05


class Framed(NamedTuple):
    """A square in a picture, in pixels: its middle and its side."""

    x: float
    y: float
    side: float

    def within(self, width: int, height: int) -> Region:
        """The square in whole pixels, moved into a picture of that size where it fits."""
        return regions.square_of(*self, width, height)


class Seen(NamedTuple):
    """A head in a picture, in pixels: the square around it, and its (K,2) keypoints."""

    square: Framed
    keypoints: np.ndarray

    @property
    def face(self) -> Region:
        """The box of its face."""
        x, y, side = self.square
        width = round(FACE * side)
        return Region(round(x - width / 2), round(y - width / 2), width, width)


def head_in(picture: np.ndarray, square: Region, animator: Animator) -> Seen | None:
    """The head that the keypoints show in a `square` of an (H,W,3) uint8 picture, and the square fitted to it.

    None where they show none surely, or the model knows no heads. The boxes that faces are found by differ by up to
    a half. Too small a square cuts off the hair, which then stays behind where the head moves, and the chin.
    """
    head = animator.head
    if head is None:
        return None
    for _ in range(LOOKS):
        pictures = seen(picture, square, animator)[None]
        value, _ = animator.detect(pictures, animator.look(pictures))
        poses = head.poses(value)
        if poses is None or not head.surely(value)[0]:
            return None
        keypoints = _placed(value[0], square)
        # Half way between the joint, which hair and shoulders are around, and the face, which turns away from it.
        x = (poses.place[0, 0] + value[0, head.rows, 0].mean()) / 2
        side = float(poses.scale[0]) / FILLS
        y = -poses.place[0, 1] - BELOW * side
        x, y = (corner + (1 + place) / 2 * square.w for corner, place in zip(square, (x, y)))
        framed = Framed(x, y, side * square.w)
        square = framed.within(*picture.shape[1::-1])
    return Seen(framed, keypoints)


def everywhere(picture: np.ndarray, animator: Animator, check: Callable[[], None]) -> list[Seen]:
    """The heads that the keypoints show somewhere in an (H,W,3) uint8 picture, largest first; none may be found.

    For what the cascade does not see: heads turned or inclined, and shaded ones. In what is no head, keypoints
    seldom lie as a head's in several squares, and then hardly in one place.

    Args:
        check: is called now and then; what it raises ends the search.
    """
    if animator.head is None:
        return []
    size = np.array(picture.shape[1::-1])
    scale = min(1.0, SEARCHED / size.min())
    if scale < 1:
        picture = np.asarray(
            Image.fromarray(picture).resize((scale * size).round().astype(int), reducing_gap=2.0)
        )
    for shares in SHARES:
        squares = [square for share in shares for square in _squares(*picture.shape[1::-1], share)]
        if 0 < len(squares) <= MOST and (found := _heads(picture, squares, animator, check)):
            found = [Seen(Framed(*np.divide(head.square, scale)), head.keypoints / scale) for head in found]
            return sorted(found, key=lambda head: -head.square.side)
    return []


def _squares(width: int, height: int, share: float) -> Iterator[Region]:
    """The squares of that share of the shorter side, evenly over a picture of that size."""
    side = round(share * min(width, height))
    if side < regions.SMALLEST:
        return
    lines = [
        np.linspace(0, length - side, math.ceil((length - side) / (STEP * side)) + 1)
        for length in (height, width)
    ]
    for y, x in product(*lines):
        yield Region(round(x), round(y), side, side)


def _heads(
    picture: np.ndarray, squares: list[Region], animator: Animator, check: Callable[[], None]
) -> list[Seen]:
    away, keypoints = [], []
    for first in range(0, len(squares), BATCH):
        check()
        batch = squares[first : first + BATCH]
        pictures = np.stack([seen(picture, square, animator) for square in batch])
        value, _ = animator.detect(pictures)
        away.extend(animator.head.away(value))
        keypoints.extend(_placed(points, square) for points, square in zip(value, batch, strict=True))
    away, keypoints = np.array(away), np.array(keypoints)[:, animator.head.rows]
    sides = np.array([square.w for square in squares])
    left = away <= heads.SURELY
    found = []
    while left.any():
        best = int(np.where(left, away, np.inf).argmin())
        size = np.ptp(keypoints[best], axis=0).max()
        agree = np.abs(keypoints - keypoints[best]).mean((1, 2)) < np.maximum(AGREE * size, FINE * sides)
        # What overlaps a head is that head, seen less well.
        near = np.abs(keypoints.mean(1) - keypoints[best].mean(0)).max(1) < size / 2
        shown = (agree & (away <= NEARLY)).sum() >= ENOUGH
        head = head_in(picture, squares[best], animator) if shown else None
        if head and animator.head.away(head.keypoints[None])[0] <= CLEARLY:
            found.append(head)
            left &= ~near
        left[best] = False
    return found


def _placed(points: np.ndarray, square: Region) -> np.ndarray:
    """(K,2) points in [-1, 1] of a square, in the picture's pixels."""
    return np.array(square[:2]) + (1 + points) / 2 * square.w


def each_once(found: list[Seen]) -> list[Seen]:
    """The heads, largest first, each as it comes first among those of its place."""
    kept: list[Seen] = []
    for head in found:
        if not any(regions.overlap(head.face, other.face) for other in kept):
            kept.append(head)
    return sorted(kept, key=lambda head: -head.square.side)


def apart(found: list[Seen], width: int, height: int) -> list[Region]:
    """The heads' squares in a picture of that size, each with as much room as keeps clear of the other faces."""
    return [
        _beside(head, [other.face for other in found if other is not head], width, height) for head in found
    ]


def _beside(head: Seen, others: list[Region], width: int, height: int) -> Region:
    x, y, side = head.square
    for share in np.arange(1, LEAST - SMALLER / 2, -SMALLER):
        square = Framed(x, y, share * side).within(width, height)
        if not any(regions.common(square, face) for face in others):
            break
    return square


def seen(picture: np.ndarray, region: Region, animator: Animator, antialias: bool = True) -> np.ndarray:
    """The region of an (H,W,3) uint8 picture as the model sees it."""
    return resized(regions.crop(picture, region), animator.frame_size, antialias=antialias)
