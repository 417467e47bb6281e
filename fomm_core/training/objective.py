"""What is wrong with the networks' answers on some pairs: the terms that training minimises."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError
from ..models import Model
from ..network import DenseMotion, Discriminator, Keypoints
from . import losses
from .appearance import degraded, recoloured
from .data import Pairs
from .precision import in_bfloat16


class Objective:
    """The networks, asked for the terms of a batch. Safe to ask from several threads at once.

    Args:
        model: to be trained; it is moved to `device`.
        discriminator: judges its pictures.
        settings: `train_params` of the configuration.
        parts: the landmarks of eyes and mouth, which matter most.
    """

    def __init__(
        self,
        model: Model,
        discriminator: Discriminator,
        settings: dict,
        parts: list[int],
        device: torch.device,
    ):
        self.generator, self.detector = model.generator, model.kp_detector
        self.dense = self.generator.dense_motion_network
        if self.detector.jacobian is None or self.dense.occlusion is None:
            raise UserError("model", "Training needs estimate_jacobian and estimate_occlusion_map.")
        self.discriminator, self.settings, self.parts, self.device = discriminator, settings, parts, device
        for network in (self.generator, self.detector, discriminator):
            network.to(device, memory_format=torch.channels_last)
        if settings["bfloat16"]:
            in_bfloat16(model, device)
        self.motion = nn.ModuleList([self.detector, self.dense])
        self.painter = nn.ModuleList(m for m in self.generator.children() if m is not self.dense)
        # The same detector, for pictures that are scaled down already.
        self.small_detector = copy.copy(self.detector)
        self.small_detector._modules = {**self.detector._modules, "down": nn.Identity()}

    def motion_terms(self, pairs: Pairs, rng: torch.Generator) -> dict[str, Tensor]:
        """The motion's terms for small pictures, each in colours of its own."""
        source, driving = recoloured(pairs.source, rng), recoloured(pairs.driving, rng)
        return self._motion(pairs, source, driving, rng)[0]

    def picture_terms(self, pairs: Pairs, rng: torch.Generator, adversarial: float) -> dict[str, Tensor]:
        """The motion's and the picture's terms for whole pictures; against the discriminator if `adversarial`

        The adversarial terms are multiplied by `adversarial`, in [0, 1].
        """
        pairs = self.same_colours(pairs, rng)
        small = self.dense.down(pairs.source)
        driving = recoloured(self.dense.down(pairs.driving), rng, 0.7)
        terms, motion = self._motion(pairs, small, driving, rng)
        # Some pairs are warped by the true flow: errors of the flow would teach the generator to blur.
        chance = torch.rand(len(small), 1, 1, 1, generator=rng).to(small)
        known = (chance < self.settings["picture"]["true_flow"]) & (pairs.visible.permute(0, 2, 3, 1) > 0.5)
        way = motion._replace(deformation=torch.where(known, pairs.flow, motion.deformation))
        source = self.generator.encode(pairs.source.contiguous(memory_format=torch.channels_last))
        prediction = self.generator.decode(source, way)
        weight = losses.attention(pairs, self.parts)
        terms["picture"] = losses.picture_loss(prediction, pairs.driving, weight)
        del terms["occlusion"]  # it has decided; now it serves the picture
        if adversarial > 0:
            terms |= self._against(pairs, prediction, adversarial, rng)
        return terms

    def same_colours(self, pairs: Pairs, rng: torch.Generator) -> Pairs:
        """The pairs in other colours, source and driving frame alike."""
        both = recoloured(torch.cat([pairs.source, pairs.driving], dim=3), rng, 0.6)
        pairs.source, pairs.driving = both.chunk(2, dim=3)
        return pairs

    def _motion(
        self, pairs: Pairs, source: Tensor, driving: Tensor, rng: torch.Generator
    ) -> tuple[dict[str, Tensor], DenseMotion]:
        """The motion between small pictures, and what is wrong with it. Raises `NotFinite`."""
        views = degraded(torch.cat([source, driving]), rng)
        found = self.small_detector(views.contiguous(memory_format=torch.channels_last))
        require_finite(*found)
        origin, target = found[: len(source)], found[len(source) :]
        # The keypoints have landmarks of their own to learn from: no gradient has to cross the warps.
        motion = self.dense.from_small(source.contiguous(), _detached(target), _detached(origin))
        require_finite(motion.deformation, motion.occlusion_map)
        terms = losses.keypoint_losses(target, origin, pairs)
        terms["jacobian"] = losses.jacobian_loss(target, origin, pairs, rng)
        terms |= losses.dense_losses(motion, pairs, losses.attention(pairs, self.parts))
        return terms, motion

    def _against(
        self, pairs: Pairs, prediction: Tensor, strength: float, rng: torch.Generator
    ) -> dict[str, Tensor]:
        """The discriminator's loss on a crop of the pictures, and the generator's terms against it."""
        size = prediction.shape[-1]
        side = min(self.settings["picture"]["crop"], size)
        y, x = torch.randint(size - side + 1, (2,), generator=rng).tolist()
        places = (pairs.target + 1) / 2 * (size - 1) - pairs.target.new_tensor([x, y])
        places = places / (side - 1) * 2 - 1

        def judged(images: Tensor) -> tuple[list[list[Tensor]], list[Tensor]]:
            crop = images[:, :, y : y + side, x : x + side]
            scales = self.discriminator.scales
            pyramid = {s: F.interpolate(crop, scale_factor=s, mode="area") for s in scales}
            half = self.settings["bfloat16"]
            with torch.autocast(self.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
                answers = self.discriminator(pyramid, places).values()
            return [[f.float() for f in features] for features, _ in answers], [s.float() for _, s in answers]

        features, real = judged(pairs.driving)
        loss = losses.discriminator_loss(real, judged(prediction.detach())[1])
        terms = losses.adversarial_losses(features, *judged(prediction))
        return {name: strength * term for name, term in terms.items()} | {"discriminator": loss}


class NotFinite(Exception):
    """The networks' answers are no numbers any more."""


def require_finite(*values: Tensor) -> None:
    """Raises `NotFinite` where a value is not a number."""
    if not all(torch.isfinite(value).all() for value in values):
        raise NotFinite


def _detached(keypoints: Keypoints) -> Keypoints:
    return Keypoints(*(value.detach() for value in keypoints))
