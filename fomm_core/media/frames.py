"""Frames out, as numbered pictures: each complete or absent."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import UserError
from ..files import replacing
from .paintings import as_seen, eight_bit

# What a file of the format can hold, in pixels a side.
MAX_SIDE = {"jpg": 65535, "webp": 16383, "mp4": 16384}
_HELD_FRAMES, _HELD_BYTES = 4, 400_000_000  # at most so many wait for the disk

_SAVE = {"jpg": {"quality": 95, "subsampling": 0}, "webp": {"quality": 95, "method": 2}}


def frame_path(folder: Path, index: int, suffix: str) -> Path:
    """The file of frame `index`, from 1."""
    return folder / f"{index:04d}.{suffix}"


class FrameWriter:
    """Writes numbered images in the background, each complete or absent.

    A context manager. Few frames are held at once: `write` waits for the disk where it is slower, and for the first
    frame, which somebody wants to see.

    Args:
        folder: where `0001.png …` go; it must be there.
        suffix: png, jpg or webp.
        written: called as (index, path), in the order of `write`, from the writing thread's caller.
        profile: the painting's `colour_profile`, for every frame, so that its colours are shown as its own.
    """

    def __init__(
        self, folder: Path, suffix: str, written: Callable[[int, Path], None], profile: bytes | None = None
    ):
        self.folder, self.suffix, self.profile = folder, suffix, profile
        self._written = written
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="frame-writer")
        self._pending: deque[tuple[int, Path, Future]] = deque()
        self._begun = False

    def write(self, index: int, frame: np.ndarray) -> None:
        """Write the (H,W,3|4) uint8 or uint16 `frame` as number `index`.

        PNG keeps all of it, WebP the alpha. Raises `UserError` for this or an earlier frame.
        """
        path = frame_path(self.folder, index, self.suffix)
        self._pending.append((index, path, self._pool.submit(self._save, path, frame)))
        held = min(_HELD_FRAMES, _HELD_BYTES // frame.nbytes) if self._begun else 0
        self._begun = True
        while self._pending and (len(self._pending) > held or self._pending[0][2].done()):
            self._finish_one()

    def _save(self, path: Path, frame: np.ndarray) -> None:
        with replacing(path) as temporary:
            if self.suffix == "png":
                _save_png(temporary, frame, self.profile)
                return
            image = Image.fromarray(as_seen(frame) if self.suffix == "jpg" else eight_bit(frame))
            image.save(temporary, icc_profile=self.profile, **_SAVE[self.suffix])

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


def _save_png(path: Path, image: np.ndarray, profile: bytes | None) -> None:
    """Write (H,W,3|4) uint8 or uint16 as PNG (its specification, sections 5, 9 and 11).

    In half the time that Pillow takes for as large a file; and Pillow has no mode for 16 bits.
    """
    height, width, channels = image.shape
    with open(path, "wb") as file:

        def chunk(name: bytes, data: bytes) -> None:
            file.write(struct.pack(">I", len(data)) + name + data)
            file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))

        file.write(b"\x89PNG\r\n\x1a\n")
        depth, colour = image.itemsize * 8, 2 if channels == 3 else 6
        chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
        if profile:
            chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile))
        # Runs are all that deflate looks for: in a painting's noise it would look for more in vain.
        packer = zlib.compressobj(1, strategy=zlib.Z_RLE)
        above = np.zeros((1, width * channels * image.itemsize), np.uint8)
        # Some rows at a time: a large frame takes little memory besides itself.
        rows = max(1, 4_000_000 // above.size)
        for top in range(0, height, rows):
            data = image[top : top + rows].astype(f">u{image.itemsize}", copy=False)
            data = np.ascontiguousarray(data).view(np.uint8).reshape(-1, above.size)
            # Filter 2: the difference to the row above.
            lines = np.full((len(data), 1 + above.size), 2, np.uint8)
            np.subtract(data, np.concatenate([above, data[:-1]]), out=lines[:, 1:])
            above = data[-1:]
            if packed := packer.compress(lines):
                chunk(b"IDAT", packed)
        chunk(b"IDAT", packer.flush())
        chunk(b"IEND", b"")
