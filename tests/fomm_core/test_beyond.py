"""What is shown of a sitter beyond the painting's edge."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fomm_core.animator import Prediction
from fomm_core.beyond import SHOWN, Edges, Fold
from fomm_core.canvas import Canvas
from fomm_core.network.layers import coordinate_grid
from fomm_core.regions import Region


@given(
    first=st.none() | st.floats(0, 20),
    last=st.none() | st.floats(30, 60),
    depths=st.tuples(st.floats(1, 9), st.floats(1, 9)),
    displacement=st.lists(st.floats(-90, 90), min_size=64, max_size=64),
)
def test_what_leads_beyond_an_edge_leads_to_what_is_next_to_it(first, last, depths, displacement):
    line, displacement = torch.arange(64), torch.tensor(displacement)
    asked = line + displacement
    found = line + Fold((first, last), depths).within(displacement, line)
    beyond = torch.zeros(64, dtype=torch.bool)
    if first is not None:
        beyond |= (left := asked < first)
        assert (found[left] >= first - 1e-3).all()
        assert (found[left] <= first + depths[0] + 1e-3).all()
        near = left & (asked > first - depths[0])
        assert torch.allclose(found[near], 2 * first - asked[near], atol=1e-3), "mirrored"
    if last is not None:
        beyond |= (right := asked > last)
        assert (found[right] <= last + 1e-3).all()
        assert (found[right] >= last - depths[1] - 1e-3).all()
    assert torch.equal(found[~beyond], asked[~beyond])


@pytest.mark.parametrize(
    ("region", "edges"),
    [
        ((0, 0, 100, 50), (0, 0, 1, 1)),
        ((10, 5, 20, 20), (None, None, None, None)),
        ((-10, -20, 40, 100), (0.25, 0.2, None, 0.7)),
        ((60, 40, 80, 20), (None, None, 0.5, 0.5)),
    ],
)
def test_edges_are_where_the_painting_ends_in_the_region(region, edges):
    assert Edges.of(Region(*region), 100, 50) == edges


@given(
    x=st.integers(-90, 90), y=st.integers(-90, 90), w=st.integers(16, 200), h=st.integers(16, 200),
    side=st.sampled_from([16, 64, 256]),
)  # fmt: skip
def test_some_of_a_map_lies_on_the_painting(x, y, w, h, side):
    """However little of the region does."""
    if x + w <= 0 or y + h <= 0:
        return
    rows, columns = Edges.of(Region(x, y, w, h), 100, 100).part(side)
    assert np.zeros((side, side))[rows, columns].size > 0


@pytest.mark.parametrize("above", [0, 40])
def test_brows_are_not_shown_twice(above):
    """A head at the upper edge, brought down: above it is hair, to whichever height the region reaches."""
    side, hair, way = 120, 30, 45
    painting = np.full((200, 200, 3), (200, 40, 40), np.uint8)
    painting[hair:] = 90
    region = Region(40, -above, side, side)
    face = np.float32([[-0.5, 0], [0.5, 0], [0.5, 0.5], [-0.5, 0.5]])
    face[:, 1] = (face[:, 1] * 20 + above + hair + 20) / side * 2 - 1
    still = coordinate_grid(16, 16, torch.zeros(1)).numpy()
    down = still.copy()
    down[..., 1] -= way * 2 / side * 16 / 15
    shown = np.ones((16, 16), np.float32)
    still, down = (
        Prediction(np.full((64, 64, 3), 99, np.uint8), motion, shown, 0 * shown) for motion in (still, down)
    )
    frame = painting.copy()
    Canvas(painting, region, face, still).paint(frame, down, face)
    middle = frame[:, 100].astype(int)
    assert SHOWN * (hair + 20) < hair < way
    assert (middle[:65, 0] > 150).all(), "hair all the way up"
    assert (middle[85:110, 0] < 100).all()
