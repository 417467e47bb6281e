"""Eyes and mouths in a picture: where they lie, by their keypoints, and what becomes of the picture around them.

What `lids` and `mouth` share. All of it is worked out at the prediction's resolution, in its pixels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .heads import Head, Poses

# Their middle is at least this far from both corners, in widths: a head that turns hides one of them.
MIDDLE = 0.2
# One that is seen narrower than this, in widths at rest, is seen from the side: nothing is known of it.
NARROWEST = 0.25


class Patch(NamedTuple):
    """What becomes of a part of one frame's fields, h x w pixels of the prediction.

    Attributes:
        rows, columns: which part.
        displacement: (2,h,w), (x, y) in shares of the frame's sides, as in `canvas_fields.Fields`.
        near: (h,w) in [0, 1], 1 on the eye or the lips and beside them, where the prediction does not show.
        inside: (h,w) in [0, 1], 1 where the painting shows nothing of what is there.
        colour: (3,h,w), of 255, what is there.
    """

    rows: slice
    columns: slice
    displacement: Tensor
    near: Tensor
    inside: Tensor
    colour: Tensor


class Feature(ABC):
    """An eye or a mouth of one sitter, as it is painted.

    Args:
        head: the model's.
        rows: which keypoints are the feature's: the corner on the sitter's left, the other one, the upper lid or
            lip, the lower one.
        origin: (K,2), the source's keypoints in [-1, 1] of the sitter's region.
        pose: of these.
    """

    def __init__(self, head: Head, rows: list[int], origin: np.ndarray, pose: Poses):
        self._head, self._rows, self._origin = head, rows, origin
        self._size = float(pose.scale[0])

    def patch(self, displacement: Tensor, keypoints: np.ndarray) -> Patch | None:
        """What becomes of the picture where the feature changes in a frame, if it does.

        Args:
            displacement: (2,S,S), the model's motion, in shares of the frame's sides.
            keypoints: (K,2), the frame's, in [-1, 1].
        """
        pose = self._head.poses(keypoints[None])
        if pose is None:
            return None
        scale = self._size / float(pose.scale[0])
        side = displacement.shape[1]
        rest, axes = (Axes.of_keypoints(k[self._rows], side) for k in (self._origin, keypoints))
        if axes.width * scale < NARROWEST * rest.width:
            return None
        return self._changed(displacement, keypoints, rest, axes, scale)

    @abstractmethod
    def _changed(
        self, displacement: Tensor, keypoints: np.ndarray, rest: Axes, axes: Axes, scale: float
    ) -> Patch | None:
        """As `patch`, from where it lies at rest and in the frame, times `scale` as large as at rest."""


@dataclass(frozen=True)
class Axes:
    """The axes of an eye or a mouth in a picture, in pixels.

    Attributes:
        corner: (2,), the corner on the sitter's right.
        along, down: (2,), of unit length, towards the left corner, and from the upper lid or lip to the lower.
        width: from corner to corner.
        middle: how far along the middle of the lids or lips is, in widths.
        upper, lower: how far down their keypoints are.
    """

    corner: np.ndarray
    along: np.ndarray
    down: np.ndarray
    width: float
    middle: float
    upper: float
    lower: float

    @classmethod
    def of(cls, places: np.ndarray) -> Axes:
        """Of (4,2) places: the left corner, the right one, the upper lid or lip, the lower one."""
        left, corner, upper, lower = places
        width = max(float(np.linalg.norm(left - corner)), 1e-3)
        along = (left - corner) / width
        down = np.array([-along[1], along[0]])
        middle = float(((upper + lower) / 2 - corner) @ along) / width
        return cls(
            corner, along, down, width, min(max(middle, MIDDLE), 1 - MIDDLE),
            float((upper - corner) @ down), float((lower - corner) @ down),
        )  # fmt: skip

    @classmethod
    def of_keypoints(cls, keypoints: np.ndarray, side: int) -> Axes:
        """Of those (4,2) keypoints, in [-1, 1] of a picture of `side` pixels."""
        return cls.of((keypoints.astype(np.float64) + 1) / 2 * (side - 1))

    def nearer(self, by: float) -> Axes:
        """The same with the lips nearer to each other."""
        return replace(self, upper=self.upper + by / 2, lower=self.lower - by / 2)

    def seen(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """How far along and down the places are."""
        x, y = x - self.corner[0], y - self.corner[1]
        return x * self.along[0] + y * self.along[1], x * self.down[0] + y * self.down[1]

    def place(self, along: Tensor, down: Tensor) -> Tensor:
        """(2,...), x and y of what is so far along and down."""
        return torch.stack([c + along * a + down * d for c, a, d in zip(self.corner, self.along, self.down)])

    def share(self, along: Tensor) -> Tensor:
        """From 0 at the right corner to 0.5 in the middle to 1 at the left corner."""
        part = along / self.width
        left = 1 + (part - self.middle) / (1 - self.middle)
        return torch.where(part < self.middle, part / self.middle, left) / 2

    def along_of(self, share: Tensor) -> Tensor:
        """The inverse of `share`."""
        left = self.middle + (2 * share - 1) * (1 - self.middle)
        return self.width * torch.where(share < 0.5, 2 * share * self.middle, left)

    def box(self, reach: float, side: int) -> tuple[slice, slice]:
        """Rows and columns, of `side`, that hold all that is within `reach` of it."""
        along, down = (0.0, self.width), (min(self.upper, 0.0), max(self.lower, 0.0))
        corners = [self.corner + a * self.along + d * self.down for a in along for d in down]
        low = (np.min(corners, axis=0) - reach).clip(0, side - 2).astype(int)
        high = (np.max(corners, axis=0) + reach).clip(low + 2, side).astype(int)
        return slice(low[1], high[1]), slice(low[0], high[0])


def bowed(share: Tensor) -> Tensor:
    """0 at the corners and beyond, 1 in the middle, a parabola."""
    return (4 * share * (1 - share)).clamp(min=0)


def sampled(picture: Tensor, places: Tensor) -> Tensor:
    """(C,...), what a 1xCxSxS picture shows at (2,h,w) places, x and y in its pixels."""
    grid = (places / (picture.shape[-1] - 1) * 2 - 1).permute(1, 2, 0)[None].to(picture)
    return F.grid_sample(picture, grid, padding_mode="border", align_corners=True)[0]
