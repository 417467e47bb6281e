"""The Geometry Nodes behind a picture frame: the node group *Picture Frame*, the sections and the carving it reads.

The group grows a frame round the canvas, a mesh of one face in the object's XZ plane that faces -Y and is centred
on the origin. Material slots: 0 canvas, 1 moulding, 2 back, 3 mat board, 4 glass.

Sections and carving are objects that no scene holds, named with a dot before: who edits them changes every frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import bpy

from . import mouldings
from .mouldings import Carving, Section

GROUP = "Picture Frame"
EDITION = 1  # of the node group: a file that has another gets this one beside it
CANVAS, MOULDING, BACK, MAT, GLASS = range(5)
# The profiles by their names in the menu: the section, and how far forward the canvas lies, in depths.
PROFILES: dict[str, tuple[Section, float]] = {
    "Plain": (mouldings.PLAIN, 0.52),
    "Cabinet": (mouldings.HOLLOW, 0.385),
    "Dutch Ripple": (mouldings.RIPPLE, 0.34),
    "Gilded": (mouldings.HOLLOW, 0.385),
    "Shadow Gap": (mouldings.SHADOW_GAP, 0.90),
}
MOST_REPEATS = 260  # on one side: a very long strip gets coarser carving, not millions of faces

Socket = bpy.types.NodeSocket
Operand = Socket | float | int | bool | str | tuple | bpy.types.Object


class _Tree:
    """A node group while it is written, and short words for adding nodes to it."""

    def __init__(self, name: str):
        self.tree = bpy.data.node_groups.new(name, "GeometryNodeTree")
        self.x = 0.0

    def input(self, name: str, kind: str, **properties) -> Socket:
        item = self.tree.interface.new_socket(name, in_out="INPUT", socket_type=f"NodeSocket{kind}")
        for key, value in properties.items():
            setattr(item, key, value)
        self.group_input = next((n for n in self.tree.nodes if n.bl_idname == "NodeGroupInput"), None)
        self.group_input = self.group_input or self.tree.nodes.new("NodeGroupInput")
        return self.group_input.outputs[name]

    def output(self, geometry: Socket) -> bpy.types.GeometryNodeTree:
        self.tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
        self._connect(geometry, self._new("NodeGroupOutput").inputs[0])
        return self.tree

    def add(self, kind: str, inputs: dict[str | int, Operand] | None = None, **properties) -> bpy.types.Node:
        """A node `kind`, its properties set, its inputs linked to sockets or set to values."""
        node = self._new(kind)
        for key, value in properties.items():
            setattr(node, key, value)
        for key, value in (inputs or {}).items():
            self._connect(value, node.inputs[key])
        return node

    def geometry(self, kind: str, inputs: dict[str | int, Operand], **properties) -> Socket:
        return self.add(f"GeometryNode{kind}", inputs, **properties).outputs[0]

    def math(self, operation: str, *operands: Operand) -> Socket:
        return self.add("ShaderNodeMath", dict(enumerate(operands)), operation=operation).outputs[0]

    def product(self, *factors: Operand) -> Socket:
        result, *others = factors
        for other in others:
            result = self.math("MULTIPLY", result, other)
        return result

    def vector(self, x: Operand, y: Operand, z: Operand) -> Socket:
        return self.add("ShaderNodeCombineXYZ", {0: x, 1: y, 2: z}).outputs[0]

    def split(self, vector: Socket) -> tuple[Socket, Socket, Socket]:
        return tuple(self.add("ShaderNodeSeparateXYZ", {0: vector}).outputs)

    def attribute(self, name: str, kind: str = "FLOAT") -> Socket:
        return self.add("GeometryNodeInputNamedAttribute", {"Name": name}, data_type=kind).outputs[0]

    def store(self, geometry: Socket, name: str, value: Operand, kind: str, domain: str) -> Socket:
        inputs = {"Geometry": geometry, "Name": name, "Value": value}
        return self.geometry("StoreNamedAttribute", inputs, data_type=kind, domain=domain)

    def switch(self, condition: Socket, no: Operand, yes: Operand, kind: str) -> Socket:
        return self.geometry("Switch", {0: condition, "False": no, "True": yes}, input_type=kind)

    def menu(self, chosen: Socket, names: Iterable[str]) -> Socket:
        """The number of the item that is chosen. A menu's items are those of its one switch: two would disagree."""
        node = self.add("GeometryNodeMenuSwitch", data_type="INT")
        for index, name in enumerate(names):
            if index < len(node.enum_items):
                node.enum_items[index].name = name
            else:
                node.enum_items.new(name)
            self._connect(index, node.inputs[name])
        self._connect(chosen, node.inputs[0])
        return node.outputs[0]

    def pick(self, index: Socket, values: Iterable[Operand], kind: str) -> Socket:
        """The value at `index`."""
        node = self.add("GeometryNodeIndexSwitch", {0: index}, data_type=kind)
        for number, value in enumerate(values):
            if number >= len(node.index_switch_items):
                node.index_switch_items.new()
            self._connect(value, node.inputs[1 + number])
        return node.outputs[0]

    def part(self, part: bpy.types.Object) -> Socket:
        return self.add("GeometryNodeObjectInfo", {"Object": part}).outputs["Geometry"]

    def group(self, tree: bpy.types.GeometryNodeTree, inputs: dict[str, Operand]) -> Socket:
        return self.add("GeometryNodeGroup", inputs, node_tree=tree).outputs[0]

    def join(self, *parts: Socket) -> Socket:
        """One geometry of all; the first one's materials come first."""
        node = self._new("GeometryNodeJoinGeometry")
        for part in reversed(parts):  # Blender joins the latest link first
            self._connect(part, node.inputs[0])
        return node.outputs[0]

    def _new(self, kind: str) -> bpy.types.Node:
        node = self.tree.nodes.new(kind)
        column, row = divmod(len(self.tree.nodes), 8)
        node.location = (180.0 * column, -160.0 * row)
        return node

    def _connect(self, value: Operand, target: Socket) -> None:
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, target)
        else:
            target.default_value = value


