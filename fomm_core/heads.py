"""Heads that turn in space: the motion of keypoints of which it is known where on a head they are.

In a picture, a nose that turns away from us goes far and an ear hardly moves; on a sitter who is seen from another
side it is another motion. Where the model says which landmark of a face each keypoint is, a head's pose can be told
under weak perspective (orthographic, with a scale), and the sitter's head turned about its own axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

# Where landmarks are on MakeHuman's base head (CC0), in decimetres: to the sitter's left, up, forward. The neck is
# not among them: it stays when the head turns.
PLACES: dict[str, tuple[float, float, float]] = {
    "eye_l_outer": (0.439, 7.287, 1.358),
    "eye_l_inner": (0.182, 7.280, 1.384),
    "eye_l_upper": (0.311, 7.332, 1.411),
    "eye_l_lower": (0.318, 7.192, 1.397),
    "eye_r_outer": (-0.439, 7.287, 1.358),
    "eye_r_inner": (-0.182, 7.280, 1.384),
    "eye_r_upper": (-0.311, 7.332, 1.411),
    "eye_r_lower": (-0.318, 7.192, 1.397),
    "brow_l_inner": (0.148, 7.558, 1.507),
    "brow_l_outer": (0.451, 7.631, 1.339),
    "brow_r_inner": (-0.148, 7.558, 1.507),
    "brow_r_outer": (-0.451, 7.631, 1.339),
    "nose_tip": (0.0, 6.938, 1.680),
    "mouth_l": (0.239, 6.614, 1.435),
    "mouth_r": (-0.239, 6.614, 1.435),
    "lip_upper": (0.0, 6.671, 1.601),
    "lip_lower": (0.0, 6.574, 1.559),
    "chin": (0.0, 6.271, 1.483),
    "jaw_l": (0.538, 6.526, 0.909),
    "jaw_r": (-0.538, 6.526, 0.909),
    "ear_l": (0.714, 7.167, 0.658),
    "ear_r": (-0.714, 7.167, 0.658),
    "forehead": (0.0, 8.014, 1.395),
}
# Where the skull rests upon the neck and turns: between the lobes of the ears.
JOINT = (0.0, 6.8, 0.68)
# What expressions move does not tell how the head is held.
EXPRESSIVE = ("lip", "mouth", "chin", "brow")
LEAST = 4  # of the others
# Landmarks that lie nearly in a plane tell no pose: how deep those of a shape of unit size have to lie at least.
FLAT = 0.15
# How far landmarks may be from where a head has them, in units of its size: beyond, it is no head.
STRANGE = 0.25
# Nearer than this it surely is one. On faces of clips they are 0.04 to 0.1 away; behind a hand, 0.15 to 0.5.
SURELY = 0.12
# The lips of two people who keep their mouths shut are up to this much further apart in one than in the other.
APART = 0.06
NEAREST = 1 / 12  # of a clip's frames, that tell how a mouth is held when it comes nearest to the sitter's
LIPS, MOUTH = ("lip_upper", "lip_lower"), ("lip_upper", "lip_lower", "chin")
LIDS = ("eye_l_upper", "eye_r_upper", "eye_l_lower", "eye_r_lower")
# A head that is turned away by more radians from how it mostly is is not at rest.
AWAY = 0.3
# What does not move on a head by itself: where it seems to, the detector errs.
BONE = ("nose_tip", "forehead", "ear_l", "ear_r", "jaw_l", "jaw_r")
# Lids that are nearer to each other than this share of the clip's median are those of somebody who blinks.
OPEN = 0.8
UP = np.array([1.0, -1.0])  # the picture's y points down


@dataclass(frozen=True)
class Poses:
    """N poses of a head.

    Attributes:
        rotation: (N,3,3), from the head's axes to right, up and towards us.
        scale: (N,), grid units of a unit of the shape.
        place: (N,2), where the joint is that the head turns about, y up.
        own: (N,L,3), how far each landmark is from its place on the shape, as far as the picture tells, in the
            head's axes and the shape's units: the sitter's features and expression.
    """

    rotation: np.ndarray
    scale: np.ndarray
    place: np.ndarray
    own: np.ndarray


class Head:
    """The keypoints of a model that lie on a head.

    Attributes:
        rows: which these are, L of the model's K.
        shape: (L,3), where they are on it, from the joint that it turns about. Those that tell the pose are of unit
            size about their middle.
        weight: (L,), how much each counts where a pose is told; sums to 1.
        lips, mouth: which of the L are the two lips, and what moves up and down when they open; no lips where one
            is missing.
        lids: which are `LIDS`; none where one is missing.
        bone: which are `BONE`.
    """

    def __init__(self, rows: list[int], names: list[str]):
        weight = np.array([float(_is_firm(name)) for name in names])
        shape = np.array([PLACES[name] for name in names]) - JOINT
        self.rows, self.weight = rows, weight / weight.sum()
        self._row = dict(zip(names, rows))
        self.mouth = [index for index, name in enumerate(names) if name in MOUTH]
        self.bone = [index for index, name in enumerate(names) if name in BONE]
        self.lips, self.lids = (
            [names.index(name) for name in wanted] if set(wanted) <= set(names) else []
            for wanted in (LIPS, LIDS)
        )
        self.shape = shape / np.sqrt(self.weight @ np.square(shape - self.weight @ shape).sum(1))
        self._middle = self.weight @ self.shape
        about = self.shape - self._middle
        self._spread = np.einsum("k,ki,kj->ij", self.weight, about, about)

    @classmethod
    def of(cls, names: Sequence[str]) -> Head | None:
        """The head of a model whose keypoints have these names; None where they are none that tell its pose."""
        rows = [row for row, name in enumerate(names) if name in PLACES]
        if sum(_is_firm(names[row]) for row in rows) < LEAST:
            return None
        head = cls(rows, [names[row] for row in rows])
        return head if np.linalg.eigvalsh(head._spread)[0] > FLAT**2 else None

    def rows_of(self, *names: str) -> list[int]:
        """Which of the model's K keypoints have these names; empty where one is missing."""
        return [self._row[name] for name in names] if set(names) <= set(self._row) else []

    def poses(self, value: np.ndarray, certain: int = 0) -> Poses | None:
        """The head's poses in (N,K,2) keypoints, x and y in [-1, 1], y down; None where they are no head's.

        They have to be in the frame `certain`, and in half of all: now and then a face is lost.
        """
        poses = self._nearest(value)
        strange = ~(self.strangeness(poses) <= STRANGE)
        lost = np.isnan(poses.scale).any() or strange[certain] or strange.mean() > 0.5
        return None if lost else poses

    def surely(self, value: np.ndarray) -> np.ndarray:
        """(N,) bool: whether the (N,K,2) keypoints surely lie as a head's, in each of the frames."""
        return self.away(value) <= SURELY

    def away(self, value: np.ndarray) -> np.ndarray:
        """(N,): how far (N,K,2) keypoints are from where a head has them, in its sizes; infinite without one."""
        return np.nan_to_num(self.strangeness(self._nearest(value)), nan=np.inf)

    def _nearest(self, value: np.ndarray) -> Poses:
        """What is nearest to poses of the head; NaN where that is none at all.

        A pose is the scaled rotation that is nearest to the affine map of least squares from the shape to the
        picture.
        """
        seen = value[:, self.rows] * UP
        middle = np.einsum("k,nki->ni", self.weight, seen)
        seen, about = seen - middle[:, None], self.shape - self._middle
        affine = np.einsum("k,nki,kj->nij", self.weight, seen, about) @ np.linalg.inv(self._spread)
        u, _, v = np.linalg.svd(affine, full_matrices=False)
        flat = u @ v
        rotation = np.concatenate([flat, np.cross(flat[:, 0], flat[:, 1])[:, None]], axis=1)
        stands = np.einsum("nij,kj->nki", flat, about)
        scale = np.einsum("k,nki,nki->n", self.weight, stands, seen)
        scale /= np.einsum("k,nki,nki->n", self.weight, stands, stands)
        scale = np.where(scale > 1e-3, scale, np.nan)
        place = middle - scale[:, None] * (flat @ self._middle)
        return Poses(rotation, scale, place, (seen / scale[:, None, None] - stands) @ flat)

    def strangeness(self, poses: Poses) -> np.ndarray:
        """(N,): how far landmarks are from where a head in these poses has them, in units of its size."""
        return np.sqrt(np.square(poses.own).sum(2) @ self.weight)

    def seen(self, poses: Poses) -> np.ndarray:
        """(N,L,2): where the landmarks are seen in these poses, y down."""
        turned = (self.shape + poses.own) @ np.swapaxes(poses.rotation[:, :2], 1, 2)
        return (poses.scale[:, None, None] * turned + poses.place[:, None]) * UP


