"""What is wrong with a generator on one painting, warped and driven, and, against forgetting, on other pictures."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import NamedTuple

import numpy as np
import skimage.data
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import media
from ..models import Model
from ..network import DenseMotion, Generator, Keypoints, resized, warp
from .appearance import recoloured
from .losses import picture_loss
from .transparent import solve
from .warps import Reproduction, Warped, by_true_motion, doubled, reproduction, sitter, warped

_WARPED, _DRIVEN, _OTHERS = 1, 1, 1  # pictures of each kind in a batch
_RECOLOURED = 0.15  # how far the painting's colours vary
_HIDDEN = 0.5  # of the warped pictures have holes that the generator has to fill
# Pictures that everybody has who can find a face. None of them is a painting: the teacher's answers count.
_TEACHING, _CHECKED = ("chelsea.png", "coffee.png", "motorcycle_left.png"), "astronaut.png"
_KEPT = 10.0  # weight of what the teacher says
_FLAT = 0.02  # a sigmoid's slope that is taken for no less, for dividing by it
_FITTED = 6  # pairs of the painting to which the last layer is fitted
_TURN, _STRETCH, _SHIFT, _JITTER = 0.15, 0.06, 0.06, 0.008  # of keypoints, where no clip drives


class Standing(NamedTuple):
    """How well a model reproduces what it never sees: new deformations of the painting, and another picture."""

    painting: Reproduction
    other: Reproduction


class PaintingObjective:
    """The networks, asked for the terms of a batch.

    Args:
        model: to be tuned, on its device, in evaluation mode.
        painting: (h,w,3) uint8, the square of it that moves.
        poses: keypoints of the painting in N poses to show it in; where None, they are moved at random.
        dtype: of the convolutions, as `torch.autocast` takes it; None for float32.
    """

    def __init__(
        self,
        model: Model,
        painting: np.ndarray,
        poses: Keypoints | None = None,
        dtype: torch.dtype | None = None,
    ):
        self.model, self.poses, self.dtype = model, poses, dtype
        self.generator, self.detector = model.generator, model.kp_detector
        self.dense = self.generator.dense_motion_network
        self.teacher = copy.deepcopy(self.generator).requires_grad_(False)
        self.painter = nn.ModuleList(m for m in self.generator.children() if m is not self.dense)
        device = next(self.painter.parameters()).device
        self.picture = doubled(painting, model.frame_size).to(device)
        self.others = [_other_picture(name, model.frame_size).to(device) for name in _TEACHING]
        self.checked = _other_picture(_CHECKED, model.frame_size).to(device)
        self.still = F.avg_pool2d(self.picture, 2)
        with torch.no_grad():
            self.origin = self.detector(self.still)

    def standing(self) -> Standing:
        return Standing(reproduction(self.model, self.picture), reproduction(self.model, self.checked))

    @torch.no_grad()
    def last_layer(self, rng: torch.Generator) -> nn.Conv2d:
        """What to add to the generator's last convolution, so that it paints the painting best (least squares).

        On the other pictures its answers are to stay as they are.
        """
        final = self.generator.final
        features: list[Tensor] = []
        listening = final.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
        wrong, slopes = [], []
        try:
            for picture, count in ((self.picture, _FITTED), *((other, 1) for other in self.others)):
                pairs = warped(picture, count, self.model, rng)
                prediction = by_true_motion(self.model, pairs)
                slope = (prediction * (1 - prediction)).clamp(min=_FLAT)  # of the sigmoid
                off = (pairs.driving - prediction) / slope
                wrong.append(off if picture is self.picture else torch.zeros_like(off))
                slopes.append(slope.mean(1, keepdim=True))
        finally:
            listening.remove()
        correction = copy.deepcopy(final)
        solve(correction, torch.cat(features), torch.cat(wrong), torch.cat(slopes), rng)
        return correction

    def terms(self, rng: torch.Generator) -> dict[str, Tensor]:
        """What is wrong: with the painting warped, with it driven, and, against the teacher, with others."""
        own = warped(self.picture, _WARPED, self.model, rng)
        both = recoloured(torch.cat([own.source, own.driving], dim=3), rng, _RECOLOURED).chunk(2, dim=3)
        own = own._replace(source=both[0], driving=both[1])
        which = int(torch.randint(len(self.others), (), generator=rng))
        other = warped(self.others[which], _OTHERS, self.model, rng)
        source = torch.cat([own.source, self.still.expand(_DRIVEN, -1, -1, -1), other.source])
        motion = self._motion(source, own, other, rng)
        taught = self._taught(source, motion)
        # What the painting shows is known at its own sharpness, wherever the motion carries it.
        seen = motion.occlusion_map
        sight = torch.ones_like(source[:, :1]) if seen is None else resized(seen, source.shape[2:])
        driven = slice(_WARPED, _WARPED + _DRIVEN)
        carried = torch.lerp(taught, warp(source, motion.deformation), sight)[driven]
        hidden = _with_holes(motion, slice(_WARPED), rng)
        prediction = self._painted(self.generator, source, hidden)
        everywhere = torch.ones_like(source[:1, :1])
        return {
            "warped": picture_loss(prediction[:_WARPED], own.driving, everywhere),
            "driven": picture_loss(prediction[driven], carried, everywhere),
            # Squared: a little may change, much may not.
            "others": _KEPT * F.mse_loss(prediction[driven.stop :], taught[driven.stop :]),
        }

    @torch.no_grad()
    def _motion(self, source: Tensor, own: Warped, other: Warped, rng: torch.Generator) -> DenseMotion:
        """The motion of all sources: as the networks find it, but the true one where the painting is warped."""
        posed = self._posed(rng)
        found = self.detector(torch.cat([own.driving, other.driving]))
        target = Keypoints(
            *(
                None if part is None else torch.cat([part[:_WARPED], new, part[_WARPED:]])
                for part, new in zip(found, posed, strict=True)
            )
        )
        motion = self.dense(source, target, self.detector(source))
        return motion._replace(deformation=torch.cat([own.flow, motion.deformation[_WARPED:]]))

    def _posed(self, rng: torch.Generator) -> Keypoints:
        """Keypoints of the painting in a pose: one of the clip's, or else turned, stretched, shifted at random."""
        if self.poses is not None:
            chosen = torch.randint(len(self.poses.value), (_DRIVEN,), generator=rng)
            return Keypoints(*(None if part is None else part[chosen] for part in self.poses))
        value, jacobian = self.origin

        def normal(*shape: int) -> Tensor:
            return torch.randn(_DRIVEN, *shape, generator=rng).to(value)

        angle, size = _TURN * normal(), torch.exp(_STRETCH * normal(2))
        turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).view(-1, 2, 2)
        matrix = turn * size[:, None]
        middle = value.mean(1, keepdim=True)
        moved = (value - middle) @ matrix.mT + middle + _SHIFT * normal(1, 2)
        moved = moved + _JITTER * normal(*value.shape[1:])
        return Keypoints(moved, None if jacobian is None else matrix[:, None] @ jacobian)

    @torch.no_grad()
    def _taught(self, source: Tensor, motion: DenseMotion) -> Tensor:
        """What the model painted before it was tuned."""
        return self._painted(self.teacher, source, motion)

    def _painted(self, generator: Generator, source: Tensor, motion: DenseMotion) -> Tensor:
        half = self.dtype is not None
        with torch.autocast(source.device.type, self.dtype, enabled=half, cache_enabled=False):
            return generator.decode(generator.encode(source), motion).float()


def _other_picture(name: str, size: int) -> Tensor:
    """One of the pictures that come with scikit-image, as `sitter` gives it."""
    return sitter(media.as_seen(media.read_painting(Path(skimage.data.__file__).parent / name)), size)


def _with_holes(motion: DenseMotion, which: slice, rng: torch.Generator) -> DenseMotion:
    """The motion with smooth holes in some of the occlusion maps: there the source is said to be hidden."""
    seen = motion.occlusion_map
    if seen is None:
        return motion
    seen = seen.clone()
    count = len(seen[which])
    blobs = F.interpolate(torch.randn(count, 1, 6, 6, generator=rng), seen.shape[2:], mode="bicubic")
    whole = torch.rand(count, 1, 1, 1, generator=rng) >= _HIDDEN
    seen[which] *= (torch.sigmoid(12 * (0.9 - blobs)) + whole).clamp(max=1).to(seen)
    return motion._replace(occlusion_map=seen)
