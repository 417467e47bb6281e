"""A first look at a driving video, without PyTorch: how long it is, and its first frame."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from PIL import Image

from . import media, motion
from .files import replacing


@dataclass(frozen=True)
class Look:
    """What a driving video holds, or a motion track.

    Attributes:
        frames: about how many; 0 where the file does not say.
        fps: frames per second.
        width, height: of a frame in pixels; 0 of a track, which has none.
        sound: whether there is any.
    """

    frames: int
    fps: float
    width: int = 0
    height: int = 0
    sound: bool = False


def look(path: Path, picture: Path | None = None, size: int = 256) -> Look:
    """Look at the video or motion track `path`.

    Args:
        picture: a PNG to write the first frame to; a track writes none.
        size: the picture's longest side at most, in pixels.

    Raises:
        UserError: it is no video and no track, none of its frames can be read, or the picture cannot be written.
    """
    if motion.is_track(path):
        track = motion.MotionTrack.load(path)
        return Look(len(track), track.fps)
    reader = media.VideoReader(path)
    with contextlib.closing(iter(reader)) as frames:
        (first,) = islice(frames, 1)  # without any, the reader has raised
    height, width = first.shape[:2]
    if picture is not None:
        small = Image.fromarray(first)
        small.thumbnail((size, size))
        with replacing(picture) as temporary:
            small.save(temporary, "PNG")
    return Look(reader.estimate, reader.fps, width, height, media.has_sound(path))
