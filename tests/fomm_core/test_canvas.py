from __future__ import annotations

import numpy as np
import pytest
import torch

from fomm_core.canvas import FADE, Canvas
from fomm_core.network.layers import coordinate_grid
from fomm_core.regions import Region

H = W = 16  # the deformation's resolution


@pytest.fixture
def painting() -> np.ndarray:
    """Noise: each pixel of its own colour, so that the smallest displacement shows."""
    return np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)


def identity() -> np.ndarray:
    return coordinate_grid(H, W, torch.zeros(1)).numpy()


def prediction(size: int = 64, colour: int = 99) -> np.ndarray:
    return np.full((size, size, 3), colour, np.uint8)


SHOWN, HIDDEN = np.ones((H, W), np.float32), np.zeros((H, W), np.float32)
REGIONS = [
    Region(20, 10, 120, 120), Region(-30, -20, 120, 120), Region(120, 60, 120, 120), Region(0, 0, 200, 150),
    Region(-50, -70, 300, 300), Region(50, 40, 16, 16),
]  # fmt: skip


@pytest.mark.parametrize("region", REGIONS)
def test_stillness_is_the_painting_itself(region, painting):
    """Bit for bit, at the painting's own resolution: the identity is no zoom, whatever the resolutions."""
    canvas = Canvas(painting, region)
    frame = canvas.compose(prediction(), identity(), SHOWN)
    inner = max(2, round(0.05 * region.w)), max(2, round(0.05 * region.h))
    left, top = max(0, region.x + inner[0]), max(0, region.y + inner[1])
    right, bottom = region.x + region.w - inner[0], region.y + region.h - inner[1]
    difference = np.abs(frame.astype(int) - painting)[top:bottom, left:right]
    assert difference.max() <= 1
    assert frame.shape == painting.shape
    assert frame.dtype == np.uint8


def test_stillness_of_a_smooth_painting_is_exact_at_the_edge_too(picture):
    painting = picture(400, 300)
    frame = Canvas(painting, Region(10, 10, 250, 250)).compose(prediction(), identity(), SHOWN)
    assert np.abs(frame.astype(int) - painting).max() <= 1


@pytest.mark.parametrize("region", REGIONS)
def test_outside_the_region_nothing_changes(region, painting):
    rng = np.random.default_rng(1)
    before = painting.copy()
    deformation = rng.uniform(-1.5, 1.5, (H, W, 2)).astype(np.float32)
    frame = Canvas(painting, region).compose(
        prediction(), deformation, rng.uniform(0, 1, (H, W)).astype(np.float32)
    )
    outside = np.ones(painting.shape[:2], bool)
    outside[
        max(0, region.y) : max(0, region.y + region.h), max(0, region.x) : max(0, region.x + region.w)
    ] = False
    assert (frame[outside] == painting[outside]).all()
    assert (frame != painting).any()
    assert (painting == before).all()


def test_the_painting_is_carried_along(painting):
    """A shift of the deformation by a whole number of the painting's pixels shifts the painting's pixels."""
    region = Region(20, 10, 128, 128)
    shift = 6
    deformation = identity()
    deformation[..., 0] -= shift * 2 / 128 * W / (W - 1)
    frame = Canvas(painting, region).compose(prediction(), deformation, SHOWN)
    middle = slice(10 + 24, 10 + 104), slice(20 + 24, 20 + 104)
    shifted = np.roll(painting, shift, axis=1)
    assert np.abs(frame.astype(int) - shifted)[middle].max() <= 1


def test_motion_from_beyond_the_region_is_not_black():
    painting = np.full((150, 200, 3), 200, np.uint8)
    frame = Canvas(painting, Region(20, 10, 120, 120)).compose(prediction(), identity() + 0.9, SHOWN)
    assert (frame == painting).all()


def test_what_the_painting_hides_is_painted(painting):
    region = Region(20, 10, 120, 120)
    frame = Canvas(painting, region).compose(prediction(colour=99), identity(), HIDDEN)
    edge = round(FADE * 120) + 1
    assert (frame[10 + edge : 130 - edge, 20 + edge : 140 - edge] == 99).all()


def test_what_is_painted_has_the_paintings_colours():
    """A prediction that is darker than the painting everywhere is brought to its colour where it is used."""
    painting = np.full((150, 200, 3), (180, 120, 60), np.uint8)
    half = SHOWN.copy()
    half[:, : W // 2] = 0
    frame = Canvas(painting, Region(20, 10, 120, 120)).compose(prediction(colour=40), identity(), half)
    assert np.abs(frame.astype(int) - painting)[40:100, 66:140].max() <= 6


def test_there_is_no_seam(picture):
    """At the region's border even the wildest motion has faded out."""
    painting = picture(200, 150)
    frame = Canvas(painting, Region(40, 20, 100, 100)).compose(
        prediction(colour=255), identity()[::-1].copy(), HIDDEN
    )
    change = np.abs(frame.astype(int) - painting).max(-1)
    assert change[20:120, 40:140].max() > 50
    border = np.concatenate(
        [change[20, 40:140], change[119, 40:140], change[20:120, 40], change[20:120, 139]]
    )
    assert border.max() <= 4
