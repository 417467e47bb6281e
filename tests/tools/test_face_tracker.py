"""How head, mouth and eyes are held, from landmarks: turned point sets, and the clip whose poses are known."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from fomm_core.errors import UserError
from tools import face_tracker
from tools.face_tracker import CHIN, EYES, FOREHEAD, LANDMARKS, LOWER_LIP, NOSE_BASE, PAIRS, RIDGE, UPPER_LIP

ROOT = Path(__file__).resolve().parents[2]

angle = st.floats(-0.6, 0.6)
poses = st.lists(st.tuples(angle, angle, angle), min_size=3, max_size=8)


def frontal(seed: int = 0) -> np.ndarray:
    """(478,3) landmarks of a symmetrical head that looks straight at us, a random one."""
    rng = np.random.default_rng(seed)
    face = rng.normal(size=(LANDMARKS, 3))
    left = np.abs(face[PAIRS[:, 1]]) * (1, 1, -1)
    face[PAIRS[:, 1]] = left
    face[PAIRS[:, 0]] = left * (-1, 1, 1)
    face[RIDGE, 0] = 0
    face[FOREHEAD], face[NOSE_BASE], face[CHIN] = (0, 1.2, 0.3), (0, -0.2, 0.3), (0, -1.1, 0.1)
    face[UPPER_LIP], face[LOWER_LIP] = (0, -0.5, 0.3), (0, -0.6, 0.3)
    return face


def turned(face: np.ndarray, pose: tuple[float, float, float], size=1.0, shift=(0, 0, 0)) -> np.ndarray:
    return face @ Rotation.from_euler("YXZ", pose).as_matrix().T * size + shift


@given(poses, st.integers(0, 99), st.floats(20, 400), st.floats(-500, 500))
def test_angles_are_found_at_any_size_and_place(poses, seed, size, shift):
    faces = np.stack([turned(frontal(seed), pose, size, (shift, -shift, 7)) for pose in poses])
    np.testing.assert_allclose(face_tracker.head_angles(faces), poses, atol=1e-6)


def test_the_signs_are_what_a_person_sees():
    """x is to the right, y up: a nose that points right, down, and a head whose top lies to the left."""
    face = frontal()
    nose = np.array([0, 0, 1.0])
    for pose, seen in (((0.3, 0, 0), 0), ((0, 0.3, 0), 1)):
        moved = turned(nose[None], pose)[0]
        assert (moved[0] > 0.2) if seen == 0 else (moved[1] < -0.2)
        faces = np.stack([face, face, turned(face, pose)])
        assert face_tracker.head_angles(faces)[2] == pytest.approx(pose)
    tilted = turned(face, (0, 0, 0.3))
    assert tilted[FOREHEAD, 0] < tilted[CHIN, 0] - 0.2
    assert face_tracker.head_angles(np.stack([face, face, tilted]))[2] == pytest.approx((0, 0, 0.3))


@given(poses, st.integers(0, 8))
def test_an_expression_or_one_wild_frame_changes_no_angle(poses, where):
    face = frontal()
    faces = np.stack([turned(face, pose) for pose in [*poses, (0.1, 0.2, 0.3)]])
    expected = face_tracker.head_angles(faces)
    wild = np.insert(faces, where % len(faces), np.random.default_rng(1).normal(size=face.shape), axis=0)
    wild[:, [UPPER_LIP, LOWER_LIP, CHIN]] *= 1.3
    found = np.delete(face_tracker.head_angles(wild), where % len(faces), axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@given(poses, st.floats(0, 0.4))
def test_the_mouth_opens_the_same_however_the_head_is_held(poses, opening):
    face = frontal()
    face[LOWER_LIP] = face[UPPER_LIP] - (0, opening, 0)
    height = np.linalg.norm(face[FOREHEAD] - face[CHIN])
    faces = np.stack([turned(face, pose, 90, (4, 5, 6)) for pose in poses])
    np.testing.assert_allclose(face_tracker.mouth_openings(faces), opening / height, atol=1e-9)


@given(poses, st.floats(0, 0.4))
def test_eyes_open_the_same_however_the_head_is_held(poses, opening):
    """One as far as is said, and the other half as far: it is the mean that counts."""
    face = frontal()
    for (upper, lower, outer, inner), amount in zip(EYES, (opening, opening / 2), strict=True):
        width = np.linalg.norm(face[outer] - face[inner])
        face[lower] = face[upper] - (0, amount * width, 0)
    faces = np.stack([turned(face, pose, 90, (4, 5, 6)) for pose in poses])
    np.testing.assert_allclose(face_tracker.eye_openings(faces), 0.75 * opening, atol=1e-9)


def test_where_no_face_is_found_nothing_is_said():
    faces = np.stack([turned(frontal(), (0.2, 0, 0))] * 4)
    faces[1] = np.nan
    angles, mouths = face_tracker.head_angles(faces), face_tracker.mouth_openings(faces)
    assert np.isnan(angles[:, 0]).tolist() == np.isnan(mouths).tolist() == [False, True, False, False]
    assert np.isnan(face_tracker.eye_openings(faces)).tolist() == [False, True, False, False]
    np.testing.assert_allclose(angles[[0, 2, 3], 0], 0.2, atol=1e-6)
    assert np.isnan(face_tracker.head_angles(faces[1:2])).all()
    assert face_tracker.head_angles(faces[:0]).shape == (0, 3)


def test_a_missing_tracker_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    monkeypatch.setitem(sys.modules, "mediapipe.python.solutions.face_mesh", None)
    with pytest.raises(UserError, match=r"face tracker cannot be used .*mediapipe"):
        face_tracker.follow([np.zeros((64, 64, 3), np.uint8)])


def test_a_clip_of_known_poses_is_followed():
    """`portraits` rendered the driving clip: its angles are known, signs included."""
    pytest.importorskip(
        "mediapipe", reason="the face tracker (mediapipe) is not installed", exc_type=ImportError
    )
    pytest.importorskip("moderngl", reason="portraits needs moderngl")
    from fomm_core.media import VideoReader
    from portraits.scenes import CLIP_FPS, hello

    every = 3  # a blink takes four frames
    frames = [f for i, f in enumerate(VideoReader(ROOT / "examples" / "driving.mp4")) if i % every == 0]
    poses = [hello(i * every / CLIP_FPS) for i in range(len(frames))]
    truth = np.array([(p.yaw, p.pitch, p.roll) for p in poses])
    faces = face_tracker.follow([*frames, np.zeros_like(frames[0])])
    assert np.isnan(faces[-1]).all()
    assert np.isfinite(faces[:-1]).all()
    found = face_tracker.head_angles(faces)[:-1]
    for k, least in enumerate((0.98, 0.85, 0.98)):
        assert np.corrcoef(truth[:, k], found[:, k])[0, 1] > least
        assert 0.7 < found[:, k].std() / truth[:, k].std() < 1.3
    mouths = face_tracker.mouth_openings(faces)[:-1]
    assert np.corrcoef([p.expression.get("mouth-open", 0) for p in poses], mouths)[0, 1] > 0.7
    lids = [-p.expression["eye-left-closure"] for p in poses]
    assert np.corrcoef(lids, face_tracker.eye_openings(faces)[:-1])[0, 1] > 0.7
