"""A figure: one identity's bust, eyes, hair and hat as a single triangle mesh, and how a pose moves it.

All vertices live in one array of *geometry* vertices (bust rows first, then the eyes, then the shells for hair, hat
and collar). *Render* vertices point into it and add what the shader needs; they never change within a clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial.transform import Rotation

from .head import Head
from .shells import Shell

KIND = {"body": 0, "eyes": 1, "teeth": 2, "tongue": 3, "lashes": 4, "hair": 5, "hat": 6, "collar": 7}
EYE_RINGS, EYE_SECTORS = 14, 24
PIVOT = np.array([0.0, 6.25, 0.35])  # about where a head turns on its neck, in canonical space


@dataclass
class Pose:
    """One frame's motion. Angles in radians; yaw > 0 turns to the sitter's left, pitch > 0 looks down."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)  # of the whole figure, in decimetres, right and up in the picture
    scale: float = 1.0
    gaze: tuple[float, float] = (0.0, 0.0)  # yaw and pitch of both eyes in the head
    expression: dict[str, float] | None = None  # weights of the facial units


def _sphere() -> tuple[np.ndarray, np.ndarray]:
    """A unit sphere with its pole towards the viewer: directions (n,3), triangles."""
    polar = np.linspace(0, np.pi * 0.75, EYE_RINGS)
    around = np.linspace(0, 2 * np.pi, EYE_SECTORS, endpoint=False)
    p, a = np.meshgrid(polar, around, indexing="ij")
    points = np.stack([np.sin(p) * np.cos(a), np.sin(p) * np.sin(a), np.cos(p)], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(EYE_RINGS - 1), np.arange(EYE_SECTORS), indexing="ij")
    k = (j + 1) % EYE_SECTORS
    a0, b0, a1, b1 = (x.ravel() for x in (i * EYE_SECTORS + j, i * EYE_SECTORS + k,
                                          (i + 1) * EYE_SECTORS + j, (i + 1) * EYE_SECTORS + k))  # fmt: skip
    return points, np.concatenate([np.stack([a0, a1, b1], 1), np.stack([a0, b1, b0], 1)])


def _smoothstep(low: float, high: float, x: np.ndarray) -> np.ndarray:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def head_weight(canonical: np.ndarray) -> np.ndarray:
    """How much of the head's turn a canonical point (n,3) follows: 1 on the head, 0 on the shoulders."""
    return _smoothstep(5.3, 6.2, canonical[:, 1] + 0.25 * (canonical[:, 2] - 0.6))


