"""A first look at the chosen driving video: its length and its first frame, found out beside Blender."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import bpy
import bpy.utils.previews

from ..fomm_core.errors import UserError
from . import installation, upkeep
from .words import duration
from .worker_client import core_environment, find_python

SECONDS = 60.0  # for a look; a disk may have to wake up


@dataclass(frozen=True)
class Seen:
    """What `python -m fomm_core look` said. `picture` is a file, which a motion track has none of."""

    frames: int
    fps: float
    width: int = 0
    height: int = 0
    sound: bool = False
    picture: str = ""

    @property
    def lines(self) -> list[str]:
        """The same for a person."""
        if not self.frames:
            return []
        size = [f"{self.width} × {self.height}"] if self.width else ["Motion track"]
        sound = ["with sound"] if self.sound else []
        return [
            f"{duration(self.frames / self.fps, 1)}, {self.fps:.4g} fps",
            f"{self.frames} frames",
            *size,
            *sound,
        ]


_pictures: bpy.utils.previews.ImagePreviewCollection | None = None


NOTHING = Seen(0, 0.0)


def seen(video: str) -> Seen | UserError | None:
    """What there is to see of the video at this absolute path, or why it cannot be read; None until it is known."""
    python = installation.worker_python()
    try:
        changed = os.stat(video).st_mtime_ns
    except OSError:
        return NOTHING
    if not python:
        return NOTHING
    folder = bpy.app.tempdir
    return upkeep.current().answers.ask(_look, python, str(installation.core_root()), video, changed, folder)


def icon(picture: str) -> int:
    """The icon that shows the picture; 0 where there is none."""
    if not picture or _pictures is None:
        return 0
    if picture not in _pictures:
        _pictures.load(picture, picture, "IMAGE")
    return _pictures[picture].icon_id


def _look(python: str, root: str, video: str, changed: int, folder: str) -> Seen:
    """Runs in a thread. Raises `UserError` where the video cannot be read."""
    name = hashlib.sha256(f"{video} {changed}".encode()).hexdigest()[:16]
    picture = Path(folder) / f"vangogh-{name}.png"
    command = [find_python(python, ""), "-m", "fomm_core", "look", "--json", "--output", str(picture), video]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS,
            env=core_environment(Path(root)),
            cwd=folder,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        if done.returncode == 1 and len(lines := done.stderr.strip().splitlines()) == 1:
            raise UserError("video", lines[0])
        return Seen(**json.loads(done.stdout), picture=str(picture) if picture.is_file() else "")
    except (OSError, ValueError, TypeError, subprocess.TimeoutExpired):
        return NOTHING  # that the Python does not work is told elsewhere


def register() -> None:
    global _pictures
    _pictures = bpy.utils.previews.new()


def unregister() -> None:
    global _pictures
    bpy.utils.previews.remove(_pictures)
    _pictures = None
