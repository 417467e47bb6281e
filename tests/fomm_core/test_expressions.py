"""Invented expressions: landmarks go where the flow around them goes, and nothing folds."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fomm_core.network import Keypoints
from fomm_core.network.layers import coordinate_grid, sample
from fomm_core.training.data import Pairs
from fomm_core.training.expressions import invented
from fomm_core.training.objective import _NOISE, _transferred
from fomm_core.training.strength import turned

SIDE = 48
CELL = 2 / (SIDE - 1)
GRID = coordinate_grid(SIDE, SIDE, torch.zeros(1))
PARTS = [1, 2, 3]


def rendered(count: int = 2) -> Pairs:
    """Heads that turn and bend a little, with landmarks where they are in both frames."""
    flow = (GRID @ torch.tensor([[0.9, 0.1], [-0.1, 1.05]]) + 0.05 * torch.sin(3 * GRID.flip(-1)))[None]
    flow = flow.expand(count, -1, -1, -1)
    rng = torch.Generator().manual_seed(4)
    target = torch.rand(count, 6, 2, generator=rng) - 0.5
    origin = sample(flow.permute(0, 3, 1, 2), target[:, :, None])[..., 0].mT
    maps = [torch.ones(count, 1, SIDE, SIDE) for _ in range(4)]
    return Pairs(torch.zeros(count, 3, 8, 8), torch.ones(count, 3, 8, 8), origin, target, flow, *maps)


@given(seed=st.integers(0, 10_000))
def test_landmarks_move_with_what_is_around_them(seed):
    given_pairs = rendered()
    pairs = invented(given_pairs, PARTS, torch.tensor([True, True]), torch.Generator().manual_seed(seed))
    there = sample(pairs.flow.permute(0, 3, 1, 2), pairs.target[:, :, None])[..., 0].mT
    assert (there - pairs.origin).abs().max() < 0.3 * CELL
    # Nothing is turned inside out: each step to the right, or down, in the frame is one of that kind in the source.
    for axis, part in ((2, 0), (1, 1)):
        step = pairs.flow.diff(dim=axis)[..., part]
        assert step[:, 2:-2, 2:-2].min() > 0
    assert torch.equal(pairs.origin, given_pairs.origin)
    assert torch.equal(pairs.driving, given_pairs.driving)


def test_places_are_pushed_each_on_its_own():
    moved = []
    for seed in range(200):
        pairs = invented(rendered(1), PARTS, torch.tensor([True]), torch.Generator().manual_seed(seed))
        moved.append((pairs.target - rendered(1).target)[0])
    moved = torch.stack(moved)
    spread = moved.std(0).mean(-1)
    assert spread[PARTS].min() > 0.01
    assert moved.mean(0).abs().max() < 0.3 * spread.max()
    one, other = moved[:, 1, 0], moved[:, 3, 0]
    assert abs(torch.corrcoef(torch.stack([one, other]))[0, 1]) < 0.5


def test_those_that_are_not_chosen_stay():
    before = rendered()
    assert invented(before, PARTS, torch.tensor([False, False]), torch.Generator()) is before
    after = invented(before, PARTS, torch.tensor([False, True]), torch.Generator().manual_seed(1))
    for name in ("flow", "target", "visible", "face", "inside"):
        assert torch.equal(getattr(after, name)[0], getattr(before, name)[0])
    assert not torch.equal(after.target[1], before.target[1])


def test_what_was_hidden_moves_along():
    before = rendered(1)
    before.visible[..., GRID[..., 0] > 0] = 0
    pairs = invented(before, PARTS, torch.tensor([True]), torch.Generator().manual_seed(3))
    source = pairs.flow[0, ..., 0]
    border = before.flow[0][GRID[..., 0].abs() < CELL, 0]
    assert pairs.visible[0, 0][source < border.min() - 0.1].min() == 1
    assert pairs.visible[0, 0][source > border.max() + 0.1].max() == 0


@pytest.mark.parametrize("strength", [0.2, 1.0])
def test_jacobians_are_about_those_of_relative_motion_and_no_more(strength):
    """Of landmarks alone the network learns what it is told of them, since these cannot be relied on."""
    count = 400
    rng = torch.Generator().manual_seed(0)
    poses = [
        Keypoints(torch.zeros(count, 3, 2), torch.eye(2) + 0.2 * torch.randn(count, 3, 2, 2, generator=rng))
        for _ in range(2)
    ]
    pairs = rendered(1)
    pairs.origin, pairs.target = torch.zeros(count, 3, 2), torch.full((count, 3, 2), 0.1)
    chosen, given_strength = torch.arange(count) % 2 == 0, torch.full((count,), strength)
    found = _transferred(pairs, *poses, chosen, given_strength, rng)
    assert torch.equal(found.jacobian[~chosen], poses[1].jacobian[~chosen])
    assert torch.equal(found.value[chosen], pairs.target[chosen])
    exact = turned(*poses, given_strength)
    wrong = (found.jacobian - exact)[chosen].square().mean((1, 2, 3)).sqrt()
    assert wrong.min() < 0.5 * _NOISE * strength
    assert wrong.max() > 0.5 * _NOISE * strength
    assert (found.jacobian - poses[0].jacobian)[chosen].abs().mean() < 0.5 * strength


def test_the_wall_does_not_move_with_a_cheek_that_is_pushed():
    before = rendered(1)
    wall = GRID[..., 0] > before.target[0, PARTS[0], 0]
    before.face[..., wall], before.source_face[..., GRID[..., 0] > 0.2] = 0, 0
    before.flow = torch.where(wall[None, ..., None], GRID, before.flow)
    pairs = invented(before, PARTS, torch.tensor([True]), torch.Generator().manual_seed(1))
    wall = pairs.face[0, 0] == 0
    assert torch.equal(pairs.flow[0][wall], GRID[wall])
    assert torch.equal(pairs.visible[0, 0][wall], 1 - before.source_face[0, 0][wall])
    assert not torch.equal(pairs.face, before.face)
