"""Keypoint detector: where the sitter's parts are and how each is locally transformed (paper, section 3.1)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .layers import AntiAliasedDown, Hourglass, coordinate_grid


class Keypoints(NamedTuple):
    """K keypoints of B images.

    Attributes:
        value: BxKx2, (x, y) in [-1, 1], -1 and 1 at the centres of the outermost pixels.
        jacobian: BxKx2x2, the first-order part of the motion from the abstract reference frame (equation 3),
            or None where the model does not estimate it.
    """

    value: Tensor
    jacobian: Tensor | None

    def __getitem__(self, index):
        """The keypoints of some of the images (a slice), or a field (an integer), as for any tuple."""
        if isinstance(index, int):
            return tuple.__getitem__(self, index)
        return Keypoints(self.value[index], None if self.jacobian is None else self.jacobian[index])


class KeypointDetector(nn.Module):
    """An hourglass whose heads give one heatmap and one map of Jacobians for each keypoint.

    Args:
        num_kp: K.
        num_channels: of the image.
        estimate_jacobian: zero order motion only where False.
        temperature: of the softmax over a heatmap's places.
        block_expansion, num_blocks, max_features: the hourglass.
        scale_factor: of the image before the hourglass.
        single_jacobian_map: one map of Jacobians for all keypoints (the mgif model).
        pad: zeros around the features before the heads; with 3 the heatmaps are as large as the image.
    """

    def __init__(
        self,
        num_kp: int,
        num_channels: int,
        estimate_jacobian: bool,
        temperature: float,
        block_expansion: int,
        num_blocks: int,
        max_features: int,
        scale_factor: float = 1,
        single_jacobian_map: bool = False,
        pad: int = 0,
    ):
        super().__init__()
        self.predictor = Hourglass(num_channels, block_expansion, num_blocks, max_features)
        self.kp = nn.Conv2d(self.predictor.outputs, num_kp, 7, padding=pad)
        self.jacobian = None
        if estimate_jacobian:
            maps = 1 if single_jacobian_map else num_kp
            self.jacobian = nn.Conv2d(self.predictor.outputs, 4 * maps, 7, padding=pad)
            # Training starts from the identity: every part moves by translation alone.
            nn.init.zeros_(self.jacobian.weight)
            with torch.no_grad():
                self.jacobian.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 1.0] * maps))
        self.temperature = temperature
        self.down = AntiAliasedDown(num_channels, scale_factor) if scale_factor != 1 else nn.Identity()

    def forward(self, image: Tensor) -> Keypoints:
        """Keypoints of Bx3xHxW images in [0, 1]."""
        features = self.predictor(self.down(image))
        return self.keypoints(features, self.log_heatmaps(features).exp())

    def log_heatmaps(self, features: Tensor) -> Tensor:
        """BxKxHxW logarithms of how likely each keypoint is at each place; the places' sum is 1."""
        heatmaps = self.kp(features)
        return (heatmaps.flatten(2) / self.temperature).log_softmax(-1).view(heatmaps.shape)

    def keypoints(self, features: Tensor, heatmaps: Tensor) -> Keypoints:
        """The heatmaps' mean places, and the Jacobians there."""
        b, k, h, w = heatmaps.shape
        value = (heatmaps[..., None] * coordinate_grid(h, w, heatmaps)).sum((2, 3))
        if self.jacobian is None:
            return Keypoints(value, None)
        maps = self.jacobian(features).view(b, -1, 4, h, w)
        return Keypoints(value, (heatmaps[:, :, None] * maps).sum((3, 4)).view(b, k, 2, 2))