def frame_group() -> bpy.types.GeometryNodeTree:
    """The node group of every picture frame in this file; made on first use."""
    for tree in bpy.data.node_groups:
        if tree.get("vangogh_edition") == EDITION and tree.library is None:
            return tree
    tree = _frame(_sweep(), _row())
    tree["vangogh_edition"] = EDITION
    return tree


def _frame(sweep: bpy.types.GeometryNodeTree, row: bpy.types.GeometryNodeTree) -> bpy.types.GeometryNodeTree:
    t = _Tree(GROUP)
    t.tree.is_modifier = True
    canvas = t.input("Geometry", "Geometry")
    profile = t.input("Profile", "Menu")
    length = {"subtype": "DISTANCE", "min_value": 0.0}
    width = t.input("Width", "Float", default_value=0.08, **length, description="Of the moulding")
    depth = t.input("Depth", "Float", default_value=0.06, **length, description="From the wall to the front")
    mat = t.input("Mat Board", "Float", **length, description="Width of the passe-partout; 0 is none")
    glass = t.input("Glass", "Bool", description="A pane in front of the canvas")
    carved = t.input("Carving", "Bool", default_value=True, description="Beads, flutes, leaves and shells")
    weave = t.input(
        "Canvas Texture", "Float", default_value=0.5, min_value=0.0, max_value=1.0, subtype="FACTOR",
        description="How much the weave and the brush strokes stand out",
    )  # fmt: skip

    box = t.add("GeometryNodeBoundBox", {0: canvas})
    size = t.add("ShaderNodeVectorMath", {0: box.outputs["Max"], 1: box.outputs["Min"]}, operation="SUBTRACT")
    canvas_width, _, canvas_height = t.split(size.outputs[0])
    board = t.math("MULTIPLY", mat, 2.0)
    sight_width, sight_height = (t.math("ADD", side, board) for side in (canvas_width, canvas_height))
    number = t.menu(profile, PROFILES)
    lies = t.pick(number, [forward for _, forward in PROFILES.values()], "FLOAT")
    lies = t.math("MULTIPLY", lies, depth)

    def in_front(forward: Socket, of: Socket) -> Socket:
        offset = t.vector(0.0, t.math("MULTIPLY", forward, -1.0), 0.0)
        return t.geometry("SetPosition", {"Geometry": of, "Offset": offset})

    def sheet(wide: Socket, high: Socket, turn: float) -> Socket:
        grid = t.geometry("MeshGrid", {"Size X": wide, "Size Y": high, "Vertices X": 2, "Vertices Y": 2})
        return t.geometry("Transform", {"Geometry": grid, "Rotation": (turn, 0.0, 0.0)})

    def swept(
        section: Socket, wide: Socket, high: Socket, across: Operand, deep: Operand, waves=False
    ) -> Socket:
        inputs = {"Section": section, "Width": wide, "Height": high, "Across": across, "Depth": deep}
        return t.group(sweep, {**inputs, "Waves": waves})

    def in_slot(geometry: Socket, slot: int) -> Socket:
        return t.store(geometry, "slot", slot, "INT", "FACE")

    shown = t.store(in_front(lies, canvas), "weave", weave, "FLOAT", "FACE")

    def of_profile(default: Socket, **others: Socket) -> Socket:
        """The geometry of the profile that is chosen."""
        by_name = {name.replace("_", " "): socket for name, socket in others.items()}
        return t.pick(number, [by_name.get(name, default) for name in PROFILES], "GEOMETRY")

    hollow, plain, ripple, gap = (
        t.part(_section_part(name, section))
        for name, section in (
            ("Hollow", mouldings.HOLLOW),
            ("Plain", mouldings.PLAIN),
            ("Ripple", mouldings.RIPPLE),
            ("Shadow Gap", mouldings.SHADOW_GAP),
        )
    )
    section = of_profile(hollow, Plain=plain, Dutch_Ripple=ripple, Shadow_Gap=gap)
    body = swept(section, sight_width, sight_height, width, depth)
    waves = t.part(_section_part("Waves", *mouldings.WAVES))
    waves = swept(waves, sight_width, sight_height, width, depth, waves=True)

    def along_all(part: Socket, pitch: float, reach: float, keeps_round: bool = False) -> Socket:
        """Repeats of `part` along the four sides; a row is `reach` widths longer at its ends than that edge."""
        more = t.math("MULTIPLY", width, 2 * reach)
        sides = []
        for side, (run, away) in enumerate(((sight_width, sight_height), (sight_height, sight_width)) * 2):
            inputs = {"Part": part, "Length": t.math("ADD", run, more), "Distance": away, "Across": width}
            inputs |= {"Depth": depth, "Pitch": pitch, "Keep Round": keeps_round}
            turn = (0.0, -math.pi / 2 * side, 0.0)
            sides.append(t.geometry("Transform", {"Geometry": t.group(row, inputs), "Rotation": turn}))
        return t.join(*sides)

    beads = along_all(t.part(_carving_part("Bead", mouldings.bead())), mouldings.BEAD_PITCH, 0.115, True)
    flutes = along_all(t.part(_carving_part("Flute", mouldings.flute())), mouldings.FLUTE_PITCH, 0.12)
    leaves = along_all(t.part(_carving_part("Laurel", mouldings.laurel())), mouldings.LEAF_PITCH, 0.12)
    shell = t.part(_carving_part("Corner", mouldings.corner()))
    scaled = t.geometry("Transform", {"Geometry": shell, "Scale": t.vector(width, depth, width)})
    half_width, half_height = (t.math("MULTIPLY", side, 0.5) for side in (sight_width, sight_height))
    shells = []
    for side, (x, z) in enumerate(((-1, -1), (1, -1), (1, 1), (-1, 1))):
        place = t.vector(t.math("MULTIPLY", half_width, x), 0.0, t.math("MULTIPLY", half_height, z))
        turn = (0.0, -math.pi / 2 * side, 0.0)
        shells.append(t.geometry("Transform", {"Geometry": scaled, "Translation": place, "Rotation": turn}))
    gilded = t.join(beads, flutes, leaves, *shells)
    nothing = t.geometry("MeshLine", {"Count": 0})
    ornament = t.switch(carved, nothing, of_profile(nothing, Cabinet=beads, Gilded=gilded), "GEOMETRY")
    moulding = t.join(body, of_profile(nothing, Dutch_Ripple=waves), ornament)

    edge = t.part(_section_part("Turned Edge", mouldings.TURNED_EDGE))
    edge = swept(edge, canvas_width, canvas_height, width, depth)
    edge = of_profile(nothing, Shadow_Gap=edge)
    passe_partout = t.part(_section_part("Mat Board", mouldings.MAT))
    passe_partout = swept(passe_partout, canvas_width, canvas_height, mat, 0.03)
    passe_partout = in_front(lies, passe_partout)
    has_mat = t.add("FunctionNodeCompare", {"A": mat, "B": 1e-4}, operation="GREATER_THAN").outputs[0]
    passe_partout = t.switch(has_mat, nothing, passe_partout, "GEOMETRY")
    pane = in_front(t.math("ADD", lies, 0.004), sheet(sight_width, sight_height, math.pi / 2))
    pane = t.switch(glass, nothing, pane, "GEOMETRY")
    back = in_front(t.math("MULTIPLY", depth, 0.06), sheet(sight_width, sight_height, -math.pi / 2))

    whole = t.join(
        in_slot(shown, CANVAS),
        in_slot(moulding, MOULDING),
        in_slot(back, BACK),
        in_slot(t.join(edge, passe_partout), MAT),
        in_slot(pane, GLASS),
    )
    # Only here have all parts the canvas' material slots.
    slots = {"Geometry": whole, "Material Index": t.attribute("slot", "INT")}
    whole = t.geometry("SetMaterialIndex", slots)
    for name in ("slot", "out", "forward", "way", "middle", "normal"):
        whole = t.geometry("RemoveAttribute", {"Geometry": whole, "Name": name})
    return t.output(whole)


