"""Image sequences: what is on disk, what the nodes play, and what would render magenta."""

import pytest

bpy = pytest.importorskip("bpy", reason="needs bpy")
from vangogh_says_hello.fomm_core.errors import UserError  # noqa: E402
from vangogh_says_hello.vangogh_blender import image_sequence, materials  # noqa: E402


@pytest.fixture(autouse=True)
def empty_scene():
    bpy.ops.wm.read_factory_settings(use_empty=True)


@pytest.fixture
def folder(tmp_path):
    return write_frames(tmp_path / "the king's job" / "frames", range(1, 6))


def write_frames(folder, numbers, file_format="PNG", extension="png"):
    folder.mkdir(parents=True, exist_ok=True)
    image = bpy.data.images.new("frame", 8, 6)
    image.file_format = file_format
    for number in numbers:
        image.filepath_raw = str(folder / f"{number:04d}.{extension}")
        image.save()
    bpy.data.images.remove(image)
    return folder


def object_showing(image):
    """An object with two materials; `image` is in the second one, in a node group inside a node group."""
    mesh = bpy.data.meshes.new("Wall")
    target = bpy.data.objects.new("Wall", mesh)
    bpy.context.scene.collection.objects.link(target)
    mesh.materials.append(materials.plain("Plain", (1, 1, 1), 0.5))
    mesh.materials.append(None)
    outer_material = materials.plain("Nested", (1, 1, 1), 0.5)
    mesh.materials.append(outer_material)
    inner = bpy.data.node_groups.new("Inner", "ShaderNodeTree")
    outer = bpy.data.node_groups.new("Outer", "ShaderNodeTree")
    node = inner.nodes.new("ShaderNodeTexImage")
    node.image = image
    for _ in range(2):  # used twice: found once
        outer.nodes.new("ShaderNodeGroup").node_tree = inner
    outer_material.node_tree.nodes.new("ShaderNodeGroup").node_tree = outer
    outer_material.node_tree.nodes.new("ShaderNodeGroup")  # an empty group node
    return target, node


@pytest.mark.parametrize(("file_format", "extension"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")])
def test_frames_are_counted_and_loaded(tmp_path, file_format, extension):
    folder = write_frames(tmp_path, range(1, 8), file_format, extension)
    assert image_sequence.count_frames(folder) == 7
    image = image_sequence.load_sequence(folder, "Sitter")
    assert (image.name, image.source, image.colorspace_settings.name) == ("Sitter", "SEQUENCE", "sRGB")
    assert image_sequence.sequence_frames(image) == 7


def test_counting_stops_at_a_gap_and_at_an_empty_file(folder):
    write_frames(folder, [7, 8])
    assert image_sequence.count_frames(folder) == 5
    (folder / "0003.png").write_bytes(b"")
    assert image_sequence.count_frames(folder) == 2
    (folder / "0001.png").unlink()
    assert image_sequence.count_frames(folder) == 0


def test_more_than_9999_frames_are_counted(tmp_path):
    for number in range(1, 10003):
        (tmp_path / f"{number:04d}.jpg").write_bytes(b"x")
    assert image_sequence.count_frames(tmp_path) == 10002


def test_frames_of_another_file_type_are_not_mixed_in(folder):
    write_frames(folder, [6, 7], "JPEG", "jpg")
    assert image_sequence.count_frames(folder) == 5


def test_no_frames(tmp_path):
    assert image_sequence.count_frames(tmp_path / "not there") == 0
    with pytest.raises(UserError, match="0001"):
        image_sequence.load_sequence(tmp_path, "Sitter")
    (tmp_path / "0001.png").write_text("this is not a picture")
    before = len(bpy.data.images)
    with pytest.raises(UserError, match=r"0001\.png"):
        image_sequence.load_sequence(tmp_path, "Sitter")
    assert len(bpy.data.images) == before


def test_loading_twice_gives_one_image(folder):
    first = image_sequence.load_sequence(folder, "Sitter")
    assert image_sequence.load_sequence(folder, "Sitter") == first
    assert len([image for image in bpy.data.images if image.source == "SEQUENCE"]) == 1


def test_the_path_is_relative_in_a_saved_file(folder, tmp_path):
    absolute = image_sequence.load_sequence(folder, "Before")
    assert not absolute.filepath.startswith("//")
    bpy.data.images.remove(absolute)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    image = image_sequence.load_sequence(folder, "After")
    assert image.filepath.startswith("//")
    assert image_sequence.absolute_path(image).samefile(folder / "0001.png")


def test_show_sets_the_image_user(folder):
    image = image_sequence.load_sequence(folder, "Sitter")
    _, node = object_showing(None)
    image_sequence.show(node, image, 5, start=10)
    user = node.image_user
    assert node.image == image
    assert (user.frame_duration, user.frame_start, user.frame_offset) == (5, 10, 0)
    assert user.use_cyclic
    assert user.use_auto_refresh
    image_sequence.show(node, image, 5, cyclic=False)
    assert (user.frame_start, user.use_cyclic) == (1, False)
    with pytest.raises(UserError, match="Sitter"):
        image_sequence.show(node, image, 0)


def test_a_linked_material_is_not_changed(folder, tmp_path):
    image = image_sequence.load_sequence(folder, "Sitter")
    object_showing(image)
    library = str(tmp_path / "library.blend")
    bpy.ops.wm.save_as_mainfile(filepath=library)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(library, link=True) as (_, wanted):
        wanted.objects = ["Wall"]
    wall = wanted.objects[0]
    image = image_sequence.load_sequence(folder, "Sitter")
    linked = next(i for i in bpy.data.images if i.library)
    (node,) = image_sequence.nodes_showing(wall, linked)
    with pytest.raises(UserError, match="linked"):
        image_sequence.show(node, image, 5)
    assert node.image == linked


def test_nodes_are_found_in_all_materials_and_groups(folder):
    image = image_sequence.load_sequence(folder, "Sitter")
    target, node = object_showing(image)
    assert image_sequence.nodes_showing(target, image) == [node]
    other = bpy.data.images.new("Other", 8, 8)
    assert image_sequence.nodes_showing(target, other) == []
    material, canvas_node = materials.canvas(image)
    target.data.materials.append(material)
    assert set(image_sequence.nodes_showing(target, image)) == {node, canvas_node}


def test_an_object_without_materials_shows_nothing():
    image = bpy.data.images.new("Other", 8, 8)
    empty = bpy.data.objects.new("Empty", None)
    assert image_sequence.nodes_showing(empty, image) == []


def test_missing_frames_are_named(folder):
    image = image_sequence.load_sequence(folder, "Sitter")
    _, node = object_showing(None)
    image_sequence.show(node, image, 5)
    assert image_sequence.missing_frames(node) == []
    (folder / "0004.png").unlink()
    assert image_sequence.missing_frames(node) == [4]
    node.image_user.frame_duration = 7  # a hundred is Blender's default: the classic mistake
    assert image_sequence.missing_frames(node) == [4, 6, 7]
    node.image = bpy.data.images.new("Still", 8, 8)
    assert image_sequence.missing_frames(node) == []
