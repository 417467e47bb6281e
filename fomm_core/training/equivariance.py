"""Equivariance: where a picture is deformed, its keypoints have to follow (paper, section 3.3).

Nobody tells the detector what a keypoint is. That it marks the same point of the object in every picture is
learned from pictures that a known transform deforms.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..network import Keypoints
from ..network.layers import coordinate_grid

_TINY = 1e-6  # keeps the logarithm of a distance finite


@dataclass
class ThinPlateSpline:
    """For each of B pictures a smooth map of the plane, near the identity: affine, bent around a grid of points.

    T(p) = A p + t + sum over the grid's points c of w_c U(|p - c|), with U(r) = r^2 log r.

    Attributes:
        affine: Bx2x3, A and t.
        weights: BxNx2, how far each of the N points bends the plane, along x and along y.
        points: Nx2, the grid, in [-1, 1].
    """

    affine: Tensor
    weights: Tensor
    points: Tensor

    @classmethod
    def random(
        cls,
        count: int,
        rng: torch.Generator,
        *,
        sigma_affine: float,
        sigma_tps: float,
        points_tps: int,
        device: torch.device | str = "cpu",
    ) -> ThinPlateSpline:
        """`count` maps: normal deviations from the identity, on a grid of `points_tps` x `points_tps` points."""
        affine = torch.eye(2, 3) + sigma_affine * torch.randn(count, 2, 3, generator=rng)
        weights = sigma_tps * torch.randn(count, points_tps**2, 2, generator=rng)
        points = coordinate_grid(points_tps, points_tps, affine).view(-1, 2)
        return cls(affine.to(device), weights.to(device), points.to(device))

    def __call__(self, places: Tensor) -> Tensor:
        """BxNx2 places, mapped."""
        linear, shift = self.affine[:, :, :2], self.affine[:, :, 2]
        squared = (places[:, :, None] - self.points).square().sum(-1)
        bend = 0.5 * squared * (squared + _TINY).log()
        return places @ linear.mT + shift[:, None] + bend @ self.weights

    def jacobian(self, places: Tensor) -> Tensor:
        """BxNx2x2: the derivative of the map at BxNx2 `places`, rows for what comes out."""
        offset = places[:, :, None] - self.points
        squared = offset.square().sum(-1, keepdim=True)
        slope = offset * ((squared + _TINY).log() + squared / (squared + _TINY))
        return self.affine[:, None, :, :2] + torch.einsum("bcj,bnci->bnji", self.weights, slope)

    def deform(self, images: Tensor) -> Tensor:
        """BxCxHxW pictures that show at p what `images` show at T(p); beyond their edges they are mirrored."""
        b, _, h, w = images.shape
        grid = coordinate_grid(h, w, images).view(1, -1, 2).expand(b, -1, -1)
        return F.grid_sample(
            images, self(grid).view(b, h, w, 2), padding_mode="reflection", align_corners=True
        )


def equivariance_losses(
    found: Keypoints, deformed: Keypoints, transform: ThinPlateSpline
) -> dict[str, Tensor]:
    """How far the keypoints are from following the transform.

    Args:
        found: keypoints of the pictures.
        deformed: keypoints of `transform.deform(pictures)`.

    Returns "equivariance_value", the mean distance along an axis between the keypoints and the mapped
    ones, and, where Jacobians are estimated, "equivariance_jacobian", the mean difference of
    J_found^-1 T' J_deformed from the identity: written so, making all Jacobians small gains nothing.
    """
    terms = {"equivariance_value": (found.value - transform(deformed.value)).abs().mean()}
    if found.jacobian is not None:
        mapped = transform.jacobian(deformed.value) @ deformed.jacobian
        wrong = torch.linalg.inv(found.jacobian) @ mapped - torch.eye(2).to(mapped)
        terms["equivariance_jacobian"] = wrong.abs().mean()
    return terms
