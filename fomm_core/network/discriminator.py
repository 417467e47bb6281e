"""Multi-scale patch discriminator, for training with the adversarial loss (paper, supplement)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from .layers import gaussian_heatmaps


class PatchBlock(nn.Module):
    """4x4 convolution without padding, instance norm, leaky ReLU, pooling."""

    def __init__(self, inputs: int, outputs: int, norm: bool, pool: bool, sn: bool):
        super().__init__()
        conv = nn.Conv2d(inputs, outputs, 4)
        self.conv = spectral_norm(conv) if sn else conv
        self.norm = nn.InstanceNorm2d(outputs, affine=True) if norm else None
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x)
        x = F.leaky_relu(x, 0.2)
        return F.avg_pool2d(x, 2) if self.pool else x


class PatchDiscriminator(nn.Module):
    """One scale: BxCxHxW to a Bx1xhxw map of scores, and every block's features for feature matching."""

    def __init__(
        self,
        num_channels: int = 3,
        block_expansion: int = 64,
        num_blocks: int = 4,
        max_features: int = 512,
        sn: bool = False,
        use_kp: bool = False,
        num_kp: int = 10,
        kp_variance: float = 0.01,
    ):
        super().__init__()
        widths = [min(max_features, block_expansion * 2**i) for i in range(num_blocks + 1)]
        widths[0] = num_channels + num_kp * use_kp
        self.down_blocks = nn.ModuleList(
            PatchBlock(widths[i], widths[i + 1], norm=i > 0, pool=i < num_blocks - 1, sn=sn)
            for i in range(num_blocks)
        )
        conv = nn.Conv2d(widths[-1], 1, 1)
        self.conv = spectral_norm(conv) if sn else conv
        self.use_kp = use_kp
        self.kp_variance = kp_variance

    def forward(self, image: Tensor, keypoints: Tensor | None = None) -> tuple[list[Tensor], Tensor]:
        out = image
        if self.use_kp:
            heatmaps = gaussian_heatmaps(keypoints, *image.shape[2:], self.kp_variance)
            out = torch.cat([out, heatmaps], dim=1)
        features = []
        for block in self.down_blocks:
            out = block(out)
            features.append(out)
        return features, self.conv(out)


class Discriminator(nn.Module):
    """A `PatchDiscriminator` for each scale of the image pyramid."""

    def __init__(self, scales: list[float] = (1,), **block_params):
        super().__init__()
        self.scales = tuple(scales)
        # A module's name cannot hold a point: scale 0.5 is saved as "0-5".
        self.discs = nn.ModuleDict(
            {str(s).replace(".", "-"): PatchDiscriminator(**block_params) for s in scales}
        )

    def forward(
        self, pyramid: dict[float, Tensor], keypoints: Tensor | None = None
    ) -> dict[float, tuple[list[Tensor], Tensor]]:
        """Features and scores of the pyramid's images, by scale; `keypoints` BxKx2 for models that see them."""
        return {
            scale: disc(pyramid[scale], keypoints)
            for scale, disc in zip(self.scales, self.discs.values(), strict=True)
        }
