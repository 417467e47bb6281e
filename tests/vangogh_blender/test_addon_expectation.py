"""The worker prepares what the user has chosen before they press Animate, and only what they have chosen."""

import json
import time
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

from tests.vangogh_blender.in_bpy import module, painting, start, tick_until  # noqa: E402


@pytest.fixture
def window(addon, monkeypatch):
    """As if somebody sat before it: without a window nobody chooses."""
    monkeypatch.setattr(module(addon, "expectation"), "_is_wanted", lambda: True)


def prepared(chosen):
    """The jobs that the worker was told to prepare for the chosen video."""
    told = Path(chosen.driving_video + ".prepared")
    return [json.loads(line) for line in told.read_text().splitlines()] if told.is_file() else []


def tick_for(addon, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        addon.session.tick()
        time.sleep(0.02)


def test_a_chosen_video_is_prepared_once(addon, settings, window):
    addon.session.tick()
    chosen = settings()
    chosen.start = 1.5
    tick_until(addon, lambda: prepared(chosen))
    tick_for(addon, 1.5)
    (job,) = prepared(chosen)
    assert job["video"] == chosen.driving_video
    assert job["painting"] == bpy.path.abspath(chosen.painting.filepath)
    assert (job["start"], job["output"]) == (1.5, "")
    assert not addon.session.current().state.jobs
    chosen.end = 3.0
    tick_until(addon, lambda: len(prepared(chosen)) == 2)
    start()
    tick_until(addon, lambda: all(job.over for job in addon.session.current().state.jobs))
    assert [job.phase for job in bpy.context.scene.vangogh.jobs] == ["done"]
    assert len(prepared(chosen)) == 2


def test_what_was_chosen_before_set_up_is_prepared_after_it(addon, settings, monkeypatch):
    ready = False
    monkeypatch.setattr(module(addon, "expectation"), "_is_wanted", lambda: ready)
    addon.session.tick()
    chosen = settings()
    tick_for(addon, 1.5)
    assert prepared(chosen) == []
    assert addon.session.current().client is None
    ready = True
    tick_until(addon, lambda: prepared(chosen))
    tick_for(addon, 1.5)
    assert len(prepared(chosen)) == 1


def test_a_painting_without_a_file_of_its_own_is_left_for_the_job(addon, settings, window, tmp_path):
    addon.session.tick()
    chosen = settings()
    chosen.painting = painting(tmp_path / "no.png", save=False)
    tick_until(addon, lambda: prepared(chosen))
    assert prepared(chosen)[0]["painting"] == ""


def test_what_a_file_comes_with_is_not_prepared(addon, settings, window, tmp_path):
    chosen = settings()
    video = chosen.driving_video
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    tick_for(addon, 1.5)
    assert bpy.context.scene.vangogh.driving_video == video
    assert prepared(bpy.context.scene.vangogh) == []
    assert addon.session.current().client is None


def test_without_a_video_there_is_nothing_to_prepare(addon, settings, window):
    addon.session.tick()
    chosen = settings()
    chosen.driving_video = "nowhere.mp4"
    tick_for(addon, 1.5)
    assert addon.session.current().client is None


@pytest.mark.parametrize("wanted", [True, False])
def test_the_preference_decides_and_without_a_window_nothing_is_prepared(
    addon, settings, monkeypatch, wanted
):
    """`bpy` has no window: a stand-in says that there is one."""
    expectation = module(addon, "expectation")
    chosen = settings()
    assert expectation.prepared(bpy.context.scene) is None, "in background mode"
    app = type("App", (), {"background": False})
    monkeypatch.setattr(expectation, "bpy", type("Bpy", (), {"app": app, "types": bpy.types}))
    bpy.context.preferences.addons[addon.name].preferences.prepare = wanted
    try:
        found = expectation.prepared(bpy.context.scene)
        assert (found.video if found else None) == (chosen.driving_video if wanted else None)
    finally:
        bpy.context.preferences.addons[addon.name].preferences.property_unset("prepare")
