"""What the table of the motion track's measurements says, and that each row can fail."""

import json

import numpy as np
import pytest

from fomm_core.framing import WHOLE
from fomm_core.motion import MotionTrack
from tools import measure_track
from tools.measure_track import PIXEL, Row, jitter, loop, table


def track(values, fps: float = 25.0) -> MotionTrack:
    """One keypoint along `values`, in pixels of 256."""
    value = np.zeros((len(values), 1, 2), np.float32)
    value[:, 0, 0] = np.array(values) * PIXEL
    return MotionTrack(value, np.broadcast_to(np.eye(2, dtype=np.float32), (len(values), 1, 2, 2)), fps)


def test_jitter_is_the_keypoints_way_in_pixels():
    assert jitter(track([2, -2] * 10)) == pytest.approx(2)
    assert jitter(track([5] * 10)) == pytest.approx(0, abs=1e-5)


def test_the_loop_is_its_last_step_over_the_largest():
    assert loop(track([0, 1, 3, 4])) == pytest.approx(2)
    assert loop(track([0, 4, 3, 1])) == pytest.approx(0.25)


def test_a_filter_that_lags_is_found_out(monkeypatch):
    assert measure_track.lag(25.0) <= 2
    smoothed = MotionTrack.smoothed

    def late(self, strength):
        found = smoothed(self, strength)
        earlier = np.maximum(np.arange(len(self)) - 3, 0)
        return MotionTrack(found.value[earlier], found.jacobian, found.fps)

    monkeypatch.setattr(MotionTrack, "smoothed", late)
    assert measure_track.lag(25.0) == 3


@pytest.mark.parametrize("fps", measure_track.RATES)
def test_retiming_that_only_repeats_frames_is_found_out(fps, monkeypatch):
    assert measure_track.retiming(fps) < 1
    assert measure_track.evenness(fps) < 1

    def nearest(self, fps):
        numbers = np.arange(round(len(self) * fps / self.fps)) * self.fps / fps
        numbers = np.minimum(numbers.round().astype(int), len(self) - 1)
        return MotionTrack(self.value[numbers], self.jacobian[numbers], fps)

    monkeypatch.setattr(MotionTrack, "retimed", nearest)
    assert measure_track.retiming(fps) > 5
    assert measure_track.evenness(fps) > 50


def test_the_table_has_what_was_reached_beside_the_aim():
    lines = table([Row("jitter", 0.456, "px"), Row("loop", 0.5, "", 1)])
    assert lines[2:] == ["| jitter | 0.46 px |  |", "| loop | 0.50 | ≤ 1 |"]


class Detector:
    """Stands in for the model: one keypoint, as far to the right as the picture is bright, ten times over."""

    frame_size = 32

    def look(self, images):
        assert len(images) == 1
        return WHOLE

    def detect(self, images, square):
        assert square == WHOLE
        value = np.zeros((len(images), 1, 2), np.float32)
        value[:, 0, 0] = images.mean((1, 2, 3)) / 25.5 - 5
        return value, np.broadcast_to(np.eye(2, dtype=np.float32), (len(images), 1, 2, 2))


def test_the_whole_measurement_reaches_its_aims(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measure_track.regions, "around_sitter", lambda image: None)  # quicker
    monkeypatch.setattr(measure_track.models, "load", lambda name, config: name)
    monkeypatch.setattr(measure_track, "Animator", lambda model, device: Detector())
    assert measure_track.main(["--frames", "12", "--json", str(tmp_path / "all.json")]) == 0
    rows = json.loads((tmp_path / "all.json").read_text())
    assert len(capsys.readouterr().out.splitlines()) == len(rows) + 2
    assert sum(row["aim"] is not None for row in rows) == 11
    assert all(row["aim"] is None or row["reached"] <= row["aim"] for row in rows)
    raw, smooth = (row["reached"] for row in rows[:2])
    assert 0 < smooth < raw


def test_what_cannot_be_measured_is_said_in_a_sentence(tmp_path, capsys):
    assert measure_track.main(["--model", str(tmp_path / "no.safetensors")]) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
