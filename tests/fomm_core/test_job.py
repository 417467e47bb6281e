"""Whole jobs, from painting and video to frames on disk."""

# ruff: noqa: PT012 - a disk is full after any number of writes

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fomm_core import driving, job, media, models, motion, protocol, regions
from fomm_core.animator import Animator, resized
from fomm_core.control import Cancelled
from fomm_core.errors import UserError


def pixels(paths) -> list[np.ndarray]:
    return [media.read_painting(path) for path in paths]


def same(one, other) -> bool:
    return len(one) == len(other) and all((a == b).all() for a, b in zip(one, other, strict=True))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_job_writes_a_frame_for_each_driving_frame(request_of, clip, events, written_frames):
    request = request_of(clip(9, 64, 48, 25))
    done = job.run(request, events.control())
    output = Path(request.output)
    frames = written_frames(output)
    assert (done.frames, done.fps, done.path) == (9, 25.0, str(output / "frames"))
    images = pixels(frames)
    assert {image.shape for image in images} == {(90, 120, 3)}
    assert len({image.tobytes() for image in images}) > 5, "it moves"
    assert sorted(p.name for p in output.iterdir()) == ["frames", "job.json", "motion.npz"]
    assert [e.index for e in events.of(protocol.Frame)] == list(range(1, 10))
    assert [e.path for e in events.of(protocol.Frame)] == [str(path) for path in frames]
    assert events.of(protocol.Started) == [protocol.Started("test", 9, 25.0, 120, 90)]
    stages = [e.stage for e in events.of(protocol.Progress)]
    assert sorted(stages, key=protocol.STAGES.index) == stages
    last = events.of(protocol.Progress)[-1]
    assert (last.stage, last.done, last.total, last.eta) == ("frames", 9, 9, 0.0)
    assert last.fps > 0


def test_the_record_says_the_whole_request(request_of, clip, events, model_file):
    request = request_of(clip(3), strength=0.7)
    job.run(request, events.control())
    record = json.loads((Path(request.output) / "job.json").read_text())
    assert record["settings"]["strength"] == 0.7
    for key in ("painting", "video"):
        path = Path(getattr(request, key))
        expected = {"name": path.name, "size": path.stat().st_size, "sha256": media_sha(path)}
        assert record[key] == expected
        assert record["paths"][key] == str(path)
    assert record["model"] == {"name": "tiny", "sha256": media_sha(model_file)}
    assert record["version"]
    track = motion.MotionTrack.load(Path(request.output) / "motion.npz")
    assert len(track) == 3
    assert track.provenance["video"] == "clip.mp4"


def media_sha(path: Path) -> str:
    return subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]


def test_the_plain_published_way_is_the_networks_output(request_of, clip, events, written_frames, model_file):
    """Both pictures stretched to the model's size, the prediction written as it is."""
    request = request_of(clip(5, 80, 50), size=64, reference_frame="first")
    job.run(request, events.control())
    found = pixels(written_frames(Path(request.output)))
    animator = Animator(models.load(str(model_file)), "cpu")
    source = animator.set_source(
        resized(np.array(media.read_painting(Path(request.painting))), 64, antialias=False)
    )
    driving = np.stack(
        [resized(f.copy(), 64, antialias=False) for f in media.VideoReader(Path(request.video))]
    )
    track = motion.MotionTrack(*animator.detect(driving), 25.0)
    expected = [p.image[0] for p in animator.animate(*motion.transfer(track, *source))]
    assert same(found, expected)
    assert events.of(protocol.Started)[0].width == events.of(protocol.Started)[0].height == 64


def test_only_the_region_moves(request_of, clip, events, written_frames):
    request = request_of(clip(6), region="30,20,48,48")
    job.run(request, events.control())
    painting = media.read_painting(Path(request.painting))
    changed = np.zeros(painting.shape[:2], bool)
    for frame in pixels(written_frames(Path(request.output))):
        changed |= (frame != painting).any(-1)
    assert changed[20:68, 30:78].any()
    changed[20:68, 30:78] = False
    assert not changed.any()