def _sweep() -> bpy.types.GeometryNodeTree:
    """A section mitred round a rectangle, sharp where it turns, with UVs along (U) and across (V) at one scale."""
    t = _Tree(f"{GROUP} Sweep")
    section = t.input("Section", "Geometry")
    width, height = t.input("Width", "Float"), t.input("Height", "Float")
    across, depth = t.input("Across", "Float"), t.input("Depth", "Float")
    waved = t.input("Waves", "Bool")

    def repeats(side: Socket) -> Socket:
        count = t.math("DIVIDE", side, t.math("MULTIPLY", across, mouldings.WAVE_PITCH))
        return t.math("MINIMUM", t.math("MAXIMUM", t.math("ROUND", count), 4.0), float(MOST_REPEATS))

    def cuts(side: Socket) -> Socket:
        return t.switch(waved, 0, t.math("SUBTRACT", t.math("MULTIPLY", repeats(side), 6.0), 1.0), "INT")

    # A rectangle's points begin at its top right and go on to the top left: segments 0 and 2 are horizontal.
    rectangle = t.geometry("CurvePrimitiveQuadrilateral", {"Width": width, "Height": height})
    odd = t.math("MODULO", t.add("GeometryNodeInputIndex").outputs[0], 2.0)
    segments = t.switch(odd, cuts(width), cuts(height), "INT")
    path = t.geometry("SubdivideCurve", {"Curve": rectangle, "Cuts": segments})
    path = t.store(path, "path", t.add("GeometryNodeInputPosition").outputs[0], "FLOAT_VECTOR", "POINT")
    profile = t.geometry("MeshToCurve", {"Mesh": section})
    mesh = t.geometry("CurveToMesh", {"Curve": path, "Profile Curve": profile})

    # What lies on the rectangle's corner goes out both ways, what lies between slides along with it: a mitre.
    x, y, _ = t.split(t.attribute("path", "FLOAT_VECTOR"))
    half_width, half_height = (t.math("MULTIPLY", side, 0.5) for side in (width, height))
    toward_x, toward_y = t.math("DIVIDE", x, half_width), t.math("DIVIDE", y, half_height)
    out, forward = (
        t.math("MULTIPLY", t.attribute("out"), across),
        t.math("MULTIPLY", t.attribute("forward"), depth),
    )
    horizontal = t.math("GREATER_THAN", t.math("ABSOLUTE", toward_y), 0.99999)

    def wave() -> tuple[Socket, Socket]:
        """How far out and forward the waves lift the section; one begins and ends at each mitre."""
        middle = t.math("MULTIPLY", t.attribute("middle"), across)
        place = t.switch(horizontal, t.math("ADD", y, t.product(toward_y, out)),
                         t.math("ADD", x, t.product(toward_x, out)), "FLOAT")  # fmt: skip
        half = t.math("ADD", t.switch(horizontal, half_height, half_width, "FLOAT"), middle)
        count = t.switch(horizontal, repeats(height), repeats(width), "FLOAT")
        phase = t.math("MULTIPLY", t.math("DIVIDE", t.math("ADD", place, half), half), math.pi)
        lift = t.product(t.math("COSINE", t.math("MULTIPLY", phase, count)), across, mouldings.WAVE_HEIGHT)
        lift = t.switch(waved, 0.0, lift, "FLOAT")
        normal_out, normal_forward, _ = t.split(t.attribute("normal", "FLOAT_VECTOR"))
        return t.math("MULTIPLY", lift, normal_out), t.math("MULTIPLY", lift, normal_forward)

    lift_out, lift_forward = wave()
    out, forward = t.math("ADD", out, lift_out), t.math("ADD", forward, lift_forward)
    place = t.vector(
        t.math("ADD", x, t.math("MULTIPLY", toward_x, out)),
        t.math("MULTIPLY", forward, -1.0),
        t.math("ADD", y, t.math("MULTIPLY", toward_y, out)),
    )
    mesh = t.geometry("SetPosition", {"Geometry": mesh, "Position": place})

    # A face belongs to a horizontal side where its middle is further out that way than the other.
    px, _, pz = t.split(t.add("GeometryNodeInputPosition").outputs[0])
    beyond_x = t.math("SUBTRACT", t.math("ABSOLUTE", px), half_width)
    beyond_z = t.math("SUBTRACT", t.math("ABSOLUTE", pz), half_height)
    side = t.math("GREATER_THAN", beyond_z, beyond_x)
    side = t.geometry("FieldOnDomain", {0: side}, domain="FACE", data_type="FLOAT")
    u = t.switch(side, pz, px, "FLOAT")
    scale = t.math("DIVIDE", 1.0, t.math("MAXIMUM", across, 1e-6))
    uv = t.vector(t.math("MULTIPLY", u, scale), t.attribute("way"), 0.0)
    mesh = t.store(mesh, "UVMap", uv, "FLOAT2", "CORNER")

    angle = t.add("GeometryNodeInputMeshEdgeAngle").outputs["Unsigned Angle"]
    sharp = t.math("GREATER_THAN", angle, math.radians(32))
    smooth = t.geometry("SetShadeSmooth", {"Geometry": mesh, "Shade Smooth": True}, domain="FACE")
    inputs = {"Geometry": smooth, "Selection": sharp, "Shade Smooth": False}
    mesh = t.geometry("SetShadeSmooth", inputs, domain="EDGE")
    return t.output(t.geometry("RemoveAttribute", {"Geometry": mesh, "Name": "path"}))


