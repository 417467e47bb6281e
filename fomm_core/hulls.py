"""How far places of a picture are from the convex hull of its keypoints."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull, QhullError

# A distance is a smooth shape: it is computed on a grid of this side.
SIDE = 16


def distance(points: np.ndarray) -> np.ndarray:
    """(n,n) float32: of places on a grid over [-1, 1] from the hull of (K,2) points, 0 within it."""
    corners = _corners(points.astype(np.float32))
    line = np.linspace(-1, 1, SIDE, dtype=np.float32)
    places = np.stack(np.meshgrid(line, line), -1)[:, :, None]
    edges = np.roll(corners, -1, axis=0) - corners
    from_corner = places - corners
    along = (from_corner * edges).sum(-1) / np.maximum(np.square(edges).sum(-1), 1e-12)
    off = from_corner - along.clip(0, 1)[..., None] * edges
    found = np.sqrt(np.square(off).sum(-1).min(-1))
    # A hull's corners go round; what lies on the same side of all its edges is inside.
    cross = edges[:, 0] * from_corner[..., 1] - edges[:, 1] * from_corner[..., 0]
    found[(cross > 0).all(-1)] = 0
    return found


def _corners(points: np.ndarray) -> np.ndarray:
    """The corners of the points' convex hull, counter-clockwise; all points where they lie on a line."""
    try:
        return points[ConvexHull(points).vertices]
    except QhullError:
        return points
