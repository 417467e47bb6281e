"""Puts the moving region back into the whole painting, at its own resolution."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .network import resized as resized_maps
from .network import warp
from .network.layers import coordinate_grid
from .regions import Region, crop

# The motion fades to stillness over this share of the region's side, so that no seam shows.
FADE = 0.12
# Colours are matched on pictures of this side, each place by what is seen within this many of its pixels.
MATCH_SIDE, MATCH_REACH = 64, 12


class Canvas:
    """A painting of which one region moves.

    The painting's own pixels are carried along by the dense motion, so that its detail survives; where
    the motion uncovers what the painting does not show (the occlusion map), the prediction is taken.

    Args:
        painting: (H,W,3) uint8 RGB.
        region: what moves; it may reach past the edge.
    """

    def __init__(self, painting: np.ndarray, region: Region):
        self.painting = painting
        self.region = region
        self._pixels = _tensor(crop(painting, region))
        self._grid = coordinate_grid(region.h, region.w, self._pixels)
        self._size = torch.tensor([region.w, region.h])
        self._fade = _fade(region.h, region.w)
        self._small = F.interpolate(self._pixels, (MATCH_SIDE, MATCH_SIDE), mode="area")
        height, width = painting.shape[:2]
        # The part of the region that lies on the painting, in the painting's and in the region's pixels.
        left, top = max(region.x, 0), max(region.y, 0)
        right, bottom = min(region.x + region.w, width), min(region.y + region.h, height)
        self._on_painting = slice(top, bottom), slice(left, right)
        self._in_region = slice(top - region.y, bottom - region.y), slice(left - region.x, right - region.x)

    def compose(self, image: np.ndarray, deformation: np.ndarray, occlusion: np.ndarray) -> np.ndarray:
        """One frame, (H,W,3) uint8, from one frame's prediction (see `animator.Prediction`)."""
        size = self._pixels.shape[2:]
        motion = torch.from_numpy(deformation).permute(2, 0, 1)[None]
        seen = torch.from_numpy(occlusion)[None, None]
        moved = resized_maps(motion, size)[0].permute(1, 2, 0) * self._stretch(deformation)
        grid = torch.lerp(self._grid, moved, self._fade[..., None])
        # Motion that reaches past the region takes its last pixels; anything else would be black.
        warped = F.grid_sample(self._pixels, grid[None], padding_mode="border", align_corners=True)[0]
        predicted = _tensor(image)
        shift = resized_maps(self._colour_shift(predicted, motion, seen), size)[0]
        predicted = resized_maps(predicted, size)[0] + shift
        out = torch.lerp(warped, predicted, (1 - resized_maps(seen, size)[0, 0]) * self._fade)
        frame = self.painting.copy()
        moving = out.permute(1, 2, 0).round().clamp(0, 255).byte().numpy()
        frame[self._on_painting] = moving[self._in_region]
        return frame

    def _colour_shift(self, predicted: Tensor, motion: Tensor, seen: Tensor) -> Tensor:
        """1x3xhxw, what has to be added to the prediction for the painting's colours.

        Where the painting is seen, it is known by how much the prediction is off; the hidden places next to
        it are taken to be off by as much, so that no edge of another colour shows around them.
        """
        side = (MATCH_SIDE, MATCH_SIDE)
        painting = warp(self._small, resized_maps(motion, side).permute(0, 2, 3, 1))
        weight = resized_maps(seen, side).square()
        wrong = (painting - F.interpolate(predicted, side, mode="area")) * weight
        spread = torch.cat([wrong, weight], dim=1)
        for _ in range(2):
            spread = F.avg_pool2d(spread, 2 * MATCH_REACH + 1, stride=1, padding=MATCH_REACH)
        return spread[:, :3] / (spread[:, 3:] + 1e-3)

    def _stretch(self, deformation: np.ndarray) -> Tensor:
        """(2,) factors on coordinates of the deformation's resolution that make them the region's.

        1 is the centre of the last pixel, which lies nearer to the picture's edge the finer the pixels are.
        Without this, stillness would be a zoom by one part in the deformation's resolution.
        """
        coarse = torch.tensor(deformation.shape[1::-1])
        return (coarse - 1) / coarse * (self._size / (self._size - 1).clamp(min=1))


def _tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()


def _fade(height: int, width: int) -> Tensor:
    """HxW, 0 at the border, 1 further in than `FADE`, smooth between."""

    def ramp(length: int) -> Tensor:
        distance = (torch.arange(length) + 0.5) / length
        distance = torch.minimum(distance, 1 - distance) / FADE
        distance = distance.clamp(0, 1)
        return distance * distance * (3 - 2 * distance)

    return torch.outer(ramp(height), ramp(width))
