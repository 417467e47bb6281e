"""Everything that Blender is told about the extension, and told to forget."""

from __future__ import annotations

from collections.abc import Callable

import bpy
from bpy.app.handlers import persistent

from . import (
    command,
    first_look,
    motion_presets,
    operators,
    panels,
    preferences,
    properties,
    render_check,
    session,
    status_bar,
    translations,
)

classes = (
    *preferences.classes,
    *properties.classes,
    *operators.classes,
    *motion_presets.classes,
    *panels.classes,
)


@persistent
def _file_loaded(_file: object = None, _unused: object = None) -> None:
    session.current().file_loaded()


@persistent
def _file_saving(_file: object = None, _unused: object = None) -> None:
    session.current().file_saving()


@persistent
def _file_saved(_file: object = None, _unused: object = None) -> None:
    session.current().file_saved()


@persistent
def _undone(_scene: object = None, _unused: object = None) -> None:
    session.current().undone()


def _handlers() -> list[tuple[list, Callable]]:
    """Each of our handlers, after the list of Blender's that it is in."""
    handlers = bpy.app.handlers
    return [
        (handlers.load_post, _file_loaded),
        (handlers.save_pre, _file_saving),
        (handlers.save_post, _file_saved),
        (handlers.undo_post, _undone),
        (handlers.redo_post, _undone),
    ]


def register() -> None:
    for cls in classes:
        bpy.utils.register_class(cls)
    properties.register()
    translations.register()
    motion_presets.register()
    first_look.register()
    status_bar.register()
    session.begin()
    command.register()
    for calls, handler in _handlers():
        calls.append(handler)
    render_check.register()
    bpy.app.timers.register(session.tick, first_interval=session.IDLE_SECONDS, persistent=True)


def unregister() -> None:
    if bpy.app.timers.is_registered(session.tick):
        bpy.app.timers.unregister(session.tick)
    render_check.unregister()
    for calls, handler in _handlers():
        calls.remove(handler)
    session.end()
    command.unregister()
    status_bar.unregister()
    first_look.unregister()
    motion_presets.unregister()
    translations.unregister()
    properties.unregister()
    for cls in reversed(classes):
        bpy.utils.unregister_class(cls)
