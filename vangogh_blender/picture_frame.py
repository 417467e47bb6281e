"""A framed picture as one closed mesh: a moulding mitred round a canvas in the painting's own proportions.

The picture hangs on the plane Y = 0 and faces -Y, as Blender's front view looks: its origin is the point on the
wall behind the picture's centre. Lengths inside this module are in the object's own units, widths of the moulding
in the profile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import bpy

from ..fomm_core.errors import UserError
from . import image_sequence, materials

STYLES = ("GILDED", "WOOD")
Point = tuple[float, float, float]


def _arc(
    center: tuple[float, float], radii: tuple[float, float], start: float, end: float, steps: int
) -> list:
    """Points of an ellipse's arc from the angle `start` to `end`, in degrees."""
    angles = (math.radians(start + (end - start) * i / steps) for i in range(steps + 1))
    return [(center[0] + radii[0] * math.cos(a), center[1] + radii[1] * math.sin(a)) for a in angles]


# The moulding's section, from the sight edge (0) out to the back edge: runs of (out, forward) points in widths
# of the moulding, and how much of a ridge (1) or a hollow (0) each run is.
CANVAS_DEPTH = 0.30
BEAD_CENTER, BEAD_RADIUS = (0.115, 0.375), 0.042
PROFILE = (
    ([(0.0, CANVAS_DEPTH), (0.0, 0.345)], 0.35),  # reveal
    (_arc((0.05, 0.345), (0.05, 0.05), 180, 90, 4), 0.9),  # lip
    ([(0.05, 0.395), (0.07, 0.37), (0.16, 0.37), (0.18, 0.395)], 0.1),  # channel for the beads
    ([(0.18, 0.395), (0.205, 0.395)], 0.9),  # fillet
    ([(0.205, 0.395), (0.205, 0.42)], 0.4),
    (_arc((0.205, 0.70), (0.36, 0.28), -90, -8, 12), 0.45),  # the great hollow
    ([(0.5615, 0.661), (0.60, 0.661), (0.60, 0.69)], 0.75),  # step
    (_arc((0.70, 0.69), (0.10, 0.09), 180, 0, 12), 0.85),  # top torus
    ([(0.80, 0.69), (0.80, 0.64), (0.83, 0.62)], 0.15),
    (_arc((0.83, 0.49), (0.13, 0.13), 90, 0, 8), 0.7),  # shoulder
    ([(0.96, 0.49), (0.985, 0.49), (1.0, 0.475)], 0.8),
    ([(1.0, 0.475), (1.0, 0.02), (0.98, 0.0)], 0.3),  # outer edge
)


@dataclass
class _Mesh:
    """Vertices and faces as they are collected; a face is (vertex numbers, material slot, UVs, smooth)."""

    vertices: list[Point]
    ridges: list[float]
    faces: list[tuple[list[int], int, list[tuple[float, float]], bool]]


def add_picture_frame(
    context: bpy.types.Context,
    image: bpy.types.Image,
    *,
    frames: int = 1,
    start: int = 1,
    height: float = 0.6,
    location: Point | None = None,
    rotation: Point | None = None,
    name: str | None = None,
    style: str = "GILDED",
) -> bpy.types.Object:
    """Add a framed picture of `image` to the active collection. Selection and mode stay as they are.

    Args:
        image: a painting, or a sequence from `image_sequence.load_sequence`.
        frames: how many files the sequence has; a still image ignores it.
        start: the scene's frame at which the sequence begins.
        height: of the canvas, in metres; the moulding comes on top of it.
        location: the point on the wall behind the picture's centre; the 3D cursor by default.
        rotation: Euler angles in radians; upright and facing -Y by default.
        style: GILDED or WOOD.

    Raises:
        UserError: the image has no pixels (its file is gone, say), or the sequence no frames; nothing is added.
    """
    pixels = check(image, frames)
    canvas_height = height / context.scene.unit_settings.scale_length
    canvas_width = canvas_height * pixels[0] / pixels[1]
    name = name or f"{image.name.rsplit('.', 1)[0]} Frame"
    mesh = frame_mesh(name, canvas_width, canvas_height)
    canvas, node = materials.canvas(image)
    if image.source in {"SEQUENCE", "MOVIE"}:
        image_sequence.show(node, image, frames, start)
    moulding = materials.gilded() if style == "GILDED" else materials.dark_wood()
    for material in (canvas, moulding, materials.backing()):
        mesh.materials.append(material)
    frame = bpy.data.objects.new(name, mesh)
    frame.location = context.scene.cursor.location if location is None else location
    if rotation is not None:
        frame.rotation_euler = rotation
    context.collection.objects.link(frame)
    return frame


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


def moulding_width(width: float, height: float) -> float:
    """The moulding's width for a canvas: a sixth of its size, slimmer on a strip, at most 0.2 units."""
    return min(0.16 * math.sqrt(width * height), 0.4 * min(width, height), 0.2)


