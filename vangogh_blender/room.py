"""The gallery's room: walls, doorway, parquet, laylight and bench. No paintings: `gallery` hangs those.

In metres. The long wall is the plane Y = 0, faces -Y and runs from `left` to `right`; the floor is Z = 0.
"""

from __future__ import annotations

import math
import random

import bpy
from mathutils import Vector

from . import materials

DEPTH = 7.6  # from the long wall to the one behind the visitor
HEIGHT = 3.9
WALL = 0.35  # thickness
DOOR_WIDTH, DOOR_HEIGHT = 1.5, 2.55
NEXT_ROOM = 3.0  # how deep the room is that one sees through the doorway

Color = tuple[float, float, float]
WALL_COLOR = (0.64, 0.595, 0.515)  # a warm white
NEXT_ROOM_COLOR = (0.16, 0.032, 0.028)
TRIM = (0.66, 0.64, 0.59)
WARM = (1.0, 0.86, 0.68)
DAYLIGHT = (1.0, 0.98, 0.95)
DAY = 12.5  # W/m² of daylight through the ceiling's glass

# Sections of the trim as (out of the wall, up) points, metres.
SKIRTING = ((0.0, 0.0), (0.03, 0.0), (0.03, 0.16), (0.022, 0.185), (0.024, 0.2), (0.012, 0.22), (0.0, 0.22))
CORNICE = (
    (0.0, -0.34), (0.03, -0.34), (0.03, -0.3), (0.05, -0.28), (0.06, -0.2), (0.1, -0.12), (0.17, -0.07),
    (0.2, -0.06), (0.2, -0.03), (0.24, 0.0), (0.0, 0.0),
)  # fmt: skip


class Solid:
    """Boxes and prisms collected into one mesh object, each with its faces outwards."""

    def __init__(self):
        self.vertices: list = []
        self.faces: list[list[int]] = []

    def box(self, low: tuple, high: tuple) -> Solid:
        section = [(low[1], low[2]), (high[1], low[2]), (high[1], high[2]), (low[1], high[2])]
        return self.prism([(low[0], y, z) for y, z in section], (high[0] - low[0], 0.0, 0.0))

    def prism(self, section: list[tuple], along: tuple) -> Solid:
        """The closed polygon `section` of 3D points, counter-clockwise seen against `along`, drawn out along it."""
        first, count = len(self.vertices), len(section)
        self.vertices += [tuple(point) for point in section]
        self.vertices += [tuple(Vector(point) + Vector(along)) for point in section]
        self.faces.append([first + i for i in reversed(range(count))])
        self.faces.append([first + count + i for i in range(count)])
        for i in range(count):
            j = (i + 1) % count
            self.faces.append([first + i, first + j, first + count + j, first + count + i])
        return self

    def bar(self, begin: tuple, end: tuple, thickness: float) -> Solid:
        """A square rod along one of the axes."""
        sides = [0.0 if abs(a - b) > thickness else thickness / 2 for a, b in zip(begin, end, strict=True)]
        low = [min(a, b) - side for a, b, side in zip(begin, end, sides, strict=True)]
        high = [max(a, b) + side for a, b, side in zip(begin, end, sides, strict=True)]
        return self.box(low, high)

    def cylinder(self, radius: float, low: float, high: float, around: int = 24) -> Solid:
        """An upright one round the Z axis."""
        turns = [math.tau * i / around for i in range(around)]
        ring = [(radius * math.cos(turn), radius * math.sin(turn), low) for turn in turns]
        return self.prism(ring, (0.0, 0.0, high - low))

    def moulding(self, section: tuple, begin: Vector, end: Vector, inward: Vector) -> Solid:
        """Trim with `section` along a wall from `begin` to `end`, standing out of it `inward`."""
        points = [begin + inward * out + Vector((0, 0, up)) for out, up in section]
        if inward.cross(Vector((0, 0, 1))).dot(end - begin) < 0:
            points.reverse()
        return self.prism(points, end - begin)

    def add(
        self, name: str, material: bpy.types.Material, collection: bpy.types.Collection, bevel: float = 0.0
    ) -> bpy.types.Object:
        """The object, linked to `collection`; `bevel` rounds its edges, in metres."""
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata(self.vertices, [], self.faces)
        mesh.materials.append(material)
        solid = bpy.data.objects.new(name, mesh)
        if bevel:
            modifier = solid.modifiers.new("Bevel", "BEVEL")
            modifier.width, modifier.segments = bevel, 3
            mesh.polygons.foreach_set("use_smooth", [True] * len(mesh.polygons))
            modifier.harden_normals = True
        collection.objects.link(solid)
        return solid


