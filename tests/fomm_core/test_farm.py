"""The core's tasks of a farm job: done once, resumed anywhere, spread over devices, refused in one sentence."""

import dataclasses
import json
import signal
import subprocess
import time

import pytest
from PIL import Image

from fomm_core import bundle as layout
from fomm_core import cli, farm, pool, protocol
from fomm_core.bundle import Animation, Clip, Manifest, Scene
from fomm_core.errors import UserError
from fomm_core.files import sha256
from tests.fomm_core.job_output import snapshot

PAINTINGS, FRAMES = 3, 5


@pytest.fixture
def manifest(tmp_path, clip, model_file, picture):
    """A bundle's content: three paintings that one clip drives. Its files are in `tmp_path / "bundle"`."""
    folder = tmp_path / "bundle"
    for name in ("paintings", "clips", "models", "scene"):
        (folder / name).mkdir(parents=True)
    (folder / "models" / "tiny.safetensors").write_bytes(model_file.read_bytes())
    (folder / "scene" / "scene.blend").write_bytes(b"not looked at here")
    clip(FRAMES).replace(folder / "clips" / "nod.mp4")
    animations = []
    for number in range(PAINTINGS):
        path = f"paintings/lady_{number}.png"
        Image.fromarray(picture(60, 45, number / 10)).save(folder / path)
        job = protocol.Job(
            path, "clips/nod.mp4", "", model="models/tiny.safetensors", region="full", driving_region="full"
        )
        animations.append(Animation(f"lady_{number}-nod", job, "nod"))
    files = {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": sha256(path)}
        for path in folder.rglob("*")
        if path.is_file()
    }
    clips = (Clip("nod", "clips/nod.mp4", "models/tiny.safetensors", driving_region="full"),)
    return Manifest("0.1.0", clips, tuple(animations), Scene("scene/scene.blend", "Scene", 1, 4, 24.0), files)


@pytest.fixture
def write(tmp_path):
    """`write(manifest)`: the bundle's folder, with that for its manifest."""

    def make(manifest):
        (tmp_path / "bundle" / layout.MANIFEST).write_text(manifest.json(), encoding="utf-8")
        return tmp_path / "bundle"

    return make


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def task(output, capsys):
    """`task(bundle, action, …)`: a task's exit status, and what it said to the farm."""

    def run(bundle, action, *more):
        arguments = ["farm", action, str(bundle), "--output", str(output), "--progress", "openjd", *more]
        if action == "track":
            arguments += ["--device", "cpu,cuda:0"]  # as a farm's one parameter for both steps may say
        elif action == "animate":
            arguments += ["--device", "cpu"]
        status = cli.main(arguments)
        return status, capsys.readouterr().out.splitlines()

    return run


def names(output):
    return sorted(path.name for path in (output / "animations").iterdir())


def test_tracks_then_animates_each_once(manifest, write, task, output):
    bundle = write(manifest)
    status, said = task(bundle, "track")
    assert status == 0
    assert said[0] == "openjd_status: Reading the motion"
    assert said[-1] == "openjd_progress: 100"
    status, said = task(bundle, "animate", "--tasks", "1-3")
    assert status == 0
    assert names(output) == ["lady_0-nod", "lady_1-nod", "lady_2-nod"]
    assert [line for line in said if "frames of" in line] == [
        f"openjd_status: lady_{n}-nod: {FRAMES} frames of 60 x 45" for n in range(PAINTINGS)
    ]
    percents = [int(line.split()[1]) for line in said if line.startswith("openjd_progress")]
    assert percents == sorted(percents)


def test_what_is_done_is_not_done_again(manifest, write, task, output):
    bundle = write(manifest)
    task(bundle, "track")
    task(bundle, "animate", "--tasks", "1-2")
    before = snapshot(output)
    stamps = {path: path.stat().st_mtime_ns for path in output.rglob("*.png")}
    status, said = task(bundle, "animate", "--tasks", "1-3")
    assert status == 0
    assert [line for line in said if "frames of" in line] == [
        "openjd_status: lady_2-nod: 5 frames of 60 x 45"
    ]
    after = snapshot(output)
    assert {path: after[path] for path in before} == before
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())


def test_another_setting_is_not_done(manifest, write, task, output):
    bundle = write(manifest)
    task(bundle, "track")
    task(bundle, "animate")
    first = layout.Bundle(bundle)
    stronger = dataclasses.replace(manifest.animations[0].job, strength=0.5)
    changed = dataclasses.replace(
        manifest, animations=(dataclasses.replace(manifest.animations[0], job=stronger),)
    )
    assert farm.is_done(first, first.animation(1), output)
    second = layout.Bundle(write(changed))
    assert not farm.is_done(second, second.animation(1), output)


