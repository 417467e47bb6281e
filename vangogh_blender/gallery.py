"""A gallery: paintings on the walls of a room, a light on each, and a camera that walks from one to the next.

Everything is in metres and in a collection of its own. The paintings hang from left to right, the middle of the
wall over the origin; where they are many, the second half hangs on the wall across.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import bpy
from mathutils import Matrix, Vector

from ..fomm_core.errors import UserError
from . import materials, showing
from .picture_frame import add_picture_frame, check, moulding_width
from .room import DEPTH, HEIGHT, WALL_COLOR, Color, Solid, build_room

EYE_LEVEL = 1.55  # the height at which the middle of a painting hangs, metres
GAP = 1.15  # between two frames
MARGIN = 1.5  # between the last frame and the corner
MOST_ON_A_WALL = 7
LEAST_HALF_WIDTH = 3.4  # of the room
# How the camera's time is shared: before a painting, and on the way to the first, to the next, to the wall across.
LOOK, ENTER, STROLL, CROSS = 1.0, 1.6, 0.8, 3.2
BEAT = 3.0  # how many seconds 1 of it is, where the length is left to us
SPOT_COLOR = (1.0, 0.90, 0.78)
TRACK_DISTANCE, TRACK_HEIGHT = 1.75, 3.45  # of the lighting track from the wall and from the floor
CARD = (0.20, 0.095)  # a caption's card, metres
CAPTION_AWAY = 0.10  # from the frame
# From the wall that one enters upon to the one across: half a turn round the middle of the room.
ACROSS = (Matrix.Identity(4), Matrix.Translation((0.0, -DEPTH, 0.0)) @ Matrix.Rotation(math.pi, 4, "Z"))


@dataclass(frozen=True)
class Painting:
    """One picture to hang.

    Attributes:
        image, frames, start, height, style: as `add_picture_frame` has them, `height` in metres.
        title: for the caption; by default the image's name.
        visit: whether the camera stops before it.
        framing: what else `add_picture_frame` takes: width, depth, mat, glass, canvas_texture, or style.
    """

    image: bpy.types.Image
    frames: int = 1
    start: int = 1
    height: float = 0.8
    style: str = "GILDED"
    title: str = ""
    visit: bool = True
    framing: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class _Hung:
    """A painting in its place: `x` and `wall` are its middle, `width` and `height` those of the frame."""

    painting: Painting
    width: float
    height: float
    x: float
    wall: Matrix


def build_gallery(
    context: bpy.types.Context,
    paintings: list[Painting],
    *,
    first_frame: int = 1,
    last_frame: int | None = None,
    wall_color: Color = WALL_COLOR,
) -> bpy.types.Collection:
    """Build a room round `paintings` and a camera that enters and walks from each to the next.

    The scene gets the collection *Gallery*, its camera and the frame range `first_frame` to `last_frame` (by
    default as long as the walk needs). Its render engine and view transform are left as they are: *Standard* shows
    the paintings' own colours, AgX does not.

    Raises:
        UserError: there are no paintings, or one has no pixels.
    """
    if not paintings:
        hint = "Select picture frames, or choose a painting."
        raise UserError("image", "There is no painting to hang.", hint)
    sizes = [_framed_size(painting) for painting in paintings]  # raises before anything is built
    hung = _places(paintings, sizes)
    half = max(abs(place.x) + place.width / 2 for place in hung) + MARGIN
    half = max(half, LEAST_HALF_WIDTH)
    collection = bpy.data.collections.new("Gallery")
    context.scene.collection.children.link(collection)
    build_room(collection, -half, half, wall_color)
    for wall in {id(place.wall): place.wall for place in hung}.values():
        _track(collection, half, wall)
    for place in hung:
        _hang(context, collection, place)
        _spot(collection, place)
        _caption(collection, place)
    visited = [place for place in hung if place.painting.visit] or hung[:1]
    if last_frame is None:
        fps = context.scene.render.fps / context.scene.render.fps_base
        last_frame = first_frame + round((sum(_ways(visited)) + LOOK * len(visited)) * BEAT * fps) - 1
    _camera(context, collection, visited, half, first_frame, last_frame)
    return collection


def stops(ways: list[float], first_frame: int, last_frame: int) -> list[tuple[int, int]]:
    """From which frame to which the camera stands still before each painting.

    Args:
        ways: how long it walks to each of them, in units of the time that it looks at one: ENTER to the first.
    """
    beat = (last_frame - first_frame) / (sum(ways) + LOOK * len(ways))
    found, time = [], 0.0
    for way in ways:
        found.append(
            (round(first_frame + beat * (time + way)), round(first_frame + beat * (time + way + LOOK)))
        )
        time += way + LOOK
    return found


def _ways(visited: list[_Hung]) -> list[float]:
    return [ENTER, *(STROLL if a.wall == b.wall else CROSS for a, b in pairwise(visited))]


def _framed_size(painting: Painting) -> tuple[float, float]:
    """Width and height with the frame, metres."""
    width, height = check(painting.image, painting.frames)
    width, height = painting.height * width / height, painting.height
    framing = {"style": painting.style, **painting.framing}
    border = framing.get("width") or moulding_width(width, height, framing["style"])
    border += framing.get("mat", 0.0)
    return width + 2 * border, height + 2 * border


def _places(paintings: list[Painting], sizes: list[tuple[float, float]]) -> list[_Hung]:
    """Where each hangs: left to right with even gaps, on one wall or, where they are many, on two."""
    count = len(paintings)
    first = count if count <= MOST_ON_A_WALL else math.ceil(count / 2)
    hung = []
    for wall, (begin, end) in zip(ACROSS, ((0, first), (first, count)), strict=True):
        widths = [width for width, _ in sizes[begin:end]]
        x = -(sum(widths) + GAP * (len(widths) - 1)) / 2
        for painting, (width, height) in zip(paintings[begin:end], sizes[begin:end], strict=True):
            hung.append(_Hung(painting, width, height, x + width / 2, wall))
            x += width + GAP
    return hung


def _hang(context: bpy.types.Context, collection: bpy.types.Collection, place: _Hung) -> None:
    painting = place.painting
    frame = add_picture_frame(
        context,
        painting.image,
        frames=painting.frames,
        start=painting.start,
        height=painting.height * context.scene.unit_settings.scale_length,
        location=place.wall @ Vector((place.x, 0.0, EYE_LEVEL)),
        rotation=place.wall.to_euler(),
        **{"style": painting.style, **painting.framing},
    )
    for other in list(frame.users_collection):
        other.objects.unlink(frame)
    collection.objects.link(frame)


def _track(collection: bpy.types.Collection, half: float, wall: Matrix) -> None:
    """The rail that the spotlights are clipped to, on rods from the ceiling."""
    end = half - 0.4
    track = Solid().bar((-end, -TRACK_DISTANCE, TRACK_HEIGHT), (end, -TRACK_DISTANCE, TRACK_HEIGHT), 0.036)
    rods = max(2, round(end * 2 / 2.5))
    for i in range(rods):
        x = (end - 0.4) * (2 * i / (rods - 1) - 1)
        track.bar((x, -TRACK_DISTANCE, TRACK_HEIGHT), (x, -TRACK_DISTANCE, HEIGHT + 0.02), 0.012)
    track.add("Lighting Track", materials.black_metal(), collection).matrix_basis = wall


def _spot(collection: bpy.types.Collection, place: _Hung) -> None:
    """A track spotlight: the lamp's can, and the light that washes one painting and a little of the wall."""
    at = Vector((place.x, -TRACK_DISTANCE, TRACK_HEIGHT - 0.19))
    aim = Vector((place.x, 0.0, EYE_LEVEL)) - at
    light = bpy.data.lights.new("Spotlight", "SPOT")
    light.color = SPOT_COLOR
    light.spot_size = 2 * math.atan(0.85 * math.hypot(place.width, place.height) / aim.length)
    light.spot_blend = 0.85
    light.shadow_soft_size = 0.035
    light.energy = 25.0 * aim.length_squared  # the same light on every painting, however far the lamp
    lamp = bpy.data.objects.new("Spotlight", light)
    turned = aim.to_track_quat("-Z", "Y").to_matrix().to_4x4()
    lamp.matrix_basis = (
        place.wall @ Matrix.Translation(at + aim.normalized() * 0.13) @ turned
    )  # in the can's mouth
    collection.objects.link(lamp)

    can = Solid().cylinder(0.042, -0.115, 0.085).cylinder(0.048, -0.12, -0.07)
    can = can.add("Spotlight Can", materials.black_metal(), collection, bevel=0.004)
    glass = Solid().cylinder(0.036, -0.1215, -0.118)
    glass = glass.add("Spotlight Glass", materials.glow("Spotlight Glass", SPOT_COLOR, 12.0), collection)
    for part in (can, glass):
        part.matrix_basis = place.wall @ Matrix.Translation(at) @ turned
    glass.visible_shadow = False  # the light comes from in front of it; Cycles need not look for it behind
    stem = Solid().bar(at, (place.x, -TRACK_DISTANCE, TRACK_HEIGHT), 0.022)
    stem.box(
        *((place.x + s * 0.07, -TRACK_DISTANCE + s * 0.02, TRACK_HEIGHT - 0.02 - s * 0.012) for s in (-1, 1))
    )
    stem.add("Spotlight Stem", materials.black_metal(), collection).matrix_basis = place.wall