def test_without_strength_the_painting_stays_where_it_is(request_of, clip, events, written_frames):
    """The warped part is the painting's; only what the occlusion map hides is painted anew."""
    request = request_of(clip(4), strength=0.0)
    job.run(request, events.control())
    images = pixels(written_frames(Path(request.output)))
    assert all((image == images[0]).all() for image in images)


@pytest.mark.parametrize(("size", "shape"), [(60, (45, 60, 3)), (500, (90, 120, 3)), (16, (12, 16, 3))])
def test_the_size_is_the_longest_side(size, shape, request_of, clip, events, written_frames):
    request = request_of(clip(2), size=size, driving_region="auto", region="0,0,120,90")
    job.run(request, events.control())
    assert {
        image.shape for image in map(np.asarray, map(Image.open, written_frames(Path(request.output))))
    } == {shape}


def test_a_long_narrow_painting_made_small(request_of, clip, events, tmp_path, picture, written_frames):
    Image.fromarray(picture(4000, 40)).save(tmp_path / "frieze.png")
    request = request_of(clip(2), painting=str(tmp_path / "frieze.png"), region="9,0,40,40", size=16)
    job.run(request, events.control())
    assert len(written_frames(Path(request.output))) == 2


def test_the_source_is_taken_at_the_paintings_own_resolution(request_of, clip, events, monkeypatch):
    seen = []
    plain = Animator.set_source
    monkeypatch.setattr(Animator, "set_source", lambda self, image: seen.append(image) or plain(self, image))
    for size in (None, 30):
        job.run(request_of(clip(1), size=size), events.control())
    assert (seen[0] == seen[1]).all()


def test_another_frame_rate_and_a_part(request_of, clip, events, written_frames):
    request = request_of(clip(20, 64, 64, 20), fps=10.0, start=0.25, end=0.75)
    done = job.run(request, events.control())
    assert done.fps == 10.0
    assert len(written_frames(Path(request.output))) == done.frames == 5


@pytest.mark.parametrize("format", ["jpg", "webp"])
def test_other_formats(format, request_of, clip, events, written_frames):
    request = request_of(clip(3), format=format)
    job.run(request, events.control())
    assert {path.suffix for path in written_frames(Path(request.output))} == {f".{format}"}


def test_a_movie(request_of, clip, events):
    request = request_of(clip(5), format="mp4")
    done = job.run(request, events.control())
    assert done.path == str(Path(request.output) / "animation.mp4")
    assert [f.shape for f in media.VideoReader(Path(done.path))] == [(90, 120, 3)] * 5
    assert not events.of(protocol.Frame), "no frame of a movie is complete before the whole is"
    assert events.of(protocol.Progress)[-1].done == 5


def test_a_movie_that_is_cancelled_is_not_there(request_of, clip, events):
    request = request_of(clip(9), format="mp4")
    events.stop_at = lambda e: isinstance(e, protocol.Progress) and e.stage == "frames" and e.done == 3
    control = events.control()
    with pytest.raises(Cancelled):
        job.run(request, control)
    assert control.frames == 0
    assert sorted(p.name for p in Path(request.output).iterdir()) == ["frames", "job.json", "motion.npz"]


# Faces.


def test_without_a_face_the_middle_moves_and_that_is_said(
    request_of, clip, events, written_frames, monkeypatch
):
    monkeypatch.setattr(regions, "find_face", lambda image: None)
    request = request_of(clip(5, 64, 48), region="auto", driving_region="auto")
    job.run(request, events.control())
    warnings = [event.sentence for event in events.of(protocol.Warning)]
    assert len(warnings) == 2
    assert any("the painting" in warning for warning in warnings)
    assert any("clip.mp4" in warning for warning in warnings)
    painting = media.read_painting(Path(request.painting))
    for frame in pixels(written_frames(Path(request.output))):
        assert (frame[:, :15] == painting[:, :15]).all()
        assert (frame[:, 105:] == painting[:, 105:]).all()
        assert (frame != painting).any()
    track = motion.MotionTrack.load(Path(request.output) / "motion.npz")
    assert track.provenance["region"] == "8,0,48,48"


