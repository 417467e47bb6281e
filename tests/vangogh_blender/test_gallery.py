"""The gallery: what hangs where, what the camera sees, and the two operators."""

import itertools
import math

import pytest

bpy = pytest.importorskip("bpy", reason="needs bpy")
from bpy_extras.object_utils import world_to_camera_view  # noqa: E402
from mathutils import Vector  # noqa: E402
from vangogh_says_hello.fomm_core.errors import UserError  # noqa: E402
from vangogh_says_hello.vangogh_blender import gallery, picture_frame  # noqa: E402
from vangogh_says_hello.vangogh_blender.operators import scene as operators  # noqa: E402


@pytest.fixture(autouse=True)
def empty_scene():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y = 160, 90


@pytest.fixture
def registered():
    """The operators, unless the extension itself is switched on already."""
    mine = [c for c in operators.classes if not hasattr(bpy.types, c.__name__)]
    for cls in mine:
        bpy.utils.register_class(cls)
    yield
    for cls in mine:
        bpy.utils.unregister_class(cls)


def painting(width=30, height=40, tall=0.9, color=(0.8, 0.4, 0.2), name="Picture"):
    image = bpy.data.images.new(name, width, height)
    image.pixels = [*color, 1.0] * (width * height)
    return gallery.Painting(image, height=tall)


def frames_in(collection):
    return [o for o in collection.objects if o.name.endswith("Frame") or " Frame." in o.name]


def test_paintings_hang_side_by_side_at_eye_level():
    collection = gallery.build_gallery(
        bpy.context, [painting(30, 40), painting(60, 20), painting(20, 50), painting(40, 40)]
    )
    assert collection.name == "Gallery"
    assert collection.name in bpy.context.scene.collection.children
    frames = frames_in(collection)
    assert len(frames) == 4
    assert all(frame.location.z == pytest.approx(1.5) and frame.location.y == 0 for frame in frames)
    spans = sorted((f.location.x - f.dimensions.x / 2, f.location.x + f.dimensions.x / 2) for f in frames)
    for (_, end), (begin, _) in itertools.pairwise(spans):
        assert begin - end == pytest.approx(gallery.GAP, abs=1e-3)
    # Nothing of the gallery is anywhere else, and the first painting is in the middle.
    assert not bpy.context.scene.collection.objects
    assert frames[0].location.x == 0
    # Each has a spotlight aimed at it.
    lamps = [o for o in collection.objects if o.type == "LIGHT" and o.data.type == "SPOT"]
    assert len(lamps) == 4
    for lamp in lamps:
        ray = lamp.matrix_basis.to_quaternion() @ Vector((0, 0, -1))
        hit = lamp.location + ray * (-lamp.location.y / ray.y)
        assert min((hit - f.location).length for f in frames) < 0.01


def test_the_room_holds_everything_and_is_closed():
    collection = gallery.build_gallery(bpy.context, [painting()])
    bpy.context.view_layer.update()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    eye = bpy.context.scene.camera
    for frame in (1, 40, 96):
        bpy.context.scene.frame_set(frame)
        place = eye.matrix_world.translation
        assert 0.9 < place.z < 2.0
        for i in range(24):
            for tilt in (-0.7, 0.0, 0.7):
                way = Vector((math.cos(i * math.tau / 24), math.sin(i * math.tau / 24), tilt))
                hit, where, *_ = bpy.context.scene.ray_cast(depsgraph, place, way)
                assert hit
                assert (where - place).length < 15
    for solid in (
        o for o in collection.objects if o.type == "MESH" and o.name in {"Walls", "Trim", "Ceiling"}
    ):
        assert not solid.data.validate()


