"""Whole jobs, from painting and video to frames on disk."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fomm_core import driving, job, lanes, media, models, motion, protocol, transfer
from fomm_core.animator import Animator, resized
from fomm_core.control import Cancelled
from fomm_core.errors import UserError
from tests.fomm_core.job_output import pixels, same


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


def test_the_first_frame_does_not_wait_for_those_after_it(request_of, clip, events, monkeypatch):
    """It is on disk when only those are computed that the lanes begin with."""
    begun = []
    plain = Animator._predict

    def predict(*arguments):
        begun.append(1)
        time.sleep(0.05)
        return plain(*arguments)

    monkeypatch.setattr(Animator, "_predict", predict)
    control, seen = events.control(), []
    monkeypatch.setattr(control, "frame", lambda index, path: seen.append(len(begun)))
    job.run(request_of(clip(9, 64, 48, 25)), control)
    assert seen[0] <= 1 + 1 + lanes.count(), "the canvas's still one, the first, and those ahead of it"
    assert len(begun) == 1 + 9


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
    expected = [p.image[0] for p in animator.animate(*transfer.transfer(track, *source))]
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


def test_a_published_checkpoint_works_directly(request_of, clip, events, checkpoint, whole, written_frames):
    """The same weights as the imported ones: the same frames."""
    request = request_of(whole[0], model=str(checkpoint[0]), config=str(checkpoint[1]))
    job.run(request, events.control())
    assert same(pixels(written_frames(Path(request.output))), whole[1])
