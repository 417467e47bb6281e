"""Driving videos in, frame by frame."""

from __future__ import annotations

import contextlib
import copy
import re
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from ..errors import UserError
from . import ffmpeg

MAX_FPS = 240.0
# Seconds to look at of a file that does not say how long it is.
UNKNOWN_LENGTH = 3.0


class VideoReader:
    """Frames of a video, one at a time: (H,W,3) uint8 RGB, upright, with square pixels, at a constant rate.

    Attributes:
        fps: frames per second; a variable rate is brought to the average one.
        estimate: about how many frames there are, 0 where the file does not say.

    Raises:
        UserError: the file is not there, is no video, or has no picture.
    """

    def __init__(self, path: Path, start: float = 0.0, end: float | None = None):
        self.path = path
        if not path.is_file():
            raise UserError("video", f"The driving video {path} is not there.", "Choose another video.")
        about = ffmpeg.about(path)
        stream = re.search(r"Stream #.*?: Video: .*", about)
        if stream is None:
            kind = "sound but no picture" if ": Audio: " in about else "nothing that can be played"
            raise UserError("video", f"{path} holds {kind}.", "Choose a video file, such as an MP4.")
        rate = re.search(r"([\d.]+k?) fps", stream[0]) or re.search(r"([\d.]+k?) tbr", stream[0])
        self.fps = _exact_rate(float(rate[1].replace("k", "e3"))) if rate else 25.0
        if not 0 < self.fps <= MAX_FPS:  # a file of one picture, or a wrong header
            self.fps = 25.0
        duration = re.search(r"Duration: (\d+):(\d+):([\d.]+)", about)
        seconds = (
            sum(float(v) * f for v, f in zip(duration.groups(), (3600, 60, 1), strict=True))
            if duration
            else 0
        )
        length = max(0.0, min(seconds, end or seconds) - start)
        self.estimate = round(length * self.fps)
        self._start, self._end = start, end

    @property
    def length(self) -> float:
        """About how many seconds it takes; a few where the file does not say."""
        return self.estimate / self.fps or UNKNOWN_LENGTH

    def later(self, seconds: float) -> VideoReader:
        """The same video from so many seconds after this one's start on. Its estimate is still the whole's."""
        other = copy.copy(self)
        other._start += seconds
        return other

    def slower(self, fps: float) -> VideoReader:
        """The same video at no more than so many frames per second. Its estimate is still that at its own rate."""
        other = copy.copy(self)
        other.fps = min(self.fps, fps)
        return other

    def sparse(self, count: int) -> Iterator[np.ndarray]:
        """About `count` frames spread evenly over the video, or its first seconds where its length is unknown.

        None where the file is so much shorter than it says that none of them would be in it.
        """
        with (
            contextlib.suppress(UserError),
            contextlib.closing(iter(self.slower(count / self.length))) as frames,
        ):
            yield from islice(frames, count)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Decode from the start. A broken tail ends the video early; raises `UserError` if no frame is whole."""
        # PPM carries each frame's size, whatever rotation and pixel shape made of it.
        cut = ["-ss", f"{self._start:.6f}"] if self._start else []
        if self._end:
            cut += ["-t", f"{self._end - self._start:.6f}"]
        filters = f"fps={self.fps},scale='max(1,round(iw*sar))':ih"
        count = 0
        with tempfile.TemporaryFile() as log:
            process = ffmpeg.start(
                "-v", "error", *cut, *ffmpeg.file_input(self.path), "-map", "0:v:0", "-vf", filters,
                "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-",
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
            try:
                while (frame := _read_ppm(process.stdout)) is not None:
                    count += 1
                    yield frame
            finally:
                process.stdout.close()
                process.kill()
                process.wait()
            if count == 0:
                reason = ffmpeg.last_line(log)
                raise UserError(
                    "video",
                    f"Not one frame of {self.path} can be read{f' ({reason})' if reason else ''}.",
                    "The file may be damaged or empty, or the start lies past its end.",
                )


def _exact_rate(fps: float) -> float:
    """The rate that ffmpeg's two decimals stand for: 23.98 is 24000/1001, which is 23.976."""
    television = round(fps) * 1000 / 1001
    return television if fps != round(fps) and abs(fps - television) < 0.006 else fps


def _read_ppm(stream) -> np.ndarray | None:
    """The next image of a stream of PPM files, or None at its end, be it in the middle of one."""
    if stream.readline() != b"P6\n":
        return None
    width, height = (int(n) for n in stream.readline().split())
    stream.readline()  # the largest value, 255
    data = stream.read(width * height * 3)
    if len(data) < width * height * 3:
        return None
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


def has_sound(path: Path) -> bool:
    """Whether the file has an audio stream; a file that is none of a video has not."""
    return ": Audio: " in ffmpeg.about(path)
