"""What is in a rendered mouth: the tongue on the jaw, and teeth behind the lips, whoever it is."""

from __future__ import annotations

import numpy as np
import pytest

from portraits.figure import Figure, Pose
from portraits.head import LANDMARK_NAMES
from portraits.looks import random_looks

TEETH, TONGUE = ("helper-upper-teeth", "helper-lower-teeth"), "helper-tongue"


def sitter(head, seed: int) -> Figure:
    looks = random_looks(np.random.default_rng(seed), head, painterly=False)
    return Figure(head, looks.shape, looks.ancestry, [])


def height(head, points: np.ndarray, name: str) -> float:
    return float(points[head.rows(name), 1].mean())


def test_a_jaw_that_opens_takes_the_tongue_along(head):
    figure = sitter(head, 0)
    shut, opened = (figure.posed(Pose(expression={"mouth-open": amount}))[0] for amount in (0.0, 1.0))
    upper, lower, tongue = (height(head, shut, n) - height(head, opened, n) for n in (*TEETH, TONGUE))
    assert abs(upper) < 0.01
    assert lower > 0.1
    assert tongue == pytest.approx(lower, rel=0.5)


def test_teeth_go_where_a_sitters_lips_are(head):
    """The published targets of a mouth move the lips alone."""
    lips = head.landmarks[[LANDMARK_NAMES.index(n) for n in ("mouth_l", "mouth_r", "lip_upper", "lip_lower")]]
    plain, low, narrow = (
        head.shaped({name: 1.0} if name else {})
        for name in ("", "mouth/mouth-trans-down", "mouth/mouth-scale-horiz-decr")
    )
    sunk = (plain - low)[lips, 1].mean()
    assert sunk > 0.04
    for name in (*TEETH, TONGUE):
        rows = head.rows(name)
        assert (plain - low)[rows, 1].mean() == pytest.approx(sunk, abs=0.01)
        widths = [np.ptp(points[rows, 0]) / np.ptp(points[lips, 0]) for points in (plain, narrow)]
        assert widths[0] == pytest.approx(widths[1], rel=0.02)


@pytest.mark.parametrize("seed", range(8))
def test_teeth_lie_behind_the_lips_and_between_the_corners_of_the_mouth(head, seed):
    points, _ = sitter(head, seed).posed(Pose())
    lip_upper, lip_lower, left, right = (
        points[head.landmarks[LANDMARK_NAMES.index(n)]]
        for n in ("lip_upper", "lip_lower", "mouth_l", "mouth_r")
    )
    line = (lip_upper + lip_lower)[1] / 2
    for name in TEETH:
        teeth = points[head.rows(name)]
        front = teeth[teeth[:, 2] > teeth[:, 2].max() - 0.1]
        assert front[:, 2].max() < max(lip_upper[2], lip_lower[2])
        assert front[:, 1].min() - 0.1 < line < front[:, 1].max() + 0.1
        assert np.ptp(front[:, 0]) < 0.85 * (left - right)[0]
