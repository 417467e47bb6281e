"""One clip: a sitter in several poses, as pictures, with landmarks, flow and visibility that are exactly known.

Coordinates are (x,y) in [-1,1] as `grid_sample(align_corners=True)` has them: the centres of the first and the last
pixel of a row are -1 and 1, in the pictures and in the coarse grids alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .figure import KIND, Figure, Pose
from .head import LANDMARK_NAMES, Head
from .looks import Looks, random_looks
from .motion import random_poses
from .paint import Finish, background, random_finish
from .raster import Camera, Rasterizer

SIZE, GRID, FRAMES = 256, 64, 6
DEPTH_SIZE = 160
# Decimetres; a nose stands out by more, a slanted cheek changes by less within a pixel.
DEPTH_TOLERANCE = 0.03


def project(camera: Camera, points: np.ndarray, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (...,2) and distances (...) of points (...,3) in a picture of `size` pixels."""
    matrix = camera.matrix()
    clip = points @ matrix[:, :3].T + matrix[:, 3]
    w = clip[..., 3]
    return clip[..., :2] / w[..., None] * [1, -1] * (size / (size - 1)), w


@dataclass
class Truth:
    """Ground truth of F posed frames; shapes as in the data set."""

    landmarks: np.ndarray
    flow: np.ndarray
    visible: np.ndarray
    face: np.ndarray


