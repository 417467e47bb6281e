"""Finished frames into the scene: on a new picture frame, or on the user's own object."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy
from mathutils import Vector

from ..fomm_core.errors import UserError
from . import image_sequence, picture_frame

# On a sequence, the name of the painting that it was made from: so that it can be replaced by a newer one.
MADE_FROM = "vangogh_painting"
# On a sequence, how many of its frames play: more may be on their way.
FRAMES = "vangogh_frames"
# Metres: two pictures in one place; how deep within a solid a picture hangs at most; the moulding and a gap.
_SAME, _SOLID, _ASIDE = 0.05, 2.0, 0.3
_TRIES = 100  # pictures in a row


@dataclass(frozen=True)
class Ref:
    """A datablock, by what stays: its session_uid while the file is open, its name afterwards."""

    name: str
    uid: int = 0


@dataclass(frozen=True)
class Place:
    """Where the frames are to be shown.

    Attributes:
        painting: the image that they are made from.
        target: NEW, a picture frame at `location`, or OBJECT, the object `object`.
        location: in the scene's units.
        start: the scene's frame at which the sequence begins.
    """

    painting: Ref
    target: str
    object: Ref
    location: tuple[float, float, float]
    start: int

    @classmethod
    def from_dict(cls, data: dict) -> Place:
        """What `dataclasses.asdict` gave. Its uids are of another session, and void."""
        painting, target = Ref(data["painting"]["name"]), Ref(data["object"]["name"])
        x, y, z = data["location"]
        return cls(painting, str(data["target"]), target, (float(x), float(y), float(z)), int(data["start"]))


def ref(datablock: bpy.types.ID | None) -> Ref:
    return Ref(datablock.name, datablock.session_uid) if datablock else Ref("")


def find(collection: bpy.types.bpy_prop_collection, wanted: Ref) -> bpy.types.ID | None:
    """The datablock in `collection`, renamed or not; none if it was removed."""
    named = collection.get(wanted.name)
    if named and wanted.uid in (0, named.session_uid):
        return named
    return next((block for block in collection if block.session_uid == wanted.uid), None) or named


def show(place: Place, folder: Path, label: str, scene: bpy.types.Scene) -> bpy.types.Image:
    """Show the frames in `folder`, which holds 0001.png …, at their place in the scene; the sequence.

    Raises:
        UserError: there are no frames, or nothing to show them on.
    """
    frames = image_sequence.count_frames(folder)
    if not frames:
        raise UserError("output", f"There are no frames in {folder}.", "Press Resume, or Animate again.")
    painting = find(bpy.data.images, place.painting)
    nodes = _nodes(place, painting, folder) if place.target == "OBJECT" else []
    image = image_sequence.load_sequence(folder, label)
    image[MADE_FROM] = painting.name if painting else place.painting.name
    image[FRAMES] = frames
    for node in nodes:
        image_sequence.show(node, image, frames, start=place.start)
    if place.target == "NEW":
        with bpy.context.temp_override(**context_of(scene)):
            picture_frame.add_picture_frame(
                bpy.context, image, frames=frames, start=place.start, location=_in_the_open(image, place)
            )
    return image


def _in_the_open(image: bpy.types.Image, place: Place) -> Vector:
    """Where a new picture is to be seen: its place, or on the right of what would hide it there.

    The cube of Blender's first scene stands round the 3D cursor, and so does the picture of the job before.
    """
    scene = bpy.context.scene
    metre = 1.0 / scene.unit_settings.scale_length
    width, height = picture_frame.pixel_size(image)
    half = (picture_frame.HEIGHT * width / height / 2 + _ASIDE) * metre
    at = Vector(place.location)
    depsgraph = bpy.context.evaluated_depsgraph_get()  # brings objects that are new to their places, too
    for _ in range(_TRIES):
        hiding = _hides(depsgraph, at, metre)
        if hiding is None:
            break
        at.x = max((hiding.matrix_world @ Vector(corner)).x for corner in hiding.bound_box) + half
    return at


def _hides(depsgraph: bpy.types.Depsgraph, at: Vector, metre: float) -> bpy.types.Object | None:
    """What a picture at that point would be hidden in, or would hang in the same place with."""
    scene = bpy.context.scene
    for other in scene.objects:
        same = (other.matrix_world.translation - at).length < _SAME * metre
        if same and picture_frame.frame_modifier(other) and other.visible_get():
            return other
    # From within a solid one looks at the back of its surface. Rooms are larger.
    front = Vector((0.0, -1.0, 0.0))
    hit, _, normal, _, solid, _ = scene.ray_cast(depsgraph, at, front, distance=_SOLID * metre)
    return solid if hit and normal.dot(front) > 0 else None


def growing(folder: Path) -> bpy.types.Image | None:
    """The sequence of the frames in `folder`, where an object of a scene plays it since `show`."""
    image = image_sequence.loaded(folder)
    if image is None or FRAMES not in image:
        return None
    shown = any(o.users_scene and image_sequence.nodes_showing(o, image) for o in bpy.data.objects)
    return image if shown else None


def grow(image: bpy.types.Image, frames: int) -> None:
    """Let what plays all that there was of a sequence from `show` play `frames` frames, if that is more."""
    before = image.get(FRAMES, frames)
    if frames <= before:
        return
    for node in image_sequence.nodes_playing(image):
        if node.image_user.frame_duration == before:  # else the user has set it
            node.image_user.frame_duration = frames
    image[FRAMES] = frames


def shown_on(
    folder: Path, scene: bpy.types.Scene
) -> tuple[bpy.types.Object, bpy.types.ShaderNodeTexImage] | None:
    """The object of the scene that shows the frames in `folder`, and the node that does; the first of several."""
    image = image_sequence.loaded(folder)
    if image is not None:
        for target in scene.objects:
            for node in image_sequence.nodes_showing(target, image):
                return target, node
    return None


def first_frame(place: Place, folder: Path, scene: bpy.types.Scene) -> int:
    """The scene's frame at which the frames in `folder` begin where they are shown; else where they were to."""
    shown = shown_on(folder, scene)
    return shown[1].image_user.frame_start if shown else place.start


