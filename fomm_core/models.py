"""Reading and writing models: safetensors of our own, published checkpoints safely.

A model file is safetensors with the tensors `generator.…` and `kp_detector.…` and, in its metadata, `config`
(the configuration as JSON) and where it comes from. A published checkpoint is a pickle of state dicts; only
`torch.load(weights_only=True)` ever reads it, which runs nothing that is in it.
"""

from __future__ import annotations

import difflib
import json
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .errors import UserError
from .files import refusal, replacing, sha256, writing
from .network import Generator, KeypointDetector
from .registry import BUNDLED, config_names, config_path, registered, user_folder

PARTS = ("generator", "kp_detector")  # what animating needs of a checkpoint
# How torch's restricted unpickler says that a file wants to call something.
_FORBIDDEN = ("unsupported global", "trying to call reduce", "can only create new", "can only build")
# How a file begins that torch.save of the torch 1.0 days wrote: a pickle of this number.
_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


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
    if path.suffix == ".safetensors":
        return _load_safetensors(path)
    if config is None:
        raise UserError(
            "model",
            f"{path.name} does not say which configuration it has.",
            f"Name it with --config: one of {', '.join(config_names())}, or a YAML file.",
        )
    return _load_published(path, config)


def save(path: Path, model: Model, metadata: dict[str, str], half: bool = False) -> None:
    """Write `model` as safetensors (fp16 where `half`), complete or not at all. Raises `UserError`."""
    dtype = torch.float16 if half else torch.float32
    tensors = {}
    for part in PARTS:
        for key, value in getattr(model, part).state_dict().items():
            tensors[f"{part}.{key}"] = value.to(
                dtype if value.is_floating_point() else value.dtype
            ).contiguous()
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode  # safetensors writes for the owner alone
        try:
            save_file(tensors, temporary, {**metadata, "config": json.dumps(model.config)})
            temporary.chmod(mode)
        except SafetensorError as error:  # its words for a full disk or a folder that cannot be written
            raise refusal(str(error)) from error


def import_checkpoint(path: Path, config: str, name: str | None = None) -> Path:
    """Convert a published checkpoint and register it. Returns the new file. Raises `UserError`."""
    model = load(str(path), config)
    name = name or re.sub(r"(-cpk)?(\.pth)?(\.tar)?$", "", path.name)
    if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
        raise UserError(
            "arguments",
            f"{name!r} cannot name a model.",
            "Use letters, digits, points, dashes and underscores.",
        )
    if (BUNDLED / f"{name}.safetensors").exists():
        raise UserError(
            "arguments", f"{name} is the name of the bundled model.", "Choose another with --name."
        )
    target = user_folder() / f"{name}.safetensors"
    source = {key: value for key, value in model.metadata.items() if key.startswith("source")}
    save(target, model, {**source, "name": name})
    return target


def describe(name_or_file: str) -> dict[str, str]:
    """What `models info` prints, without building the networks. Raises `UserError`."""
    path = registered().get(name_or_file, Path(name_or_file))
    if not path.is_file() or path.suffix != ".safetensors":
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
    with _open_safetensors(path) as file:
        metadata = file.metadata() or {}
        states: dict[str, dict[str, torch.Tensor]] = {part: {} for part in PARTS}
        for key in file.keys():  # noqa: SIM118 - not a dict
            part, _, name = key.partition(".")
            states.setdefault(part, {})[name] = file.get_tensor(key)
    model = _build_unfilled(_carried_config(path, metadata), path.stem)
    _fill(model, states, path)
    model.metadata = {**metadata, "sha256": sha256(path)}
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


def _open_safetensors(path: Path):
    try:
        return safe_open(path, "pt")
    except (SafetensorError, OSError) as error:
        raise UserError(
            "model", f"{path.name} is no safetensors file, or it is incomplete.", "Import the model again."
        ) from error


def _load_published(path: Path, config: str) -> Model:
    model = _build_unfilled(read_config(config), path.name)
    states = _read_checkpoint(path)
    _fill(model, states, path, config)
    digest = sha256(path)
    model.metadata = {
        "source": path.name,
        "source_config": Path(config).stem,
        "source_sha256": digest,
        "sha256": digest,
    }
    return model


def _read_checkpoint(path: Path) -> dict:
    """The state dicts in a file of `torch.save`; nothing in the file is run. Raises `UserError`."""
    again = "Download the checkpoint again from the authors' page."
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        raise UserError(
            "model", f"{path} cannot be read: {error.strerror}.", "Check who may read it."
        ) from error
    if head.lstrip()[:1] == b"<":
        raise UserError("model", f"{path.name} is a web page that a browser saved, not a checkpoint.", again)
    try:
        with warnings.catch_warnings(action="ignore"):  # what torch has to say is said below
            data = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged pickles fail in as many ways as there are bytes
        words = str(error).lower()
        if any(phrase in words for phrase in _FORBIDDEN):
            raise UserError(
                "model",
                f"{path.name} holds something other than weights, which could be harmful; nothing in it was run.",
                "Use only checkpoints from the authors' page.",
            ) from error
        if head[:2] == b"PK":
            raise UserError("model", f"{path.name} is a zip archive without a checkpoint.", again) from error
        if head.startswith(_MAGIC):  # it begins as a checkpoint does: the end is missing
            raise UserError(
                "model",
                f"{path.name} is incomplete: it ends after {path.stat().st_size:,} bytes.",
                again,
            ) from error
        raise UserError("model", f"{path.name} is no checkpoint, or it is damaged.", again) from error
    if not isinstance(data, dict) or not all(isinstance(data.get(part), dict) for part in PARTS):
        raise UserError(
            "model",
            f"{path.name} is a checkpoint, but of another network: it has no generator and keypoint detector.",
            "Use a checkpoint of the First Order Motion Model.",
        )
    return {part: data[part] for part in PARTS}


def _fill(model: Model, states: dict[str, dict], path: Path, config: str | None = None) -> None:
    """Load `states` strictly into `model`, after checking names, shapes and numbers."""
    for part in PARTS:
        network = getattr(model, part)
        expected = network.state_dict()
        if problem := _difference(expected, states[part]):
            raise UserError(
                "model",
                f"{path.name} does not fit the configuration {config or 'it carries'}: {part}.{problem}.",
                _fitting_config(states, config),
            )
        for key, value in states[part].items():
            if not torch.isfinite(value).all():
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


def _fitting_config(states: dict[str, dict], tried: str | None) -> str:
    """A hint that names a shipped configuration which does fit."""
    for name in config_names():
        if name != tried:
            model = _build_unfilled(read_config(name), name)
            if not any(_difference(getattr(model, p).state_dict(), states[p]) for p in PARTS):
                return f"It fits --config {name}."
    return "Use the configuration that belongs to it."
