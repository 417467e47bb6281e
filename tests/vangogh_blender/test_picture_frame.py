"""The frame's mesh, and what a render of it shows."""

import math

import pytest

bpy = pytest.importorskip("bpy", reason="needs bpy")
import bmesh  # noqa: E402
from mathutils import Vector  # noqa: E402
from vangogh_says_hello.fomm_core.errors import UserError  # noqa: E402
from vangogh_says_hello.vangogh_blender import (  # noqa: E402
    frame_nodes,
    image_sequence,
    picture_frame,
    versions,
)

COUNT = 24
SIZES = {
    "landscape": (40, 30),
    "portrait": (30, 50),
    "panorama": (200, 10),
    "scroll": (8, 160),
    "pixel": (1, 1),
}


@pytest.fixture(autouse=True)
def empty_scene():
    bpy.ops.wm.read_factory_settings(use_empty=True)


def generated(size=(30, 40), name="Sitter.png"):
    return bpy.data.images.new(name, *size)


def tint(number):
    """The colour of the synthetic frame `number`, as written in its file: no two are alike."""
    return (0.2 + 0.03 * number, 0.9 - 0.03 * number, 0.25 if number % 2 else 0.75)


def write_sequence(folder, count=COUNT, size=(12, 16)):
    """Frames of one colour each, with a dark lower half, so that an upside-down picture shows."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, count + 1):
        image = bpy.data.images.new("frame", *size)
        color = (*tint(number), 1.0)
        image.pixels = [0.1, 0.1, 0.1, 1.0] * (size[0] * size[1] // 2) + [*color] * (size[0] * size[1] // 2)
        image.file_format = "PNG"
        image.filepath_raw = str(folder / f"{number:04d}.png")
        image.save()
        bpy.data.images.remove(image)
    return folder


def even_light_and_camera(height=0.6):
    """White light from everywhere and an orthographic camera that sees the canvas and nothing else."""
    scene = bpy.context.scene
    world = bpy.data.worlds.new("White")
    background = versions.node_tree(world).nodes["Background"]
    background.inputs["Color"].default_value = (1, 1, 1, 1)
    background.inputs["Strength"].default_value = 1.0
    scene.world = world
    lens = bpy.data.cameras.new("Camera")
    lens.type, lens.ortho_scale, lens.sensor_fit = "ORTHO", height, "VERTICAL"
    camera = bpy.data.objects.new("Camera", lens)
    camera.location, camera.rotation_euler = (0, -2, 0), (math.pi / 2, 0, 0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 16, False
    scene.render.resolution_x, scene.render.resolution_y = 24, 32
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format = "PNG"


def render(frame, path):
    """The mean colours of the middles of the upper and the lower half of the picture at `frame`."""
    scene = bpy.context.scene
    scene.frame_set(frame)
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path), check_existing=False)
    pixels, (width, height) = list(image.pixels), image.size
    bpy.data.images.remove(image)
    halves = []
    for rows in (range(height * 5 // 8, height * 7 // 8), range(height // 8, height * 3 // 8)):
        picked = [pixels[4 * (y * width + x) :][:3] for y in rows for x in range(width // 4, width * 3 // 4)]
        halves.append([sum(channel) / len(picked) for channel in zip(*picked, strict=True)])
    return halves


def nearest(color):
    """The number of the frame whose colour is nearest, and how far off it is."""
    return min((math.dist(color, tint(number)), number) for number in range(1, COUNT + 1))[::-1]


STYLES = list(picture_frame.STYLES)
# Every style, and the two that repeat along the sides at every size.
KINDS = [
    pytest.param(size, style, id=f"{name}-{style}")
    for name, size in SIZES.items()
    for style in STYLES
    if name == "portrait" or style in ("GILDED", "RIPPLE")
]


def grown(frame):
    """The mesh that the modifier makes, as it is rendered."""
    return frame.evaluated_get(bpy.context.evaluated_depsgraph_get()).data


def corners(mesh, slot):
    """Where the vertices of the faces with that material slot are."""
    return [mesh.vertices[i].co for p in mesh.polygons if p.material_index == slot for i in p.vertices]


def extent(points):
    """Lowest and highest of each axis."""
    return [(min(p[axis] for p in points), max(p[axis] for p in points)) for axis in range(3)]


def shells(mesh):
    """The mesh's pieces: those that hang together, as their faces."""
    mesh.faces.ensure_lookup_table()
    unseen = set(mesh.faces)
    while unseen:
        piece, front = set(), [unseen.pop()]
        while front:
            face = front.pop()
            piece.add(face)
            beside = {other for edge in face.edges for other in edge.link_faces} & unseen
            unseen -= beside
            front += beside
        yield piece


