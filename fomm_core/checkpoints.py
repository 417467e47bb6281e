"""Published checkpoints as files: what one is by its first bytes, and reading it safely.

A checkpoint is a pickle of state dicts; only `torch.load(weights_only=True)` ever reads it, which runs nothing
that is in it.
"""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import BinaryIO

from .errors import UserError

PARTS = ("generator", "kp_detector")  # what animating needs of a checkpoint
AGAIN = "Download the checkpoint again from the authors' page."
# How torch's restricted unpickler says that a file wants to call something.
_FORBIDDEN = ("unsupported global", "trying to call reduce", "can only create new", "can only build")
# How a file begins that torch.save of the torch 1.0 days wrote: a pickle of this number.
_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!")


def check(path: Path) -> None:
    """Raises `UserError` where the first bytes of a file tell that it is no checkpoint. Without torch."""
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except FileNotFoundError as error:
        raise UserError("model", f"There is no file {path}.", "Choose another file.") from error
    except IsADirectoryError as error:
        raise UserError("model", f"{path} is a folder.", "Choose the file in it.") from error
    except OSError as error:
        raise UserError(
            "model", f"{path} cannot be read: {error.strerror}.", "Check who may read it."
        ) from error
    if not head:
        raise UserError("model", f"{path.name} is empty.", AGAIN)
    if head.lstrip()[:1] == b"<":
        raise UserError(
            "model",
            f"{path.name} is a web page that a browser saved, not a checkpoint.",
            "Download it from the authors' page again, and confirm what Google Drive asks about large files.",
        )
    if head[:2] == b"PK":
        _check_zip(path)
    elif head[257:262] == b"ustar":  # the published ones are called .tar, but are none
        raise _packed(path, "tar archive")
    elif head.startswith(_COMPRESSED):
        raise _packed(path, "compressed archive")


def _check_zip(path: Path) -> None:
    """What torch writes today is a zip too: one that has a `data.pkl`."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise _incomplete(path) from error
    if not any(name.endswith("data.pkl") for name in names):
        inside = (name for name in names if name.endswith((".tar", ".pth", ".pt")))
        raise _packed(path, "zip archive", next(inside, "the checkpoint in it"))


def _packed(path: Path, kind: str, inside: str = "the checkpoint in it") -> UserError:
    return UserError("model", f"{path.name} is a {kind}, not a checkpoint.", f"Unpack it, and take {inside}.")


def _incomplete(path: Path) -> UserError:
    return UserError(
        "model", f"{path.name} is incomplete: it ends after {path.stat().st_size:,} bytes.", AGAIN
    )


def read(path: Path, file: BinaryIO | None = None) -> dict[str, dict]:
    """The state dicts of `PARTS` in a file of `torch.save`; nothing in the file is run.

    Args:
        file: the same, opened, where somebody wants to see how it is read.

    Raises:
        UserError: it is no checkpoint, or of another network, or incomplete, or holds more than weights.
    """
    check(path)
    import torch  # after the quick check: it takes seconds

    try:
        with warnings.catch_warnings(action="ignore"):  # what torch has to say is said below
            data = torch.load(file or path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged pickles fail in as many ways as there are bytes
        words = str(error).lower()
        if any(phrase in words for phrase in _FORBIDDEN):
            raise UserError(
                "model",
                f"{path.name} holds something other than weights, which could be harmful; nothing in it was run.",
                "Use only checkpoints from the authors' page.",
            ) from error
        with open(path, "rb") as begin:
            if begin.read(len(_MAGIC)) == _MAGIC:  # it begins as a checkpoint does: the end is missing
                raise _incomplete(path) from error
        raise UserError("model", f"{path.name} is no checkpoint, or it is damaged.", AGAIN) from error
    if not isinstance(data, dict) or not all(isinstance(data.get(part), dict) for part in PARTS):
        raise UserError(
            "model",
            f"{path.name} is a checkpoint, but of another network: it has no generator and keypoint detector.",
            "Use a checkpoint of the First Order Motion Model.",
        )
    return {part: data[part] for part in PARTS}
