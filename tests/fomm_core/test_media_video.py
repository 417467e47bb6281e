from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fomm_core.errors import UserError
from fomm_core.media import VideoReader
from fomm_core.media import ffmpeg as ffmpeg_program


def test_a_video_is_read_frame_by_frame(clip, picture):
    reader = VideoReader(clip(8, 64, 48, 25, "clip.mkv", "-c:v", "ffv1"))
    frames = list(reader)
    assert reader.fps == 25
    assert reader.estimate == len(frames) == 8
    for i, frame in enumerate(frames):
        assert np.abs(frame.astype(int) - picture(64, 48, 0.3 * np.sin(i / 5))).max() <= 4
    assert len(list(reader)) == 8, "it can be read again"


@pytest.mark.parametrize(
    ("start", "end", "first", "count"), [(0.2, None, 5, 15), (0, 0.4, 0, 10), (0.2, 0.4, 5, 5)]
)
def test_a_part_of_a_video(start, end, first, count, clip, picture):
    reader = VideoReader(clip(20, 64, 48, 25, "clip.mkv", "-c:v", "ffv1"), start, end)
    frames = list(reader)
    assert len(frames) == count
    assert reader.estimate == count
    assert np.abs(frames[0].astype(int) - picture(64, 48, 0.3 * np.sin(first / 5))).max() <= 4


@pytest.mark.parametrize(("angle", "corner"), [(0, (0, 0)), (90, (-1, 0)), (180, (-1, -1)), (270, (0, -1))])
def test_rotation_in_the_metadata(angle, corner, tmp_path, ffmpeg):
    """The bright corner, top left in the stored picture, goes where a player shows it."""
    ffmpeg(
        "-f", "lavfi", "-i", "color=black:s=64x48:d=0.2,drawbox=0:0:16:16:white:fill", tmp_path / "plain.mp4"
    )
    ffmpeg("-display_rotation", angle, "-i", tmp_path / "plain.mp4", "-c", "copy", tmp_path / "turned.mp4")
    frame = next(iter(VideoReader(tmp_path / "turned.mp4")))
    assert frame.shape == ((64, 48, 3) if angle in (90, 270) else (48, 64, 3))
    assert frame[corner].min() > 180
    assert sum(frame[y, x].min() > 180 for y in (0, -1) for x in (0, -1)) == 1


@pytest.mark.parametrize(("width", "height"), [(63, 47), (17, 99), (2, 2)])
def test_odd_sizes(width, height, clip):
    assert next(iter(VideoReader(clip(2, width, height)))).shape == (height, width, 3)


def test_pixels_that_are_not_square(clip):
    reader = VideoReader(clip(2, 64, 48, 25, "clip.mp4", "-vf", "setsar=4/3"))
    assert next(iter(reader)).shape == (48, 85, 3)
    reader = VideoReader(clip(2, 64, 48, 25, "clip2.mp4", "-vf", "setsar=1/2"))
    assert next(iter(reader)).shape == (48, 32, 3)


def test_a_turned_video_of_pixels_that_are_not_square(clip, tmp_path, ffmpeg):
    plain = clip(2, 64, 48, 25, "plain.mp4", "-vf", "setsar=2/1")
    ffmpeg("-display_rotation", 90, "-i", plain, "-c", "copy", tmp_path / "turned.mp4")
    height, width, _ = next(iter(VideoReader(tmp_path / "turned.mp4"))).shape
    assert height / width == pytest.approx(128 / 48, rel=0.03)


def test_a_variable_frame_rate_becomes_constant(tmp_path, ffmpeg):
    """Twenty frames in the first second, five in the next: time goes on evenly in what is read."""
    select = "select='lt(t,1)+not(mod(n,4))',format=gray"
    ffmpeg(
        "-f", "lavfi", "-i", "nullsrc=s=32x32:r=20:d=2,geq=lum='128*T'", "-vf", select, "-fps_mode", "vfr",
        "-c:v", "ffv1", tmp_path / "vfr.mkv",
    )  # fmt: skip
    reader = VideoReader(tmp_path / "vfr.mkv")
    light = np.array([frame.mean() for frame in reader])
    times = np.arange(len(light)) / reader.fps
    assert len(light) / reader.fps == pytest.approx(2, abs=0.3)
    assert np.abs(light - 128 * times).max() < 128 * 0.3


