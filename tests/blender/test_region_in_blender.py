"""A region picked with the mouse in a real Blender's window. Screenshots are in build/screenshots-region."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots-region"
COARSE = 2  # the painting's pixels to one of the screen, at the size it is shown


@pytest.fixture(scope="module")
def picked(run):
    """What happened in the window: after each way to pick or to leave, the region's text and the areas."""
    for old in SCREENSHOTS.glob("*.png"):
        old.unlink()
    return run.run(
        "region.py",
        window=True,
        screenshots=str(SCREENSHOTS),
        painting=str(ROOT / "examples" / "painting.jpg"),
        python=sys.executable,
    )


def rectangle(picked, step):
    text, areas = picked[step]
    assert areas == picked["before"][1]  # the 3D view is back, and there is no image editor
    return [int(part) for part in text.split(",")]


def test_the_button_shows_the_painting(picked):
    assert picked["painting shown"]
    assert picked["drawn"] > 0


def test_a_drag_is_a_square_in_the_paintings_pixels(picked):
    x, y, w, h = rectangle(picked, "square")
    assert (x, y, w) == pytest.approx((100, 80, 160), abs=COARSE)
    assert w == h


def test_with_ctrl_it_is_any_rectangle_dragged_any_way(picked):
    assert rectangle(picked, "rectangle") == pytest.approx([250, 100, 50, 100], abs=COARSE)


def test_it_may_reach_past_the_edge(picked):
    assert rectangle(picked, "past the edge") == pytest.approx([-40, -30, 240, 240], abs=COARSE)


def test_undo_brings_the_last_region_back(picked):
    assert picked["undone"] == picked["rectangle"]


def test_too_small_or_beside_the_picture_it_is_dragged_again(picked):
    region = picked["undone"][0]
    assert picked["too small"] == picked["beside"] == [region, True]


@pytest.mark.parametrize("way", ["escaped", "right click"])
def test_it_is_left_without_a_change(picked, way):
    assert picked[way] == picked["undone"]


def test_zoomed_in_the_pixels_are_the_paintings_still(picked):
    assert picked["zoom"] > 1.5 * picked["fitted"]
    assert rectangle(picked, "zoomed") == pytest.approx([400, 550, 100, 100], abs=COARSE)


def test_with_its_area_or_its_file_gone_nothing_is_left(picked):
    assert picked["another file"] == picked["before"][1]
    assert picked["drawn after leaving"] == 0
