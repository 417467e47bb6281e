"""What a model can bear of a motion: what would tear a painting is bent softly towards a limit."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from .heads import Head
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
# How far a head turns and nods, out of the picture's plane.
ASIDE = (0.28, 0.38)
# Ears and the corners of jaws, each with what of the face is next to it. That they turn into view does not draw out
# what lies between, beyond so many times its length: mostly there is next to nothing of it in the painting.
BESIDE = (("ear_l", "eye_l_outer"), ("ear_r", "eye_r_outer"), ("jaw_l", "mouth_l"), ("jaw_r", "mouth_r"))
DRAWN_OUT = (1.0, 1.2)
# Keypoints may leave the square, [-1, 1], by this much.
OUTSIDE = 0.15
# A keypoint moved by more than this is a change to be told of: 2 pixels of 256.
NOTICEABLE = 2 / 128


def limited(
    value: np.ndarray,
    jacobian: np.ndarray,
    origin_value: np.ndarray,
    origin_jacobian: np.ndarray,
    head: Head | None = None,
) -> tuple[np.ndarray, np.ndarray, int]:
    """The motion, softly limited to what a model can bear; small motion stays as it is.

    A head turns in space no further than a painting can show. What is left of each frame's movement from the
    source's pose is an affine part, common to all keypoints (shift, turn, scale, stretch), and each keypoint's own
    (expression). Each is limited by itself, so that a large turn of the head takes nothing away from the mouth.

    Args:
        value, jacobian: (N,K,2) and (N,K,2,2), the transferred motion.
        origin_value, origin_jacobian: (K,2) and (K,2,2), the source's own pose.
        head: that the keypoints lie on; None where nobody has named them.

    Returns:
        Motion of the same shapes, float32, every Jacobian invertible, and how many frames changed noticeably.
    """
    origin = origin_value.astype(np.float64)
    source = regular(origin_jacobian.astype(np.float64), np.eye(2))
    target, asked = value.astype(np.float64), jacobian.astype(np.float64)
    if head is not None:
        target, asked = _less_aside(target, asked, origin, source, head)
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
    pose = np.where(np.abs(pose - target) > 1e-9, pose, target)
    touched = int((np.linalg.norm(pose - value, axis=-1).max(1) > NOTICEABLE).sum())

    own_turn = back[:, None] @ asked @ np.linalg.inv(source)
    # A part that is mirrored or flattened is no expression; it moves as all do.
    sound = (np.linalg.det(own_turn) > 0) & ~is_singular(own_turn)
    own_turn = _limited_linear(np.where(sound[..., None, None], own_turn, np.eye(2)), **OWN)
    turned = moved_linear[:, None] @ own_turn @ source
    turned = np.where(np.abs(turned - asked).max((-1, -2), keepdims=True) > 1e-6, turned, asked)
    if head is not None:  # that a hidden ear stays near the face is nothing to be told of
        pose, turned = _less_drawn_out(pose, turned, origin, source, head)
    return pose.astype(np.float32), turned.astype(np.float32), touched


def _less_aside(
    value: np.ndarray, jacobian: np.ndarray, origin: np.ndarray, source: np.ndarray, head: Head
) -> tuple[np.ndarray, np.ndarray]:
    """The motion of a head that turns no further than `ASIDE`; each Jacobian changes by as much less."""
    moved, rest = head.poses(value), head.poses(origin[None])
    if moved is None or rest is None:
        return value, jacobian
    turn = Rotation.from_matrix(rest.rotation[0].T @ moved.rotation).as_rotvec()
    aside = np.linalg.norm(turn[:, :2], axis=1)
    if not (far := aside > ASIDE[0]).any():
        return value, jacobian
    less = turn[far].copy()
    less[:, :2] = _saturated(less[:, :2], ASIDE, 1.0)
    rotation = moved.rotation.copy()
    rotation[far] = rest.rotation @ Rotation.from_rotvec(less).as_matrix()
    value, jacobian = value.copy(), jacobian.copy()
    value[np.ix_(far, head.rows)] = head.seen(replace(moved, rotation=rotation))[far]
    share = (np.linalg.norm(less[:, :2], axis=1) / aside[far])[:, None, None, None]
    jacobian[far] = source + share * (jacobian[far] - source)
    return value, jacobian


def _less_drawn_out(
    value: np.ndarray, jacobian: np.ndarray, origin: np.ndarray, source: np.ndarray, head: Head
) -> tuple[np.ndarray, np.ndarray]:
    """The motion with ears and jaws no further from the face than `DRAWN_OUT`, as far as the head's turn has drawn
    them; their Jacobians then change as the face's next to them."""
    moved, rest = head.poses(value), head.poses(origin[None])
    if moved is None or rest is None:
        return value, jacobian
    # Without the expression, which draws at the corners of the mouth.
    turned = value.copy()
    turned[:, head.rows] = head.seen(replace(moved, own=np.broadcast_to(rest.own, moved.own.shape)))
    size = (moved.scale / rest.scale)[:, None]
    value, jacobian = value.copy(), jacobian.copy()
    for beside, face in (rows for names in BESIDE if (rows := head.rows_of(*names))):
        apart = (turned[:, beside] - turned[:, face]) / size
        less = _saturated(apart, DRAWN_OUT, float(np.linalg.norm(origin[beside] - origin[face])))
        far = (less != apart).any(1)
        value[far, beside] += (size * (less - apart))[far]
        share = np.linalg.norm(less, axis=1)[far, None, None] / np.linalg.norm(apart, axis=1)[far, None, None]
        next_to = jacobian[far, face] @ np.linalg.inv(source[face]) @ source[beside]
        jacobian[far, beside] = next_to + share * (jacobian[far, beside] - next_to)
    return value, jacobian


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
