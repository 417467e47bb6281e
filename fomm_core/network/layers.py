"""The building blocks that the three networks share.

Attribute names (`conv`, `norm`, `down_blocks`, …) are those of the published checkpoints: they are the keys of
the state dicts. All images and features are BxCxHxW float32.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def coordinate_grid(height: int, width: int, like: Tensor) -> Tensor:
    """HxWx2 grid of (x, y) from -1 at the centre of the first pixel to 1 at the centre of the last."""
    x = torch.linspace(-1, 1, width, dtype=like.dtype, device=like.device)
    y = torch.linspace(-1, 1, height, dtype=like.dtype, device=like.device)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)


def gaussian_heatmaps(keypoints: Tensor, height: int, width: int, variance: float) -> Tensor:
    """BxKx2 keypoints as BxKxHxW Gaussians of that variance (in grid units), 1 at their centres (section 3.2)."""
    grid = coordinate_grid(height, width, keypoints)
    # The same along both axes, so that few exponentials are computed.
    x, y = grid[0, :, 0] - keypoints[..., :1], grid[:, 0, 1] - keypoints[..., 1:]
    x, y = (torch.exp(-0.5 * offset.square() / variance) for offset in (x, y))
    return y[..., :, None] * x[..., None, :]


def resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """BxCxhxw maps at another resolution, bilinear; themselves where they have it already."""
    if maps.shape[2:] == tuple(size):
        return maps
    return F.interpolate(maps, size=tuple(size), mode="bilinear")


def sample(image: Tensor, grid: Tensor) -> Tensor:
    """Warp BxCxHxW `image` by the BxhxwX2 `grid` of places to look at.

    The published weights were trained when `grid_sample` meant `align_corners=True`, which is also what
    `coordinate_grid` is made for: the identity grid gives the image back.
    """
    return F.grid_sample(image, grid, align_corners=True)


class SameBlock(nn.Module):
    """Convolution, batch norm, ReLU; keeps the resolution."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int = 3):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class DownBlock(SameBlock):
    """A `SameBlock` followed by 2x2 average pooling."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(super().forward(x), 2)


class UpBlock(SameBlock):
    """A `SameBlock` on the input doubled by nearest neighbour."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.interpolate(x, scale_factor=2))


class ResBlock(nn.Module):
    """Pre-activation residual block."""

    def __init__(self, features: int):
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(features)
        self.norm2 = nn.BatchNorm2d(features)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(F.relu(self.norm1(x)))
        return x + self.conv2(F.relu(self.norm2(out)))


class Encoder(nn.Module):
    """The descending half of the hourglass; returns the input and every level's features."""

    def __init__(self, inputs: int, widths: list[int]):
        super().__init__()
        pairs = zip([inputs, *widths[1:-1]], widths[1:], strict=True)
        self.down_blocks = nn.ModuleList(DownBlock(i, o) for i, o in pairs)

    def forward(self, x: Tensor) -> list[Tensor]:
        levels = [x]
        for block in self.down_blocks:
            levels.append(block(levels[-1]))
        return levels


class Decoder(nn.Module):
    """The ascending half; each level is joined by the encoder's features of that resolution."""

    def __init__(self, widths: list[int]):
        super().__init__()
        deepest = len(widths) - 1
        self.up_blocks = nn.ModuleList(
            UpBlock(widths[i] * (1 if i == deepest else 2), widths[i - 1]) for i in range(deepest, 0, -1)
        )

    def forward(self, levels: list[Tensor]) -> Tensor:
        out = levels[-1]
        for block, skip in zip(self.up_blocks, reversed(levels[:-1]), strict=True):
            out = torch.cat([block(out), skip], dim=1)
        return out


class Hourglass(nn.Module):
    """U-Net of `num_blocks` levels, `block_expansion * 2**level` features wide up to `max_features`.

    The output has the input's resolution and `outputs` = `block_expansion` + `inputs` channels. Height and
    width must be multiples of 2**num_blocks.
    """

    def __init__(self, inputs: int, block_expansion: int, num_blocks: int, max_features: int):
        super().__init__()
        widths = [min(max_features, block_expansion * 2**i) for i in range(num_blocks + 1)]
        self.encoder = Encoder(inputs, widths)
        self.decoder = Decoder(widths)
        self.outputs = widths[0] + inputs

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class AntiAliasedDown(nn.Module):
    """Gaussian blur, then every 1/scale-th pixel. Its kernel is a buffer of the published checkpoints."""

    def __init__(self, channels: int, scale: float):
        super().__init__()
        self.stride = round(1 / scale)
        sigma = (1 / scale - 1) / 2
        radius = round(sigma * 4)
        self.padding = radius
        # Even for a model that is built without memory: arithmetic there loads PyTorch's compiler, a second.
        place = torch.arange(2 * radius + 1, device="cpu")
        line = torch.exp(-0.5 * ((place - radius) / sigma).square())
        kernel = torch.outer(line, line)
        self.register_buffer("weight", (kernel / kernel.sum()).repeat(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, stride=self.stride, padding=self.padding, groups=x.shape[1])
