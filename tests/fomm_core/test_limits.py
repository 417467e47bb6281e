"""What would tear a painting is limited, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from fomm_core.limits import BESIDE, COMMON, NOTICEABLE, OUTSIDE, OWN, limited
from fomm_core.transfer import hull_area, transfer
from tests.fomm_core import toy_head
from tests.fomm_core.toy_head import HEAD
from tests.fomm_core.toy_motion import JACOBIANS, KEYPOINTS, SETTINGS, tracks


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
    assert angle == pytest.approx(min(by, COMMON["turn"][1]), abs=0.02)


def test_a_part_of_its_own_turns_no_further_than_its_limit():
    wild = np.array(STRAIGHT)[None].copy()
    wild[0, 5] = [[4, 0], [0, 0.05]]
    _, twisted, _ = limited(FACE[None], wild, FACE, STRAIGHT)
    assert (twisted[0, :5] == wild[0, :5]).all()
    largest, least = np.linalg.svd(twisted[0, 5])[1]
    assert np.log(largest / least) / 2 <= OWN["stretch"][1] + 1e-6


# A head that turns in space.


def held(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0, aside: float = 0.0) -> np.ndarray:
    """(K,2): the toy head, half as large, that looks so far aside and then turns about its own axes."""
    pose = HEAD.poses(toy_head.FACE[None])
    turn = Rotation.from_euler("Y", aside) * Rotation.from_euler("YXZ", [yaw, pitch, roll])
    return HEAD.seen(replace(pose, rotation=pose.rotation @ turn.as_matrix(), scale=pose.scale / 2))[0]


def limited_head(origin: np.ndarray, *frames: np.ndarray, jacobian: float = 1.0, head=HEAD):
    one = np.broadcast_to(np.eye(2, dtype=np.float32), (len(origin), 2, 2))
    value = np.array(frames, np.float32)
    jacobians = np.broadcast_to(jacobian * one, (len(value), *one.shape))
    return limited(value, jacobians, origin.astype(np.float32), one, head)


def aside(origin: np.ndarray, value: np.ndarray) -> np.ndarray:
    """How far each frame's head has turned and nodded, in radians."""
    rest, moved = HEAD.poses(origin[None]), HEAD.poses(value)
    turn = Rotation.from_matrix(rest.rotation[0].T @ moved.rotation).as_rotvec()
    return np.linalg.norm(turn[:, :2], axis=1)


@given(st.floats(-0.9, 0.9), st.floats(-0.5, 0.5), st.floats(-0.6, 0.6))
def test_a_head_turns_no_further_than_a_painting_can_show(yaw, pitch, looks):
    origin = held(aside=looks)
    value, _, touched = limited_head(origin, origin, held(yaw, pitch, aside=looks))
    assert aside(origin, value)[1] < 0.42
    if np.hypot(yaw, pitch) > 0.5:
        assert touched == 1


def test_a_head_that_turns_too_far_still_leans_and_speaks_and_its_jacobians_turn_less():
    origin, far = held(), held(0.7, roll=0.2)
    spoken = far.copy()
    lip = HEAD.rows_of("lip_lower")[0]
    spoken[lip] += (0, 0.04)
    value, jacobian, _ = limited_head(origin, far, spoken, jacobian=1.2)
    opened = value[1, lip] - value[0, lip]
    assert np.linalg.norm(opened) == pytest.approx(0.04, rel=0.2)
    eyes = [HEAD.rows_of(name)[0] for name in ("eye_l_outer", "eye_r_outer")]
    along = value[0, eyes[0]] - value[0, eyes[1]]
    assert abs(np.arctan2(along[1], along[0])) == pytest.approx(0.2, abs=0.06)
    nose = HEAD.rows_of("nose_tip")[0]
    assert 1.02 < jacobian[0, nose, 0, 0] < 1.2


@given(st.floats(-0.25, 0.25), st.floats(-0.1, 0.1))
def test_a_face_that_turns_little_is_left_alone(yaw, pitch):
    origin, frame = held(), held(yaw, pitch)
    beside = {row for names in BESIDE for row in HEAD.rows_of(*names)[:1]}
    face = [row for row in range(len(origin)) if row not in beside]
    value, _, touched = limited_head(origin, frame)
    plain, _, plainly_touched = limited_head(origin, frame, head=None)
    assert (value[:, face] == plain[:, face]).all()
    assert touched == plainly_touched  # that a hidden ear stays near is nothing to be told of


@pytest.mark.parametrize("side", ["l", "r"])
def test_what_turns_into_view_beside_the_face_is_not_drawn_out(side):
    """From a sitter who looks so far aside that ear and eye are near each other."""
    looks = 0.4 if side == "l" else -0.4
    origin, frame = held(aside=looks), held(-0.25 * np.sign(looks), aside=looks)
    ear, eye = HEAD.rows_of(f"ear_{side}", f"eye_{side}_outer")

    def apart(value: np.ndarray) -> float:
        return float(np.linalg.norm(value[ear] - value[eye]))

    value, jacobian, _ = limited_head(origin, frame, jacobian=1.1)
    assert apart(frame) > 1.4 * apart(origin)
    assert apart(value[0]) < 1.25 * apart(origin)
    assert np.isfinite(jacobian).all()


def test_a_mouth_that_widens_draws_no_jaw():
    origin = held()
    wide = origin.copy()
    wide[HEAD.rows_of("mouth_l")[0], 0] -= 0.05
    value, _, _ = limited_head(origin, wide)
    jaw = HEAD.rows_of("jaw_l")[0]
    assert value[0, jaw] == pytest.approx(limited_head(origin, wide, head=None)[0][0, jaw], abs=1e-3)


def test_keypoints_that_are_no_heads_are_limited_as_any():
    rng = np.random.default_rng(0)
    lost = rng.uniform(-1, 1, (3, len(toy_head.FACE), 2))
    value, jacobian, _ = limited_head(held(), *lost)
    plain = limited_head(held(), *lost, head=None)
    assert (value == plain[0]).all()
    assert (jacobian == plain[1]).all()