def frame_mesh(name: str, width: float, height: float) -> bpy.types.Mesh:
    """The mesh round a canvas of `width` x `height`: material slots 0 canvas, 1 moulding, 2 back.

    Closed: canvas, moulding and back share their edges, each bead is a closed shell of its own. UVs: canvas and
    back 0 to 1, the moulding along its length (U) and across its section (V, 0 to 1) at one scale.
    """
    collected = _Mesh([], [], [])
    across = moulding_width(width, height)
    _sweep(collected, width, height, across)
    _beads(collected, width, height, across)
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(collected.vertices, [], [face[0] for face in collected.faces])
    mesh.polygons.foreach_set("material_index", [face[1] for face in collected.faces])
    mesh.polygons.foreach_set("use_smooth", [face[3] for face in collected.faces])
    uv = mesh.uv_layers.new(name="UVMap")
    uv.data.foreach_set("uv", [value for face in collected.faces for pair in face[2] for value in pair])
    mesh.attributes.new("ridge", "FLOAT", "POINT").data.foreach_set("value", collected.ridges)
    _mark_sharp(mesh)
    mesh.validate()
    mesh.update()
    return mesh


def _sweep(mesh: _Mesh, width: float, height: float, across: float) -> None:
    """The section round the canvas, one ring of four mitred corners for each of its points."""
    rings = []  # (out, forward, ridge, way along the section), in units; joints of two runs once
    for run, ridge in PROFILE:
        for out, forward in run if not rings else run[1:]:
            point = (out * across, forward * across)
            way = math.dist(point, rings[-1][0]) + rings[-1][2] if rings else 0.0
            rings.append((point, ridge, way))
    length = rings[-1][2]
    for (out, forward), ridge, _ in rings:
        for x, z in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
            mesh.vertices.append((x * (width / 2 + out), -forward, z * (height / 2 + out)))
            mesh.ridges.append(ridge)
    corners = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    mesh.faces.append(([0, 1, 2, 3], 0, list(corners), False))
    last = 4 * (len(rings) - 1)
    mesh.faces.append(([last + i for i in (1, 0, 3, 2)], 2, list(corners), False))
    for side in range(4):
        half = (width, height)[side % 2] / 2
        begin = (0.0, width, width + height, 2 * width + height)[side]
        for j in range(len(rings) - 1):
            quad, uvs = [], []
            for ring, end in ((j + 1, 0), (j + 1, 1), (j, 1), (j, 0)):
                (out, _), _, way = rings[ring]
                along = begin + (2 * half + out if end else -out)
                quad.append(4 * ring + (side + end) % 4)
                uvs.append((along / length, way / length))
            mesh.faces.append((quad, 1, uvs, True))


def _beads(mesh: _Mesh, width: float, height: float, across: float) -> None:
    """A row of beads in the channel next to the sight edge, the same number of them on opposite sides."""
    out = BEAD_CENTER[0] * across
    forward = BEAD_CENTER[1] * across
    sides = (width + 2 * out, height + 2 * out)
    pitch = max(
        2.15 * BEAD_RADIUS * across, sum(sides) / 500
    )  # a very long strip gets larger beads, not millions
    radius = min(BEAD_RADIUS * across, pitch / 2.1)
    for side in range(4):
        span = sides[side % 2]
        count = max(1, round(span / pitch))
        for i in range(count):
            t = -span / 2 + span * i / count  # from one corner to the next, which begins the next side
            x, z = ((t, -sides[1] / 2), (sides[0] / 2, t), (-t, sides[1] / 2), (-sides[0] / 2, -t))[side]
            _bead(mesh, (x, -forward, z), radius)


def _bead(mesh: _Mesh, center: Point, radius: float, around: int = 8, rows: int = 3) -> None:
    """The front half of a ball and a little more, closed behind where it sinks into the moulding."""
    first = len(mesh.vertices)
    x, y, z = center
    mesh.vertices.append((x, y - radius, z))
    for row in range(1, rows + 1):
        tilt = math.radians(100) * row / rows
        ring, depth = radius * math.sin(tilt), radius * math.cos(tilt)
        for i in range(around):
            turn = 2 * math.pi * i / around
            mesh.vertices.append((x + ring * math.cos(turn), y - depth, z + ring * math.sin(turn)))
    mesh.ridges.extend([0.95] + [0.8 - 0.35 * row for row in range(rows) for _ in range(around)])

    def vertex(row: int, i: int) -> int:
        return first + 1 + row * around + i % around

    faces = [[first, vertex(0, i), vertex(0, i + 1)] for i in range(around)]
    for row in range(rows - 1):
        faces += [
            [vertex(row, i), vertex(row + 1, i), vertex(row + 1, i + 1), vertex(row, i + 1)]
            for i in range(around)
        ]
    faces.append([vertex(rows - 1, i) for i in reversed(range(around))])
    for face in faces:
        uvs = [
            ((mesh.vertices[v][0] - x) / radius / 2 + 0.5, (mesh.vertices[v][2] - z) / radius / 2 + 0.5)
            for v in face
        ]
        mesh.faces.append((face, 1, uvs, True))


def _mark_sharp(mesh: bpy.types.Mesh) -> None:
    """Edges where the surface turns by more than 32 degrees are sharp: mitres and steps, not the curves."""
    normals = [polygon.normal.copy() for polygon in mesh.polygons]
    beside: dict[tuple[int, int], list] = {}
    for polygon, normal in zip(mesh.polygons, normals, strict=True):
        for key in polygon.edge_keys:
            beside.setdefault(key, []).append(normal)
    limit = math.cos(math.radians(32))
    sharp = [len(pair := beside[edge.key]) == 2 and pair[0].dot(pair[1]) < limit for edge in mesh.edges]
    mesh.attributes.new("sharp_edge", "BOOLEAN", "EDGE").data.foreach_set("value", sharp)
