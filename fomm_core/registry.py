"""Which models and configurations there are, by name. Standard library only: Blender lists them too."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from . import catalogue
from .catalogue import Published
from .errors import UserError

PACKAGE = Path(__file__).parent
BUNDLED = PACKAGE / "weights"
SUFFIX = ".safetensors"


def user_folder() -> Path:
    """Where imported models are kept: `VANGOGH_MODELS`, or the user's data folder of this system."""
    return own_folder("models", "VANGOGH_MODELS", "Application Support", "XDG_DATA_HOME", ".local/share")


def own_folder(name: str, variable: str, mac: str, xdg: str, otherwise: str) -> Path:
    """The folder that an environment variable names, or `name` among what this system keeps for the user.

    Args:
        mac: the folder in ~/Library.
        xdg, otherwise: the variable of the XDG base directories, and the folder in ~ where it is not set.
    """
    if chosen := os.environ.get(variable):
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / mac
    else:
        base = Path(os.environ.get(xdg, Path.home() / otherwise))
    return base / "vangogh_says_hello" / name


def registered() -> dict[str, Path]:
    """Names and files of the bundled and the user's models. What is hidden is none: an import under way."""
    paths = (path for folder in (BUNDLED, user_folder()) for path in sorted(folder.glob(f"*{SUFFIX}")))
    return {path.stem: path for path in paths if not path.name.startswith(".")}


def config_names() -> list[str]:
    return sorted(path.stem for path in (PACKAGE / "configs").glob("*.yaml"))


def config_path(name: str) -> Path:
    """Where the configuration of that name is, if it ships with the package."""
    return PACKAGE / "configs" / f"{name}.yaml"


@dataclass(frozen=True)
class Entry:
    """A model as a list shows it.

    Attributes:
        name: what it is chosen by.
        kind: bundled, imported (from a published checkpoint), own (trained by the user, or by somebody they know)
            or published (not imported yet).
        path: its file; none of one that is not imported yet.
        size: of its file in bytes; of the download, where it is not imported yet.
        about: what it is for, or where it comes from.
        published: what the catalogue says about it.
        trouble: what is wrong with its file, one sentence; empty where nothing is.
    """

    name: str
    kind: str
    path: Path | None
    size: int
    about: str = ""
    published: Published | None = None
    trouble: str = ""


def entries() -> list[Entry]:
    """Every model there is: the bundled, the user's, and the published ones that are not imported."""
    found = [_entry(name, path) for name, path in registered().items()]
    here = {entry.published for entry in found}
    return found + [
        Entry(p.name, "published", None, p.download, p.subject, p)
        for p in catalogue.PUBLISHED
        if p not in here
    ]


def _entry(name: str, path: Path) -> Entry:
    try:
        about = path.stat()
        metadata = _metadata(path, about.st_size, about.st_mtime_ns)
    except OSError as error:  # removed meanwhile, or not ours to read
        return Entry(name, "own", path, 0, trouble=f"{path.name} cannot be read: {error.strerror}.")
    if path.parent == BUNDLED:
        return Entry(name, "bundled", path, about.st_size, "Portraits, ready to use")
    if metadata is None:
        return Entry(name, "own", path, about.st_size, trouble=f"{path.name} is incomplete, or no model.")
    if published := catalogue.by_source(metadata):
        return Entry(name, "imported", path, about.st_size, published.subject, published)
    if source := metadata.get("source"):
        return Entry(name, "imported", path, about.st_size, f"From {source}")
    tuned = metadata.get("tuned_from")
    trained = f"Tuned from {tuned}" if tuned else "Your own"
    words = ": ".join(filter(None, (trained, metadata.get("trained"))))
    return Entry(name, "own", path, about.st_size, words)


@lru_cache(maxsize=256)  # a panel asks at every redraw
def _metadata(path: Path, size: int, _mtime: int) -> dict[str, str] | None:
    """The metadata of a safetensors file of `size` bytes; none where it is not a whole one of ours.

    Such a file begins with the length of its header, in eight bytes, and the header, in JSON.
    """
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > size:
            return None
        try:
            header = json.loads(file.read(length))
            metadata = header.pop("__metadata__")
            ends = [tensor["data_offsets"][1] for tensor in header.values()]
            whole = 8 + length + max(ends) == size and "config" in metadata
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return None
    return metadata if whole else None


def remove(name: str) -> Path:
    """Delete one of the user's models; returns its file. Raises `UserError` where that cannot be."""
    path = user_folder() / f"{name}{SUFFIX}"
    if path not in registered().values():
        if name in registered():
            raise UserError(
                "arguments", f"{name} comes with the program.", "Only imported models are removed."
            )
        raise UserError("arguments", f"There is no model {name!r} to remove.", "See `models list`.")
    try:
        path.unlink()
    except OSError as error:
        raise UserError(
            "output",
            f"{path} cannot be removed: {error.strerror}.",
            "Close what uses it, or check who may write there.",
        ) from error
    return path


def clean_up() -> None:
    """Delete what imports that were killed have left in the user's folder; those that run keep theirs."""
    for path in user_folder().glob(f".*.tmp{SUFFIX}"):
        number = path.name.rsplit(".", 3)[
            1
        ]  # `files.replacing` names them .NAME.MACHINE.PROCESS.tmp.safetensors
        if not (number.isdecimal() and _is_running(int(number))):
            with contextlib.suppress(OSError):
                path.unlink()


def _is_running(process: int) -> bool:
    if sys.platform == "win32":
        return False  # there, a file that is being written cannot be deleted: no need to know
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's
        return True
    return True
