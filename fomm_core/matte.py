"""The matte of a sitter: which places of a painting show the sitter, and which the wall behind.

A small U-Net (Ronneberger et al., 2015) that has learnt it from rendered portraits (`tools/train_matte.py`) finds
the sitter coarsely. A guided filter (He, Sun and Tang, "Guided Image Filtering", 2013) lays the outline along the
painting's own edges.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from .network import resized

WEIGHTS = Path(__file__).with_suffix(".safetensors")
# The network sees pictures of the first side and says where the sitter is on a grid of the second.
SEEN, FOUND = 128, 64
WIDTHS = (16, 32, 48, 64, 64)  # from the finest level to the coarsest
# Of the guided filter: how far it looks, in shares of the picture's side, and the variance of colour, of 1, that
# counts as an edge.
REACH, EDGE = 0.04, 2e-3
# Below the first it is wall, above the second sitter.
SURE = (0.15, 0.85)


class MatteNetwork(nn.Module):
    """Bx3x128x128 pictures in [0, 1] to Bx64x64 logits, above 0 where the sitter is."""

    def __init__(self):
        super().__init__()
        pairs = zip((3, *WIDTHS), WIDTHS)
        self.down = nn.ModuleList(
            nn.Sequential(*_layer(before, after, stride=2), *_layer(after, after)) for before, after in pairs
        )
        self.up = nn.ModuleList(
            nn.Sequential(*_layer(coarse + fine, fine), *_layer(fine, fine))
            for fine, coarse in zip(WIDTHS[-2::-1], WIDTHS[:0:-1])
        )
        self.last = nn.Conv2d(WIDTHS[0], 1, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        levels = [4 * (pictures - 0.5)]
        for block in self.down:
            levels.append(block(levels[-1]))
        found = levels.pop()
        for block in self.up:
            fine = levels.pop()
            found = block(torch.cat([resized(found, fine.shape[2:]), fine], dim=1))
        return self.last(found)[:, 0]


def matte(seen: Tensor) -> Tensor:
    """1x1xhxw in [0, 1], 1 where 1x3xhxw `seen`, of 255, shows the sitter."""
    picture = seen / 255
    small = F.interpolate(picture, (SEEN, SEEN), mode="area")
    with torch.inference_mode():
        both = _network()(torch.cat([small, small.flip(-1)])).sigmoid()
    coarse = (both[:1] + both[1:].flip(-1)) / 2
    low, high = SURE
    filtered = _guided(picture, resized(coarse[:, None], seen.shape[2:]), round(REACH * min(seen.shape[2:])))
    return ((filtered - low) / (high - low)).clamp(0, 1)


@cache
def _network() -> MatteNetwork:
    network = MatteNetwork().eval()
    network.load_state_dict({name: value.float() for name, value in load_file(WEIGHTS).items()})
    return network


def _layer(before: int, after: int, stride: int = 1) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()


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
