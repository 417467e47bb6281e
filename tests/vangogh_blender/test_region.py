"""A region as it is dragged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vangogh_says_hello.vangogh_blender import region
from vangogh_says_hello.vangogh_blender.region import Region, dragged, parse, problem

pixels = st.floats(-500, 3000)
points = st.tuples(pixels, pixels)


def test_a_drag_is_a_square_as_large_as_its_longer_side():
    assert dragged((10, 20), (110, 50)) == (10, 20, 100, 100)
    assert dragged((10, 20), (110, 50), free=True) == (10, 20, 100, 30)


@pytest.mark.parametrize(
    ("end", "square"),
    [
        ((140, 90), (100, 50, 40, 40)),
        ((60, 90), (60, 50, 40, 40)),
        ((60, 10), (60, 10, 40, 40)),
        ((140, 10), (100, 10, 40, 40)),
    ],
)
def test_it_grows_the_way_the_mouse_went(end, square):
    assert dragged((100, 50), end) == square


@given(start=points, end=points)
def test_the_corner_that_was_pressed_stays_one(start, end):
    for free in (True, False):
        x, y, w, h = dragged(start, end, free)
        assert round(start[0]) in (x, x + w)
        assert round(start[1]) in (y, y + h)
        assert min(w, h) >= 0
        assert free or w == h


@given(start=points, end=points)
def test_what_is_written_is_read_again(start, end):
    picked = dragged(start, end)
    assert parse(str(picked)) == picked


@pytest.mark.parametrize("text", ["auto", "full", "", "1,2,3", "1,2,3,4,5", "1,2,3,wide", "1.5,2,3,4"])
def test_what_is_no_rectangle_is_none(text):
    assert parse(text) is None


def test_what_cannot_move_is_said():
    assert problem(Region(0, 0, 100, 100), 200, 300) == ""
    assert problem(Region(-90, -90, 100, 100), 200, 300) == ""  # past the edge, and partly on the picture
    assert "Too small" in problem(Region(0, 0, region.SMALLEST, region.SMALLEST - 1), 200, 300)
    for beside in ((200, 0), (0, 300), (-100, 0), (0, -100)):
        assert "beside" in problem(Region(*beside, 100, 100), 200, 300)


def test_the_core_refuses_the_same_sizes():
    assert region.SMALLEST == pytest.importorskip("fomm_core.regions").SMALLEST
