# ruff: noqa: PT012, PT017 - a writer fails at any frame; damage may as well leave a file readable

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fomm_core import media
from fomm_core.errors import UserError
from fomm_core.media import FrameWriter, MovieWriter, VideoReader, read_painting, scaled

# Paintings.


def saved(image: Image.Image, path: Path, **options) -> np.ndarray:
    image.save(path, **options)
    return read_painting(path)


def test_a_painting_is_read_as_it_is(tmp_path, picture):
    image = picture(40, 30)
    found = saved(Image.fromarray(image), tmp_path / "p.png")
    assert found.dtype == np.uint8
    assert (found == image).all()


def test_transparency_is_laid_over_white(tmp_path):
    image = Image.new("RGBA", (20, 20), (200, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 10, 20))
    image.paste((0, 0, 100, 128), (10, 0, 20, 10))
    found = saved(image, tmp_path / "p.png")
    assert (found[:, :10] == 255).all()
    assert (found[15, 15] == [200, 0, 0]).all()
    assert np.abs(found[5, 15].astype(int) - [127, 127, 177]).max() <= 1


def test_transparency_of_a_palette(tmp_path):
    image = Image.new("P", (20, 20), 1)
    image.putpalette([255, 0, 0, 0, 0, 200])
    image.paste(0, (0, 0, 10, 20))
    found = saved(image, tmp_path / "p.png", transparency=0)
    assert (found[0, 0] == 255).all()
    assert (found[0, 15] == [0, 0, 200]).all()


def test_sixteen_bits_of_grey(tmp_path):
    values = np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20)
    for suffix in ("png", "tif"):
        found = saved(Image.fromarray(values), tmp_path / f"p.{suffix}")
        assert found.shape == (20, 20, 3)
        assert np.abs(found[..., 0] - values / 257).max() <= 1


def test_sixteen_bits_of_colour(tmp_path, ffmpeg):
    ffmpeg(
        "-f", "lavfi", "-i", "color=0x804020:s=20x20", "-frames:v", 1, "-pix_fmt", "rgb48be", tmp_path / "p.png"
    )  # fmt: skip
    assert (tmp_path / "p.png").read_bytes()[24] == 16, "the file's bit depth"
    assert np.abs(read_painting(tmp_path / "p.png").astype(int) - [0x80, 0x40, 0x20]).max() <= 3


@pytest.mark.parametrize("top", [1.0, 65535.0])
def test_floats(top, tmp_path):
    values = np.linspace(0, top, 400, dtype=np.float32).reshape(20, 20)
    values[0, 0] = np.nan
    found = saved(Image.fromarray(values), tmp_path / "p.tif")
    assert found[-1, -1, 0] == 255
    assert found[0, 0, 0] == 0


@pytest.mark.parametrize("mode", ["L", "1", "LA", "CMYK", "YCbCr", "HSV", "LAB"])
def test_other_modes(mode, tmp_path, picture):
    image = Image.fromarray(picture(20, 20))
    suffix = "jpg" if mode in ("CMYK", "YCbCr") else "tif" if mode in ("LAB", "LA") else "png"
    image = image.convert("L").convert(mode) if mode in ("LA", "1", "L") else image
    image = image if mode in ("LAB", "HSV") else image.convert(mode)
    found = saved(image, tmp_path / f"p.{suffix}")
    assert found.shape == (20, 20, 3)
    if mode == "CMYK":
        assert np.abs(found.astype(int) - picture(20, 20)).mean() < 12
    if mode == "L":
        assert (found[..., 0] == found[..., 2]).all()


def test_exif_rotation(tmp_path):
    image = Image.new("RGB", (30, 20), "black")
    image.paste("white", (0, 0, 10, 10))  # the top left corner is white
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    found = saved(image, tmp_path / "p.jpg", exif=exif, quality=95)
    assert found.shape == (30, 20, 3)
    assert found[2, 17].min() > 200, "it is at the top right now"
    assert found[2, 2].max() < 50


def test_damaged_exif_does_not_matter(tmp_path, picture):
    image = Image.fromarray(picture(30, 20))
    found = saved(image, tmp_path / "p.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\xff" * 40)
    assert found.shape == (20, 30, 3)


def refused(path: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        read_painting(path)
    error = caught.value
    assert error.kind == "image"
    assert str(path) in error.sentence
    assert "\n" not in str(error)
    assert error.hint
    return error


def test_a_picture_of_one_pixel(tmp_path):
    Image.new("RGB", (1, 1)).save(tmp_path / "p.png")
    assert "1 x 1" in refused(tmp_path / "p.png").sentence


def test_a_deleted_picture_and_a_folder(tmp_path):
    assert "not there" in refused(tmp_path / "gone.png").sentence
    assert "folder" in refused(tmp_path).sentence


def test_what_is_no_picture(tmp_path):
    for content in (b"", b"hello", b"\0" * 100):
        (tmp_path / "p.png").write_bytes(content)
        assert "no image" in refused(tmp_path / "p.png").sentence


def test_a_picture_of_absurd_size(tmp_path):
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\x0aIDAT" + b"\0" * 14)
    assert "too large" in refused(tmp_path / "p.png").sentence


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "gif", "bmp", "tga", "jp2"])
def test_truncated_pictures_get_a_sentence(suffix, tmp_path, picture):
    whole = tmp_path / f"whole.{suffix}"
    Image.fromarray(picture(80, 60)).save(whole)
    content = whole.read_bytes()
    path = tmp_path / f"p.{suffix}"
    for share in (0.03, 0.2, 0.5, 0.9):
        path.write_bytes(content[: int(len(content) * share)])
        refused(path)


