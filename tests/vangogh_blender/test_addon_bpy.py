"""The installed extension in `bpy`: from the zip to a picture that moves, and everything that can go wrong between.

The worker is `fake_worker.py` but for the last test; timers do not fire here, so the tests call the tick.
"""

import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

import numpy as np  # noqa: E402
import skimage  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 12  # that the fake worker makes


@pytest.fixture(scope="session")
def installed(zip_file):
    """The extension's module name, installed and switched on as a user does it."""
    bpy.ops.extensions.package_install_files(
        filepath=str(zip_file), repo="user_default", enable_on_install=True
    )
    return "bl_ext.user_default.vangogh_says_hello"


@pytest.fixture
def addon(installed, tmp_path):
    """The extension's modules, on a fresh unsaved file, switched on; no worker is left after the test."""
    if installed not in bpy.context.preferences.addons:
        bpy.ops.preferences.addon_enable(module=installed)
    bpy.ops.wm.read_homefile(use_empty=True)
    from bl_ext.user_default.vangogh_says_hello import vangogh_blender
    from bl_ext.user_default.vangogh_says_hello.vangogh_blender import session, showing

    yield type(
        "Addon", (), {"package": vangogh_blender, "session": session, "showing": showing, "name": installed}
    )
    if hasattr(bpy.types.Scene, "vangogh"):
        session.end()
        session.begin()
    if installed in bpy.context.preferences.addons:
        bpy.context.preferences.addons[installed].preferences.python = ""


@pytest.fixture
def settings(addon, tmp_path, fake_python):
    """`settings(scenario)`: the scene's settings, ready to animate with that fake worker."""

    def make(scenario="ok"):
        bpy.context.preferences.addons[addon.name].preferences.python = fake_python(scenario)
        video = tmp_path / "a driver's vidéo.mp4"
        video.write_bytes(b"the fake worker does not look")
        chosen = bpy.context.scene.vangogh
        chosen.painting = painting(tmp_path / "Ölbild 'no. 1'.png")
        chosen.driving_video = str(video)
        chosen.output_directory = str(tmp_path / "out")
        return chosen

    return make


def painting(path, save=True, **options):
    """An image of 6x4 pixels in one colour, on disk at `path`."""
    image = bpy.data.images.new("drawn", 6, 4, alpha=True, **options)
    image.pixels.foreach_set(np.tile(np.float32([0.8, 0.4, 0.2, 1.0]), 24))
    if not save:
        return image
    image.filepath_raw = str(path)
    image.file_format = "PNG"
    image.save()
    bpy.data.images.remove(image)
    return bpy.data.images.load(str(path))


