"""What a whole job keeps of a painting and of a clip: 16 bit, alpha, sound."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from fomm_core import driving, job, media, protocol
from tests.fomm_core.job_output import pixels

RATE = 16_000


def written(folder: Path, image: np.ndarray) -> Path:
    """A PNG file of an image of any kind, as the project writes them."""
    folder.mkdir()
    with media.FrameWriter(folder, "png", lambda *_: None) as writer:
        writer.write(1, image)
    return media.frame_path(folder, 1, "png")


def deep(image: np.ndarray) -> np.ndarray:
    """16 bit, of which the lower eight are not those of any 8-bit picture."""
    low = np.arange(image.size, dtype=np.uint16).reshape(image.shape) % 251
    return image.astype(np.uint16) << 8 | low


def check_still_outside(frames: list[np.ndarray], painting: np.ndarray) -> None:
    moved = np.any([(frame != painting).any(-1) for frame in frames], axis=0)
    assert moved[20:68, 30:78].any()
    moved[20:68, 30:78] = False
    assert not moved.any()


def test_16_bit_survives(request_of, clip, events, tmp_path, picture, written_frames):
    image = deep(picture(120, 90))
    request = request_of(clip(4), painting=str(written(tmp_path / "deep", image)), region="30,20,48,48")
    job.run(request, events.control())
    frames = pixels(written_frames(Path(request.output)))
    assert {(frame.dtype, frame.shape) for frame in frames} == {(np.dtype(np.uint16), (90, 120, 3))}
    check_still_outside(frames, image)
    moving = np.stack([frame[20:68, 30:78] for frame in frames])
    assert len(np.unique(moving & 255)) > 100, "what moves is of 16 bit too"


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_alpha_survives(kind, request_of, clip, events, tmp_path, picture, written_frames):
    colour = picture(120, 90)
    alpha = np.full((90, 120, 1), 255, np.uint8)
    alpha[:, :40] = np.linspace(0, 255, 40).astype(np.uint8)[:, None]
    image = np.concatenate([colour, alpha], axis=2)
    image = image if kind is np.uint8 else deep(image)
    request = request_of(clip(4), painting=str(written(tmp_path / "clear", image)), region="30,20,48,48")
    job.run(request, events.control())
    frames = pixels(written_frames(Path(request.output)))
    assert {(frame.dtype, frame.shape) for frame in frames} == {(np.dtype(kind), (90, 120, 4))}
    check_still_outside(frames, image)


@pytest.mark.parametrize("format", ["jpg", "webp", "mp4"])
def test_a_deep_and_clear_painting_in_formats_that_are_not(format, request_of, clip, events, tmp_path):
    image = np.full((90, 120, 4), 40_000, np.uint16)
    image[:, :60, 3] = 0
    request = request_of(clip(2), painting=str(written(tmp_path / "both", image)), format=format)
    done = job.run(request, events.control())
    assert done.frames == 2
    if format == "mp4":
        (first, *_) = media.VideoReader(Path(done.path))
    else:
        first = np.asarray(Image.open(Path(done.path) / f"0001.{format}"))
    if format == "webp":
        assert (first[:, :50, 3] == 0).all()
    else:
        assert (first[:, :50] > 245).all(), "nothing is laid over white"


def test_alpha_made_smaller_or_in_the_published_way(
    request_of, clip, events, tmp_path, picture, written_frames
):
    image = np.dstack([picture(120, 90), np.full((90, 120), 200, np.uint8)])
    painting = str(written(tmp_path / "clear", image))
    shapes = []
    for number, changes in enumerate([{"size": 60}, {"size": 64}]):
        request = request_of(clip(2), painting=painting, output=str(tmp_path / f"{number}"), **changes)
        job.run(request, events.control())
        shapes.append(pixels(written_frames(tmp_path / f"{number}"))[0].shape)
    assert shapes == [(45, 60, 4), (64, 64, 3)]


# Sound.


@pytest.fixture
def speaking(clip, ffmpeg, tmp_path) -> Path:
    """A clip of one second, 10 frames, silent for its first 0.4 seconds."""
    path = tmp_path / "speaking.mp4"
    sine = f"aevalsrc=0.5*sin(2764*t)*gte(t\\,0.4):d=1:s={RATE}"
    ffmpeg("-i", clip(10, 64, 64, 10), "-f", "lavfi", "-i", sine, "-c:v", "copy", "-c:a", "aac", path)
    return path


def sound_of(path: Path) -> np.ndarray:
    """The samples of a movie's sound, `RATE` per second in [-1, 1]; none where it is silent by nature."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-map", "0:a?", "-ac", "1", "-ar",
               str(RATE), "-f", "s16le", "-"]  # fmt: skip
    run = subprocess.run(command, capture_output=True, check=False)
    return np.frombuffer(run.stdout, np.int16) / 32768


def loud(sound: np.ndarray, start: float, end: float) -> bool:
    return bool(np.abs(sound[round(start * RATE) : round(end * RATE)]).mean() > 0.1)


def test_a_movie_has_the_clips_sound(speaking, request_of, events):
    done = job.run(request_of(speaking, format="mp4"), events.control())
    sound = sound_of(Path(done.path))
    assert len(sound) / RATE == pytest.approx(1, abs=0.1)
    assert not loud(sound, 0.05, 0.3)
    assert loud(sound, 0.5, 0.9)


def test_the_sound_is_cut_and_timed_as_the_picture_is(speaking, request_of, events):
    done = job.run(request_of(speaking, format="mp4", start=0.4, end=0.8, fps=25.0), events.control())
    assert done.frames == 10
    sound = sound_of(Path(done.path))
    assert len(sound) / RATE == pytest.approx(0.4, abs=0.1)
    assert loud(sound, 0.1, 0.3)


def test_movies_without_sound(speaking, request_of, clip, events, tmp_path):
    """A clip that has none, a motion track, and motion that swings back."""
    done = job.run(request_of(clip(3), format="mp4"), events.control())
    assert not len(sound_of(Path(done.path)))
    done = job.run(request_of(speaking, format="mp4", loop="pingpong"), events.control())
    assert not len(sound_of(Path(done.path)))
    request = request_of(speaking, format="mp4")
    track = protocol.Track(
        "test", request.video, str(tmp_path / "track.npz"), request.model, driving_region="full"
    )
    driving.run(track, events.control())
    done = job.run(request_of(tmp_path / "track.npz", format="mp4"), events.control())
    assert not len(sound_of(Path(done.path)))
