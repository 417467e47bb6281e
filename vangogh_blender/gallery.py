"""A gallery: paintings on the long wall of a room, a spotlight on each, a camera that walks up to the first.

Everything is in metres and in a collection of its own; the first painting hangs over the origin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import bpy
from mathutils import Vector

from ..fomm_core.errors import UserError
from . import materials
from .picture_frame import STYLES, add_picture_frame, check, moulding_width, pixel_size
from .room import DEPTH, HEIGHT, Solid, build_room

EYE_LEVEL = 1.5  # the height at which the middle of a painting hangs, metres
GAP = 1.15  # between two frames
WALK = 0.5  # the part of the shot that the camera walks; then it stands before the first painting
LEAST_HALF_WIDTH = 3.2  # of the room, to either side of the first painting
SPOT_COLOR = (1.0, 0.92, 0.82)
TRACK_DISTANCE, TRACK_HEIGHT = 1.8, 3.4  # of the lighting track from the wall and from the floor


@dataclass(frozen=True)
class Painting:
    """One picture to hang; the fields are those of `add_picture_frame`, `height` in metres."""

    image: bpy.types.Image
    frames: int = 1
    start: int = 1
    height: float = 0.8
    style: str = STYLES[0]
    title: str = ""


def build_gallery(
    context: bpy.types.Context,
    paintings: list[Painting],
    *,
    first_frame: int = 1,
    last_frame: int = 96,
) -> bpy.types.Collection:
    """Build a room round `paintings` and a camera that walks up to the first of them.

    The first painting hangs in the middle of the long wall, the others alternately to its right and left. The scene
    gets the collection *Gallery*, its camera and the frame range `first_frame` to `last_frame`; its render engine
    and view transform are left as they are (*Standard* shows the paintings' own colours, AgX does not).

    Raises:
        UserError: there are no paintings, or one has no pixels.
    """
    if not paintings:
        hint = "Select picture frames, or choose a painting."
        raise UserError("image", "There is no painting to hang.", hint)
    widths = [_framed_width(painting) for painting in paintings]  # raises before anything is built
    places = _places(widths)
    left = min(x - width / 2 for x, width in zip(places, widths, strict=True)) - GAP
    right = max(x + width / 2 for x, width in zip(places, widths, strict=True)) + GAP
    left, right = min(left, -LEAST_HALF_WIDTH), max(right, LEAST_HALF_WIDTH)
    collection = bpy.data.collections.new("Gallery")
    context.scene.collection.children.link(collection)
    build_room(collection, left, right)
    _track(collection, left, right)
    for painting, x, width in zip(paintings, places, widths, strict=True):
        _hang(context, collection, painting, x)
        _spot(collection, x, width, painting.height)
        _label(collection, painting, x + width / 2 + 0.2)
    _camera(context, collection, paintings[0], first_frame, last_frame)
    return collection


def arrival(first_frame: int, last_frame: int) -> int:
    """The frame from which on the camera stands still before the first painting."""
    return round(first_frame + WALK * (last_frame - first_frame))


def _framed_width(painting: Painting) -> float:
    width, height = check(painting.image, painting.frames)
    width *= painting.height / height
    return width + 2 * moulding_width(width, painting.height)


def _places(widths: list[float]) -> list[float]:
    """The middles of the paintings on the wall: the first at 0, then outwards to the right and to the left."""
    edges = {1: widths[0] / 2, -1: widths[0] / 2}
    places = [0.0]
    for i, width in enumerate(widths[1:]):
        side = 1 if i % 2 == 0 else -1
        places.append(side * (edges[side] + GAP + width / 2))
        edges[side] += GAP + width
    return places


def _hang(context: bpy.types.Context, collection: bpy.types.Collection, painting: Painting, x: float) -> None:
    frame = add_picture_frame(
        context,
        painting.image,
        frames=painting.frames,
        start=painting.start,
        height=painting.height * context.scene.unit_settings.scale_length,
        location=(x, 0.0, EYE_LEVEL),
        style=painting.style,
    )
    for other in list(frame.users_collection):
        other.objects.unlink(frame)
    collection.objects.link(frame)


def _track(collection: bpy.types.Collection, left: float, right: float) -> None:
    """The bar that the spotlights are clipped to, on two rods from the ceiling."""
    track = Solid().bar(
        (left + 0.4, -TRACK_DISTANCE, TRACK_HEIGHT), (right - 0.4, -TRACK_DISTANCE, TRACK_HEIGHT), 0.035
    )
    for x in (left + 0.8, right - 0.8):
        track.bar((x, -TRACK_DISTANCE, TRACK_HEIGHT), (x, -TRACK_DISTANCE, HEIGHT), 0.012)
    track.add("Lighting Track", materials.black_metal(), collection)


def _spot(collection: bpy.types.Collection, x: float, width: float, height: float) -> None:
    """A track spotlight: the lamp's can, and the light that washes one painting and a little of the wall."""
    place = Vector((x, -TRACK_DISTANCE, TRACK_HEIGHT - 0.16))
    aim = Vector((x, 0.0, EYE_LEVEL)) - place
    light = bpy.data.lights.new("Spotlight", "SPOT")
    light.color = SPOT_COLOR
    light.spot_size = 2 * math.atan(0.95 * math.hypot(width, height) / aim.length)
    light.spot_blend = 0.9
    light.shadow_soft_size = 0.04
    light.energy = 29.0 * aim.length_squared  # the same light on every painting, however far the lamp
    lamp = bpy.data.objects.new("Spotlight", light)
    lamp.location = place + aim.normalized() * 0.12  # in the can's mouth
    lamp.rotation_euler = aim.to_track_quat("-Z", "Y").to_euler()
    collection.objects.link(lamp)

    ring = [(0.05 * math.cos(math.tau * i / 20), 0.05 * math.sin(math.tau * i / 20), -0.1) for i in range(20)]
    can = (
        Solid()
        .prism(ring, (0.0, 0.0, 0.2))
        .add("Spotlight Can", materials.black_metal(), collection, bevel=0.006)
    )
    can.location, can.rotation_euler = place, lamp.rotation_euler
    stem = Solid().bar(place, (x, -TRACK_DISTANCE, TRACK_HEIGHT), 0.024)
    stem.add("Spotlight Stem", materials.black_metal(), collection)


def _label(collection: bpy.types.Collection, painting: Painting, x: float) -> None:
    """The small card beside a painting, with its title."""
    title = painting.title or painting.image.name.rsplit(".", 1)[0]
    card = Solid().box((x - 0.06, -0.006, EYE_LEVEL - 0.34), (x + 0.06, 0.0, EYE_LEVEL - 0.26))
    card.add("Label", materials.plain("Card", (0.75, 0.73, 0.68), 0.8), collection)
    text = bpy.data.curves.new("Label Text", "FONT")
    text.body = title
    text.size = min(0.016, 0.17 / max(1, len(title)))  # whatever fits the card
    text.align_x, text.align_y = "LEFT", "CENTER"
    text.materials.append(materials.plain("Ink", (0.015, 0.015, 0.015), 0.8))
    words = bpy.data.objects.new("Label Text", text)
    words.location = (x - 0.05, -0.0065, EYE_LEVEL - 0.3)
    words.rotation_euler = (math.pi / 2, 0.0, 0.0)
    collection.objects.link(words)


def _camera(
    context: bpy.types.Context, collection: bpy.types.Collection, painting: Painting, first: int, last: int
) -> None:
    """A visitor's eyes: in from the side, past the bench, up to the first painting until it fills the view."""
    scene = context.scene
    lens = bpy.data.cameras.new("Visitor")
    lens.lens = 26.0
    eye = bpy.data.objects.new("Visitor", lens)
    collection.objects.link(eye)
    width, height = pixel_size(painting.image)
    width *= painting.height / height
    aspect = scene.render.resolution_x * scene.render.pixel_aspect_x
    aspect /= scene.render.resolution_y * scene.render.pixel_aspect_y
    half = lens.sensor_width / 2 / lens.lens  # of the view's longer side, one metre away
    border = 1.2 * moulding_width(width, painting.height)
    near = max(
        (width / 2 + border) / half / min(1.0, aspect),
        (painting.height / 2 + border) / half * max(1.0, aspect),
    )
    halfway = -(DEPTH - 0.7 + near) * 0.5
    steps = (  # frame, from where, looking at what
        (first, Vector((1.9, -DEPTH + 0.7, 1.62)), Vector((-0.7, 0.0, 1.5))),
        ((first + arrival(first, last)) // 2, Vector((1.0, halfway, 1.58)), Vector((-0.15, 0.0, 1.54))),
        (arrival(first, last), Vector((0.0, -near - 0.05, EYE_LEVEL)), Vector((0.0, 0.0, EYE_LEVEL))),
    )
    for frame, place, target in steps:
        eye.location = place
        eye.rotation_euler = (target - place).to_track_quat("-Z", "Y").to_euler()
        eye.keyframe_insert("location", frame=frame)
        eye.keyframe_insert("rotation_euler", frame=frame)
    scene.camera = eye
    scene.frame_start, scene.frame_end = first, last
