# ruff: noqa: PT012 - a writer fails at any frame

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fomm_core.errors import UserError
from fomm_core.media import FrameWriter, read_painting


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


def test_the_first_frame_is_told_of_at_once(tmp_path, picture):
    told = []
    with FrameWriter(tmp_path, "png", lambda i, p: told.append(i)) as writer:
        writer.write(7, picture(300, 300))
        assert told == [7]


def test_few_frames_are_held(tmp_path, picture, monkeypatch):
    """Where the disk is slow, `write` waits for it."""
    let_go = threading.Event()
    held = []
    plain = FrameWriter._save

    def save(writer, path, frame):  # the first frame is waited for, however many may be held
        if path.stem != "0001":
            let_go.wait(5)
        plain(writer, path, frame)

    monkeypatch.setattr(FrameWriter, "_save", save)

    def fill():
        with FrameWriter(tmp_path, "png", lambda *event: None) as writer:
            for i in range(1, 21):
                held.append(i)
                writer.write(i, picture(16, 16))

    thread = threading.Thread(target=fill)
    thread.start()
    thread.join(0.5)
    assert 2 < len(held) <= 6
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


@given(
    width=st.integers(16, 60),
    height=st.integers(16, 60),
    channels=st.sampled_from([3, 4]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    seed=st.integers(0, 99),
)
def test_png_keeps_every_bit(width, height, channels, dtype, seed, tmp_path_factory):
    top = np.iinfo(dtype).max
    frame = np.random.default_rng(seed).integers(0, top, (height, width, channels), dtype, endpoint=True)
    folder = tmp_path_factory.getbasetemp()
    with FrameWriter(folder, "png", lambda *event: None) as writer:
        writer.write(1, frame)
    found = read_painting(folder / "0001.png")
    assert found.dtype == dtype
    assert (found == frame).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 500_000), (900, 800)])
def test_sixteen_bits_of_any_size(shape, tmp_path):
    """One pixel, a row longer than is packed at a time, several packs: whole, by Pillow's own checks."""
    frame = np.random.default_rng(0).integers(0, 65536, (*shape, 4), np.uint16)
    with FrameWriter(tmp_path, "png", lambda *event: None) as writer:
        writer.write(1, frame)
    with Image.open(tmp_path / "0001.png") as file:
        assert (np.asarray(file) == frame >> 8).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("suffix", "shape"), [("webp", (40, 50, 4)), ("jpg", (40, 50, 3))])
def test_what_other_formats_keep(suffix, shape, dtype, tmp_path, picture):
    unit = np.iinfo(dtype).max // 255
    frame = np.dstack([picture(50, 40), np.full((40, 50), 255)]).astype(dtype) * unit
    frame[:, :25, 3] = 0
    with FrameWriter(tmp_path, suffix, lambda *event: None) as writer:
        writer.write(1, frame)
    found = read_painting(tmp_path / f"0001.{suffix}")
    assert found.shape == shape
    assert found.dtype == np.uint8
    if suffix == "webp":
        assert (found[..., 3] == frame[..., 3] // unit).all()
    else:
        assert found[:, :20].min() > 230, "white is behind it"
