"""Motion tracks: their files, and motion cut, smoothed, retimed and looped."""

# ruff: noqa: PT017 - damage may as well leave a file readable

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fomm_core.errors import UserError
from fomm_core.motion import MotionTrack
from tests.fomm_core.toy_motion import K, lively, tracks


def turning(values: np.ndarray, fps: float) -> MotionTrack:
    """One keypoint goes along (N,) `values`, in x and in its Jacobian; the others stand still."""
    value = np.zeros((len(values), K, 2), np.float32)
    value[:, 0, 0] = values
    jacobian = np.broadcast_to(np.eye(2, dtype=np.float32), (len(values), K, 2, 2)).copy()
    jacobian[:, 0, 0, 1] = values
    return MotionTrack(value, jacobian, fps)


PIXEL = 1 / 128  # of 256
RATES = st.sampled_from([10.0, 23.976, 24.0, 25.0, 30.0, 50.0, 60.0, 120.0])


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


# Gaps.


@given(tracks().filter(lambda track: len(track) > 1), st.data())
def test_across_gaps_the_motion_goes_from_what_is_before_to_what_is_after(track, data):
    start = data.draw(st.integers(0, len(track) - 1))
    stop = data.draw(st.integers(start + 1, len(track)).filter(lambda stop: stop - start < len(track)))
    bridged = track.bridged([range(start, stop)])
    outside = [number for number in range(len(track)) if not start <= number < stop]
    for part, led in ((track.value, bridged.value), (track.jacobian, bridged.jacobian)):
        assert led.dtype == part.dtype
        assert (led[outside] == part[outside]).all()
        ends = part[[start - 1 if start else stop, stop if stop < len(track) else start - 1]]
        assert (led[start:stop] >= ends.min(0) - 1e-6).all()
        assert (led[start:stop] <= ends.max(0) + 1e-6).all()
    ends = np.linalg.det(track.jacobian[outside].astype(np.float64))
    assert (
        np.abs(np.linalg.det(bridged.jacobian.astype(np.float64))).min(0) >= np.abs(ends).min(0) / 2.01
    ).all()


def test_a_gap_begins_and_ends_slowly_and_the_ends_hold():
    track = lively(20)
    bridged = track.bridged([range(3), range(6, 14), range(17, 20)])
    assert (bridged.value[:3] == track.value[3]).all()
    assert (bridged.value[17:] == track.value[16]).all()
    way = np.linalg.norm(np.diff(bridged.value[5:15], axis=0), axis=-1)
    assert (way[[0, -1]] < 0.4 * way.max(0)).all()
    assert way.sum(0) == pytest.approx(np.linalg.norm(track.value[14] - track.value[5], axis=-1), rel=1e-4)


# Smoothing.


@given(tracks())
def test_no_smoothing_changes_nothing(track):
    assert track.smoothed(0) is track


@given(tracks(), st.floats(0.01, 5))
def test_any_track_can_be_smoothed(track, strength):
    smooth = track.smoothed(strength)
    assert smooth.value.shape == track.value.shape
    assert smooth.value.dtype == smooth.jacobian.dtype == np.float32
    assert np.isfinite(smooth.value).all()
    assert np.isfinite(smooth.jacobian).all()
    assert (np.linalg.det(smooth.jacobian) * np.linalg.det(track.jacobian) >= 0).all()


@pytest.mark.parametrize("fps", [25.0, 60.0])
@pytest.mark.parametrize("noise", [0.1, 0.3, 0.5])
def test_jitter_goes(fps, noise):
    rng = np.random.default_rng(3)
    n = round(4 * fps)
    value = (np.linspace(-0.5, 0.5, 2 * K).reshape(K, 2) + rng.normal(0, noise * PIXEL, (n, K, 2))).astype(
        np.float32
    )
    jacobian = (np.eye(2) + rng.normal(0, 0.01, (n, K, 2, 2))).astype(np.float32)
    smooth = MotionTrack(value, jacobian, fps).smoothed(1)
    assert smooth.value.std(0).max() < 0.45 * value.std(0).max()
    assert smooth.value.std(0).mean() <= 0.2 * PIXEL
    assert smooth.jacobian.std(0).mean() < 0.5 * jacobian.std(0).mean()


@given(RATES, st.floats(0.5, 5), st.integers(4, 60), st.floats(-0.02, 0.02))
def test_even_motion_does_not_lag_not_even_at_the_ends(fps, strength, n, speed):
    line = 0.3 + speed * np.arange(n)
    smooth = turning(line, fps).smoothed(strength)
    assert smooth.value[:, 0, 0] == pytest.approx(line, abs=1e-4)
    assert smooth.jacobian[:, 0, 0, 1] == pytest.approx(line, abs=1e-4)


@given(RATES, st.floats(0.5, 1), st.integers(0, 9))
def test_a_step_comes_when_it_came(fps, strength, seed):
    noise = np.random.default_rng(seed).normal(0, 0.3 * PIXEL, 60)
    step = 8 * PIXEL * (np.arange(60) >= 30)
    smooth = turning(step + noise, fps).smoothed(strength).value[:, 0, 0]
    assert np.flatnonzero(smooth > 4 * PIXEL)[0] == 30
    assert smooth[:30].max() < PIXEL
    assert smooth[30:].min() > 7 * PIXEL