@pytest.mark.parametrize("size", [(30, 40), (60, 20), (10, 60)], ids=["portrait", "landscape", "scroll"])
@pytest.mark.parametrize("resolution", [(160, 90), (90, 160)], ids=["wide", "tall"])
def test_the_camera_ends_with_the_whole_first_painting_in_view(size, resolution):
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = resolution
    collection = gallery.build_gallery(bpy.context, [painting(*size)], first_frame=11, last_frame=60)
    assert (scene.frame_start, scene.frame_end) == (11, 60)
    scene.frame_set(60)
    frame = frames_in(collection)[0]
    canvas = next(p for p in frame.data.polygons if p.material_index == 0)
    seen = [
        world_to_camera_view(scene, scene.camera, frame.matrix_world @ frame.data.vertices[i].co)
        for i in canvas.vertices
    ]
    assert all(0 < corner.x < 1 and 0 < corner.y < 1 for corner in seen)
    spread = max(max(c[axis] for c in seen) - min(c[axis] for c in seen) for axis in (0, 1))
    assert spread > 0.6  # it fills the view
    stands = scene.camera.matrix_world.copy()
    scene.frame_set(gallery.arrival(11, 60))
    assert scene.camera.matrix_world == stands  # looking, not walking
    scene.frame_set(gallery.arrival(11, 60) - 10)
    assert (scene.camera.matrix_world.translation - stands.translation).length > 0.1


def test_the_scenes_own_things_stay_as_they_are():
    scene = bpy.context.scene
    scene.view_settings.view_transform = "AgX"
    engine = scene.render.engine
    mine = bpy.data.objects.new("Mine", None)
    scene.collection.objects.link(mine)
    gallery.build_gallery(bpy.context, [painting()])
    assert scene.view_settings.view_transform == "AgX"
    assert scene.render.engine == engine
    assert list(scene.collection.objects) == [mine]


def test_nothing_is_built_from_nothing():
    with pytest.raises(UserError, match="no painting"):
        gallery.build_gallery(bpy.context, [])
    lost = bpy.data.images.new("Lost", 8, 8, tiled=True)
    with pytest.raises(UserError, match="Lost"):
        gallery.build_gallery(bpy.context, [painting(), gallery.Painting(lost)])
    assert not bpy.data.objects
    assert not bpy.data.collections


def test_a_rendered_gallery_shows_a_lit_painting(tmp_path):
    """The painting is lit so that its colours come out as they are, and stands out from the wall."""
    scene = bpy.context.scene
    gallery.build_gallery(bpy.context, [painting(color=(0.6, 0.6, 0.6))])
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 8, False
    scene.render.resolution_x, scene.render.resolution_y = 64, 36
    scene.view_settings.view_transform = "Standard"
    scene.frame_set(scene.frame_end)
    scene.render.filepath = str(tmp_path / "end.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    pixels = list(image.pixels)

    def mean(x0, x1, y0, y1):
        values = [
            pixels[4 * (y * 64 + x) + c] for y in range(y0, y1) for x in range(x0, x1) for c in range(3)
        ]
        return sum(values) / len(values)

    canvas, wall = mean(26, 38, 10, 26), mean(2, 10, 10, 26)
    assert canvas == pytest.approx(0.6, abs=0.1)
    assert 0.02 < wall < canvas - 0.2


@pytest.mark.usefixtures("registered")
class TestOperators:
    def test_add_picture_frame(self):
        hung = painting(name="Sitter.png")
        assert bpy.ops.vangogh.add_picture_frame(image=hung.image.name, height=0.4) == {"FINISHED"}
        frame = bpy.context.object
        assert frame.select_get()
        assert frame.name == "Sitter Frame"
        across = picture_frame.moulding_width(0.3, 0.4)
        assert frame.dimensions.z == pytest.approx(0.4 + 2 * across, rel=1e-3)

    def test_an_unknown_image_is_told(self):
        with pytest.raises(RuntimeError, match="no image named Nobody"):
            bpy.ops.vangogh.add_picture_frame(image="Nobody")

    def test_build_gallery_from_the_selection(self):
        for name in ("One", "Two"):
            frame = picture_frame.add_picture_frame(bpy.context, painting(name=name).image)
            frame.select_set(True)
        bpy.context.view_layer.objects.active = frame
        bpy.context.scene.frame_start = 5
        bpy.ops.vangogh.build_gallery(frames=50, height=0.7)
        hung = frames_in(bpy.data.collections["Gallery"])
        assert sorted(frame.data.materials[0].name.split()[0] for frame in hung) == ["One", "Two"]
        assert hung[0].data.materials[0].name.startswith("Two")  # the active one is the one walked up to
        assert (bpy.context.scene.frame_start, bpy.context.scene.frame_end) == (5, 54)

    def test_build_gallery_without_paintings_says_so(self):
        with pytest.raises(RuntimeError, match="no painting"):
            bpy.ops.vangogh.build_gallery()
        assert "Gallery" not in bpy.data.collections