def usual_frame(poses: Poses) -> int:
    """The first frame; where the head is turned away in that from how it mostly is, the one where it is least."""
    rotation = Rotation.from_matrix(poses.rotation)
    away = (rotation.mean().inv() * rotation).magnitude()
    return int(away.argmin()) if away[0] > AWAY else 0


def _is_firm(name: str) -> bool:
    return name.split("_")[0] not in EXPRESSIVE


def _mouth(head: Head, moving: np.ndarray, sitter: np.ndarray, reference: int) -> np.ndarray:
    """How high lips and chin of the driving head are, about its shape, when they are held as the sitter's.

    As in the reference frame, but where its lips are not as far apart as the sitter's: then as in those frames in
    which they are, or nearly.
    """
    upper, lower = head.lips
    apart = moving[:, upper, 1] - moving[:, lower, 1]
    wrong = np.abs(apart - (sitter[upper, 1] - sitter[lower, 1]))
    if wrong[reference] <= APART:
        return moving[reference, head.mouth, 1]
    nearest = np.argsort(wrong, kind="stable")[: math.ceil(NEAREST * len(wrong))]
    return np.median(moving[nearest][:, head.mouth, 1], axis=0)


def _lids(head: Head, moving: np.ndarray, reference: int) -> np.ndarray:
    """How high the lids of the driving head are, about its shape, when its eyes are open.

    As in the reference frame, but where it blinks in that: then as they mostly are.
    """
    upper, lower = np.split(head.shape[head.lids, 1] + moving[:, head.lids, 1], 2, axis=1)
    apart = (upper - lower).mean(1)
    if apart[reference] >= OPEN * np.median(apart):
        return moving[reference, head.lids, 1]
    return np.median(moving[:, head.lids, 1], axis=0)