def build_room(collection: bpy.types.Collection, left: float, right: float, wall_color: Color) -> None:
    """Add the room, its light and its benches to `collection`."""
    _walls(collection, left, right, wall_color)
    _floor(collection, left - WALL - NEXT_ROOM, right, random.Random(1853))
    _laylight(collection, left, right)
    _probe(collection, left, right)
    benches = max(1, round((right - left) / 5.5))
    for i in range(benches):
        _bench(collection, Vector((left + (right - left) * (i + 0.5) / benches, -DEPTH / 2, 0.0)))


def _walls(collection: bpy.types.Collection, left: float, right: float, wall_color: Color) -> None:
    """Walls with a doorway in the left one, a glimpse of the next room behind it, and the white trim."""
    door = (-1.5 - DOOR_WIDTH, -1.5)  # along Y
    wall = materials.painted_wall("Gallery Wall", wall_color)
    walls = Solid().box((left - WALL, 0.0, 0.0), (right + WALL, WALL, HEIGHT))
    walls.box((right, -DEPTH, 0.0), (right + WALL, 0.0, HEIGHT))
    walls.box((left - WALL, -DEPTH - WALL, 0.0), (right + WALL, -DEPTH, HEIGHT))
    walls.box((left - WALL, -DEPTH, 0.0), (left, door[0], HEIGHT))
    walls.box((left - WALL, door[1], 0.0), (left, 0.0, HEIGHT))
    walls.box((left - WALL, door[0], DOOR_HEIGHT), (left, door[1], HEIGHT))
    walls.add("Walls", wall, collection)

    beyond = left - WALL - NEXT_ROOM
    next_room = Solid().box((beyond - WALL, -DEPTH, 0.0), (beyond, 0.0, HEIGHT))
    next_room.box((beyond, 0.0, 0.0), (left - WALL, WALL, HEIGHT))
    next_room.box((beyond, -DEPTH - WALL, 0.0), (left - WALL, -DEPTH, HEIGHT))
    next_room.add("Next Room", materials.painted_wall("Next Room Wall", NEXT_ROOM_COLOR), collection)
    _area(collection, "Next Room Light", (left - WALL - 1.5, -3.6, HEIGHT - 0.1), (1.6, 4.0), 90.0, WARM)

    trim = Solid()
    up = Vector((0, 0, HEIGHT))
    jamb = 0.14  # an architrave's width
    runs = (  # from, to, into the room, and between which ways along the run there is a doorway
        ((left, 0), (right, 0), (0, -1), None),
        ((right, 0), (right, -DEPTH), (-1, 0), None),
        ((right, -DEPTH), (left, -DEPTH), (0, 1), None),
        ((left, -DEPTH), (left, 0), (1, 0), (DEPTH + door[0] - jamb, DEPTH + door[1] + jamb)),
        ((beyond, -DEPTH), (beyond, 0), (1, 0), None),
    )
    for begin, end, inward, doorway in runs:
        begin, end, inward = Vector((*begin, 0)), Vector((*end, 0)), Vector((*inward, 0))
        trim.moulding(CORNICE, begin + up, end + up, inward)
        along = (end - begin).normalized()
        stops = [begin, end]
        if doorway:
            stops = [begin, begin + along * doorway[0], begin + along * doorway[1], end]
        for i in range(0, len(stops), 2):
            trim.moulding(SKIRTING, stops[i], stops[i + 1], inward)
    # The doorway's lining stands out of the wall on both sides and carries the architraves: two posts and a head.
    near, far = left + 0.035, left - WALL - 0.035
    for x0, x1 in ((near - 0.05, near), (far, far + 0.05)):
        for y0, y1 in ((door[0] - jamb, door[0]), (door[1], door[1] + jamb)):
            trim.box((x0, y0, 0.0), (x1, y1, DOOR_HEIGHT))
        trim.box(
            (x0, door[0] - jamb - 0.02, DOOR_HEIGHT), (x1 + 0.01, door[1] + jamb + 0.02, DOOR_HEIGHT + jamb)
        )
    for y0, y1 in ((door[0] - 0.01, door[0] + 0.02), (door[1] - 0.02, door[1] + 0.01)):
        trim.box((far + 0.02, y0, 0.0), (near - 0.02, y1, DOOR_HEIGHT - 0.02))
    trim.box(
        (far + 0.02, door[0] - 0.01, DOOR_HEIGHT - 0.02), (near - 0.02, door[1] + 0.01, DOOR_HEIGHT + 0.01)
    )
    trim.add("Trim", materials.plain("Trim", TRIM, 0.55), collection, bevel=0.003)


