"""Jobs that cannot be done: settings, files, folders and disks; each gets one sentence."""

# ruff: noqa: PT012 - a disk is full after any number of writes

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fomm_core import driving, job, protocol
from fomm_core.errors import UserError
from fomm_core.media import frames
from tests.fomm_core.job_output import snapshot

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
    plain = frames._save_png

    def save(path, *picture):
        if "0003" in path.name:
            path.write_bytes(b"half")
            raise OSError(number, os.strerror(number))
        plain(path, *picture)

    monkeypatch.setattr(frames, "_save_png", save)
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
