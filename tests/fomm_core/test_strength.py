"""Weaker motion to learn from: it is what the product makes of a strength below 1."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fomm_core.motion import MotionTrack
from fomm_core.network import DenseMotion, Keypoints
from fomm_core.network.layers import coordinate_grid, sample
from fomm_core.training import losses
from fomm_core.training.data import Pairs
from fomm_core.training.strength import turned, weakened
from fomm_core.transfer import transfer

SIDE = 32
CELL = 2 / (SIDE - 1)
GRID = coordinate_grid(SIDE, SIDE, torch.zeros(1))
PLACES = torch.tensor([[0.2, -0.1], [-0.3, 0.2], [0.1, 0.3]])


def pairs_of(flow: torch.Tensor, target: torch.Tensor, origin: torch.Tensor, **maps: torch.Tensor) -> Pairs:
    """One pair, all of it seen and the sitter's but for `maps`."""
    seen = {
        name: torch.ones(1, 1, SIDE, SIDE) for name in ("visible", "face", "inside", "source_face")
    } | maps
    picture = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    return Pairs(picture, picture.flip(3), origin[None], target[None], flow[None], **seen)


@given(
    angle=st.floats(-0.4, 0.4),
    scale=st.floats(0.8, 1.25),
    shift=st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)),
    strength=st.floats(0.1, 0.99),
)
def test_every_place_goes_that_part_of_its_way(angle, scale, shift, strength):
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = scale * torch.tensor([[cos, -sin], [sin, cos]])  # of a place in the source to its place here
    target = PLACES @ matrix.T + torch.tensor(shift)
    flow = (GRID - torch.tensor(shift)) @ torch.linalg.inv(matrix).T
    weaker = weakened(pairs_of(flow, target, PLACES), torch.tensor([strength]))
    part = torch.lerp(torch.eye(2), matrix, strength)
    expected = (GRID - strength * torch.tensor(shift)) @ torch.linalg.inv(part).T
    inner = weaker.inside[0, 0].bool() & (GRID.abs().amax(-1) < 0.9)
    assert inner.sum() > 0.25 * SIDE**2
    apart = (weaker.flow[0] - expected).abs().amax(-1)
    assert apart[inner].max() < 0.5 * CELL * strength
    assert torch.allclose(weaker.target[0], PLACES + strength * (target - PLACES), atol=1e-6)
    assert weaker.visible.all()


def test_what_moves_as_it_does_stays_as_it_is():
    pair = pairs_of(GRID + 0.1, PLACES - 0.1, PLACES)
    assert weakened(pair, torch.ones(1)) is pair
    both = Pairs(**{name: torch.cat([value, value]) for name, value in vars(pair).items()})
    both.visible = torch.full_like(both.visible, 0.5)
    one, two = (weakened(both, torch.tensor(strengths)) for strengths in ([1.0, 0.5], [0.5, 1.0]))
    for name in ("flow", "visible", "face", "inside", "target", "source", "driving"):
        assert torch.equal(getattr(one, name)[0], getattr(both, name)[0])
        assert torch.equal(getattr(two, name)[1], getattr(both, name)[1])
    assert not torch.equal(one.flow[1], both.flow[1])


def test_lips_that_open_less_hide_more_of_what_is_between_them():
    """A mouth that is open by 0.4; at six tenths of that its lips are nearer, and its inside still is hidden."""
    above, below = GRID[..., 1] < -0.2, GRID[..., 1] > 0.2
    way = torch.where(above, 0.2, torch.where(below, -0.2, 0.0))
    flow = GRID + torch.stack([torch.zeros_like(way), way], dim=-1)
    visible = (above | below).float()[None, None]
    pair = pairs_of(flow, PLACES, PLACES, visible=visible)
    weaker = weakened(pair, torch.tensor([0.6]))
    column = SIDE // 2
    at = GRID[:, column, 1]
    between, lips = at.abs() < 0.12 - CELL, (at.abs() > 0.12 + CELL) & (at.abs() < 0.7)
    assert between.sum() == 2
    assert weaker.inside[0, 0, :, column][between | lips].all()
    assert not weaker.visible[0, 0, :, column][between].any()
    assert weaker.visible[0, 0, :, column][lips].all()
    moved = (weaker.flow[0, :, column, 1] - at)[lips]
    assert torch.allclose(moved.abs(), torch.full_like(moved, 0.12), atol=1e-5)
    # A mouth that stays shut has nothing hidden.
    shut = pairs_of(GRID.clone(), PLACES, PLACES)
    assert weakened(shut, torch.tensor([0.6])).visible.all()


