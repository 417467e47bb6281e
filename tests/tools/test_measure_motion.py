"""What counts as following, the table and the grid, and a whole measurement of our own painting and clip."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tools import measure_motion
from tools.measure_motion import CELL, LOST, MOVES, Agreement, Measurement, agreement

ROOT = Path(__file__).resolve().parents[2]


def signal(seed: int = 0, count: int = 50) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.2, count)


@given(st.integers(0, 99), st.floats(0.05, 3), st.floats(-1, 1), st.sampled_from([1, -1]))
def test_gain_and_sign_of_what_follows(seed, gain, shift, sign):
    clip = signal(seed)
    found = agreement(clip, sign * gain * clip + shift, 0.03)
    assert found.counts
    assert (found.correlation, found.gain) == (pytest.approx(sign), pytest.approx(gain))


def test_correlation_is_pearsons():
    clip, result = signal(1), signal(1) + signal(2)
    found = agreement(clip, result, 0.03)
    assert found.correlation == pytest.approx(np.corrcoef(clip, result)[0, 1])
    assert found.gain == pytest.approx(result.std() / clip.std())


def test_a_clip_that_stands_still_does_not_count():
    clip = signal() / signal().std()
    assert agreement(0.031 * clip, clip, 0.03).counts
    still = agreement(0.029 * clip, clip, 0.03)
    assert still == Agreement(pytest.approx(0.029), False, None, None)


def test_a_result_that_stands_still_follows_nothing():
    found = agreement(signal(), np.full(50, 0.4), 0.03)
    assert (found.counts, found.correlation, found.gain) == (True, 0.0, 0.0)


def test_frames_without_a_face_are_left_out_on_either_side():
    clip, result = signal(3), 0.5 * signal(3)
    clip[:4], result[10:20] = np.nan, np.nan
    found = agreement(clip, result, 0.03)
    assert (found.correlation, found.gain) == (pytest.approx(1), pytest.approx(0.5))
    assert found.spread == pytest.approx(signal(3)[4:].std())
    lost = agreement(clip, np.full(50, np.nan), 0.03)
    assert (lost.counts, lost.correlation) == (True, None)
    assert not agreement(np.full(50, np.nan), result, 0.03).counts


def test_the_table_names_what_is_worst():
    def measurement(clip: str, correlation: float, gain: float, lost: list[int]) -> Measurement:
        moving = Agreement(0.1, True, correlation, gain)
        others = {"pitch": Agreement(0.01, False), "roll": Agreement(0.1, True), "mouth": moving}
        others["eyes"] = Agreement(0.1, True, correlation, gain)
        return Measurement("girl", clip, 40, lost, 0.98, {"yaw": moving, **others})

    *_, one, other, worst = measure_motion.table(
        [measurement("calm", 0.91, 0.8, []), measurement("lively", 0.72, 1.3, [3, 4])]
    )
    assert one == "| girl | calm | 40 | 0 | 0.91 / 0.80 | still | lost | 0.91 / 0.80 | 0.91 / 0.80 | 0.980 |"
    assert "| 40 | 2 | 0.72 / 1.30 |" in other
    extremes = "0.72 / 0.80 to 1.30"
    assert worst == f"| **worst** | | 80 | 2 | {extremes} | – | – | {extremes} | {extremes} | 0.980 |"


def test_the_grid_shows_moments_from_first_to_last_and_what_is_lost():
    driving = [np.full((60, 80, 3), 10 * i, np.uint8) for i in range(22)]
    result = [np.full((50, 50, 3), 255 - 10 * i, np.uint8) for i in range(22)]
    picture = np.asarray(measure_motion.grid(driving, result, np.arange(22) == 21))
    assert picture.shape == (2 * CELL, measure_motion.COLUMNS * CELL, 3)
    middles = picture[:, CELL // 2 :: CELL][CELL // 2 :: CELL, :, 0]
    expected = np.linspace(0, 210, measure_motion.COLUMNS).round(-1)
    assert np.array_equal(middles, [expected, 255 - expected])
    assert tuple(picture[-1, -1]) == LOST
    assert tuple(picture[CELL, 0]) == (255, 255, 255)


def test_our_own_painting_and_clip(tmp_path, capsys, monkeypatch):
    """The shipped model on six frames, all the way from files to table, JSON and grid."""
    pytest.importorskip(
        "mediapipe", reason="the face tracker (mediapipe) is not installed", exc_type=ImportError
    )
    media, output = tmp_path / "media", tmp_path / "output"
    media.mkdir()
    for name in ("painting.jpg", "driving.mp4"):
        shutil.copy(ROOT / "examples" / name, media)
    arguments = ["--media", media, "--output", output, "--json", tmp_path / "all.json", "--frames", "6"]
    arguments += ["--start", "1.4", "--end", "1.8", "--side", "128", "--reference-frame", "first"]
    arguments += ["--driving-region", "full"]  # quicker than looking for the face
    monkeypatch.setenv("VANGOGH_CACHE", str(tmp_path / "tracks"))
    assert measure_motion.main([str(argument) for argument in arguments]) == 0
    assert not (tmp_path / "tracks").exists(), "no track that was kept is measured, and none is left"
    assert "| painting | driving | 5 | 0 |" in capsys.readouterr().out
    written = json.loads((tmp_path / "all.json").read_text())
    (found,) = written["measurements"]
    assert written["settings"]["reference_frame"] == "first"
    assert found["first_frame"] > 0.97
    assert list(found["quantities"]) == list(MOVES)
    assert found["quantities"]["yaw"]["correlation"] > 0.9  # the clip turns its head in that time
    with Image.open(output / "painting--driving.jpg") as grid:
        assert grid.size == (5 * CELL, 2 * CELL)


@pytest.mark.parametrize(
    ("files", "more", "sentence"),
    [
        (None, [], "is no folder"),
        (["a.jpg"], [], "There is no clip in"),
        (["a.mp4"], [], "There is no painting in"),
        (["a.mp4", "a.jpg"], [], "holds nothing that can be played"),
        (["a.mp4", "a.jpg"], ["--frames", "0"], "0 frames show no motion"),
        (["a.mp4", "a.jpg"], ["--size", "300"], "are chosen by this tool"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_sentence(files, more, sentence, tmp_path, capsys):
    folder = tmp_path / "media"
    if files is not None:
        folder.mkdir()
        for name in files:
            (folder / name).write_text("no picture")
    assert measure_motion.main(["--media", str(folder), "--output", str(tmp_path / "out"), *more]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert sentence in line
    assert not (tmp_path / "out").exists()


def test_an_option_that_neither_knows_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        measure_motion.main(["--media", str(tmp_path), "--output", str(tmp_path), "--strenght", "1"])
    assert stop.value.code == 2
    assert "--strenght" in capsys.readouterr().err
