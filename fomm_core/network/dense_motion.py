"""Dense motion network: from sparse keypoint motion to a place in the source for every pixel (section 3.1)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .keypoint_detector import Keypoints
from .layers import AntiAliasedDown, Hourglass, coordinate_grid, gaussian_heatmaps, sample
from .matting import keyed as without_wall


class DenseMotion(NamedTuple):
    """The motion from B driving poses to the source, at the resolution h x w of the network.

    Attributes:
        deformation: Bxhxwx2, where in the source each pixel comes from, (x, y) in [-1, 1].
        occlusion_map: Bx1xhxw in [0, 1], 0 where nothing in the source shows it (None if not estimated).
        mask: Bx(K+1)xhxw, how much each pixel follows the background (first) and each keypoint; sums to 1.
    """

    deformation: Tensor
    occlusion_map: Tensor | None
    mask: Tensor


class DenseMotionNetwork(nn.Module):
    """Combines the local affine motions around the keypoints (equations 4 and 5) with predicted masks.

    Args:
        keyed: the wall behind the sitter is taken from the sources that the network looks at, so that it sees where
            the sitter ends. The published networks see pictures as they are.
    """

    def __init__(
        self,
        num_kp: int,
        num_channels: int,
        block_expansion: int,
        num_blocks: int,
        max_features: int,
        estimate_occlusion_map: bool = False,
        scale_factor: float = 1,
        kp_variance: float = 0.01,
        keyed: bool = False,
    ):
        super().__init__()
        self.hourglass = Hourglass(
            (num_kp + 1) * (num_channels + 1), block_expansion, num_blocks, max_features
        )
        self.mask = nn.Conv2d(self.hourglass.outputs, num_kp + 1, 7, padding=3)
        self.occlusion = None
        if estimate_occlusion_map:
            self.occlusion = nn.Conv2d(self.hourglass.outputs, 1, 7, padding=3)
        self.down = AntiAliasedDown(num_channels, scale_factor) if scale_factor != 1 else nn.Identity()
        self.kp_variance, self.keyed = kp_variance, keyed

    def forward(self, source: Tensor, driving: Keypoints, origin: Keypoints) -> DenseMotion:
        """The motion of Bx3xHxW `source` images, whose keypoints are `origin`, to the poses `driving`."""
        return self.from_small(self.seen(source), driving, origin)

    def seen(self, source: Tensor) -> Tensor:
        """What the network looks at of Bx3xHxW images in [0, 1]: Bx3xhxw."""
        return self.key(self.down(source))

    def key(self, small: Tensor) -> Tensor:
        """The same of images that are scaled down already."""
        return without_wall(small) if self.keyed else small

    def from_small(self, small: Tensor, driving: Keypoints, origin: Keypoints) -> DenseMotion:
        """The same from a source as it is `seen` (it stays the same for a whole clip)."""
        motions, features = self.candidates(small, driving, origin)
        mask = self.mask(features).softmax(1)
        deformation = (motions * mask[..., None]).sum(1)
        occlusion = None if self.occlusion is None else self.occlusion(features).sigmoid()
        return DenseMotion(deformation, occlusion, mask)

    def candidates(self, small: Tensor, driving: Keypoints, origin: Keypoints) -> tuple[Tensor, Tensor]:
        """The motions to choose from, Bx(K+1)xhxwx2, and the features, BxCxhxw, that the choice is made by."""
        motions, views = self.views(small, driving, origin)
        return motions, self.hourglass(views)

    def views(self, small: Tensor, driving: Keypoints, origin: Keypoints) -> tuple[Tensor, Tensor]:
        """The motions to choose from, and what each makes of the source: the hourglass's input, BxCxhxw."""
        b, channels, h, w = small.shape
        motions = self.sparse_motions(driving, origin, h, w)
        k1 = motions.shape[1]
        # Each candidate motion's view of the source (section 3.2, "deformed source images").
        repeated = small[:, None].expand(b, k1, channels, h, w).reshape(b * k1, channels, h, w)
        deformed = sample(repeated, motions.reshape(b * k1, h, w, 2)).view(b, k1, channels, h, w)
        heatmaps = self.heatmap_differences(driving, origin, h, w)
        return motions, torch.cat([heatmaps, deformed], dim=2).flatten(1, 2)

    @staticmethod
    def sparse_motions(driving: Keypoints, origin: Keypoints, height: int, width: int) -> Tensor:
        """Bx(K+1)xHxWx2: the identity for the background, then each keypoint's affine motion (equation 4)."""
        grid = coordinate_grid(height, width, driving.value)
        if driving.jacobian is None:
            transform = torch.eye(2, dtype=grid.dtype, device=grid.device)
        else:
            transform = origin.jacobian @ torch.linalg.inv(driving.jacobian)
        # What a column and a row of the grid add to it: a matrix product for every place takes much longer.
        x, y = grid[0, :, 0] - driving.value[..., :1], grid[:, 0, 1] - driving.value[..., 1:]
        x, y = (offset[..., None] * transform[..., None, :, i] for i, offset in enumerate((x, y)))
        motions = x[:, :, None] + y[:, :, :, None] + origin.value[:, :, None, None]
        return torch.cat([grid.expand(len(motions), 1, -1, -1, -1), motions], dim=1)

    def heatmap_differences(self, driving: Keypoints, origin: Keypoints, height: int, width: int) -> Tensor:
        """Bx(K+1)x1xHxW: where parts moved to, minus where they came from (equation 6); the background's is 0."""
        difference = gaussian_heatmaps(driving.value, height, width, self.kp_variance)
        difference = difference - gaussian_heatmaps(origin.value, height, width, self.kp_variance)
        return torch.cat([torch.zeros_like(difference[:, :1]), difference], dim=1)[:, :, None]
