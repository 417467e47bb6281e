"""Puts the moving region back into the whole painting, at its own resolution."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .network import resized as resized_maps
from .network import warp
from .network.layers import coordinate_grid
from .regions import Region, crop

# The motion fades to stillness over this share of the region's side, so that no seam shows.
FADE = 0.12


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
        height, width = painting.shape[:2]
        # The part of the region that lies on the painting, in the painting's and in the region's pixels.
        left, top = max(region.x, 0), max(region.y, 0)
        right, bottom = min(region.x + region.w, width), min(region.y + region.h, height)
        self._on_painting = slice(top, bottom), slice(left, right)
        self._in_region = slice(top - region.y, bottom - region.y), slice(left - region.x, right - region.x)

    def compose(self, image: np.ndarray, deformation: np.ndarray, occlusion: np.ndarray) -> np.ndarray:
        """One frame, (H,W,3) uint8, from one frame's prediction (see `animator.Prediction`)."""
        size = self._pixels.shape[2:]
        moved = resized_maps(torch.from_numpy(deformation).permute(2, 0, 1)[None], size)
        moved = moved[0].permute(1, 2, 0) * self._stretch(deformation)
        grid = torch.lerp(self._grid, moved, self._fade[..., None])
        warped = warp(self._pixels, grid[None])[0]
        shown = resized_maps(torch.from_numpy(occlusion)[None, None], size)[0, 0]
        predicted = resized_maps(_tensor(image), size)[0]
        out = torch.lerp(warped, predicted, (1 - shown) * self._fade)
        frame = self.painting.copy()
        moving = out.permute(1, 2, 0).round().clamp(0, 255).byte().numpy()
        frame[self._on_painting] = moving[self._in_region]
        return frame

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
