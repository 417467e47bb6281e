"""`blender --command vangogh …` but for the farm, which has its own tests."""

import json
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

from tests.vangogh_blender.in_bpy import FRAMES, module, worker_python  # noqa: E402


@pytest.fixture
def command(addon):
    return module(addon, "command").main


@pytest.fixture
def arguments(settings, tmp_path):
    """A painting, a video and a fake worker, as the command line names them."""
    chosen = settings()
    painting, video = chosen.painting.filepath, chosen.driving_video
    return ["--painting", painting, "--video", video, "--output", str(tmp_path / "frames of it")]


def test_animate_and_keep_the_scene(command, arguments, tmp_path, capsys):
    kept = tmp_path / "kept.blend"
    assert (
        command(
            ["animate", *arguments, "--set", "strength=0.5", "--set", "all_faces=yes", "--save", str(kept)]
        )
        == 0
    )
    assert f"{FRAMES} frames" in capsys.readouterr().out
    job = json.loads((tmp_path / "frames of it" / "job.json").read_text())
    assert (job["strength"], job["all_faces"]) == (0.5, True)
    bpy.ops.wm.open_mainfile(filepath=str(kept))
    assert len(bpy.context.scene.objects) == 1
    assert Path(bpy.context.scene.vangogh.jobs[0].output) == tmp_path / "frames of it"


def test_animate_in_a_scene_that_is_there(command, arguments, tmp_path):
    scene = tmp_path / "there.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(scene))
    assert command(["animate", str(scene), *arguments]) == 0
    assert bpy.data.filepath == str(scene)


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--set", "strenght=1"], 2, "Did you mean strength?"),
        (["--set", "strength=much"], 2, "strength is a number, not 'much'"),
        (["--set", "all_faces=perhaps"], 2, "true or false"),
        (["--video", "/nowhere.mp4"], 1, "There is no driving video at /nowhere.mp4"),
        (["--save", "/nowhere/at/all.blend"], 1, "cannot be saved"),
    ],
)
def test_what_is_wrong_is_one_sentence(options, status, words, command, arguments, capsys):
    assert command(["animate", *arguments, *options]) == status
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said


def test_doctor(command, addon, settings, capsys):
    settings()
    bpy.context.preferences.addons[addon.name].preferences.python = worker_python()
    assert command(["doctor"]) == 0
    page = capsys.readouterr().out
    assert f"Blender {bpy.app.version_string}" in page
    assert "torch 2." in page
    assert "starter, bundled, 5.9 MB" in page
    assert "free" in page


def test_doctor_without_a_python_says_what_to_do(command, addon, settings, monkeypatch, capsys):
    settings()
    monkeypatch.delenv("VANGOGH_PYTHON", raising=False)
    bpy.context.preferences.addons[addon.name].preferences.python = ""
    assert command(["doctor"]) == 0
    assert "Press Set Up" in capsys.readouterr().out
