"""The painting's own lips lie where their keypoints are, and a mouth that opens parts them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fomm_core import backdrop
from fomm_core.canvas import Canvas
from fomm_core.features import Axes
from fomm_core.heads import Head
from fomm_core.mouth import AROUND, FLESH, NAMES, Mouth
from fomm_core.regions import Region
from tests.fomm_core.toy_head import FACE, HEAD, ROWS, SIDE, check, moved_at_random, still

LEFT, RIGHT, UPPER, LOWER = (ROWS.index(name) for name in NAMES)
WIDTH = (FACE[LEFT, 0] - FACE[RIGHT, 0]) / 2 * (SIDE - 1)  # of its mouth, in pixels
MIDDLE = SIDE // 2
UPPER_LIP, LOWER_LIP, SKIN = (200, 60, 60), (60, 60, 200), (180, 150, 120)


@pytest.fixture(autouse=True)
def no_backdrop(monkeypatch):
    monkeypatch.setattr(backdrop, "matte", torch.zeros_like)


def painting() -> np.ndarray:
    """Red above the line between the lips and blue below it, near the mouth; skin elsewhere."""
    picture = np.full((SIDE, SIDE, 3), SKIN, np.uint8)
    line, half = lips_line(), round(0.7 * WIDTH)
    columns = slice(MIDDLE - half, MIDDLE + half)
    picture[line - half : line, columns] = UPPER_LIP
    picture[line : line + half, columns] = LOWER_LIP
    return picture


def lips_line() -> int:
    return round((float(FACE[UPPER, 1] + FACE[LOWER, 1]) / 2 + 1) / 2 * (SIDE - 1))


def opened(pixels: float, face: np.ndarray = FACE) -> np.ndarray:
    """The face with its lower lip so many pixels further down."""
    face = face.copy()
    face[LOWER, 1] += pixels * 2 / (SIDE - 1)
    return face


def painted(
    keypoints: np.ndarray, head: Head | None = HEAD, occlusion: float = 1.0, green: int = 255
) -> np.ndarray:
    """A frame in which the model trusts so much of the painting, and paints a green other than the 255 at rest."""
    canvas = Canvas(painting(), Region(0, 0, SIDE, SIDE), FACE, still(), head)
    frame = painting()
    image = np.full((SIDE, SIDE, 3), (0, green, 0), np.uint8)
    trusted = np.full((64, 64), occlusion, np.float32)
    canvas.paint(frame, still()._replace(image=image, occlusion=trusted), keypoints)
    return frame


def extent(frame: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, int]:
    """The first and the last row of this colour in the mouth's middle column."""
    there = np.flatnonzero(np.abs(frame[:, MIDDLE].astype(int) - colour).max(-1) < 25)
    return there[0], there[-1]


@pytest.mark.parametrize("pixels", [6, 12, 20])
def test_each_lip_goes_with_its_keypoint(pixels):
    before, after = painting(), painted(opened(pixels))
    assert abs(extent(after, UPPER_LIP)[1] - extent(before, UPPER_LIP)[1]) <= 1
    assert abs(extent(after, LOWER_LIP)[0] - extent(before, LOWER_LIP)[0] - pixels) <= 1.5


@pytest.mark.parametrize("occlusion", [1.0, 0.0])
def test_what_lies_between_the_lips_is_dark_and_not_what_the_model_paints(occlusion):
    """Above are the upper teeth, below is the dark; a model that hides everything hides neither lips nor that."""
    frame = painted(opened(14), occlusion=occlusion).astype(int)
    line = lips_line()
    inside = frame[line + 2 : line + 12, MIDDLE - 4 : MIDDLE + 4]
    assert inside[8:].max() < 125
    assert inside[2:5].mean() > inside[8:].mean() + 15
    assert (inside[..., 1] < 170).all()  # a green of 255 is the prediction's
    assert extent(frame, UPPER_LIP)[1] - extent(frame, UPPER_LIP)[0] > 0.3 * WIDTH


def test_no_light_of_the_prediction_falls_on_lips_that_part():
    """It does beside them."""
    lit, plain = (painted(opened(14), green=green).astype(int)[:, MIDDLE] for green in (200, 255))
    line, off = lips_line(), np.abs(lit - plain).max(-1)
    assert off[line - 3 : line + 17].max() <= 1
    assert off[line - round(0.9 * WIDTH)] > 15


def test_a_mouth_that_opens_wide_shows_the_tongue():
    """On its lower side, the lower lip's colour and redder, with the dark above it."""
    frame, narrow = (painted(opened(pixels)).astype(int)[:, MIDDLE] for pixels in (30, 6))
    lip = round(lips_line() + 30)
    assert np.abs(frame[lip - 5] - FLESH.flatten().numpy() * LOWER_LIP).max() < 12
    assert frame[lip - 20].sum() < 0.9 * frame[lip - 5].sum()
    assert narrow[lips_line() + 2 : lips_line() + 5, 2].max() < 130


