"""The matte of a sitter: which places of a painting show the sitter, and which the wall behind.

`network.matting` finds the sitter coarsely. A guided filter (He, Sun and Tang, "Guided Image Filtering", 2013) lays
the outline along the painting's own edges.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .network import resized
from .network.matting import SEEN, network, sure

# The network looks at the picture as it is, and with its shades lit by this power: what one look shows as the
# sitter's, such as dark hair before a dark wall, is that.
LIT = 0.5
# Of the guided filter: how far it looks, in shares of the picture's side, and the variance of colour, of 1, that
# counts as an edge.
REACH, EDGE = 0.04, 2e-3


def matte(seen: Tensor) -> Tensor:
    """1x1xhxw in [0, 1], 1 where 1x3xhxw `seen`, of 255, shows the sitter."""
    picture = seen / 255
    small = F.interpolate(picture, (SEEN, SEEN), mode="area").clamp(0, 1)
    looks = torch.cat([small, small**LIT])
    with torch.inference_mode():
        told, mirrored = network(seen.device)(torch.cat([looks, looks.flip(-1)])).sigmoid().chunk(2)
    coarse = ((told + mirrored.flip(-1)) / 2).amax(0)
    filtered = _guided(
        picture, resized(coarse[None, None], seen.shape[2:]), round(REACH * min(seen.shape[2:]))
    )
    return sure(filtered)


def _guided(guide: Tensor, values: Tensor, reach: int) -> Tensor:
    """The 1x1xhxw values, in each window of `reach` pixels to all sides an affine map of the 1x3xhxw guide."""

    def mean(maps: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(maps, [reach] * 4, mode="replicate"), 2 * reach + 1, 1)

    colour, value = mean(guide), mean(values)
    both = mean((guide[:, :, None] * guide[:, None]).flatten(1, 2)).unflatten(1, (3, 3))
    variance = both - colour[:, :, None] * colour[:, None]
    covariance = mean(guide * values) - colour * value
    variance = variance.permute(0, 3, 4, 1, 2) + EDGE * torch.eye(3)
    slope = torch.linalg.solve(variance, covariance.permute(0, 2, 3, 1)[..., None])[..., 0].permute(
        0, 3, 1, 2
    )
    offset = value - (slope * colour).sum(1, keepdim=True)
    return (mean(slope) * guide).sum(1, keepdim=True) + mean(offset)
