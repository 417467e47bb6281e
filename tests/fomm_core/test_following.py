"""A driving head that goes further than a painting's can: the square follows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fomm_core import driving, explain, faces, following, media, models, protocol, regions
from fomm_core.animator import Animator
from fomm_core.control import Cancelled
from fomm_core.faces import Probe
from fomm_core.fitting import Framed
from fomm_core.following import Way
from fomm_core.heads import Head
from fomm_core.motion import MotionTrack
from fomm_core.regions import Region
from tests.fomm_core.toy_head import FACE, HEAD

EXAMPLES = Path(__file__).parents[2] / "examples"
RATE = 12.5
# Across a wide picture and back, from edge to edge.
WALKS = "[0][1]overlay=x='320+320*sin(PI*t/2)':y=80:shortest=1"


@pytest.fixture(scope="module")
def starter() -> Animator:
    return Animator(models.load("starter"), "cpu")


def of_frames(*moved: np.ndarray) -> np.ndarray:
    """(F,K,2): the face at rest, and as in each."""
    return np.stack([FACE, *moved]).astype(np.float32)


def test_a_head_that_sits_is_not_followed():
    assert not following.wanders(HEAD, of_frames(FACE + np.array([0.15, 0.05]), 1.1 * FACE))


@pytest.mark.parametrize(
    "moved",
    [FACE + np.array([0.9, 0]), FACE - np.array([0, 0.9]), 1.5 * FACE, FACE[::-1]],
    ids=["aside", "up", "nearer", "lost"],
)
def test_a_head_that_goes_far_is(moved):
    assert following.wanders(HEAD, of_frames(FACE, moved))


def test_a_head_that_is_never_seen_is_looked_for():
    assert following.wanders(HEAD, np.random.default_rng(0).normal(0, 1, (5, *FACE.shape)).astype(np.float32))


@given(
    st.lists(st.tuples(*[st.floats(-50, 500)] * 2, st.floats(20, 400)), min_size=1, max_size=5),
    st.integers(0, 60),
)
def test_keypoints_are_placed_in_the_squares_wherever_the_region_stops(squares, number):
    """A point of the picture is the same, by what is seen of it or by the square that follows."""
    way = Way(np.arange(len(squares)) / 2, np.array(squares), 25.0, (300, 200))
    seen = way.region(number / 25)
    assert seen.w == seen.h <= 200
    assert (min(seen[:2]) >= 0, seen.x + seen.w <= 300, seen.y + seen.h <= 200) == (True,) * 3
    value = np.random.default_rng(number).uniform(-1, 1, (1, 7, 2))
    points = np.array(seen[:2]) + (1 + value[0]) / 2 * seen.w
    moved, turned = way.placed(value, np.ones((1, 7, 2, 2)), number)
    x, y, side = way.at(number / 25)
    assert points == pytest.approx([x, y] + moved[0] * side / 2)
    assert turned == pytest.approx(seen.w / side)


def test_the_way_is_steady_and_goes_on_at_its_ends():
    seconds = np.arange(40) / following.PER_SECOND

    def straight(seconds: np.ndarray) -> np.ndarray:
        return np.stack([100 * seconds, 50 - 20 * seconds, np.full(len(seconds), 90.0)], axis=1)

    line = straight(seconds)
    trembling = line + np.random.default_rng(1).normal(0, 4, line.shape)
    times, steady = following._smooth(seconds, trembling)
    assert np.abs(steady - straight(times)).max() < 6
    assert times[0] < 0 < seconds[-1] < times[-1]
    assert np.ptp(steady[:, 2]) == 0
    growing = line * [1, 1, 0] + [0, 0, 1] * np.linspace(60, 140, 40)[:, None]
    assert following._smooth(seconds, growing)[1][[0, -1], 2] == pytest.approx([60, 140], rel=0.05)


def test_one_look_is_a_way():
    times, steady = following._smooth(np.array([1.3]), np.array([[5.0, 6.0, 7.0]]))
    assert steady == pytest.approx(np.array([[5, 6, 7]] * len(times)))
    assert Way(times, steady, 25.0, (100, 100)).at(9.0) == pytest.approx(Framed(5, 6, 7))


def walking(folder: Path, ffmpeg) -> tuple[Path, Path]:
    """Our clip, and the same in a picture that it walks through."""
    still, walks = folder / "still.mp4", folder / "walks.mp4"
    ffmpeg("-i", EXAMPLES / "driving.mp4", "-r", RATE, "-crf", 12, still)
    wide = ("-f", "lavfi", "-i", f"color=0x989898:s=960x400:r={RATE}")
    ffmpeg(*wide, "-i", still, "-filter_complex", WALKS, "-t", 4, "-crf", 12, walks)
    return still, walks


def turns(head: Head, track: MotionTrack) -> np.ndarray:
    """(N,3): yaw, pitch and how far apart the lips are."""
    poses = head.poses(track.value)
    upper, lower = head.lips
    yaw, pitch = (poses.rotation[:, i, 2] for i in (0, 1))
    return np.stack([yaw, pitch, poses.own[:, upper, 1] - poses.own[:, lower, 1]], axis=1)


@pytest.mark.parametrize("cascade", [True, False], ids=["seen by the cascade", "by keypoints alone"])
def test_who_walks_moves_as_who_sits(cascade, tmp_path, ffmpeg, starter, events, monkeypatch):
    still, walks = walking(tmp_path, ffmpeg)
    seated = driving.detect(still, starter, events.control())
    if not cascade:
        monkeypatch.setattr(regions, "find_face", lambda frame: None)
        monkeypatch.setattr(driving, "DETECTION", "without")  # not the track that is kept
    walked = driving.detect(walks, starter, events.control())
    assert seated.provenance["region"].count(";") == 0
    assert walked.provenance["region"].count(";") == len(walked) - 1
    n = min(len(seated), len(walked))
    one, other = turns(starter.head, seated)[:n], turns(starter.head, walked)[:n]
    for part, another in zip(one.T, other.T):
        assert np.corrcoef(part, another)[0, 1] > 0.97
        assert another.std() == pytest.approx(part.std(), rel=0.2)
    # What the head does by itself is left; the way across the picture is not.
    place = starter.head.poses(walked.value).place
    assert np.ptp(place, axis=0).max() < 0.3
    assert not events.of(protocol.Warning)


def test_a_given_region_follows_nobody(tmp_path, ffmpeg, starter, events):
    _, walks = walking(tmp_path, ffmpeg)
    track = driving.detect(walks, starter, events.control(), "280,0,400,400")
    assert track.provenance["region"] == "280,0,400,400"


def test_explained_is_what_the_square_shows(tmp_path, ffmpeg, starter, events):
    """The head is where the keypoints are, in the middle, in a frame at the end of its way."""
    _, walks = walking(tmp_path, ffmpeg)
    request = protocol.Job(str(EXAMPLES / "painting.jpg"), str(walks), str(tmp_path / "look.png"), end=1.5)
    explain.run(request, events.control(), frame=12)
    track = driving.detect(walks, starter, events.control(), end=1.5)
    square = Region(*map(int, track.provenance["region"].split(";")[12].split(",")))
    assert square.x > 480
    frame = list(media.VideoReader(walks))[12]
    look = np.asarray(Image.open(tmp_path / "look.png"))
    crop = Image.fromarray(regions.crop(frame, square)).resize((256, 256))
    shown = [look[y : y + 256, x : x + 256] for y in range(0, 120) for x in range(240, 300)]
    nearest = min(np.abs(part[:60].astype(float) - np.asarray(crop)[:60]).mean() for part in shown)
    assert nearest < 3


def test_without_a_face_or_a_head_nothing_is_followed(clip, starter, monkeypatch):
    reader = media.VideoReader(clip(9, 64, 64))
    assert following.way(reader, [Probe(0.0, None)], starter, lambda: None) is None
    assert following.way(reader, [Probe(0.0, Region(10, 10, 30, 30))], starter, lambda: None) is None


def test_following_can_be_stopped(tmp_path, ffmpeg, starter):
    _, walks = walking(tmp_path, ffmpeg)
    looks = []

    def check() -> None:
        looks.append(1)
        if len(looks) == 3:
            raise Cancelled

    probes = faces.probes(media.VideoReader(walks), lambda: None)
    with pytest.raises(Cancelled):
        following.way(media.VideoReader(walks), probes, starter, check)
    assert len(looks) == 3