def test_lips_at_rest_are_the_painting_bit_for_bit():
    assert (painted(FACE) == painting()).all()


@given(turn=st.floats(-0.5, 0.5), size=st.floats(0.6, 1.4), x=st.floats(-0.2, 0.2))
def test_a_head_that_only_moves_parts_no_lips(turn, size, x):
    rotation = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = (FACE @ rotation.T + (x, 0)).astype(np.float32)
    parted = mouth().patch(torch.zeros(2, SIDE, SIDE), moved)
    assert parted is None or parted.inside.max() < 0.01


def test_pursed_lips_are_thicker_and_still_shut():
    """A mouth of 0.7 of its width whose keypoints are 1.8 times as far apart is pursed; a wide one is open."""
    gap = float(FACE[LOWER, 1] - FACE[UPPER, 1]) / 2 * (SIDE - 1)
    wide = opened(0.8 * gap)
    pursed = wide.copy()
    pursed[[LEFT, RIGHT], 0] *= 0.7
    assert mouth().patch(torch.zeros(2, SIDE, SIDE), wide).inside.max() > 0.9
    shut = mouth().patch(torch.zeros(2, SIDE, SIDE), pursed)
    assert shut.inside.max() < 0.05
    assert shut.near.max() > 0.9  # and they are the painting's, not the prediction's


def test_pressed_lips_are_thinner_and_still_meet_in_their_line():
    gap = float(FACE[LOWER, 1] - FACE[UPPER, 1]) / 2 * (SIDE - 1)
    patch = mouth().patch(torch.zeros(2, SIDE, SIDE), opened(-0.4 * gap))
    assert patch.inside.max() < 0.01
    rows = torch.arange(patch.rows.start, patch.rows.stop)
    # In the middle column: where each row comes from.
    source = rows + patch.displacement[1, :, MIDDLE - patch.columns.start] * SIDE
    top = (FACE[UPPER, 1] + 1) / 2 * (SIDE - 1)
    shown = [float(np.interp(top + share * 0.6 * gap, rows, source)) for share in (0, 0.5, 1)]
    assert shown == pytest.approx([top, top + gap / 2, top + gap], abs=0.5)


def smiling(pixels: float, face: np.ndarray = FACE) -> np.ndarray:
    """The face with both lips so many pixels further down than the corners of the mouth."""
    face = face.copy()
    face[[UPPER, LOWER], 1] += pixels * 2 / (SIDE - 1)
    return face


@pytest.mark.parametrize("pixels", [-6, 5, 9])
def test_lips_that_smile_are_bent_and_neither_folded_nor_parted(pixels):
    """Between neighbours no motion jumps, around the corners neither."""
    patch = mouth().patch(torch.zeros(2, SIDE, SIDE), smiling(pixels))
    assert patch.inside.max() < 0.01
    motion = patch.displacement * SIDE
    assert max(float(motion.diff(dim=axis).abs().max()) for axis in (1, 2)) < 0.75
    lips = painted(smiling(pixels))
    assert abs(extent(lips, UPPER_LIP)[1] - lips_line() - pixels) <= 1.5
    assert abs(extent(lips, LOWER_LIP)[0] - lips_line() - pixels) <= 1.5


def test_teeth_are_paler_than_the_skin_is_lit(monkeypatch):
    def blue() -> float:
        teeth = painted(opened(14))[lips_line() + 4, MIDDLE].astype(int)
        return teeth[2] / teeth[0]

    pale = blue()
    monkeypatch.setattr("fomm_core.mouth.PALE", 0.0)
    assert pale > blue() + 0.02


def test_below_the_teeth_of_a_narrow_slit_is_the_dark():
    column = painted(opened(6)).astype(int)[:, MIDDLE].sum(-1)
    line = lips_line()
    assert column[line + 4 : line + 6].min() < 0.8 * column[line + 1 : line + 4].max()


def test_lips_of_a_narrow_mouth_that_opens_wide_are_stretched_and_no_thicker():
    wide, narrow = opened(36), opened(36)
    narrow[[LEFT, RIGHT], 0] *= 0.7
    wide, narrow = (mouth().patch(torch.zeros(2, SIDE, SIDE), face).inside for face in (wide, narrow))
    assert (narrow > 0.5).sum(0).max() >= (wide > 0.5).sum(0).max() - 1