@given(suffix=st.sampled_from(["png", "jpg", "webp", "tif", "gif", "jp2"]), data=st.data())
def test_damaged_pictures_are_never_another_exception(suffix, data, tmp_path_factory, picture):
    path = tmp_path_factory.getbasetemp() / f"damaged.{suffix}"
    Image.fromarray(picture(40, 30)).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, min(400, len(content) - 1)))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        image = read_painting(path)
    except UserError as error:
        assert error.kind == "image"
    else:
        assert image.shape[2] == 3


def test_scaled(picture):
    assert scaled(picture(400, 300), 100).shape == (75, 100, 3)
    assert scaled(picture(300, 400), 100).shape == (100, 75, 3)
    small = picture(40, 30)
    assert scaled(small, 100) is small
    assert scaled(np.zeros((16, 4000, 3), np.uint8), 16).shape == (1, 16, 3)


# Videos.


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
    plain = media._ffmpeg
    monkeypatch.setattr(media, "_ffmpeg", lambda *a, **k: started.append(plain(*a, **k)) or started[-1])
    frames = iter(VideoReader(clip(300, 32, 32)))
    next(frames)
    assert started[-1].poll() is None, "the decoder waits: the pipe is full"
    frames.close()
    assert started[-1].poll() is not None


# Frames out.


def test_frames_are_complete_or_absent(tmp_path, picture, monkeypatch):
    """A frame gets its name in one step, when it is whole."""
    renamed = []
    plain = os.replace

    def replace(temporary, path):
        assert not path.exists()
        assert (read_painting(temporary) == picture(20, 20)).all()
        renamed.append(path.name)
        plain(temporary, path)

    monkeypatch.setattr(os, "replace", replace)
    told = []
    with FrameWriter(tmp_path, "png", lambda i, p: told.append((i, p.exists()))) as writer:
        writer.write(1, picture(20, 20))
    assert renamed == ["0001.png"]
    assert told == [(1, True)]
    assert [p.name for p in tmp_path.iterdir()] == ["0001.png"]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_frames_out(suffix, tmp_path, picture):
    told = []
    with FrameWriter(tmp_path, suffix, lambda *event: told.append(event)) as writer:
        for i in range(1, 13):
            writer.write(i, picture(33, 21, i / 40))
    assert told == [(i, tmp_path / f"{i:04d}.{suffix}") for i in range(1, 13)]
    tolerance = 0 if suffix == "png" else 30
    for i, path in told:
        difference = np.abs(read_painting(path).astype(int) - picture(33, 21, i / 40))
        assert difference.max() <= tolerance


def test_few_frames_are_held(tmp_path, picture, monkeypatch):
    """Where the disk is slow, `write` waits for it."""
    let_go = threading.Event()
    held = []
    plain = FrameWriter._save
    monkeypatch.setattr(FrameWriter, "_save", lambda *a: let_go.wait(5) and plain(*a))

    def fill():
        with FrameWriter(tmp_path, "png", lambda *event: None) as writer:
            for i in range(1, 21):
                held.append(i)
                writer.write(i, picture(16, 16))

    thread = threading.Thread(target=fill)
    thread.start()
    thread.join(0.5)
    assert len(held) <= 6
    let_go.set()
    thread.join(10)
    assert len(list(tmp_path.iterdir())) == 20


def test_a_failing_disk_stops_the_writing(tmp_path, picture):
    folder = tmp_path / "gone"
    with pytest.raises(UserError) as caught, FrameWriter(folder, "png", lambda *event: None) as writer:
        for i in range(1, 50):
            writer.write(i, picture(16, 16))
    assert caught.value.kind == "output"


def test_after_a_failure_elsewhere_frames_are_completed(tmp_path, picture):
    told = []
    with (
        pytest.raises(ZeroDivisionError),
        FrameWriter(tmp_path, "png", lambda i, p: told.append(i)) as writer,
    ):
        writer.write(1, picture(300, 300))
        writer.write(2, picture(300, 300))
        raise ZeroDivisionError
    assert told == [1, 2]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0001.png", "0002.png"]


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


def test_a_killed_writer_leaves_whole_frames_only(tmp_path):
    """Killed at whatever moment: what has a frame's name is a whole picture."""
    code = (
        "import sys, numpy as np, pathlib; from fomm_core.media import FrameWriter\n"
        "noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)\n"
        "with FrameWriter(pathlib.Path(sys.argv[1]), 'png', lambda i, p: print(i, flush=True)) as writer:\n"
        "    for i in range(1, 500): writer.write(i, noise)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    while process.stdout.readline() != b"5\n":
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    frames = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert len(frames) >= 5
    for path in frames:
        with Image.open(path) as image:
            image.load()
            assert image.size == (700, 700)