@pytest.mark.parametrize(("size", "style"), KINDS)
def test_every_piece_faces_outwards(size, style):
    frame = picture_frame.add_picture_frame(bpy.context, generated(size), style=style, mat=0.01, glass=True)
    mesh = bmesh.new()
    mesh.from_mesh(grown(frame))
    assert all(edge.is_contiguous for edge in mesh.edges if len(edge.link_faces) == 2)
    closed = 0
    for piece in shells(mesh):
        area = sum(face.calc_area() for face in piece)
        assert area > 0
        if all(edge.is_manifold for face in piece for edge in face.edges):
            closed += 1
            middle = sum((f.calc_center_median() * f.calc_area() for f in piece), Vector()) / area
            outward = sum((f.calc_center_median() - middle).dot(f.normal) * f.calc_area() for f in piece)
            assert outward > 0
        elif {face.material_index for face in piece} != {frame_nodes.BACK}:  # a sheet, seen from in front
            assert sum(face.normal.y * face.calc_area() for face in piece) < 1e-9
    assert closed == 2  # the moulding and the mat board
    mesh.free()
    assert not grown(frame).copy().validate()  # nothing to repair


@pytest.mark.parametrize(("size", "style"), KINDS)
def test_the_canvas_has_the_paintings_proportions(size, style):
    frame = picture_frame.add_picture_frame(bpy.context, generated(size), height=0.5, style=style)
    mesh = grown(frame)
    canvas = [polygon for polygon in mesh.polygons if polygon.material_index == frame_nodes.CANVAS]
    assert len(canvas) == 1
    assert canvas[0].normal.dot((0, -1, 0)) == pytest.approx(1.0)
    (left, right), (lies, _), (low, high) = extent(corners(mesh, frame_nodes.CANVAS))
    width, height = right - left, high - low
    assert height == pytest.approx(0.5, rel=1e-5)
    assert width / height == pytest.approx(size[0] / size[1], rel=1e-5)
    # Set back: the moulding stands in front of the canvas, on all four sides of it, and the back lies on the wall.
    across = picture_frame.moulding_width(width, height, style)
    assert across <= 0.4 * min(width, height)
    (left, right), (front, behind), (low, high) = extent(corners(mesh, frame_nodes.MOULDING))
    assert front < lies < behind == pytest.approx(0.0, abs=1e-6)
    assert right - left == pytest.approx(width + 2 * across, rel=0.02)
    assert high - low == pytest.approx(height + 2 * across, rel=0.02)
    assert -front == pytest.approx(across * picture_frame.STYLES[style].depth, rel=0.2)


@pytest.mark.parametrize("style", STYLES)
def test_the_corners_are_mitred_and_sharp(style):
    frame = picture_frame.add_picture_frame(bpy.context, generated((200, 100)), height=0.5, style=style)
    mesh = inputs(frame, Carving=False)
    moulding = corners(mesh, frame_nodes.MOULDING)
    outer = max(moulding, key=lambda co: co.x + co.z)
    assert outer.x - 0.5 == pytest.approx(outer.z - 0.25, rel=1e-4)  # 45 degrees, at any proportion
    beside = {}
    for polygon in mesh.polygons:
        for key in polygon.edge_keys:
            beside.setdefault(key, []).append(polygon.normal)
    sharp = mesh.attributes["sharp_edge"].data
    turns = [
        edge.index
        for edge in mesh.edges
        if len(pair := beside.get(edge.key, ())) == 2 and pair[0].dot(pair[1]) < math.cos(math.radians(60))
    ]
    assert all(sharp[i].value for i in turns)
    assert any(edge.value for edge in sharp)


