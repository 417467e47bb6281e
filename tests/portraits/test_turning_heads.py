"""Heads that turn in space (`fomm_core.heads`), against rendered sitters, whose poses are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fomm_core import heads
from fomm_core.motion import MotionTrack
from fomm_core.transfer import transfer
from portraits.clip import frame_sitter, project
from portraits.figure import Figure, Pose
from portraits.head import LANDMARK_NAMES
from portraits.looks import random_looks

HEAD = heads.Head.of(LANDMARK_NAMES)
SPEAKING = {"mouth-open": 0.6}


class Sitter:
    """Somebody of random shape, before a camera of random length."""

    def __init__(self, rng: np.random.Generator, head):
        looks = random_looks(rng, head, painterly=False)
        self.figure = Figure(head, looks.shape, looks.ancestry, looks.shells)
        self.camera = frame_sitter(rng, self.figure)

    def seen(self, turn: Rotation, expression: dict[str, float] | None = None) -> np.ndarray:
        """(K,2): the landmarks in the picture."""
        yaw, pitch, roll = turn.as_euler("YXZ")
        points, _ = self.figure.posed(Pose(yaw, pitch, roll, expression=expression))
        return project(self.camera, points[self.figure.head.landmarks])[0]


@pytest.fixture(scope="module")
def sitters(head):
    rng = np.random.default_rng(3)
    return [Sitter(rng, head) for _ in range(16)]


def test_the_places_are_the_heads_landmarks(head):
    assert set(LANDMARK_NAMES) - set(heads.PLACES) == {"neck"}
    for name, where in zip(LANDMARK_NAMES, head.vertices[head.landmarks], strict=True):
        assert name == "neck" or heads.PLACES[name] == pytest.approx(where, abs=2e-3)


def test_poses_are_told_of_people_of_any_shape(sitters):
    """Since a frame in which they look ahead: what a face's own shape seems to turn it by is no motion."""
    rng, wrong = np.random.default_rng(0), []
    for sitter in sitters:
        turn = Rotation.from_euler("YXZ", rng.uniform(-0.4, 0.4, 3))
        poses = HEAD.poses(np.array([sitter.seen(Rotation.identity()), sitter.seen(turn, SPEAKING)]))
        found = Rotation.from_matrix(poses.rotation[0].T @ poses.rotation[1])
        wrong.append((found * turn.inv()).magnitude() / turn.magnitude())
    assert np.median(wrong) < 0.2


def test_another_sitter_in_three_quarter_view_turns_as_rendered(sitters):
    """Speaking, too; far more nearly than where keypoints move in the picture alone."""
    rng, wrong = np.random.default_rng(0), {"in space": [], "in the picture": [], "not at all": []}
    for one, other in zip(sitters[::2], sitters[1::2], strict=True):
        for side in (-1, 1):
            aside = Rotation.from_euler("Y", side * rng.uniform(0.4, 0.7))
            turn = Rotation.from_euler("YXZ", rng.uniform(-0.3, 0.3, 3))
            driving = np.array([one.seen(Rotation.identity()), one.seen(turn, SPEAKING)], np.float32)
            track = MotionTrack(
                driving, np.broadcast_to(np.eye(2, dtype=np.float32), (2, len(LANDMARK_NAMES), 2, 2)), 25.0
            )
            source, wanted = other.seen(aside), other.seen(aside * turn, SPEAKING)
            for way, head, strength in (
                ("in space", HEAD, 1),
                ("in the picture", None, 1),
                ("not at all", None, 0),
            ):
                found = transfer(track, source, track.jacobian[0], head=head, strength=strength)[0][1]
                wrong[way].append(np.linalg.norm((found - wanted)[HEAD.rows], axis=-1).mean())
    space, picture, still = (np.mean(values) for values in wrong.values())
    assert space < 0.75 * picture < 0.25 * still
