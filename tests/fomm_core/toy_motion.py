"""Motion tracks for tests: any at all, and such as a detector finds."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fomm_core.motion import MotionTrack

K = 5


def numbers(limit: float) -> st.SearchStrategy:
    return st.floats(-limit, limit, width=32, allow_nan=False)


# Few different numbers: equal keypoints, lines, and singular Jacobians come up all the time.
COARSE = st.sampled_from([-1.0, 0.0, 2.0**-23, 0.5, 1.0])
KEYPOINTS = arrays(np.float32, (K, 2), elements=numbers(1) | COARSE)
JACOBIANS = arrays(np.float32, (K, 2, 2), elements=numbers(5) | COARSE)
SETTINGS = st.fixed_dictionaries(
    {"relative": st.booleans(), "adapt_scale": st.booleans(), "strength": st.floats(0, 2)}
)


@st.composite
def tracks(draw) -> MotionTrack:
    n = draw(st.integers(1, 4))
    value = np.stack([draw(KEYPOINTS) for _ in range(n)])
    return MotionTrack(value, np.stack([draw(JACOBIANS) for _ in range(n)]), draw(st.floats(1, 120)))


def lively(n: int = 6, seed: int = 0, fps: float = 30.0) -> MotionTrack:
    """Sound motion: keypoints apart from each other, Jacobians near the identity."""
    rng = np.random.default_rng(seed)
    value = rng.uniform(-0.8, 0.8, (1, K, 2)) + rng.normal(0, 0.05, (n, K, 2))
    jacobian = np.eye(2) + rng.normal(0, 0.15, (n, K, 2, 2))
    return MotionTrack(value.astype(np.float32), jacobian.astype(np.float32), fps, {"video": "clip.mp4"})