def test_a_picture_without_a_face_really_gives_that_warning(request_of, clip, events):
    request = request_of(clip(2, 64, 64), region="auto")
    Image.new("RGB", (120, 90), "grey").save(request.painting)
    job.run(request, events.control())
    assert len(events.of(protocol.Warning)) == 1


def test_a_sitter_moves_by_the_real_clip(shared, request_of, events, written_frames):
    """The bundled media: the face is found in both, no warning."""
    media_folder = shared / "media"
    request = request_of(
        media_folder / "driving-calm.mp4",
        painting=str(media_folder / "girl-with-a-pearl-earring.jpg"),
        region="auto",
        driving_region="auto",
        end=0.2,
        size=400,
    )
    job.run(request, events.control())
    with Image.open(request.painting) as painting:
        proportions = painting.width / painting.height
    shapes = {image.shape for image in pixels(written_frames(Path(request.output)))}
    assert len(shapes) == 1
    height, width, _ = shapes.pop()
    assert max(width, height) == 400
    assert width / height == pytest.approx(proportions, rel=0.005)
    assert not events.of(protocol.Warning)


# Cut off and resumed.


@pytest.fixture
def whole(request_of, clip, events, tmp_path):
    """A video, and the frames of its uninterrupted job."""
    video = clip(12)
    request = request_of(video, output=str(tmp_path / "whole"))
    job.run(request, events.control())
    events.clear()
    return video, pixels(sorted((tmp_path / "whole" / "frames").iterdir()))


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
        events.stopped = len(looked) == 2

    monkeypatch.setattr(regions, "find_face", look)
    with pytest.raises(Cancelled):
        job.run(request_of(clip(100), driving_region="auto"), events.control())
    assert len(looked) == 2


# Motion tracks.


def track_of(request, events, tmp_path, **changes) -> Path:
    path = tmp_path / "motion track.npz"
    values = {"driving_region": request.driving_region, **changes}
    wanted = protocol.Track("test", request.video, str(path), request.model, **values)
    done = driving.run(wanted, events.control())
    assert done.path == str(path)
    return path


def test_a_track_in_place_of_the_video_gives_the_same_frames(
    whole, request_of, events, tmp_path, written_frames
):
    video, expected = whole
    path = track_of(request_of(video), events, tmp_path)
    video.unlink()
    job.run(request_of(path), events.control())
    assert same(pixels(written_frames(tmp_path / "out")), expected)
    job.run(request_of(path, start=0.2, end=0.4, output=str(tmp_path / "cut")), events.control())
    assert len(written_frames(tmp_path / "cut")) == 5


def test_a_track_of_another_model_is_refused(request_of, clip, events, tmp_path, config):
    path = track_of(request_of(clip(3)), events, tmp_path)
    models.save(tmp_path / "other.safetensors", models.build(config), {})
    with pytest.raises(UserError, match="made with the model tiny") as caught:
        job.run(request_of(path, model=str(tmp_path / "other.safetensors")), events.control())
    assert caught.value.kind == "video"


@pytest.mark.parametrize("output", ["track", "track.mp4", "folder.npz", "file.txt/track.npz"])
def test_where_a_track_cannot_go(output, request_of, clip, events, tmp_path):
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "file.txt").touch()
    request = request_of(clip(2))
    wanted = protocol.Track("test", request.video, str(tmp_path / output), request.model)
    with pytest.raises(UserError) as caught:
        driving.run(wanted, events.control())
    assert caught.value.kind in ("arguments", "output")
    assert not events, "it is said before any work is done"


