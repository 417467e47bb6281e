"""What training minimises. The data knows the truth, so motion is supervised besides the picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..network import DenseMotion, Keypoints, resized
from ..network.layers import gaussian_heatmaps, sample
from .data import Pairs

_REACH = 0.2  # how far around a keypoint its Jacobian has to hold, in grid units
_SAMPLES = 24
_SPREAD = 0.03  # of a landmark's heatmap, about a cell of 64, in grid units
_EXPRESSIVE = 3.0  # times as much as others count the landmarks of eyes and mouth
_DOUBT = 0.008  # errors of a candidate motion that hardly matter, in grid units


def keypoint_losses(
    driving: Keypoints, origin: Keypoints, pairs: Pairs, parts: list[int]
) -> dict[str, Tensor]:
    """Distances from the landmarks, and of their motion between the frames, which relative transfer uses.

    What lies outside the picture is looked for at its edge. The landmarks `parts` count more.
    """
    weight = _importance(driving.value, parts)[:, None]
    wrong_driving = driving.value - pairs.target.clamp(-1, 1)
    wrong_origin = origin.value - pairs.origin.clamp(-1, 1)
    return {
        "keypoints": ((wrong_driving.abs() + wrong_origin.abs()) * weight).mean() / 2,
        "keypoint_motion": ((wrong_driving - wrong_origin).abs() * weight).mean(),
    }


def heatmap_loss(log_heatmaps: Tensor, places: Tensor, parts: list[int]) -> Tensor:
    """Cross entropy of BxKxhxw heatmaps with Gaussians around the true BxKx2 places.

    A mean place alone leaves the heatmap's shape open and its gradient flat; this makes it one sharp peak.
    """
    truth = gaussian_heatmaps(places.clamp(-1, 1), *log_heatmaps.shape[2:], variance=_SPREAD**2)
    truth = truth / truth.sum((2, 3), keepdim=True).clamp(min=1e-6)
    return -((truth * log_heatmaps).sum((2, 3)) * _importance(places, parts)).mean()


def _importance(places: Tensor, parts: list[int]) -> Tensor:
    """K weights for BxKx2 places, 1 on average: eyes and mouth move little, and that little is what one sees."""
    weight = places.new_ones(places.shape[1])
    weight[parts] = _EXPRESSIVE
    return weight / weight.mean()


def choice_loss(
    motions: Tensor, log_mask: Tensor, flow: Tensor, weight: Tensor, scale: Tensor | float = 1.0
) -> Tensor:
    """Cross entropy of the mask with how right each candidate motion is, by the truth alone.

    The deformation is the mask's mean of the motions: on its own it says only in which direction the mean is
    wrong. This says for every place which candidates are right there, whatever share they have by now: were they
    judged by their likelihood under the mask, one whose share has died would learn nothing any more. That is how
    lips and lids once lost theirs to the corners of mouth and eyes.

    Args:
        motions: Bx(K+1)xhxwx2 candidates.
        log_mask: Bx(K+1)xhxw.
        flow: Bxhxwx2, the truth.
        weight: Bx1xhxw.
        scale: Bx1x1x1, of the errors: in a motion half as strong half the error is as wrong.
    """
    wrong = ((motions - flow[:, None]).abs().mean(-1) / scale).clamp(max=0.5)
    right = (-wrong / _DOUBT).softmax(1)
    return -((right * log_mask).sum(1, keepdim=True) * weight).sum() / weight.sum()


def following_losses(
    motions: Tensor, log_mask: Tensor, places: Tensor, origin: Tensor, scale: Tensor, weight: Tensor
) -> dict[str, Tensor]:
    """How far from the source's keypoints the deformation leads at the driving frame's, and the choice there.

    Of the corners of a mouth that opens the flow says nothing in half of the pairs, for the source hides what is
    around them; the landmarks do. All that lies outside the maps is passed over.

    Args:
        motions, log_mask: as for `choice_loss`.
        places: BxPx2 keypoints, in [-1, 1] of the maps.
        origin: BxPx2, the source's.
        scale: B, of the errors.
        weight: B.
    """
    b, k1, h, w = log_mask.shape
    maps = torch.cat([motions.permute(0, 1, 4, 2, 3).reshape(b, 2 * k1, h, w), log_mask], dim=1)
    seen = sample(maps, places[:, :, None])[..., 0].mT
    motions, log_mask = seen[..., : 2 * k1].unflatten(-1, (k1, 2)), seen[..., 2 * k1 :].log_softmax(-1)
    weight = weight[:, None] * (places.abs() <= 1).all(-1)
    scale = scale[:, None, None]
    wrong = ((motions - origin[:, :, None]).abs().mean(-1) / scale).clamp(max=0.5)
    right = (-wrong / _DOUBT).softmax(-1)
    led = (log_mask.exp()[..., None] * motions).sum(2)
    apart = ((led - origin).abs() / scale).mean(-1)
    total = weight.sum().clamp(min=1)
    return {
        "following": (apart * weight).sum() / total,
        "choice": -((right * log_mask).sum(-1) * weight).sum() / total,
    }


def jacobian_loss(driving: Keypoints, origin: Keypoints, pairs: Pairs, rng: torch.Generator) -> Tensor:
    """How far the affine motion around each landmark (equation 4) is from the true flow there."""
    b, k = pairs.target.shape[:2]
    offsets = (torch.rand(b, k, _SAMPLES, 2, generator=rng) * 2 - 1) * _REACH
    offsets = offsets.to(pairs.target.device)
    places = pairs.target[:, :, None] + offsets
    flow = sample(pairs.flow.permute(0, 3, 1, 2), places).permute(0, 2, 3, 1)
    known = sample(pairs.visible * pairs.face * pairs.inside, places)[:, 0] > 0.99
    transform = origin.jacobian @ torch.linalg.inv(driving.jacobian)
    moved = (transform[:, :, None] @ offsets[..., None])[..., 0] + pairs.origin[:, :, None]
    wrong = (moved - flow).abs().mean(-1).clamp(max=1)
    return (wrong * known).sum() / known.sum().clamp(min=1)


def dense_losses(
    motion: DenseMotion, pairs: Pairs, weight: Tensor, scale: Tensor | float = 1.0
) -> dict[str, Tensor]:
    """The deformation against the true flow, mostly where it shows; the occlusion map against visibility.

    Within the sitter the deformation's change from place to place counts, too ("tearing"): errors that differ
    between neighbours tear a face, the same error all over only shifts it. `scale`, Bx1x1x1, as for `choice_loss`.
    """
    wrong = (motion.deformation - pairs.flow).permute(0, 3, 1, 2) / scale
    anywhere = weight * (0.2 + 0.8 * pairs.known) * pairs.inside
    sitter = weight * pairs.known * pairs.inside * pairs.face
    return {
        "deformation": (wrong.abs().mean(1, keepdim=True) * anywhere).sum() / anywhere.sum(),
        "tearing": sum(_uneven(wrong, sitter, axis) for axis in (2, 3)),
        "occlusion": occlusion_loss(motion, pairs, weight),
    }


def _uneven(wrong: Tensor, weight: Tensor, axis: int) -> Tensor:
    """How much Bx2xhxw errors differ between neighbours along an axis, where both have a Bx1xhxw weight."""
    ends = weight.shape[axis] - 1
    both = torch.minimum(weight.narrow(axis, 0, ends), weight.narrow(axis, 1, ends))
    return (wrong.diff(dim=axis).abs() * both).sum() / both.sum().clamp(min=1e-6) / 2


def occlusion_loss(motion: DenseMotion, pairs: Pairs, weight: Tensor) -> Tensor:
    """The occlusion map against visibility, as cross entropy, weighted by Bx1xhxw `weight`."""
    occlusion = motion.occlusion_map.clamp(1e-4, 1 - 1e-4)
    weight = weight * pairs.inside
    return F.binary_cross_entropy(occlusion, pairs.visible, weight=weight, reduction="sum") / weight.sum()


def attention(pairs: Pairs, parts: list[int]) -> Tensor:
    """Bx1xhxw weights of places: the sitter counts double, eyes and mouth (landmarks `parts`) far more."""
    near = gaussian_heatmaps(pairs.target[:, parts], *pairs.face.shape[2:], variance=0.004)
    return 1 + pairs.face + 4 * near.amax(1, keepdim=True)


def picture_loss(prediction: Tensor, truth: Tensor, weight: Tensor, levels: int = 3) -> Tensor:
    """L1 of the pictures and of their gradients, on a pyramid, weighted by Bx1xhxw `weight`."""
    total = prediction.new_zeros(())
    for level in range(levels):
        if level:
            prediction, truth = F.avg_pool2d(prediction, 2), F.avg_pool2d(truth, 2)
        weights = resized(weight, prediction.shape[2:])
        weights = weights / weights.mean()
        wrong = prediction - truth
        total = total + (wrong.abs() * weights).mean()
        total = total + (wrong.diff(dim=2).abs() * weights[:, :, 1:]).mean()
        total = total + (wrong.diff(dim=3).abs() * weights[..., 1:]).mean()
    return total / levels


def discriminator_loss(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Least squares GAN: real is 1, fake is 0."""
    return sum(((1 - r).square() + f.square()).mean() for r, f in zip(real, fake, strict=True))


def adversarial_losses(
    real: list[list[Tensor]], fake: list[list[Tensor]], scores: list[Tensor]
) -> dict[str, Tensor]:
    """The generator's side: `scores` of the fakes, and the distance of all `real` and `fake` features."""
    distances = [
        (r - f).abs().mean() for rs, fs in zip(real, fake, strict=True) for r, f in zip(rs, fs, strict=True)
    ]
    return {
        "adversarial": sum((1 - s).square().mean() for s in scores),
        "feature_matching": torch.stack(distances).mean(),
    }
