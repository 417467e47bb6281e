"""The gallery: what hangs where, what the camera sees, and the two operators."""

import dataclasses
import itertools
import math

import pytest

bpy = pytest.importorskip("bpy", reason="needs bpy")
from bpy_extras.object_utils import world_to_camera_view  # noqa: E402
from mathutils import Vector  # noqa: E402
from vangogh_says_hello.fomm_core.errors import UserError  # noqa: E402
from vangogh_says_hello.vangogh_blender import gallery, picture_frame, showing, versions  # noqa: E402
from vangogh_says_hello.vangogh_blender.operators import gallery as gallery_operators  # noqa: E402
from vangogh_says_hello.vangogh_blender.operators import scene as scene_operators  # noqa: E402


@pytest.fixture(autouse=True)
def empty_scene():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y = 160, 90


@pytest.fixture
def registered():
    """The operators, unless the extension itself is switched on already."""
    both = (*scene_operators.classes, *gallery_operators.classes)
    mine = [c for c in both if not hasattr(bpy.types, c.__name__)]
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
    bpy.context.view_layer.update()
    assert all(frame.location.z == pytest.approx(1.55) and frame.location.y == 0 for frame in frames)
    spans = [(f.location.x - f.dimensions.x / 2, f.location.x + f.dimensions.x / 2) for f in frames]
    assert spans == sorted(spans)  # left to right
    for (_, end), (begin, _) in itertools.pairwise(spans):
        assert begin - end == pytest.approx(gallery.GAP, abs=0.02)  # carved corners stand out a little
    # Nothing of the gallery is anywhere else, and its middle is over the origin.
    assert not bpy.context.scene.collection.objects
    assert spans[0][0] == pytest.approx(-spans[-1][1], abs=0.02)
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
def test_the_camera_ends_with_the_whole_painting_in_view(size, resolution):
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = resolution
    collection = gallery.build_gallery(bpy.context, [painting(*size)], first_frame=11, last_frame=60)
    assert (scene.frame_start, scene.frame_end) == (11, 60)
    scene.frame_set(60)
    seen = in_view(frames_in(collection)[0])
    assert all(0 < corner.x < 1 and 0 < corner.y < 1 for corner in seen)
    spread = max(max(c[axis] for c in seen) - min(c[axis] for c in seen) for axis in (0, 1))
    assert spread > 0.6  # it fills the view
    stands = scene.camera.matrix_world.copy()
    [(arrival, _)] = gallery.stops([gallery.ENTER], 11, 60)
    scene.frame_set(arrival)
    assert scene.camera.matrix_world == stands  # looking, not walking
    scene.frame_set(arrival - 10)
    assert (scene.camera.matrix_world.translation - stands.translation).length > 0.1


def in_view(frame):
    """Where the corners of a picture frame's canvas are in the camera's view, 0 to 1."""
    scene = bpy.context.scene
    return [
        world_to_camera_view(scene, scene.camera, frame.matrix_world @ vertex.co)
        for vertex in frame.data.vertices
    ]


