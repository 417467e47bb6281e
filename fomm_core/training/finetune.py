"""Adapting a model that is there: to one painting, or to a category of videos (`python -m fomm_core finetune`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from .. import media, models, protocol, regions, sitters
from ..animator import Animator, pick_device
from ..control import Control
from ..errors import UserError
from ..files import sha256
from ..job import prepare
from ..models import Model
from ..network import Keypoints
from . import checkpoint
from .course import Course, Limit, Setting, architecture
from .from_videos import FromVideos
from .mixed import chosen_precision
from .painting import Painting
from .trainer import Trainer, require_one

_NETWORKS = ("common_params", "kp_detector_params", "generator_params")
_CATEGORY = Limit(minutes=60)
_PUBLISHED = "vox-256"  # how the authors train; where a model's own configuration says nothing of it


def finetune_painting(
    model: str,
    painting: Path,
    output: Path,
    *,
    config: str | None = None,
    driving: Path | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    seed: int = 0,
    resume: bool = False,
    say: Callable[[str], None] = print,
) -> Path:
    """Adapt `model` to one painting; returns the tuned model's file. See `painting.Painting`.

    Args:
        model, config: as `models.load` takes them.
        driving: a clip whose motion the painting is to be shown in, or a motion track of the model.
        minutes, steps: how long to tune, one of the two; `Painting.limit` where neither is given.
        precision: auto, fp32, bf16 or fp16.
        resume: go on from the checkpoint in `output`.
        say: takes a line now and then, at last one that says what has been reached.

    Raises:
        UserError: a file cannot be read or written, or the model does not fit.
    """
    limit = _limit(minutes, steps, Painting.limit)
    if not resume:
        checkpoint.require_none(output)
    pixels = media.as_seen(media.read_painting(painting))
    start = _loaded(model, config)
    square, poses = _as_animated(start, pixels, driving, device, say)
    origin = _tuned_from(start) | {
        "motion_sha256": start.metadata.get("motion_sha256", start.metadata["sha256"]),
        "painting": painting.name,
        "painting_sha256": sha256(painting),
    }
    setting = _setting(start, painting, output, device, precision, seed)
    course = Painting(setting, start, square, poses, origin)
    path = _trained(course, setting, limit, resume, say)
    say(course.outcome())
    return path


def finetune_category(
    model: str,
    data: Path,
    output: Path,
    *,
    config: str | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    seed: int = 0,
    resume: bool = False,
    say: Callable[[str], None] = print,
) -> Path:
    """Adapt `model` to what the videos of a folder show, as the paper trains; returns the tuned model's file.

    Losses, rates and augmentation are those of `config`; else of the model's own configuration, where that is in
    the published form; else the published ones for faces. An hour, where nothing else is said; the rest as for
    `finetune_painting`.
    """
    limit = _limit(minutes, steps, _CATEGORY)
    if not resume:
        checkpoint.require_none(output)
    start = _loaded(model, config)
    chosen = start.config if config is None else models.read_config(config)
    if config is None and "loss_weights" not in (chosen.get("train_params") or {}):
        chosen = models.read_config(_PUBLISHED)
    networks = {key: value for key, value in start.config["model_params"].items() if key in _NETWORKS}
    judge = {key: value for key, value in chosen["model_params"].items() if key == "discriminator_params"}
    start.config = {
        "dataset_params": {**chosen.get("dataset_params", {}), "frame_shape": [start.frame_size] * 2 + [3]},
        "model_params": networks | judge,
        "train_params": chosen.get("train_params"),
    }
    setting = _setting(start, data, output, device, precision, seed)
    return _trained(_Category(setting, start), setting, limit, resume, say)


class _Category(FromVideos):
    """The course of the published configurations, from the weights of a model that is there."""

    def __init__(self, setting: Setting, model: Model):
        super().__init__(setting, model)
        self._origin = _tuned_from(model)

    def about(self) -> dict[str, str]:
        return super().about() | self._origin


def _trained(
    course: Course, setting: Setting, limit: Limit, resume: bool, say: Callable[[str], None]
) -> Path:
    trainer = Trainer(course, setting, limit, say)
    if resume:
        trainer.restore()
    return trainer.run()


def _limit(minutes: float | None, steps: int | None, otherwise: Limit) -> Limit:
    require_one(minutes, steps)
    return otherwise if minutes is None and steps is None else Limit(steps, minutes)


def _setting(model: Model, data: Path, output: Path, device: str, precision: str, seed: int) -> Setting:
    picked = pick_device(device)
    return Setting(model.config, data, output, picked, chosen_precision(precision, picked), seed)


def _loaded(model: str, config: str | None) -> Model:
    """The model; `config`, where given, must describe it. Raises `UserError`."""
    loaded = models.load(model, config)
    if config is not None and architecture(models.read_config(config)) != architecture(loaded.config):
        raise UserError(
            "model",
            f"The model {loaded.name} has another architecture than the configuration {config} describes.",
            "Leave out --config, or name the one that the model was trained with.",
        )
    return loaded


def _tuned_from(model: Model) -> dict[str, str]:
    return {"tuned_from": model.name, "tuned_from_sha256": model.metadata["sha256"]}


def _as_animated(
    model: Model, painting: np.ndarray, driving: Path | None, device: str, say: Callable[[str], None]
) -> tuple[np.ndarray, Keypoints | None]:
    """What moves of a painting, (h,w,3), and its keypoints in the motion of a clip, as animating it moves them.

    Raises `UserError`.
    """
    animator = Animator(model, device)
    if driving is None:
        found = sitters.moving(painting, regions.around_sitters(painting), animator)
        region = found[0] if found else regions.centred_square(*painting.shape[1::-1])
        return regions.crop(painting, region), None

    def report(event: object) -> None:
        if isinstance(event, protocol.Warning):
            say(event.sentence)

    job = protocol.Job("", str(driving), "", device=device)
    sitter = prepare(job, painting, animator, Control("finetune", report)).sitters[0]
    poses = (torch.from_numpy(part).to(pick_device(device)) for part in (sitter.value, sitter.jacobian))
    return regions.crop(painting, sitter.region), Keypoints(*poses)
