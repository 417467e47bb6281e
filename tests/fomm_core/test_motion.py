# ruff: noqa: PT017 - damage may as well leave a file readable

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fomm_core.errors import UserError
from fomm_core.motion import MotionTrack, hull_area, nearest_frame, transfer

K = 5


def numbers(limit: float) -> st.SearchStrategy:
    return st.floats(-limit, limit, width=32, allow_nan=False)


# Few different numbers: equal keypoints, lines, and singular Jacobians come up all the time.
COARSE = st.sampled_from([-1.0, 0.0, 2.0**-23, 0.5, 1.0])
KEYPOINTS = arrays(np.float32, (K, 2), elements=numbers(1) | COARSE)
JACOBIANS = arrays(np.float32, (K, 2, 2), elements=numbers(5) | COARSE)
SETTINGS = st.fixed_dictionaries(
    {"relative": st.booleans(), "adapt_scale": st.booleans(), "strength": st.floats(0, 2)}
)


@st.composite
def tracks(draw) -> MotionTrack:
    n = draw(st.integers(1, 4))
    value = np.stack([draw(KEYPOINTS) for _ in range(n)])
    return MotionTrack(value, np.stack([draw(JACOBIANS) for _ in range(n)]), draw(st.floats(1, 120)))


def lively(n: int = 6, seed: int = 0, fps: float = 30.0) -> MotionTrack:
    """Sound motion: keypoints apart from each other, Jacobians near the identity."""
    rng = np.random.default_rng(seed)
    value = rng.uniform(-0.8, 0.8, (1, K, 2)) + rng.normal(0, 0.05, (n, K, 2))
    jacobian = np.eye(2) + rng.normal(0, 0.15, (n, K, 2, 2))
    return MotionTrack(value.astype(np.float32), jacobian.astype(np.float32), fps, {"video": "clip.mp4"})


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


def test_the_nearest_frame_is_that_of_the_same_pose():
    """However large the face is in the painting, and wherever."""
    track = lively(20)
    for i in (0, 7, 19):
        assert nearest_frame(track, track.value[i] * 0.3 + 0.4) == i


def test_a_track_survives_its_file(tmp_path):
    track = lively()
    path = tmp_path / "the motion.npz"
    track.save(path)
    again = MotionTrack.load(path)
    assert (again.value == track.value).all()
    assert (again.jacobian == track.jacobian).all()
    assert (again.fps, again.provenance) == (track.fps, track.provenance)
    assert [p.name for p in tmp_path.iterdir()] == ["the motion.npz"]
    assert path.stat().st_size < 5000


def test_a_track_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(UserError) as caught:
        lively().save(tmp_path / "folder.npz")
    assert caught.value.kind == "output"
    assert [p.name for p in tmp_path.iterdir()] == ["folder.npz"]
    with pytest.raises(UserError):
        lively().save(tmp_path / "missing" / "track.npz")


DAMAGED = {
    "nan": {"value": np.full((3, K, 2), np.nan, np.float32)},
    "infinite": {"jacobian": np.full((3, K, 2, 2), np.inf, np.float32)},
    "huge": {"value": np.full((3, K, 2), 1e30, np.float32)},
    "no frame": {"value": np.zeros((0, K, 2)), "jacobian": np.zeros((0, K, 2, 2))},
    "three coordinates": {"value": np.zeros((3, K, 3))},
    "other lengths": {"jacobian": np.zeros((2, K, 2, 2))},
    "objects": {"value": np.array([{}], object)},
    "words": {"value": np.array(["a"])},
    "no rate": {"fps": 0.0},
    "a rate below zero": {"fps": -25.0},
    "a rate that is none": {"fps": np.nan},
    "an endless rate": {"fps": np.inf},
    "another version": {"format": 2},
    "no json": {"provenance": "{"},
    "a list": {"provenance": "[1]"},
    "numbers": {"provenance": '{"video": 3}'},
    "a recorded rate that is none": {"provenance": '{"fps": "fast"}'},
    "a recorded rate of zero": {"provenance": '{"fps": "0"}'},
}


def sound_fields() -> dict:
    track = lively(3)
    return {
        "format": 1,
        "value": track.value,
        "jacobian": track.jacobian,
        "fps": 30.0,
        "provenance": json.dumps(track.provenance),
    }


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_track_gets_a_sentence(case, tmp_path):
    path = tmp_path / "track.npz"
    np.savez(path, **sound_fields())
    MotionTrack.load(path)
    np.savez(path, **{**sound_fields(), **DAMAGED[case]})
    with pytest.raises(UserError, match="motion track") as caught:
        MotionTrack.load(path)
    assert caught.value.kind == "video"
    assert str(path) in caught.value.sentence
    assert caught.value.hint


@given(st.data())
def test_any_other_bytes_get_a_sentence(tmp_path_factory, data):
    """Cut off anywhere, with bytes changed anywhere, or something else: `UserError`, or still a track."""
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    lively(3).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    path.write_bytes(data.draw(st.sampled_from([bytes(content)]) | st.binary(max_size=64)))
    try:
        track = MotionTrack.load(path)
    except UserError as error:
        assert error.kind == "video"
    else:
        assert np.isfinite(track.value).all()


def test_what_is_no_track_at_all(tmp_path):
    for name, content in (("text.npz", b"hello"), ("empty.npz", b""), ("array.npz", None)):
        path = tmp_path / name
        if content is None:
            with open(path, "wb") as file:
                np.save(file, np.zeros(3))
        else:
            path.write_bytes(content)
        with pytest.raises(UserError, match="no motion track"):
            MotionTrack.load(path)
    with pytest.raises(UserError):
        MotionTrack.load(tmp_path)


@given(st.integers(1, 40), st.floats(5, 60), st.floats(0, 3), st.floats(0.001, 3))
def test_cut_keeps_the_frames_of_that_time(n, fps, start, length):
    track = lively(n, fps=fps)
    times = np.arange(n) / fps
    kept = (times >= start - 1e-6 / fps) & (times < start + length - 1e-6 / fps)
    if not kept.any():
        with pytest.raises(UserError, match="Nothing is left"):
            track.cut(start, start + length)
    else:
        cut = track.cut(start, start + length)
        assert (cut.value == track.value[kept]).all()
        assert (cut.jacobian == track.jacobian[kept]).all()
        assert cut.fps == fps


def test_a_whole_cut_is_the_track():
    assert len(lively(7).cut()) == 7


@given(st.integers(1, 30), st.floats(5, 60), st.floats(5, 60))
def test_retimed_keeps_the_duration_and_lies_between(n, fps, other):
    track = lively(n, fps=fps)
    retimed = track.retimed(other)
    assert retimed.fps == other
    assert len(retimed) >= 1
    assert abs(len(retimed) / other - n / fps) <= 0.5001 / other or len(retimed) == 1
    assert (retimed.value[0] == track.value[0]).all()
    assert (retimed.value <= track.value.max(0) + 1e-6).all()
    assert (retimed.value >= track.value.min(0) - 1e-6).all()
    assert retimed.value.dtype == np.float32


def test_retimed_interpolates_in_time():
    track = lively(5, fps=10)
    doubled = track.retimed(20)
    assert len(doubled) == 10
    assert doubled.value[::2] == pytest.approx(track.value, abs=1e-6)
    assert doubled.value[1] == pytest.approx((track.value[0] + track.value[1]) / 2, abs=1e-6)
    assert doubled.jacobian[3] == pytest.approx((track.jacobian[1] + track.jacobian[2]) / 2, abs=1e-6)
    assert track.retimed(10) is track
