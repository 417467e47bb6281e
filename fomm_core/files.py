"""Files that are complete or absent, and the words for why one could not be written."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UserError

# Other machines that write into the same folder have processes of the same number.
_HERE = secrets.token_hex(4)
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, with its suffix, that takes its place when the block ends well.

    Raises:
        UserError: output or disk_full, where the system refuses.
    """
    temporary = path.with_name(f".{path.stem}.{_HERE}.{os.getpid()}.tmp{path.suffix}")
    try:
        with writing(path):
            yield temporary
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):  # a read-only disk refuses this too; that has been told already
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files of `replacing` that a killed process left in `folder`."""
    for path in folder.glob(".*.tmp.*"):
        path.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the system's refusals while `path` is written into words."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise UserError(
                "disk_full",
                f"The disk is full: {path} could not be written.",
                "Free some space, then resume; what is complete is kept.",
            ) from error
        reason = error.strerror or str(error)
        raise UserError(
            "output", f"{path} cannot be written: {reason}.", "Choose another output folder."
        ) from error


def check_writable(folder: Path) -> None:
    """Make the folder; raises `UserError` where no file could be written in it."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"0" * 4096)


def refusal(words: str) -> OSError:
    """The error that a program or a library told of in `words` only."""
    full = os.strerror(errno.ENOSPC) in words
    return OSError(errno.ENOSPC if full else None, words)


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