def _laylight(collection: bpy.types.Collection, left: float, right: float) -> None:
    """The ceiling: white, with a long glazed opening that lets the day in, softened by its glass."""
    inset_x, inset_y = 1.5, 2.3
    x0, x1, y0, y1 = left + inset_x, right - inset_x, -DEPTH + inset_y - 0.6, -inset_y
    ceiling = Solid()
    outer = left - WALL - NEXT_ROOM
    for low, high in (
        ((outer, y1, HEIGHT), (right + WALL, WALL, HEIGHT + 0.2)),
        ((outer, -DEPTH - WALL, HEIGHT), (right + WALL, y0, HEIGHT + 0.2)),
        ((outer, y0, HEIGHT), (x0, y1, HEIGHT + 0.2)),
        ((x1, y0, HEIGHT), (right + WALL, y1, HEIGHT + 0.2)),
    ):
        ceiling.box(low, high)
    ceiling.add("Ceiling", materials.plain("Ceiling", (0.7, 0.69, 0.66), 0.9), collection)
    glass = Solid().box((x0, y0, HEIGHT + 0.24), (x1, y1, HEIGHT + 0.26))
    glass.add("Laylight", materials.glow("Laylight Glass", DAYLIGHT, 1.3), collection)
    bars = Solid()
    count = max(3, round((x1 - x0) / 0.8))
    for i in range(count + 1):
        x = x0 + (x1 - x0) * i / count
        bars.box((x - 0.025, y0, HEIGHT - 0.02), (x + 0.025, y1, HEIGHT + 0.22))
    for i in range(4):
        y = y0 + (y1 - y0) * i / 3
        bars.box((x0, y - 0.025, HEIGHT - 0.02), (x1, y + 0.025, HEIGHT + 0.22))
    bars.add("Laylight Bars", materials.plain("Trim", TRIM, 0.55), collection)
    middle = ((x0 + x1) / 2, (y0 + y1) / 2, HEIGHT - 0.05)
    size = (x1 - x0, y1 - y0)
    _area(collection, "Daylight", middle, size, DAY * size[0] * size[1], DAYLIGHT)


