"""Motion as data: keypoints and Jacobians over time, smoothed, retimed and looped before any pixel is computed."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from .errors import UserError
from .files import replacing

FORMAT = 1
SUFFIX = ".npz"
# Below this, a hull's area (of the 4 that the image has) or a Jacobian's determinant, relative to its
# size, is noise, and dividing by it would blow that noise up.
TINY = 1e-6
# Jacobians are of the order of 1: one whose squares sum up to less than this is judged as if they did.
SMALL = 1e-3
# A detector's numbers are of the order of 1; beyond this a file holds something else.
LARGEST = 1e4
# Smoothing of strength 1 averages over this many seconds to either side (standard deviation) …
SMOOTHING = 0.12
# … what differs by no more than the jitter: keypoints in [-1, 1], between 1/4 and 3/2 of a pixel of 256.
JITTER = (0.25 / 128, 1.5 / 128)
TURN_JITTER = (0.01, 0.1)
# The end of a seamless loop takes at least so many seconds to lead back to the beginning.
SHORTEST_WAY = 0.5


@dataclass(frozen=True)
class MotionTrack:
    """The motion of one clip.

    Attributes:
        value: (N,K,2) float32, K keypoints (x, y) of N frames, in [-1, 1] of the square the model sees.
        jacobian: (N,K,2,2) float32.
        fps: frames per second.
        provenance: where it comes from: `video`, `video_sha256`, `model`, `model_sha256`, `region`, ….
    """

    value: np.ndarray
    jacobian: np.ndarray
    fps: float
    provenance: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.value)

    def save(self, path: Path) -> None:
        """Write one small .npz file, complete or not at all. Raises `UserError`."""
        # First into memory: given a path, numpy would add a suffix of its own, and a zip file that could not be
        # finished on a full disk complains of that when it is forgotten.
        content = io.BytesIO()
        np.savez_compressed(
            content,
            format=FORMAT,
            value=self.value,
            jacobian=self.jacobian,
            fps=self.fps,
            provenance=json.dumps(self.provenance),
        )
        with replacing(path) as temporary:
            temporary.write_bytes(content.getvalue())

    @classmethod
    def load(cls, path: Path) -> MotionTrack:
        """Read what `save` wrote. Raises `UserError` where it is damaged or something else."""
        try:
            with np.load(path, allow_pickle=False) as data:
                version = int(data["format"])
                track = cls(
                    np.asarray(data["value"], np.float32),
                    np.asarray(data["jacobian"], np.float32),
                    float(data["fps"]),
                    json.loads(str(data["provenance"])),
                )
        except FileNotFoundError as error:
            raise UserError(
                "video", f"The motion track {path} is not there.", "Choose another file."
            ) from error
        except Exception as error:  # zip, zlib and numpy fail in many ways on what is no track
            raise UserError(
                "video", f"{path} is no motion track, or it is damaged.", "Make it again with `track`."
            ) from error
        if version != FORMAT:
            raise UserError(
                "video", f"The motion track {path} is of a newer version.", "Update this program."
            )
        if not track._is_sound():
            raise UserError("video", f"The motion track {path} is damaged.", "Make it again with `track`.")
        return track

    @property
    def recorded_fps(self) -> float:
        """The frame rate of the video that the motion comes from, whatever it was retimed to since."""
        return float(self.provenance.get("fps", self.fps))

    def _is_sound(self) -> bool:
        n, k = self.value.shape[:2] if self.value.ndim == 3 else (0, 0)
        if n * k == 0 or self.value.shape != (n, k, 2) or self.jacobian.shape != (n, k, 2, 2):
            return False
        words = isinstance(self.provenance, dict) and all(
            isinstance(word, str) for word in self.provenance.values()
        )
        try:
            rates = words and all(0 < rate < math.inf for rate in (self.fps, self.recorded_fps))
        except ValueError:
            return False
        # Said so that NaN does not pass.
        return rates and all(np.all(np.abs(part) <= LARGEST) for part in (self.value, self.jacobian))

    def cut(self, start: float = 0.0, end: float | None = None) -> MotionTrack:
        """The frames from `start` up to, not including, `end`, in seconds. Raises `UserError` if none is left."""
        first = math.ceil(start * self.fps - 1e-6)
        last = len(self) if end is None else min(len(self), math.ceil(end * self.fps - 1e-6))
        if first >= last:
            raise UserError(
                "arguments",
                f"Nothing is left of the driving video, which lasts {len(self) / self.fps:.2f} s.",
                "Choose an earlier start or a later end.",
            )
        return replace(self, value=self.value[first:last], jacobian=self.jacobian[first:last])

    def bridged(self, gaps: Sequence[range]) -> MotionTrack:
        """The same motion, led smoothly across some gaps: from the frame before each to the one after it.

        Where there is none, at the motion's beginning and end, it holds still.

        Args:
            gaps: the frames that mean nothing, in order; not all there are, and none next to each other.
        """
        value, jacobian = self.value.copy(), self.jacobian.copy()
        for gap in gaps:
            here = slice(gap.start, gap.stop)
            before = gap.start - 1 if gap.start else gap.stop
            after = gap.stop if gap.stop < len(self) else before
            weight = _eased(np.arange(1, len(gap) + 1) / (len(gap) + 1))
            for part in (value, jacobian):
                way = part[after] - part[before]
                part[here] = part[before] + weight.reshape(-1, *[1] * way.ndim) * way
            jacobian[here] = _sound(jacobian[here], jacobian[[before]], jacobian[[after]])
        return replace(self, value=value, jacobian=jacobian)

    def smoothed(self, strength: float) -> MotionTrack:
        """The same motion without a detector's jitter: what is nearly still becomes still, what moves stays.

        Offline, so nothing lags: each frame is seen with its past and its future, about a tenth of a second
        of them for a strength of 1, whatever the frame rate.

        Args:
            strength: 0 changes nothing; 1 is the usual; 5 leaves only slow and large motion.
        """
        if strength == 0 or len(self) < 3:
            return self
        n, k = self.value.shape[:2]
        reach = strength * SMOOTHING * self.fps
        value = _steadied(self.value, reach, [strength * bound for bound in JITTER])
        flat = _steadied(self.jacobian.reshape(n, k, 4), reach, [strength * bound for bound in TURN_JITTER])
        jacobian = _sound(flat.reshape(n, k, 2, 2), self.jacobian, self.jacobian)
        return replace(self, value=value, jacobian=jacobian)

    def retimed(self, fps: float) -> MotionTrack:
        """The same motion at another rate, as long as before, keypoints and Jacobians interpolated in time.

        New frames past the middle of the last one go on as it moved, so that none is shown twice.
        """
        if fps == self.fps:
            return self
        count = max(1, round(len(self) * fps / self.fps))
        at = np.arange(count) * (self.fps / fps)
        left = np.minimum(np.floor(at).astype(int), len(self) - 1)
        right = np.minimum(left + 1, len(self) - 1)
        value = _interpolated(self.value, at)
        jacobian = _sound(_interpolated(self.jacobian, at), self.jacobian[left], self.jacobian[right])
        return replace(self, value=value, jacobian=jacobian, fps=fps)

    def looped(self, loop: str) -> MotionTrack:
        """The motion to be played again and again: `loop` is one of `protocol.LOOPS`.

        "pingpong" runs forward, then backward, no frame twice in a row. "seamless" is as long as before: the last
        frames lead back into the first, which stay as they are, in time with the clip's sound.
        """
        if loop == "pingpong":
            there_and_back = np.concatenate([np.arange(len(self)), np.arange(len(self) - 2, 0, -1)])
            return replace(self, value=self.value[there_and_back], jacobian=self.jacobian[there_and_back])
        if loop == "seamless" and len(self) > 2:
            return self._led_back()
        return self

    def _led_back(self) -> MotionTrack:
        """Its last frames moved so that the step from the last to the first is one like those between frames."""
        parts = (self.value, self.jacobian)
        stretch = self._stretch()
        weight = _eased(np.arange(1, stretch + 1) / stretch)
        # The last frame is to lie one step before the first; a smaller step where it would stand out.
        for step in (1.0, 0.5, 0.25, 0.0):
            ends = []
            for part in parts:
                velocity = (part[1] - part[0] + part[-1] - part[-2]) / 2
                change = part[0] - step * velocity - part[-1]
                moved = part.copy()
                moved[-stretch:] += weight.reshape(-1, *[1] * (part.ndim - 1)) * change
                ends.append(moved)
            if all(_step(part[-1:], part[:1]).max() <= _step(part[:-1], part[1:]).max() for part in ends):
                break
        value, jacobian = ends
        return replace(self, value=value, jacobian=_sound(jacobian, self.jacobian, self.jacobian[:1]))

    def _stretch(self) -> int:
        """Over how many frames the end is led back: so many that the way is no rush, half of all at most."""
        steps = _step(self.value[:-1], self.value[1:])
        way = 1.5 * _step(self.value[-1:], self.value[:1])[0]  # at its fastest in the middle
        lively = max(float(np.quantile(steps, 0.75)), TINY)
        return int(np.clip(max(way / lively, SHORTEST_WAY * self.fps), 1, len(self) // 2))


def is_track(path: Path) -> bool:
    """Whether a file of that name is a motion track, and no video."""
    return path.suffix.lower() == SUFFIX


def is_singular(matrices: np.ndarray) -> np.ndarray:
    """Which of the (…,2,2) matrices cannot be inverted, or not without blowing up noise."""
    determinant = np.linalg.det(matrices)
    return np.abs(determinant) <= TINY * np.maximum(np.square(matrices).sum((-1, -2)), SMALL)


def regular(matrices: np.ndarray, instead: np.ndarray) -> np.ndarray:
    """The (…,2,2) matrices, with `instead` in place of those that cannot be inverted."""
    return np.where(is_singular(matrices)[..., None, None], instead, matrices)


def _steadied(parts: np.ndarray, reach: float, bounds: Sequence[float]) -> np.ndarray:
    """(N,K,D) numbers over time, each frame a local line through those near in time and alike.

    A bilateral filter of first order: it averages over about `reach` frames (standard deviation) to both sides,
    but not across what differs by much more than the noise, so steps stay steps. A line rather than a mean
    keeps the ends from lagging behind, where one of the sides is missing.

    Args:
        bounds: least and largest difference that counts as alike; in between, three times the noise found.
    """
    n = len(parts)
    data = parts.astype(np.float64)
    # Motion hardly shows in second differences, noise does: the median finds it (Gasser et al., 1986).
    second = data[:-2] - 2 * data[1:-1] + data[2:]
    noise = 1.4826 * np.median(np.abs(second), axis=0).mean(-1) / math.sqrt(6)
    alike = np.clip(3 * noise, *bounds)
    # Weights, and their moments in time: without and with the numbers.
    s0, s1, s2 = np.ones((n, data.shape[1])), *np.zeros((2, n, data.shape[1]))
    t0, t1 = data.copy(), np.zeros_like(data)
    for lag in range(1, min(n - 1, math.ceil(3 * reach)) + 1):
        difference = np.square(data[lag:] - data[:-lag]).sum(-1) / np.square(alike)
        weight = np.exp(-(difference + (lag / reach) ** 2) / 2)
        for here, there, offset in (
            (slice(lag, n), slice(0, n - lag), -lag),
            (slice(0, n - lag), slice(lag, n), lag),
        ):
            s0[here] += weight
            s1[here] += offset * weight
            s2[here] += offset * offset * weight
            t0[here] += weight[..., None] * data[there]
            t1[here] += offset * weight[..., None] * data[there]
    # A frame that is like none near it gives no slope; the small term keeps that from dividing by nothing.
    determinant = s0 * s2 - s1 * s1 + 1e-3 * s0
    smooth = ((s2 + 1e-3)[..., None] * t0 - s1[..., None] * t1) / determinant[..., None]
    return smooth.astype(parts.dtype)


def _interpolated(parts: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(N,…) numbers of frames, read at the frame numbers `at`, which may lie up to one past the last.

    A cubic spline whose slopes are limited (Hyman, 1983) so that it does not overshoot where the motion starts
    or stops at once.
    """
    # A quarter of a second to import, and few motions are retimed.
    from scipy.interpolate import CubicHermiteSpline, CubicSpline

    n = len(parts)
    if n == 1:
        return np.repeat(parts, len(at), axis=0)
    number = np.arange(n)
    data = parts.astype(np.float64)
    slope = CubicSpline(number, data)(number, 1)
    step = np.diff(data, axis=0)
    before, after = np.concatenate([step[:1], step]), np.concatenate([step, step[-1:]])
    # At the ends one step is all there is to know, and what goes on beyond it goes no faster.
    most = 3 * np.minimum(np.abs(before), np.abs(after))
    most[[0, -1]] /= 3
    one_way = before * after > 0
    least = np.where(one_way & (before > 0), 0.0, -most)
    slope = np.clip(slope, least, np.where(one_way & (before < 0), 0.0, most))
    inside = CubicHermiteSpline(number, data, slope)(np.minimum(at, n - 1))
    past = np.maximum(at - (n - 1), 0.0).reshape(-1, *[1] * (parts.ndim - 1))
    return (inside + past * slope[-1]).astype(parts.dtype)


def _sound(jacobian: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N,K,2,2) Jacobians made of those of `one` and `other`, or `one`'s where they cancelled out.

    Between a matrix and one that mirrors lies one that cannot be inverted.
    """
    found, first, second = (np.linalg.det(part.astype(np.float64)) for part in (jacobian, one, other))
    least = np.minimum(np.abs(first), np.abs(second)) / 2
    cancelled = (found * first <= 0) | (np.abs(found) < least)
    return np.where(cancelled[..., None, None], one, jacobian)


def _eased(progress: np.ndarray) -> np.ndarray:
    """Numbers from 0 to 1 that begin and end slowly."""
    return progress * progress * (3 - 2 * progress)


def _step(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N,) how far the keypoint that moves most, of (N,K,…), goes from one to the other."""
    difference = (other.astype(np.float64) - one).reshape(*one.shape[:2], -1)
    return np.linalg.norm(difference, axis=-1).max(1)
