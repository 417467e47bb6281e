"""One picture and its known deformations: pairs to learn from, and how well a model reproduces them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from skimage.metrics import structural_similarity
from torch import Tensor

from .. import regions
from ..animator import resized as resized_image
from ..models import Model
from ..network.layers import coordinate_grid
from .equivariance import ThinPlateSpline

# About what a talking head does: an affine map near the identity, bent a little (in grid units).
_AFFINE, _BEND, _POINTS = 0.06, 0.004, 5
_FRAMING = 0.03  # how differently the picture is cropped, in the same measure
_STILL = 0.2  # of the pairs: most animations begin with the painting as it is
_HELD_BACK, _HELD_BACK_SEED = 6, 20260  # pairs that are measured and never trained on


class Warped(NamedTuple):
    """B pairs that show one picture, and the true motion between them.

    Attributes:
        source, driving: Bx3xSxS in [0, 1].
        flow: Bxhxwx2 at the dense motion network's resolution, where in the source each place of the driving
            frame is, (x, y) in [-1, 1].
    """

    source: Tensor
    driving: Tensor
    flow: Tensor


class Reproduction(NamedTuple):
    """How well a model reproduces deformations of a picture: L1 with colours in [0, 1], and SSIM."""

    l1: float
    ssim: float


def sitter(image: np.ndarray, size: int) -> Tensor:
    """The square around the face in an (H,W,3) uint8 picture, or its middle, as `doubled` gives it."""
    square = regions.around_sitter(image) or regions.centred_square(*image.shape[1::-1])
    return doubled(regions.crop(image, square), size)


def doubled(square: np.ndarray, size: int) -> Tensor:
    """A square (h,w,3) uint8 picture as 1x3x2Sx2S in [0, 1], twice as large as the model's frames of `size` S.

    What is sampled from it and then halved is as sharp as the picture itself.
    """
    pixels = resized_image(square, 2 * size, antialias=True)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def warped(picture: Tensor, count: int, model: Model, rng: torch.Generator) -> Warped:
    """`count` pairs of a 1x3x2Sx2S picture: framed at random, then deformed at random or, some, not at all."""
    side = model.generator.dense_motion_network.down(picture[..., ::2, ::2]).shape[-1]
    device = picture.device

    def spline(affine: float, bend: float) -> ThinPlateSpline:
        return ThinPlateSpline.random(
            count, rng, sigma_affine=affine, sigma_tps=bend, points_tps=_POINTS, device=device
        )

    framing, motion = spline(_FRAMING, 0), spline(_AFFINE, _BEND)
    places = coordinate_grid(side, side, picture).view(1, -1, 2).expand(count, -1, -1)
    # As in a portrait, what is in the middle moves and the picture's edge stays.
    moving = (1 - places**4).prod(-1, keepdim=True)
    moving = moving * (torch.rand(count, 1, 1, generator=rng) >= _STILL).to(device)
    flow = torch.lerp(places, motion(places), moving)

    def seen_at(places: Tensor) -> Tensor:
        coarse = framing(places).mT.view(count, 2, side, side)
        fine = F.interpolate(coarse, picture.shape[2:], mode="bilinear", align_corners=True)
        grid = fine.permute(0, 2, 3, 1)
        whole = picture.expand(count, -1, -1, -1)
        return F.avg_pool2d(F.grid_sample(whole, grid, padding_mode="reflection", align_corners=True), 2)

    return Warped(seen_at(places), seen_at(flow), flow.view(count, side, side, 2))


def by_true_motion(model: Model, pairs: Warped) -> Tensor:
    """Bx3xSxS: what the generator makes of the sources where the deformation is the true one."""
    source = model.generator.encode(pairs.source)
    origin, target = model.kp_detector(pairs.source), model.kp_detector(pairs.driving)
    motion = model.generator.motion(source, target, origin)
    return model.generator.decode(source, motion._replace(deformation=pairs.flow))


@torch.inference_mode()
def reproduction(model: Model, picture: Tensor) -> Reproduction:
    """How well `model` reproduces deformations of the 1x3x2Sx2S picture, always the same ones, by the true motion.

    With its own motion, the errors of that would be most of what is measured.
    """
    rng = torch.Generator().manual_seed(_HELD_BACK_SEED)
    wrong, alike = [], []
    for _ in range(_HELD_BACK):
        pair = warped(picture, 1, model, rng)
        prediction = by_true_motion(model, pair)
        wrong.append((prediction - pair.driving).abs().mean().item())
        one, other = (image[0].permute(1, 2, 0).cpu().numpy() for image in (prediction, pair.driving))
        alike.append(structural_similarity(one, other, channel_axis=-1, data_range=1))
    return Reproduction(float(np.mean(wrong)), float(np.mean(alike)))
