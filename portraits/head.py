"""The head: MakeHuman's CC0 base mesh, cut to a bust, with its shape and expression targets as sparse matrices.

Lengths are MakeHuman's decimetres: y up, z towards the viewer, x to the sitter's left. The undeformed base mesh is
the *canonical* space in which the looks are painted (hairline, brows, beard), so they follow every identity.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

BUST_BOTTOM = 2.4  # body below this height is never in a picture
BUST_HALF_WIDTH = 3.4
# Teeth and tongue: how much lower than in the base mesh, in decimetres, and how much narrower: so more is seen of
# the upper teeth, and none breaks through the cheeks of a wide mouth. An open jaw's tongue also lies so much lower
# and further back than it.
SEATS = (
    ("helper-upper-teeth", -0.04, 0.92),
    ("helper-lower-teeth", -0.02, 0.85),
    ("helper-tongue", -0.02, 0.85),
)
LYING = 0.03
ANCESTRIES = ("african", "asian", "caucasian")

# What each landmark is found by: a point in canonical space (the nearest body vertex is taken), or a target and the
# sign of x (the vertex that this target moves most). They become the model's keypoints, in this order.
LANDMARKS: dict[str, tuple] = {
    "eye_l_outer": ("eyes/l-eye-corner1-up",),
    "eye_l_inner": ("eyes/l-eye-corner2-up",),
    "eye_l_upper": ("expression/units/caucasian/eye-left-closure",),
    "eye_l_lower": (0.318, 7.190, 1.420),
    "eye_r_outer": ("eyes/r-eye-corner1-up",),
    "eye_r_inner": ("eyes/r-eye-corner2-up",),
    "eye_r_upper": ("expression/units/caucasian/eye-right-closure",),
    "eye_r_lower": (-0.318, 7.190, 1.420),
    "brow_l_inner": (0.15, 7.56, 1.53),
    "brow_l_outer": (0.50, 7.59, 1.33),
    "brow_r_inner": (-0.15, 7.56, 1.53),
    "brow_r_outer": (-0.50, 7.59, 1.33),
    "nose_tip": (0.0, 6.93, 1.68),
    "mouth_l": (0.235, 6.64, 1.43),
    "mouth_r": (-0.235, 6.64, 1.43),
    "lip_upper": (0.0, 6.675, 1.60),
    "lip_lower": (0.0, 6.575, 1.56),
    "chin": (0.0, 6.27, 1.48),
    "jaw_l": (0.66, 6.50, 0.85),
    "jaw_r": (-0.66, 6.50, 0.85),
    "ear_l": (0.74, 7.15, 0.68),
    "ear_r": (-0.74, 7.15, 0.68),
    "forehead": (0.0, 8.05, 1.38),
    "neck": (0.0, 5.85, 0.85),
}
LANDMARK_NAMES = tuple(LANDMARKS)


@dataclass
class Part:
    """Some triangles of the bust: vertex rows (geometry), their UVs, and triangles into those."""

    vertex: np.ndarray  # (R,) row of the head's vertices that each render vertex shows
    uv: np.ndarray  # (R,2) in [0,1]
    triangles: np.ndarray  # (T,3) into the render vertices


def _read_obj(path: Path) -> tuple[np.ndarray, np.ndarray, dict[str, list]]:
    vertices, uvs, groups, group = [], [], {}, ""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            words = line.split()
            if not words:
                continue
            if words[0] == "v":
                vertices.append([float(w) for w in words[1:4]])
            elif words[0] == "vt":
                uvs.append([float(w) for w in words[1:3]])
            elif words[0] == "g":
                group = words[1]
            elif words[0] == "f":
                corners = [tuple(int(i) - 1 for i in w.split("/")[:2]) for w in words[1:]]
                groups.setdefault(group, []).append(corners)
    return np.array(vertices), np.array(uvs), groups


def _read_target(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A target's vertex indices (n,) and offsets (n,3)."""
    with gzip.open(path, "rt") as lines:
        rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return np.array([int(r[0]) for r in rows]), np.array([[float(w) for w in r[1:4]] for r in rows])


