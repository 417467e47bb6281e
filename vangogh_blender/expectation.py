"""Notices what the user has chosen to animate, so that the worker prepares it before *Animate* is pressed."""

from __future__ import annotations

import os

import bpy

from ..fomm_core import protocol
from . import installation, upkeep
from .order import absolute, request_of
from .painting import plain_file

SETTLED_SECONDS = 0.7  # without a change, while somebody drags a number or turns over videos
# What can be done ahead depends on these settings.
_WATCHED = (
    "driving_video", "model", "config", "device", "region", "driving_region", "all_faces", "start", "end",
)  # fmt: skip


class Expectation:
    """What is chosen in the sidebar, looked at every tick. What a file or a scene comes with is no choice.

    Pressing *Set Up* is one, for all that was chosen before.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Another file is open."""
        self._seen: tuple | None = None
        self._since = 0.0
        self._told = True

    def look(self, scene: bpy.types.Scene, now: float) -> bool:
        """Whether the user has chosen something: once after each choice. `now`: seconds of a clock that goes on."""
        chosen = _chosen(scene)
        if chosen != self._seen:
            self._told = self._seen is None or self._seen[0] != chosen[0]
            self._seen, self._since = chosen, now
        elif not self._told and now - self._since >= SETTLED_SECONDS:
            self._told = True
            return True
        return False


def prepared(scene: bpy.types.Scene) -> protocol.Job | None:
    """What is to be prepared of what is chosen; None where nobody wants that, or nothing can be prepared yet."""
    if not _is_wanted():
        return None
    settings = scene.vangogh
    if not settings.driving_video or not os.path.isfile(absolute(settings.driving_video)):
        return None
    # A painting that would have to be written first is not waited for: its clip can be prepared without it.
    painting = settings.painting and plain_file(settings.painting)
    return request_of(scene, settings, str(painting or ""), output="")


def _is_wanted() -> bool:
    return (
        not bpy.app.background
        and installation.preferences().prepare
        and not upkeep.current().running
        and bool(installation.worker_python())
    )


def _chosen(scene: bpy.types.Scene) -> tuple:
    settings = scene.vangogh
    painting = settings.painting.name if settings.painting else ""
    return scene.name, painting, _is_wanted(), *(getattr(settings, name) for name in _WATCHED)
