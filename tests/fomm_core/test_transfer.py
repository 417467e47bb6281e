"""From a driving face to a painting: relative motion and its reference frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fomm_core.motion import MotionTrack
from fomm_core.transfer import hull_area, nearest_frame, transfer
from tests.fomm_core.toy_motion import JACOBIANS, KEYPOINTS, SETTINGS, K, lively, tracks


@given(tracks(), KEYPOINTS, JACOBIANS, SETTINGS)
def test_transfer_is_finite_and_invertible(track, value, jacobian, settings):
    moved, turned = transfer(track, value, jacobian, **settings)
    assert moved.shape == track.value.shape
    assert turned.shape == track.jacobian.shape
    assert moved.dtype == turned.dtype == np.float32
    assert np.isfinite(moved).all()
    assert np.isfinite(turned).all()
    assert torch.linalg.inv(torch.from_numpy(turned)).isfinite().all()


@given(tracks(), KEYPOINTS, JACOBIANS, st.booleans(), st.floats(0, 2))
def test_the_reference_frame_gives_the_source(track, value, jacobian, adapt, strength):
    sound = np.abs(np.linalg.det(jacobian.astype(np.float64))) > 0.05
    reference = len(track) - 1
    moved, turned = transfer(
        track, value, jacobian, adapt_scale=adapt, reference=reference, strength=strength
    )
    assert moved[reference] == pytest.approx(value, abs=1e-6)
    assert turned[reference][sound] == pytest.approx(jacobian[sound], abs=1e-5)


@given(tracks(), KEYPOINTS, JACOBIANS)
def test_without_strength_the_source_stays(track, value, jacobian):
    sound = np.abs(np.linalg.det(jacobian.astype(np.float64))) > 0.05
    moved, turned = transfer(track, value, jacobian, strength=0.0)
    assert (moved == value).all()
    assert (turned[:, sound] == jacobian[sound]).all()


def test_relative_motion_is_the_papers():
    track, source = lively(), lively(1, seed=1)
    value, jacobian = source.value[0], source.jacobian[0]
    moved, turned = transfer(track, value, jacobian, adapt_scale=True, reference=2)
    s = np.sqrt(hull_area(value) / hull_area(track.value[2]))
    assert moved == pytest.approx(s * (track.value - track.value[2]) + value, abs=1e-5)
    expected = track.jacobian @ np.linalg.inv(track.jacobian[2]) @ jacobian
    assert turned == pytest.approx(expected, abs=1e-5)


def test_absolute_motion_is_the_driving_motion():
    track, source = lively(), lively(1, seed=1)
    moved, turned = transfer(track, source.value[0], source.jacobian[0], relative=False, strength=0.3)
    assert (moved == track.value).all()
    assert (turned == track.jacobian).all()


def test_strength_amplifies():
    track, source = lively(), lively(1, seed=1)
    once, twice = (
        transfer(track, source.value[0], source.jacobian[0], strength=s)[0] - source.value[0] for s in (1, 2)
    )
    assert twice == pytest.approx(2 * once, abs=1e-5)


def test_a_degenerate_hull_does_not_scale():
    track, source = lively(), lively(1, seed=1)
    for degenerate in (np.zeros((K, 2)), np.linspace(-1, 1, 2 * K).reshape(K, 2)):
        assert hull_area(degenerate) == pytest.approx(0, abs=1e-9)
        moved, _ = transfer(track, degenerate.astype(np.float32), source.jacobian[0])
        assert moved == pytest.approx(track.value - track.value[0] + degenerate, abs=1e-5)


def test_hull_area_of_a_square():
    assert hull_area(np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]])) == pytest.approx(1)
    assert hull_area(np.array([[0.0, 0], [1, 0]])) == 0


def test_the_first_frame_is_the_reference_unless_another_is_clearly_nearer():
    face = np.array([[-0.3, -0.3], [0.3, -0.3], [0.3, 0.3], [-0.3, 0.3]], np.float32)
    turned = face * [0.7, 1.0]

    def reference(first: float, second: float) -> int:
        poses = [face + share * (turned - face) for share in (first, second)]
        track = MotionTrack(np.array(poses, np.float32), np.broadcast_to(np.eye(2), (2, 4, 2, 2)), 25.0)
        return nearest_frame(track, face)

    assert reference(0.5, 0.4) == 0
    assert reference(0.5, 0.2) == 1


def test_the_nearest_frame_is_that_of_the_same_pose():
    """However large the face is in the painting, and wherever."""
    track = lively(20)
    for i in (0, 7, 19):
        assert nearest_frame(track, track.value[i] * 0.3 + 0.4) == i