def require_heads(folder: Path) -> None:
    """Raises `FileNotFoundError` where there is no head mesh."""
    if not (folder / "base.obj.gz").is_file():
        raise FileNotFoundError(
            f"No head mesh in {folder}. Point --heads at a folder with base.obj.gz and targets/, "
            "from github.com/makehumancommunity/makehuman (CC0); portraits/README.md says more."
        )


class Head:
    """The bust's geometry. `vertices` (V,3) is canonical space; rows are the kept vertices of the base mesh."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        require_heads(self.folder)
        base, uvs, groups = _read_obj(self.folder / "base.obj.gz")
        self.ranges = json.loads((self.folder / "vertex_groups.json").read_text())
        body = np.zeros(len(base), bool)
        body[self._group("body")] = True
        body &= (base[:, 1] > BUST_BOTTOM) & (np.abs(base[:, 0]) < BUST_HALF_WIDTH)
        # Hands hang within the height range in the base mesh's pose; they are far to the sides and cut above.
        kept = body.copy()
        for name in self.ranges:
            if name.startswith("joint-") or name in (
                "helper-l-eye", "helper-r-eye", "helper-upper-teeth", "helper-lower-teeth", "helper-tongue",
                "helper-l-eyelashes-1", "helper-r-eyelashes-1", "helper-l-eyelashes-2", "helper-r-eyelashes-2",
            ):  # fmt: skip
                kept[self._group(name)] = True
        self._kept = np.flatnonzero(kept)
        self._row = np.full(len(base), -1)
        self._row[self._kept] = np.arange(len(self._kept))
        self.vertices = base[self._kept]
        self.is_body = body[self._kept]
        self.parts = {
            "body": self._part(groups["body"], uvs),
            "teeth": self._part(groups["helper-upper-teeth"] + groups["helper-lower-teeth"], uvs),
            "tongue": self._part(groups["helper-tongue"], uvs),
            "lashes": self._part(
                [q for side in "lr" for n in "12" for q in groups[f"helper-{side}-eyelashes-{n}"]], uvs
            ),
        }
        self._load_targets()
        self._pull_in_mouth()
        self.landmarks = np.array([self._landmark(spec) for spec in LANDMARKS.values()])

    def _group(self, name: str) -> np.ndarray:
        return np.concatenate([np.arange(a, b + 1) for a, b in self.ranges[name]])

    def rows(self, name: str) -> np.ndarray:
        """Rows of a vertex group of the base mesh that the bust keeps."""
        rows = self._row[self._group(name)]
        return rows[rows >= 0]

    def joint(self, name: str, vertices: np.ndarray) -> np.ndarray:
        """Centre (3,) of a joint cube, for vertices (V,3)."""
        return vertices[self.rows(f"joint-{name}")].mean(0)

    def _part(self, quads: list, uvs: np.ndarray) -> Part:
        corners = np.array([q for q in quads if all(self._row[v] >= 0 for v, _ in q)])
        pairs, inverse = np.unique(corners.reshape(-1, 2), axis=0, return_inverse=True)
        quad = inverse.reshape(-1, 4)
        triangles = np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]])
        return Part(self._row[pairs[:, 0]], uvs[pairs[:, 1]], triangles)

    def _load_targets(self) -> None:
        rows, columns, values, self.target_index = [], [], [], {}
        for path in sorted((self.folder / "targets").rglob("*.target.gz")):
            name = path.relative_to(self.folder / "targets").as_posix().removesuffix(".target.gz")
            index, offset = _read_target(path)
            row = self._row[index]
            keep = row >= 0
            row, offset = row[keep], offset[keep]
            if name.endswith("/mouth-open"):
                row, offset = self._with_jaw(row, offset)
            number = self.target_index[name] = len(self.target_index)
            rows.append(np.full(3 * len(row), number))
            columns.append((3 * row[:, None] + np.arange(3)).ravel())
            values.append(offset.ravel())
        shape = (len(self.target_index), 3 * len(self.vertices))
        self.targets = sparse.csr_matrix(
            (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=shape
        )
        prefix = f"expression/units/{ANCESTRIES[0]}/"
        self.expression_names = tuple(
            n.removeprefix(prefix) for n in self.target_index if n.startswith(prefix)
        )

    def _with_jaw(self, row: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A target's rows (n,) and offsets (n,3), in which the tongue goes with the jaw as the lower teeth do.

        The published one opens a mouth below a tongue that stays at the palate. The jaw's turn is what fits the
        teeth's offsets best (least squares, small angles).
        """
        teeth, tongue = self.rows("helper-lower-teeth"), self.rows("helper-tongue")
        moved = np.zeros_like(self.vertices)
        moved[row] = offset

        def turning(rows: np.ndarray) -> np.ndarray:
            """(2n,3): times (down, back, angle) it is how far the rows go along y, and then along z."""
            _, y, z = self.vertices[rows].T
            one, none = np.ones_like(y), np.zeros_like(y)
            return np.concatenate([np.stack([one, none, -z], 1), np.stack([none, one, y], 1)])

        jaw = np.linalg.lstsq(turning(teeth), moved[teeth, 1:].T.ravel(), rcond=None)[0]
        lying = np.zeros((len(tongue), 3))
        lying[:, 1:] = (turning(tongue) @ jaw).reshape(2, -1).T - LYING
        others = ~np.isin(row, tongue)
        return np.concatenate([row[others], tongue]), np.concatenate([offset[others], lying])

    def _pull_in_mouth(self) -> None:
        """Narrows the sheet that lines the mouth, which wide mouths would otherwise push through the cheeks."""
        part = self.parts["body"]
        inside = (part.uv[:, 0] > 0.74) & (part.uv[:, 1] < 0.145)  # its island in the UV map
        rows = np.unique(part.vertex[inside])
        rows = rows[self.vertices[rows, 2] < 1.46]  # all but the rim behind the lips
        depth = np.clip((1.46 - self.vertices[rows, 2]) / 0.15, 0, 1)[:, None]
        centre = np.array([0.0, 6.64, 1.0])
        self.vertices[rows] = centre + (self.vertices[rows] - centre) * (1 - depth * [0.3, 0.15, 0.1])

    def shaped(self, weights: dict[str, float]) -> np.ndarray:
        """Vertices (V,3) of an identity: the base mesh plus weighted targets, by target name."""
        w = np.zeros(len(self.target_index))
        for name, value in weights.items():
            w[self.target_index[name]] += value
        shaped = self.vertices + (w @ self.targets).reshape(-1, 3)
        self._seat_teeth(shaped)
        return shaped

    def _seat_teeth(self, shaped: np.ndarray) -> None:
        """Bring teeth and tongue of an identity, (V,3), behind its lips: many targets move the lips alone."""
        lips = self.landmarks[
            [LANDMARK_NAMES.index(n) for n in ("mouth_l", "mouth_r", "lip_upper", "lip_lower")]
        ]
        wide = np.ptp(shaped[lips, 0]) / np.ptp(self.vertices[lips, 0])
        for name, low, narrow in SEATS:
            rows = self.rows(name)
            moved = (shaped[lips] - self.vertices[lips]).mean(0) - (shaped[rows] - self.vertices[rows]).mean(
                0
            )
            wider = np.ptp(shaped[rows, 0]) / np.ptp(self.vertices[rows, 0])
            shaped[rows, 0] *= narrow * min(1.0, wide / wider)
            shaped[rows, 1] += moved[1] + low
            shaped[rows, 2] += min(moved[2], 0.0)

    def expression_basis(self, ancestry: np.ndarray) -> sparse.csr_matrix:
        """Matrix (E, 3V) of the facial units, mixed by ancestry weights (3,) as in ANCESTRIES."""
        basis = 0
        for name, weight in zip(ANCESTRIES, ancestry):
            index = [self.target_index[f"expression/units/{name}/{unit}"] for unit in self.expression_names]
            basis = basis + weight * self.targets[index]
        return basis.tocsr()

    def _landmark(self, spec: tuple) -> int:
        body = np.flatnonzero(self.is_body)
        if len(spec) == 1:
            offsets = self.targets[self.target_index[spec[0]]].toarray().reshape(-1, 3)
            return body[np.linalg.norm(offsets[body], axis=1).argmax()]
        return body[np.linalg.norm(self.vertices[body] - spec, axis=1).argmin()]

    @cached_property
    def body_tree(self) -> tuple[cKDTree, np.ndarray]:
        """A tree over the canonical body vertices, and their rows."""
        rows = np.flatnonzero(self.is_body)
        return cKDTree(self.vertices[rows]), rows