def tick_until(addon, condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, addon.session.current().state
        addon.session.tick()
        time.sleep(0.01)


def only_job():
    (job,) = bpy.context.scene.vangogh.jobs
    return job


def start(**options):
    """Animate as with a window: come back at once."""
    assert bpy.ops.vangogh.animate(wait=False, **options) == {"FINISHED"}


def finish(addon):
    tick_until(addon, lambda: all(job.over for job in addon.session.current().state.jobs))


def sequences():
    return [image for image in bpy.data.images if image.source == "SEQUENCE"]


def canvas_node(target):
    from bl_ext.user_default.vangogh_says_hello.vangogh_blender import image_sequence

    (node,) = [node for image in sequences() for node in image_sequence.nodes_showing(target, image)]
    return node


def own_object(image):
    """The user's own object with the image on its material."""
    mesh = bpy.data.meshes.new("wall")
    target = bpy.data.objects.new("wall", mesh)
    bpy.context.scene.collection.objects.link(target)
    material = bpy.data.materials.new("wall")
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    mesh.materials.append(material)
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    bpy.context.view_layer.objects.active = target
    return target, node


# The package


def test_the_zip_holds_what_an_artist_needs_and_nothing_else(zip_file):
    names = zipfile.ZipFile(zip_file).namelist()
    top = {name.split("/")[0] for name in names}
    assert top <= {
        "__init__.py",
        "blender_manifest.toml",
        "LICENSE",
        "vangogh_blender",
        "fomm_core",
        "wheels",
    }
    assert {"vangogh_blender/panels.py", "fomm_core/worker.py", "LICENSE"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    assert zip_file.stat().st_size < 60e6


def test_the_same_tree_gives_the_same_zip(zip_file, tmp_path):
    command = [sys.executable, str(ROOT / "tools" / "package.py"), "--output", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / zip_file.name).read_bytes() == zip_file.read_bytes()


def test_switched_off_nothing_is_left(addon):
    classes = addon.package.registration.classes
    assert all(cls.is_registered for cls in classes)
    handlers = (bpy.app.handlers.load_post, bpy.app.handlers.save_post)
    assert bpy.app.timers.is_registered(addon.session.tick)
    bpy.ops.preferences.addon_disable(module=addon.name)
    assert not hasattr(bpy.types.Scene, "vangogh")
    assert not any(cls.is_registered for cls in classes)
    assert not bpy.app.timers.is_registered(addon.session.tick)
    ours = [f for handler in handlers for f in handler if "vangogh" in getattr(f, "__module__", "")]
    assert not ours
    assert "animate" not in dir(bpy.ops.vangogh)
    bpy.ops.preferences.addon_enable(module=addon.name)
    assert bpy.context.scene.vangogh.model == "starter"


# A job


def test_animate_in_the_background_ends_with_a_picture_frame_that_plays(addon, settings, tmp_path):
    chosen = settings()
    bpy.context.scene.cursor.location = (1.0, 2.0, 3.0)
    bpy.context.scene.render.fps = 24
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    job = only_job()
    assert (job.phase, job.frames, job.done, job.total) == ("done", FRAMES, FRAMES, FRAMES)
    assert job.output == str(tmp_path / "out")
    assert (tmp_path / "out" / "frames" / "0012.png").is_file()
    frame = bpy.context.scene.collection.all_objects[0]
    assert tuple(frame.location) == (1.0, 2.0, 3.0)
    node = canvas_node(frame)
    assert node.image_user.frame_duration == FRAMES
    assert node.image[addon.showing.MADE_FROM] == chosen.painting.name
    sent = json.loads((tmp_path / "out" / "job.json").read_text())
    assert sent["fps"] == 24.0
    assert sent["painting"] == str(tmp_path / "Ölbild 'no. 1'.png")


def test_settings_given_to_the_operator_override_the_scenes_and_do_not_stay(addon, settings, tmp_path):
    chosen = settings()
    other = tmp_path / "elsewhere"
    assert bpy.ops.vangogh.animate(strength=0.5, output_directory=str(other), use_scene_fps=False) == {
        "FINISHED"
    }
    sent = json.loads((other / "job.json").read_text())
    assert (sent["strength"], sent["fps"], sent["motion"]) == (0.5, None, "relative")
    assert chosen.strength == 1.0
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    assert json.loads((tmp_path / "out" / "job.json").read_text())["strength"] == 1.0


def test_the_users_own_object_is_switched_and_switched_again(addon, settings, tmp_path):
    chosen = settings()
    _, node = own_object(chosen.painting)
    assert bpy.ops.vangogh.animate(target="OBJECT") == {"FINISHED"}
    first = node.image
    assert first.source == "SEQUENCE"
    assert node.image_user.frame_duration == FRAMES
    assert len(bpy.context.scene.objects) == 1
    # The painting behind the frames is still the painting, for the button and for the next job.
    chosen.painting = None
    assert bpy.ops.vangogh.painting_from_object() == {"FINISHED"}
    assert chosen.painting.source == "FILE"
    assert bpy.ops.vangogh.animate(target="OBJECT", output_directory=str(tmp_path / "second")) == {"FINISHED"}
    assert node.image != first


def test_progress_reaches_the_sidebar_and_cancel_and_resume_work(addon, settings):
    settings("slow")
    start()
    tick_until(addon, lambda: only_job().stage == "frames" and only_job().done >= 2)
    assert (only_job().phase, only_job().total, only_job().fps) == ("running", FRAMES, 20.0)
    assert bpy.ops.vangogh.cancel(job=only_job().name) == {"FINISHED"}
    assert only_job().phase == "cancelling"
    finish(addon)
    assert only_job().phase == "cancelled"
    assert 0 < only_job().frames < FRAMES
    assert not sequences()
    # What there is can be shown, and the rest be made.
    assert bpy.ops.vangogh.load_frames(job=only_job().name) == {"FINISHED"}
    assert canvas_node(bpy.context.scene.objects[0]).image_user.frame_duration == only_job().frames
    assert bpy.ops.vangogh.resume(job=only_job().name) == {"FINISHED"}
    assert only_job().phase == "done"


def test_two_jobs_run_one_after_the_other_in_folders_of_their_own(addon, settings, tmp_path):
    settings("slow")
    start()
    start()
    first, second = bpy.context.scene.vangogh.jobs
    assert (first.phase, second.phase) == ("starting", "waiting")
    assert first.output != second.output
    finish(addon)
    assert [job.phase for job in bpy.context.scene.vangogh.jobs] == ["done", "done"]
    assert len(sequences()) == 2


def test_a_tick_is_short(addon, settings):
    settings("slow")
    start()
    times = []
    while not all(job.over for job in addon.session.current().state.jobs):
        began = time.perf_counter()
        addon.session.tick()
        times.append(time.perf_counter() - began)
        time.sleep(0.01)
    assert np.median(times) < 0.005


# Bad paintings


def png_sent(tmp_path):
    return tmp_path / "out" / "painting.png"


def reread(path):
    """Height x width x RGBA in [0, 1], as any other program reads the file."""
    return skimage.util.img_as_float(skimage.io.imread(path))


@pytest.mark.parametrize("kind", ["generated", "painted on", "float"])
def test_a_painting_that_is_not_on_disk_as_it_is_gets_written(addon, settings, tmp_path, kind):
    chosen = settings()
    if kind == "painted on":
        image = chosen.painting
        image.pixels.foreach_set(np.tile(np.float32([0.2, 0.6, 0.4, 0.5]), 24))
        expected, dirty = (0.2, 0.6, 0.4, 0.5), True
    elif kind == "float":
        image = painting(None, save=False, float_buffer=True)
        image.pixels.foreach_set(
            np.tile(np.float32([0.2140, 0.0, 7.0, 1.0]), 24)
        )  # linear: 0.2140 is sRGB 0.5
        expected, dirty = (0.5, 0.0, 1.0, 1.0), True
    else:
        image, expected, dirty = painting(None, save=False), (0.8, 0.4, 0.2, 1.0), True
    chosen.painting = image
    before = image.filepath, image.source, image.is_dirty
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    assert (image.filepath, image.source, image.is_dirty) == before
    assert before[2] is dirty
    written = reread(png_sent(tmp_path))
    assert written.shape[:2] == (4, 6)
    assert np.abs(written - expected).max() < 2 / 255
    assert "vangogh painting" not in bpy.data.images


def test_a_packed_painting_is_written_as_it_was_packed(addon, settings, tmp_path):
    chosen = settings()
    file = Path(chosen.painting.filepath)
    original = file.read_bytes()
    chosen.painting.pack()
    file.unlink()
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    assert png_sent(tmp_path).read_bytes() == original


def test_a_painting_in_a_format_of_blenders_own_is_written(addon, settings, tmp_path):
    chosen = settings()
    image = painting(None, save=False, float_buffer=True)
    image.filepath_raw = str(tmp_path / "p.exr")
    image.file_format = "OPEN_EXR"
    image.save()
    chosen.painting = bpy.data.images.load(str(tmp_path / "p.exr"))
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    assert png_sent(tmp_path).is_file()


def test_a_movie_as_a_painting_gives_its_first_frame(addon, settings, tmp_path):
    chosen = settings()
    chosen.painting = bpy.data.images.load(str(ROOT / "examples" / "driving.mp4"))
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    assert reread(png_sent(tmp_path)).std() > 0.05


def refused(**options):
    """The sentence with which `vangogh.animate` refuses."""
    with pytest.raises(RuntimeError) as caught:
        bpy.ops.vangogh.animate(**options)
    sentence = str(caught.value)
    assert "Traceback" not in sentence
    return sentence


def test_what_cannot_be_animated_is_said_at_once(addon, settings, tmp_path):
    chosen = settings()
    assert "gone" in deleted(chosen)
    chosen.painting = None
    assert "Choose a painting" in refused()
    assert "There is no image" in refused(painting="nowhere.png")
    chosen.painting = painting(tmp_path / "second.png")
    assert "There is no driving video at" in refused(driving_video="/nowhere/video.mp4")
    assert "Select the object" in refused(target="OBJECT")
    own_object(None)
    assert "does not show" in refused(target="OBJECT")
    (tmp_path / "file").write_text("no folder")
    assert "cannot be written" in refused(output_directory=str(tmp_path / "file"))
    chosen.painting = bpy.data.images.new("tiles", 8, 8, tiled=True)
    assert "set of tiles" in refused()
    assert len(chosen.jobs) == 0


def deleted(chosen):
    Path(chosen.painting.filepath).unlink()
    return refused()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_said_at_once(addon, settings, tmp_path):
    settings()
    (tmp_path / "out").mkdir(mode=0o555)
    assert "read-only" in refused()


# Bad workers


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("no-torch", "This Python has no torch. Install torch."),
        ("killed", "was killed, perhaps because the computer ran out of memory"),
        ("exit", "ended with status 3"),
        ("old", "speaks protocol 99"),
        ("full", "The disk is full. Make room and press Resume."),
    ],
)
def test_a_worker_that_fails_is_one_sentence(addon, settings, scenario, words):
    settings(scenario)
    assert words in refused()
    assert only_job().phase == "failed"
    assert not sequences()


