"""The square around a head, fitted by the model's keypoints: each fills it as much, and its hair has room."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import regions
from .animator import Animator, resized
from .regions import Region

# A head fills this much of the square (its scale, as `heads.Poses` has it, the square being [-1, 1]), and the joint
# that it turns about lies so far below the middle: hair and hat have room to move.
FILLS, BELOW = 0.31, 0.22
# Looks at a head, each at the square that the one before has fitted.
LOOKS = 2


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
        keypoints = np.array(square[:2]) + (1 + value[0]) / 2 * square.w
        # Half way between the joint, which hair and shoulders are around, and the face, which turns away from it.
        x = (poses.place[0, 0] + value[0, head.rows, 0].mean()) / 2
        side = float(poses.scale[0]) / FILLS
        y = -poses.place[0, 1] - BELOW * side
        x, y = (corner + (1 + place) / 2 * square.w for corner, place in zip(square, (x, y)))
        framed = Framed(x, y, side * square.w)
        square = framed.within(*picture.shape[1::-1])
    return Seen(framed, keypoints)


def seen(picture: np.ndarray, region: Region, animator: Animator, antialias: bool = True) -> np.ndarray:
    """The region of an (H,W,3) uint8 picture as the model sees it."""
    return resized(regions.crop(picture, region), animator.frame_size, antialias=antialias)
