"""From a driving face to a painting: relative motion, its reference frame and its limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fomm_core import transfer as transferring
from fomm_core.motion import MotionTrack
from fomm_core.transfer import NOTICEABLE, OUTSIDE, hull_area, limited, nearest_frame, transfer
from tests.fomm_core.toy_motion import JACOBIANS, KEYPOINTS, K, lively, tracks

SETTINGS = st.fixed_dictionaries(
    {"relative": st.booleans(), "adapt_scale": st.booleans(), "strength": st.floats(0, 2)}
)


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


# Limits.


def turned(points: np.ndarray, radians: float) -> np.ndarray:
    c, s = np.cos(radians), np.sin(radians)
    return points @ np.array([[c, s], [-s, c]])


def right(by: float) -> np.ndarray:
    return np.array([by, 0])


FACE = np.array(
    [
        [-0.3, -0.2],
        [0.3, -0.2],
        [0, 0.05],
        [-0.2, 0.35],
        [0.2, 0.35],
        [0, 0.6],
        [-0.5, 0],
        [0.5, 0],
        [0, -0.6],
    ]
).astype(np.float32)
STRAIGHT = np.broadcast_to(np.eye(2, dtype=np.float32), (len(FACE), 2, 2))


def limited_value(value: np.ndarray) -> np.ndarray:
    """The limited keypoints of a face without turning parts."""
    value = np.asarray(value, np.float32)
    return limited(value, np.broadcast_to(STRAIGHT, (len(value), *STRAIGHT.shape)), FACE, STRAIGHT)[0]


@given(tracks(), KEYPOINTS, JACOBIANS, SETTINGS)
def test_limited_motion_is_finite_invertible_and_near_the_square(track, value, jacobian, settings):
    moved, turned, touched = limited(*transfer(track, value, jacobian, **settings), value, jacobian)
    assert moved.shape == track.value.shape
    assert turned.shape == track.jacobian.shape
    assert moved.dtype == turned.dtype == np.float32
    assert np.abs(moved).max() <= 1 + OUTSIDE + 1e-6
    assert np.isfinite(turned).all()
    assert torch.linalg.inv(torch.from_numpy(turned)).isfinite().all()
    assert 0 <= touched <= len(track)


@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 99))
def test_small_motion_stays_as_it_is(k, n, seed):
    """Whatever the model: one keypoint or many."""
    rng = np.random.default_rng(seed)
    origin = rng.uniform(-0.7, 0.7, (k, 2)).astype(np.float32)
    own = np.broadcast_to(np.eye(2, dtype=np.float32), (k, 2, 2))
    size = max(0.1, np.sqrt(hull_area(origin)))
    value = (origin + 0.01 * size * rng.uniform(-1, 1, (n, k, 2))).astype(np.float32)
    jacobian = (own + rng.uniform(-0.01, 0.01, (n, k, 2, 2))).astype(np.float32)
    moved, turned, touched = limited(value, jacobian, origin, own)
    assert (moved == value).all()
    assert turned == pytest.approx(jacobian, abs=1e-6)
    assert touched == 0


LARGE = {
    "shift": lambda by: FACE + right(by),
    "turn": lambda by: turned(FACE, by),
    "growth": lambda by: FACE * (1 + by),
    "shrinking": lambda by: FACE / (1 + by),
    "stretch": lambda by: FACE * [1 / (1 + by), 1],
}


@pytest.mark.parametrize("kind", LARGE)
def test_large_motion_goes_on_ever_slower(kind):
    """Monotone, without a jump, and far short of where it would have gone."""
    amounts = np.linspace(0, 1.5, 151)
    way = np.linalg.norm(limited_value([LARGE[kind](by) for by in amounts]) - FACE, axis=-1).max(1)
    free = np.linalg.norm([LARGE[kind](by) - FACE for by in amounts], axis=-1).max(1)
    assert way[:5] == pytest.approx(free[:5], abs=1e-6)
    assert np.diff(way).min() > -1e-4
    assert np.diff(way).max() <= np.diff(free).max() * 1.05
    assert way[-1] < 0.7 * free[-1]


def test_frames_that_changed_are_counted():
    value = np.stack([FACE, FACE + right(0.05), FACE + right(1.5), turned(FACE, 1.5)]).astype(np.float32)
    jacobian = np.broadcast_to(STRAIGHT, (4, *STRAIGHT.shape))
    moved, _, touched = limited(value, jacobian, FACE, STRAIGHT)
    assert touched == 2
    assert np.linalg.norm(moved - value, axis=-1).max(1)[2:].min() > NOTICEABLE


def test_a_turned_head_still_speaks():
    """The chin goes down as far in a head that is shifted and turned beyond its limits as in one at rest."""
    speaking = FACE.copy()
    speaking[5, 1] += 0.08
    rest, spoken, away, away_spoken = limited_value(
        [FACE, speaking, turned(FACE, 1.2) + right(0.8), turned(speaking, 1.2) + right(0.8)]
    )
    assert np.linalg.norm(away_spoken - away, axis=-1)[5] == pytest.approx(
        np.linalg.norm(spoken - rest, axis=-1)[5], rel=0.15
    )


@pytest.mark.parametrize("by", [0.0, 1.0])
def test_jacobians_turn_as_far_as_their_keypoints(by):
    value = turned(FACE, by)[None].astype(np.float32)
    c, s = np.cos(by), np.sin(by)
    jacobian = np.broadcast_to(np.array([[c, -s], [s, c]], np.float32), (1, len(FACE), 2, 2))
    moved, twisted, _ = limited(value, jacobian, FACE, STRAIGHT)
    about = FACE - FACE.mean(0)
    assert moved[0] - moved[0].mean(0) == pytest.approx(about @ twisted[0, 0].T, abs=1e-4)
    angle = np.arctan2(twisted[0, :, 1, 0], twisted[0, :, 0, 0])
    assert angle == pytest.approx(min(by, transferring.COMMON["turn"][1]), abs=0.02)


def test_a_part_of_its_own_turns_no_further_than_its_limit():
    wild = np.array(STRAIGHT)[None].copy()
    wild[0, 5] = [[4, 0], [0, 0.05]]
    _, twisted, _ = limited(FACE[None], wild, FACE, STRAIGHT)
    assert (twisted[0, :5] == wild[0, :5]).all()
    largest, least = np.linalg.svd(twisted[0, 5])[1]
    assert np.log(largest / least) / 2 <= transferring.OWN["stretch"][1] + 1e-6