def test_no_python_is_one_sentence(addon, settings, monkeypatch):
    settings()
    monkeypatch.delenv("VANGOGH_PYTHON", raising=False)
    preferences = bpy.context.preferences.addons[addon.name].preferences
    preferences.python = ""
    assert "No Python with torch is set" in refused()
    preferences.python = "/nowhere/python"
    assert "There is no Python at /nowhere/python" in refused()
    preferences.python = ""
    monkeypatch.setenv("VANGOGH_PYTHON", "/from/the/environment")
    assert "There is no Python at /from/the/environment" in refused()


def test_after_a_death_the_next_job_has_a_worker_again(addon, settings):
    settings("killed")
    refused()
    settings("ok")
    assert bpy.ops.vangogh.animate() == {"FINISHED"}


def test_another_python_in_the_preferences_is_used_for_the_next_job(addon, settings):
    settings("ok")
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    settings("no-torch")
    assert "This Python has no torch" in refused()
    settings("ok")
    assert bpy.ops.vangogh.animate() == {"FINISHED"}


# Behind our back


def test_the_file_loaded_anew_mid_job(addon, settings, tmp_path):
    settings("slow")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    start()
    tick_until(addon, lambda: only_job().done >= 2)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    finish(addon)
    assert only_job().phase == "done"
    assert only_job().warnings == ""
    assert len(sequences()) == 1  # it belongs here, so it is shown