def test_a_sitter_hides_the_wall_that_it_comes_before():
    """It has come from the left; at half the way it covers wall that both pictures show."""
    face = ((GRID[..., 0] - 0.5).abs() < 0.2).float()[None, None]
    flow = GRID - torch.tensor([1.0, 0.0]) * face[0, 0, ..., None]
    visible = ((GRID[..., 0] + 0.5).abs() >= 0.2).float()[
        None, None
    ]  # the wall that it stood before is not seen
    visible = torch.maximum(visible, face)
    weaker = weakened(pairs_of(flow, PLACES, PLACES, face=face, visible=visible), torch.tensor([0.5]))
    middle = GRID[..., 0].abs() < 0.2 - CELL
    assert weaker.face[0, 0][middle].all()
    assert weaker.inside[0, 0][middle].all()
    assert (weaker.flow[0] - GRID)[middle] == pytest.approx(
        torch.tensor([-0.5, 0.0]).expand(int(middle.sum()), 2)
    )
    wall = (GRID[..., 0].abs() > 0.2 + CELL) & ((GRID[..., 0] + 0.5).abs() > 0.2 + CELL)
    wall &= (GRID[..., 0] - 0.5).abs() > 0.2 + CELL  # nobody saw what is behind it, where it stands at last
    assert not weaker.face[0, 0][wall].any()
    assert weaker.inside[0, 0][wall].all()
    hidden = (GRID[..., 0] + 0.5).abs() < 0.2 - CELL
    assert not weaker.inside[0, 0][hidden].any()


@given(seed=st.integers(0, 1000), strength=st.floats(0.1, 1.0))
def test_keypoints_turn_as_relative_motion_turns_them(seed, strength):
    rng = np.random.default_rng(seed)
    jacobian = np.eye(2) + rng.uniform(-0.3, 0.3, (2, 3, 2, 2))
    value = rng.uniform(-0.5, 0.5, (2, 3, 2))
    track = MotionTrack(value.astype(np.float32), jacobian.astype(np.float32), 25.0)
    source = track.value[0], track.jacobian[0]
    _, expected = transfer(track, *source, adapt_scale=False, strength=strength)
    poses = [
        Keypoints(*(torch.from_numpy(part[frame])[None] for part in (track.value, track.jacobian)))
        for frame in (0, 1)
    ]
    found = turned(*poses, torch.tensor([strength]))
    np.testing.assert_allclose(found[0].numpy(), expected[1], atol=1e-5)


@given(strength=st.floats(0.1, 1.0))
def test_in_a_weaker_motion_a_smaller_error_is_as_wrong(strength):
    rng = torch.Generator().manual_seed(1)
    flow = GRID + 0.1 * torch.rand(SIDE, SIDE, 2, generator=rng)
    wrong = 0.1 * torch.rand(1, 3, SIDE, SIDE, 2, generator=rng)
    mask = torch.rand(1, 3, SIDE, SIDE, generator=rng).softmax(1)
    weight = torch.rand(1, 1, SIDE, SIDE, generator=rng)
    pair = pairs_of(flow, PLACES, PLACES)

    def terms(factor: float, scale: torch.Tensor) -> list[float]:
        motions = flow + factor * wrong
        motion = DenseMotion((motions * mask[..., None]).sum(1), pair.visible * 0.5, mask)
        dense = losses.dense_losses(motion, pair, weight, scale)
        choice = losses.choice_loss(motions, mask.log(), pair.flow, weight, scale)
        return [dense["deformation"].item(), dense["tearing"].item(), choice.item()]

    scale = torch.full((1, 1, 1, 1), strength)
    assert terms(strength, scale) == pytest.approx(terms(1.0, torch.ones(1, 1, 1, 1)), rel=1e-3)
    assert terms(1.0, scale)[0] == pytest.approx(terms(1.0, torch.ones(1, 1, 1, 1))[0] / strength, rel=1e-3)


def test_a_landmark_is_where_the_weaker_flow_says():
    bend = 0.15 * torch.sin(2 * GRID.flip(-1))
    flow = GRID + bend
    target = PLACES
    origin = sample(flow.permute(2, 0, 1)[None], target[None, :, None])[0, :, :, 0].T
    weaker = weakened(pairs_of(flow, target, origin), torch.tensor([0.4]))
    there = sample(weaker.flow.permute(0, 3, 1, 2), weaker.target[:, :, None])[0, :, :, 0].T
    assert (there - origin).abs().max() < 0.2 * CELL
