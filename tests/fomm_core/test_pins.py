"""A face's deformation leads from its keypoints to where they are in the painting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fomm_core import api, canvas_fields
from fomm_core.canvas import Canvas
from fomm_core.heads import Head
from fomm_core.network.layers import coordinate_grid, sample
from fomm_core.pins import NAMES, REACH, Pins
from fomm_core.regions import Region
from tests.fomm_core.toy_head import FACE, HEAD, ROWS, SIDE, moved_at_random, still

EXAMPLES = Path(__file__).parents[2] / "examples"
# Smaller than a frame, as heads in regions are: the forehead is no longer at the edge.
ORIGIN = 0.7 * FACE
PINNED = HEAD.rows_of(*NAMES)
SOURCE = Pins.of(HEAD, ORIGIN)


def missed(shares: torch.Tensor, keypoints: np.ndarray) -> np.ndarray:
    """How far from where they belong the (2,h,w) motion leads from each pin, in [-1, 1]."""
    places = torch.from_numpy(keypoints[PINNED])[None, None]
    led = sample(canvas_fields._motion(shares).permute(0, 3, 1, 2), places)[0, :, 0].T.numpy()
    return np.linalg.norm(led - ORIGIN[PINNED], axis=1)


@given(st.floats(-0.15, 0.15), st.floats(-0.15, 0.15), st.sampled_from([(64, 64), (58, 64), (32, 32)]))
def test_where_the_model_does_not_follow_the_face_the_pins_do(x, y, size):
    """Whatever the deformation's resolution: most of what is missing is made up for at every pin."""
    keypoints = ORIGIN + np.float32([x, y])
    before = torch.zeros(2, *size)
    after = SOURCE.pinned(before, keypoints)
    assert (missed(after, keypoints) <= 0.2 * missed(before, keypoints) + 1e-3).all()


@settings(deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 0.1))
def test_pins_lead_nearer_whatever_the_keypoints_and_the_deformation(seed, spread):
    keypoints = 0.7 * moved_at_random(seed, spread)
    rough = torch.from_numpy(
        np.random.default_rng(seed).normal(0, spread / 2, (1, 2, 8, 8)).astype(np.float32)
    )
    before = torch.nn.functional.interpolate(rough, (64, 64), mode="bicubic")[0]
    after = SOURCE.pinned(before, keypoints)
    assert after.isfinite().all()
    assert np.square(missed(after, keypoints)).sum() <= np.square(missed(before, keypoints)).sum() + 1e-6


def test_a_motion_that_leads_to_its_keypoints_stays_as_it_is():
    grid = torch.from_numpy(still().deformation)
    turned = grid @ torch.tensor([[0.99, 0.1], [-0.1, 0.99]]) + torch.tensor([0.05, -0.02])
    shares = canvas_fields._shares(turned)
    keypoints = np.linalg.solve(
        np.array([[0.99, 0.1], [-0.1, 0.99]]).T, (ORIGIN - np.array([0.05, -0.02])).T
    ).T.astype(np.float32)
    assert (SOURCE.pinned(shares, keypoints) - shares).abs().max() < 1e-5


def test_far_from_the_pins_nothing_changes():
    """Beyond four of the Gaussian's deviations from the nearest."""
    small = 0.3 * FACE
    keypoints = small + np.float32(0.1)
    away = Pins.of(HEAD, small).pinned(torch.zeros(2, 64, 64), keypoints).norm(dim=0)
    assert away.max() > 0.02
    grid = coordinate_grid(64, 64, away)
    far = torch.cdist(grid.reshape(-1, 2), torch.from_numpy(keypoints[PINNED])).amin(1).reshape(64, 64)
    assert away[far > 4 * REACH * float(HEAD.poses(small[None]).scale[0])].max() < 1e-3


def test_a_pin_beyond_the_edge_asks_for_no_more_than_is_missing_at_the_edge():
    """What moves as a whole stays as it is, though its chin has left the picture."""
    keypoints = ORIGIN + np.float32([0, 0.85])
    assert keypoints[PINNED].max() > 1
    shares = torch.zeros(2, 64, 64)
    shares[1] = -0.85 * 63 / 128
    assert (SOURCE.pinned(shares, keypoints) - shares).abs().max() < 1e-5


def test_what_no_pin_asks_for_is_left_alone():
    """A jaw that is hidden, lips and lids that are drawn by themselves."""
    keypoints = ORIGIN.copy()
    others = [row for row in range(len(ROWS)) if row not in PINNED]
    keypoints[others] += 0.1
    shares = torch.rand(2, 64, 64) * 0.01
    assert torch.equal(SOURCE.pinned(shares, keypoints), SOURCE.pinned(shares, ORIGIN))


@pytest.mark.parametrize("lost", NAMES)
def test_a_model_without_one_of_them_has_none(lost):
    names = [name for name in ROWS if name != lost]
    assert Pins.of(Head.of(names), ORIGIN[[ROWS.index(name) for name in names]]) is None


def test_there_are_none_where_nobody_named_the_keypoints_or_they_lie_as_no_heads():
    assert Pins.of(None, ORIGIN) is None
    assert Pins.of(HEAD, np.zeros_like(ORIGIN)) is None


def test_a_face_that_is_lost_pulls_at_nothing():
    nowhere = np.zeros_like(ORIGIN)
    assert HEAD.poses(nowhere[None]) is None
    assert torch.equal(SOURCE.pinned(torch.ones(2, 64, 64), nowhere), torch.ones(2, 64, 64))


def test_the_painting_moves_with_its_pins():
    """A nose whose keypoint has moved is seen there, though the model moves nothing."""
    painting = np.full((SIDE, SIDE, 3), 90, np.uint8)
    at = ((ORIGIN[ROWS.index("nose_tip")] + 1) / 2 * (SIDE - 1)).round().astype(int)
    painting[at[1] - 3 : at[1] + 4, at[0] - 3 : at[0] + 4] = (250, 20, 20)
    canvas = Canvas(painting, Region(0, 0, SIDE, SIDE), ORIGIN, still(), HEAD, still_wall=False)
    frame = painting.copy()
    canvas.paint(frame, still(), ORIGIN + np.float32([10 * 2 / (SIDE - 1), 0]))
    rows, columns = np.nonzero(frame[..., 0] > 170)
    assert columns.mean() - at[0] == pytest.approx(10, abs=2)
    assert rows.mean() == pytest.approx(at[1], abs=1)


def test_a_job_with_starter_has_them():
    animation = api.prepare(EXAMPLES / "painting.jpg", EXAMPLES / "driving.mp4", report=lambda event: None)
    sitter = animation.sitters[0]
    assert Pins.of(sitter.animator.head, sitter.origin) is not None
