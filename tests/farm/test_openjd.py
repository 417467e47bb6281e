"""The farm job as farms see it: checked, summed up and run by openjd-cli, by one process and by several at once."""

import json
import random
import subprocess
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.farm.conftest import CLIP_FRAMES, FRAMES, PAINTINGS
from tests.farm.running import OPENJD, chunks, command, copy, ended, kill, results, stamps, start

CLIPS = 2
QUARTERS = ("1-3", "4-6", "7-9", "10-12")  # of the animations, and of the frames


@pytest.fixture(scope="module")
def single(elsewhere, blender, tmp_path_factory):
    """All steps in one run, on a copy of the bundle: its output folder, and what was said."""
    bundle, folder = elsewhere
    output = folder / "the single run"
    arguments = command(bundle, output, blender, AnimationsPerTask=6, FramesPerTask=FRAMES)
    status, said = ended(start(arguments, folder / "cwd"))
    assert status == 0, said[-4000:]
    return SimpleNamespace(output=output, said=said)


def test_a_farm_takes_it_as_it_is(exported):
    template = exported / "bundle" / "template.json"
    checked = subprocess.run([OPENJD, "check", template], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    assert "passes validation" in checked.stdout
    summed = subprocess.run([OPENJD, "summary", template, "--output", "json"], capture_output=True, text=True)
    steps = {step["name"]: step["total_tasks"] for step in json.loads(summed.stdout)["steps"]}
    assert steps == {"Track": CLIPS, "Animate": PAINTINGS * CLIPS, "Render": FRAMES, "Encode": 1}


def test_one_run_makes_all_of_it(single):
    animations = sorted((single.output / "animations").iterdir())
    assert len(animations) == PAINTINGS * CLIPS
    for folder in animations:
        assert len(list((folder / "frames").iterdir())) == CLIP_FRAMES
    assert sorted(p.name for p in (single.output / "tracks").iterdir()) == ["laugh.npz", "nod.npz"]
    assert sorted(p.name for p in (single.output / "render").iterdir()) == [
        f"{frame:04d}.png" for frame in range(1, FRAMES + 1)
    ]
    assert (single.output / "scene.mp4").stat().st_size > 0


def test_each_clip_is_tracked_once_and_each_painting_animated_once(single):
    assert single.said.count("openjd_status: Reading the motion") == CLIPS
    for number in range(PAINTINGS):
        for clip in ("nod", "laugh"):
            assert single.said.count(f"openjd_status: lady_{number}-{clip}: {CLIP_FRAMES} frames") == 1


def test_the_gallery_shows_what_was_animated(single):
    """And not Blender's magenta, nor the paintings as they hung there before."""
    pictures = [Image.open(path).convert("RGB") for path in sorted((single.output / "render").iterdir())]
    for picture in pictures:
        red, green, blue = np.moveaxis(np.asarray(picture), -1, 0)
        assert not ((red > 200) & (green < 60) & (blue > 200)).any()


def test_four_machines_at_once_make_the_same_and_one_may_die(elsewhere, single, blender):
    bundle, folder = elsewhere
    output = folder / "the farm"
    copies = [copy(bundle, folder / f"machine {n}" / "bundle") for n in range(4)]

    def at_once(step, name, ranges, kill_one=False):
        running = [
            start(command(b, output, blender, *chunks(step, name, r)), folder / f"machine {n}" / "cwd")
            for n, (b, r) in enumerate(zip(copies, ranges, strict=False))
        ]
        if kill_one:
            victim = random.randrange(len(running))
            while not any((output / "animations").glob("*/frames/*.png")):
                time.sleep(0.02)
            time.sleep(random.uniform(0, 2))
            kill(running.pop(victim))
            return victim, [ended(process) for process in running]
        return None, [ended(process) for process in running]

    def fine(ends):
        assert all(status == 0 for status, _ in ends), ends

    fine(at_once("Track", "Clip", ("1-1", "2-2"))[1])
    victim, ends = at_once("Animate", "Animation", QUARTERS, kill_one=True)
    fine(ends)
    before = stamps(output)
    again = command(copies[0], output, blender, *chunks("Animate", "Animation", QUARTERS[victim]))
    status, said = ended(start(again, folder / "again"))
    assert status == 0, said[-3000:]
    after = stamps(output)
    # What was complete when the machine died was not touched; the job under way was taken up, not begun anew.
    for path in (p for p in before if p.name == "done.json" or p.parent.name == "frames"):
        if not path.name.startswith("."):
            assert after[path] == before[path], path
    fine(at_once("Render", "Frame", QUARTERS)[1])
    fine([ended(start(command(copies[0], output, blender, "--step", "Encode"), folder / "again"))])
    assert results(output) == results(single.output)


def test_a_task_that_is_done_does_nothing(elsewhere, single, blender):
    bundle, folder = elsewhere
    before = stamps(single.output)
    for task in (
        chunks("Track", "Clip", "1-1"),
        chunks("Animate", "Animation", "1-3"),
        chunks("Render", "Frame", "1-3"),
    ):
        status, said = ended(start(command(bundle, single.output, blender, *task), folder / "cwd"))
        assert status == 0, said[-3000:]
    assert stamps(single.output) == before


def test_frames_that_do_not_exist_fail_in_one_line(elsewhere, single, blender):
    bundle, folder = elsewhere
    before = stamps(single.output)
    task = chunks("Render", "Frame", "12-14")
    status, said = ended(start(command(bundle, single.output, blender, *task, Frames="1-99"), folder / "cwd"))
    assert status != 0
    assert said.count("openjd_fail") == 1
    assert "openjd_fail: There is no frame 13: the scene has 1 to 12." in said
    assert stamps(single.output) == before


def test_rendering_waits_for_the_animations(elsewhere, blender):
    bundle, folder = elsewhere
    output = folder / "too early"
    status, said = ended(
        start(command(bundle, output, blender, *chunks("Render", "Frame", "1-1")), folder / "cwd")
    )
    assert status != 0
    assert "openjd_fail: lady_0-nod is not animated yet" in said
    assert not list(output.rglob("*.png"))