def test_reference_frames(request_of, clip, events, tmp_path, written_frames):
    video = clip(6)

    def first(**changes):
        output = tmp_path / "reference"
        job.run(request_of(video, output=str(output), **changes), events.control())
        return pixels(written_frames(output))

    still = first(strength=0.0)[0]
    for number in (0, 3, 5):
        frames = first(reference_frame=str(number))
        assert np.abs(frames[number].astype(int) - still).max() <= 1, "the sitter's own pose"
        assert (frames[(number + 3) % 6] != still).any()
    with pytest.raises(UserError, match="Use 0 to 5"):
        first(reference_frame="6")


# What cannot be met.


WRONG = {
    "motion": {"motion": "sideways"},
    "format": {"format": "tiff"},
    "precision": {"precision": "fp8"},
    "reference": {"reference_frame": "-1"},
    "reference word": {"reference_frame": "best"},
    "strength": {"strength": 2.5},
    "negative strength": {"strength": -0.1},
    "no number": {"strength": float("nan")},
    "rate": {"fps": 0.0},
    "rate too high": {"fps": 1e6},
    "size": {"size": 8},
    "negative size": {"size": -100},
    "start": {"start": -1.0},
    "endless start": {"start": float("inf")},
    "end": {"start": 2.0, "end": 1.0},
    "endless end": {"end": float("inf")},
    "region": {"region": "1,2,3"},
    "driving region": {"driving_region": "half"},
    "region outside": {"region": "500,500,50,50"},
    "region endless": {"region": "0,0,100000,100000"},
}


@pytest.mark.parametrize("case", WRONG)
def test_settings_that_cannot_be_met(case, request_of, clip, events):
    request = request_of(clip(2), **WRONG[case])
    with pytest.raises(UserError) as caught:
        job.run(request, events.control())
    assert caught.value.kind == "arguments"
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    assert not snapshot(Path(request.output))


def test_frames_too_large_for_their_format(request_of, clip, events, tmp_path):
    Image.new("RGB", (17_000, 16)).save(tmp_path / "frieze.png")
    request = request_of(clip(1), painting=str(tmp_path / "frieze.png"), format="webp", region="0,0,16,16")
    with pytest.raises(UserError, match="16383"):
        job.run(request, events.control())
    assert not snapshot(Path(request.output))


def fails(request, events, kind) -> UserError:
    with pytest.raises(UserError) as caught:
        job.run(request, events.control())
    error = caught.value
    assert error.kind == kind, str(error)
    assert "\n" not in str(error)
    assert error.hint
    return error


def test_files_that_are_not_there(request_of, clip, events, tmp_path):
    video = clip(2)
    assert "painting" in fails(request_of(video, painting=str(tmp_path / "no.png")), events, "image").sentence
    assert "video" in fails(request_of(tmp_path / "no.mp4"), events, "video").sentence
    fails(request_of(tmp_path / "no.npz"), events, "video")
    fails(request_of(tmp_path), events, "video")
    fails(request_of(video, model="nobody"), events, "model")
    fails(request_of(video, device="cuda:77"), events, "device")


def test_the_painting_removed_while_the_model_loads(request_of, clip, events):
    request = request_of(clip(2))
    events.stop_at = lambda event: (
        isinstance(event, protocol.Progress)
        and (event.done == 1 and Path(request.painting).unlink(missing_ok=True))
    )
    assert "painting" in fails(request, events, "image").sentence


def test_the_painting_and_the_video_removed_while_frames_are_made(request_of, clip, events, written_frames):
    request = request_of(clip(6))

    def remove(event):
        if isinstance(event, protocol.Started):
            Path(request.painting).unlink()
            Path(request.video).unlink()

    events.stop_at = remove
    job.run(request, events.control())
    assert len(written_frames(Path(request.output))) == 6


