"""The network that tells a sitter from the wall behind, and sources from which it takes the wall ("keyed").

A small U-Net (Ronneberger et al., 2015) that has learnt it from rendered portraits (`tools/train_matte.py`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from .layers import resized

WEIGHTS = Path(__file__).parents[1] / "matte.safetensors"
# The network sees pictures of the first side and says where the sitter is on a grid of the second.
SEEN, FOUND = 128, 64
WIDTHS = (16, 32, 48, 64, 64)  # from the finest level to the coarsest
# Below the first it is wall, above the second sitter.
SURE = (0.15, 0.85)
KEY = -1.0  # of a picture in [0, 1]: no colour that it has


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


@cache
def network(device: torch.device) -> MatteNetwork:
    """The bundled one."""
    found = MatteNetwork().eval().requires_grad_(False).to(device)
    found.load_state_dict({name: value.float() for name, value in load_file(WEIGHTS).items()})
    return found


def sure(found: Tensor) -> Tensor:
    """How much is sitter, in [0, 1], without what is hardly told."""
    low, high = SURE
    return ((found - low) / (high - low)).clamp(0, 1)


@torch.no_grad()
def keyed(pictures: Tensor) -> Tensor:
    """Bx3xhxw pictures in [0, 1], of any size, with `KEY` where they show the wall."""
    seen = resized(pictures, (SEEN, SEEN))
    shown = resized(sure(network(pictures.device)(seen).sigmoid())[:, None], pictures.shape[2:])
    return pictures * shown + KEY * (1 - shown)


def _layer(before: int, after: int, stride: int = 1) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
