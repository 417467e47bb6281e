"""From a driving face to a painting: relative motion, and its reference frame."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from . import heads
from .motion import TINY, MotionTrack, is_singular, regular

# Another frame than the first has the sitter's pose if its distance from it is less than this share of the first's.
CLEARLY = 2 / 3


def reference_frame(track: MotionTrack, source_value: np.ndarray, head: heads.Head | None = None) -> int:
    """The driving frame that the sitter's own pose stands for, where nobody has chosen one.

    A head that turns in space does so about the sitter's own axes, wherever the sitter looks: for that it is the
    first frame, unless the clip's head is turned away there from how it mostly is. Otherwise it is `nearest_frame`.
    """
    if head is not None and (poses := head.poses(track.value)) and head.poses(source_value[None]):
        return heads.usual_frame(poses)
    return nearest_frame(track, source_value)


def nearest_frame(track: MotionTrack, source_value: np.ndarray) -> int:
    """The driving frame whose pose is nearest to the source's: keypoints centred, and scaled by their hull.

    It is the first frame unless another is clearly nearer. Clips begin with a neutral look, and the animation then
    begins with the painting; a frame of somebody speaking, taken for the sitter's closed mouth, deforms all others.
    """
    wrong = _normalised(track.value) - _normalised(source_value[None])
    distance = np.sqrt(np.square(wrong).sum((1, 2)))
    nearest = int(distance.argmin())
    return nearest if distance[nearest] < CLEARLY * distance[0] else 0


def transfer(
    track: MotionTrack,
    source_value: np.ndarray,
    source_jacobian: np.ndarray,
    *,
    relative: bool = True,
    adapt_scale: bool = True,
    reference: int = 0,
    strength: float = 1.0,
    head: heads.Head | None = None,
    adapt_face: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The driving motion, as keypoints of the source (paper, section 3.3, equations 8 and 9).

    Args:
        track: the driving motion, N frames.
        source_value, source_jacobian: (K,2) and (K,2,2), the source's keypoints.
        relative: move from the source's own pose by what changed since the driving frame `reference`;
            absolute motion takes the driving pose as it is.
        adapt_scale: scale relative movement by the ratio of the square roots of the keypoints' hull areas.
        strength: factor on relative motion.
        head: that the keypoints lie on; in relative motion it turns in space. In the paper's, keypoints move in
            the picture alone.
        adapt_face: where the lips of such a head are not as far apart in the frame `reference` as the sitter's,
            let the sitter's stand for those of other frames: a clip may begin in the middle of a word. Where its
            eyes are shut in that frame, the sitter's lids stand for those of the other frames.

    Returns:
        (N,K,2) and (N,K,2,2) float32, finite, every Jacobian invertible.
    """
    value = track.value.astype(np.float64)
    jacobian = track.jacobian.astype(np.float64)
    source_value = source_value.astype(np.float64)
    source_jacobian = regular(source_jacobian.astype(np.float64), np.eye(2))
    if relative:
        scale = strength
        if adapt_scale:
            scale *= _relative_scale(source_value, value[reference])
        places = None
        if head is not None:
            places = heads.turned(
                value, source_value, head,
                adapt_scale=adapt_scale, adapt_face=adapt_face, reference=reference, strength=strength,
            )  # fmt: skip
        value = scale * (value - value[reference]) + source_value
        if places is not None:
            value[:, head.rows] = places
        change = jacobian @ np.linalg.inv(regular(jacobian[reference], np.eye(2)))
        change[:, is_singular(jacobian[reference])] = np.eye(2)
        change = np.eye(2) + strength * (change - np.eye(2))
        jacobian = change @ source_jacobian
    # What cannot be inverted moves without a first-order part: by translation alone.
    jacobian = regular(jacobian, source_jacobian)
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
