"""Frames out, as a movie, with the driving video's sound."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..files import refusal, replacing
from . import ffmpeg
from .paintings import as_seen
from .video import has_sound

_ENCODING = {
    ".mp4": (
        "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2",  # H.264 wants even sides
        "-c:v", "libx264", "-preset", "veryfast", "-crf", "14", "-pix_fmt", "yuv420p", "-movflags", "+faststart",
    ),
    # A palette for each frame: one for all would keep every frame in memory until the last has come. And browsers
    # show what is meant to be faster than 50 frames per second at a crawl.
    ".gif": (
        "-vf", "fps='min(source_fps,50)',split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1",
    ),
}  # fmt: skip


class Sound(NamedTuple):
    """The sound of the video `path`, from `start` seconds on."""

    path: Path
    start: float = 0.0


class MovieWriter:
    """Writes a movie that appears at `path` when it is complete. A context manager like `FrameWriter`.

    Args:
        path: the file, whose suffix is .mp4 (H.264) or .gif.
        fps: frames per second.
        written: called as (index, path) for each frame that has been handed to the encoder.
        sound: what is heard as long as the picture lasts, silence after its end. A video without sound gives a
            silent movie, and a GIF is always silent.
        warn: called with a sentence where there is sound that cannot be played; the movie is silent then.
    """

    def __init__(
        self,
        path: Path,
        fps: float,
        written: Callable[[int, Path], None],
        sound: Sound | None = None,
        warn: Callable[[str], None] = lambda sentence: None,
    ):
        self.path, self.fps = path, fps
        self._written, self._warn = written, warn
        self._sound = sound if path.suffix.lower() == ".mp4" else None
        self._frames = 0
        self._encoder: subprocess.Popen | None = None

    def __enter__(self) -> MovieWriter:
        self._open = self._opened()
        self._open.__enter__()
        return self

    def __exit__(self, *failure) -> bool | None:
        return self._open.__exit__(*failure)

    def write(self, index: int, frame: np.ndarray) -> None:
        """Append the (H,W,3|4) uint8 or uint16 `frame`, of the first one's size, `as_seen`. Raises `UserError`."""
        frame = as_seen(frame)
        if self._encoder is None:
            height, width = frame.shape[:2]
            self._encoder = ffmpeg.start(
                "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}",
                "-r", f"{self.fps:.6f}", "-i", "-", *_ENCODING[self.path.suffix.lower()],
                f"file:{self._temporary}",
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._log,
            )  # fmt: skip
        try:
            self._encoder.stdin.write(np.ascontiguousarray(frame))
        except OSError:
            self._end()  # it has ended, and this tells why
            raise
        self._frames += 1
        self._written(index, self.path)

    def _add_sound(self) -> None:
        """Put the sound beside the encoded picture, which is copied; only now it is known how long that is."""
        if self._sound is None or not has_sound(self._sound.path):
            return
        source = ["-ss", f"{self._sound.start:.6f}", *ffmpeg.file_input(self._sound.path)]
        # What starts late, has gaps or ends early is filled with silence, so that it stays with the picture.
        length = f"{self._frames / self.fps:.6f}"
        filled = f"aresample=async=1:first_pts=0,apad=whole_dur={length},atrim=end={length}"
        both = self._temporary.with_name(f".sound{self._temporary.name}")
        try:
            process = ffmpeg.start(
                "-v", "error", "-y", *ffmpeg.file_input(self._temporary), *source, "-map", "0:v", "-map", "1:a:0",
                "-c:v", "copy", "-af", filled, "-c:a", "aac", "-b:a", "192k", "-movflags", "+faststart",
                f"file:{both}",
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
            words = process.communicate()[1].decode("utf-8", "replace").strip()
            if process.returncode == 0:
                os.replace(both, self._temporary)
                return
            failure = refusal(words)
            if failure.errno:
                raise failure
            reason = words.splitlines()[-1][:200] if words else "the encoder failed"
            self._warn(f"The sound of {self._sound.path} cannot be played ({reason}): the movie has none.")
        finally:
            both.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[None]:
        with replacing(self.path) as self._temporary, tempfile.TemporaryFile() as self._log:
            try:
                yield
                self._end()
                if self._frames:
                    self._add_sound()
            finally:
                if self._encoder is not None:
                    self._encoder.kill()
                    self._encoder.wait()
                    with contextlib.suppress(OSError):
                        self._encoder.stdin.close()

    def _end(self) -> None:
        """Wait until the encoder has written all; raises `OSError` where it could not."""
        if self._encoder is None:
            return
        with contextlib.suppress(OSError):
            self._encoder.stdin.close()
        if self._encoder.wait() != 0:
            raise refusal(ffmpeg.last_line(self._log) or "the encoder failed")
