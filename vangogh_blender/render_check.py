"""Before a render: sequences that would come out magenta, each named in a sentence.

Blender renders on without a word where a frame is missing. The handler cannot stop it either, and may run in the
render's own thread, where nothing may be shown: it writes to the console at once, and `tell`, a timer in the main
thread, shows it in the window.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from . import image_sequence

LOOK_SECONDS = 0.5  # how often the main thread looks whether there is something to tell
RESUME = "press Resume at its job, or find the files with File > External Data > Find Missing Files"

_to_tell: deque[list[str]] = deque()


def problems(scene: bpy.types.Scene) -> list[str]:
    """What is wrong with the image sequences that `scene` shows in its frame range, a sentence each."""
    found: dict[str, None] = {}  # in order, and once each
    listings: dict[Path, set[str]] = {}
    frames = range(scene.frame_start, scene.frame_end + 1)
    for thing in _seen(scene):
        for node in image_sequence.image_nodes(thing):
            if node.image is not None and node.image.source == "SEQUENCE":
                found[_problem(thing, node, frames, listings)] = None
    return [sentence for sentence in found if sentence]


def _problem(
    thing: bpy.types.Object,
    node: bpy.types.ShaderNodeTexImage,
    frames: range,
    listings: dict[Path, set[str]],
) -> str:
    image, user = node.image, node.image_user
    name = f"{image.name} on {thing.name}"
    first = image_sequence.absolute_path(image)
    folder = first.parent
    if folder not in listings:
        listings[folder] = _complete_files(folder)
    there = listings[folder]
    if not there:
        return f"The frames of {name} are gone, for there is none in {folder}: {RESUME}."
    if not user.use_cyclic and frames.start < user.frame_start:
        return (
            f"{name} begins with {first.name} at frame {user.frame_start} and is magenta before, from frame"
            f" {frames.start} on: switch on Cyclic in its image texture, or start the render later."
        )
    asked = {image_sequence.number_at(user, frame) for frame in frames}
    missing = sorted(n for n in asked if image_sequence.file_of(first, n).name not in there)
    if not missing:
        return ""
    lost = image_sequence.file_of(first, missing[0])
    whole, last = missing[0] - 1, user.frame_duration + user.frame_offset
    if whole and not any(image_sequence.file_of(first, n).name in there for n in range(missing[0], last + 1)):
        return (
            f"{name} is too short, {whole} frames of the {last} that are asked for, and lacks {lost}: press Resume"
            f" at its job, or set the Frames of its image texture to {whole}."
        )
    return (
        f"{name} lacks {len(missing)} of the {len(asked)} frames that are asked for, first {lost}: {RESUME}."
    )


def _seen(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The objects that are rendered, those of collections that are instanced too."""
    found: dict[bpy.types.Object, None] = {}
    waiting = list(scene.objects)
    while waiting:
        thing = waiting.pop(0)
        if thing in found or thing.hide_render:
            continue
        found[thing] = None
        if thing.instance_type == "COLLECTION" and thing.instance_collection:
            waiting += thing.instance_collection.all_objects
    return list(found)


def _complete_files(folder: Path) -> set[str]:
    """The names of the files there that are not empty; read once, however many frames are asked for."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file() and entry.stat().st_size > 0}
    except OSError:
        return set()


@persistent
def before_render(scene: bpy.types.Scene, _unused: object = None) -> None:
    """For `bpy.app.handlers.render_init`."""
    sentences = problems(scene)
    for sentence in sentences:
        print(f"Van Gogh: {sentence}", file=sys.stderr, flush=True)
    if sentences and not bpy.app.background:
        _to_tell.append(sentences)


def tell() -> float:
    """Show in the window what was found; a timer."""
    windows = bpy.context.window_manager.windows
    while _to_tell and windows:
        sentences = _to_tell.popleft()

        def draw(
            popup: bpy.types.Panel, _context: bpy.types.Context, sentences: list[str] = sentences
        ) -> None:
            for sentence in sentences:
                popup.layout.label(text=sentence, icon="ERROR")

        with bpy.context.temp_override(window=windows[0]):
            bpy.context.window_manager.popup_menu(draw, title="This render is not complete", icon="ERROR")
    return LOOK_SECONDS


def register() -> None:
    bpy.app.handlers.render_init.append(before_render)
    bpy.app.timers.register(tell, first_interval=LOOK_SECONDS, persistent=True)


def unregister() -> None:
    if bpy.app.timers.is_registered(tell):
        bpy.app.timers.unregister(tell)
    bpy.app.handlers.render_init.remove(before_render)
    _to_tell.clear()