def test_terminated_it_leaves_whole_frames_and_goes_on_there(
    manifest, write, task, output, environment, command, written_frames, soon
):
    bundle = write(manifest)
    task(bundle, "track")
    arguments = [*command, "farm", "animate", str(bundle), "--output", str(output), "--device", "cpu"]
    arguments += ["--tasks", "1-3", "--progress", "openjd"]
    process = subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("openjd_progress"):
            break
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode in (0, 130), said  # it may have been as good as done
    kept = {path: path.stat().st_mtime_ns for path in output.glob("animations/*/frames/[0-9]*.png")}
    assert task(bundle, "animate", "--tasks", "1-3")[0] == 0
    for name in names(output):
        assert len(written_frames(output / "animations" / name)) == FRAMES
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in kept.items())


def test_encodes_the_rendered_frames(manifest, write, task, output, picture):
    bundle = write(manifest)
    (output / "render").mkdir(parents=True)
    for frame in range(1, 5):
        Image.fromarray(picture(64, 36, frame / 9)).save(output / "render" / f"{frame:04d}.png")
    status, _ = task(bundle, "encode")
    assert status == 0
    assert (output / "scene.mp4").stat().st_size > 0
    (output / "render" / "0003.png").unlink()
    status, said = task(bundle, "encode")
    assert status == 1
    assert said[-1].startswith("openjd_fail: 1 of 4 pictures are not rendered")


def test_one_bad_painting_does_not_keep_the_others_from_it(manifest, write, task, output):
    bundle = write(manifest)
    (bundle / "paintings" / "lady_1.png").write_bytes(b"no picture")
    task(bundle, "track")
    status, said = task(bundle, "animate", "--tasks", "1-3")
    assert status == 1
    assert said[-1].startswith(
        "openjd_fail: lady_1-nod: paintings/lady_1.png is not the file that was exported."
    )
    assert names(output) == ["lady_0-nod", "lady_2-nod"]


class Changes:
    """What can be wrong with a bundle: each makes it so, of a manifest in its folder, and returns the manifest."""

    def missing_clip(manifest, folder):
        (folder / "clips" / "nod.mp4").unlink()
        return manifest

    def missing_model(manifest, folder):
        (folder / "models" / "tiny.safetensors").unlink()
        return manifest

    def model_elsewhere(manifest, folder):
        clip = dataclasses.replace(manifest.clips[0], model="models/vox.safetensors")
        return dataclasses.replace(manifest, clips=(clip,))

    def path_out(manifest, folder):
        clip = dataclasses.replace(manifest.clips[0], video="../nod.mp4")
        return dataclasses.replace(manifest, clips=(clip,))

    def link_out(manifest, folder):
        (folder / "clips" / "nod.mp4").replace(folder.parent / "nod.mp4")
        (folder / "clips" / "nod.mp4").symlink_to(folder.parent / "nod.mp4")
        return manifest

    def same_name(manifest, folder):
        twice = dataclasses.replace(manifest.animations[1], name="LADY_0-nod")
        return dataclasses.replace(manifest, animations=(manifest.animations[0], twice))

    def name_out(manifest, folder):
        clip = dataclasses.replace(manifest.clips[0], name="../../nod")
        animations = [dataclasses.replace(a, clip="../../nod") for a in manifest.animations]
        return dataclasses.replace(manifest, clips=(clip,), animations=tuple(animations))

    def no_such_clip(manifest, folder):
        return dataclasses.replace(manifest, clips=())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("missing_clip", "clips/nod.mp4 is missing from the bundle"),
        ("missing_model", "models/tiny.safetensors is missing from the bundle"),
        ("model_elsewhere", "The bundle does not hold models/vox.safetensors."),
        ("path_out", "The path ../nod.mp4 leads out of the bundle."),
        ("link_out", "The path clips/nod.mp4 leads out of the bundle."),
        ("same_name", "Two of the animations are named LADY_0-nod."),
        ("name_out", "'../../nod' is no name for clips."),
        ("no_such_clip", "The bundle has no clip nod, which drives lady_0-nod."),
    ],
)
def test_a_bad_bundle_is_refused_in_a_sentence(change, sentence, manifest, write, task, output, tmp_path):
    bundle = write(getattr(Changes, change)(manifest, tmp_path / "bundle"))
    status, said = task(bundle, "track")
    assert status in (1, 2)
    assert said[-1].startswith(f"openjd_fail: {sentence}")
    assert not list(output.rglob("*.npz"))
    assert not list(tmp_path.glob("*.npz"))


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"format": 1}', '{"format": 99}', '{"format": 1, "clips": [{"x": 1}]}']
)
def test_a_damaged_manifest_is_refused(text, manifest, write, task):
    bundle = write(manifest)
    (bundle / layout.MANIFEST).write_text(text)
    status, said = task(bundle, "track")
    assert status == 2
    assert said[-1].startswith("openjd_fail: The bundle")


def test_numbers_that_are_not_there_are_refused(manifest, write, task, output):
    bundle = write(manifest)
    for action, more, sentence in (
        ("track", ("--tasks", "2"), "There is no clip 2: the bundle has 1."),
        ("animate", ("--tasks", "2-4"), "There is no animation 4: the bundle has 3."),
        ("animate", ("--tasks", "a"), "'a' names no animations."),
        ("encode", ("--frames", "1-9"), "There is no frame 5: the scene has 1 to 4."),
    ):
        status, said = task(bundle, action, *more)
        assert status == 2
        assert said[-1].startswith(f"openjd_fail: {sentence}")
    assert not output.exists()


