"""Augmentation of a pair of frames, as the published configurations ask for it (`augmentation_params`).

Written out in torch rather than taken from torchvision: the configurations need these few, and torchvision has
to match the build of torch exactly, which is one more thing to go wrong on every machine that trains. Both
frames of a pair get the same, or the motion between them would no longer be the video's.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..network.layers import coordinate_grid

_LUMA = (0.299, 0.587, 0.114)
_TO_YIQ = torch.tensor([_LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)])
_FROM_YIQ = torch.linalg.inv(_TO_YIQ)


def augmented(frames: Tensor, params: dict, rng: np.random.Generator) -> Tensor:
    """2x3xHxW `frames` in [0, 1], varied at random, of the same size.

    Args:
        params: `augmentation_params`; what it lacks is left alone.
        rng: two equal ones vary equally.
    """
    size = frames.shape[2:]
    flip = params.get("flip_param") or {}
    if flip.get("time_flip") and rng.random() < 0.5:
        frames = frames.flip(0)
    if flip.get("horizontal_flip") and rng.random() < 0.5:
        frames = frames.flip(3)
    if rotation := params.get("rotation_param"):
        frames = _rotated(frames, rng.uniform(*_around(0, rotation["degrees"])))
    if resize := params.get("resize_param"):
        scale = rng.uniform(*resize["ratio"])
        frames = _resized(frames, [max(1, round(side * scale)) for side in size])
    if crop := params.get("crop_param"):
        frames = _cropped(frames, crop["size"], rng)
    if jitter := params.get("jitter_param"):
        frames = _jittered(frames, jitter, rng)
    return _resized(frames, list(size)).clamp(0, 1)


def _around(middle: float, spread: float | list[float]) -> tuple[float, float]:
    """The range that a number stands for, or the two numbers of a range."""
    return tuple(spread) if isinstance(spread, list) else (middle - spread, middle + spread)


def _rotated(frames: Tensor, degrees: float) -> Tensor:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    height, width = frames.shape[2:]
    extent = torch.tensor([width - 1.0, height - 1.0])  # a rotation is one in pixels, not in grid units
    grid = coordinate_grid(height, width, frames) * extent @ torch.tensor([[cos, sin], [-sin, cos]]) / extent
    return F.grid_sample(frames, grid.expand(2, -1, -1, -1), padding_mode="reflection", align_corners=True)


def _resized(frames: Tensor, size: list[int]) -> Tensor:
    if list(frames.shape[2:]) == size:
        return frames
    return F.interpolate(frames, size=size, mode="bilinear", antialias=True)


def _cropped(frames: Tensor, size: list[int], rng: np.random.Generator) -> Tensor:
    """A random part of that (height, width); frames that are smaller are continued at their edges first."""
    lack = [max(0, wanted - side) for wanted, side in zip(size, frames.shape[2:], strict=True)]
    frames = F.pad(
        frames,
        (lack[1] // 2, lack[1] - lack[1] // 2, lack[0] // 2, lack[0] - lack[0] // 2),
        mode="replicate",
    )
    y, x = (int(rng.integers(side - wanted + 1)) for side, wanted in zip(frames.shape[2:], size, strict=True))
    return frames[:, :, y : y + size[0], x : x + size[1]]


def _jittered(frames: Tensor, params: dict, rng: np.random.Generator) -> Tensor:
    """Brightness, contrast, saturation and hue, in random order: the order changes what they do together."""
    for name in rng.permutation(sorted(params)):
        amount = float(rng.uniform(*_around(0, params[name])))
        frames = _JITTER[str(name)](frames, amount).clamp(0, 1)
    return frames


def _grey(frames: Tensor) -> Tensor:
    return torch.einsum("c,bchw->bhw", torch.tensor(_LUMA), frames)[:, None]


def _contrast(frames: Tensor, amount: float) -> Tensor:
    mean = _grey(frames).mean()  # of both, so that they do not flicker
    return mean + (1 + amount) * (frames - mean)


def _saturation(frames: Tensor, amount: float) -> Tensor:
    grey = _grey(frames)
    return grey + (1 + amount) * (frames - grey)


def _hue(frames: Tensor, turn: float) -> Tensor:
    """Colours turned around the greys, which keep their place, by that part of a full turn."""
    cos, sin = math.cos(2 * math.pi * turn), math.sin(2 * math.pi * turn)
    rotation = torch.tensor([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    matrix = _FROM_YIQ @ rotation @ _TO_YIQ
    return torch.einsum("dc,bchw->bdhw", matrix, frames)


_JITTER = {
    "brightness": lambda frames, amount: frames * (1 + amount),
    "contrast": _contrast,
    "saturation": _saturation,
    "hue": _hue,
}