def _caption(collection: bpy.types.Collection, place: _Hung) -> None:
    """The small card beside a painting, with its title."""
    width, height = CARD
    left = place.x + place.width / 2 + CAPTION_AWAY
    z = EYE_LEVEL - max(0.25, min(place.height / 2 - height, 0.4))
    card = Solid().box((left, -0.005, z - height / 2), (left + width, 0.001, z + height / 2))
    card = card.add("Caption Card", materials.plain("Card", (0.80, 0.79, 0.75), 0.7), collection)
    card.matrix_basis = place.wall
    text = bpy.data.curves.new("Caption", "FONT")
    text.body = place.painting.title or title(place.painting.image)
    margin = 0.014
    text.text_boxes[0].width, text.text_boxes[0].height = width - 2 * margin, height - 2 * margin
    text.overflow = "SCALE"  # a long title is written smaller
    text.size = 0.029
    text.align_x, text.align_y = "LEFT", "CENTER"
    text.materials.append(materials.plain("Ink", (0.015, 0.015, 0.015), 0.8))
    words = bpy.data.objects.new("Caption", text)
    corner = Vector((left + margin, -0.0055, z + height / 2 - margin))
    words.matrix_basis = place.wall @ Matrix.Translation(corner) @ Matrix.Rotation(math.pi / 2, 4, "X")
    collection.objects.link(words)


