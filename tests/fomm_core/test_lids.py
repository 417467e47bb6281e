"""An eye whose lids come together is covered by the painting's own lid, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fomm_core import backdrop
from fomm_core.canvas import Canvas
from fomm_core.heads import Head
from fomm_core.lids import EYES, Lids
from fomm_core.regions import Region
from tests.fomm_core.toy_head import FACE, HEAD, ROWS, SIDE, check, moved_at_random, still

LEFT, RIGHT = ([ROWS.index(name) for name in names] for names in EYES)
WIDTH = float(np.linalg.norm(FACE[LEFT[0]] - FACE[LEFT[1]])) / 2 * (SIDE - 1)  # of an eye, in pixels
SKIN, WHITE, LASH = (200, 160, 130), (240, 240, 235), (30, 20, 15)


@pytest.fixture(autouse=True)
def no_backdrop(monkeypatch):
    monkeypatch.setattr(backdrop, "matte", torch.zeros_like)


def pixels(eye: list[int]) -> np.ndarray:
    return (FACE[eye] + 1) / 2 * (SIDE - 1)


def painting() -> np.ndarray:
    """Skin, and two eyes: white between the corners and below the upper lid's keypoint, lashes above it."""
    picture = np.full((SIDE, SIDE, 3), SKIN, np.uint8)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    for eye in (LEFT, RIGHT):
        left, right, upper, lower = pixels(eye)
        half = (left[0] - right[0]) / 2
        bow = (1 - ((x - (left[0] + right[0]) / 2) / half) ** 2).clip(0)
        line = (left[1] + right[1]) / 2
        top, bottom = line + (upper[1] - line) * bow, line + 0.4 * (lower[1] - line) * bow
        picture[(bow > 0) & (y > top) & (y < bottom)] = WHITE
        picture[(bow > 0) & (y <= top) & (y > top - 0.22 * WIDTH * bow)] = LASH
    return picture


def closed(amount: float, *eyes: list[int]) -> np.ndarray:
    """The face with lids that are nearer by so many widths of an eye; of both eyes, if none are named."""
    face = FACE.copy()
    for eye in eyes or (LEFT, RIGHT):
        face[eye[2], 1] += amount * WIDTH * 2 / (SIDE - 1)
    return face


def painted(keypoints: np.ndarray, head: Head | None = HEAD) -> np.ndarray:
    canvas = Canvas(painting(), Region(0, 0, SIDE, SIDE), FACE, still(), head)
    frame = painting()
    canvas.paint(frame, still(), keypoints)
    return frame


def count(frame: np.ndarray, eye: list[int], colour: tuple[int, int, int]) -> int:
    """How many pixels around the eye have about this colour."""
    x, y = pixels(eye).mean(0).round().astype(int)
    reach = round(0.8 * WIDTH)
    around = frame[y - reach : y + reach, x - reach : x + reach].astype(int)
    return int((np.abs(around - colour).max(-1) < 25).sum())


def lids() -> list[Lids]:
    return Lids.of(HEAD, FACE, torch.from_numpy(painting()).permute(2, 0, 1)[None].float())


def shut(keypoints: np.ndarray) -> list[float]:
    """From 0 to about 1, how far each eye is covered: how strong its new lashes are, of the strongest."""
    patches = [one.patch(torch.zeros(2, SIDE, SIDE), keypoints) for one in lids()]
    return [0.0 if patch is None else float(patch.inside.max()) for patch in patches]


@pytest.mark.parametrize("eye", [LEFT, RIGHT], ids=["left", "right"])
def test_a_blink_covers_the_eye_with_skin_and_not_with_its_lashes(eye):
    before, after = painting(), painted(closed(0.2))
    assert count(before, eye, WHITE) > 60
    assert count(after, eye, WHITE) < 0.05 * count(before, eye, WHITE)
    x = round(pixels(eye)[:, 0].mean())
    top = round(pixels(eye)[2, 1])
    lid = after[top - 2 : top + round(0.1 * WIDTH), x - 4 : x + 5].astype(int)
    assert np.abs(lid - SKIN).max() < 25


def test_the_new_lashes_lie_along_the_lower_lid():
    for eye in (LEFT, RIGHT):
        left, right, _, lower = pixels(eye)
        column = painted(closed(0.2))[:, round((left[0] + right[0]) / 2)].astype(int).sum(-1)
        line = (left[1] + right[1]) / 2
        assert abs(int(column.argmin()) - (line + 0.5 * (lower[1] - line))) <= 2
        assert column.min() < 0.75 * sum(SKIN)


