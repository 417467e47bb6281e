"""A bundle's scene, with its animations in it, rendered frame by frame."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import bpy

from ...fomm_core import bundle as bundled
from ...fomm_core.bundle import Animation, Bundle, Shown
from ...fomm_core.errors import UserError
from ...fomm_core.files import replacing, writing
from .. import image_sequence, picture_frame, showing


def render(folder: Path, output: Path, frames: str) -> Iterator[int]:
    """Render a range of frames of the bundle's scene, which is open; yields the percentage that is done.

    Raises:
        UserError: such frames are not in the scene, an animation is not there, or a picture cannot be written.
    """
    bundle = Bundle(folder)
    wanted = bundled.frames_of(bundle.manifest.scene, frames)
    bundle.file(bundle.manifest.scene.file)
    bundle.claim(output)
    scene = bpy.data.scenes.get(bundle.manifest.scene.name)
    if scene is None:
        raise UserError(
            "arguments",
            f"There is no scene {bundle.manifest.scene.name} in the bundle's file.",
            bundled.REMADE,
        )
    suffix = bundle.manifest.scene.suffix
    _settle(scene)
    missing = [f for f in wanted if not bundled.picture(output, f, suffix).is_file()]
    if missing:
        _check_sequences(hang(bundle, output, scene))
        with writing(output / "render"):
            (output / "render").mkdir(parents=True, exist_ok=True)
    for index, frame in enumerate(missing, 1):
        with replacing(bundled.picture(output, frame, suffix)) as temporary:
            _render_one(scene, frame, temporary)
            if suffix == ".png":
                _forget_times(temporary)
        yield 100 * index // len(missing)


def hang(bundle: Bundle, output: Path, scene: bpy.types.Scene) -> set[bpy.types.Image]:
    """Let the scene show the bundle's animations; their sequences. Raises `UserError` where one is not complete."""
    hung = set()
    places = [(animation, shown) for animation in bundle.manifest.animations for shown in animation.shown]
    # All nodes first: a painting that two clips drive is another image on each object afterwards.
    by_object = {target.name: image_sequence.image_nodes(target) for target in bpy.data.objects}
    found = [_nodes(shown, by_object) for _, shown in places]
    for (animation, shown), nodes in zip(places, found, strict=True):
        frames = bundled.animation_folder(output, animation.name) / "frames"
        count = _count(animation, frames)
        image = image_sequence.load_sequence(frames, animation.name)
        hung.add(image)
        for node in nodes:
            moves = node.image is not None and node.image.source == "SEQUENCE"
            start, cyclic = (node.image_user.frame_start, node.image_user.use_cyclic) if moves else (0, True)
            image_sequence.show(node, image, count, start if moves else shown.start, cyclic)
        if shown.location is not None:
            with bpy.context.temp_override(**showing.context_of(scene)):
                picture_frame.add_picture_frame(
                    bpy.context, image, frames=count, start=shown.start, location=shown.location
                )
    return hung


def _count(animation: Animation, frames: Path) -> int:
    """How many frames the finished animation has. Raises `UserError` where it is not finished.

    Told by its record, not counted: to ask a file server for each of a gallery's frames takes minutes.
    """
    try:
        count = int(json.loads((frames.parent / bundled.DONE).read_text(encoding="utf-8"))["frames"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            "image", f"{animation.name} is not animated yet: {frames}.", "Run the step Animate."
        ) from error
    if image_sequence.frame_file(frames, 1) is None or image_sequence.frame_file(frames, count) is None:
        raise UserError("image", f"Frames of {animation.name} are gone: {frames}.", "Run the step Animate.")
    return count


def _nodes(shown: Shown, by_object: dict[str, list]) -> list[bpy.types.ShaderNodeTexImage]:
    """The nodes that are to show an animation, of those of each object. Raises `UserError` where there are none."""
    if not shown.image:
        return []
    near = (
        by_object.get(shown.object, [])
        if shown.object
        else [n for nodes in by_object.values() for n in nodes]
    )
    found = [node for node in near if node.image and node.image.name == shown.image]
    if not found:
        where = shown.object or "Nothing in the scene"
        raise UserError("image", f"{where} does not show {shown.image}.", bundled.REMADE)
    return found


def _check_sequences(known: set[bpy.types.Image]) -> None:
    """Raises `UserError` where another sequence lacks a file: Blender would render magenta and say nothing."""
    for target in bpy.data.objects:
        for node in image_sequence.image_nodes(target):
            if node.image not in known and (lost := image_sequence.missing_frames(node)):
                raise UserError(
                    "image",
                    f"{target.name} shows {node.image.name}, whose frame {lost[0]} is not there.",
                    "Export the farm job again.",
                )


# What Blender writes into a picture's file of the moment and the machine that rendered it.
_MOMENT = ("date", "render_time", "memory", "hostname", "filename")


def _settle(scene: bpy.types.Scene) -> None:
    """Let a picture depend on the scene alone, whoever renders it; what the user wants to read in it stays."""
    scene.render.use_file_extension = False  # the name is whole
    scene.render.use_overwrite, scene.render.use_placeholder = True, False
    if not scene.render.use_stamp:
        for name in _MOMENT:
            setattr(scene.render, f"use_stamp_{name}", False)


def _render_one(scene: bpy.types.Scene, frame: int, path: Path) -> None:
    scene.render.filepath = str(path)
    scene.frame_set(frame)
    try:
        bpy.ops.render.render(write_still=True, scene=scene.name)
    except RuntimeError as error:
        reason = str(error).strip().removeprefix("Error: ").splitlines()[0]
        raise UserError("output", f"Frame {frame} cannot be rendered: {reason}.", "See the log.") from error
    if not path.is_file() or not os.path.getsize(path):
        raise UserError(
            "output", f"Blender wrote no picture of frame {frame} to {path}.", "Is the disk full?"
        )


def _forget_times(path: Path) -> None:
    """Take out of a PNG how long Cycles rendered it: `use_stamp_render_time` does not keep it from telling."""
    data = path.read_bytes()
    kept, at = [data[:8]], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")  # a chunk: length, name, content, checksum
        if not (data[at + 4 : at + 8] == b"tEXt" and re.match(rb"cycles\..*_time\0", data[at + 8 : end])):
            kept.append(data[at:end])
        at = end
    path.write_bytes(b"".join(kept))