@pytest.mark.parametrize(("size", "style"), KINDS)
def test_nothing_stands_in_front_of_the_canvas(size, style):
    frame = picture_frame.add_picture_frame(
        bpy.context, generated(size), height=0.6, location=(0, 0, 0), style=style
    )
    seen = frame.evaluated_get(bpy.context.evaluated_depsgraph_get())
    width = 0.6 * size[0] / size[1]
    for i in range(21):
        for j in range(21):
            x, z = (width * (0.001 + 0.998 * i / 20 - 0.5), 0.6 * (0.001 + 0.998 * j / 20 - 0.5))
            hit, _, _, polygon = seen.ray_cast((x, -1, z), (0, 1, 0))
            assert hit
            assert seen.data.polygons[polygon].material_index == frame_nodes.CANVAS, (x, z)


def test_uvs():
    frame = picture_frame.add_picture_frame(bpy.context, generated((40, 30)), height=0.6, style="PLAIN")
    mesh = grown(frame)
    uv = mesh.uv_layers["UVMap"].uv
    for polygon in mesh.polygons:
        at = {mesh.loops[i].vertex_index: uv[i].vector for i in polygon.loop_indices}
        if polygon.material_index == frame_nodes.CANVAS:  # upright and not mirrored: u to the right, v up
            for vertex, (u, v) in at.items():
                x, _, z = mesh.vertices[vertex].co
                assert (u, v) == ((1.0 if x > 0 else 0.0), (1.0 if z > 0 else 0.0))
        elif polygon.material_index == frame_nodes.MOULDING:  # U along the side, whose two ends are far apart
            along = 0 if abs(polygon.center.z) - 0.3 > abs(polygon.center.x) - 0.4 else 2
            for vertex, (u, _) in at.items():
                across = picture_frame.moulding_width(0.8, 0.6, "PLAIN")
                assert u == pytest.approx(mesh.vertices[vertex].co[along] / across, rel=1e-4)


def inputs(frame, **values):
    """Change what the modifier's panel shows; the new mesh."""
    for name, value in values.items():
        versions.set_modifier_input(picture_frame.frame_modifier(frame), name.replace("_", " "), value)
    return grown(frame)