@pytest.mark.parametrize("count", [3, 9], ids=["one-wall", "two-walls"])
def test_the_camera_walks_from_each_painting_to_the_next(count):
    scene = bpy.context.scene
    scene.render.fps = 24
    collection = gallery.build_gallery(bpy.context, [painting(name=f"No. {i}") for i in range(count)])
    assert scene.frame_start == 1
    frames = frames_in(collection)
    ways = [gallery.ENTER, *[gallery.STROLL] * (count - 1)]
    if count == 9:
        ways[5] = gallery.CROSS
    assert scene.frame_end == round(72 * (sum(ways) + count))  # three seconds before each
    for frame, (arrive, leave) in zip(frames, gallery.stops(ways, 1, scene.frame_end), strict=True):
        for time in (arrive, (arrive + leave) // 2, leave):
            scene.frame_set(time)
            assert all(0 < corner.x < 1 and 0 < corner.y < 1 and corner.z > 0 for corner in in_view(frame))
    # Between them it walks, at a walking pace, through nothing.
    depsgraph = bpy.context.evaluated_depsgraph_get()
    before = None
    for time in range(1, scene.frame_end + 1, 6):
        scene.frame_set(time)
        at = scene.camera.matrix_world.translation.copy()
        assert abs(at.y + gallery.DEPTH / 2) < gallery.DEPTH / 2 - 0.3
        if before is not None:
            assert (at - before).length < 2.2 * 6 / 24
            way = at - before
            assert not way.length or not scene.ray_cast(depsgraph, before, way, distance=way.length)[0]
        before = at


def test_the_second_half_of_many_hangs_across_and_faces_the_room():
    collection = gallery.build_gallery(bpy.context, [painting(name=f"No. {i}") for i in range(9)])
    bpy.context.view_layer.update()
    near, across = frames_in(collection)[:5], frames_in(collection)[5:]
    assert all(f.matrix_world.translation.y == pytest.approx(0, abs=1e-5) for f in near)
    assert all(f.matrix_world.translation.y == pytest.approx(-gallery.DEPTH, abs=1e-5) for f in across)
    for frame in frames_in(collection):
        looks = frame.matrix_world.to_quaternion() @ Vector((0, -1, 0))
        middle = Vector((0, -gallery.DEPTH / 2, 0)) - frame.matrix_world.translation
        assert looks.dot(middle) > 0


def test_only_those_to_be_visited_are():
    scene = bpy.context.scene
    first, second, third = (painting(name=name) for name in "ABC")
    aside = [dataclasses.replace(p, visit=False) for p in (first, third)]
    collection = gallery.build_gallery(bpy.context, [aside[0], second, aside[1]])
    scene.frame_set(scene.frame_end)
    assert all(0 < corner.x < 1 for corner in in_view(frames_in(collection)[1]))
    assert scene.frame_end == round(scene.render.fps * 3 * 2.6)


@pytest.mark.parametrize(
    ("name", "caption"),
    [("Girl_with a  Pearl.jpg", "Girl with a Pearl"), ("No. 5", "No. 5"), ("St. Jerome.tiff", "St. Jerome")],
)
def test_captions_are_the_images_names(name, caption):
    image = painting(name=name).image
    assert gallery.title(image) == caption
    frames = bpy.data.images.new("Something · nodding", 3, 4)
    frames[showing.MADE_FROM] = name
    assert gallery.title(frames) == caption
    collection = gallery.build_gallery(bpy.context, [gallery.Painting(image)])
    [words] = [o for o in collection.objects if o.type == "FONT"]
    assert words.data.body == caption


def test_a_long_caption_stays_on_its_card():
    long = gallery.Painting(painting().image, title="The Anatomy Lesson of Dr. Nicolaes Tulp, " * 4)
    collection = gallery.build_gallery(bpy.context, [long])
    bpy.context.view_layer.update()
    [words] = [o for o in collection.objects if o.type == "FONT"]
    assert words.dimensions.x <= gallery.CARD[0]
    assert words.dimensions.y <= gallery.CARD[1]


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
    assert wall > 0.2


@pytest.mark.usefixtures("registered")
class TestOperators:
    def test_add_picture_frame(self):
        hung = painting(name="Sitter.png")
        assert bpy.ops.vangogh.add_picture_frame(image=hung.image.name, height=0.4) == {"FINISHED"}
        frame = bpy.context.object
        assert frame.select_get()
        assert frame.name == "Sitter Frame"
        bpy.context.view_layer.update()
        across = picture_frame.moulding_width(0.3, 0.4)
        assert frame.dimensions.z == pytest.approx(0.4 + 2 * across, rel=0.02)

    def test_how_it_is_framed(self):
        hung = painting(name="Sitter.png")
        framing = {"style": "RIPPLE", "width": 0.07, "depth": 0.03, "mat": 0.05, "glass": True}
        bpy.ops.vangogh.add_picture_frame(image=hung.image.name, canvas_texture=0.2, **framing)
        modifier = picture_frame.frame_modifier(bpy.context.object)
        shown = ("Profile", "Width", "Depth", "Mat Board", "Glass", "Canvas Texture")
        values = [versions.modifier_input(modifier, name) for name in shown]
        assert values[0] == "Dutch Ripple"
        assert values[1:] == [pytest.approx(value) for value in (0.07, 0.03, 0.05, True, 0.2)]

    def test_another_frame_round_the_selected_pictures(self):
        for name in ("One", "Two"):
            picture_frame.add_picture_frame(bpy.context, painting(name=name).image)
        one, two = (bpy.data.objects[f"{name} Frame"] for name in ("One", "Two"))
        assert not bpy.ops.vangogh.set_frame_style.poll()
        one.select_set(True)
        bpy.ops.vangogh.set_frame_style(style="SHADOW_GAP")
        profiles = [versions.modifier_input(picture_frame.frame_modifier(f), "Profile") for f in (one, two)]
        assert profiles == ["Shadow Gap", "Gilded"]

    def test_standard_colors_are_offered_and_not_forced(self):
        view = bpy.context.scene.view_settings
        view.view_transform = "AgX"
        assert bpy.ops.vangogh.use_standard_colors.poll()
        picture_frame.add_picture_frame(bpy.context, painting(name="One").image).select_set(True)
        bpy.ops.vangogh.build_gallery()
        assert view.view_transform == "AgX"
        bpy.ops.vangogh.use_standard_colors()
        assert (view.view_transform, view.look) == ("Standard", "None")
        assert not bpy.ops.vangogh.use_standard_colors.poll()
        view.view_transform = "AgX"
        bpy.ops.vangogh.build_gallery(standard=True)
        assert view.view_transform == "Standard"

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
        assert hung[0].data.materials[0].name.startswith("Two")  # the active one is visited first
        assert (bpy.context.scene.frame_start, bpy.context.scene.frame_end) == (5, 54)

    def test_build_gallery_without_paintings_says_so(self):
        with pytest.raises(RuntimeError, match="no painting"):
            bpy.ops.vangogh.build_gallery()
        assert "Gallery" not in bpy.data.collections

    def test_a_gallery_from_files(self, tmp_path):
        for name in ("Two.png", "One_by hand.png"):
            image = painting(name=name).image
            image.filepath_raw, image.file_format = str(tmp_path / name), "PNG"
            image.save()
            bpy.data.images.remove(image)
        files = [{"name": "Two.png"}, {"name": "One_by hand.png"}]
        bpy.ops.vangogh.gallery_from_files(directory=str(tmp_path), files=files, style="PLAIN", mat=0.05)
        collection = bpy.data.collections["Gallery"]
        captions = [thing.data.body for thing in collection.objects if thing.type == "FONT"]
        assert captions == ["One by hand", "Two"]
        for frame in frames_in(collection):
            modifier = picture_frame.frame_modifier(frame)
            assert versions.modifier_input(modifier, "Mat Board") == pytest.approx(0.05)

    def test_a_file_that_is_no_picture_is_named(self, tmp_path):
        (tmp_path / "notes.png").write_text("not a picture")
        with pytest.raises(RuntimeError, match=r"notes\.png"):
            bpy.ops.vangogh.gallery_from_files(directory=str(tmp_path), files=[{"name": "notes.png"}])
        assert "Gallery" not in bpy.data.collections
