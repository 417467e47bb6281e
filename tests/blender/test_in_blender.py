"""The extension in a real Blender: with its window, clicked by simulated events, and without.

The worker of the clicked job is the real one with the bundled model; those that are slow or broken on purpose are
the test double of tests/vangogh_blender. A screenshot of every step is in build/screenshots: look at them.
"""

import json
import os
import signal
import stat
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.blender.life import check_pictures

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
FAKE_WORKER = ROOT / "tests" / "vangogh_blender" / "fake_worker.py"


def fake_python(folder, scenario):
    path = folder / f"python {scenario}"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE_WORKER}" {scenario}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def gone(pid):
    """Whether the process is gone; waits eight seconds for it."""
    for _ in range(80):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def media():
    return {
        "painting": str(ROOT / "examples" / "painting.jpg"),
        "video": str(ROOT / "examples" / "driving.mp4"),
    }


@pytest.fixture(scope="module")
def clicked(run, media):
    """What happened in the window, once for all the tests that look at it."""
    for old in SCREENSHOTS.glob("*.png"):
        old.unlink()
    return run.run(
        "click.py",
        seconds=900,
        window=True,
        screenshots=str(SCREENSHOTS),
        python=sys.executable,
        **{
            "slow python": fake_python(run.folder, "slow:100000"),
            "python without torch": fake_python(run.folder, "no-torch"),
        },
        **media,
    )


def test_what_is_chosen_is_prepared_before_the_click(clicked):
    _worker, track = clicked["prepared"]
    assert track.endswith(".npz")
    assert clicked["used"] == clicked["prepared"], "the same worker, and no motion detected a second time"


def test_the_click_starts_a_job_and_progress_moves(clicked):
    assert clicked["clicked"]
    first, second, total = clicked["progress"]
    assert 0 < first < second <= total


def test_the_picture_frame_appears_with_all_frames(clicked):
    assert clicked["phase"] == "done"
    assert 0 < clicked["plays while it runs"] <= clicked["frames on disk"]
    assert clicked["frames in scene"] == 1
    assert clicked["image user"] == clicked["frames on disk"] > 20


def test_the_window_is_never_held_up(clicked):
    assert clicked["ticks"] > 20
    assert clicked["tick median"] < 0.005
    # But for the one that builds the picture frame.
    assert clicked["slowest ticks"][-2] < 0.016, clicked["slowest ticks"]


def test_undo_takes_the_frame_and_only_the_frame(clicked):
    assert (clicked["frames after undo"], clicked["job after undo"], clicked["frames after redo"]) == (
        0,
        "done",
        1,
    )
    assert clicked["image user after redo"] == clicked["frames on disk"]


def test_saved_and_loaded_it_still_plays(clicked):
    assert clicked["missing after load"] == []
    assert clicked["job after load"] == "done"


def test_a_python_without_torch_is_told_in_the_sidebar(clicked):
    assert clicked["without torch"] == "This Python has no torch. Install torch."


def test_the_second_job_waits_for_the_first(clicked):
    assert (clicked["second job"], clicked["cancelled job"]) == ("waiting", "cancelled")


def test_blender_closed_mid_job_leaves_no_worker(clicked):
    assert gone(clicked["worker"])


def test_there_is_a_screenshot_of_every_step(clicked):
    names = sorted(path.stem for path in SCREENSHOTS.glob("*.png"))
    assert [name.split("-")[0] for name in names] == [f"{step:02d}" for step in range(1, 12)]


def test_the_rendered_canvas_shows_the_sequences_image_of_that_frame(run, clicked):
    result = run.run("render.py", frames=[1, 20])
    assert result["missing"] == []
    check_pictures(result["pictures"], Path(clicked["output"]) / "frames")


@pytest.fixture(scope="module")
def toured(run, clicked, media):
    """What happened in the next session with the scene that was saved."""
    paintings = [media["painting"], str(ROOT / "examples" / "group.jpg")]
    return run.run(
        "tour.py",
        seconds=900,
        window=True,
        screenshots=str(SCREENSHOTS),
        python=sys.executable,
        paintings=paintings,
    )


def test_a_cancelled_job_is_resumed(toured):
    assert toured["jobs reopened"] == ["done"]
    frames, total = toured["cancelled with"]
    assert 2 < frames < total
    assert toured["resumed"] == ["done", total]


def test_a_parameter_of_the_frame_changes_it(toured):
    assert toured["wider by"] == pytest.approx(0.2, abs=0.01)


def test_a_gallery_of_three_plays(toured):
    assert toured["lit"] == 3
    assert toured["played"] > 2


def test_the_gallery_renders_alike_in_the_next_session(run, toured):
    again = run.run("again.py")["rendered"]
    before, after = (
        np.asarray(Image.open(path).convert("RGB"), float) for path in (toured["rendered"], again)
    )
    assert before.std() > 20
    assert np.abs(before - after).mean() < 2


def test_animate_in_background_mode_waits_for_the_frames(blender, run, media):
    result = run.run("background.py", wait=True, python=fake_python(run.folder, "ok"), **media)
    assert result == {"returned": ["FINISHED"], "phase": "done", "frames": 12}


def test_blender_killed_mid_job_leaves_no_worker(blender, run, media):
    (run.folder / "result.json").unlink(missing_ok=True)
    process = run.start("background.py", wait=False, python=fake_python(run.folder, "slow:100000"), **media)
    try:
        deadline = time.monotonic() + 60
        while not (run.folder / "result.json").exists():
            assert time.monotonic() < deadline
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.1)
        time.sleep(0.2)
        worker = json.loads((run.folder / "result.json").read_text())["worker"]
        assert not gone_now(worker)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert gone(worker)


def gone_now(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