def _row() -> bpy.types.GeometryNodeTree:
    """Repeats of a piece of carving along the lower side."""
    t = _Tree(f"{GROUP} Row")
    part = t.input("Part", "Geometry")
    length, away = t.input("Length", "Float"), t.input("Distance", "Float")
    across, depth, pitch = (t.input(name, "Float") for name in ("Across", "Depth", "Pitch"))
    round_ = t.input("Keep Round", "Bool")
    count = t.math("ROUND", t.math("DIVIDE", length, t.math("MULTIPLY", across, pitch)))
    count = t.math("MINIMUM", t.math("MAXIMUM", count, 1.0), float(MOST_REPEATS))
    step = t.math("DIVIDE", length, count)
    start = t.vector(t.math("MULTIPLY", length, -0.5), 0.0, t.math("MULTIPLY", away, -0.5))
    offset = t.vector(step, 0.0, 0.0)
    inputs = {"Count": count, "Start Location": start, "Offset": offset}
    points = t.geometry("MeshLine", inputs, mode="OFFSET", count_mode="TOTAL")
    scale = t.vector(t.switch(round_, step, across, "FLOAT"), depth, across)
    row = t.geometry("InstanceOnPoints", {"Points": points, "Instance": part, "Scale": scale})
    return t.output(t.geometry("RealizeInstances", {"Geometry": row}))


