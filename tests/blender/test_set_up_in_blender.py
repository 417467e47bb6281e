"""Setting up in a real Blender's window, clicked, with a stand-in for what is fetched; the frames are really made.

A screenshot of every step is in build/screenshots-set-up: look at them.
"""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots-set-up"


@pytest.fixture(scope="module")
def clicked(run):
    for old in SCREENSHOTS.glob("*.png"):
        old.unlink()
    return run.run(
        "set_up.py",
        seconds=900,
        window=True,
        screenshots=str(SCREENSHOTS),
        python=sys.executable,
        painting=str(ROOT / "examples" / "painting.jpg"),
        video=str(ROOT / "examples" / "driving.mp4"),
    )


def test_the_first_click_allows_online_access(clicked):
    assert (clicked["allowed before"], clicked["allowed after"]) == (False, True)


def test_the_second_click_sets_up_and_progress_is_seen_in_another_file_too(clicked):
    assert clicked["asked"] == [["auto", True]]
    assert clicked["stage in another file"] == "install"


def test_after_a_failure_the_same_click_tries_again(clicked):
    assert clicked["tries"] == 2


def test_the_last_click_animates(clicked):
    assert clicked["job"] == "done"


def test_nothing_is_removed_before_it_is_confirmed(clicked):
    assert not clicked["removed before it was confirmed"]


def test_blender_closed_mid_set_up_cancels_it(clicked, run):
    assert clicked["running at the end"]
    assert (run.folder / "cancelled").exists()


def test_there_is_a_screenshot_of_every_step(clicked):
    names = sorted(path.stem for path in SCREENSHOTS.glob("*.png"))
    assert [name.split("-")[0] for name in names] == [f"{step:02d}" for step in range(1, 17)]
