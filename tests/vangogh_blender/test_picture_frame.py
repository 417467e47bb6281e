"""The frame's mesh, and what a render of it shows."""

import math

import pytest

bpy = pytest.importorskip("bpy", reason="needs bpy")
import bmesh  # noqa: E402
from mathutils import Vector  # noqa: E402
from vangogh_says_hello.fomm_core.errors import UserError  # noqa: E402
from vangogh_says_hello.vangogh_blender import image_sequence, picture_frame, versions  # noqa: E402

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


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_the_mesh_is_closed_and_faces_outwards(size):
    frame = picture_frame.add_picture_frame(bpy.context, generated(size))
    mesh = bmesh.new()
    mesh.from_mesh(frame.data)
    assert all(edge.is_manifold and edge.is_contiguous for edge in mesh.edges)
    assert all(face.calc_area() > 0 for face in mesh.faces)
    assert mesh.calc_volume(signed=True) > 0
    # Each shell on its own: an inside-out bead would hide in the whole's volume.
    unseen = set(mesh.verts)
    shells = 0
    while unseen:
        shell, front = set(), [next(iter(unseen))]
        while front:
            vertex = front.pop()
            if vertex not in shell:
                shell.add(vertex)
                front += [edge.other_vert(vertex) for edge in vertex.link_edges]
        unseen -= shell
        faces = {face for vertex in shell for face in vertex.link_faces}
        center = sum((vertex.co for vertex in shell), Vector()) / len(shell)
        volume = sum(
            (face.calc_center_median() - center).dot(face.normal) * face.calc_area() for face in faces
        )
        assert volume > 0
        shells += 1
    assert 1 < shells < 2000
    mesh.free()


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_the_canvas_has_the_paintings_proportions(size):
    frame = picture_frame.add_picture_frame(bpy.context, generated(size), height=0.5)
    canvas = [polygon for polygon in frame.data.polygons if polygon.material_index == 0]
    assert len(canvas) == 1
    corners = [frame.data.vertices[i].co for i in canvas[0].vertices]
    width = max(c.x for c in corners) - min(c.x for c in corners)
    height = max(c.z for c in corners) - min(c.z for c in corners)
    assert height == pytest.approx(0.5, rel=1e-5)
    assert width / height == pytest.approx(size[0] / size[1], rel=1e-5)
    assert canvas[0].normal.dot((0, -1, 0)) == pytest.approx(1.0)
    # Set back: the moulding stands in front of the canvas, on all four sides of it, and the back lies on the wall.
    box = [Vector(corner) for corner in frame.bound_box]
    assert min(c.y for c in box) < min(c.y for c in corners) - 0.1 * picture_frame.moulding_width(
        width, height
    )
    assert max(c.y for c in box) == pytest.approx(0.0, abs=1e-6)
    across = picture_frame.moulding_width(width, height)
    assert frame.dimensions.x == pytest.approx(width + 2 * across, rel=1e-4)
    assert frame.dimensions.z == pytest.approx(height + 2 * across, rel=1e-4)
    assert across <= 0.4 * min(width, height)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_the_corners_are_mitred(size):
    frame = picture_frame.add_picture_frame(bpy.context, generated(size))
    corner = max((v.co for v in frame.data.vertices), key=lambda co: co.x + co.z)
    canvas = next(p for p in frame.data.polygons if p.material_index == 0)
    inner = max((frame.data.vertices[i].co for i in canvas.vertices), key=lambda co: co.x + co.z)
    assert corner.x - inner.x == pytest.approx(corner.z - inner.z, rel=1e-4)  # 45 degrees, at any proportion
    normals = {}
    for polygon in frame.data.polygons:
        for key in polygon.edge_keys:
            normals.setdefault(key, []).append(polygon.normal.copy())
    mitres = [
        edge
        for edge in frame.data.edges
        if normals[edge.key][0].dot(normals[edge.key][1]) < math.cos(math.radians(60))
    ]
    assert mitres
    assert all(edge.use_edge_sharp for edge in mitres)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_no_two_faces_lie_on_each_other(size):
    frame = picture_frame.add_picture_frame(bpy.context, generated(size))
    places = [(round(p.center.x, 6), round(p.center.y, 6), round(p.center.z, 6)) for p in frame.data.polygons]
    assert len(set(places)) == len(places)
    assert not frame.data.validate()  # nothing to repair


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_nothing_stands_in_front_of_the_canvas(size):
    frame = picture_frame.add_picture_frame(bpy.context, generated(size), height=0.6, location=(0, 0, 0))
    bpy.context.view_layer.update()
    width = 0.6 * size[0] / size[1]
    for i in range(21):
        for j in range(21):
            x, z = (width * (0.001 + 0.998 * i / 20 - 0.5), 0.6 * (0.001 + 0.998 * j / 20 - 0.5))
            hit, _, _, polygon = frame.ray_cast((x, -1, z), (0, 1, 0))
            assert hit
            assert frame.data.polygons[polygon].material_index == 0, (x, z)


def test_uvs():
    frame = picture_frame.add_picture_frame(bpy.context, generated((40, 30)), height=0.6)
    mesh = frame.data
    uv = mesh.uv_layers.active.data
    for polygon in mesh.polygons:
        corners = {mesh.loops[i].vertex_index: uv[i].uv for i in polygon.loop_indices}
        if polygon.material_index == 0:  # the picture upright and not mirrored: u to the right, v up
            for vertex, (u, v) in corners.items():
                x, _, z = mesh.vertices[vertex].co
                assert (u, v) == ((1.0 if x > 0 else 0.0), (1.0 if z > 0 else 0.0))
        elif polygon.material_index == 1:
            assert all(-1e-6 <= v <= 1 + 1e-6 for _, v in corners.values())
    # Along a straight run of the moulding, U grows with length and V does not.
    swept = [p for p in mesh.polygons if p.material_index == 1 and len(p.vertices) == 4 and p.area > 1e-4]
    assert swept
    for polygon in swept:
        first, second = (uv[i].uv for i in polygon.loop_indices[:2])
        assert second.x > first.x
        assert second.y == pytest.approx(first.y)


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