class TestTheModifier:
    """What is changed afterwards, in the modifier's panel."""

    @pytest.fixture
    def frame(self):
        return picture_frame.add_picture_frame(bpy.context, generated((40, 30)), height=0.6)

    def test_width_and_depth(self, frame):
        mesh = inputs(frame, Width=0.2, Depth=0.05)
        (left, right), (front, _), _ = extent(corners(mesh, frame_nodes.MOULDING))
        assert right - left == pytest.approx(0.8 + 0.4, rel=0.02)
        assert -front == pytest.approx(0.05, rel=0.2)

    def test_every_profile(self, frame):
        fronts = set()
        for name in frame_nodes.PROFILES:
            mesh = inputs(frame, Profile=name, Carving=False)
            assert versions.modifier_input(picture_frame.frame_modifier(frame), "Profile") == name
            fronts.add(tuple(sorted(round(co.y, 5) for co in corners(mesh, frame_nodes.MOULDING))))
        assert (
            len(fronts) == len(frame_nodes.PROFILES) - 1
        )  # the cabinet's moulding is that of the gilded one

    def test_carving(self, frame):
        carved, plain = len(inputs(frame, Carving=True).polygons), len(inputs(frame, Carving=False).polygons)
        assert 20_000 < carved < 80_000
        assert plain < 400

    def test_mat_board(self, frame):
        assert not corners(grown(frame), frame_nodes.MAT)
        mesh = inputs(frame, Mat_Board=0.07)
        board, canvas = corners(mesh, frame_nodes.MAT), corners(mesh, frame_nodes.CANVAS)
        (left, right), (front, _), _ = extent(board)
        assert right - left == pytest.approx(0.8 + 2 * 0.07 * 1.04, rel=1e-3)
        assert front < canvas[0].y
        assert min(abs(co.x) for co in board) == pytest.approx(0.4)
        (left, right), _, _ = extent(corners(mesh, frame_nodes.MOULDING))
        assert right - left > 0.8 + 2 * 0.07

    def test_glass(self, frame):
        assert not corners(grown(frame), frame_nodes.GLASS)
        mesh = inputs(frame, Glass=True, Mat_Board=0.05)
        (left, right), (lies, _), _ = extent(corners(mesh, frame_nodes.GLASS))
        assert right - left == pytest.approx(0.9)
        (_, _), (mat, _), _ = extent(corners(mesh, frame_nodes.MAT))
        (_, _), (front, _), _ = extent(corners(mesh, frame_nodes.MOULDING))
        assert front < lies < mat

    def test_canvas_texture(self, frame):
        [weave] = {
            round(value.value, 5)
            for value in inputs(frame, Canvas_Texture=0.25).attributes["weave"].data
            if value.value
        }
        assert weave == 0.25

    def test_the_canvas_in_edit_mode(self, frame):
        for vertex in frame.data.vertices:
            vertex.co.x *= 1.5
        mesh = grown(frame)
        (left, right), _, _ = extent(corners(mesh, frame_nodes.MOULDING))
        assert right - left == pytest.approx(1.2 + 2 * picture_frame.moulding_width(0.8, 0.6), rel=0.02)

    def test_it_is_the_same_after_saving_and_loading(self, frame, tmp_path):
        inputs(frame, Profile="Dutch Ripple", Width=0.11)
        faces = len(grown(frame).polygons)
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "frame.blend"))
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "frame.blend"))
        frame = bpy.data.objects["Sitter Frame"]
        assert len(grown(frame).polygons) == faces
        assert versions.modifier_input(picture_frame.frame_modifier(frame), "Profile") == "Dutch Ripple"

    def test_a_restyled_frame_has_the_styles_finish_and_keeps_the_rest(self, frame):
        inputs(frame, Mat_Board=0.05)
        picture_frame.set_style(frame, "PLAIN")
        modifier = picture_frame.frame_modifier(frame)
        assert versions.modifier_input(modifier, "Profile") == "Plain"
        assert versions.modifier_input(modifier, "Mat Board") == pytest.approx(0.05)
        assert frame.data.materials[frame_nodes.MOULDING].name == "Oiled Oak"
        assert frame.data.materials[frame_nodes.CANVAS].name == "Sitter.png Canvas"

    def test_twenty_frames_share_one_node_group(self, frame):
        groups, parts = len(bpy.data.node_groups), len(bpy.data.meshes)
        picture_frame.add_picture_frame(bpy.context, generated(name="Other"), style="RIPPLE")
        assert (len(bpy.data.node_groups), len(bpy.data.meshes)) == (groups, parts + 1)


def test_height_is_in_metres_whatever_the_units():
    bpy.context.scene.unit_settings.scale_length = 0.01  # a scene in centimetres
    frame = picture_frame.add_picture_frame(bpy.context, generated((30, 30)), height=0.6)
    canvas = next(p for p in frame.data.polygons if p.material_index == 0)
    zs = [frame.data.vertices[i].co.z for i in canvas.vertices]
    assert max(zs) - min(zs) == pytest.approx(60.0, rel=1e-5)


def test_it_hangs_at_the_cursor_and_leaves_the_selection_alone():
    bpy.context.scene.cursor.location = (1, 2, 3)
    selected = list(bpy.context.selected_objects)
    frame = picture_frame.add_picture_frame(bpy.context, generated())
    assert frame.location[:] == (1, 2, 3)
    assert frame.name == "Sitter Frame"
    assert bpy.context.selected_objects == selected
    other = picture_frame.add_picture_frame(bpy.context, generated(), location=(4, 5, 6), name="Mine")
    assert (other.location[:], other.name) == ((4, 5, 6), "Mine")
    # Twenty frames share one gilding; each canvas is its own.
    assert frame.data.materials[1] == other.data.materials[1]
    assert frame.data.materials[0] != other.data.materials[0]


