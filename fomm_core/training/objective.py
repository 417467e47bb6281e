"""What is wrong with the networks' answers on some pairs: the terms that training minimises."""

from __future__ import annotations

import copy
import threading
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError
from ..models import Model
from ..network import DenseMotion, Discriminator, Keypoints, resized
from . import losses
from .appearance import degraded, recoloured
from .data import Pairs, windows
from .expressions import invented
from .mixed import in_half
from .strength import turned, weakened

_TRANSFERRED = 0.85  # of the dense motion network's pairs
_WEAKER, _WEAKEST = 0.6, 0.1  # of these, the share that moves less than it does, and the least strength
_INVENTED_FACES = 0.6  # of these
# Half of these have Jacobians that turn by any share of the truth, and all have some noise, up to this much at full
# strength: of a face that speaks, the detector's tell little.
_UNTURNED, _NOISE = 0.5, 0.15
LOOK_AT = ("face", "face", "hidden", "anywhere")  # what the windows lie around that are kept of a pair
WINDOWS = len(LOOK_AT)
_INVENTED = 2.0  # times as much again counts what the source hides
_WALL = 0.2  # how often a window lies at what is hidden behind a sitter, against what is hidden of a sitter
_BORDER = 4  # of a window, in places of the generator's features: what it paints there does not count


@dataclass
class CloseUps:
    """What the decoder sees in N windows, and what it is to paint there.

    Attributes:
        features: NxCxhxw float16, carried by the motion.
        driving: Nx3xHxW uint8.
        weight: Nx1xhxw, 0 where the decoder lacks what it sees in a whole picture.
    """

    features: Tensor
    driving: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, index: Tensor) -> CloseUps:
        return CloseUps(self.features[index], self.driving[index], self.weight[index])

    @staticmethod
    def joined(parts: list[CloseUps]) -> CloseUps:
        columns = zip(*((part.features, part.driving, part.weight) for part in parts), strict=True)
        return CloseUps(*(torch.cat(column) for column in columns))


