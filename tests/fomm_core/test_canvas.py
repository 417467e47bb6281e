"""What moves on the canvas, what stands still, and in whose colours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fomm_core import canvas as canvas_module
from fomm_core import hulls
from fomm_core.animator import Prediction
from fomm_core.canvas import Canvas
from fomm_core.canvas_fields import FADE, LIGHT_LIMIT, REACH, SOFTNESS, support_map
from fomm_core.network.layers import coordinate_grid
from fomm_core.regions import Region

H = W = 16  # the deformation's resolution
# A sitter that fills its region.
WIDE = np.array([[-0.7, -0.7], [0.7, -0.7], [0.7, 0.7], [-0.7, 0.7]], np.float32)
SHOWN, HIDDEN = np.ones((H, W), np.float32), np.zeros((H, W), np.float32)
REGIONS = [
    Region(20, 10, 120, 120), Region(-30, -20, 120, 120), Region(120, 60, 120, 120), Region(0, 0, 200, 150),
    Region(-50, -70, 300, 300), Region(50, 40, 16, 16),
]  # fmt: skip


def noise(channels: int = 3, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    """A painting each pixel of which has its own colour, so that the smallest displacement shows."""
    values = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (150, 200, channels), dtype)
    return values


@pytest.fixture
def painting() -> np.ndarray:
    return noise()


def prediction(colour: int = 99, occlusion: np.ndarray = SHOWN, deformation: np.ndarray | None = None):
    identity = coordinate_grid(H, W, torch.zeros(1)).numpy()
    image = np.full((64, 64, 3), colour, np.uint8)
    background = np.zeros((H, W), np.float32)
    return Prediction(image, identity if deformation is None else deformation, occlusion, background)


STILL = prediction()


def painted(
    painting: np.ndarray, region: Region, frame: Prediction, still: Prediction = STILL, keypoints=WIDE
):
    result = painting.copy()
    Canvas(painting, region, keypoints, still).paint(result, frame, keypoints)
    return result


def moved_by(pixels: float, side: int) -> Prediction:
    """A prediction of the whole region of that side moved to the right."""
    deformation = STILL.deformation.copy()
    deformation[..., 0] -= pixels * 2 / side * W / (W - 1)
    return prediction(deformation=deformation)


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a.astype(int) - b)


@pytest.mark.parametrize("region", REGIONS)
def test_stillness_is_the_painting_itself(region, painting):
    """Bit for bit, whatever the resolutions, and whatever the model makes of the picture and distrusts in it."""
    rng = np.random.default_rng(2)
    still = Prediction(
        rng.integers(0, 256, (64, 64, 3), np.uint8),
        STILL.deformation,
        rng.uniform(0, 1, (H, W)).astype(np.float32),
        STILL.background,
    )
    assert (painted(painting, region, still, still) == painting).all()


@pytest.mark.parametrize(
    ("channels", "dtype", "most"), [(4, np.uint8, 0), (3, np.uint16, 8), (4, np.uint16, 8)]
)
def test_stillness_with_alpha_and_16_bit(channels, dtype, most):
    painting = noise(channels, dtype)
    found = painted(painting, REGIONS[0], STILL)
    assert found.dtype == dtype
    seen = painting[..., -1] > np.iinfo(dtype).max // 8 if channels == 4 else np.s_[:]
    assert difference(found, painting)[seen].max() <= most


@given(
    st.integers(-60, 180), st.integers(-60, 130), st.integers(16, 230), st.integers(16, 230),
    st.sampled_from([3, 4]), st.sampled_from([np.uint8, np.uint16]), st.integers(0, 99),
)  # fmt: skip
def test_outside_the_region_and_far_from_the_sitter_nothing_changes(x, y, w, h, channels, dtype, seed):
    """Bit for bit, in any region, at the wildest motion. The sitter sits in the region's upper left quarter."""
    region = Region(x, y, w, h)
    rng = np.random.default_rng(seed)
    painting = noise(channels, dtype)
    before = painting.copy()
    frame = prediction(
        255,
        rng.uniform(0, 1, (H, W)).astype(np.float32),
        rng.uniform(-1.5, 1.5, (H, W, 2)).astype(np.float32),
    )
    found = painted(painting, region, frame, keypoints=rng.uniform(-1, -0.5, (5, 2)).astype(np.float32))
    reach = (1 - 0.5 + REACH + SOFTNESS) / 2 + 2 / hulls.SIDE  # of the region's sides
    sitter = np.zeros((150, 200), bool)
    sitter[
        max(0, y) : max(0, y + int(h * reach) + 1), max(0, x) : max(0, x + int(w * reach) + 1)
    ] = True  # fmt: skip
    assert (found[~sitter] == painting[~sitter]).all()
    assert (painting == before).all()


