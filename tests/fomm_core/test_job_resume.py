"""Jobs that are cut off, resumed, stopped, or started anew in the same folder."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
from PIL import Image

from fomm_core import faces, job, protocol, regions
from fomm_core.control import Cancelled
from fomm_core.errors import UserError
from tests.fomm_core.job_output import pixels, same, snapshot


def cut_off(request, events, after=4) -> None:
    events.stop_at = lambda event: isinstance(event, protocol.Frame) and event.index == after
    control = events.control()
    with pytest.raises(Cancelled):
        job.run(request, control)
    assert control.frames == len(list((Path(request.output) / "frames").iterdir()))
    assert after <= control.frames < 12
    events.stop_at = lambda event: False
    events.stopped = False
    events.clear()


def test_a_job_cut_off_resumes_with_equal_frames(whole, request_of, events, written_frames):
    video, expected = whole
    request = request_of(video)
    cut_off(request, events)
    kept = snapshot(Path(request.output) / "frames")
    times = {p: p.stat().st_mtime_ns for p in (Path(request.output) / "frames").iterdir()}
    job.run(dataclasses.replace(request, resume=True), events.control())
    assert same(pixels(written_frames(Path(request.output))), expected)
    assert [e.index for e in events.of(protocol.Frame)] == list(range(len(kept) + 1, 13))
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    assert not [e for e in events.of(protocol.Progress) if e.stage == "motion"], "its motion was kept"


def test_what_a_killed_job_left_is_cleared_up(whole, request_of, events, written_frames):
    video, expected = whole
    request = request_of(video)
    cut_off(request, events)
    frames = Path(request.output) / "frames"
    (frames / ".0005.4711.tmp.png").write_bytes(b"half")
    (frames.parent / ".motion.4711.tmp.npz").write_bytes(b"half")
    (frames / "0002.png").unlink()
    (frames.parent / "motion.npz").write_bytes(b"damaged")
    job.run(dataclasses.replace(request, resume=True), events.control())
    assert same(pixels(written_frames(Path(request.output))), expected)
    assert sorted(p.name for p in frames.parent.iterdir()) == ["frames", "job.json", "motion.npz"]


def test_a_finished_job_resumed_does_nothing_again(whole, request_of, events, tmp_path):
    video, _ = whole
    before = snapshot(tmp_path / "whole" / "frames")
    request = request_of(video, output=str(tmp_path / "whole"), resume=True)
    assert job.run(request, events.control()).frames == 12
    assert not events.of(protocol.Frame)
    assert snapshot(tmp_path / "whole" / "frames") == before


DIFFERENT = {
    "strength": {"strength": 0.5},
    "part": {"end": 0.3},
    "region": {"region": "0,0,64,64"},
    "format": {"format": "jpg"},
    "loop": {"loop": "pingpong"},
    "smoothing": {"smooth": 0.0},
    "motion": {"motion": "absolute"},
}


@pytest.mark.parametrize("change", DIFFERENT)
def test_a_different_request_never_mixes_its_frames(
    change, whole, request_of, events, written_frames, tmp_path
):
    video, _ = whole
    request = request_of(video)
    cut_off(request, events)
    other = dataclasses.replace(request, resume=True, **DIFFERENT[change])
    job.run(other, events.control())
    job.run(dataclasses.replace(other, output=str(tmp_path / "fresh")), events.control())
    found = written_frames(Path(request.output))
    assert same(pixels(found), pixels(written_frames(tmp_path / "fresh")))


def test_other_contents_under_the_same_names_are_another_job(
    whole, request_of, events, written_frames, tmp_path
):
    video, _ = whole
    request = request_of(video)
    cut_off(request, events)
    Image.new("RGB", (120, 90), "teal").save(request.painting)
    job.run(dataclasses.replace(request, resume=True), events.control())
    assert [e.index for e in events.of(protocol.Frame)] == list(range(1, 13))


def test_the_same_files_elsewhere_are_the_same_job(whole, request_of, events, written_frames, tmp_path):
    video, expected = whole
    request = request_of(video)
    cut_off(request, events)
    (tmp_path / "moved").mkdir()
    moved = shutil.move(request.output, tmp_path / "moved" / "out")
    painting = shutil.move(request.painting, tmp_path / "moved" / "painting.png")
    job.run(
        dataclasses.replace(request, output=str(moved), painting=str(painting), resume=True), events.control()
    )
    assert events.of(protocol.Frame)[0].index > 4
    assert same(pixels(written_frames(moved)), expected)


def test_without_resume_a_job_begins_anew(whole, request_of, events):
    video, _ = whole
    request = request_of(video)
    cut_off(request, events)
    job.run(request, events.control())
    assert len(events.of(protocol.Frame)) == 12


def test_frames_that_no_job_wrote_are_left_alone(request_of, clip, events):
    request = request_of(clip(2))
    frames = Path(request.output) / "frames"
    frames.mkdir(parents=True)
    (frames / "0001.png").write_bytes(b"somebody's render")
    with pytest.raises(UserError) as caught:
        job.run(request, events.control())
    assert caught.value.kind == "output"
    assert snapshot(Path(request.output)) == {"frames/0001.png": b"somebody's render"}


def test_other_files_among_a_jobs_frames_are_left_alone(request_of, clip, events):
    request = request_of(clip(2))
    job.run(request, events.control())
    notes = Path(request.output) / "frames" / "notes.txt"
    notes.write_text("keep")
    job.run(dataclasses.replace(request, strength=0.5), events.control())
    assert notes.read_text() == "keep"


# Stopped.


@pytest.mark.parametrize("stage", ["model", "motion", "frames"])
def test_a_wish_to_stop_is_heard_at_every_stage(stage, request_of, clip, events):
    events.stop_at = lambda event: isinstance(event, protocol.Progress) and event.stage == stage
    with pytest.raises(Cancelled):
        job.run(request_of(clip(30)), events.control())
    after = [e for e in events.of(protocol.Progress) if e.stage != stage]
    assert not after or protocol.STAGES.index(after[-1].stage) < protocol.STAGES.index(stage)


def test_a_stop_while_the_face_is_looked_for(request_of, clip, events, monkeypatch):
    """Looking at a frame takes a while; a dozen of them must not be in the way."""
    looked = []

    def look(image):
        looked.append(1)
        events.stopped = len(looked) >= 2
        return []

    monkeypatch.setattr(regions, "find_faces", look)
    with pytest.raises(Cancelled):
        job.run(request_of(clip(100), driving_region="auto"), events.control())
    # Looks go side by side: those under way when the wish came are finished.
    assert len(looked) <= 2 + faces.AT_ONCE - 1
