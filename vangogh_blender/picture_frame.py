"""A framed picture: the painting on a canvas in its own proportions, and a frame that Geometry Nodes grow round it.

The picture hangs on the plane Y = 0 and faces -Y, as Blender's front view looks: its origin is the point on the
wall behind the picture's centre. What the modifier *Picture Frame* shows can be changed at any time, the canvas in
edit mode, the materials in their slots.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import bpy

from ..fomm_core.errors import UserError
from . import frame_nodes, image_sequence, materials, versions

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Style:
    """What a style of frame is made of.

    Attributes:
        profile: the modifier's.
        width: of the moulding, as a part of the canvas' size (the root of its area); `most`, in units.
        depth: as a part of the moulding's width.
        finish: the moulding's material.
    """

    profile: str
    width: float
    most: float
    depth: float
    finish: str


HEIGHT = 0.6  # of a canvas, in metres
STYLES = {
    "GILDED": Style("Gilded", 0.16, 0.20, 0.78, "gilded"),
    "WOOD": Style("Cabinet", 0.16, 0.20, 0.78, "dark_wood"),
    "PLAIN": Style("Plain", 0.055, 0.06, 0.85, "oak"),
    "RIPPLE": Style("Dutch Ripple", 0.17, 0.22, 0.55, "ebony"),
    "SHADOW_GAP": Style("Shadow Gap", 0.035, 0.035, 1.4, "black_lacquer"),
}


def add_picture_frame(
    context: bpy.types.Context,
    image: bpy.types.Image,
    *,
    frames: int = 1,
    start: int = 1,
    height: float = HEIGHT,
    location: Point | None = None,
    rotation: Point | None = None,
    name: str | None = None,
    style: str = "GILDED",
    width: float | None = None,
    depth: float | None = None,
    mat: float = 0.0,
    glass: bool = False,
    canvas_texture: float = 0.5,
) -> bpy.types.Object:
    """Add a framed picture of `image` to the active collection. Selection and mode stay as they are.

    Args:
        image: a painting, or a sequence from `image_sequence.load_sequence`.
        frames: how many files the sequence has; a still image ignores it.
        start: the scene's frame at which the sequence begins.
        height: of the canvas, in metres; the moulding comes on top of it.
        location: the point on the wall behind the picture's centre; the 3D cursor by default.
        rotation: Euler angles in radians; upright and facing -Y by default.
        style: one of `STYLES`.
        width, depth: of the moulding, in metres; by default what suits the style and the canvas.
        mat: width of the mat board round the picture, in metres; 0 is none.
        glass: whether there is a pane in front of it.
        canvas_texture: how much the weave and the brush strokes stand out, 0 to 1.

    Raises:
        UserError: the image has no pixels (its file is gone, say), or the sequence no frames; nothing is added.
    """
    pixels = check(image, frames)
    metre = 1.0 / context.scene.unit_settings.scale_length
    canvas_height = height * metre
    canvas_width = canvas_height * pixels[0] / pixels[1]
    name = name or f"{image.name.rsplit('.', 1)[0]} Frame"
    canvas, node = materials.canvas(image)
    if image.source in {"SEQUENCE", "MOVIE"}:
        image_sequence.show(node, image, frames, start)
    mesh = _canvas_mesh(name, canvas_width, canvas_height)
    for material in (canvas, None, materials.backing(), materials.mat_board(), materials.glass()):
        mesh.materials.append(material)
    frame = bpy.data.objects.new(name, mesh)
    frame.location = context.scene.cursor.location if location is None else location
    if rotation is not None:
        frame.rotation_euler = rotation
    context.collection.objects.link(frame)
    modifier = frame.modifiers.new("Picture Frame", "NODES")
    modifier.node_group = frame_nodes.frame_group()
    set_style(frame, style, width=width and width * metre, depth=depth and depth * metre)
    versions.set_modifier_input(modifier, "Mat Board", mat * metre)
    versions.set_modifier_input(modifier, "Glass", glass)
    versions.set_modifier_input(modifier, "Canvas Texture", canvas_texture)
    return frame


def set_style(
    frame: bpy.types.Object, style: str, *, width: float | None = None, depth: float | None = None
) -> None:
    """Give a picture frame the profile, the proportions and the finish of `style`; all else stays.

    Args:
        width, depth: of the moulding, in the object's units, in place of the style's.
    """
    chosen = STYLES[style]
    modifier = frame_modifier(frame)
    if width is None:
        width = moulding_width(*canvas_size(frame), style)
    versions.set_modifier_input(modifier, "Profile", chosen.profile)
    versions.set_modifier_input(modifier, "Width", width)
    versions.set_modifier_input(modifier, "Depth", width * chosen.depth if depth is None else depth)
    frame.data.materials[frame_nodes.MOULDING] = getattr(materials, chosen.finish)()


def frame_modifier(thing: bpy.types.Object) -> bpy.types.NodesModifier | None:
    """The modifier that makes `thing` a picture frame; None if it is no picture frame."""
    for modifier in thing.modifiers:
        group = modifier.type == "NODES" and modifier.node_group
        if group and group.get("vangogh_edition"):
            return modifier
    return None


def canvas_size(frame: bpy.types.Object) -> tuple[float, float]:
    """Width and height of a picture frame's canvas, in the object's units."""
    xs, zs = ([vertex.co[axis] for vertex in frame.data.vertices] for axis in (0, 2))
    return max(xs) - min(xs), max(zs) - min(zs)


def check(image: bpy.types.Image, frames: int) -> tuple[int, int]:
    """The pixel size of `image`, once it is sure that a frame can be made of it; raises `UserError` if not."""
    if image.source == "SEQUENCE" and frames < 1:
        raise UserError("image", f"The sequence {image.name} has no frames.", "Run the animation again.")
    return pixel_size(image)


def pixel_size(image: bpy.types.Image) -> tuple[int, int]:
    """Width and height of `image` in pixels, read from the first file where Blender does not tell (sequences).

    Raises:
        UserError: the image is a render result or a set of tiles, or its file cannot be read.
    """
    if image.source not in {"FILE", "SEQUENCE", "MOVIE", "GENERATED"}:
        raise UserError(
            "image", f"{image.name} is not a picture that can be framed.", "Choose an image from a file."
        )
    width, height = image.size
    if (not width or not height) and image.filepath:
        path = image_sequence.absolute_path(image)
        try:
            probe = bpy.data.images.load(str(path), check_existing=False)
        except RuntimeError:
            width = height = 0
        else:
            width, height = probe.size
            bpy.data.images.remove(probe)
    if not width or not height:
        raise UserError(
            "image",
            f"The image {image.name} has no pixels: its file cannot be read ({image.filepath or 'no file'}).",
            "Find the file again with File > External Data > Find Missing Files.",
        )
    return width, height


def moulding_width(width: float, height: float, style: str = "GILDED") -> float:
    """The moulding's width for a canvas: a part of its size, as the style has it, and slimmer on a strip."""
    chosen = STYLES[style]
    return min(chosen.width * math.sqrt(width * height), 0.4 * min(width, height), chosen.most)


def _canvas_mesh(name: str, width: float, height: float) -> bpy.types.Mesh:
    """One face, the picture upright on it."""
    x, z = width / 2, height / 2
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(-x, 0, -z), (x, 0, -z), (x, 0, z), (-x, 0, z)], [], [(0, 1, 2, 3)])
    mesh.uv_layers.new(name="UVMap").data.foreach_set("uv", [0, 0, 1, 0, 1, 1, 0, 1])
    return mesh