def turned(
    driving: np.ndarray,
    source: np.ndarray,
    head: Head,
    *,
    adapt_scale: bool,
    adapt_face: bool,
    reference: int,
    strength: float,
) -> np.ndarray | None:
    """Where the source's keypoints are when its head turns as the driving one has turned since frame `reference`.

    Args:
        driving: (N,K,2), the driving motion.
        source: (K,2), the sitter's own keypoints.
        adapt_scale, adapt_face, reference, strength: as `transfer.transfer` takes them; half the strength turns
            half as far.

    Returns:
        (N,L,2), of the keypoints `head.rows`; None where the driving or the source's do not lie as a head's.
    """
    moving, sitter = head.poses(driving, reference), head.poses(source[None])
    if moving is None or sitter is None:
        return None
    # About the head's own axes: the nod of a sitter who looks aside is a nod.
    turn = Rotation.from_matrix(moving.rotation[reference].T @ moving.rotation)
    turn = Rotation.from_rotvec(strength * turn.as_rotvec()).as_matrix()
    way = strength * (sitter.scale / moving.scale[reference] if adapt_scale else 1.0)
    begun = moving.own[reference].copy()
    if adapt_face and head.lips:
        begun[head.mouth, 1] = _mouth(head, moving.own, sitter.own[0], reference)
    if adapt_face and head.lids:
        begun[head.lids, 1] = _lids(head, moving.own, reference)
    own = moving.own - begun
    own[:, head.bone] = 0.0
    poses = Poses(
        sitter.rotation @ turn,
        sitter.scale * (moving.scale / moving.scale[reference]) ** strength,
        sitter.place + way * (moving.place - moving.place[reference]),
        sitter.own + strength * own,
    )
    return head.seen(poses)
