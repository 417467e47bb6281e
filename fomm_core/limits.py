"""What a model can bear of a motion: what would tear a painting is bent softly towards a limit."""

from __future__ import annotations

import math

import numpy as np

from .motion import TINY, is_singular, regular
from .transfer import hull_area

# Up to the first number a motion passes as it is; however large, it never goes beyond the second. Lengths are in
# units of the source's size, the square root of its keypoints' hull area; angles in radians; scale is a natural
# logarithm, and so is stretch, which is what a turning head does to a face.
SHIFT = (0.2, 0.35)
COMMON = {"turn": (0.25, 0.5), "scale": (0.12, 0.3), "stretch": (0.06, 0.14)}
# Of each keypoint by itself, about the motion of them all.
OWN_SHIFT = (0.12, 0.22)
OWN = {"turn": (0.4, 0.8), "scale": (0.4, 0.8), "stretch": (0.4, 0.8)}
# Keypoints may leave the square, [-1, 1], by this much.
OUTSIDE = 0.15
# A keypoint moved by more than this is a change to be told of: 2 pixels of 256.
NOTICEABLE = 2 / 128


def limited(
    value: np.ndarray, jacobian: np.ndarray, origin_value: np.ndarray, origin_jacobian: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """The motion, softly limited to what a model can bear; small motion stays as it is.

    Each frame's movement from the source's pose is an affine part, common to all keypoints (shift, turn, scale,
    stretch), and each keypoint's own (expression). Each is limited by itself, so that a large turn of the head
    takes nothing away from the mouth.

    Args:
        value, jacobian: (N,K,2) and (N,K,2,2), the transferred motion.
        origin_value, origin_jacobian: (K,2) and (K,2,2), the source's own pose.

    Returns:
        Motion of the same shapes, float32, every Jacobian invertible, and how many frames changed noticeably.
    """
    target = value.astype(np.float64)
    origin = origin_value.astype(np.float64)
    unit = math.sqrt(hull_area(origin))
    if unit * unit <= TINY:  # one or two keypoints, or all on a line: their distances tell a size as well
        unit = max(0.1, 2 * float(np.linalg.norm(origin - origin.mean(0), axis=1).max()))
    middle, linear = _common(target, origin)
    start = origin.mean(0)
    moved_middle = start + _saturated(middle - start, SHIFT, unit)
    moved_linear = _limited_linear(linear, **COMMON)

    back = np.linalg.inv(linear)
    own = np.einsum("nij,nkj->nki", back, target - middle[:, None]) - (origin - start)
    kept = _saturated(own, OWN_SHIFT, unit)
    pose = moved_middle[:, None] + np.einsum("nij,nkj->nki", moved_linear, origin - start + kept)
    edge = np.maximum(1.0, np.abs(origin))
    beyond = np.maximum(np.abs(pose) - edge, 0.0)
    pose = np.sign(pose) * (np.minimum(np.abs(pose), edge) + OUTSIDE * np.tanh(beyond / OUTSIDE))
    # What is within all limits comes out as it went in, not the same but for rounding.
    change = np.where(np.abs(pose - target) > 1e-9, pose - target, 0.0)

    source = regular(origin_jacobian.astype(np.float64), np.eye(2))
    own_turn = back[:, None] @ jacobian.astype(np.float64) @ np.linalg.inv(source)
    # A part that is mirrored or flattened is no expression; it moves as all do.
    sound = (np.linalg.det(own_turn) > 0) & ~is_singular(own_turn)
    own_turn = _limited_linear(np.where(sound[..., None, None], own_turn, np.eye(2)), **OWN)
    turned = moved_linear[:, None] @ own_turn @ source
    same = np.abs(turned - jacobian).max((-1, -2), keepdims=True) <= 1e-6
    touched = int((np.linalg.norm(change, axis=-1).max(1) > NOTICEABLE).sum())
    return (
        (target + change).astype(np.float32),
        np.where(same, jacobian, turned).astype(np.float32),
        touched,
    )


def _common(target: np.ndarray, origin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middles (N,2) and linear parts (N,2,2) of the affine maps that bring `origin` nearest to each `target`.

    Where the keypoints do not tell an affine map, or tell one that mirrors or flattens, it is the nearest
    similarity; where they do not even tell that, no more than a shift.
    """
    middle = target.mean(1)
    a, b = origin - origin.mean(0), target - middle[:, None]
    spread = np.einsum("ki,kj->ij", a, a)
    covariance = np.einsum("nki,kj->nij", b, a)
    size = float(np.trace(spread))
    if size <= TINY:
        return middle, np.broadcast_to(np.eye(2), (len(target), 2, 2))
    # The similarity's cosine and sine, times its scale.
    c = (covariance[:, 0, 0] + covariance[:, 1, 1]) / size
    s = (covariance[:, 1, 0] - covariance[:, 0, 1]) / size
    similar = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
    similar = np.where((c * c + s * s > 1e-4)[:, None, None], similar, np.eye(2))
    if np.linalg.det(spread) <= 1e-3 * size * size / 4:
        return middle, similar
    affine = covariance @ np.linalg.inv(spread)
    sound = np.linalg.det(affine) > 0.05 * np.square(affine).sum((1, 2))
    return middle, np.where((sound & (np.linalg.det(affine) > 1e-4))[:, None, None], affine, similar)


def _limited_linear(
    linear: np.ndarray, turn: tuple[float, float], scale: tuple[float, float], stretch: tuple[float, float]
) -> np.ndarray:
    """(…,2,2) matrices of positive determinant with their turn, scale and stretch limited."""
    u, singular, v = np.linalg.svd(linear)
    turned = u @ v
    angle = np.arctan2(turned[..., 1, 0], turned[..., 0, 0])[..., None]
    size = np.log(singular).mean(-1, keepdims=True)
    longer = np.log(singular) - size
    angle = _saturated(angle, turn, 1.0)[..., 0]
    # Its two numbers are equal but for the sign: each is the stretch.
    axes = np.exp(_saturated(size, scale, 1.0) + _saturated(longer, stretch, math.sqrt(2)))
    c, s = np.cos(angle), np.sin(angle)
    turned = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
    return turned @ np.swapaxes(v, -1, -2) @ (axes[..., None] * v)


def _saturated(vectors: np.ndarray, limits: tuple[float, float], unit: float) -> np.ndarray:
    """(…,D) vectors, softly shortened: up to limits[0] as they are, none longer than limits[1] units."""
    knee, most = (limit * unit for limit in limits)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    room = most - knee
    shortened = knee + room * np.tanh((length - knee) / room)
    return np.where(length > knee, vectors * (shortened / np.maximum(length, knee)), vectors)
