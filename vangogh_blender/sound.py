"""The driving video's sound, from where the moving picture begins: a strip of the scene's sequencer, or a speaker.

Sound keeps its own speed, whatever the scene's frame rate is, and so does a motion that is retimed to that rate.
"""

from __future__ import annotations

import math
from pathlib import Path

import bpy

from ..fomm_core import protocol
from ..fomm_core.errors import UserError
from . import versions

CHANNELS = 128  # that a sequencer has
# On a speaker, what it was made for: not to be made twice.
MADE_FOR = "vangogh_sound"


def add(scene: bpy.types.Scene, request: protocol.Job, first: int, frames: int) -> bpy.types.Strip:
    """The strip with the sound of the job's driving video, cut as its motion is; found, or made on a free channel.

    A motion that plays forward and backward is heard once.

    Args:
        request: the job.
        first: the scene's frame at which the picture begins to move.
        frames: how many frames the picture has.

    Raises:
        UserError: the video is gone, or there is no sound in it, or none in what was taken of it.
    """
    if strip := find(scene, request, first):
        return strip
    video = Path(request.video)
    _check(video)
    strips = _strips(scene, create=True)
    top = min(max((strip.channel for strip in strips), default=0) + 1, CHANNELS)
    strip = strips.new_sound(video.stem, str(video), top, first)
    length = min(_right(strip) - first - _skipped(scene, request), _heard(scene, request, frames))
    if length < 1:
        made_for_it = strip.sound
        strips.remove(strip)
        bpy.data.sounds.remove(made_for_it)
        raise UserError(
            "video", f"{video.name} has no sound from {request.start:g} s on.", "Choose an earlier start."
        )
    versions.set_strip_frame(strip, "content_start", first - _skipped(scene, request))
    versions.set_strip_frame(strip, "left_handle", first)
    versions.set_strip_frame(strip, "right_handle", first + length)
    strip.channel = _free_channel(strips, strip)
    return strip


def find(scene: bpy.types.Scene, request: protocol.Job, first: int) -> bpy.types.Strip | None:
    """The strip that `add` made, if it is there and where it was put."""
    where = (first - _skipped(scene, request), first)
    for strip in _strips(scene):
        if strip.type == "SOUND" and strip.sound is not None:
            file = bpy.path.abspath(strip.sound.filepath, library=strip.sound.library)
            if Path(file) == Path(request.video) and where == (
                versions.strip_frame(strip, "content_start"),
                _left(strip),
            ):
                return strip
    return None


def add_speaker(
    scene: bpy.types.Scene, request: protocol.Job, first: int, frames: int, picture: bpy.types.Object
) -> bpy.types.Object:
    """A speaker at the picture, which goes with it: louder the nearer the camera is. Found, or made.

    A speaker plays a whole file: it begins as much earlier as is cut off of the video, and its volume is animated,
    so that it is heard only while the motion goes forward.

    Args:
        request, first, frames: as for `add`.
        picture: the object that shows the frames.

    Raises:
        UserError: the video is gone, or there is no sound in it.
    """
    if speaker := find_speaker(scene, request, first):
        return speaker
    video = Path(request.video)
    _check(video)
    with bpy.context.temp_override(scene=scene, view_layer=_view_layer(scene)):
        selected = list(bpy.context.selected_objects)
        active = bpy.context.view_layer.objects.active
        bpy.ops.object.speaker_add()  # only the operator gives it a track that plays it
        speaker = bpy.context.view_layer.objects.active
        speaker.select_set(False)
        for thing in selected:
            thing.select_set(True)
        bpy.context.view_layer.objects.active = active
    for collection in list(speaker.users_collection):
        collection.objects.unlink(speaker)
    picture.users_collection[0].objects.link(speaker)
    speaker.name = speaker.data.name = f"{picture.name} Speaker"
    speaker.parent = picture
    speaker.location = (0.0, -0.1, 0.0)
    speaker.rotation_euler = (math.pi / 2, 0.0, 0.0)  # it faces -Y, as the picture does
    speaker.data.sound = bpy.data.sounds.load(str(video), check_existing=True)
    begin, heard = first - _skipped(scene, request), _heard(scene, request, frames)
    [track] = speaker.animation_data.nla_tracks
    [strip] = track.strips
    strip.frame_end = first + heard + 1  # the end first: neither may pass the other
    strip.frame_start = begin
    speaker[MADE_FOR] = _made_for(request, first)
    for frame, volume in ((first - 1, 0.0), (first, 1.0), (first + heard - 1, 1.0), (first + heard, 0.0)):
        speaker.data.volume = volume
        speaker.data.keyframe_insert("volume", frame=frame)
    return speaker


