"""The wall behind a sitter, which stands still while the sitter moves before it.

The dense motion network tells sitter from wall in a picture of 64 pixels: some hair would stay behind, and some of
the wall would go along. The sitter's matte, along the painting's own edges, tells what is what: what is the
sitter's goes with the motion next to it, what is the wall's stays, and where the sitter has left it, the wall goes
on as it is beside the sitter, mirrored.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter
from torch import Tensor

from .animator import Prediction
from .heads import Head
from .matte import matte
from .network import resized
from .smoothing import smoothstep, spread

# The median of the matte at the head's keypoints, at the least, and the most of the picture that it may take:
# otherwise it has not been understood.
SITTER, MOST = 0.9, 0.95
# What the model calls less than the first background at rest is sitter, whatever the matte says; above the second
# it is the matte that tells.
OWN = (0.05, 0.15)
# The sitter's motion goes on beyond the head as it is within this many of the deformation's pixels, nearer ones
# counting more: the second look, for what the first does not reach, by so much less.
NEAR, FAR, LESS = 2, 8, 0.03
LEAST = 1e-3  # where both see less than this of the head, the motion ends
# What the model calls more than this background is no head, from the first number on softly, and moves as the head
# next to it: in its outline the model mixes in how a hidden ear moves. So it is down to the chin; the neck, within
# so much of the picture's half side above it, bends between both.
OUTER, NECK = (0.02, 0.1), 0.15
# Below the head's lowest keypoint, within so much of the picture's half side, is a body, which stays.
BODY = 0.15
# The wall is bared where the sitter moves by this many pixels of the prediction.
MOVES = 1.5
# Where the wall is made up: from so little of a sitter on, and so many pixels around.
TRACE, WIDER = 0.1, 3
# An outline is no softer than so many pixels from what is sitter for certain. A place further away that cannot be
# told is shown as it is painted; where no wall is so near, it is the sitter's.
CERTAIN, OUTLINE = 0.9, 14
SOFT = 2.0  # pixels, that the places that it is taken from are smoothed by


class Backdrop:
    """One sitter's matte, and what it says of each frame.

    Args:
        shown: 1x1xSxS in [0, 1], 1 where the region of the painting shows the sitter.
        head: the model's.
    """

    def __init__(self, shown: Tensor, head: Head):
        told = shown[0, 0].numpy()
        from_wall = torch.from_numpy(distance_transform_edt(told > TRACE).astype(np.float32))
        self._shown, self._head = torch.maximum(shown, smoothstep(2 * from_wall / OUTLINE - 1)), head
        outlined = (told > TRACE) & (distance_transform_edt(told <= CERTAIN) <= OUTLINE)
        self._sitter = binary_dilation(outlined, iterations=WIDER)
        # Two pixels wider, for what lies between the prediction's pixels.
        self._made_up = torch.from_numpy(binary_dilation(self._sitter, iterations=2).astype(np.float32))

    @classmethod
    def of(cls, head: Head | None, origin: np.ndarray, seen: Tensor, still: Prediction) -> Backdrop | None:
        """The backdrop of a sitter, of whom the model knows that it is a head; None where no matte was found.

        Args:
            origin: (K,2), the source's keypoints in [-1, 1] of the sitter's region.
            seen: 1x3xSxS, of 255, the region of the painting as it is seen.
            still: what the model predicts for no motion, of one frame.
        """
        if head is None:
            return None
        shown = matte(seen)
        places = torch.from_numpy(origin[head.rows])[None, None]
        found = F.grid_sample(shown, places, padding_mode="border", align_corners=True)
        if found.median() < SITTER or shown.mean() > MOST:
            return None
        own = resized(torch.from_numpy(still.background)[None, None], shown.shape[2:])
        return cls(torch.maximum(shown, smoothstep((OWN[1] - own) / (OWN[1] - OWN[0]))), head)

    def carried(self, shares: Tensor, background: np.ndarray, keypoints: np.ndarray) -> Tensor:
        """The motion with that of the sitter where the model has the background's, which is none.

        Args:
            shares: (2,h,w), the model's motion.
            background: (h,w) in [0, 1], how much each place follows the background.
            keypoints: (K,2), the frame's, in [-1, 1].
        """
        height, width = background.shape
        line = torch.linspace(-1, 1, height)[:, None]
        lowest = float(keypoints[self._head.rows, 1].max())
        shown = F.interpolate(self._shown, (height, width), mode="area")[0, 0]
        body = shown * smoothstep((line - lowest) / BODY)
        # The background's candidate being zero, the model's motion is the sitter's times what is not background.
        moves = 1 - torch.from_numpy(background)
        motion = shares / moves.clamp(min=LEAST)
        if chin := self._head.rows_of("chin"):
            neck = smoothstep(1 + (line - float(keypoints[chin[0], 1])) / NECK)
            certain = smoothstep((moves - 1 + OUTER[1]) / (OUTER[1] - OUTER[0]))
            moves = torch.lerp(certain, moves, neck)
        seen = torch.cat([motion * moves, (moves + (1 - moves) * body)[None]])[None]
        near = (spread(seen, NEAR) + LESS * spread(seen, FAR))[0]
        return motion * moves + (1 - moves) * near[:2] / (near[2] + LEAST)

    def bared(self, displacement: Tensor) -> Tensor:
        """(1,S,S) in [0, 1]: how much of a frame is wall, by the (2,S,S) motion of what is not, in shares.

        Where it is made up, none while nothing moves: the painting shows a sitter's soft outline as it is. A sitter
        ends where the painting's does: of a side of the head that the painting does not show, the model's guess
        would lie around it like a second, dim outline.
        """
        side = displacement.shape[1]
        line = torch.arange(side, dtype=torch.float32)
        places = torch.stack([line + displacement[0] * side, line[:, None] + displacement[1] * side], dim=-1)
        shown = F.grid_sample(
            self._shown, places[None] / (side - 1) * 2 - 1, padding_mode="border", align_corners=True
        )  # fmt: skip
        stays = self._made_up * (1 - smoothstep(torch.hypot(*displacement) * side / MOVES))
        return (1 - shown[0]) * (1 - stays)

    def behind(self) -> Tensor:
        """(2,S,S), in shares: where each place of the wall is taken from, 0 where the painting shows it.

        Across the sitter's outline, as far beyond it as the place is within; next to it, where that is the sitter
        again, or no longer in the picture.
        """
        sitter, side = self._sitter, len(self._sitter)
        here = np.indices(sitter.shape)
        _, nearest = distance_transform_edt(sitter, return_indices=True)
        across = 2 * nearest - here
        inside = ((across >= 0) & (across < side)).all(0)
        y, x = across.clip(0, side - 1)
        away = (np.where(inside & ~sitter[y, x], across, nearest) - here).astype(np.float32)
        smooth = np.stack([gaussian_filter(part, SOFT) for part in away])
        # Half way between two sides, the mean of both leads to the sitter.
        y, x = (here + smooth.round().astype(int)).clip(0, side - 1)
        away = np.where(sitter[y, x], away, smooth) * sitter
        return torch.from_numpy(away[::-1].copy()) / side
