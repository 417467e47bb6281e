from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fomm_core.drawing import keypoint_colours, with_keypoints

SIDE = 41
GROUND = np.full((SIDE, SIDE, 3), 90, np.uint8)
inside = st.floats(-0.8, 0.8)


def place(value: float) -> float:
    return (value + 1) * (SIDE - 1) / 2


def test_colours_differ_and_stay_with_their_keypoint():
    colours = keypoint_colours(24).astype(int)
    apart = np.abs(colours[:, None] - colours[None]).max(-1)
    assert apart[~np.eye(24, dtype=bool)].min() > 15
    assert (keypoint_colours(5) == colours[:5]).all()


@given(inside, inside)
def test_a_dot_has_its_colour_where_the_keypoint_is_and_nowhere_else(x, y):
    drawn = with_keypoints(GROUND, np.array([[x, y]]))
    assert (drawn[round(place(y)), round(place(x))] == keypoint_colours(1)[0]).all()
    rows, columns = np.nonzero((drawn != GROUND).any(-1))
    assert np.hypot(columns - place(x), rows - place(y)).max() < 4
    # Smooth edges put the middle of the dot at the keypoint, not at the nearest pixel.
    weight = np.abs(drawn.astype(float) - GROUND).sum(-1)
    grid = np.arange(SIDE)
    assert abs((weight.sum(0) * grid).sum() / weight.sum() - place(x)) < 0.25
    assert abs((weight.sum(1) * grid).sum() / weight.sum() - place(y)) < 0.25


def test_a_line_leads_from_where_the_keypoint_was():
    drawn = with_keypoints(GROUND, np.array([[0.5, 0.0]]), origin=np.array([[-0.5, 0.0]]))
    line = drawn[SIDE // 2, 10:25]
    assert (line == keypoint_colours(1)[0]).all()
    assert (drawn[:, :8] == GROUND[:, :8]).all()


@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_keypoints_may_lie_anywhere(x, y):
    drawn = with_keypoints(GROUND, np.array([[x, y]]), origin=np.zeros((1, 2)))
    assert drawn.shape == GROUND.shape
    if max(abs(x), abs(y)) > 1.3:
        assert (with_keypoints(GROUND, np.array([[x, y]])) == GROUND).all()


def test_the_picture_given_is_left_alone():
    before = GROUND.copy()
    with_keypoints(GROUND, np.zeros((3, 2)))
    assert (before == GROUND).all()
