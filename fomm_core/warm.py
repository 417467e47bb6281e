"""A model that stays loaded, so that the next job with it starts at once."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import torch

from . import inference, models
from .animator import Animator, pick_device
from .registry import config_path, registered

# The animator for a model, its configuration, a device and a precision, named as in `protocol.Job`.
Load = Callable[[str, str | None, str, str], Animator]


def load(model: str, config: str | None, device: str, precision: str) -> Animator:
    """An animator with a model loaded for it. Raises `UserError`."""
    return Animator(models.load(model, config), device, precision)


class WarmModel:
    """The model that was used last, in the form it runs in; a second one would cost too much memory."""

    def __init__(self):
        self._animator: Animator | None = None
        self._key: tuple | None = None

    def load(self, model: str, config: str | None, device: str, precision: str) -> Animator:
        """As `load`, at once where files, device and precision are those of the last time. Raises `UserError`."""
        form = inference.choose(pick_device(device), precision)
        key = form, _stamp(registered().get(model, Path(model))), config and _config_stamp(config)
        if self._animator is None or key != self._key:
            self.free()  # first, so that there are never two
            self._animator, self._key = load(model, config, device, precision), key
        # Another one each time: the kept one never holds a painting, nor the batch size of a crowded hour.
        return self._animator.beside()

    def free(self) -> None:
        """Forget the model; its memory is free when no job uses it any more."""
        self._animator = self._key = None
        gc.collect()  # a failed job may have left it in a circle
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        elif torch.backends.mps.is_available():
            torch.mps.empty_cache()


def _config_stamp(config: str) -> tuple | None:
    shipped = config_path(config)
    return _stamp(shipped if shipped.is_file() else Path(config))


def _stamp(path: Path) -> tuple | None:
    """What changes when another file takes this place; None where there is none."""
    if not path.is_file():
        return None
    about = path.stat()
    return str(path.absolute()), about.st_ino, about.st_size, about.st_mtime_ns