class Figure:
    """Static buffers of an identity, and `posed` for its frames.

    Attributes:
        canonical, uv, kind, aux: (R,3), (R,2), (R,), (R,2) of the render vertices
        vertex: (R,) geometry row of each render vertex
        triangles: (T,3) into the render vertices
    """

    def __init__(self, head: Head, shape: dict[str, float], ancestry: np.ndarray, shells: list[Shell]):
        self.head = head
        body = head.shaped(shape)
        self._basis = head.expression_basis(ancestry)
        self._unit = {name: i for i, name in enumerate(head.expression_names)}
        rest, canonical = [self._drop_arms(body, head.vertices)], [head.vertices]
        parts = [(p.vertex, p.uv, p.triangles, KIND[n], None) for n, p in head.parts.items()]

        directions, sphere = _sphere()
        self._directions, self._eyes = directions, []
        for side in "lr":
            centre = head.joint(f"{side}-eye", body)
            extent = np.ptp(body[head.rows(f"helper-{side}-eye")], axis=0)
            start = sum(map(len, rest))
            self._eyes.append((slice(start, start + len(directions)), centre, 0.5 * extent[1]))
            rest.append(centre + 0.5 * extent[1] * directions)
            canonical.append(np.tile(head.joint(f"{side}-eye", head.vertices), (len(directions), 1)))
            parts.append(
                (start + np.arange(len(directions)), directions[:, :2], sphere, KIND["eyes"], directions)
            )

        offset = body - head.vertices
        tree, rows = head.body_tree
        for shell in shells:
            distance, near = tree.query(shell.foot, k=12)
            weight = 1 / (distance + 0.05) ** 2
            weight /= weight.sum(1, keepdims=True)
            start = sum(map(len, rest))
            rest.append(shell.points + (weight[..., None] * offset[rows[near]]).sum(1))
            canonical.append(shell.foot)
            index = start + np.arange(len(shell.points))
            parts.append((index, shell.aux, shell.triangles, KIND[shell.kind], None))

        self.rest = np.concatenate(rest)
        all_canonical = np.concatenate(canonical)
        self.vertex = np.concatenate([p[0] for p in parts])
        self.uv = np.concatenate([p[1] for p in parts]).astype("f4")
        self.kind = np.concatenate([np.full(len(p[0]), p[3]) for p in parts]).astype("f4")
        shown = [all_canonical[p[0]] if p[4] is None else p[4] for p in parts]
        self.canonical = np.concatenate(shown).astype("f4")
        starts = np.cumsum([0] + [len(p[0]) for p in parts])
        self.triangles = np.concatenate([p[2] + s for p, s in zip(parts, starts)]).astype("i4")
        self._corners = self.vertex[self.triangles]
        count = len(self._corners)
        self._gather = sparse.csr_matrix(
            (np.ones(3 * count, "f4"), (self._corners.T.ravel(), np.tile(np.arange(count), 3))),
            shape=(len(self.rest), count),
        )
        self._weight = head_weight(all_canonical)
        self._pivot = PIVOT + offset[head.is_body & (np.abs(head.vertices[:, 1] - 6.25) < 0.15)].mean(0)
        self.is_head = (head_weight(self.canonical) > 0.02) | (self.kind == KIND["eyes"])

    @staticmethod
    def _drop_arms(vertices: np.ndarray, canonical: np.ndarray) -> np.ndarray:
        """Arms hang down: the base mesh holds them out, which no sitter does."""
        out = vertices.copy()
        for sign in (-1, 1):
            side = np.flatnonzero(sign * canonical[:, 0] > 0.9)
            shoulder = np.array([sign * 1.55, 5.0, 0.1])
            angle = -sign * 0.6 * _smoothstep(1.1, 2.1, sign * canonical[side, 0])
            x, y = (vertices[side] - shoulder)[:, 0], (vertices[side] - shoulder)[:, 1]
            out[side, 0] = shoulder[0] + np.cos(angle) * x - np.sin(angle) * y
            out[side, 1] = shoulder[1] + np.sin(angle) * x + np.cos(angle) * y
        return out

    def posed(self, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """Positions and unit normals of the geometry vertices, (G,3) each."""
        points = self.rest.copy()
        if pose.expression:
            weights = np.zeros(len(self._unit))
            for name, value in pose.expression.items():
                weights[self._unit[name]] = value
            points[: len(self.head.vertices)] += (weights @ self._basis).reshape(-1, 3)
        look = Rotation.from_euler("YX", pose.gaze)
        for rows, centre, radius in self._eyes:
            points[rows] = centre + radius * look.apply(self._directions)

        turn = Rotation.from_euler("YXZ", (pose.yaw, pose.pitch, pose.roll)).as_rotvec()
        moving = np.flatnonzero(self._weight > 0)
        # Each vertex turns by its own share of the angle about one axis: the neck twists and does not shrink.
        angle = np.linalg.norm(turn) * self._weight[moving, None]
        axis = turn / max(np.linalg.norm(turn), 1e-9)
        arm = points[moving] - self._pivot
        c, s = np.cos(angle), np.sin(angle)
        points[moving] = (
            self._pivot + arm * c + np.cross(axis, arm) * s + axis * (arm @ axis)[:, None] * (1 - c)
        )
        normals = self._normals(points)
        centre = np.array([0.0, 6.0, 0.0])
        points = (points - centre) * pose.scale + centre
        points[:, :2] += pose.shift
        return points, normals

    def _normals(self, points: np.ndarray) -> np.ndarray:
        a, b, c = (points[self._corners[:, k]].astype("f4") for k in range(3))
        normals = self._gather @ np.cross(b - a, c - a)
        return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
