"""Soft steps and soft means, for maps of what becomes of a picture."""

from __future__ import annotations

from functools import cache
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T", np.ndarray, Tensor)


def smoothstep(value: T) -> T:
    """From 0 at 0 and below to 1 at 1 and above, smooth at both ends."""
    value = value.clip(0, 1)
    return value * value * (3 - 2 * value)


def spread(maps: Tensor, reach: int) -> Tensor:
    """1xCxhxw maps, each place the mean around it, nearer places counting more, up to twice `reach` away."""
    rows, columns = (_means(n, reach) for n in maps.shape[2:])
    return rows @ maps @ columns.T


@cache
def _means(length: int, reach: int) -> Tensor:
    place = torch.arange(length)
    near = ((place[:, None] - place).abs() <= reach).float()
    near /= near.sum(1, keepdim=True)
    return near @ near
