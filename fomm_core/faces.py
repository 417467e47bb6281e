"""Where the faces of a job are, looked for while its model is loaded: nothing here needs PyTorch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from . import media, regions
from .control import Cancelled, Control
from .errors import UserError
from .regions import Region

Found = TypeVar("Found")
# Finds the box of the largest face in an (H,W,3) uint8 picture.
Find = Callable[[np.ndarray], "Region | None"]

# A clip's face is looked for in a few frames evenly spread over it; in more where those do not agree.
FEW, MORE = 3, 9
# So many looks at once: each starts an ffmpeg, and the job has other work to do meanwhile.
AT_ONCE = 2
# Boxes of one face: none this many times larger or smaller than the median one.
ALIKE = 1.6


class Probe(NamedTuple):
    """One look at a clip: at which second from the chosen start, and the box of the face there, if any."""

    seconds: float
    face: Region | None


class Search(Generic[Found]):
    """A search that begins at once, in a thread of its own.

    Args:
        look: does it; it is given a function to call now and then, which ends it by what it raises.
        control: of the job that it is for.
    """

    def __init__(self, look: Callable[[Callable[[], None]], Found], control: Control):
        self._control, self._left = control, Event()
        pool = ThreadPoolExecutor(1, thread_name_prefix="faces")
        self._future = pool.submit(look, self._check)
        pool.shutdown(wait=False)

    def found(self) -> Found:
        """What was found. Raises `UserError` and `Cancelled`."""
        return self._future.result()

    def leave(self) -> None:
        """Nobody will ask for it."""
        self._left.set()

    def _check(self) -> None:
        self._control.check()
        if self._left.is_set():
            raise Cancelled


def in_painting(painting: np.ndarray, control: Control) -> Search[list[Region]]:
    """The squares that move in a painting, as `media.read_painting` gives it, around its faces, largest first."""
    return Search(lambda check: regions.around_sitters(media.as_seen(painting)), control)


def in_clip(video: Path, start: float, end: float | None, control: Control) -> Search[list[Probe]]:
    """Looks at a driving video between two seconds, in order of time."""
    return Search(lambda check: probes(media.VideoReader(video, start, end), check), control)


def probes(reader: media.VideoReader, check: Callable[[], None]) -> list[Probe]:
    """Looks at a clip, in order of time: a few where they agree, more where a face is missing or moves about.

    `check` is called before each; what it raises ends the search.
    """
    few = a_few(reader, check, regions.find_face)
    faces = [probe.face for probe in few]
    if all(faces) and _path(few).w < ALIKE * min(face.w for face in faces):
        return few
    between = set(np.linspace(0, 0.98, MORE)) - set(np.linspace(0, 0.98, FEW))
    more = _look(reader, between, check, regions.find_face)
    return sorted(few + more, key=lambda probe: probe.seconds)


def region_of(probes: Sequence[Probe], width: int, height: int) -> Region | None:
    """The square in which a clip's face moves, with room; None where it was not found.

    It is as much larger than one frame's face as the way that the face goes, so that it never leaves the square.
    """
    path = _path(probes)
    return path and regions.square_around(path, width, height, within=True)


def _path(probes: Sequence[Probe]) -> Region | None:
    """The square box of all the places where the face was found."""
    found = [probe.face for probe in probes if probe.face]
    if not found:
        return None
    median = float(np.median([face.w for face in found]))
    same = [face for face in found if 1 / ALIKE <= face.w / median <= ALIKE] or found
    left, top = min(face.x for face in same), min(face.y for face in same)
    across, down = max(face.x + face.w for face in same) - left, max(face.y + face.h for face in same) - top
    side = max(across, down)
    return Region(left + (across - side) // 2, top + (down - side) // 2, side, side)


def a_few(
    reader: media.VideoReader, check: Callable[[], None], find: Find, at_once: int = AT_ONCE
) -> list[Probe]:
    """A few looks at a clip, evenly spread over it, in order of time, each by `find`, so many at once."""
    return _look(reader, np.linspace(0, 0.98, FEW), check, find, at_once)


def _look(
    reader: media.VideoReader,
    shares: Iterable[float],
    check: Callable[[], None],
    find: Find,
    at_once: int = AT_ONCE,
) -> list[Probe]:
    """The face at each of those shares of the clip's length."""
    length = reader.length

    def look(share: float) -> list[Probe]:
        check()
        # The file may be shorter than it says.
        with contextlib.suppress(UserError), contextlib.closing(iter(reader.later(share * length))) as frames:
            return [Probe(share * length, find(frame)) for frame in islice(frames, 1)]
        return []

    with ThreadPoolExecutor(at_once, thread_name_prefix="look") as pool:
        return [probe for found in pool.map(look, sorted(shares)) for probe in found]