def title(image: bpy.types.Image) -> str:
    """What a caption calls the image: its name, or the painting's of frames, without file type and underscores."""
    name = str(image.get(showing.MADE_FROM) or image.name)
    stem, dot, kind = name.rpartition(".")
    name = stem if dot and kind.isalnum() and len(kind) <= 4 else name
    return " ".join(name.replace("_", " ").split())


def _camera(
    context: bpy.types.Context,
    collection: bpy.types.Collection,
    visited: list[_Hung],
    half: float,
    first: int,
    last: int,
) -> None:
    """A visitor's eyes: in from the side, then from painting to painting, each until it fills the view."""
    scene = context.scene
    lens = bpy.data.cameras.new("Visitor")
    lens.lens, lens.clip_start = 26.0, 0.05
    eye = bpy.data.objects.new("Visitor", lens)
    collection.objects.link(eye)

    def stand(frame: float, at: Vector, target: Vector, wall: Matrix) -> None:
        at, target = wall @ at, wall @ target
        eye.location = at
        turned = (
            (target - at).to_track_quat("-Z", "Y").to_euler("XYZ", eye.rotation_euler)
        )  # never the long way
        eye.rotation_euler = turned
        for path in ("location", "rotation_euler"):
            eye.keyframe_insert(path, frame=frame)

    times = stops(_ways(visited), first, last)
    x0, near = _view(scene, lens, visited[0])
    begin = Vector((max(-half + 0.8, x0 - 2.6), -DEPTH + 0.7, 1.64))
    stand(first, begin, Vector((x0 + min(1.6, half / 3), 0.0, 1.45)), visited[0].wall)
    halfway = Vector(((begin.x + x0) / 2 - 0.1, -(DEPTH - 0.7 + near) * 0.48, 1.6))
    stand((first + times[0][0]) / 2, halfway, Vector((x0 + 0.35, 0.0, 1.53)), visited[0].wall)
    for i, (place, (arrive, leave)) in enumerate(zip(visited, times, strict=True)):
        x, near = _view(scene, lens, place)
        for frame in (arrive, leave):
            stand(frame, Vector((x, -near, EYE_LEVEL)), Vector((x, 0.0, EYE_LEVEL)), place.wall)
        if i + 1 == len(visited):
            break
        halfway = (leave + times[i + 1][0]) / 2
        if visited[i + 1].wall == place.wall:  # a step back, and along the wall
            x = (place.x + visited[i + 1].x) / 2
            stand(halfway, Vector((x, -near - 0.45, 1.58)), Vector((x + 0.5, 0.0, 1.53)), place.wall)
        else:  # round the end of the benches
            end = Vector((half - 1.1, -DEPTH / 2, 1.6))
            stand(halfway, end, Vector((half, -DEPTH, 1.53)), place.wall)
    scene.camera = eye
    scene.frame_start, scene.frame_end = first, last


def _view(scene: bpy.types.Scene, lens: bpy.types.Camera, place: _Hung) -> tuple[float, float]:
    """From where the framed painting fills the view, its caption beside it: X, and how far from the wall."""
    aspect = scene.render.resolution_x * scene.render.pixel_aspect_x
    aspect /= scene.render.resolution_y * scene.render.pixel_aspect_y
    half = lens.sensor_width / 2 / lens.lens  # of the view's longer side, one metre away
    width, height = place.width / 2 * 1.06, place.height / 2 * 1.12
    wide, high = width / half / min(1.0, aspect), height / half * max(1.0, aspect)
    if wide > high:  # no room beside it: the caption stays out of the picture
        return place.x, wide
    right = place.width / 2 + CAPTION_AWAY + CARD[0] + 0.06
    aside = max(0.0, right - high * half * min(1.0, aspect))
    return place.x + min(aside, high * half * min(1.0, aspect) - width), high
