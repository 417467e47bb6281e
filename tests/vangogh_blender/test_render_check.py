"""What a render would show in magenta is found before it, and named."""

import re
import subprocess
import sys

import pytest

bpy = pytest.importorskip("bpy", reason="needs bpy")
from vangogh_says_hello.vangogh_blender import image_sequence, picture_frame, render_check  # noqa: E402

from tests.vangogh_blender.test_image_sequence import write_frames  # noqa: E402


@pytest.fixture(autouse=True)
def empty_scene():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    render_little()


def render_little():
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 30
    scene.render.resolution_x = scene.render.resolution_y = 8
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 1, False


@pytest.fixture
def hung(request, tmp_path):
    if "addon" in request.fixturenames:
        request.getfixturevalue("addon")
    """Ten frames in a picture frame, and where they are."""
    render_little()  # the add-on comes with a scene of its own
    folder = write_frames(tmp_path / "a job" / "frames", range(1, 11))
    image = image_sequence.load_sequence(folder, "Sitter")
    frame = picture_frame.add_picture_frame(bpy.context, image, frames=10)
    [node] = image_sequence.nodes_showing(frame, image)
    return frame, node, folder


def only_problem():
    [sentence] = render_check.problems(bpy.context.scene)
    assert re.fullmatch(r"[A-Z].*[^.]\.", sentence)
    return sentence


def test_nothing_is_said_where_all_is_there(hung):
    assert render_check.problems(bpy.context.scene) == []


def test_a_missing_frame_is_named_with_its_file(hung):
    _, _, folder = hung
    (folder / "0004.png").unlink()
    (folder / "0007.png").write_bytes(b"")  # cut off while it was written
    sentence = only_problem()
    assert "Sitter on Sitter Frame lacks 2 of the 10 frames" in sentence
    assert str(folder / "0004.png") in sentence
    assert "Resume" in sentence


def test_a_sequence_that_is_too_short_is_told_how_long_it_is(hung):
    _, node, folder = hung
    node.image_user.frame_duration = 14
    sentence = only_problem()
    assert "too short, 10 frames of the 14" in sentence
    assert str(folder / "0011.png") in sentence
    assert "set the Frames of its image texture to 10" in sentence


def test_a_folder_that_is_gone(hung):
    _, _, folder = hung
    folder.rename(folder.with_name("elsewhere"))
    assert str(folder) in only_problem()


def test_a_sequence_that_begins_later_and_does_not_repeat(hung):
    _, node, _ = hung
    node.image_user.frame_start = 5
    assert render_check.problems(bpy.context.scene) == []  # it is seen again from its beginning
    node.image_user.use_cyclic = False
    assert "at frame 5 and is magenta before, from frame 1 on" in only_problem()


def test_only_the_frames_that_are_rendered_count(hung):
    _, _, folder = hung
    (folder / "0009.png").unlink()
    bpy.context.scene.frame_end = 8
    assert render_check.problems(bpy.context.scene) == []
    bpy.context.scene.frame_end = 9
    assert "lacks 1 of the 9 frames" in only_problem()


def test_an_instanced_gallery_is_looked_at_and_what_is_not_rendered_is_not(hung):
    frame, _, folder = hung
    (folder / "0004.png").unlink()
    aside = bpy.data.collections.new("Aside")
    aside.objects.link(frame)
    bpy.context.scene.collection.objects.unlink(frame)
    assert render_check.problems(bpy.context.scene) == []
    instance = bpy.data.objects.new("Instance", None)
    instance.instance_type, instance.instance_collection = "COLLECTION", aside
    bpy.context.scene.collection.objects.link(instance)
    assert "0004.png" in only_problem()
    frame.hide_render = True
    assert render_check.problems(bpy.context.scene) == []


@pytest.mark.parametrize(
    ("start", "offset", "cyclic"), [(1, 0, True), (4, 0, True), (4, 0, False), (1, 3, True)]
)
def test_the_number_asked_for_is_the_one_that_blender_loads(tmp_path, start, offset, cyclic):
    """Each file of its own colour: the render tells which one was shown."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(1, 9):
        image = bpy.data.images.new("frame", 2, 2)
        image.pixels = [number / 10, 0.0, 0.0, 1.0] * 4
        image.filepath_raw, image.file_format = str(folder / f"{number:04d}.png"), "PNG"
        image.save()
    image = image_sequence.load_sequence(folder, "Sitter")
    frame = picture_frame.add_picture_frame(bpy.context, image, frames=5)
    [node] = image_sequence.nodes_showing(frame, image)
    user = node.image_user
    user.frame_start, user.frame_offset, user.use_cyclic = start, offset, cyclic
    tree = frame.data.materials[0].node_tree
    emission = tree.nodes.new("ShaderNodeEmission")
    tree.links.new(node.outputs["Color"], emission.inputs["Color"])
    output = next(n for n in tree.nodes if n.type == "OUTPUT_MATERIAL")
    tree.links.new(emission.outputs[0], output.inputs["Surface"])
    scene = bpy.context.scene
    lens = bpy.data.cameras.new("Camera")
    lens.type, lens.ortho_scale = "ORTHO", 0.1
    camera = bpy.data.objects.new("Camera", lens)
    camera.location, camera.rotation_euler = (0, -2, 0), (1.5707963, 0, 0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.view_settings.view_transform = "Standard"
    for number in range(start, start + 8):
        scene.frame_set(number)
        scene.render.filepath = str(tmp_path / "out.png")
        bpy.ops.render.render(write_still=True)
        shown = bpy.data.images.load(str(tmp_path / "out.png"), check_existing=False)
        assert round(shown.pixels[4 * (4 * 8 + 4)] * 10) == image_sequence.number_at(user, number), number
        bpy.data.images.remove(shown)


def test_a_render_without_a_window_says_it_on_the_console(addon, hung, tmp_path):
    _, _, folder = hung
    (folder / "0004.png").unlink()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    script = (
        "import bpy; bpy.ops.preferences.addon_enable(module={!r});"
        "bpy.ops.wm.open_mainfile(filepath={!r}); bpy.context.scene.frame_end = 5;"
        "bpy.ops.object.camera_add(); bpy.context.scene.camera = bpy.context.object;"
        "bpy.context.scene.render.filepath = {!r}; bpy.ops.render.render(animation=True)"
    ).format(addon.name, str(tmp_path / "scene.blend"), str(tmp_path / "out-####.png"))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [line] = [
        line for line in done.stderr.splitlines() if line.startswith("Van Gogh: ")
    ]  # once, not per frame
    assert str(folder / "0004.png") in line
    assert "Traceback" not in done.stderr


def test_the_operator_reports_and_is_refused(addon, hung):
    _, _, folder = hung
    assert bpy.ops.vangogh.check_sequences() == {"FINISHED"}
    (folder / "0004.png").unlink()
    with pytest.raises(RuntimeError, match=r"0004\.png"):
        bpy.ops.vangogh.check_sequences()
