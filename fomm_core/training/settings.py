"""Which course a configuration describes, and whether all that it says can be meant, before anything runs."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterable
from pathlib import Path

import torch

from .. import models
from ..errors import UserError
from ..inference.form import precisions
from ..models import Model
from ..network import DenseMotionNetwork, Generator, KeypointDetector
from ..network.discriminator import PatchDiscriminator
from .course import Course, Setting
from .mixed import chosen_precision
from .patterns import (
    AMOUNT,
    ANY,
    AVERAGE,
    COUNT,
    SHAPE,
    SWITCH,
    Kind,
    Pattern,
    check,
    is_number,
    list_of,
)
from .published import published_settings

_CLIPS_EXAMPLE, _VIDEOS_EXAMPLE = "starter.yaml", "vox-256.yaml"
_PUBLISHED = {"num_epochs", "num_repeats", "batch_size", "loss_weights", "lr_generator", "transform_params"}
_KINDS = {
    bool: SWITCH,
    int: Kind("a whole number from 0", lambda value: type(value) is int and value >= 0),
    float: AMOUNT,
    list[float]: Kind(
        "a list of numbers above 0", lambda v: list_of(is_number)(v) and bool(v) and min(v) > 0
    ),
}


def learns_from_videos(config: dict) -> bool:
    """Whether `train_params` are in the published form (of videos), and not in starter's (of rendered clips)."""
    params = config.get("train_params")
    return isinstance(params, dict) and bool(_PUBLISHED & params.keys())


def training_settings(config: dict) -> dict:
    """`train_params` of `config`, after checking all that training takes from it.

    Raises:
        UserError: a key of `model_params`, `dataset_params` or `train_params` is missing, or unknown (the nearest
            right one is named), or its value is of another kind.
    """
    videos = learns_from_videos(config)
    example = _VIDEOS_EXAMPLE if videos else _CLIPS_EXAMPLE
    check(config.get("model_params"), _model_pattern(), "model_params", example)
    if videos:
        return published_settings(config, _frame_size(config))[0]
    check(config.get("dataset_params", {}), {"frame_shape?": SHAPE}, "dataset_params", example)
    pattern = _like(models.read_config("starter")["train_params"])
    pattern.pop("average", None)
    check(config.get("train_params"), pattern | {"average?": AVERAGE}, "train_params", example)
    return config["train_params"]


def build_course(setting: Setting, start: Model | None = None) -> Course:
    """The course that the configuration describes, from random weights or from those of `start`.

    Raises `UserError` where the data is for another course, or the model for another configuration.
    """
    # Not before it is needed: each brings its own data with it.
    if learns_from_videos(setting.config):
        from .from_videos import FromVideos

        if (found := _rendered(setting.data)) is not None:
            raise UserError(
                "arguments",
                f"There are rendered clips in {setting.data} ({found.name}), and the configuration is for videos.",
                "Train on them with one such as starter, or give a folder of videos.",
            )
        return FromVideos(setting, start)
    from .supervised import Supervised
    from .videos import find_videos

    if _rendered(setting.data) is None and setting.data.is_dir():
        try:
            videos, _ = find_videos(setting.data)
        except UserError:  # no videos either: the course says what is missing
            return Supervised(setting, start)
        raise UserError(
            "arguments",
            f"There are videos in {setting.data}, such as {videos[0].path.name}, and the configuration is for "
            "rendered clips.",
            "Train on them with one such as vox-256 or vox-adv-256, or give a folder with a dataset.json.",
        )
    return Supervised(setting, start)


def decided_precision(config: dict, name: str, device: torch.device) -> str:
    """What computes: fp32, bf16 or fp16, where `name` may be auto. Raises `UserError` where it cannot.

    On rendered clips auto is bf16 where the configuration wants it and `device` computes well in it: a processor
    that only imitates it takes many times as long as in fp32.
    """
    if learns_from_videos(config):
        return chosen_precision(name, device)
    if name == "auto":
        return "bf16" if config["train_params"]["bfloat16"] and "bf16" in precisions(device) else "fp32"
    if name == "fp16":
        raise UserError(
            "arguments", "Rendered clips are trained on in fp32 or bf16, not in fp16.", "Choose bf16."
        )
    return chosen_precision(name, device)


def _rendered(data: Path) -> Path | None:
    """The file that says what rendered clips show, if there is one."""
    return next(
        (path for folder in (data, data / "train") if (path := folder / "dataset.json").is_file()), None
    )


def _frame_size(config: dict) -> int:
    data = config.get("dataset_params")
    shape = data.get("frame_shape") if isinstance(data, dict) else None
    return shape[0] if SHAPE.fits(shape) else 256  # what is no shape will be told of


def _model_pattern() -> Pattern:
    """What the networks can be told, read off their definitions."""
    common = {"num_kp": COUNT, "num_channels": COUNT, "estimate_jacobian": SWITCH}
    dense = _arguments(DenseMotionNetwork, {*common, "estimate_occlusion_map"})
    return {
        "common_params": common,
        "kp_detector_params": _arguments(KeypointDetector, common),
        "generator_params": _arguments(Generator, common) | {"dense_motion_params": dense},
        "discriminator_params": _arguments(PatchDiscriminator, common) | {"scales?": _KINDS[list[float]]},
    }


def _arguments(network: type, without: Iterable[str]) -> Pattern:
    """The arguments of a network's constructor that are not given to it otherwise."""
    kinds = typing.get_type_hints(network.__init__)
    parameters = list(inspect.signature(network).parameters.values())
    return {
        p.name if p.default is p.empty else f"{p.name}?": _KINDS.get(kinds[p.name], ANY)
        for p in parameters
        if p.name not in without
    }


def _like(example: object) -> Kind | Pattern:
    """The pattern of values such as this one."""
    if isinstance(example, dict):
        return {key: _like(value) for key, value in example.items()}
    return COUNT if type(example) is int and example else _KINDS.get(type(example), ANY)
