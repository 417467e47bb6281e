"""The course of the published configurations: learning from ordinary videos, with the paper's losses."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch
from torch import Tensor

from .. import models
from ..errors import UserError
from . import mixed
from .course import Course, Limit, Setting, Shown, Terms, require_fitting
from .perceptual import Vgg19Features, perceptual_features
from .published import published_settings
from .self_supervised import SelfSupervisedObjective, build_discriminator
from .videos import FrameCache, VideoPairs, batches, epoch_length, find_videos

FRAMES = "frames"  # where in the output folder decoded movies are kept; it may be deleted at any time
_READERS = {"cuda": 4, "cpu": 1}  # processes that read ahead
_MINUTES = 10.0  # that a kill may cost, where checkpoint_freq says more
_SHOWN = 6


class _Sooner(Limit):
    """Whichever of the two comes first."""

    def reached(self, steps: int, seconds: float) -> float:
        return max(steps / self.steps, seconds / (60 * self.minutes))


class FromVideos(Course):
    """Trains on a folder of videos as `train_params` and `dataset_params` of the configuration say.

    Args:
        setting: where and how.
        model: to go on from; without it, one with random weights.

    Raises:
        UserError: the configuration, the data or the model cannot be used.
    """

    columns = ("perceptual", "equivariance_value", "equivariance_jacobian")
    columns += ("adversarial", "feature_matching", "discriminator")
    whole_statistics = True

    def __init__(self, setting: Setting, model: models.Model | None = None):
        torch.manual_seed(setting.seed)
        config = setting.config
        self.setting = setting
        self.model = models.build(config) if model is None else model
        require_fitting(self.model, config)
        self.settings, data = published_settings(config, self.model.frame_size)
        self.batch = self._whole_batch()
        self._news: list[str] = []
        self._told: set[str] = set()
        self._find(data)
        self._build(config, begun=model is not None)
        self.epoch = epoch_length(self.pairs, self.batch)
        self.limit = Limit(steps=self.settings["num_epochs"] * self.epoch)
        self.save_every = _Sooner(self.settings["checkpoint_freq"] * self.epoch, _MINUTES)
        self.clip, self.average = self.settings.get("clip"), self.settings.get("average")
        self._stream: Iterator[tuple[Tensor, Tensor]] | None = None
        self._next = 0  # the batch that the stream comes to next
        self._shown: Shown | None = None

    def _whole_batch(self) -> int:
        """Pairs in a step of all processes: batch_size, or the next smaller number that they can share."""
        batch, world = self.settings["batch_size"], self.setting.world
        if batch < world:
            raise UserError(
                "arguments",
                f"A batch of {batch} pairs cannot be shared by {world} processes.",
                "Start fewer processes, or raise batch_size.",
            )
        return batch - batch % world

    def _find(self, params: dict) -> None:
        train, self.held_out = find_videos(self.setting.data)
        self.cache = FrameCache(self.setting.output / FRAMES, self.model.frame_size)
        self.pairs = VideoPairs(
            train,
            self.cache,
            num_repeats=self.settings["num_repeats"],
            id_sampling=params.get("id_sampling", False),
            augmentation=params.get("augmentation_params"),
            seed=self.setting.seed,
        )

    def _build(self, config: dict, begun: bool) -> None:
        device, precision = self.setting.device, self.setting.precision
        self.networks = {
            "generator": self.model.generator,
            "kp_detector": self.model.kp_detector,
            "discriminator": build_discriminator(config),
        }
        for network in self.networks.values():
            network.to(device)
        features = perceptual_features(self._news.append)
        self.features = "VGG-19" if isinstance(features, Vgg19Features) else "random filters"
        discriminator = self.networks["discriminator"]
        if precision in mixed.DTYPES:
            dtype = mixed.DTYPES[precision]
            mixed.in_half(self.model, device, dtype)
            for network in (features, discriminator):
                mixed.autocast_whole(network, device, dtype)
        self.objective = SelfSupervisedObjective(self.model, discriminator, features, self.settings, device)
        # Rates are the loop's business; a detector whose rate is nothing stays as it is.
        self._trained = {name for name in self.networks if self.settings[f"lr_{name}"] > 0}
        if not self.objective.adversarial:
            self._trained.discard("discriminator")
        for name, network in self.networks.items():
            network.requires_grad_(name in self._trained)
        self.optimizers = {
            name: torch.optim.Adam(network.parameters(), betas=(0.5, 0.999))
            for name, network in self.networks.items()
        }
        if not begun and "kp_detector" not in self._trained:
            self._news.append(
                "lr_kp_detector is 0: the keypoint detector stays at its random weights. Fine-tune a trained "
                "model with this configuration instead."
            )

    def begin(self, step: int, progress: float, rng: torch.Generator) -> bool:
        for name, network in self.networks.items():
            network.train(name in self._trained)
        return False

    def rates(self, step: int, progress: float) -> dict[str, float]:
        """A tenth for every milestone that is behind, and less while they warm up."""
        behind = sum(milestone <= step // self.epoch for milestone in self.settings["epoch_milestones"])
        factor = 0.1**behind * min(1.0, (step + 1) / self.settings.get("warm_up", 1))
        return {name: self.settings[f"lr_{name}"] * factor for name in self.networks if name in self._trained}

    def terms(self, step: int, progress: float, rng: torch.Generator) -> Terms:
        source, driving = (frames.to(self.setting.device) / 255 for frames in self._batch(step))
        terms, prediction, target = self.objective.generator_terms(source, driving, rng)
        loss, judged = sum(terms.values()), None
        if "discriminator" in self._trained:
            judged = self.objective.discriminator_term(prediction, driving, target)
            terms = terms | {"discriminator": judged}
        return Terms(terms, loss, judged)

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        if self._stream is None or step != self._next:
            self.close()
            setting = self.setting
            readers = _READERS.get(setting.device.type, 1) if setting.workers is None else setting.workers
            self._stream = batches(
                self.pairs,
                self.batch,
                first=step,
                workers=min(readers, os.cpu_count() or 1),
                rank=setting.rank,
                world=setting.world,
            )
        self._next = step + 1
        return next(self._stream)

    def shown(self) -> Shown:
        """Pairs of held-out videos, or of the others where none can be shown."""
        if self._shown is None:
            pairs = self.pairs
            if self.held_out:
                with contextlib.suppress(UserError):  # none of them can be used: those of the training do
                    pairs = VideoPairs(self.held_out, self.cache)
            source, driving = pairs.shown(_SHOWN)
            self._shown = Shown(source.to(self.setting.device), driving.to(self.setting.device))
        return self._shown

    def about(self) -> dict[str, str]:
        return {"data": f"{len(self.pairs.videos)} videos", "perceptual_loss": self.features}

    def news(self) -> list[str]:
        skipped = {name: why for name, why in self.cache.skipped().items() if name not in self._told}
        lines = self._news + [f"skipped {name}: {why}" for name, why in skipped.items()]
        self._news = []
        self._told.update(skipped)
        return lines

    def state(self) -> dict[str, object]:
        return {"perceptual_loss": self.features}

    def load_state(self, state: dict) -> None:
        begun = state["perceptual_loss"]
        if begun != self.features:
            raise UserError(
                "model",
                f"This training was begun with {begun} for the perceptual loss, and here it has {self.features}.",
                "Resume where the same are at hand, or train anew into another folder.",
            )

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