class GroundTruth:
    """Collects the frames' geometry while they are drawn, then relates all of them."""

    def __init__(self, raster: Rasterizer, figure: Figure, camera: Camera):
        self.raster, self.figure, self.camera = raster, figure, camera
        self.points, self.triangles, self.depths, self.kinds = [], [], [], []
        kind = figure.kind[figure.triangles[:, 0]]
        # The last entry is for triangle -1, none. Lashes are as good as the lid they hang on.
        self._kind = np.append(np.where(kind == KIND["lashes"], KIND["body"], kind), -1)

    def add(self, points: np.ndarray) -> None:
        """Takes the frame that is posed in the rasterizer; `points` (G,3) are its positions."""
        # In the coarse grid the outer samples sit at -1 and 1, which are the outer pixel centres of the picture.
        spread = SIZE / (SIZE - 1) * (GRID - 1) / GRID
        self.triangles.append(self.raster.seen(self.camera, GRID, spread)[0])
        triangle, depth = self.raster.seen(self.camera, DEPTH_SIZE, 1.0)
        self.depths.append(depth)
        self.kinds.append(self._kind[triangle])
        self.points.append(points)

    def solve(self) -> Truth:
        count = len(self.points)
        corners = self.figure.vertex[self.figure.triangles]
        line = np.linspace(-1, 1, GRID)
        identity = np.stack(np.meshgrid(line, line), -1)
        flow = np.tile(identity, (count, count, 1, 1, 1))
        visible = np.zeros((count, count, GRID, GRID), "u1")
        face = np.zeros((count, GRID, GRID), "u1")
        screen = [project(self.camera, p) for p in self.points]
        for d in range(count):
            rows, columns = np.nonzero(self.triangles[d] >= 0)
            triangle = self.triangles[d][rows, columns]
            corner = corners[triangle]  # (n,3)
            face[d, rows, columns] = self.figure.is_head[self.figure.triangles[triangle, 0]]
            weight = self._barycentric(screen[d], corner, identity[rows, columns])
            for s in range(count):
                point = (weight[..., None] * self.points[s][corner]).sum(1)
                where, distance = project(self.camera, point)
                flow[d, s, rows, columns] = where
                visible[d, s, rows, columns] = self._shown(s, where, distance, self._kind[triangle])
                empty = self.triangles[d] < 0
                visible[d, s][empty] = self.kinds[s][self._pixels(identity[empty])] < 0
        landmarks = np.stack([project(self.camera, p[self.figure.head.landmarks])[0] for p in self.points])
        return Truth(landmarks.astype("f4"), flow.astype("f2"), visible, face)

    @staticmethod
    def _barycentric(screen: tuple, corner: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Weights (n,3), in space, of the triangle points that are seen at `at` (n,2)."""
        xy, w = screen[0][corner], screen[1][corner]
        a, b, c = xy[:, 0], xy[:, 1], xy[:, 2]

        def cross(p: np.ndarray, q: np.ndarray) -> np.ndarray:
            return p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]

        flat = np.stack([cross(b - at, c - at), cross(c - at, a - at), cross(a - at, b - at)], 1)
        total = flat.sum(1, keepdims=True)
        flat = flat / np.where(np.abs(total) < 1e-12, 1, total) / w  # perspective
        flat = np.clip(flat, 0, None)
        return flat / np.maximum(flat.sum(1, keepdims=True), 1e-12)

    @staticmethod
    def _pixels(where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns in the depth maps; +-1 are the outer pixels' centres, not the picture's borders."""
        x, y = ((where * (SIZE - 1) / SIZE + 1) / 2 * DEPTH_SIZE).astype(int).clip(0, DEPTH_SIZE - 1).T
        return y, x

    def _shown(self, s: int, where: np.ndarray, distance: np.ndarray, kind: np.ndarray) -> np.ndarray:
        pixels = self._pixels(where)
        # A lid folds away closer to the eye than any tolerance: what is seen must be of the same kind, too.
        same = self.kinds[s][pixels] == kind
        return (np.abs(where) <= 1).all(-1) & (distance < self.depths[s][pixels] + DEPTH_TOLERANCE) & same


def frame_sitter(rng: np.random.Generator, figure: Figure) -> Camera:
    """A camera with the face at 45 to 65 % of the picture, not always in its middle."""
    landmarks = dict(zip(LANDMARK_NAMES, figure.rest[figure.head.landmarks]))
    top, bottom = landmarks["forehead"][1] + 0.1, landmarks["chin"][1] - 0.05
    height = (top - bottom) / rng.uniform(0.45, 0.65)
    centre = 0.5 * (top + bottom)
    shift = rng.normal(0, [0.06, 0.03]) * height
    middle = centre + rng.uniform(-0.06, 0.08) * height + shift[1]
    return Camera((shift[0], middle, 0.6), height, rng.uniform(8, 20))


def draw(
    raster: Rasterizer, camera: Camera, behind: np.ndarray, finish: Finish, rng: np.random.Generator
) -> np.ndarray:
    """The posed figure on its background, finished, (H,W,3) uint8."""
    colour = raster.colour(camera)
    image = colour[..., :3] + (1 - colour[..., 3:]) * behind
    return (finish.apply(image, rng) * 255 + 0.5).astype("u1")


def random_clip(
    head: Head, raster: Rasterizer, seed: tuple[int, ...], frames: int = FRAMES
) -> dict[str, np.ndarray]:
    """One clip of the data set, as the arrays of its file. Equal seeds give equal clips."""
    rng = np.random.default_rng(seed)
    painterly = bool(rng.random() < 0.5)
    looks: Looks = random_looks(rng, head, painterly)
    figure = Figure(head, looks.shape, looks.ancestry, looks.shells)
    raster.load(figure, looks.uniforms)
    camera = frame_sitter(rng, figure)
    behind = background(rng, SIZE, SIZE, painterly)
    finish = random_finish(rng, SIZE, SIZE, painterly)
    poses: list[Pose] = random_poses(rng, frames)
    truth, images = GroundTruth(raster, figure, camera), []
    for pose in poses:
        points, normals = figure.posed(pose)
        raster.pose(points, normals)
        images.append(draw(raster, camera, behind, finish, rng))
        truth.add(points)
    known = truth.solve()
    return {
        "images": np.stack(images),
        "landmarks": known.landmarks,
        "flow": known.flow,
        "visible": known.visible,
        "face": known.face,
    }