def _floor(collection: bpy.types.Collection, left: float, right: float, chance: random.Random) -> None:
    """Herringbone parquet, board by board, on a dark screed that shows in the joints."""
    wide, ratio, joint = 0.11, 6, 0.0012
    turn = math.radians(45)
    cos, sin = math.cos(turn), math.sin(turn)
    vertices, faces, uvs, tones = [], [], [], []
    reach = int(max(right - left, DEPTH) / wide) + 2
    for i in range(-reach, reach):
        for j in range(-reach // ratio - 1, reach // ratio + 2):
            for upright in (False, True):
                x, y = (i + ratio * j) * wide, (i - ratio * j) * wide
                if upright:
                    y += wide
                w, h = (wide, ratio * wide) if upright else (ratio * wide, wide)
                corners = [(x + joint, y + joint), (x + w - joint, y + joint)]
                corners += [(x + w - joint, y + h - joint), (x + joint, y + h - joint)]
                corners = [
                    (cos * a - sin * b + (left + right) / 2, sin * a + cos * b - DEPTH / 2)
                    for a, b in corners
                ]
                if not any(left < a < right and -DEPTH < b < 0 for a, b in corners):
                    continue
                first = len(vertices)
                vertices += [(a, b, 0.0) for a, b in corners]
                faces.append([first, first + 1, first + 2, first + 3])
                u, v = chance.uniform(0, 50), chance.uniform(0, 50)  # every board from another tree
                along = [(0, 0), (0, wide), (ratio * wide, wide), (ratio * wide, 0)]
                if not upright:
                    along = [(0, 0), (ratio * wide, 0), (ratio * wide, wide), (0, wide)]
                uvs += [value for a, b in along for value in (u + a, v + b)]
                tones.append(chance.betavariate(3, 3))
    mesh = bpy.data.meshes.new("Parquet")
    mesh.from_pydata(vertices, [], faces)
    mesh.uv_layers.new(name="UVMap").data.foreach_set("uv", uvs)
    mesh.attributes.new("tone", "FLOAT", "FACE").data.foreach_set("value", tones)
    mesh.materials.append(materials.oak_floor())
    collection.objects.link(bpy.data.objects.new("Parquet", mesh))
    screed = Solid().box((left - 1, -DEPTH - 1, -0.1), (right + 1, 1, -0.002))
    screed.add("Screed", materials.plain("Screed", (0.01, 0.007, 0.005), 0.9), collection)


def _bench(collection: bpy.types.Collection, place: Vector) -> None:
    """A leather bench on a dark oak stand; `place` is the middle of its footprint."""
    x, y, _ = place
    length, depth = 1.7, 0.52
    cushions = Solid()
    for i in range(3):
        x0 = x - length / 2 + length / 3 * i
        cushions.box((x0 + 0.004, y - depth / 2, 0.34), (x0 + length / 3 - 0.004, y + depth / 2, 0.46))
    cushions.add("Bench Cushions", materials.leather(), collection, bevel=0.035)
    stand = Solid().box(
        (x - length / 2 + 0.02, y - depth / 2 + 0.03, 0.29),
        (x + length / 2 - 0.02, y + depth / 2 - 0.03, 0.342),
    )
    for sx in (-1, 1):
        for sy in (-1, 1):
            cx, cy = x + sx * (length / 2 - 0.09), y + sy * (depth / 2 - 0.08)
            stand.box((cx - 0.03, cy - 0.03, 0.0), (cx + 0.03, cy + 0.03, 0.3))
    stand.add("Bench Stand", materials.dark_wood(), collection, bevel=0.004)


def _probe(collection: bpy.types.Collection, left: float, right: float) -> None:
    """What EEVEE needs for gold to mirror the room behind the camera; Cycles does not look at it."""
    probe = bpy.data.lightprobes.new("Room Reflections", "SPHERE")
    probe.influence_type = "BOX"
    probe.influence_distance, probe.falloff, probe.clip_end = 1.0, 0.05, 2.0 * (right - left)
    box = bpy.data.objects.new(probe.name, probe)
    box.location = ((left + right) / 2, -DEPTH / 2, HEIGHT / 2)
    box.scale = ((right - left) / 2 + WALL, DEPTH / 2 + WALL, HEIGHT / 2 + 0.3)
    collection.objects.link(box)


def _area(
    collection: bpy.types.Collection, name: str, place: tuple, size: tuple, energy: float, color: tuple
) -> None:
    """A rectangular light that looks down."""
    light = bpy.data.lights.new(name, "AREA")
    light.shape = "RECTANGLE"
    light.size, light.size_y = size
    light.energy, light.color = energy, color
    lamp = bpy.data.objects.new(name, light)
    lamp.location = place
    lamp.visible_camera = False
    lamp.visible_glossy = False  # the glass above shows in the floor; its light need not show twice
    collection.objects.link(lamp)