def test_animating_waits_for_the_track(manifest, write, task, output):
    status, said = task(write(manifest), "animate")
    assert status == 1
    assert said[-1].startswith("openjd_fail: lady_0-nod: The clip nod is not tracked yet")


def test_results_of_two_bundles_do_not_mix(manifest, write, task, output):
    task(write(manifest), "track")
    other = dataclasses.replace(manifest, version="9")
    status, said = task(write(other), "track")
    assert status == 1
    assert said[-1].startswith(f"openjd_fail: {output} holds the results of another bundle.")


def test_models_may_lie_elsewhere_but_are_the_same(manifest, write, task, tmp_path):
    bundle = write(manifest)
    (bundle / "models").replace(tmp_path / "shared models")
    assert task(bundle, "track", "--models", str(tmp_path / "shared models"))[0] == 0
    (tmp_path / "shared models" / "tiny.safetensors").write_bytes(b"another")
    status, said = task(bundle, "animate", "--models", str(tmp_path / "shared models"))
    assert status == 1
    assert "models/tiny.safetensors is not the file that was exported" in said[-1]


def test_check_looks_at_every_file(manifest, write, capsys):
    bundle = write(manifest)
    assert cli.main(["farm", "check", str(bundle)]) == 0
    assert capsys.readouterr().out == f"{len(manifest.files)} files, as they were exported.\n"
    (bundle / "scene" / "scene.blend").write_bytes(b"changed")
    assert cli.main(["farm", "check", str(bundle)]) == 1
    assert capsys.readouterr().err.startswith("scene/scene.blend is not the file that was exported.")


def test_several_devices_make_the_same_by_a_process_each(
    manifest, write, task, output, tmp_path, capsys, monkeypatch
):
    bundle = write(manifest)
    task(bundle, "track")
    task(bundle, "animate", "--tasks", "1-3")
    begin, began = pool._Worker.begin, []

    def noted(worker, job):
        began.append(worker._process.pid)
        begin(worker, job)

    monkeypatch.setattr(pool._Worker, "begin", noted)
    both = tmp_path / "both"
    arguments = ["farm", "run", str(bundle), "--output", str(both), "--device", "cpu,cpu"]
    assert cli.main(arguments) == 0
    assert len(began) == PAINTINGS
    assert len(set(began)) == 2
    assert names(both) == names(output)
    for path in output.glob("animations/*/frames/*"):
        assert (both / path.relative_to(output)).read_bytes() == path.read_bytes()
    assert "Animated" in capsys.readouterr().out


def test_a_device_that_is_not_there_is_told(manifest, write, output, capsys, monkeypatch):
    """Before anything begins: the others could be done with it all first."""
    monkeypatch.setattr(pool, "run", lambda *_: pytest.fail("begun"))
    bundle = write(manifest)
    arguments = ["farm", "run", str(bundle), "--output", str(output), "--device", "cpu,cuda:7"]
    assert cli.main(arguments) == 1
    words = capsys.readouterr().err
    assert "cuda:7" in words
    assert "Traceback" not in words


def test_a_task_given_to_two_machines_is_done_by_one(manifest, write, task, output, environment, command):
    bundle = write(manifest)
    task(bundle, "track")
    arguments = [*command, "farm", "animate", str(bundle), "--output", str(output), "--device", "cpu"]
    arguments += ["--tasks", "1-3", "--progress", "openjd"]
    both = [subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    for number in range(PAINTINGS):
        assert sum(words.count(f"lady_{number}-nod: {FRAMES} frames of") for words in said) == 1


def test_one_of_several_processes_dies(manifest, write, task, output, monkeypatch):
    """What it had under way is not lost, and nobody waits for it for ever."""
    bundle = write(manifest)
    task(bundle, "track")
    begin = pool._Worker.begin

    def kill(worker, job):
        begin(worker, job)
        worker._process.kill()

    monkeypatch.setattr(pool._Worker, "begin", kill)
    began = time.monotonic()
    arguments = [
        "farm",
        "animate",
        str(bundle),
        "--output",
        str(output),
        "--device",
        "cpu,cpu",
        "--tasks",
        "1-3",
    ]
    assert cli.main(arguments) == 1
    assert time.monotonic() - began < 60
    monkeypatch.undo()
    assert task(bundle, "animate", "--tasks", "1-3")[0] == 0


def test_ranges_as_open_job_description_writes_them():
    assert layout.numbers("1-4,7,9-14:2", "frames") == [1, 2, 3, 4, 7, 9, 11, 13]
    assert layout.numbers("-2 - 1", "frames") == [-2, -1, 0, 1]
    for wrong in ("", "a", "1-", "1-5:0", "5-1"):
        with pytest.raises(UserError):
            layout.numbers(wrong, "frames")


def test_the_manifest_is_read_as_it_was_written(manifest, write):
    read = layout.Bundle(write(manifest)).manifest
    assert json.loads(read.json()) == json.loads(manifest.json())
