"""Occlusion-aware generator: the source, encoded, warped and painted anew (paper, section 3.2)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from .dense_motion import DenseMotion, DenseMotionNetwork
from .keypoint_detector import Keypoints
from .layers import DownBlock, ResBlock, SameBlock, UpBlock, resized, sample


class Source(NamedTuple):
    """All that the generator keeps of a source image; it is computed once and serves every driving pose."""

    image: Tensor  # Bx3xHxW in [0, 1]
    features: Tensor  # the encoder's output, BxCxH/4xW/4 with two down blocks
    small: Tensor  # the image as the dense motion network sees it, at its resolution

    def expand(self, batch: int) -> Source:
        """One source as a batch, without copying it."""
        return Source(*(t.expand(batch, -1, -1, -1) for t in self))


class Generator(nn.Module):
    """Encoder, warp by the dense motion, occlusion (equation 7), residual bottleneck, decoder.

    `dense_motion_params` are `DenseMotionNetwork`'s arguments; it is a part of the generator, as in the
    published checkpoints.
    """

    def __init__(
        self,
        num_kp: int,
        num_channels: int,
        block_expansion: int,
        max_features: int,
        num_down_blocks: int,
        num_bottleneck_blocks: int,
        dense_motion_params: dict,
        estimate_occlusion_map: bool = False,
    ):
        super().__init__()
        self.dense_motion_network = DenseMotionNetwork(
            num_kp, num_channels, estimate_occlusion_map=estimate_occlusion_map, **dense_motion_params
        )
        widths = [min(max_features, block_expansion * 2**i) for i in range(num_down_blocks + 1)]
        widths[0] = block_expansion
        levels = range(num_down_blocks)
        self.first = SameBlock(num_channels, widths[0], kernel_size=7)
        self.down_blocks = nn.ModuleList(DownBlock(widths[i], widths[i + 1]) for i in levels)
        self.bottleneck = nn.Sequential()
        for i in range(num_bottleneck_blocks):
            self.bottleneck.add_module(f"r{i}", ResBlock(widths[-1]))
        self.up_blocks = nn.ModuleList(UpBlock(widths[i + 1], widths[i]) for i in reversed(levels))
        self.final = nn.Conv2d(widths[0], num_channels, 7, padding=3)

    def encode(self, image: Tensor) -> Source:
        """What is needed of Bx3xHxW images in [0, 1] to animate them."""
        features = self.first(image)
        for block in self.down_blocks:
            features = block(features)
        return Source(image, features, self.dense_motion_network.seen(image))

    def motion(self, source: Source, driving: Keypoints, origin: Keypoints) -> DenseMotion:
        return self.dense_motion_network.from_small(source.small, driving, origin)

    def decode(self, source: Source, motion: DenseMotion) -> Tensor:
        """Bx3xHxW predictions in [0, 1]: the warped features, painted anew where the source hides them."""
        return self.paint(self.carried(source, motion))

    def carried(self, source: Source, motion: DenseMotion) -> Tensor:
        """The source's features as the motion carries them, without those of what it hides."""
        out = warp(source.features, motion.deformation)
        if motion.occlusion_map is not None:
            out = out * resized(motion.occlusion_map, out.shape[2:])  # equation 7
        return out

    def paint(self, features: Tensor) -> Tensor:
        """The pictures, in [0, 1], of carried features."""
        out = self.bottleneck(features)
        for block in self.up_blocks:
            out = block(out)
        return self.final(out).sigmoid()

    def forward(self, image: Tensor, driving: Keypoints, origin: Keypoints) -> tuple[Tensor, DenseMotion]:
        """Predictions and their motion, for images whose keypoints are `origin`, in the poses `driving`."""
        source = self.encode(image)
        motion = self.motion(source, driving, origin)
        return self.decode(source, motion), motion


def warp(image: Tensor, deformation: Tensor) -> Tensor:
    """`image` (BxCxHxW) as seen through the Bxhxwx2 `deformation`, at the image's own resolution."""
    if deformation.shape[1:3] != image.shape[2:]:
        deformation = resized(deformation.permute(0, 3, 1, 2), image.shape[2:]).permute(0, 2, 3, 1)
    return sample(image, deformation)