@pytest.mark.parametrize("fps", [25.0, 60.0])
def test_a_blink_survives(fps):
    """A tenth of a second, three pixels, while all else stands still but for noise."""
    rng = np.random.default_rng(1)
    times = np.arange(round(2 * fps)) / fps
    blink = 3 * PIXEL * np.exp(-(((times - 1) / 0.05) ** 2))
    smooth = turning(blink + rng.normal(0, 0.1 * PIXEL, len(times)), fps).smoothed(1).value[:, 0, 0]
    assert smooth.max() > 0.9 * blink.max()
    assert abs(smooth.argmax() - blink.argmax()) <= 1


@pytest.mark.parametrize("fps", [50.0, 120.0])
def test_seconds_count_not_frames(fps):
    """A wobble of two a second, too small to be motion, is left as small at any rate."""

    def left(fps: float) -> float:
        wobble = 0.1 * PIXEL * np.sin(4 * np.pi * np.arange(round(4 * fps)) / fps)
        return turning(wobble, fps).smoothed(1).value[:, 0, 0].std() / wobble.std()

    assert left(25) < 0.6
    assert left(fps) == pytest.approx(left(25), rel=0.1)


# Retiming.


@given(tracks(), st.floats(1, 240))
def test_retimed_keeps_the_duration_and_what_can_be_inverted(track, other):
    retimed = track.retimed(other)
    assert retimed.fps == other
    assert len(retimed) == max(1, round(len(track) * other / track.fps))
    assert retimed.value.dtype == retimed.jacobian.dtype == np.float32
    assert (retimed.value[0] == track.value[0]).all()
    least = np.abs(np.linalg.det(track.jacobian.astype(np.float64))).min(0)
    assert (np.abs(np.linalg.det(retimed.jacobian.astype(np.float64))) >= least / 2 - 1e-4).all()


def test_the_own_rate_is_the_track():
    track = lively(5, fps=10)
    assert track.retimed(10) is track
    assert track.retimed(20).value[::2] == pytest.approx(track.value, abs=1e-6)


@pytest.mark.parametrize("other", [24.0, 30.0, 60.0, 120.0])
def test_the_curve_is_the_same_at_another_rate(other):
    def curve(times: np.ndarray) -> np.ndarray:
        return 0.4 * np.sin(2 * np.pi * 1.3 * times) + 0.1 * np.sin(2 * np.pi * 3 * times + 1)

    retimed = turning(curve(np.arange(75) / 25), 25).retimed(other)
    times = np.arange(len(retimed)) / other
    inside = times <= 74 / 25
    allowed = 0.01 * np.ptp(curve(times))
    assert retimed.value[inside, 0, 0] == pytest.approx(curve(times[inside]), abs=allowed)
    assert retimed.jacobian[inside, 0, 0, 1] == pytest.approx(curve(times[inside]), abs=allowed)


@given(st.integers(2, 40), RATES, RATES)
def test_no_frame_twice_and_none_left_out(n, fps, other):
    """What moves evenly moves evenly at any rate, up to the very last frame."""
    steps = np.diff(turning(np.arange(n) / fps, fps).retimed(other).value[:, 0, 0])
    assert steps == pytest.approx(1 / other, abs=1e-5)


@given(st.integers(0, 99), RATES, RATES, st.integers(1, 8))
def test_starts_and_stops_do_not_overshoot(seed, fps, other, length):
    levels = np.random.default_rng(seed).uniform(-1, 1, 5)
    steps = np.repeat(levels, length + 1)
    retimed = turning(steps, fps).retimed(other).value[:, 0, 0]
    assert retimed.max() <= levels.max() + 1e-6
    assert retimed.min() >= levels.min() - 1e-6


# Loops.


def differences(track: MotionTrack) -> tuple[np.ndarray, float]:
    """How far the farthest keypoint goes from frame to frame, and from the last to the first."""
    around = np.concatenate([track.value, track.value[:1]])
    *steps, closing = np.linalg.norm(np.diff(around.astype(float), axis=0), axis=-1).max(1)
    return np.array(steps), closing


@given(st.integers(1, 30))
def test_pingpong_shows_no_frame_twice_in_a_row(n):
    track = turning(np.arange(n) / n, 25).looped("pingpong")
    numbers = [*range(n), *range(n - 2, 0, -1)]
    assert track.value[:, 0, 0] == pytest.approx(np.array(numbers) / n)
    assert track.jacobian[:, 0, 0, 1] == pytest.approx(np.array(numbers) / n)


@given(st.integers(1, 120), RATES, st.integers(0, 9))
def test_a_seamless_loop_has_no_seam_and_begins_as_the_clip(n, fps, seed):
    rng = np.random.default_rng(seed)
    wander = np.cumsum(rng.normal(0, 0.02, n))
    track = turning(wander, fps)
    loop = track.looped("seamless")
    assert len(loop) == n
    kept = (n + 1) // 2
    assert (loop.value[:kept] == track.value[:kept]).all()
    steps, closing = differences(loop)
    assert closing <= max(steps, default=0) + 1e-6
    assert (np.linalg.det(loop.jacobian) > 0).all()


def test_a_loop_comes_back_without_a_rush():
    track = turning(np.linspace(0, 0.5, 100) + 0.02 * np.sin(np.arange(100)), 25)
    steps, closing = differences(track.looped("seamless"))
    assert closing > 0, "the first frame is not shown twice"
    assert steps.max() < 3 * differences(track)[0].max()


def test_no_loop_is_the_track():
    track = lively()
    assert track.looped("none") is track
