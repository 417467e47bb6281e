"""The driving motion: which part of the clip, what is wrong with it, and tracks that were detected before."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fomm_core import driving, faces, media, models, protocol, regions, track_cache
from fomm_core.animator import Animator
from fomm_core.control import Cancelled
from fomm_core.driving import oddities
from fomm_core.errors import UserError
from fomm_core.faces import Probe, region_of
from fomm_core.motion import MotionTrack
from fomm_core.regions import Region
from tests.fomm_core.toy_motion import lively


@pytest.fixture
def animator(model_file) -> Animator:
    return Animator(models.load(str(model_file)), "cpu")


@pytest.fixture
def decoded(monkeypatch) -> list[Path]:
    """The videos that were decoded."""
    found = []
    play = media.VideoReader.__iter__

    def note(reader):
        found.append(reader.path)
        return play(reader)

    monkeypatch.setattr(media.VideoReader, "__iter__", note)
    return found


def same(one: MotionTrack, other: MotionTrack) -> bool:
    return (one.value == other.value).all() and (one.jacobian == other.jacobian).all()


# Which part of the clip.


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 300), st.integers(90, 110)), min_size=1, max_size=9
    )
)
def test_the_region_holds_the_face_wherever_it_goes(faces):
    probes = [Probe(float(i), Region(x, y, side, side)) for i, (x, y, side) in enumerate(faces)]
    region = region_of([*probes, Probe(99.0, None)], 600, 500)
    assert region.w == region.h
    assert (region.x >= 0, region.y >= 0, region.x + region.w <= 600, region.y + region.h <= 500) == (
        True,
    ) * 4
    spread = max(max(p.face[i] for p in probes) - min(p.face[i] for p in probes) for i in (0, 1))
    if spread < 50:
        for _, face in probes:
            assert region.x <= face.x < face.x + face.w <= region.x + region.w
            assert region.y <= face.y < face.y + face.h <= region.y + region.h


def test_a_face_that_moves_about_gets_a_larger_region():
    still = [Probe(i, Region(250, 200, 100, 100)) for i in (0, 1, 2)]
    moving = [Probe(i, Region(200 + 50 * i, 200, 100, 100)) for i in (0, 1, 2)]
    assert region_of(still, 2000, 2000).w == round(100 * regions.ROOM)
    assert region_of(moving, 2000, 2000).w == round(200 * regions.ROOM)


def test_a_false_hit_does_not_count():
    face = Region(100, 100, 100, 100)
    probes = [Probe(0.0, face), Probe(1.0, Region(500, 20, 30, 30)), Probe(2.0, face)]
    assert region_of(probes, 2000, 2000) == region_of(probes[::2], 2000, 2000)
    assert region_of([Probe(0.0, None)], 2000, 2000) is None


@pytest.mark.parametrize(
    ("seen", "looks"),
    [
        (lambda looks: Region(10, 10, 30, 30), faces.FEW),
        (lambda looks: Region(10, 10, 30, 30) if looks > 1 else None, faces.MORE),
        (lambda looks: Region(5 + 9 * looks, 10, 30, 30), faces.MORE),
    ],
    ids=["at rest", "missed at first", "on the move"],
)
def test_the_clip_is_looked_at_more_often_where_that_is_needed(
    seen, looks, clip, animator, events, monkeypatch
):
    looked = []

    def look(image):
        looked.append(image)
        return seen(len(looked))

    monkeypatch.setattr(regions, "find_face", look)
    track = driving.detect(clip(50, 100, 80), animator, events.control())
    assert len(looked) == looks
    assert len({image.tobytes() for image in looked}) > 1, "not one frame again and again"
    x, y, w, h = map(int, track.provenance["region"].split(","))
    assert (x >= 0, y >= 0, x + w <= 100, y + h <= 80, w == h) == (True,) * 5


# What is wrong with a clip.


def scenes(*lengths: int) -> np.ndarray:
    """Thumbnails of pictures that change a little from frame to frame, and wholly after each of the lengths."""
    rng = np.random.default_rng(2)
    pictures = rng.uniform(0, 255, (len(lengths), 16, 16)).repeat(lengths, axis=0)
    return pictures + rng.normal(0, 3, pictures.shape)


FACE = Region(100, 100, 100, 100)


def test_a_cut_is_told_with_its_time():
    (said,) = oddities(scenes(30, 20, 25), 25, [], start=1.0)
    assert said.startswith("cuts to another picture at 2.2 s, 3.0 s: ")
    (said,) = oddities(scenes(*[5] * 12), 25, [])
    assert said.count(" s, ") == driving.TOLD - 1
    assert "and later" in said


def test_what_is_no_cut():
    assert oddities(scenes(40), 25, []) == []
    assert oddities(np.random.default_rng(0).normal(5, 2, (40, 16, 16)), 25, []) == [], "noise in the dark"
    fade = scenes(40) * np.linspace(1, 0, 40)[:, None, None]
    assert oddities(fade, 25, []) == []


def test_a_lost_face_is_told_with_its_time():
    probes = [Probe(i / 2, FACE if i < 3 else None) for i in range(6)]
    clip = scenes(38, 42)
    said = oddities(clip, 25, probes, start=2.0)
    assert len(said) == 2
    assert said[1].startswith("shows no face at 3.5 s: ")


def test_what_the_cascade_misses_is_not_lost():
    """A probe without a face means little while the picture is like those with one."""
    probes = [Probe(i / 2, FACE if i < 3 else None) for i in range(6)]
    assert oddities(scenes(80), 25, probes) == []
    now_and_then = [Probe(i / 2, None if i % 2 else FACE) for i in range(6)]
    assert len(oddities(scenes(38, 42), 25, now_and_then)) == 1, "the cut"


def test_a_real_cut_is_warned_of_now_and_from_the_cache(tmp_path, clip, ffmpeg, animator, events, decoded):
    one = clip(12)
    other = tmp_path / "other.mp4"
    ffmpeg("-i", one, "-vf", "negate,transpose", "-pix_fmt", "yuv444p", other)
    both = tmp_path / "both.mp4"
    ffmpeg("-i", one, "-i", other, "-filter_complex", "concat", "-pix_fmt", "yuv444p", both)
    for times in (1, 2):
        driving.detect(both, animator, events.control(), "full")
        said = [event.sentence for event in events.of(protocol.Warning)]
        assert len(said) == times
        assert said[-1].startswith("The driving video both.mp4 cuts to another picture at 0.5 s: ")
    assert decoded == [both]


# Tracks that were detected before.


def test_no_video_is_looked_at_twice(clip, tmp_path, animator, events, decoded):
    video = clip(6)
    track = driving.detect(video, animator, events.control(), "full")
    again = driving.detect(video.rename(tmp_path / "renamed.mp4"), animator, events.control(), "full")
    assert len(decoded) == 1
    assert same(track, again)
    assert again.provenance == {**track.provenance, "video": "renamed.mp4"}


@pytest.mark.parametrize("change", ["region", "start", "end", "video", "model", "detection"])
def test_what_matters_is_looked_at_anew(change, clip, animator, events, decoded, monkeypatch):
    video = clip(8)
    driving.detect(video, animator, events.control(), "full")
    arguments = {"region_text": "full", "start": 0, "end": None}
    if change == "video":
        clip(7)
    elif change == "model":
        animator.metadata["motion_sha256"] = "another"
    elif change == "detection":
        monkeypatch.setattr(driving, "DETECTION", driving.DETECTION + 1)
    else:
        arguments.update(
            {"region": {"region_text": "0,0,40,40"}, "start": {"start": 0.1}, "end": {"end": 0.2}}[change]
        )
    driving.detect(video, animator, events.control(), **arguments)
    assert len(decoded) == 2


def test_a_tuned_model_moves_as_the_one_it_comes_from(clip, animator, events, decoded):
    video = clip(4)
    driving.detect(video, animator, events.control(), "full")
    about = animator.metadata
    about["motion_sha256"], about["sha256"] = about["sha256"], "of the tuned one"
    assert (
        driving.detect(video, animator, events.control(), "full").provenance["model_sha256"]
        == about["sha256"]
    )
    assert len(decoded) == 1


@pytest.mark.parametrize("damage", [b"", b"no track", None])
def test_a_damaged_entry_is_replaced(damage, clip, animator, events, decoded, track_cache_folder):
    video = clip(4)
    track = driving.detect(video, animator, events.control(), "full")
    (entry,) = track_cache_folder.iterdir()
    entry.write_bytes(entry.read_bytes()[:-40] if damage is None else damage)
    assert same(driving.detect(video, animator, events.control(), "full"), track)
    assert same(MotionTrack.load(entry), track)
    driving.detect(video, animator, events.control(), "full")
    assert len(decoded) == 2


def test_a_cache_that_cannot_be_written_fails_nothing(clip, animator, events, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VANGOGH_CACHE", str(tmp_path / "file" / "tracks"))
    assert len(driving.detect(clip(3), animator, events.control(), "full")) == 3


@pytest.mark.parametrize("small_disk", ["8k"], indirect=True)
def test_a_full_disk_fails_nothing(small_disk, monkeypatch):
    monkeypatch.setenv("VANGOGH_CACHE", str(small_disk))
    track_cache.keep("0" * 64, lively(2000))
    assert track_cache.look_up("0" * 64) is None
    assert list(small_disk.iterdir()) == []


def test_the_oldest_go_first_and_what_is_not_ours_stays(track_cache_folder, monkeypatch):
    names = [track_cache.name_of(number=i) for i in range(4)]
    (track_cache_folder / "thesis.npz").write_bytes(b"0" * 10**5)
    for age, name in enumerate(names[:3]):
        track_cache.keep(name, lively(50))
        os.utime(track_cache_folder / f"{name}.npz", (1000 + age, 1000 + age))
    size = (track_cache_folder / f"{names[0]}.npz").stat().st_size
    monkeypatch.setattr(track_cache, "LARGEST", 3 * size + 100)
    assert track_cache.look_up(names[0]) is not None  # used just now
    track_cache.keep(names[3], lively(50))
    kept = [track_cache.look_up(name) is not None for name in names]
    assert kept == [True, False, True, True]
    assert (track_cache_folder / "thesis.npz").is_file()


def test_a_stopped_detection_is_not_kept(clip, animator, events, track_cache_folder):
    events.stop_at = lambda event: isinstance(event, protocol.Progress)
    with pytest.raises(Cancelled):
        driving.detect(clip(5), animator, events.control(), "full")
    assert list(track_cache_folder.iterdir()) == []


def test_where_the_users_cache_is(monkeypatch, tmp_path):
    monkeypatch.delenv("VANGOGH_CACHE")
    for system, variable in (("linux", "XDG_CACHE_HOME"), ("win32", "LOCALAPPDATA")):
        monkeypatch.setattr(sys, "platform", system)
        monkeypatch.setenv(variable, str(tmp_path))
        assert track_cache.folder() == tmp_path / "vangogh_says_hello" / "tracks"


# What a job reads.


@pytest.mark.parametrize(
    ("changes", "plain", "expected"),
    [
        ({}, True, lambda track: track),
        ({}, False, lambda track: track.smoothed(1)),
        ({"smooth": 2.0}, True, lambda track: track.smoothed(2)),
        ({"smooth": 0.0}, False, lambda track: track),
        ({"smooth": 0.5, "fps": 30.0}, False, lambda track: track.smoothed(0.5).retimed(30)),
        ({"loop": "pingpong", "fps": 10.0}, True, lambda track: track.retimed(10).looped("pingpong")),
        ({"loop": "seamless"}, False, lambda track: track.smoothed(1).looped("seamless")),
    ],
)
def test_smoothed_then_retimed_then_looped(
    changes, plain, expected, request_of, clip, animator, events, tmp_path
):
    video = clip(9)
    whole = driving.detect(video, animator, events.control(), "full")
    found = driving.read(request_of(video, **changes), animator, events.control(), None, plain)
    assert same(found, expected(whole))
    whole.save(tmp_path / "saved.npz")
    found = driving.read(
        request_of(tmp_path / "saved.npz", **changes), animator, events.control(), None, plain
    )
    assert same(found, expected(whole))


def test_what_a_track_knows_is_told(request_of, animator, events, tmp_path):
    about = {"model_sha256": animator.metadata["sha256"], "warnings": "It cuts.\nIt is lost."}
    MotionTrack(lively(3).value, lively(3).jacobian, 25.0, about).save(tmp_path / "saved.npz")
    driving.read(request_of(tmp_path / "saved.npz"), animator, events.control(), None, True)
    assert [event.sentence for event in events.of(protocol.Warning)] == ["It cuts.", "It is lost."]


def test_an_earlier_runs_motion_is_taken_as_it_is(request_of, clip, animator, events, tmp_path, decoded):
    lively(5).save(tmp_path / "motion.npz")
    job = request_of(clip(3), fps=50.0, loop="pingpong")
    assert same(driving.read(job, animator, events.control(), tmp_path, False), lively(5))
    assert not decoded


@pytest.mark.parametrize("start", [1.0, 100.0])
def test_a_start_past_the_end_gets_a_sentence(start, clip, animator, events, track_cache_folder):
    with pytest.raises(UserError):
        driving.detect(clip(5), animator, events.control(), "full", start=start)
    assert list(track_cache_folder.iterdir()) == []


def test_what_measures_finds_no_track_of_an_earlier_job(monkeypatch):
    monkeypatch.setenv("VANGOGH_CACHE", "the user's")
    with track_cache.apart():
        first = os.environ["VANGOGH_CACHE"]
    with track_cache.apart():
        assert os.environ["VANGOGH_CACHE"] not in (first, "the user's")
    assert os.environ["VANGOGH_CACHE"] == "the user's"