@pytest.mark.parametrize("output", ["file", "file/below", "has a file"])
def test_an_output_that_is_a_file(output, request_of, clip, events, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "has a file").mkdir()
    (tmp_path / "has a file" / "frames").write_text("mine")
    fails(request_of(clip(2), output=str(tmp_path / output)), events, "output")
    assert (tmp_path / "file").read_text() == "mine"


def noise(path: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (150, 200, 3), np.uint8)).save(path)  # 90 kB a frame


def test_a_full_disk(request_of, clip, events, small_disk, written_frames):
    request = request_of(clip(8), output=str(small_disk / "out"))
    noise(Path(request.painting))
    error = fails(request, events, "disk_full")
    assert str(small_disk) in error.sentence
    assert 1 <= len(written_frames(small_disk / "out")) < 4, "complete frames, and nothing half-written"
    fails(dataclasses.replace(request, resume=True), events, "disk_full")


def test_a_movie_on_a_full_disk(request_of, clip, events, small_disk):
    request = request_of(clip(100, 64, 64), output=str(small_disk / "out"), format="mp4", strength=2.0)
    noise(Path(request.painting))
    fails(request, events, "disk_full")
    assert not (small_disk / "out" / "animation.mp4").exists()
    assert not list((small_disk / "out").glob(".*"))


def test_a_disk_that_is_full_from_the_start(request_of, clip, events, small_disk):
    with open(small_disk / "filler", "wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(b"0" * 4096)
    request = request_of(clip(2), output=str(small_disk / "out"))
    fails(request, events, "disk_full")


def test_a_read_only_disk(request_of, clip, events, small_disk):
    (small_disk / "out").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    fails(request_of(clip(2), output=str(small_disk / "out")), events, "output")
    fails(request_of(clip(2), output=str(small_disk / "new")), events, "output")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not stop root")
def test_a_read_only_folder(request_of, clip, events, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    fails(request_of(clip(2), output=str(tmp_path / "locked" / "out")), events, "output")


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, "disk_full"), (errno.EROFS, "output"), (errno.EIO, "output")]
)
def test_a_disk_that_fails_on_the_third_frame(
    number, kind, request_of, clip, events, monkeypatch, written_frames
):
    """The same where no disk can be mounted."""
    plain = Image.Image.save

    def save(self, path, **options):
        if "0003" in path.name:
            path.write_bytes(b"half")
            raise OSError(number, os.strerror(number))
        plain(self, path, **options)

    monkeypatch.setattr(Image.Image, "save", save)
    request = request_of(clip(8))
    fails(request, events, kind)
    files = sorted(p.name for p in (Path(request.output) / "frames").iterdir())
    assert files[:2] == ["0001.png", "0002.png"]
    assert "0003.png" not in files
    assert not [name for name in files if name.startswith(".")]


@pytest.mark.parametrize("name", ["with space", "quo'te\"s", "Дама с горностаем 🖼", "50%d", "-dash", "a;b&c"])
def test_paths_of_all_kinds(name, request_of, clip, events, tmp_path, written_frames):
    folder = tmp_path / name
    folder.mkdir()
    video = shutil.move(clip(2), folder / f"{name}.mp4")
    painting = folder / f"{name}.png"
    Image.new("RGB", (40, 30), "teal").save(painting)
    for format in ("png", "mp4"):
        request = request_of(video, painting=str(painting), output=str(folder / format), format=format)
        done = job.run(request, events.control())
        assert Path(done.path).exists()
    assert len(written_frames(folder / "png")) == 2


def test_a_published_checkpoint_works_directly(request_of, clip, events, checkpoint, whole, written_frames):
    """The same weights as the imported ones: the same frames."""
    request = request_of(whole[0], model=str(checkpoint[0]), config=str(checkpoint[1]))
    job.run(request, events.control())
    assert same(pixels(written_frames(Path(request.output))), whole[1])
