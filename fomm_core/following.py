"""A square that follows a driving head through the picture, as a camera operator would: slowly, but never late.

A painting's head cannot leave its shoulders. Where a clip's goes further than that, because somebody walks or the
camera is held by hand, a square that stays shows it small, or cut off by the edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from . import fitting, gaps, regions
from .animator import Animator
from .faces import Probe
from .fitting import Framed, Seen
from .heads import Head
from .media import VideoReader
from .regions import Region

# A head that goes further than so many times its own size (`Poses.scale`), or comes nearer by such a factor, is
# followed; and so is one that is not seen surely in more than this share of a few frames. Heads of people who sit
# and talk go half as far.
FARTHEST, NEARER, UNSURE = 1.2, 1.35, 0.15
# It is looked for so often a second, and the way is smoothed over so many seconds to either side.
PER_SECOND, SMOOTH = 8.0, 0.25
# Found in fewer of these frames, it cannot be followed.
LEAST_FOUND = 0.5


def unsure(head: Head, value: np.ndarray | None) -> float:
    """In how many of (F,K,2) keypoints of frames there is not surely a head, as a share; 1 without any."""
    return 1.0 if value is None else float((~head.surely(value)).mean())


def wanders(head: Head, value: np.ndarray) -> bool:
    """Whether a head goes too far to be looked at in one place, by the (F,K,2) keypoints of frames of a clip."""
    poses, sure = head.poses(value), head.surely(value)
    if poses is None or unsure(head, value) > UNSURE:
        return True
    scale, place = poses.scale[sure], poses.place[sure]
    return np.ptp(place, axis=0).max() > FARTHEST * np.median(scale) or scale.max() > NEARER * scale.min()


@dataclass(frozen=True)
class Way:
    """The square's way through a clip.

    Attributes:
        seconds, squares: (T,) and (T,3), where it is when: `Framed`, in between on straight lines.
        fps: of the clip's frames.
        size: (width, height) of its pictures.
    """

    seconds: np.ndarray
    squares: np.ndarray
    fps: float
    size: tuple[int, int]

    def at(self, seconds: float) -> Framed:
        return Framed(*(float(np.interp(seconds, self.seconds, part)) for part in self.squares.T))

    def region(self, seconds: float) -> Region:
        """What the model sees then: the square in whole pixels, and within the picture."""
        x, y, side = self.at(seconds)
        return Framed(x, y, min(side, *self.size)).within(*self.size)

    def drawn(self, count: int) -> list[Region]:
        """The squares of the clip's first `count` frames, in whole pixels, wherever they reach."""
        squares = [self.at(number / self.fps) for number in range(count)]
        return [Region(*(round(v) for v in (x - s / 2, y - s / 2, s, s))) for x, y, s in squares]

    def placed(self, value: np.ndarray, jacobian: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints (N,K,2) and Jacobians (N,K,2,2) in [-1, 1] of what is seen, from the frame `first` on, as those
        of the squares themselves, which neither stop at an edge nor step from pixel to pixel."""
        value, jacobian = value.copy(), jacobian.copy()
        for index in range(len(value)):
            seconds = (first + index) / self.fps
            region, (x, y, side) = self.region(seconds), self.at(seconds)
            larger = region.w / side
            middle = np.array([region.x + region.w / 2 - x, region.y + region.h / 2 - y])
            value[index] = larger * value[index] + 2 * middle / side
            jacobian[index] *= larger
        return value, jacobian


def way(
    reader: VideoReader, probes: Sequence[Probe], animator: Animator, check: Callable[[], None]
) -> tuple[Way, np.ndarray] | None:
    """How to follow the head of a clip, which is found by its keypoints from frame to frame.

    Args:
        probes: where the clip's face was looked for, in order of time: there the head is found first, and again
            where it was lost.
        check: is called now and then; what it raises ends it.

    Returns:
        The way, and (F,K,2) keypoints of frames of the clip in [-1, 1] of what is seen then; None where there is no
        face, or the head is found too seldom.
    """
    faces = [probe for probe in probes if probe.face]
    if not faces:
        return None
    seconds: list[float] = []
    heads: list[Seen] = []
    head, slower = None, reader.slower(PER_SECOND)
    for count, frame in enumerate(slower):
        check()
        size, now = frame.shape[1::-1], count / slower.fps
        square = regions.square_around(_face(faces, now), *size, within=True)
        empty = gaps.is_empty(regions.crop(frame, square))
        head = head and not empty and fitting.head_in(frame, head.square.within(*size), animator)
        if not head and not empty:
            head = fitting.head_in(frame, square, animator)
        if head:
            seconds.append(now)
            heads.append(head)
    if len(heads) < max(1, LEAST_FOUND * (count + 1)):
        return None
    found = Way(*_smooth(np.array(seconds), np.array([head.square for head in heads])), reader.fps, size)
    seen = [(head.keypoints, found.region(now)) for head, now in zip(heads, seconds)]
    return found, np.stack([2 * (points - square[:2]) / square.w - 1 for points, square in seen]).astype("f4")


def _face(probes: Sequence[Probe], seconds: float) -> Region:
    """Where the face is then, between the looks that found it."""
    times = [probe.seconds for probe in probes]
    boxes = np.array([probe.face for probe in probes])
    return Region(*(round(float(np.interp(seconds, times, part))) for part in boxes.T))


def _smooth(seconds: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The way without what is quick in it, which is the head's own motion; of one size unless that changes much."""
    first, last = round(seconds[0] * PER_SECOND), round(seconds[-1] * PER_SECOND)
    steady = np.stack(
        [np.interp(np.arange(first, last + 1) / PER_SECOND, seconds, part) for part in squares.T], 1
    )
    reach, count = SMOOTH * PER_SECOND, len(steady)
    room = math.ceil(4 * reach) if count > 1 else 0
    steady = np.concatenate([_before(steady, room), steady, _before(steady[::-1], room)[::-1]])
    steady = gaussian_filter1d(steady, reach, axis=0, mode="nearest")
    low, high = np.percentile(squares[:, 2], (5, 95))
    if high <= NEARER * low:
        steady[:, 2] = np.median(squares[:, 2])
    # One step beyond either end: the last frame comes after the last one that was looked at.
    further = min(room, 1)
    steady = steady[room - further : room + count + further]
    return np.arange(first - further, last + further + 1) / PER_SECOND, steady


def _before(numbers: np.ndarray, count: int) -> np.ndarray:
    """(count,D): how (N,D) numbers have come to their beginning, by the line nearest to the first of them."""
    first = numbers[: math.ceil(2 * SMOOTH * PER_SECOND)]
    slope, start = np.polyfit(np.arange(len(first)), first, 1) if count else (first[0], first[0])
    return start + np.arange(-count, 0)[:, None] * slope