def test_the_sitter_moves(painting):
    assert difference(painted(painting, REGIONS[0], moved_by(6, 120)), painting)[40:100, 50:110].mean() > 30


def test_the_painting_is_carried_along(painting):
    """A shift of the deformation by a whole number of the painting's pixels shifts the painting's pixels."""
    frame = painted(painting, Region(20, 10, 128, 128), moved_by(6, 128))
    middle = slice(10 + 24, 10 + 104), slice(20 + 24, 20 + 104)
    assert difference(frame, np.roll(painting, 6, axis=1))[middle].max() <= 1


def test_half_a_pixel_of_motion_keeps_the_finest_detail(painting):
    """Noise has all frequencies: bilinear sampling would leave half of its energy along an axis."""
    frame = painted(painting, Region(20, 10, 128, 128), moved_by(6.5, 128))
    middle = slice(10 + 24, 10 + 104), slice(20 + 24, 20 + 104)
    assert frame[middle].astype(float).var() > 0.6 * painting[middle].astype(float).var()


def test_motion_from_beyond_the_region_is_not_black():
    painting = np.full((150, 200, 3), 200, np.uint8)
    frame = painted(painting, REGIONS[0], prediction(deformation=STILL.deformation + 0.9))
    assert (frame == painting).all()


def test_what_the_painting_hides_is_painted(painting):
    frame = painted(painting, REGIONS[0], prediction(colour=99, occlusion=HIDDEN))
    edge = round(FADE * 120) + 12
    inside = frame[10 + edge : 130 - edge, 20 + edge : 140 - edge]
    assert inside.std() < 0.2 * painting.std(), "nothing is left of the painting's noise"


