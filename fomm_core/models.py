"""Reading and writing models: safetensors of our own, published checkpoints.

A model file is safetensors with the tensors `generator.…` and `kp_detector.…` and, in its metadata, `config`
(the configuration as JSON) and where it comes from.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize

from . import catalogue, checkpoints
from .checkpoints import PARTS
from .errors import UserError
from .files import replacing, sha256, writing
from .network import Generator, KeypointDetector
from .registry import SUFFIX, config_names, config_path, registered

_CHUNK = 4 << 20  # bytes that are written at once


@dataclass
class Model:
    """A loaded model, in evaluation mode on the CPU.

    Attributes:
        name: what it is called in messages.
        config: its configuration, `model_params` in the published form.
        metadata: where it comes from; `sha256` identifies the weights.
    """

    name: str
    config: dict
    generator: Generator
    kp_detector: KeypointDetector
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def num_kp(self) -> int:
        return self.config["model_params"]["common_params"]["num_kp"]

    @property
    def frame_size(self) -> int:
        """Side of the square images the model works on, in pixels."""
        return self.config.get("dataset_params", {}).get("frame_shape", [256])[0]


def read_config(name_or_file: str) -> dict:
    """A configuration that ships with the package, or one in a YAML file. Raises `UserError`."""
    shipped = config_path(name_or_file)
    path = shipped if shipped.is_file() else Path(name_or_file)
    if not path.is_file():
        near = difflib.get_close_matches(name_or_file, config_names(), n=1)
        raise UserError(
            "model",
            f"There is no configuration {name_or_file!r}.",
            f"Did you mean {near[0]}?"
            if near
            else f"Use a YAML file, or one of {', '.join(config_names())}.",
        )
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError("model", f"The configuration {path} cannot be read: {reason}.") from error
    if not isinstance(config, dict) or not isinstance(config.get("model_params"), dict):
        raise UserError("model", f"The configuration {path} has no model_params.", "Is it one of this model?")
    return config


def build(config: dict, name: str = "model") -> Model:
    """The networks that `config` describes, with random weights. Raises `UserError` where it describes none."""
    try:
        params = config["model_params"]
        common = params["common_params"]
        kp_detector = KeypointDetector(**common, **params["kp_detector_params"])
        motion_common = {key: value for key, value in common.items() if key != "estimate_jacobian"}
        generator = Generator(**motion_common, **params["generator_params"])
        model = Model(name, config, generator.eval(), kp_detector.eval())
        _check_frame_size(model)
    except Exception as error:  # a wrong value fails wherever it is first used
        raise UserError(
            "model",
            f"The configuration of {name} does not describe a First Order Motion Model ({error}).",
            "Use the configuration that belongs to the model.",
        ) from error
    return model


def _build_unfilled(config: dict, name: str) -> Model:
    """The same without weights, for `_fill`: random ones for a published model would take seconds to draw."""
    with torch.device("meta"):
        return build(config, name)


def _check_frame_size(model: Model) -> None:
    """Raises `ValueError` where the networks cannot halve frames of the configured size as often as they do."""
    params = model.config["model_params"]
    for part in (params["kp_detector_params"], params["generator_params"]["dense_motion_params"]):
        side = model.frame_size * part.get("scale_factor", 1)
        if not 8 <= side <= 1024 or side % 2 ** part["num_blocks"]:
            raise ValueError(f"its networks do not take frames of {model.frame_size} pixels")


def load(name_or_file: str, config: str | None = None) -> Model:
    """A registered model by name, a model file of ours, or a published checkpoint with its configuration.

    Raises:
        UserError: no such model, or the file is not what it claims to be.
    """
    path = registered().get(name_or_file, Path(name_or_file))
    if not path.is_file():
        raise UserError(
            "model",
            f"There is no model {name_or_file!r}.",
            f"Use a file, or one of: {', '.join(registered()) or 'none is installed'}.",
        )
    if path.suffix == SUFFIX:
        return _load_safetensors(path)
    if config is None:
        raise UserError(
            "model",
            f"{path.name} does not say which configuration it has.",
            f"Name it with --config: one of {', '.join(config_names())}, or a YAML file.",
        )
    return load_checkpoint(path, config, sha256(path))


def save(
    path: Path,
    model: Model,
    metadata: dict[str, str],
    half: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write `model` as safetensors (fp16 where `half`), complete or not at all; `progress` as in `write`.

    Raises:
        UserError: the disk is full, or refuses.
    """
    dtype = torch.float16 if half else torch.float32
    tensors = {}
    for part in PARTS:
        for key, value in getattr(model, part).state_dict().items():
            tensors[f"{part}.{key}"] = value.to(
                dtype if value.is_floating_point() else value.dtype
            ).contiguous()
    write(path, serialize(tensors, {**metadata, "config": json.dumps(model.config)}), progress)


