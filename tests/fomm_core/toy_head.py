"""A head whose keypoints are landmarks, and what a model that moves nothing says of it."""

from __future__ import annotations

import numpy as np
import torch

from fomm_core.animator import Prediction
from fomm_core.features import Patch
from fomm_core.heads import PLACES, Head
from fomm_core.network.layers import coordinate_grid

SIDE = 256
ROWS = list(PLACES)
HEAD = Head.of(ROWS)
# A head that looks at us, its lips in the middle of the frame, its forehead at the upper edge.
FACE = np.array([(0.8 * x, 0.8 * (6.6 - y)) for x, y, _ in PLACES.values()], np.float32)


def still() -> Prediction:
    """Of a model that moves nothing, trusts all it sees, and paints all it paints green."""
    image = np.full((SIDE, SIDE, 3), (0, 255, 0), np.uint8)
    trusted, moving = np.ones((64, 64), np.float32), np.zeros((64, 64), np.float32)
    return Prediction(image, coordinate_grid(64, 64, torch.zeros(1)).numpy(), trusted, moving)


def moved_at_random(seed: int, spread: float) -> np.ndarray:
    """The face with keypoints, half of them, anywhere around where they belong."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, spread, FACE.shape) * rng.integers(0, 2, (len(FACE), 1))
    return (FACE + noise).astype(np.float32)


def check(patch: Patch) -> None:
    """It is finite, in range, and as large as it says."""
    for part in (patch.displacement, patch.near, patch.inside, patch.colour):
        assert part.isfinite().all()
        assert part.shape[-2:] == torch.zeros(SIDE, SIDE)[patch.rows, patch.columns].shape
    for part, most in ((patch.near, 1), (patch.inside, 1), (patch.colour, 255)):
        assert 0 <= part.min() <= part.max() <= most