def test_what_is_painted_has_the_paintings_colours():
    """A prediction that is darker than the painting everywhere is brought to its colour where it is used."""
    painting = np.full((150, 200, 3), (180, 120, 60), np.uint8)
    half = SHOWN.copy()
    half[:, : W // 2] = 0
    frame = painted(painting, REGIONS[0], prediction(40, half), prediction(40))
    assert difference(frame, painting)[40:100, 66:140].max() <= 6


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_light_is_the_predictions(dtype):
    """What the prediction brightens against the one for no motion, the painting is brightened by."""
    unit = np.iinfo(dtype).max / 255
    painting = np.full((150, 200, 3), 120 * unit, dtype)
    frame = painted(painting, REGIONS[0], prediction(109), prediction(99))
    assert frame[70, 80] / unit == pytest.approx(130, abs=1)
    glaring = painted(painting, REGIONS[0], prediction(255), prediction(9))
    assert 20 < (glaring.max() / unit - 120) <= LIGHT_LIMIT + 1, "a weak model's errors are bounded"


SIDES = {"left": (0, 30), "top": (40, 0), "right": (100, 30), "bottom": (40, 50)}


@pytest.mark.parametrize("side", SIDES)
def test_motion_goes_on_to_where_the_painting_ends(painting, side):
    """A head at the picture's edge moves whole; a region's border within the painting stands still."""
    region = Region(*SIDES[side], 100, 100)
    aside = moved_by(-6 if side == "left" else 6, 100)
    change = difference(painted(painting, region, aside), painting).max(-1)
    x, y = region[:2]
    lines = {
        "left": change[y + 30 : y + 70, x],
        "top": change[y, x + 30 : x + 70],
        "right": change[y + 30 : y + 70, x + 99],
        "bottom": change[y + 99, x + 30 : x + 70],
    }
    assert {name for name, line in lines.items() if (line > 0).mean() > 0.9} == {side}
    assert all(line.max() == 0 for name, line in lines.items() if name != side)


def test_there_is_no_seam(picture):
    """At the region's border even the wildest motion has faded out."""
    painting = picture(200, 150)
    wild = prediction(255, HIDDEN, STILL.deformation[::-1].copy())
    change = difference(painted(painting, Region(40, 20, 100, 100), wild), painting).max(-1)
    assert change[20:120, 40:140].max() > 20
    border = np.concatenate(
        [change[20, 40:140], change[119, 40:140], change[20:120, 40], change[20:120, 139]]
    )
    assert border.max() <= 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_no_dark_fringe_where_transparency_moves(dtype):
    """A red disc on nothing, whose colour is black: wherever the moved disc is seen, it is red."""
    top = np.iinfo(dtype).max
    y, x = np.mgrid[0:150, 0:200]
    disc = np.hypot(x - 80, y - 70) < 30
    painting = np.zeros((150, 200, 4), dtype)
    painting[disc] = (top, 0, 0, top)
    frame = painted(painting, REGIONS[0], moved_by(5.5, 120))
    seen = frame[..., 3] > top // 64
    assert (frame[seen][:, 0] > 0.97 * top).all()
    assert (frame[seen][:, 1:3] < 0.03 * top).all()
    # The support fades around the disc, so that its middle moves the whole way.
    assert np.average(x[65:75], weights=frame[65:75, :, 3]) == pytest.approx(85, abs=1)


@pytest.mark.parametrize("channels", [3, 4])
def test_bands_do_not_matter(channels, monkeypatch):
    """A large region is painted in bands, each from what it needs of the painting, to the same picture."""
    painting = noise(channels)
    wild = np.random.default_rng(1).normal(0, 0.1, (H, W, 2)).astype(np.float32) + STILL.deformation
    whole = painted(painting, REGIONS[4], prediction(deformation=wild))
    monkeypatch.setattr(canvas_module, "BAND", 1000)
    monkeypatch.setattr(canvas_module, "HELD", 0)
    found = painted(painting, REGIONS[4], prediction(deformation=wild))
    opaque = whole[..., -1] > 60 if channels == 4 else np.s_[:]
    assert difference(found, whole)[opaque].max() <= 1
    assert (whole != painting).any()


LEFT, RIGHT = Region(0, 20, 120, 120), Region(70, 20, 120, 120)
NARROW = WIDE * 0.3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_neighbours_do_not_erase_each_other(dtype):
    """Where the second sitter's support ends, the first one's motion stays, bit for bit."""
    painting = noise(3, dtype)
    frame = painted(painting, LEFT, moved_by(7, 120), keypoints=NARROW)
    first = frame.copy()
    Canvas(painting, RIGHT, NARROW, STILL).paint(frame, moved_by(-4, 120), NARROW)
    assert (first[:, 70:100] != painting[:, 70:100]).any(), "the first reaches into the second's region"
    edge = 70 + int(60 * (1 - 0.3 * 0.7 - REACH - SOFTNESS)) - 4
    assert (frame[:, :edge] == first[:, :edge]).all()
    alone = painted(painting, RIGHT, moved_by(-4, 120), keypoints=NARROW)
    assert (frame[60:100, 120:150] == alone[60:100, 120:150]).all(), "the second is as if it were alone"


def test_a_still_neighbour_leaves_motion_in_place_where_it_fades():
    """No gap between two supports that overlap: the one fades into the other."""
    painting = noise()
    frame = painted(painting, LEFT, moved_by(7, 120), keypoints=NARROW)
    first = frame.copy()
    Canvas(painting, RIGHT, NARROW, STILL).paint(frame, STILL, NARROW)
    support = support_map(NARROW, NARROW)[hulls.SIDE // 2, :, 0]
    faint = 70 + int((support > 0.05).argmax() / hulls.SIDE * 120)
    assert difference(frame, first)[60:100, faint : faint + 2].mean() < 8


@given(st.integers(0, 99), st.integers(1, 10))
def test_the_support_covers_the_sitter_at_rest_and_in_motion(seed, count):
    """Also of a single keypoint, and of keypoints on a line."""
    rng = np.random.default_rng(seed)
    origin, keypoints = rng.uniform(-0.9, 0.9, (2, count, 2)).astype(np.float32)
    if seed % 3 == 0:
        origin[:, 1] = keypoints[:, 1] = 0.25
    found = support_map(origin, keypoints)[..., 0]
    assert np.isfinite(found).all()
    assert 0 <= found.min() <= found.max() <= 1
    cells = ((np.concatenate([origin, keypoints]) + 1) / 2 * (hulls.SIDE - 1)).round().astype(int)
    assert (found[cells[:, 1], cells[:, 0]] == 1).all()
    halfway = ((origin + keypoints) / 4 + (origin[::-1] + keypoints[::-1]) / 4 + 1) / 2 * (hulls.SIDE - 1)
    halfway = halfway.round().astype(int)
    assert (found[halfway[:, 1], halfway[:, 0]] == 1).all(), "the hull is filled"


def test_the_support_ends():
    found = support_map(np.full((3, 2), -1, np.float32), np.full((3, 2), -1, np.float32))[..., 0]
    line = np.linspace(0, 2, hulls.SIDE)
    assert (found[0, line > REACH + SOFTNESS] == 0).all()
    assert (found[0, line < REACH] == 1).all()
    assert (np.diff(found[0]) <= 0).all()
