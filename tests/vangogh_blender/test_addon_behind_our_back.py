"""A job goes on while its file, scene, object or painting is loaded anew, renamed or removed."""

import json
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

from tests.vangogh_blender.in_bpy import (  # noqa: E402
    FRAMES,
    canvas_node,
    finish,
    only_job,
    own_object,
    sequences,
    start,
    tick_until,
)


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
    tick_until(addon, lambda: len(sequences()) == 1)
    bpy.data.objects.remove(target)
    finish(addon)
    assert only_job().phase == "done"
    assert "is not in the scene any more" in only_job().warnings


def test_the_object_removed_before_the_first_frame(addon, settings):
    chosen = settings()
    target, _ = own_object(chosen.painting)
    start(target="OBJECT")
    bpy.data.objects.remove(target)
    finish(addon)
    assert only_job().phase == "done"
    assert "is not in this file any more" in only_job().warnings


def test_a_picture_taken_off_the_wall_mid_job_stays_off(addon, settings):
    settings("slow")
    start()
    tick_until(addon, lambda: len(sequences()) == 1)
    bpy.data.objects.remove(bpy.context.scene.objects[0])
    finish(addon)
    assert only_job().phase == "done"
    assert "Load Frames" in only_job().warnings
    assert len(bpy.context.scene.objects) == 0


def test_the_file_saved_while_a_picture_grows_and_loaded_when_it_is_whole(addon, settings, tmp_path):
    settings("slow")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    start()
    tick_until(addon, lambda: len(sequences()) == 1)
    bpy.ops.wm.save_mainfile()
    finish(addon)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    (frame,) = bpy.context.scene.objects
    assert canvas_node(frame).image_user.frame_duration < FRAMES
    tick_until(addon, lambda: canvas_node(frame).image_user.frame_duration == FRAMES)
    assert len(bpy.context.scene.objects) == 1


def test_what_was_undone_to_a_shorter_picture_is_saved_whole(addon, settings, tmp_path):
    settings()
    start()
    finish(addon)
    (image,) = sequences()
    # As after an undo to when the picture was new, with no tick since.
    node = canvas_node(bpy.context.scene.objects[0])
    image[addon.showing.FRAMES] = node.image_user.frame_duration = 1
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert canvas_node(bpy.context.scene.objects[0]).image_user.frame_duration == FRAMES


def test_the_scene_removed_mid_job(addon, settings):
    settings("slow")
    start()
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
    settings("slow:100")
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