def test_another_file_opened_mid_job(addon, settings):
    settings("slow")
    start()
    tick_until(addon, lambda: only_job().done >= 2)
    bpy.ops.wm.read_homefile(use_empty=True)
    finish(addon)
    assert only_job().phase == "done"
    assert "Another file was opened" in only_job().warnings
    assert not sequences()
    assert bpy.ops.vangogh.load_frames(job=only_job().name) == {"FINISHED"}
    assert canvas_node(bpy.context.scene.objects[0]).image_user.frame_duration == FRAMES


def test_a_job_of_an_earlier_blender_is_interrupted_and_can_be_resumed(addon, settings, tmp_path):
    settings("slow")
    start()
    tick_until(addon, lambda: only_job().done >= 2)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    addon.session.current().stop()
    addon.session.begin()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert only_job().phase == "failed"
    assert "Interrupted" in only_job().sentence
    assert bpy.ops.vangogh.resume(job=only_job().name) == {"FINISHED"}
    assert only_job().phase == "done"
    assert json.loads((tmp_path / "out" / "job.json").read_text())["resume"] is True


def test_saved_and_loaded_the_picture_still_plays(addon, settings, tmp_path):
    settings()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert bpy.ops.vangogh.animate(output_directory="") == {"FINISHED"}
    assert Path(only_job().output).parent == tmp_path / "vangogh"
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    node = canvas_node(bpy.context.scene.objects[0])
    from bl_ext.user_default.vangogh_says_hello.vangogh_blender import image_sequence

    assert image_sequence.missing_frames(node) == []
    assert node.image.filepath.startswith("//")
    assert (node.image_user.frame_duration, node.image_user.use_auto_refresh) == (FRAMES, True)


def test_an_unsaved_file_puts_its_frames_among_the_users_own(addon, settings):
    settings()
    assert bpy.ops.vangogh.animate(output_directory="") == {"FINISHED"}
    own = Path(bpy.utils.extension_path_user(addon.name, path="jobs"))
    assert Path(only_job().output).parent == own


