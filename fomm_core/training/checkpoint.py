"""All that resuming needs, on disk: the networks' weights, and the state of everything else.

The two files of a save carry its name, outside and within. `checkpoint.json` says which save counts and is
replaced in one go when both files are complete: whenever the process is killed or the disk runs full, it leads
to files that belong together.
"""

from __future__ import annotations

import contextlib
import io
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import UserError
from ..files import refusal, remove_leftovers, replacing

POINTER = "checkpoint.json"
_WEIGHTS, _STATE = "weights-{}.safetensors", "state-{}.pt"


@dataclass
class Checkpoint:
    """A training after `step` steps.

    Attributes:
        weights: tensors by name.
        state: tensors, numbers, words, lists and dicts; nothing else can be read again.
    """

    step: int
    weights: dict[str, Tensor]
    state: dict[str, object]


def there_is_one(folder: Path) -> bool:
    """Whether `folder` holds a checkpoint."""
    return (folder / POINTER).exists()


def require_none(folder: Path) -> None:
    """Raises `UserError` where `folder` holds a checkpoint, which a new training would overwrite."""
    if there_is_one(folder):
        raise UserError(
            "output",
            f"{folder} holds the checkpoint of an earlier training.",
            "Continue it with --resume, or choose another folder.",
        )


def write(folder: Path, checkpoint: Checkpoint) -> None:
    """Make `checkpoint` the one of `folder`, in place of any other.

    Raises:
        UserError: the disk is full, or refuses; the checkpoint from before is still good.
    """
    save = f"{checkpoint.step:07d}-{secrets.token_hex(3)}"  # the same step may be saved twice
    _remove_others(folder, _named(folder))  # what a killed process left may be what fills the disk
    with replacing(folder / _WEIGHTS.format(save)) as temporary:
        tensors = {name: value.detach().contiguous() for name, value in checkpoint.weights.items()}
        try:
            save_file(tensors, temporary, {"save": save})
        except SafetensorError as error:  # its words for a full disk or a folder that cannot be written
            raise refusal(str(error)) from error
    # Into memory first: torch.save has its own words for a full disk, and none of them is "disk".
    buffer = io.BytesIO()
    torch.save({**checkpoint.state, "save": save}, buffer)
    with replacing(folder / _STATE.format(save)) as temporary:
        temporary.write_bytes(buffer.getbuffer())
    with replacing(folder / POINTER) as temporary:
        content = {"step": checkpoint.step, "save": save}
        temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
    _remove_others(folder, save)


def read(folder: Path, device: torch.device) -> Checkpoint:
    """The checkpoint of `folder`, on `device`. Raises `UserError` where there is none, or a damaged one."""
    pointer = folder / POINTER
    if not pointer.is_file():
        raise UserError("output", f"There is no checkpoint to resume in {folder}.", "Train without --resume.")
    path = pointer
    try:
        content = json.loads(pointer.read_text(encoding="utf-8"))
        step, save = int(content["step"]), str(content["save"])
        path = folder / _WEIGHTS.format(save)
        with safe_open(path, "pt", device=str(device)) as file:
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
            saves = {save, file.metadata()["save"]}
        path = folder / _STATE.format(save)
        state = torch.load(path, map_location=device, weights_only=True)
        saves.add(state.pop("save"))
    except Exception as error:  # damaged files fail in as many ways as there are bytes
        raise _damaged(path) from error
    if len(saves) != 1:
        raise _damaged(pointer)
    return Checkpoint(step, weights, state)


def _damaged(path: Path) -> UserError:
    return UserError("output", f"{path} is damaged and cannot be resumed.", "Train into another folder.")


def _named(folder: Path) -> str | None:
    """The save that counts, if there is one."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        return json.loads((folder / POINTER).read_text(encoding="utf-8"))["save"]
    return None


def _remove_others(folder: Path, save: str | None) -> None:
    """Delete the files of all saves but this one, and what a killed process left half-written."""
    remove_leftovers(folder)
    for pattern in (_WEIGHTS, _STATE):
        for path in folder.glob(pattern.format("*")):
            if path.name != pattern.format(save):
                path.unlink(missing_ok=True)