@pytest.mark.parametrize("pixels", [-3, -1, 0, 2, 6])
def test_a_mouth_is_pursed_gradually(pixels):
    """Step by step from wide to narrow, no motion jumps, but where one lip becomes the other."""
    before = None
    for share in np.linspace(1.1, 0.5, 121):
        face, motion = opened(pixels), torch.zeros(2, SIDE, SIDE)
        face[[LEFT, RIGHT], 0] *= share
        if (patch := mouth().patch(motion, face)) is not None:
            motion[:, patch.rows, patch.columns] = torch.where(patch.inside < 0.5, patch.displacement, 0)
        if before is not None:
            change = (motion - before).abs().amax(0) * SIDE
            assert torch.quantile(change.flatten(), 0.999) < 0.5, share
        before = motion


@given(pixels=st.floats(0, 24))
def test_a_mouth_opens_gradually(pixels):
    """A hundredth of a pixel more changes no motion by a tenth of one, but where one lip becomes the other."""
    a, b = (mouth().patch(torch.zeros(2, SIDE, SIDE), opened(pixels + more)) for more in (0, 0.01))
    if a is None or b is None:
        assert b is None or b.displacement.abs().max() * SIDE < 0.1
        return
    if a.displacement.shape != b.displacement.shape:
        return
    seen = (a.inside < 0.5) & (b.inside < 0.5)
    change = (a.displacement - b.displacement).abs().amax(0)[seen] * SIDE
    assert np.quantile(change, 0.99) < 0.1
    assert (a.inside - b.inside).abs().max() < 0.1


def test_lips_that_hardly_part_move_as_the_model_says():
    """Which need not be where their keypoints are."""
    displacement = torch.full((2, SIDE, SIDE), 3 / SIDE)
    assert mouth().patch(displacement, opened(0.1)) is None
    parted = mouth().patch(displacement, opened(0.5))
    assert (parted.displacement * SIDE - 3).abs().max() < 0.1
    assert parted.inside.max() < 0.05


def test_the_skin_beside_a_lip_goes_with_it():
    parted = mouth().patch(torch.zeros(2, SIDE, SIDE), opened(12))
    lip = (opened(12)[LOWER, 1] + 1) / 2 * (SIDE - 1)
    down = [-float(parted.displacement[1, round(lip + below) - parted.rows.start,
            MIDDLE - parted.columns.start]) * SIDE for below in (2, 0.25 * WIDTH, 0.5 * WIDTH)]  # fmt: skip
    assert down[0] == pytest.approx(12, abs=1)
    assert down[0] > down[1] > down[2] > -0.01


def test_far_from_the_mouth_the_motion_is_the_models():
    displacement = torch.randn(2, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) / SIDE
    parted = mouth().patch(displacement, opened(10))
    y, x = np.mgrid[parted.rows, parted.columns]
    px = (opened(10) + 1) / 2 * (SIDE - 1)
    away = np.hypot(x - px[[LEFT, RIGHT], 0].mean(), y - px[LOWER, 1])
    far = torch.from_numpy(away > WIDTH / 2 + AROUND * WIDTH + 12)
    assert far.any()
    same = (parted.displacement - displacement[:, parted.rows, parted.columns]).abs()[:, far]
    assert same.max() < 1e-5
    assert parted.near[far].max() == 0


@pytest.mark.parametrize("missing", NAMES)
def test_without_lips_among_the_keypoints_nothing_parts(missing):
    names = [name if name != missing else "" for name in ROWS]
    assert Mouth.of(Head.of(names), FACE, torch.zeros(1, 3, 64, 64)) is None
    assert (painted(opened(20), Head.of(names)) == painted(opened(20), None)).all()


def test_a_face_that_is_lost_opens_no_mouth():
    lost = FACE.copy()
    lost[:LEFT] = np.random.default_rng(0).uniform(-1, 1, (LEFT, 2))
    assert mouth().patch(torch.zeros(2, SIDE, SIDE), lost) is None
    assert Mouth.of(HEAD, lost, torch.zeros(1, 3, 64, 64)) is None


@given(seed=st.integers(0, 10**6), spread=st.floats(0, 1.5))
def test_whatever_the_keypoints_the_fields_are_finite_and_in_range(seed, spread):
    if patch := mouth().patch(torch.zeros(2, SIDE, SIDE), moved_at_random(seed, spread)):
        check(patch)


@given(middle=st.floats(-0.5, 1.5), along=st.floats(-1, 2))
def test_shares_of_the_mouth_go_back_to_where_they_came_from(middle, along):
    axes = Axes.of(np.array([(110.0, 90), (70, 80), (70 + 40 * middle, 90), (70 + 40 * middle, 100)]))
    there = torch.tensor(along * axes.width, dtype=torch.float64)
    torch.testing.assert_close(axes.along_of(axes.share(there)), there)


def mouth() -> Mouth:
    return Mouth.of(HEAD, FACE, torch.from_numpy(painting()).permute(2, 0, 1)[None].float())