def test_frames_that_are_ready_wait_for_a_render_and_not_for_another_file(addon, settings, monkeypatch):
    settings()
    rendering = True
    monkeypatch.setattr(addon.session, "is_rendering", lambda: rendering)
    start()
    finish(addon)
    assert only_job().phase == "done"
    assert not sequences()
    rendering = False
    addon.session.tick()
    assert len(sequences()) == 1
    rendering = True
    start()
    finish(addon)
    bpy.ops.wm.read_homefile(use_empty=True)
    rendering = False
    addon.session.tick()
    assert not sequences()


def test_the_painting_removed_mid_job(addon, settings):
    chosen = settings("slow")
    start()
    tick_until(addon, lambda: only_job().done >= 2)
    bpy.data.images.remove(chosen.painting)
    finish(addon)
    assert only_job().phase == "done"
    assert "was removed" in only_job().warnings
    assert len(sequences()) == 1


def test_the_painting_renamed_mid_job_is_still_the_painting(addon, settings):
    chosen = settings("slow")
    _, node = own_object(chosen.painting)
    start(target="OBJECT")
    tick_until(addon, lambda: only_job().done >= 2)
    chosen.painting.name = "another name"
    finish(addon)
    assert only_job().warnings == ""
    assert node.image.source == "SEQUENCE"


def test_the_object_removed_mid_job(addon, settings):
    chosen = settings("slow")
    target, _ = own_object(chosen.painting)
    start(target="OBJECT")
    tick_until(addon, lambda: only_job().done >= 2)
    bpy.data.objects.remove(target)
    finish(addon)
    assert only_job().phase == "done"
    assert "is not in this file any more" in only_job().warnings


def test_the_scene_removed_mid_job(addon, settings):
    settings("slow")
    start()
    tick_until(addon, lambda: only_job().done >= 2)
    other = bpy.data.scenes.new("other")
    bpy.data.scenes.remove(bpy.context.scene)
    finish(addon)
    assert bpy.context.scene == other
    assert only_job().phase == "done"
    assert len(other.objects) == 1


def test_a_copied_scene_does_not_copy_its_jobs(addon, settings):
    settings("slow")
    start()
    copy = bpy.context.scene.copy()
    addon.session.tick()
    assert len(copy.vangogh.jobs) == 0
    assert len(bpy.context.scene.vangogh.jobs) == 1


def test_switched_off_mid_job_the_worker_goes(addon, settings):
    settings("slow")
    start()
    tick_until(addon, lambda: only_job().done >= 2)
    process = addon.session.current().client._process
    bpy.ops.preferences.addon_disable(module=addon.name)
    assert process.poll() is not None
    bpy.ops.preferences.addon_enable(module=addon.name)
    assert only_job().phase == "failed"
    assert "switched off" in only_job().sentence


def test_off_the_list_and_out_of_memory(addon, settings):
    settings()
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    assert addon.session.current().client is not None
    assert bpy.ops.vangogh.free_memory() == {"FINISHED"}
    assert addon.session.current().client is None
    with pytest.raises(RuntimeError, match="No background process"):
        bpy.ops.vangogh.free_memory()
    assert bpy.ops.vangogh.remove_job(job=only_job().name) == {"FINISHED"}
    addon.session.tick()
    assert len(bpy.context.scene.vangogh.jobs) == 0


# The real worker


def test_a_portrait_moves(addon, settings, tmp_path):
    model = ROOT / "fomm_core" / "weights" / "starter.safetensors"
    if not model.is_file():
        pytest.skip("the bundled model is not there")
    chosen = settings()
    bpy.context.preferences.addons[addon.name].preferences.python = sys.executable
    chosen.painting = bpy.data.images.load(str(ROOT / "examples" / "painting.jpg"))
    chosen.driving_video = str(ROOT / "examples" / "driving.mp4")
    chosen.size, chosen.end = 256, 1.0
    bpy.context.scene.render.fps = 12
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    assert only_job().frames == 12
    node = canvas_node(bpy.context.scene.objects[0])
    assert node.image_user.frame_duration == 12
    first, last = (reread(tmp_path / "out" / "frames" / f"{number:04d}.png") for number in (1, 12))
    assert first.shape == last.shape
    assert max(first.shape) == 256
    assert np.abs(first - last).mean() > 0.001
