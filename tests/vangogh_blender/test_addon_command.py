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


@pytest.fixture
def gallery(settings, tmp_path):
    """Two paintings and a video, a fake worker, and where to save."""
    chosen = settings()
    other = tmp_path / "Lady in Red.png"
    other.write_bytes(Path(chosen.painting.filepath).read_bytes())
    return ["gallery", chosen.painting.filepath, str(other), chosen.driving_video], tmp_path / "room.blend"


def test_a_gallery_of_files(command, gallery, capsys):
    arguments, kept = gallery
    settings = ("style=SHADOW_GAP", "wall_color=0.2,0.3,0.4", "strength=0.5", "standard=yes", "frames=90")
    options = [word for setting in settings for word in ("--set", setting)]
    assert command([*arguments, *options, "--save", str(kept)]) == 0
    assert capsys.readouterr().out.count(f"{FRAMES} frames: ") == 2
    bpy.ops.wm.open_mainfile(filepath=str(kept))
    scene = bpy.context.scene
    jobs = scene.vangogh.jobs
    assert [job.phase for job in jobs] == ["done", "done"]
    assert {Path(job.output).parent for job in jobs} == {kept.parent / "vangogh"}
    assert json.loads((Path(jobs[0].output) / "job.json").read_text())["strength"] == 0.5
    captions = [thing.data.body for thing in bpy.data.collections["Gallery"].objects if thing.type == "FONT"]
    assert "Lady in Red" in captions
    assert (scene.frame_end, scene.view_settings.view_transform) == (90, "Standard")
    moving = [image for image in bpy.data.images if image.source == "SEQUENCE"]
    assert len(moving) == 2


def test_a_gallery_of_what_a_scene_shows(command, gallery, tmp_path):
    (_, *files, _), kept = gallery
    for file in files:
        image = bpy.data.images.load(file, check_existing=True)
        bpy.ops.vangogh.add_picture_frame(image=image.name)
    scene = tmp_path / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(scene))
    assert command(["gallery", "--scene", str(scene), "--save", str(kept)]) == 0
    bpy.ops.wm.open_mainfile(filepath=str(kept))
    lights = [thing for thing in bpy.data.collections["Gallery"].objects if thing.type == "LIGHT"]
    assert len([light for light in lights if light.data.type == "SPOT"]) == 2


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--set", "stile=GILDED"], 2, "Did you mean style?"),
        (["--set", "style=GOLD"], 2, "style is one of GILDED, "),
        (["--set", "wall_color=red"], 2, "three numbers with commas between them, not 'red'"),
        (["--set", "wall_color=1,2"], 2, "three numbers"),
        (["/nowhere.png"], 1, "Blender cannot read /nowhere.png"),
        (["--scene", "/nowhere.blend"], 2, "There is no scene at /nowhere.blend"),
    ],
)
def test_a_gallery_that_cannot_be_built_leaves_nothing(options, status, words, command, gallery, capsys):
    arguments, kept = gallery
    assert command([*arguments, *options, "--save", str(kept)]) == status
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said
    assert not kept.exists()


def test_a_scene_that_was_there_stays_where_no_gallery_can_be_built(command, gallery, tmp_path):
    arguments, kept = gallery
    bpy.ops.wm.save_as_mainfile(filepath=str(kept))
    before, beside = kept.read_bytes(), set(tmp_path.iterdir())
    assert command([*arguments, "/nowhere.png", "--save", str(kept)]) == 1
    assert kept.read_bytes() == before
    assert {path for path in set(tmp_path.iterdir()) - beside if path.suffix != ".blend1"} == set()


def test_a_gallery_without_paintings_says_so(command, gallery, capsys):
    _, kept = gallery
    assert command(["gallery", "--save", str(kept)]) == 1
    assert "There is no painting to hang" in capsys.readouterr().err
    assert not kept.exists()


def test_a_gallery_whose_job_fails_is_kept_and_can_go_on(command, gallery, capsys, settings):
    arguments, kept = gallery
    settings("full")
    assert command([*arguments, "--save", str(kept)]) == 1
    assert "disk" in capsys.readouterr().err
    bpy.ops.wm.open_mainfile(filepath=str(kept))
    assert "Gallery" in bpy.data.collections
    assert [job.phase for job in bpy.context.scene.vangogh.jobs] == ["failed"]


def test_doctor(command, addon, settings, capsys):
    settings()
    bpy.context.preferences.addons[addon.name].preferences.python = worker_python()
    assert command(["doctor"]) == 0
    page = capsys.readouterr().out
    assert f"Blender {bpy.app.version_string}" in page
    assert "torch 2." in page
    assert "starter, bundled, 14 MB" in page
    assert "free" in page


def test_doctor_without_a_python_says_what_to_do(command, addon, settings, monkeypatch, capsys):
    settings()
    monkeypatch.delenv("VANGOGH_PYTHON", raising=False)
    bpy.context.preferences.addons[addon.name].preferences.python = ""
    assert command(["doctor"]) == 0
    assert "Press Set Up" in capsys.readouterr().out