@pytest.mark.parametrize(
    ("rate", "fps"),
    [
        ("24000/1001", 24000 / 1001),
        ("30000/1001", 30000 / 1001),
        ("30", 30),
        ("12.5", 12.5),
        ("60000/1001", 60000 / 1001),
    ],
)
def test_television_rates_are_exact(rate, fps, clip):
    reader = VideoReader(clip(30, 32, 32, rate))
    assert reader.fps == pytest.approx(fps, rel=1e-9)
    assert len(list(reader)) == 30


def test_one_frame(clip):
    assert len(list(VideoReader(clip(1)))) == 1


def test_a_gif(clip):
    reader = VideoReader(clip(6, 64, 48, 10, "clip.gif", "-pix_fmt", "rgb8"))
    assert reader.fps == 10
    assert [frame.shape for frame in reader] == [(48, 64, 3)] * 6


def test_a_picture_is_a_video_of_one_frame(painting):
    assert [frame.shape for frame in VideoReader(painting)] == [(90, 120, 3)]


def refused_video(path: Path, **cut) -> UserError:
    with pytest.raises(UserError) as caught:
        list(VideoReader(path, **cut))
    error = caught.value
    assert error.kind == "video"
    assert str(path) in error.sentence
    assert "\n" not in str(error)
    assert error.hint
    return error


def test_no_frame_at_all(tmp_path, ffmpeg):
    path = tmp_path / "none.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=black:s=32x32:d=1", "-frames:v", 0, "-f", "mp4", path)
    refused_video(path)
    path = tmp_path / "none.mkv"
    ffmpeg("-f", "lavfi", "-i", "color=black:s=32x32:d=1", "-vf", "trim=start=9", path)
    refused_video(path)


def test_sound_only(tmp_path, ffmpeg):
    ffmpeg("-f", "lavfi", "-i", "sine=d=0.2", tmp_path / "sound.mp4")
    assert "sound but no picture" in refused_video(tmp_path / "sound.mp4").sentence


def test_a_text_file_an_empty_file_a_folder_and_none(tmp_path):
    (tmp_path / "text.mp4").write_text("This is a text.\n" * 50)
    (tmp_path / "empty.mp4").touch()
    for name in ("text.mp4", "empty.mp4"):
        assert "nothing that can be played" in refused_video(tmp_path / name).sentence
    refused_video(tmp_path)
    assert "not there" in refused_video(tmp_path / "gone.mp4").sentence


def test_a_start_past_the_end(clip):
    assert "Not one frame" in refused_video(clip(5), start=3.0).sentence


@pytest.mark.parametrize(("name", "options"), [("clip.mp4", ["-movflags", "+faststart"]), ("clip.mkv", [])])
def test_a_broken_tail_ends_the_video_early(name, options, clip):
    whole = clip(60, 64, 64, 25, name, *options, "-g", "5")
    content = whole.read_bytes()
    whole.write_bytes(content[: int(len(content) * 0.6)])
    frames = list(VideoReader(whole))
    assert 10 < len(frames) < 55
    assert all(frame.shape == (64, 64, 3) for frame in frames)
    whole.write_bytes(content[:300])
    refused_video(whole)


@pytest.mark.parametrize(
    "name",
    [
        "with space.mp4",
        "quo'te\".mp4",
        "Дама с горностаем 🖼.mp4",
        "-dash.mp4",
        "12:30.mp4",
        "50%d.mp4",
        "a\\b.mp4",
    ],
)
def test_names(name, clip, tmp_path, monkeypatch):
    clip(2).rename(tmp_path / name)
    assert len(list(VideoReader(tmp_path / name))) == 2
    monkeypatch.chdir(tmp_path)
    assert len(list(VideoReader(Path(name)))) == 2


def test_a_playlist_does_not_reach_the_network(tmp_path):
    path = tmp_path / "list.mp4"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    refused_video(path)


def test_the_decoder_ends_with_the_reading(clip, monkeypatch):
    started = []
    plain = ffmpeg_program.start
    monkeypatch.setattr(
        ffmpeg_program, "start", lambda *a, **k: started.append(plain(*a, **k)) or started[-1]
    )
    frames = iter(VideoReader(clip(300, 32, 32)))
    next(frames)
    assert started[-1].poll() is None, "the decoder waits: the pipe is full"
    frames.close()
    assert started[-1].poll() is not None
