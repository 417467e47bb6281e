"""Motion as data: keypoints and Jacobians over time, and their transfer from a driving face to a painting."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy.spatial import ConvexHull, QhullError

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
        # Into an open file: given a path, numpy would add a suffix of its own.
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(
                file,
                format=FORMAT,
                value=self.value,
                jacobian=self.jacobian,
                fps=self.fps,
                provenance=json.dumps(self.provenance),
            )

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

    def retimed(self, fps: float) -> MotionTrack:
        """The same motion at another rate, keypoints and Jacobians interpolated linearly in time."""
        if fps == self.fps:
            return self
        count = max(1, round(len(self) * fps / self.fps))
        at = np.minimum(np.arange(count) * self.fps / fps, len(self) - 1)
        left = np.floor(at).astype(int)
        right = np.minimum(left + 1, len(self) - 1)
        weight = (at - left).astype(np.float32)

        def between(values: np.ndarray) -> np.ndarray:
            w = weight.reshape(-1, *[1] * (values.ndim - 1))
            return values[left] * (1 - w) + values[right] * w

        return replace(self, value=between(self.value), jacobian=between(self.jacobian), fps=fps)


def is_track(path: Path) -> bool:
    """Whether a file of that name is a motion track, and no video."""
    return path.suffix.lower() == SUFFIX


def nearest_frame(track: MotionTrack, source_value: np.ndarray) -> int:
    """The driving frame whose pose is nearest to the source's: keypoints centred, and scaled by their hull."""
    distance = np.square(_normalised(track.value) - _normalised(source_value[None])).sum((1, 2))
    return int(distance.argmin())


def transfer(
    track: MotionTrack,
    source_value: np.ndarray,
    source_jacobian: np.ndarray,
    *,
    relative: bool = True,
    adapt_scale: bool = True,
    reference: int = 0,
    strength: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """The driving motion, as keypoints of the source (paper, section 3.3, equations 8 and 9).

    Args:
        track: the driving motion, N frames.
        source_value, source_jacobian: (K,2) and (K,2,2), the source's keypoints.
        relative: move from the source's own pose by what changed since the driving frame `reference`;
            absolute motion takes the driving pose as it is.
        adapt_scale: scale relative movement by the ratio of the square roots of the keypoints' hull areas.
        strength: factor on relative motion.

    Returns:
        (N,K,2) and (N,K,2,2) float32, finite, every Jacobian invertible.
    """
    value = track.value.astype(np.float64)
    jacobian = track.jacobian.astype(np.float64)
    source_value = source_value.astype(np.float64)
    source_jacobian = _regular(source_jacobian.astype(np.float64), np.eye(2))
    if relative:
        scale = strength
        if adapt_scale:
            scale *= _relative_scale(source_value, value[reference])
        value = scale * (value - value[reference]) + source_value
        change = jacobian @ np.linalg.inv(_regular(jacobian[reference], np.eye(2)))
        change[:, _is_singular(jacobian[reference])] = np.eye(2)
        change = np.eye(2) + strength * (change - np.eye(2))
        jacobian = change @ source_jacobian
    # What cannot be inverted moves without a first-order part: by translation alone.
    jacobian = _regular(jacobian, source_jacobian)
    return value.astype(np.float32), jacobian.astype(np.float32)


def hull_area(points: np.ndarray) -> float:
    """Area of the convex hull of (K,2) points; 0 for fewer than three, or where all lie on a line."""
    try:
        return float(ConvexHull(points).volume)  # in two dimensions, scipy's "volume" is the area
    except (QhullError, ValueError):
        return 0.0


def _relative_scale(source_value: np.ndarray, driving_value: np.ndarray) -> float:
    source, driving = hull_area(source_value), hull_area(driving_value)
    return math.sqrt(source / driving) if min(source, driving) > TINY else 1.0


def _normalised(value: np.ndarray) -> np.ndarray:
    """(N,K,2) keypoints about their mean, each frame's hull brought to unit area."""
    areas = np.array([hull_area(v) for v in value])
    scale = np.sqrt(np.where(areas > TINY, areas, 1.0))
    return (value - value.mean(1, keepdims=True)) / scale[:, None, None]


def _is_singular(matrices: np.ndarray) -> np.ndarray:
    determinant = np.linalg.det(matrices)
    return np.abs(determinant) <= TINY * np.maximum(np.square(matrices).sum((-1, -2)), SMALL)


def _regular(matrices: np.ndarray, instead: np.ndarray) -> np.ndarray:
    """The (…,2,2) matrices, with `instead` in place of those that cannot be inverted."""
    return np.where(_is_singular(matrices)[..., None, None], instead, matrices)