def find_speaker(scene: bpy.types.Scene, request: protocol.Job, first: int) -> bpy.types.Object | None:
    """The speaker that `add_speaker` made for this video and frame, if it is there."""
    wanted = _made_for(request, first)
    return next((thing for thing in scene.objects if thing.get(MADE_FOR) == wanted), None)


def _made_for(request: protocol.Job, first: int) -> str:
    return f"{first} {request.start:g} {request.video}"


def _view_layer(scene: bpy.types.Scene) -> bpy.types.ViewLayer:
    return bpy.context.view_layer if bpy.context.scene == scene else scene.view_layers[0]


def drift(scene: bpy.types.Scene, request: protocol.Job) -> str:
    """Why sound and picture will part, as a sentence; empty when they stay together."""
    if request.fps is None:
        return (
            "The motion was not retimed to the scene's frame rate: sound and picture stay together only if the"
            " video has the same."
        )
    if abs(request.fps - _fps(scene)) > 0.01:
        return (
            f"The frames were made for {request.fps:g} frames/s and the scene has {_fps(scene):g}: sound and"
            " picture part."
        )
    return ""


def _check(video: Path) -> None:
    """Raises `UserError` where there is nothing to hear."""
    if not bpy.app.build_options.audaspace:
        raise UserError(
            "video",
            "This Blender was built without sound.",
            "Add the sound in a Blender from blender.org, where Load Frames shows the same picture.",
        )
    if video.suffix.lower() == ".npz":
        raise UserError(
            "video",
            f"{video.name} is a motion track, which has no sound.",
            "Add the video that it was made from as a sound strip in a sequencer.",
        )
    if not video.is_file():
        raise UserError(
            "video", f"There is no driving video at {video}.", "Put it back, or animate again with another."
        )
    probe = bpy.data.sounds.load(str(video))
    silent = probe.channels == "INVALID"
    bpy.data.sounds.remove(probe)
    if silent:
        raise UserError("video", f"{video.name} has no sound.", "Choose a driving video that has.")


def _heard(scene: bpy.types.Scene, request: protocol.Job, frames: int) -> int:
    """How many of the scene's frames the motion goes forward."""
    if request.fps is None:  # the video's own rate, which is not known here
        return round((request.end - request.start) * _fps(scene)) if request.end else frames
    forward = frames // 2 + 1 if request.loop == "pingpong" else frames
    return round(forward / request.fps * _fps(scene))


def _skipped(scene: bpy.types.Scene, request: protocol.Job) -> int:
    """How many of the scene's frames of the video are cut off at its beginning."""
    return round(request.start * _fps(scene))


def _fps(scene: bpy.types.Scene) -> float:
    return scene.render.fps / scene.render.fps_base


def _free_channel(strips: bpy.types.bpy_prop_collection, strip: bpy.types.Strip) -> int:
    """The lowest channel on which `strip` meets no other."""
    others = [other for other in strips if other != strip]
    taken = {o.channel for o in others if _left(o) < _right(strip) and _right(o) > _left(strip)}
    return next((channel for channel in range(1, CHANNELS) if channel not in taken), CHANNELS)


def _strips(scene: bpy.types.Scene, create: bool = False) -> bpy.types.bpy_prop_collection:
    editor = scene.sequence_editor_create() if create else scene.sequence_editor
    if editor is None:
        return ()
    return versions.strips(editor)


def _left(strip: bpy.types.Strip) -> int:
    return versions.strip_frame(strip, "left_handle")


def _right(strip: bpy.types.Strip) -> int:
    return versions.strip_frame(strip, "right_handle")
