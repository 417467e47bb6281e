"""A job in the installed extension, from the settings to a picture that moves.

The worker is `fake_worker.py`; the real one is in test_life.py.
"""

import json
import os
import time
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

import numpy as np  # noqa: E402

from tests.vangogh_blender.in_bpy import (  # noqa: E402
    FRAMES,
    canvas_node,
    finish,
    only_job,
    own_object,
    painting,
    refused,
    sequences,
    start,
    tick_until,
)

ROOT = Path(__file__).resolve().parents[2]


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


def test_every_setting_of_the_motion_and_the_region_reaches_the_worker(addon, settings, tmp_path):
    chosen = settings()
    chosen.loop, chosen.smooth, chosen.region = "pingpong", 2.5, "-3,1,20,20"

    def sent(name, **options):
        assert bpy.ops.vangogh.animate(output_directory=str(tmp_path / name), **options) == {"FINISHED"}
        job = json.loads((tmp_path / name / "job.json").read_text())
        return job["loop"], job["smooth"], job["region"], job["all_faces"]

    assert sent("one") == ("pingpong", 2.5, "-3,1,20,20", False)
    assert sent("two", loop="seamless", smooth=0.0) == ("seamless", 0.0, "-3,1,20,20", False)
    assert sent("still") == ("pingpong", 2.5, "-3,1,20,20", False)
    assert json.loads((tmp_path / "still" / "job.json").read_text())["still_wall"] is True
    chosen.still_wall = False
    assert sent("moving") == ("pingpong", 2.5, "-3,1,20,20", False)
    assert json.loads((tmp_path / "moving" / "job.json").read_text())["still_wall"] is False
    # Every face has a region of its own, and the one that was picked waits for its turn.
    assert sent("three", all_faces=True) == ("pingpong", 2.5, "auto", True)
    assert chosen.region == "-3,1,20,20"


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
    # What there is plays, and the rest can be made.
    (frame,) = bpy.context.scene.objects
    assert 0 < canvas_node(frame).image_user.frame_duration <= only_job().frames
    assert bpy.ops.vangogh.resume(job=only_job().name) == {"FINISHED"}
    assert only_job().phase == "done"
    assert canvas_node(frame).image_user.frame_duration == FRAMES
    assert len(bpy.context.scene.objects) == 1


def test_the_picture_grows_while_its_frames_arrive(addon, settings, monkeypatch):
    settings("slow:40")
    monkeypatch.setattr(addon.session, "GROW_SECONDS", 0.0)
    start()
    tick_until(addon, lambda: len(sequences()) == 1)
    node = canvas_node(bpy.context.scene.objects[0])
    played = []
    while not all(job.over for job in addon.session.current().state.jobs):
        addon.session.tick()
        played.append(node.image_user.frame_duration)
        time.sleep(0.01)
    assert len(set(played)) > 3
    assert played == sorted(played)
    finish(addon)
    assert node.image_user.frame_duration == 40
    assert len(bpy.context.scene.objects) == 1


def test_a_length_that_the_user_has_set_does_not_grow(addon, settings):
    settings("slow")
    start()
    tick_until(addon, lambda: len(sequences()) == 1)
    node = canvas_node(bpy.context.scene.objects[0])
    node.image_user.frame_duration = 100
    finish(addon)
    assert node.image_user.frame_duration == 100


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


# Refused at once


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
    assert "It is not set up yet. Press Set Up" in refused()
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


def test_a_gallery_from_files_moves_as_the_videos_do(addon, settings, tmp_path):
    settings()
    folder = tmp_path / "chosen"
    folder.mkdir()
    for name in ("One.png", "Two.png"):
        painting(folder / name)
    (folder / "a laugh.mp4").write_bytes(b"the fake worker does not look")
    names = ("Two.png", "a laugh.mp4", "One.png")
    bpy.ops.vangogh.gallery_from_files(directory=str(folder), files=[{"name": name} for name in names])
    frames = [
        thing for thing in bpy.data.collections["Gallery"].objects if thing.modifiers.get("Picture Frame")
    ]
    assert [frame.name for frame in frames] == ["One Frame", "Two Frame"]
    for frame in frames:
        assert canvas_node(frame).image_user.frame_duration == FRAMES
    assert [job.phase for job in bpy.context.scene.vangogh.jobs] == ["done", "done"]


def test_a_gallery_stays_where_its_pictures_cannot_move(addon, settings, tmp_path):
    settings("no-torch")
    painting(tmp_path / "One.png")
    (tmp_path / "a laugh.mp4").write_bytes(b"")
    files = [{"name": "One.png"}, {"name": "a laugh.mp4"}]
    with pytest.raises(RuntimeError, match="no torch"):
        bpy.ops.vangogh.gallery_from_files(directory=str(tmp_path), files=files)
    assert "One Frame" in bpy.data.collections["Gallery"].objects


def place_of_new_picture():
    before = set(bpy.context.scene.objects)
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    (picture,) = set(bpy.context.scene.objects) - before
    bpy.context.view_layer.update()
    return picture.location.to_tuple(4)


def test_a_picture_hangs_where_the_cursor_is(addon, settings):
    settings()
    bpy.context.scene.cursor.location = (1, 2, 3)
    assert place_of_new_picture() == (1, 2, 3)


def test_a_picture_is_not_hidden_in_the_first_scenes_cube(addon, settings):
    settings()
    bpy.ops.mesh.primitive_cube_add(size=2)
    x, y, z = place_of_new_picture()
    assert 1.3 < x < 2.5
    assert (y, z) == (0, 0)
    assert place_of_new_picture()[0] > x + 0.5, "the next one hangs beside it"


def test_a_picture_hangs_within_a_room(addon, settings):
    settings()
    bpy.ops.mesh.primitive_cube_add(size=6)
    assert place_of_new_picture() == (0, 0, 0)


def test_a_picture_is_looked_at_in_a_window_only(addon, settings):
    settings()
    place_of_new_picture()
    with pytest.raises(RuntimeError, match="needs a 3D view"):
        bpy.ops.vangogh.view_picture(job=bpy.context.scene.vangogh.jobs[0].name)