class Objective:
    """The networks, asked for the terms of a batch. Safe to ask from several threads at once.

    Args:
        model: to be trained; it is moved to `device`.
        discriminator: judges its pictures.
        settings: `train_params` of the configuration.
        parts: the landmarks of the eyes, and those of the mouth: they matter most.
        facial: these, and the others of brows, nose and chin, which no pose of the head hides either.
    """

    def __init__(
        self,
        model: Model,
        discriminator: Discriminator,
        settings: dict,
        parts: list[list[int]],
        facial: list[int],
        device: torch.device,
    ):
        self.generator, self.detector = model.generator, model.kp_detector
        self.dense = self.generator.dense_motion_network
        if self.detector.jacobian is None or self.dense.occlusion is None:
            raise UserError("model", "Training needs estimate_jacobian and estimate_occlusion_map.")
        if any(judge.use_kp for judge in discriminator.discs.values()):
            raise UserError(
                "arguments",
                "On rendered clips the discriminator is told no keypoints.",
                "Set its use_kp to false.",
            )
        self.discriminator, self.settings, self.device = discriminator, settings, device
        # Spectral norm keeps each forward pass's weights in the module: two at a time would mix them up.
        spectral = any(name.endswith("weight_orig") for name, _ in discriminator.named_parameters())
        self._one_at_a_time = threading.Lock() if spectral else nullcontext()
        self.kinds, self.parts = parts, [index for kind in parts for index in kind]
        self.facial = facial
        for network in (self.generator, self.detector, discriminator):
            network.to(device, memory_format=torch.channels_last)
        if settings["bfloat16"]:
            in_half(model, device, torch.bfloat16)
        self.motion = nn.ModuleList([self.detector, self.dense])
        self.decoder = nn.ModuleList(
            [self.generator.bottleneck, self.generator.up_blocks, self.generator.final]
        )
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
        chosen, strength = _strengths(len(source), rng)
        lot = torch.rand(len(source), generator=rng)
        pairs = weakened(invented(pairs, self.facial, chosen & (lot < _INVENTED_FACES), rng), strength)
        target = _transferred(pairs, origin, target, chosen, strength, rng)
        motions, features = self.dense.candidates(self.dense.key(source).contiguous(), target, origin)
        side = min(self.settings["motion"]["window"], *features.shape[2:])
        corners = self._corners(pairs, features.shape[2:], side, self.settings["motion"]["close_ups"], rng)
        # The heads pad by 3 themselves; what they see beyond the window is what they would see anyway.
        around = windows(F.pad(features, [3] * 4), corners, side + 6)
        around = around.contiguous(memory_format=torch.channels_last)
        inner = slice(3, 3 + side)
        log_mask = self.dense.mask(around)[:, :, inner, inner].log_softmax(1)
        occlusion = self.dense.occlusion(around)[:, :, inner, inner].sigmoid()
        motions = windows(motions, corners, side)
        mask = log_mask.exp()
        motion = DenseMotion((motions * mask[..., None]).sum(1), occlusion, mask)
        require_finite(motion.deformation)
        weight = windows(losses.attention(pairs, self.parts), corners, side)
        window = pairs.windows(corners, side)
        scale = strength.to(weight)[:, None, None, None]
        terms = losses.dense_losses(motion, window, weight, scale)
        weight = weight * (0.2 + 0.8 * window.known) * window.inside
        followed = losses.following_losses(
            motions, log_mask, _within(target.value[:, self.facial], corners, side, features.shape[2:]),
            origin.value[:, self.facial], strength.to(weight), chosen.to(weight),
        )  # fmt: skip
        terms["following"] = followed["following"]
        terms["choice"] = followed["choice"] + losses.choice_loss(
            motions, log_mask, window.flow, weight, scale
        )
        return terms

    def picture_terms(self, pairs: Pairs, rng: torch.Generator) -> dict[str, Tensor]:
        """The picture's terms for whole pictures.

        The motion networks have learned what they can from the truth; of them only the occlusion map goes on.
        """
        pairs = self.same_colours(pairs, rng)
        features, motion = self._carried(pairs, rng)
        weight = losses.attention(pairs, self.parts)
        prediction = self.generator.paint(features)
        return {
            "picture": losses.picture_loss(prediction, pairs.driving, weight),
            # It has learned what is hidden; from here on it serves the picture above all.
            "occlusion": 0.1 * losses.occlusion_loss(motion, pairs, weight),
        }

    @torch.no_grad()
    def close_ups(self, pairs: Pairs, rng: torch.Generator) -> CloseUps:
        """Windows of whole pictures, for `close_up_terms`: around eyes and mouths, at what is hidden, anywhere.

        What opens there has to be painted, and is a small part of a picture. All that comes before the decoder
        takes most of a step's time, and stands still: what it makes of a pair is seen several times.
        """
        pairs = self.same_colours(pairs, rng)
        features, _ = self._carried(pairs, rng)
        size = features.shape[2:]
        scale = pairs.driving.shape[-1] // size[1]
        side = min(self.settings["close_ups"]["crop"] // scale, *size)
        hidden = (1 - pairs.visible) * pairs.inside
        weight = losses.attention(pairs, self.parts) * (pairs.inside + _INVENTED * hidden)
        weight = resized(weight, size)
        found = []
        for kind in LOOK_AT:
            if kind == "hidden":
                corners = _around(_place_of(hidden * (_WALL + pairs.face), rng), size, side)
            else:
                corners = self._corners(pairs, size, side, float(kind == "face"), rng)
            larger = [(x * scale, y * scale) for x, y in corners]
            driving = windows(pairs.driving, larger, side * scale)
            found.append(
                CloseUps(
                    windows(features, corners, side).half(),
                    (driving * 255).round().byte(),
                    windows(weight, corners, side) * _complete(corners, size, side).to(weight),
                )
            )
        return CloseUps.joined(found)

    def close_up_terms(self, seen: CloseUps, adversarial: float) -> dict[str, Tensor]:
        """The decoder's terms for what it paints in windows; against the discriminator if `adversarial`.

        The adversarial terms are multiplied by `adversarial`, in [0, 1].
        """
        prediction = self.generator.paint(seen.features.float().contiguous(memory_format=torch.channels_last))
        truth = seen.driving / 255
        terms = {"picture": losses.picture_loss(prediction, truth, seen.weight)}
        if adversarial > 0:
            scale = truth.shape[-1] // seen.features.shape[-1]
            terms |= self._against(_inner(truth, scale), _inner(prediction, scale), adversarial)
        return terms

    def _carried(self, pairs: Pairs, rng: torch.Generator) -> tuple[Tensor, DenseMotion]:
        """The features of whole pictures' sources as the decoder sees them, and the motion that carries them.

        Some pairs are warped by the true flow: errors of the flow would teach the generator to blur.
        """
        small = self.dense.down(pairs.source)
        driving = recoloured(self.dense.down(pairs.driving), rng, 0.7)
        with torch.no_grad():
            origin, target = self._looked_at(small, driving, rng)
            motions, features = self.dense.candidates(self.dense.key(small).contiguous(), target, origin)
            mask = self.dense.mask(features).softmax(1)
            deformation = (motions * mask[..., None]).sum(1)
        occlusion = self.dense.occlusion(features).sigmoid()
        chance = torch.rand(len(small), 1, 1, 1, generator=rng).to(small)
        known = (chance < self.settings["picture"]["true_flow"]) & (pairs.known.permute(0, 2, 3, 1) > 0)
        motion = DenseMotion(torch.where(known, pairs.flow, deformation), occlusion, mask)
        source = self.generator.encode(pairs.source.contiguous(memory_format=torch.channels_last))
        return self.generator.carried(source, motion), motion

    def _corners(
        self, pairs: Pairs, size: tuple[int, int], side: int, close: float, rng: torch.Generator
    ) -> list[tuple[int, int]]:
        """The corner (x, y) of a window of maps of `size` for each pair: around an eye or the mouth of the share
        `close` of them, anywhere in the others.
        """
        count = len(pairs.target)
        # Tiles that lie side by side: of windows at random, hardly any would see the picture's border.
        extent = torch.tensor([size[1], size[0]])
        tiles = (extent - 1).div(side, rounding_mode="floor")  # besides the first
        number = (torch.rand(count, 2, generator=rng) * (tiles + 1)).long()
        anywhere = (number * (extent - side) / tiles.clamp(min=1)).round().long()
        kinds = torch.randint(len(self.kinds), (count,), generator=rng).tolist()
        parts = [
            self.kinds[kind][int(torch.randint(len(self.kinds[kind]), (), generator=rng))] for kind in kinds
        ]
        around = _around(pairs.target[torch.arange(count), parts].cpu(), size, side)
        chosen = torch.rand(count, 1, generator=rng) < close
        return [tuple(corner) for corner in torch.where(chosen, torch.tensor(around), anywhere).tolist()]

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

    def _against(self, truth: Tensor, prediction: Tensor, strength: float) -> dict[str, Tensor]:
        """The discriminator's loss on pictures, and the generator's terms against it."""

        def judged(images: Tensor) -> tuple[list[list[Tensor]], list[Tensor]]:
            pyramid = {
                s: F.interpolate(images, scale_factor=s, mode="area") for s in self.discriminator.scales
            }
            half = self.settings["bfloat16"]
            with torch.autocast(self.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
                answers = self.discriminator(pyramid).values()
            return [[f.float() for f in features] for features, _ in answers], [s.float() for _, s in answers]

        with self._one_at_a_time:
            (wanted, real), (found, fake) = judged(truth), judged(prediction)
        terms = losses.adversarial_losses(wanted, found, fake)
        terms = {name: strength * term for name, term in terms.items()}
        return terms | {"discriminator": losses.discriminator_loss(real, fake)}


def _inner(pictures: Tensor, scale: int = 1) -> Tensor:
    """Windows without what the decoder paints along their border, lacking what it sees in a whole picture."""
    border = _BORDER * scale
    return pictures[..., border:-border, border:-border] if pictures.shape[-1] > 4 * border else pictures


def _complete(corners: list[tuple[int, int]], size: tuple[int, int], side: int) -> Tensor:
    """Bx1xsidexside: 0 along a window's border, but where that is the picture's own border."""
    whole = torch.zeros(len(corners), 1, side, side)
    border = _BORDER if side > 4 * _BORDER else 0
    for one, (x, y) in zip(whole, corners, strict=True):
        left, top = border * (x > 0), border * (y > 0)
        right, bottom = side - border * (x + side < size[1]), side - border * (y + side < size[0])
        one[:, top:bottom, left:right] = 1
    return whole


def _around(places: Tensor, size: tuple[int, int], side: int) -> list[tuple[int, int]]:
    """The corners (x, y) of windows of maps of `size` around Bx2 places in [-1, 1], as far as there is room."""
    extent = torch.tensor([size[1], size[0]])
    corners = ((places + 1) / 2 * extent - side / 2).round().long().clamp(min=0)
    return [tuple(corner) for corner in torch.minimum(corners, extent - side).tolist()]


def _within(places: Tensor, corners: list[tuple[int, int]], side: int, size: tuple[int, int]) -> Tensor:
    """Bx...x2 places of maps of `size`, in [-1, 1], as places of the windows with these corners."""
    extent = places.new_tensor([size[1] - 1, size[0] - 1])
    corner = places.new_tensor(corners).view(-1, *[1] * (places.dim() - 2), 2)
    return ((places + 1) / 2 * extent - corner) / (side - 1) * 2 - 1


def _place_of(likely: Tensor, rng: torch.Generator) -> Tensor:
    """Bx2 places in [-1, 1], drawn by the Bx1xhxw map of how likely each is; any, where it is 0 everywhere."""
    h, w = likely.shape[2:]
    chances = likely.flatten(1).cpu()
    index = torch.multinomial(chances + 1e-6, 1, generator=rng)[:, 0]
    return torch.stack([index % w / (w - 1), index // w / (h - 1)], dim=1) * 2 - 1


def _strengths(count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Which of `count` pairs move as relative motion moves them, and the strength of each, 1 of the others."""
    lot, less, strength = torch.rand(3, count, generator=rng)
    chosen = lot < _TRANSFERRED
    strength = torch.where(less < _WEAKER, _WEAKEST + (1 - _WEAKEST) * strength.square(), 1.0)
    return chosen, torch.where(chosen, strength, 1.0)


def _transferred(
    pairs: Pairs,
    origin: Keypoints,
    target: Keypoints,
    chosen: Tensor,
    strength: Tensor,
    rng: torch.Generator,
) -> Keypoints:
    """`target`, of the pairs `chosen` (B) moved from the source's keypoints by as much as the landmarks have moved.

    So does relative motion move them, in which it does no harm what the detector gets wrong of a face, in all its
    frames alike. From two detections by themselves, each with an error as large as what lips do, the network would
    learn to doubt what they say. Their Jacobians are those of motion at that `strength` (B), less exact.
    """
    lot, less, noise = torch.rand(3, len(strength), generator=rng)
    jacobian = turned(origin, target, strength * torch.where(lot < _UNTURNED, less, 1.0))
    wrong = torch.randn(jacobian.shape, generator=rng) * (_NOISE * noise * strength)[:, None, None, None]
    jacobian = jacobian + wrong.to(jacobian) @ jacobian
    chosen = chosen.to(origin.value.device)[:, None, None]
    value = torch.where(chosen, origin.value + pairs.target - pairs.origin, target.value)
    return Keypoints(value, torch.where(chosen[..., None], jacobian, target.jacobian))


class NotFinite(Exception):
    """The networks' answers are no numbers any more."""


def require_finite(*values: Tensor) -> None:
    """Raises `NotFinite` where a value is not a number."""
    if not all(torch.isfinite(value).all() for value in values):
        raise NotFinite
