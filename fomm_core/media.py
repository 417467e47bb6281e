"""Pictures and video, streaming: frames come in one at a time and go out complete or not at all."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import UserError
from .files import refusal, replacing

# Nobody's painting has more pixels than this; a file that claims to would fill the memory.
MAX_PIXELS = 400_000_000
MAX_FPS = 240.0
# What a file of the format can hold, in pixels a side.
MAX_SIDE = {"jpg": 65535, "webp": 16383, "mp4": 16384}

Image.MAX_IMAGE_PIXELS = MAX_PIXELS


def read_painting(path: Path) -> np.ndarray:
    """A painting as (H,W,3) uint8 RGB, upright.

    Transparency is laid over white; 16 bits and greyscale become 8-bit RGB. Raises `UserError`.
    """
    try:
        # Pillow's warnings about odd metadata help nobody whose picture is read.
        with warnings.catch_warnings(action="ignore"), Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I") or image.mode == "F":
                image = _eight_bit(image)
            elif image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            image = image.convert("RGB")
    except FileNotFoundError:
        raise UserError("image", f"The painting {path} is not there.", "Choose another image.") from None
    except UnidentifiedImageError:
        raise UserError(
            "image", f"{path} is no image that can be read.", "Save it as PNG, JPEG, WebP or TIFF."
        ) from None
    except Image.DecompressionBombError as error:
        raise UserError("image", f"The painting {path} is too large.", "Scale it down.") from error
    except IsADirectoryError:
        raise UserError("image", f"The painting {path} is a folder.", "Choose an image file.") from None
    except Exception as error:  # on damaged files, decoders fail in as many ways as there are formats
        raise UserError(
            "image",
            f"The painting {path} cannot be read ({error}).",
            "The file may be damaged; save it anew.",
        ) from error
    if min(image.size) < 16:
        raise UserError(
            "image",
            f"The painting {path} has only {image.width} x {image.height} pixels.",
            "Choose one with at least 16 a side.",
        )
    return np.asarray(image)


def scaled(image: np.ndarray, size: int) -> np.ndarray:
    """The (H,W,3) uint8 image with its longest side at most `size`."""
    longest = max(image.shape[:2])
    if longest <= size:
        return image
    height, width = (max(1, round(side * size / longest)) for side in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def _eight_bit(image: Image.Image) -> Image.Image:
    """Greyscale of 16 or 32 bits, or floats, brought to 8 (Pillow's own conversion clips instead)."""
    values = np.nan_to_num(np.asarray(image).astype(np.float64))
    top = 1.0 if image.mode == "F" and values.max(initial=0) <= 1 else 65535.0
    return Image.fromarray((values / top * 255).round().clip(0, 255).astype(np.uint8))


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
        about = self._about()
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
        self._cut = [
            *(["-ss", f"{start:.6f}"] if start else []),
            *(["-t", f"{end - start:.6f}"] if end else []),
        ]

    def _about(self) -> str:
        """What ffmpeg says of the file; its exit status is an error as no output was asked for."""
        process = _ffmpeg(
            "-hide_banner", *_input(self.path), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        return process.communicate()[1].decode("utf-8", "replace")

    def __iter__(self) -> Iterator[np.ndarray]:
        """Decode from the start. A broken tail ends the video early; raises `UserError` if no frame is whole."""
        # PPM carries each frame's size, whatever rotation and pixel shape made of it.
        filters = f"fps={self.fps},scale='max(1,round(iw*sar))':ih"
        count = 0
        with tempfile.TemporaryFile() as log:
            process = _ffmpeg(
                "-v", "error", *self._cut, *_input(self.path), "-map", "0:v:0", "-vf", filters,
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
                reason = _last_line(log)
                raise UserError(
                    "video",
                    f"Not one frame of {self.path} can be read{f' ({reason})' if reason else ''}.",
                    "The file may be damaged or empty, or the start lies past its end.",
                )


def _ffmpeg(*arguments: str, **streams) -> subprocess.Popen:
    """Start ffmpeg, out of reach of the terminal's Ctrl-C: a job ends its input and output in its own time."""
    apart = (
        {"creationflags": subprocess.CREATE_NO_WINDOW}
        if sys.platform == "win32"
        else {"start_new_session": True}
    )
    return subprocess.Popen([imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", *arguments], **apart, **streams)


def _input(path: Path) -> list[str]:
    # A file and nothing but a file, whatever its name looks like and whatever addresses it contains.
    return ["-protocol_whitelist", "file", "-i", f"file:{path}"]


def _last_line(log) -> str:
    log.seek(0)
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:200] if lines else ""


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


_SAVE = {
    "png": {"compress_level": 1},  # far quicker than the usual level, for somewhat larger files
    "jpg": {"quality": 95, "subsampling": 0},
    "webp": {"quality": 95, "method": 2},
}


def frame_path(folder: Path, index: int, suffix: str) -> Path:
    """The file of frame `index`, from 1."""
    return folder / f"{index:04d}.{suffix}"


class FrameWriter:
    """Writes numbered images in the background, each complete or absent.

    A context manager. Few frames are held at once: `write` waits for the disk where it is slower.

    Args:
        folder: where `0001.png …` go; it must be there.
        suffix: png, jpg or webp.
        written: called as (index, path), in the order of `write`, from the writing thread's caller.
    """

    def __init__(self, folder: Path, suffix: str, written: Callable[[int, Path], None]):
        self.folder, self.suffix = folder, suffix
        self._written = written
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="frame-writer")
        self._pending: deque[tuple[int, Path, Future]] = deque()

    def write(self, index: int, frame: np.ndarray) -> None:
        """Write the (H,W,3) uint8 `frame` as number `index`. Raises `UserError` for this or an earlier frame."""
        path = frame_path(self.folder, index, self.suffix)
        self._pending.append((index, path, self._pool.submit(self._save, path, frame)))
        while self._pending and (len(self._pending) > 4 or self._pending[0][2].done()):
            self._finish_one()

    def _save(self, path: Path, frame: np.ndarray) -> None:
        with replacing(path) as temporary:
            Image.fromarray(frame).save(temporary, **_SAVE[self.suffix])

    def _finish_one(self) -> None:
        index, path, future = self._pending.popleft()
        future.result()
        self._written(index, path)

    def __enter__(self) -> FrameWriter:
        return self

    def __exit__(self, kind, *_) -> None:
        # After a failure elsewhere, frames under way are still completed and told of.
        try:
            while self._pending:
                with contextlib.nullcontext() if kind is None else contextlib.suppress(UserError):
                    self._finish_one()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)


_ENCODING = {
    ".mp4": (
        "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2",  # H.264 wants even sides
        "-c:v", "libx264", "-crf", "16", "-pix_fmt", "yuv420p", "-movflags", "+faststart",
    ),
    # A palette for each frame: one for all would keep every frame in memory until the last has come. And browsers
    # show what is meant to be faster than 50 frames per second at a crawl.
    ".gif": (
        "-vf", "fps='min(source_fps,50)',split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1",
    ),
}  # fmt: skip


class MovieWriter:
    """Writes a movie that appears at `path` when it is complete. A context manager like `FrameWriter`.

    Args:
        path: the file, whose suffix is .mp4 (H.264) or .gif.
        fps: frames per second.
        written: called as (index, path) for each frame that has been handed to the encoder.
    """

    def __init__(self, path: Path, fps: float, written: Callable[[int, Path], None]):
        self.path, self.fps = path, fps
        self._written = written
        self._encoder: subprocess.Popen | None = None

    def __enter__(self) -> MovieWriter:
        self._open = self._opened()
        self._open.__enter__()
        return self

    def __exit__(self, *failure) -> bool | None:
        return self._open.__exit__(*failure)

    def write(self, index: int, frame: np.ndarray) -> None:
        """Append the (H,W,3) uint8 `frame`, of the first one's size. Raises `UserError`."""
        if self._encoder is None:
            height, width = frame.shape[:2]
            self._encoder = _ffmpeg(
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
        self._written(index, self.path)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[None]:
        with replacing(self.path) as self._temporary, tempfile.TemporaryFile() as self._log:
            try:
                yield
                self._end()
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
            raise refusal(_last_line(self._log) or "the encoder failed")
