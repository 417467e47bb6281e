"""What is wrong with the networks' answers on some pairs: the terms that training minimises."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError
from ..models import Model
from ..network import DenseMotion, Discriminator, Keypoints, resized
from . import losses
from .appearance import degraded, recoloured
from .data import Pairs
from .mixed import in_half

_TRANSFERRED = 0.7  # of the dense motion network's pairs
_BORDER = 4  # of a close-up, in places of the generator's features: what it paints there does not count


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
            in_half(model, device, torch.bfloat16)
        self.motion = nn.ModuleList([self.detector, self.dense])
        self.painter = nn.ModuleList(m for m in self.generator.children() if m is not self.dense)
        # The same detector, for pictures that are scaled down already.
        self.small_detector = copy.copy(self.detector)
        self.small_detector._modules = {**self.detector._modules, "down": nn.Identity()}

    def landmark_terms(self, pairs: Pairs, rng: torch.Generator) -> dict[str, Tensor]:
        """The keypoint detector's terms for small pictures, each in colours of its own."""
        views = torch.cat([recoloured(pairs.source, rng), recoloured(pairs.driving, rng)])
        return self._found(pairs, degraded(views, rng), rng)[0]

    def motion_terms(self, pairs: Pairs, rng: torch.Generator) -> dict[str, Tensor]:
        """The dense motion network's terms for small pictures; the detector only answers.

        The 7x7 convolutions that end the network cost more than the rest of it: the loss is taken on a window.
        """
        source, driving = recoloured(pairs.source, rng), recoloured(pairs.driving, rng)
        origin, target = self._looked_at(source, driving, rng)
        target = _transferred(pairs, origin, target, rng)
        motions, features = self.dense.candidates(source.contiguous(), target, origin)
        h, w = features.shape[2:]
        side = min(self.settings["motion"]["window"], h, w)
        y = int(torch.randint(h - side + 1, (), generator=rng))
        x = int(torch.randint(w - side + 1, (), generator=rng))
        rows, columns = slice(y, y + side), slice(x, x + side)
        # The heads pad by 3 themselves; what they see beyond the window is what they would see anyway.
        around = F.pad(features, [3] * 4)[:, :, y : y + side + 6, x : x + side + 6]
        around = around.contiguous(memory_format=torch.channels_last)
        inner = slice(3, 3 + side)
        log_mask = self.dense.mask(around)[:, :, inner, inner].log_softmax(1)
        occlusion = self.dense.occlusion(around)[:, :, inner, inner].sigmoid()
        motions = motions[:, :, rows, columns]
        mask = log_mask.exp()
        motion = DenseMotion((motions * mask[..., None]).sum(1), occlusion, mask)
        require_finite(motion.deformation)
        weight = losses.attention(pairs, self.parts)[:, :, rows, columns]
        window = pairs.window(rows, columns)
        terms = losses.dense_losses(motion, window, weight)
        terms["choice"] = losses.choice_loss(
            motions, log_mask, window.flow, weight * (0.2 + 0.8 * window.visible) * window.inside
        )
        return terms

    def picture_terms(self, pairs: Pairs, rng: torch.Generator, adversarial: float) -> dict[str, Tensor]:
        """The picture's terms for whole pictures; against the discriminator if `adversarial`.

        The motion networks have learned what they can from the truth; of them only the occlusion map goes on.
        The adversarial terms are multiplied by `adversarial`, in [0, 1].
        """
        pairs = self.same_colours(pairs, rng)
        small = self.dense.down(pairs.source)
        driving = recoloured(self.dense.down(pairs.driving), rng, 0.7)
        with torch.no_grad():
            origin, target = self._looked_at(small, driving, rng)
            motions, features = self.dense.candidates(small.contiguous(), target, origin)
            mask = self.dense.mask(features).softmax(1)
            deformation = (motions * mask[..., None]).sum(1)
        occlusion = self.dense.occlusion(features).sigmoid()
        # Some pairs are warped by the true flow: errors of the flow would teach the generator to blur.
        chance = torch.rand(len(small), 1, 1, 1, generator=rng).to(small)
        known = (chance < self.settings["picture"]["true_flow"]) & (pairs.visible.permute(0, 2, 3, 1) > 0.5)
        motion = DenseMotion(torch.where(known, pairs.flow, deformation), occlusion, mask)
        # The discriminator has a window of its own.
        close = (
            not adversarial and float(torch.rand((), generator=rng)) < self.settings["picture"]["close_ups"]
        )
        with torch.set_grad_enabled(not close):
            source = self.generator.encode(pairs.source.contiguous(memory_format=torch.channels_last))
        features = self.generator.carried(source, motion)
        weight, driving = losses.attention(pairs, self.parts), pairs.driving
        if close:
            features, driving, weight = self._close_up(pairs, features, weight, rng)
        prediction = self.generator.paint(features)
        terms = {"picture": losses.picture_loss(prediction, driving, weight)}
        # It has learned what is hidden; from here on it serves the picture above all.
        terms["occlusion"] = 0.1 * losses.occlusion_loss(motion, pairs)
        if adversarial > 0:
            terms |= self._against(pairs, prediction, adversarial, rng)
        return terms

    def _close_up(
        self, pairs: Pairs, features: Tensor, weight: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A window around an eye or the mouth of each pair, of carried features, driving frame and weight.

        What opens there has to be painted, and is a small part of a picture: so it is seen far more often in the
        same time.
        """
        count, _, height, width = features.shape
        scale = pairs.driving.shape[-1] // width
        side = min(self.settings["picture"]["crop"] // scale, height, width)
        parts = torch.tensor(self.parts)[torch.randint(len(self.parts), (count,), generator=rng)]
        places = pairs.target[torch.arange(count), parts].cpu()
        room = torch.tensor([width, height]) - side
        corners = ((places + 1) / 2 * torch.tensor([width, height]) - side / 2).round().long()
        corners = torch.minimum(corners.clamp(min=0), room).tolist()

        def windows(maps: Tensor, times: int = 1) -> Tensor:
            there = (
                (slice(y * times, (y + side) * times), slice(x * times, (x + side) * times))
                for x, y in corners
            )
            return torch.stack([image[:, y, x] for image, (y, x) in zip(maps, there, strict=True)])

        # Along the border the generator lacks what it sees in a whole picture.
        inner = F.pad(weight.new_ones([side - 2 * _BORDER] * 2), [_BORDER] * 4) if side > 4 * _BORDER else 1
        weight = windows(resized(weight, (height, width))) * inner
        close = windows(features).contiguous(memory_format=torch.channels_last)
        return close, windows(pairs.driving, scale), weight

    def same_colours(self, pairs: Pairs, rng: torch.Generator) -> Pairs:
        """The pairs in other colours, source and driving frame alike."""
        both = recoloured(torch.cat([pairs.source, pairs.driving], dim=3), rng, 0.6)
        pairs.source, pairs.driving = both.chunk(2, dim=3)
        return pairs

    @torch.no_grad()
    def _looked_at(
        self, source: Tensor, driving: Tensor, rng: torch.Generator
    ) -> tuple[Keypoints, Keypoints]:
        """The detector's keypoints of small pictures. Raises `NotFinite`."""
        views = degraded(torch.cat([source, driving]), rng)
        found = self.small_detector(views.contiguous(memory_format=torch.channels_last))
        require_finite(*found)
        return found[: len(source)], found[len(source) :]

    def _found(
        self, pairs: Pairs, views: Tensor, rng: torch.Generator
    ) -> tuple[dict[str, Tensor], Keypoints, Keypoints]:
        """The detector's terms, and its keypoints, for the sources and then the driving frames in `views`."""
        features = self.detector.predictor(views.contiguous(memory_format=torch.channels_last))
        log_heatmaps = self.detector.log_heatmaps(features)
        found = self.detector.keypoints(features, log_heatmaps.exp())
        require_finite(*found)
        origin, target = found[: len(pairs.source)], found[len(pairs.source) :]
        terms = losses.keypoint_losses(target, origin, pairs, self.parts)
        terms["heatmap"] = losses.heatmap_loss(
            log_heatmaps, torch.cat([pairs.origin, pairs.target]), self.parts
        )
        terms["jacobian"] = losses.jacobian_loss(target, origin, pairs, rng)
        return terms, origin, target

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


def _transferred(pairs: Pairs, origin: Keypoints, target: Keypoints, rng: torch.Generator) -> Keypoints:
    """`target`, of some pairs moved from the source's keypoints by as much as the landmarks have moved.

    So does relative motion move them, in which it does no harm what the detector gets wrong of a face, in all its
    frames alike. From two detections by themselves, each with an error as large as what lips do, the network would
    learn to doubt what they say.
    """
    chosen = torch.rand(len(pairs.target), 1, 1, generator=rng) < _TRANSFERRED
    moved = origin.value + pairs.target - pairs.origin
    return target._replace(value=torch.where(chosen.to(moved.device), moved, target.value))


class NotFinite(Exception):
    """The networks' answers are no numbers any more."""


def require_finite(*values: Tensor) -> None:
    """Raises `NotFinite` where a value is not a number."""
    if not all(torch.isfinite(value).all() for value in values):
        raise NotFinite
