# ruff: noqa: PT012 - a writer fails at any frame

from __future__ import annotations

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest

from fomm_core.errors import UserError
from fomm_core.media import MovieWriter, Sound, VideoReader, has_sound


@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
def test_a_movie(size, tmp_path, picture):
    path = tmp_path / "out.mp4"
    with MovieWriter(path, 24000 / 1001, lambda *event: None) as writer:
        for i in range(10):
            writer.write(i + 1, picture(*size, i / 20))
            assert not path.exists()
    reader = VideoReader(path)
    frames = list(reader)
    assert reader.fps == pytest.approx(24000 / 1001)
    assert len(frames) == 10
    assert np.abs(frames[9][: size[1], : size[0]].astype(int) - picture(*size, 9 / 20)).mean() < 6
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_a_movie_that_is_broken_off_is_not_there(tmp_path, picture):
    with pytest.raises(ZeroDivisionError), MovieWriter(tmp_path / "o.mp4", 25, lambda *e: None) as writer:
        writer.write(1, picture(64, 48))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_movie_that_cannot_be_encoded(tmp_path, picture):
    with (
        pytest.raises(UserError) as caught,
        MovieWriter(tmp_path / "a" / "o.mp4", 25, lambda *e: None) as writer,
    ):
        for i in range(200):
            writer.write(i, picture(64, 48))
    assert caught.value.kind == "output"
    assert "\n" not in str(caught.value)


@pytest.fixture
def clicking(tmp_path, ffmpeg):
    """Two seconds of video with a short click at 1.2 s; sound ends at 1.5 s."""
    path = tmp_path / "clicking.mp4"
    click = "aevalsrc='0.8*sin(6000*t)*between(t,1.2,1.21)':s=44100:d=1.5"
    ffmpeg("-f", "lavfi", "-i", "color=gray:s=32x32:r=25:d=2", "-f", "lavfi", "-i", click, path)
    return path


def sound_of(path) -> np.ndarray:
    """What is heard, one channel of 48000 samples a second."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-map", "0:a:0"]
    raw = subprocess.run(
        [*command, "-ac", "1", "-ar", "48000", "-f", "f32le", "-"], capture_output=True, check=True
    )
    return np.frombuffer(raw.stdout, np.float32)


def movie(path, fps: float, frames: int, sound: Sound | None) -> list[str]:
    """Write a grey movie; what was warned of."""
    warnings = []
    with MovieWriter(path, fps, lambda *event: None, sound, warnings.append) as writer:
        for i in range(frames):
            writer.write(i + 1, np.full((32, 32, 3), 100, np.uint8))
    assert len(list(VideoReader(path))) == frames
    return warnings


@pytest.mark.parametrize("start", [0.0, 0.5, 1.13])
@pytest.mark.parametrize("fps", [12, 24000 / 1001, 60])
def test_sound_is_cut_and_in_time(fps, start, clicking, tmp_path):
    frames = round(3 * fps)
    assert movie(tmp_path / "out.mp4", fps, frames, Sound(clicking, start)) == []
    heard = sound_of(tmp_path / "out.mp4")
    when = np.flatnonzero(np.abs(heard) > 0.2)[0] / 48000
    assert when == pytest.approx(1.2 - start, abs=0.5 / 25)
    assert np.abs(heard[int(48000 * (1.6 - start)) :]).max() < 0.01, "silence after its end"
    assert len(heard) / 48000 == pytest.approx(frames / fps, abs=0.03)


def test_sound_ends_with_the_picture(clicking, tmp_path):
    movie(tmp_path / "out.mp4", 25, 10, Sound(clicking, 0))
    assert len(sound_of(tmp_path / "out.mp4")) / 48000 <= 0.4 + 0.03


def test_a_silent_video_gives_a_silent_movie(clip, clicking, tmp_path):
    assert not has_sound(clip())
    assert has_sound(clicking)
    assert movie(tmp_path / "out.mp4", 25, 4, Sound(clip(), 0)) == []
    assert not has_sound(tmp_path / "out.mp4")
    assert movie(tmp_path / "out.gif", 25, 4, Sound(clicking, 0)) == []


def test_sound_that_cannot_be_played(clicking, tmp_path):
    content = clicking.read_bytes()
    assert content.count(b"mp4a") == 1
    (tmp_path / "odd.mp4").write_bytes(content.replace(b"mp4a", b"zzzz").replace(b"esds", b"free"))
    (warning,) = movie(tmp_path / "out.mp4", 25, 4, Sound(tmp_path / "odd.mp4", 0))
    assert "odd.mp4" in warning
    assert not has_sound(tmp_path / "out.mp4")


def test_a_movie_of_what_is_deep_and_transparent(tmp_path):
    with MovieWriter(tmp_path / "out.mp4", 25, lambda *event: None) as writer:
        writer.write(1, np.zeros((32, 32, 4), np.uint16))
    assert next(iter(VideoReader(tmp_path / "out.mp4"))).min() > 240, "white is behind it"