def write(path: Path, data: bytes, progress: Callable[[int, int], None] | None = None) -> None:
    """Write a file, complete or not at all; `progress` is told the bytes written and their number.

    Raises:
        UserError: the disk is full, or refuses.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        for start in range(0, len(data), _CHUNK):
            file.write(memoryview(data)[start : start + _CHUNK])
            if progress:
                progress(min(start + _CHUNK, len(data)), len(data))
        file.flush()
        os.fsync(file.fileno())  # a computer that loses its power must not keep the name without the content


def describe(name_or_file: str) -> dict[str, str]:
    """What `models info` prints, without building the networks. Raises `UserError`."""
    path = registered().get(name_or_file, Path(name_or_file))
    if not path.is_file() or path.suffix != SUFFIX:
        raise UserError("model", f"{name_or_file!r} is no model file of ours.", "See `models list`.")
    with _open_safetensors(path) as file:
        metadata = file.metadata() or {}
        parameters = sum(
            torch.Size(file.get_slice(key).get_shape()).numel()
            for key in file.keys()  # noqa: SIM118 - not a dict
        )
    config = _carried_config(path, metadata)
    try:
        keypoints = config["model_params"]["common_params"]["num_kp"]
    except (LookupError, TypeError) as error:
        raise UserError(
            "model",
            f"The configuration that {path.name} carries is not one of this model.",
            "Import it again.",
        ) from error
    metadata.pop("config")
    return {
        "file": str(path),
        "size": f"{path.stat().st_size / 1e6:.1f} MB",
        "parameters": f"{parameters / 1e6:.1f} M",
        "keypoints": str(keypoints),
        **metadata,
    }


def _load_safetensors(path: Path) -> Model:
    # A large file takes as long to hash as to check: both at once.
    with ThreadPoolExecutor(1) as beside, _open_safetensors(path) as file:
        digest = beside.submit(sha256, path)
        metadata = file.metadata() or {}
        states: dict[str, dict[str, torch.Tensor]] = {part: {} for part in PARTS}
        for key in file.keys():  # noqa: SIM118 - not a dict
            part, _, name = key.partition(".")
            states.setdefault(part, {})[name] = file.get_tensor(key)
        model = _build_unfilled(_carried_config(path, metadata), path.stem)
        _fill(model, states, path)
        model.metadata = {**metadata, "sha256": digest.result()}
    return model


def _carried_config(path: Path, metadata: dict[str, str]) -> dict:
    try:
        return json.loads(metadata["config"])
    except (KeyError, ValueError, RecursionError) as error:
        raise UserError(
            "model",
            f"{path.name} is safetensors, but of no model of ours: it carries no configuration.",
            "Import the published checkpoint with `models import`.",
        ) from error


def _is_finite(value: torch.Tensor) -> bool:
    """Whether all are numbers: the extremes tell, in a tenth of the time that looking at each takes."""
    return not value.numel() or bool(torch.isfinite(torch.stack(value.aminmax())).all())


def _open_safetensors(path: Path):
    try:
        return safe_open(path, "pt")
    except (SafetensorError, OSError) as error:
        raise UserError(
            "model", f"{path.name} is no safetensors file, or it is incomplete.", "Import the model again."
        ) from error


def load_checkpoint(path: Path, config: str | None, digest: str, file: BinaryIO | None = None) -> Model:
    """A published checkpoint.

    Args:
        config: its configuration; none takes the first shipped one that fits.
        digest: the file's SHA-256.
        file: the file, opened, where somebody wants to see how it is read.

    Raises:
        UserError: it is none, or does not fit the configuration.
    """
    model = (
        _build_unfilled(read_config(config), path.name) if config else None
    )  # first: reading takes its time
    states = checkpoints.read(path, file)
    if model is None:
        config = _fitting_config(states)
        if config is None:
            raise UserError(
                "model",
                f"{path.name} is a checkpoint of this model, but fits no configuration that was published.",
                "Name the YAML file that it was trained by.",
            )
        model = _build_unfilled(read_config(config), path.name)
    _fill(model, states, path, config)
    model.metadata = {
        "source": path.name,
        "source_config": Path(config).stem,
        "source_sha256": digest,
        "sha256": digest,
    }
    return model


def _fill(model: Model, states: dict[str, dict], path: Path, config: str | None = None) -> None:
    """Load `states` strictly into `model`, after checking names, shapes and numbers."""
    for part in PARTS:
        network = getattr(model, part)
        expected = network.state_dict()
        if problem := _difference(expected, states[part]):
            fitting = _fitting_config(states)
            raise UserError(
                "model",
                f"{path.name} does not fit the configuration {config or 'it carries'}: {part}.{problem}.",
                f"It fits the configuration {fitting}."
                if fitting
                else "Use the configuration that belongs to it.",
            )
        for key, value in states[part].items():
            if not _is_finite(value):
                raise UserError(
                    "model",
                    f"{path.name} is damaged: {part}.{key} holds values that are no numbers.",
                    "Get the file again from where it came.",
                )
        filled = {key: value.to(expected[key].dtype).contiguous() for key, value in states[part].items()}
        network.load_state_dict(filled, assign=True)


def _difference(expected: dict, found: dict) -> str | None:
    """The first way in which two state dicts differ in names or shapes, in words."""
    for key, value in expected.items():
        if key not in found:
            return f"{key} is missing"
        if not isinstance(found[key], torch.Tensor) or found[key].layout != torch.strided:
            return f"{key} is no plain tensor"
        if found[key].shape != value.shape:
            return f"{key} has the shape {tuple(found[key].shape)} instead of {tuple(value.shape)}"
    extra = {str(key) for key in found.keys() - expected.keys()}
    return f"{min(extra)} is not expected" if extra else None


def _fitting_config(states: dict[str, dict]) -> str | None:
    """The first shipped configuration that these state dicts fit, those of the published models before ours.

    For animating all that fit are the same.
    """
    published = [p.config for p in catalogue.PUBLISHED]
    for name in dict.fromkeys((*published, *config_names())):
        model = _build_unfilled(read_config(name), name)
        if not any(_difference(getattr(model, part).state_dict(), states[part]) for part in PARTS):
            return name
    return None
