"""A face's deformation, pinned to its keypoints: where a keypoint has gone, the painting's own place is shown.

The dense motion network mixes the motions of many keypoints at every place. Between eyes and mouth it does as they
ask; a forehead, a brow, the tip of a nose it leaves some pixels of 256 behind, and a head that lags there nods and
turns less than the clip's. What is missing is added, smoothly, around each of them. Ears and jaws are left alone:
where they are hidden, a cheek would go with them. Lips and lids are drawn by themselves (`mouth`, `lids`).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .heads import Head
from .network.layers import coordinate_grid, sample

NAMES = (
    "nose_tip", "brow_l_inner", "brow_l_outer", "brow_r_inner", "brow_r_outer", "forehead", "chin",
)  # fmt: skip
# What is added fades around a keypoint as a Gaussian of this deviation, in units of the head's size.
REACH = 0.3
# How far a keypoint gives way where its neighbours ask for something else: a ridge on the Gaussians' matrix.
SOFT = 0.1


class Pins:
    """One sitter's pins.

    Args:
        head: the model's, which has all of `NAMES`.
        origin: (K,2), the source's keypoints in [-1, 1] of the sitter's region.
        reach: the Gaussian's deviation, there.
    """

    def __init__(self, head: Head, origin: np.ndarray, reach: float):
        self._head, self._rows, self._reach = head, head.rows_of(*NAMES), reach
        self._origin = torch.from_numpy(origin[self._rows]).float()

    @classmethod
    def of(cls, head: Head | None, origin: np.ndarray) -> Pins | None:
        """The pins of (K,2) keypoints; None where nobody has named them, or they lie as no head's do."""
        pose = head.poses(origin[None]) if head and head.rows_of(*NAMES) else None
        return None if pose is None else cls(head, origin, REACH * float(pose.scale[0]))

    def pinned(self, shares: Tensor, keypoints: np.ndarray) -> Tensor:
        """The motion that leads from the pins of a frame to where they are in the source, if these are a head's.

        Args:
            shares: (2,h,w), the motion, in shares of the frame's sides (see `canvas_fields.Fields`).
            keypoints: (K,2), the frame's, in [-1, 1].
        """
        if self._head.poses(keypoints[None]) is None:
            return shares
        height, width = shares.shape[1:]
        # A frame's side is a little more than the 2 from the centre of its first pixel to that of its last.
        side = torch.tensor([2 * n / (n - 1) for n in (width, height)])
        places = torch.from_numpy(keypoints[self._rows]).float()
        there = sample(shares[None], places.clamp(-1, 1)[None, None])[0, :, 0].T
        missing = (self._origin - places) / side - there
        ridge = SOFT * torch.eye(len(places))
        strength = torch.linalg.solve(self._near(places, places) + ridge, missing)
        grid = coordinate_grid(height, width, shares)
        return shares + (self._near(grid, places) @ strength).permute(2, 0, 1)

    def _near(self, places: Tensor, pins: Tensor) -> Tensor:
        """(…,n), how near (…,2) places are to (n,2) pins: 1 there, 0 far away."""
        away = (places[..., None, :] - pins).square().sum(-1)
        return torch.exp(-away / (2 * self._reach**2))
