"""Random appearance: a driving clip and a painting never look alike, so the detector must not mind looks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_LUMA = torch.tensor([0.299, 0.587, 0.114])


def recoloured(images: Tensor, rng: torch.Generator, strength: float = 1.0) -> Tensor:
    """Bx3xHxW pictures in [0, 1], each with its own saturation, tint, contrast, brightness, gamma."""
    b = len(images)

    def normal(sigma: float, *shape: int) -> Tensor:
        return torch.randn(b, *shape, generator=rng).to(images) * sigma * strength

    saturation = (1 + normal(0.45, 1, 1)).clamp(0, 2)
    matrix = saturation * torch.eye(3).to(images) + (1 - saturation) * _LUMA.to(images).expand(3, 3)
    matrix = matrix * torch.exp(normal(0.12, 3, 1)) * torch.exp(normal(0.3, 1, 1))
    mean = images.mean((2, 3))
    shift = mean + normal(0.1, 3) * 0.5 + normal(0.1, 1) - torch.einsum("bij,bj->bi", matrix, mean)
    out = torch.einsum("bij,bjhw->bihw", matrix, images) + shift[..., None, None]
    return out.clamp(1e-3, 1).pow(torch.exp(normal(0.25))[:, None, None, None])


def degraded(images: Tensor, rng: torch.Generator) -> Tensor:
    """Small Bx3xHxW pictures under uneven light, softened, with grain, some with a patch hidden."""
    b, _, h, w = images.shape

    def uniform(*shape: int) -> Tensor:
        return torch.rand(b, *shape, generator=rng)

    light = F.interpolate(torch.randn(b, 1, 4, 4, generator=rng), size=(h, w), mode="bicubic")
    out = images * (1 + 0.25 * uniform(1, 1, 1) * light)
    soft = F.avg_pool2d(F.pad(out, [1] * 4, mode="replicate"), 3, stride=1)
    out = torch.lerp(out, soft, (uniform(1, 1, 1) * 2.4 - 1).clamp(-0.6, 1))  # below 0 sharpens
    coarse = F.interpolate(torch.randn(b, 3, h // 2, w // 2, generator=rng), size=(h, w), mode="bilinear")
    out = out + 0.06 * uniform(1, 1, 1).square() * torch.randn(b, 3, h, w, generator=rng)
    out = out + 0.06 * uniform(1, 1, 1).square() * coarse
    # A hat's brim, hair, a hand: the landmarks under it are still to be found.
    x, y = torch.arange(w) / w, torch.arange(h) / h
    corner, side = uniform(2), 0.08 + 0.2 * uniform(2)
    across = ((x - corner[:, :1]) % 1 < side[:, :1])[:, None, None, :]
    down = ((y - corner[:, 1:]) % 1 < side[:, 1:])[:, None, :, None]
    hidden = across & down & (uniform(1, 1, 1) < 0.3)
    return torch.where(hidden, uniform(3, 1, 1), out).clamp(0, 1)