def test_a_lost_file_is_told_and_nothing_is_added(tmp_path):
    image = generated()
    image.filepath_raw, image.file_format = str(tmp_path / "gone.png"), "PNG"
    image.save()
    bpy.data.images.remove(image)
    image = bpy.data.images.load(str(tmp_path / "gone.png"))
    (tmp_path / "gone.png").unlink()
    image.reload()
    before = (len(bpy.data.objects), len(bpy.data.meshes), len(bpy.data.materials), len(bpy.data.images))
    with pytest.raises(UserError, match=r"gone\.png") as caught:
        picture_frame.add_picture_frame(bpy.context, image)
    assert caught.value.hint
    assert (
        len(bpy.data.objects),
        len(bpy.data.meshes),
        len(bpy.data.materials),
        len(bpy.data.images),
    ) == before


def test_a_render_result_cannot_be_framed():
    image = bpy.data.images.new("Tiles", 8, 8, tiled=True)
    with pytest.raises(UserError, match="Tiles"):
        picture_frame.add_picture_frame(bpy.context, image)


def test_a_packed_painting_keeps_its_proportions(tmp_path):
    image = generated((50, 20))
    image.pack()
    frame = picture_frame.add_picture_frame(bpy.context, image)
    bpy.context.view_layer.update()
    assert frame.dimensions.x > 1.5 * frame.dimensions.z


def test_the_canvas_renders_the_sequences_frame_of_that_time(tmp_path):
    """The whole promise: frame N of the scene shows file N, and still does after saving and loading."""
    folder = write_sequence(tmp_path / "it's a folder – ü" / "frames")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "gallery.blend"))
    image = image_sequence.load_sequence(folder, "Moving")
    assert image.filepath.startswith("//")
    frame = picture_frame.add_picture_frame(
        bpy.context, image, frames=image_sequence.count_frames(folder), location=(0, 0, 0)
    )
    bpy.context.view_layer.update()
    assert frame.dimensions.x < frame.dimensions.z  # 12 x 16: the size was read although a sequence has none
    even_light_and_camera()
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "gallery.blend"))
    shown = {}
    for number in (1, 20, COUNT + 3):
        upper, lower = render(number, tmp_path / "out.png")
        found, off = nearest(upper)
        # The moulding shades the canvas a little; the colour of the next frame is 0.04 away and has another blue.
        assert off < 0.1, (number, upper)
        assert max(lower) < 0.15
        shown[number] = (found, upper)
    assert shown[1][0] == 1
    assert shown[20][0] == 20
    assert shown[COUNT + 3][0] == 3  # cyclic: no magenta past the end
    assert math.dist(shown[1][1], shown[20][1]) > 0.3


def test_a_still_painting_renders_in_its_own_colours(tmp_path):
    image = generated((12, 16))
    image.pixels = [0.5, 0.25, 0.75, 1.0] * (12 * 16)
    picture_frame.add_picture_frame(bpy.context, image, location=(0, 0, 0))
    even_light_and_camera()
    upper, _ = render(1, tmp_path / "out.png")
    assert upper == pytest.approx([0.5, 0.25, 0.75], abs=0.06)


def test_what_is_transparent_in_a_16_bit_painting_renders_white(tmp_path):
    image = bpy.data.images.new("cut out", 12, 16, alpha=True, float_buffer=True)
    image.pixels = [0.2140, 0.0509, 0.5225, 1.0] * (12 * 8) + [0.0] * (
        4 * 12 * 8
    )  # linear, the lower half first
    image.filepath_raw = str(tmp_path / "cut out.png")
    image.file_format = "PNG"
    image.save()
    painting = bpy.data.images.load(image.filepath_raw)
    assert painting.depth == 128  # four channels of sixteen bits, which Blender keeps as floats
    picture_frame.add_picture_frame(bpy.context, painting, location=(0, 0, 0))
    even_light_and_camera()
    upper, lower = render(1, tmp_path / "out.png")
    assert min(upper) > 0.9
    assert lower == pytest.approx([0.5, 0.25, 0.75], abs=0.06)
