"""Frames of a driving clip that show no face."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fomm_core import driving, gaps, models, protocol
from fomm_core.animator import Animator
from fomm_core.heads import SURELY
from tests.fomm_core.toy_head import FACE, HEAD

EXAMPLES = Path(__file__).parents[2] / "examples"
FPS = 25.0
MARGIN = 2  # frames at that rate


def clip(frames: int, *lost: range) -> np.ndarray:
    """(N,K,2) keypoints of a head that is lost now and then."""
    value = np.repeat(FACE[None], frames, axis=0)
    for gap in lost:
        value[gap.start : gap.stop] = FACE[::-1]
    return value


def pictures(frames: int, *empty: range) -> np.ndarray:
    small = np.random.default_rng(0).integers(0, 256, (frames, 16, 16)).astype(np.uint8)
    for gap in empty:
        small[gap.start : gap.stop] = 200
    return small


def test_a_clip_that_shows_its_face_has_no_gap():
    assert gaps.hidden(HEAD, clip(9), pictures(9), FPS) == []


def test_a_gap_is_a_little_longer_than_the_face_is_hidden():
    found = gaps.hidden(HEAD, clip(50, range(20, 25)), pictures(50, range(40, 43)), FPS)
    assert found == [range(20 - MARGIN, 25 + MARGIN), range(40 - MARGIN, 43 + MARGIN)]


def test_an_unusual_face_is_not_hidden():
    """A face whose landmarks all lie a little further away than a head's, sometimes, is seen all the same."""
    rng = np.random.default_rng(4)
    own = rng.normal(0, 1, FACE.shape)
    value = np.stack([FACE + share * own for share in np.linspace(0.035, 0.055, 40)]).astype(np.float32)
    away = HEAD.away(value)
    assert away.min() < SURELY < away.max()
    assert gaps.hidden(HEAD, value, pictures(40), FPS) == []
    value[20:25] = FACE[::-1]
    assert gaps.hidden(HEAD, value, pictures(40), FPS) == [range(18, 27)]


def test_gaps_that_meet_are_one():
    assert gaps.hidden(HEAD, clip(50, range(20, 22), range(26, 30)), pictures(50), FPS) == [range(18, 32)]


def test_a_clip_begins_or_ends_without_a_face():
    found = gaps.hidden(HEAD, clip(50, range(4), range(45, 50)), pictures(50), FPS)
    assert found == [range(6), range(43, 50)]


@given(st.sets(st.integers(0, 29)))
def test_a_gap_is_never_all_there_is_and_holds_all_that_is_lost(lost):
    found = gaps.hidden(HEAD, clip(30, *(range(n, n + 1) for n in lost)), pictures(30), FPS)
    inside = [number for gap in found for number in gap]
    assert len(inside) < 30
    assert sorted(set(inside)) == inside
    if found:
        assert lost <= set(inside)
    for one, other in pairwise(found):
        assert one.stop < other.start


def test_each_gap_is_told_by_where_it_is():
    assert gaps.told(range(5), 50, FPS, 1.0).startswith("shows no face before 1.2 s: ")
    assert gaps.told(range(40, 50), 50, FPS, 0.0).startswith("shows no face from 1.6 s on: ")
    assert gaps.told(range(10, 20), 50, FPS, 0.0).startswith("hides the face from 0.4 s to 0.8 s: ")


def test_of_a_gap_no_cut_and_no_lost_face_is_told_besides():
    rng = np.random.default_rng(2)
    small = rng.uniform(0, 255, (3, 16, 16)).repeat([20, 15, 15], axis=0)
    assert len(driving.oddities(small, FPS, [])) == 1
    (said,) = driving.oddities(small, FPS, [], hidden=[range(18, 35)])
    assert said.startswith("hides the face")
    assert driving.oddities(small, FPS, [], hidden=[range(18, 22), range(34, 36)]) == [], (
        "too short to notice"
    )


@pytest.fixture(scope="module")
def starter() -> Animator:
    return Animator(models.load("starter"), "cpu")


def steps(value: np.ndarray) -> np.ndarray:
    """(N-1,): how far keypoints go from frame to frame, in pixels of 256."""
    return 128 * np.linalg.norm(np.diff(value, axis=0), axis=-1).mean(1)


@pytest.mark.parametrize(
    ("covered", "told"),
    [
        ("drawbox=x=80:y=60:w=160:h=200:color=0xbe8c6e:t=fill:enable='between(t,2,2.4)'", "hides the face from"),
        ("drawbox=color=black:t=fill:enable='lt(t,0.5)'", "shows no face before"),
        ("drawbox=color=white:t=fill:enable='gt(t,3.5)'", "shows no face from"),
    ],
    ids=["a hand", "a black beginning", "a white end"],
)  # fmt: skip
def test_a_face_that_is_hidden_moves_no_painting(covered, told, tmp_path, ffmpeg, starter, events):
    video = tmp_path / "hidden.mp4"
    ffmpeg("-i", EXAMPLES / "driving.mp4", "-vf", covered, "-r", FPS, "-crf", 15, video)
    seen = driving.detect(EXAMPLES / "driving.mp4", starter, events.control())
    track = driving.detect(video, starter, events.control())
    assert steps(track.value).max() < 1.1 * steps(seen.value).max()
    (warning,) = events.of(protocol.Warning)
    assert warning.sentence.startswith(f"The driving video hidden.mp4 {told}")
