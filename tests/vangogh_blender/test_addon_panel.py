"""What the sidebar and the status bar say of what is chosen and of what is under way."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

bpy = pytest.importorskip("bpy")

from tests.vangogh_blender.fake_layout import FakeLayout, drawn  # noqa: E402
from tests.vangogh_blender.in_bpy import (  # noqa: E402
    FRAMES,
    finish,
    module,
    only_job,
    refused,
    start,
    tick_until,
    worker_python,
)

DRIVING = Path(__file__).resolve().parents[2] / "examples" / "driving.mp4"


def jobs_panel(addon):
    """What the list of jobs shows."""
    return drawn(module(addon, "panels").VANGOGH_PT_jobs.draw)


def status_bar(addon):
    """What we add to Blender's status bar."""
    layout = FakeLayout()
    module(addon, "status_bar").draw(SimpleNamespace(layout=layout), bpy.context)
    return layout


@pytest.fixture
def look(addon, settings, upkeep):
    """`look(video)`: what the panel shows of it, by a Python that can look."""

    def make(video):
        chosen = settings()
        bpy.context.preferences.addons[addon.name].preferences.python = worker_python()
        chosen.driving_video = str(video)
        draw = module(addon, "panels").VANGOGH_PT_animate.draw
        drawn(draw)
        tick_until(addon, lambda: not upkeep.current().answers.pending)
        return drawn(draw)

    return make


def test_the_chosen_video_is_seen_before_anything_is_animated(addon, look):
    shown = look(DRIVING)
    assert "4.0 s, 25 fps" in shown.labels
    assert "320 × 320" in shown.labels
    assert "vangogh.animate" not in shown.disabled
    seen = module(addon, "first_look").seen(str(DRIVING))
    assert Path(seen.picture).is_file()


def test_a_video_that_cannot_be_read_is_said_before_anything_is_animated(look, tmp_path):
    (tmp_path / "text.mp4").write_text("hello")
    shown = look(tmp_path / "text.mp4")
    assert "holds nothing that can be played" in shown.text
    assert "vangogh.animate" in shown.disabled


def test_a_python_that_cannot_look_holds_nothing_up(addon, settings, upkeep):
    settings("ok")
    draw = module(addon, "panels").VANGOGH_PT_animate.draw
    drawn(draw)
    tick_until(addon, lambda: not upkeep.current().answers.pending)
    assert "vangogh.animate" not in drawn(draw).disabled


def test_waiting_jobs_change_places(addon, settings):
    settings("slow")
    for _ in range(3):
        start()
    names = [job.name for job in bpy.context.scene.vangogh.jobs]
    assert bpy.ops.vangogh.move_job(job=names[2], places=-1) == {"FINISHED"}
    assert [job.name for job in bpy.context.scene.vangogh.jobs] == [names[0], names[2], names[1]]
    assert bpy.ops.vangogh.move_job(job=names[0]) == {"CANCELLED"}, "it is under way"
    assert "vangogh.move_job" in jobs_panel(addon).buttons
    finish(addon)
    assert [job.phase for job in bpy.context.scene.vangogh.jobs] == ["done"] * 3
    assert "vangogh.move_job" not in jobs_panel(addon).buttons


def test_the_status_bar_says_how_far_it_is(addon, settings):
    assert status_bar(addon).labels == []
    settings("slow:100")
    start()
    start()
    tick_until(addon, lambda: bpy.context.scene.vangogh.jobs[0].stage == "frames")
    shown = status_bar(addon)
    ((factor, text),) = shown.bars
    assert 0 < factor < 1
    assert text.startswith("Painting frames: ")
    assert shown.labels[-1] == "+1"
    for job in list(bpy.context.scene.vangogh.jobs):
        bpy.ops.vangogh.cancel(job=job.name)
    finish(addon)
    assert status_bar(addon).labels == []


def test_what_went_wrong_can_be_copied(addon, settings, monkeypatch):
    chosen = settings("full")
    refused()
    assert "vangogh.copy_job_details" in jobs_panel(addon).buttons
    assert bpy.ops.vangogh.copy_job_details(job=only_job().name) == {"FINISHED"}
    details = module(addon, "job_words").details(only_job())
    assert "The disk is full." in details
    assert f"Blender {bpy.app.version_string}" in details
    assert json.dumps(chosen.painting.filepath, ensure_ascii=False) in details
    with pytest.raises(RuntimeError, match="no job"):
        bpy.ops.vangogh.copy_job_details(job="nobody")


def test_a_preset_is_kept_and_taken_up(addon, settings):
    chosen = settings()
    chosen.strength, chosen.loop, chosen.start = 0.25, "pingpong", 1.5
    assert bpy.ops.vangogh.preset_add(name="My Way") == {"FINISHED"}
    chosen.strength, chosen.loop, chosen.start = 1.0, "none", 0.5
    folder = Path(bpy.utils.user_resource("SCRIPTS", path="presets/vangogh/motion"))
    take_up(folder / "My_Way.py")
    assert (chosen.strength, chosen.loop, chosen.start) == (0.25, "pingpong", 0.5)
    assert bpy.ops.vangogh.preset_add(name="My Way", remove_name=True) == {"FINISHED"}
    assert not list(folder.glob("*.py"))


def test_our_own_presets_set_what_a_preset_holds(addon, settings):
    chosen = settings()
    presets = module(addon, "motion_presets")
    ours = sorted((Path(presets.__file__).parent / "presets" / presets.FOLDER).glob("*.py"))
    assert len(ours) >= 3
    for preset in ours:
        text = preset.read_text()
        assert [f"settings.{name} = " in text for name in presets.VALUES] == [True] * len(presets.VALUES)
        take_up(preset)
    assert chosen.loop == "seamless"
    if hasattr(bpy.utils, "register_preset_path"):  # from 4.3 on
        found = {Path(folder) for folder in bpy.utils.preset_paths(presets.FOLDER)}
        assert ours[0].parent in found


def take_up(preset):
    bpy.ops.script.execute_preset(filepath=str(preset), menu_idname="VANGOGH_PT_presets")


@pytest.mark.skipif(sys.platform == "win32", reason="the fake worker is a shell script")
def test_the_pictures_frames_are_said(addon, settings):
    settings()
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    assert f"{FRAMES} frames" in jobs_panel(addon).labels