def _section_part(name: str, *sections: Section) -> bpy.types.Object:
    """The sections as lines of a mesh in the XZ plane: X out, Z forward."""
    vertices, edges = [], []
    columns: dict[str, list[float]] = {key: [] for key in ("out", "forward", "ridge", "way", "middle")}
    normals: list[float] = []
    for section in sections:
        first, count = len(vertices), len(section.points)
        vertices += [(out, 0.0, forward) for out, forward in section.points]
        edges += [(first + i, first + i + 1) for i in range(count - 1)]
        if section.closed:
            edges.append((first + count - 1, first))
        way = 0.0
        middle = (section.points[0][0] + section.points[-1][0]) / 2
        for i, (out, forward) in enumerate(section.points):
            before, after = section.points[max(i - 1, 0)], section.points[min(i + 1, count - 1)]
            way += math.dist((out, forward), section.points[i - 1]) if i else 0.0
            run = (after[0] - before[0], after[1] - before[1])
            size = math.hypot(*run) or 1.0
            normals += [-run[1] / size, run[0] / size, 0.0]
            for key, value in zip(columns, (out, forward, section.ridges[i], way, middle), strict=True):
                columns[key].append(value)
    mesh = bpy.data.meshes.new(f".Frame {name}")
    mesh.from_pydata(vertices, edges, [])
    for key, values in columns.items():
        mesh.attributes.new(key, "FLOAT", "POINT").data.foreach_set("value", values)
    mesh.attributes.new("normal", "FLOAT_VECTOR", "POINT").data.foreach_set("vector", normals)
    return bpy.data.objects.new(mesh.name, mesh)


def _carving_part(name: str, carving: Carving) -> bpy.types.Object:
    """The carving as it lies on the frame's lower side, from its left: X along, -Z out, -Y forward."""
    mesh = bpy.data.meshes.new(f".Frame {name}")
    if name == "Corner":  # both its axes go out of the frame: left and down
        vertices = [(-p, -forward, -q) for p, q, forward in carving.vertices]
    else:
        vertices = [(along, -forward, -out) for along, out, forward in carving.vertices]
    mesh.from_pydata(vertices, [], carving.faces)
    mesh.attributes.new("ridge", "FLOAT", "POINT").data.foreach_set("value", carving.ridges)
    mesh.polygons.foreach_set("use_smooth", [True] * len(mesh.polygons))
    mesh.update()
    return bpy.data.objects.new(mesh.name, mesh)
