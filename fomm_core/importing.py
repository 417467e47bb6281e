"""Putting a model into the user's folder: a published checkpoint, converted, or a model file of ours, copied.

Complete or not at all: what is written has a hidden name until it is whole, so that it never is a model before.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from . import catalogue, checkpoints, protocol, registry
from .catalogue import Published
from .control import Control
from .errors import UserError
from .files import check_writable

STAGES = ("hash", "read", "write")  # what an import does, in this order; its progress is in bytes
TELL_SECONDS = 0.1  # from one event to the next


def run(
    path: Path,
    control: Control,
    config: str | None = None,
    name: str | None = None,
    replace: bool = False,
) -> protocol.Done:
    """Import a model from a file.

    Args:
        path: a published checkpoint (.pth.tar), or a model file (.safetensors) that training wrote.
        control: told of the bytes in each of `STAGES`.
        config: the checkpoint's configuration; none takes that of the published model it is, by content or by its
            file's name, or else the first that fits.
        name: what to call it; none takes the published model's name, or the file's.
        replace: it may take the place of a model that has this name.

    Raises:
        UserError: it is no model or not the published one it is called after, its name is taken, or it cannot be
            written. Nothing is left of it then.
        Cancelled: the control says so; nothing is left of it either.
    """
    began = time.monotonic()
    registry.clean_up()
    ours = path.suffix == registry.SUFFIX
    if not ours or not path.is_file():
        checkpoints.check(path)
    published = None if ours else catalogue.by_name(path.name)
    target = _target(name or _name(path, published), replace)
    digest = _hashed(path, control)
    if not ours:
        published = catalogue.by_sha256(digest) or _as_published(path, published)
        target = _target(name or _name(path, published), replace)
    convert = _copy if ours else _convert
    convert(path, config or (published and published.config), digest, target, control)
    return protocol.Done(control.id, str(target), 0, 0.0, round(time.monotonic() - began, 2))


def _name(path: Path, published: Published | None) -> str:
    """What a file's model is called if nobody says."""
    if published:
        return published.name
    stem = re.sub(r"(-cpk)?(\.pth)?(\.tar|\.pt|\.safetensors)?$", "", path.name)
    if stem == "model":  # every training's is called so
        stem = path.absolute().parent.name
    return re.sub(r"[^\w.-]+", "-", stem).strip(".-") or "model"


def _target(name: str, replace: bool) -> Path:
    """Where the model of that name goes. Raises `UserError` where it cannot be called so."""
    if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
        raise UserError(
            "arguments",
            f"{name!r} cannot name a model.",
            "Use letters, digits, points, dashes and underscores.",
        )
    file = f"{name}{registry.SUFFIX}"
    if (registry.BUNDLED / file).exists():
        raise UserError("arguments", f"{name} is the name of the bundled model.", "Choose another name.")
    target = registry.user_folder() / file
    if target.exists() and not replace:
        raise UserError(
            "arguments", f"There is a model called {name} already.", "Choose another name, or replace it."
        )
    return target


def _hashed(path: Path, control: Control) -> str:
    with _watched(path, _Progress(control, "hash")) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _as_published(path: Path, published: Published | None) -> Published | None:
    """The published model that a file is called after, unless its content is known to be another."""
    if published is None or published.sha256 is None:
        return published
    size = path.stat().st_size
    if size < published.download * 0.999:  # some are known to a million bytes only
        raise UserError(
            "model",
            f"{path.name} is incomplete: it has {size:,} of about {published.download:,} bytes.",
            checkpoints.AGAIN,
        )
    raise UserError(
        "model",
        f"{path.name} is not the file that the authors published as {published.file}: its content differs.",
        f"{checkpoints.AGAIN} If it is a checkpoint of your own, give its file another name.",
    )


def _convert(path: Path, config: str | None, digest: str, target: Path, control: Control) -> None:
    from . import models  # torch takes seconds: after all that is quick

    try:
        with _watched(path, _Progress(control, "read")) as file:
            model = models.load_checkpoint(path, config, digest, file)
    except UserError:
        control.check()  # torch takes reading that was stopped for a damaged file
        raise
    values = (value for part in models.PARTS for value in getattr(model, part).state_dict().values())
    _make_room(target, sum(value.nbytes for value in values))
    source = {key: value for key, value in model.metadata.items() if key.startswith("source")}
    with _refused(target):
        models.save(target, model, {**source, "name": target.stem}, progress=_Progress(control, "write"))


def _copy(path: Path, _config: str | None, _digest: str, target: Path, control: Control) -> None:
    from . import models

    models.load(str(path))  # it has to be whole, and of this architecture
    _make_room(target, path.stat().st_size)
    with _refused(target):
        models.write(target, path.read_bytes(), _Progress(control, "write"))


def _make_room(target: Path, size: int) -> None:
    """Raises `UserError` where `size` bytes will not fit."""
    with _refused(target):
        check_writable(target.parent)
    free = shutil.disk_usage(target.parent).free
    if free < size:
        raise _full(
            f"{target.stem} needs {size / 1e6:.0f} MB in {target.parent}, where {free / 1e6:.0f} are free."
        )


@contextmanager
def _refused(target: Path) -> Iterator[None]:
    """Says what to do about a model folder that cannot be written, where `files` would speak of a job's."""
    try:
        yield
    except UserError as error:
        if error.kind == "disk_full":
            raise _full(error.sentence) from error
        if error.kind == "output":
            hint = f"Models are kept in {target.parent}; the variable VANGOGH_MODELS names another folder."
            raise UserError("output", error.sentence, hint) from error
        raise


def _full(sentence: str) -> UserError:
    return UserError("disk_full", sentence, "Free some space, then import it again.")


class _Progress:
    """Tells a control the bytes done in one stage, now and then, and stops where it is to stop."""

    def __init__(self, control: Control, stage: str):
        self._control, self._stage = control, stage
        self._since, self._told = time.monotonic(), -TELL_SECONDS

    def __call__(self, done: int, total: int) -> None:
        self._control.check()
        now = time.monotonic()
        if now - self._told >= TELL_SECONDS or done == total:
            self._told = now
            self._control.progress(self._stage, done, total, self._since)


@contextmanager
def _watched(path: Path, progress: Callable[[int, int], None]) -> Iterator[io.BufferedReader]:
    """The file, opened; whoever reads it does so through us, and `progress` hears of it."""
    total = path.stat().st_size

    class Watched(io.FileIO):
        def readinto(self, buffer) -> int:
            count = super().readinto(buffer)
            progress(self.tell(), total)
            return count

        def fileno(self) -> int:  # torch reads past us where it finds one
            raise io.UnsupportedOperation

    with io.BufferedReader(Watched(path), 1 << 20) as file:
        yield file