def nodes_of(target: bpy.types.Object, painting: bpy.types.Image) -> list[bpy.types.ShaderNodeTexImage]:
    """The image nodes of `target` that show the painting, or frames made from it before."""
    images = [painting, *(image for image in bpy.data.images if image.get(MADE_FROM) == painting.name)]
    return [node for image in images for node in image_sequence.nodes_showing(target, image)]


def _nodes(
    place: Place, painting: bpy.types.Image | None, folder: Path
) -> list[bpy.types.ShaderNodeTexImage]:
    elsewhere = f"The frames are in {folder}; Load Frames can hang them in a new picture frame."
    target = find(bpy.data.objects, place.object)
    if target is None:
        raise UserError(
            "arguments", f"The object {place.object.name} is not in this file any more.", elsewhere
        )
    nodes = nodes_of(target, painting) if painting else []
    if not nodes:
        raise UserError(
            "arguments",
            f"{target.name} does not show the painting {place.painting.name} any more.",
            elsewhere,
        )
    return nodes


def context_of(scene: bpy.types.Scene) -> dict[str, object]:
    """The context members of the window that shows the scene, or those that the scene has without a window."""
    for window in bpy.context.window_manager.windows:
        if window.scene == scene:
            layer = window.view_layer
            break
    else:
        layer = scene.view_layers[0]
    return {"scene": scene, "view_layer": layer, "collection": layer.active_layer_collection.collection}


def push_undo(message: str) -> None:
    """Make what was just added a step of its own, or the next undo would take it away with the user's work."""
    windows = bpy.context.window_manager.windows
    if bpy.app.background or not windows or bpy.context.mode != "OBJECT":
        return
    with bpy.context.temp_override(window=windows[0]):
        bpy.ops.ed.undo_push(message=message)