def test_eyes_at_rest_are_the_painting_bit_for_bit():
    assert (painted(FACE) == painting()).all()
    assert (painted(closed(0.04)) == painted(closed(0.04), None)).all()


def test_lids_that_open_wider_move_as_the_model_says():
    assert shut(closed(-0.2)) == [0, 0]


def test_a_wink_shuts_one_eye():
    for eye, (winking, other) in ((LEFT, shut(closed(0.3, LEFT))), (RIGHT, shut(closed(0.3, RIGHT))[::-1])):
        assert winking > 0.5, eye
        assert other < 0.1, eye


@given(turn=st.floats(-0.5, 0.5), size=st.floats(0.6, 1.4), x=st.floats(-0.2, 0.2))
def test_a_head_that_only_moves_shuts_no_eye(turn, size, x):
    rotation = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    assert shut((FACE @ rotation.T + (x, 0)).astype(np.float32)) == [0, 0]


@given(size=st.floats(0.6, 1.4), amount=st.floats(0, 0.3))
def test_a_nearer_head_blinks_as_a_farther_one(size, amount):
    np.testing.assert_allclose(
        shut((closed(amount) * size).astype(np.float32)), shut(closed(amount)), atol=0.15
    )


@given(amount=st.floats(0, 0.3))
def test_an_eye_closes_gradually(amount):
    """A thousandth of its width more changes no motion by a twentieth of a pixel, but at the lid's edge."""
    for one in lids():
        a, b = (one.patch(torch.zeros(2, SIDE, SIDE), closed(amount + more)) for more in (0, 0.001))
        if a is None or b is None or a.displacement.shape != b.displacement.shape:
            continue
        change = (a.displacement - b.displacement).abs().amax(0) * SIDE
        assert np.quantile(change, 0.9) < 0.25
        assert (a.near - b.near).abs().max() < 0.1


def test_lids_that_have_hardly_begun_to_close_move_as_the_model_says():
    displacement = torch.full((2, SIDE, SIDE), 3 / SIDE)
    for one in lids():
        patch = one.patch(displacement, closed(0.06))
        assert 0 < patch.near.max() < 0.1
        assert (patch.displacement * SIDE - 3).abs().max() < 0.5


def test_an_eye_that_is_seen_from_the_side_is_left_alone():
    aside = closed(0.2)
    aside[LEFT, 0] = aside[LEFT, 0].mean() + 0.1 * (aside[LEFT, 0] - aside[LEFT, 0].mean())
    assert shut(aside)[0] == 0 < shut(aside)[1]


def test_far_from_the_eye_the_motion_is_the_models():
    displacement = torch.randn(2, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) / SIDE
    for one, eye in zip(lids(), (LEFT, RIGHT), strict=True):
        patch = one.patch(displacement, closed(0.2))
        _, x = np.mgrid[patch.rows, patch.columns]
        far = torch.from_numpy(np.abs(x - pixels(eye)[:, 0].mean()) > 0.9 * WIDTH)
        assert far.any()
        same = (patch.displacement - displacement[:, patch.rows, patch.columns]).abs()[:, far]
        assert same.max() < 1e-5
        assert patch.near[far].max() == 0


@pytest.mark.parametrize("missing", [name for names in EYES for name in names])
def test_without_lids_among_the_keypoints_no_eye_shuts(missing):
    names = [name if name != missing else "" for name in ROWS]
    assert Lids.of(Head.of(names), FACE, torch.zeros(1, 3, 64, 64)) == []


def test_a_face_that_is_lost_shuts_no_eye():
    lost = FACE.copy()
    lost[: max(RIGHT) + 1] = np.random.default_rng(0).uniform(-1, 1, (max(RIGHT) + 1, 2))
    assert shut(lost) == [0, 0]
    assert Lids.of(HEAD, lost, torch.zeros(1, 3, 64, 64)) == []


@given(seed=st.integers(0, 10**6), spread=st.floats(0, 1.5))
def test_whatever_the_keypoints_the_fields_are_finite_and_in_range(seed, spread):
    for one in lids():
        if patch := one.patch(torch.zeros(2, SIDE, SIDE), moved_at_random(seed, spread)):
            check(patch)
