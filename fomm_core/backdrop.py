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

from . import hulls
from .animator import Prediction
from .beyond import BEYOND, Edges, domed
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
# Outside the hull of the head's keypoints, from so much of the picture's half side on, nothing tells how the sitter
# moves: of hair, hats and veils there it is the mean within so many pixels, which bends but does not tear them.
OUTSIDE, EVEN = 0.2, 6
# Below the head's lowest keypoint, within so much of the picture's half side, is a body, which stays.
BODY = 0.15
# The wall is bared where the sitter moves by this many pixels of the prediction.
MOVES = 1.5
# Where the wall is made up: from so little of a sitter on, and so many pixels around.
TRACE, WIDER = 0.1, 3
# An outline is no softer than so many pixels from what is sitter for certain. A place further away that cannot be
# told is shown as it is painted; where no wall is so near, it is the sitter's.
CERTAIN, OUTLINE = 0.9, 14
SOFT = 1.0  # pixels, that the places that it is taken from are smoothed by
# Along its row or column a place may be so many times as far from the outline as straight across it. A wall of
# fewer pixels than this is none.
STRAIGHT, NARROW = 1.1, 3


class Backdrop:
    """One sitter's matte, and what it says of each frame.

    Args:
        shown: 1x1xSxS in [0, 1], 1 where the region of the painting shows the sitter.
        head: the model's.
        edges: where in the region the painting ends; what `shown` says beyond is not heard.
    """

    def __init__(self, shown: Tensor, head: Head, edges: Edges):
        told = shown[0, 0].numpy()
        from_wall = torch.from_numpy(distance_transform_edt(told > TRACE).astype(np.float32))
        self._shown, self._head = torch.maximum(shown, smoothstep(2 * from_wall / OUTLINE - 1)), head
        outlined = (told > TRACE) & (distance_transform_edt(told <= CERTAIN) <= OUTLINE)
        self._part = edges.part(len(told))
        self._beyond = torch.from_numpy(domed(self._shown[0, 0].numpy()[self._part]))[None, None]
        self._sitter = binary_dilation(outlined, iterations=WIDER)
        # Two pixels wider, for what lies between the prediction's pixels.
        self._made_up = torch.from_numpy(binary_dilation(self._sitter, iterations=2).astype(np.float32))

    @classmethod
    def of(
        cls, head: Head | None, origin: np.ndarray, seen: Tensor, still: Prediction, edges: Edges
    ) -> Backdrop | None:
        """The backdrop of a sitter, of whom the model knows that it is a head; None where no matte was found.

        Args:
            origin: (K,2), the source's keypoints in [-1, 1] of the sitter's region.
            seen: 1x3xSxS, of 255, the region of the painting as it is seen.
            still: what the model predicts for no motion, of one frame.
            edges: where in the region the painting ends.
        """
        if head is None:
            return None
        shown = matte(seen)
        places = torch.from_numpy(origin[head.rows])[None, None]
        found = F.grid_sample(shown, places, padding_mode="border", align_corners=True)
        if found.median() < SITTER or shown.mean() > MOST:
            return None
        own = resized(torch.from_numpy(still.background)[None, None], shown.shape[2:])
        return cls(torch.maximum(shown, smoothstep((OWN[1] - own) / (OWN[1] - OWN[0]))), head, edges)

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
        carried = motion * moves + (1 - moves) * near[:2] / (near[2] + LEAST)
        outside = torch.from_numpy(hulls.distance(keypoints[self._head.rows]))[None, None]
        outside = smoothstep(resized(outside, (height, width))[0] / OUTSIDE)
        return torch.lerp(carried, spread(carried[None], EVEN)[0], outside)

    def bared(self, displacement: Tensor) -> Tensor:
        """(1,S,S) in [0, 1]: how much of a frame is wall, by the (2,S,S) motion of what is not, in shares.

        Where it is made up, none while nothing moves: the painting shows a sitter's soft outline as it is. A sitter
        ends where the painting's does: of a side of the head that the painting does not show, the model's guess
        would lie around it like a second, dim outline.
        """
        side = displacement.shape[1]
        line = torch.arange(side, dtype=torch.float32)
        places = torch.stack([line + displacement[0] * side, line[:, None] + displacement[1] * side], dim=-1)
        # In `_beyond`, which has so many pixels more around the part that lies on the painting.
        (top, left), (rows, columns) = (part.start for part in self._part), self._beyond.shape[2:]
        first, last = torch.tensor([left, top]) - BEYOND, torch.tensor([columns, rows]) - 1
        grid = (places[None] - first) / last * 2 - 1
        shown = F.grid_sample(self._beyond, grid, padding_mode="border", align_corners=True)
        stays = self._made_up * (1 - smoothstep(torch.hypot(*displacement) * side / MOVES))
        return (1 - shown[0]) * (1 - stays)

    def behind(self) -> Tensor:
        """(2,S,S), in shares: where each place of the wall is taken from, 0 where the painting shows it.

        Mirrored at the sitter's outline: where that is nearly upright or level, along the row or the column, so
        that a horizon goes on and brush strokes lie as they lie beside the sitter; elsewhere straight across it.
        """
        sitter, here = self._sitter[self._part], np.indices(self._sitter[self._part].shape)
        there, last = _nearest_wall(sitter), np.array(sitter.shape)[:, None, None] - 1
        away = there - here
        left, right = _mirrored(sitter), _mirrored(sitter[:, ::-1])[..., ::-1]
        above, below = (_mirrored(part.T).transpose(0, 2, 1) for part in (sitter, sitter[::-1]))
        below = below[:, ::-1]
        across = here + 2 * away
        outside = ((across < 0) | (across > last)).any(0) | sitter[tuple(across.clip(0, last))]
        across = np.where(outside, 1, 2) * away
        depths = np.stack([left[0], right[0], above[0], below[0]])
        # The last is straight across.
        way = np.where(depths.min(0) <= STRAIGHT * np.hypot(*away) + 1, depths.argmin(0), 4)
        columns = np.choose(way, [-left[1], right[1], 0, 0, across[1]])
        rows = np.choose(way, [0, 0, -above[1], below[1], across[0]])
        smooth = np.stack([gaussian_filter(part, SOFT, output=np.float32) for part in (rows, columns)])
        # Half way between two sides, the mean of both leads to the sitter.
        y, x = (here + smooth.round().astype(int)).clip(0, last)
        smooth = np.where(sitter[y, x], there[:, y, x] - here, smooth) * sitter
        found = torch.zeros(2, *self._sitter.shape)
        found[:, *self._part] = torch.from_numpy(smooth[::-1].astype(np.float32))
        return found / len(self._sitter)

    def nearest_wall(self) -> np.ndarray:
        """(2,S,S): row and column of the wall's place that is nearest to each place; of the wall, its own."""
        found = np.indices(self._sitter.shape)
        corner = np.array([part.start for part in self._part])[:, None, None]
        found[:, *self._part] = _nearest_wall(self._sitter[self._part]) + corner
        return found


def _nearest_wall(sitter: np.ndarray) -> np.ndarray:
    return distance_transform_edt(sitter, return_distances=False, return_indices=True)


def _mirrored(sitter: np.ndarray) -> np.ndarray:
    """(2,h,w): how far to the left of a place of the (h,w) sitter a wall begins, and the place it is mirrored to.

    Both in pixels to the left; the first is infinite where there is none, or hardly any. Where the wall is narrower
    than the sitter, it is mirrored at its other end again.
    """
    place = np.broadcast_to(np.arange(sitter.shape[1]), sitter.shape)
    wall = np.maximum.accumulate(np.where(sitter, -1, place), axis=1)
    wide = place - np.maximum.accumulate(np.where(sitter, place, -1), axis=1)
    wide = np.where(wall < 0, 0, np.take_along_axis(wide, wall.clip(0), axis=1))
    depth = place - wall
    within = (depth - 1) % (2 * wide.clip(1))
    mirrored = depth + np.minimum(within, 2 * wide.clip(1) - 1 - within)
    return np.stack([np.where(wide < NARROW, np.inf, depth), mirrored])
