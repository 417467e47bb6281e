"""The wall is taken from what a dense motion network that is made for it looks at, and from nothing else."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fomm_core import models
from fomm_core.network import matting
from fomm_core.network.dense_motion import DenseMotionNetwork
from fomm_core.network.matting import KEY, keyed


@pytest.fixture(autouse=True)
def sitter_on_the_left(monkeypatch):
    """Of every picture."""

    def network(device: torch.device):
        line = torch.linspace(1, -1, matting.FOUND, device=device)
        return lambda pictures: (20 * line).expand(len(pictures), matting.FOUND, -1)

    monkeypatch.setattr(matting, "network", network)


def dense(keyed: bool) -> DenseMotionNetwork:
    return DenseMotionNetwork(2, 3, 4, num_blocks=2, max_features=8, scale_factor=0.25, keyed=keyed).eval()


@given(st.integers(1, 3), st.integers(16, 80))
def test_the_sitter_stays_and_the_wall_is_a_colour_that_no_picture_has(count, side):
    pictures = torch.rand(count, 3, side, side)
    found, third = keyed(pictures), side // 3
    torch.testing.assert_close(found[..., :third], pictures[..., :third])
    assert (found[..., -third:] == KEY).all()
    assert KEY < 0


def test_a_model_that_is_made_for_it_looks_at_keyed_pictures():
    image = torch.rand(2, 3, 64, 64)
    plain, other = dense(False), dense(True)
    assert torch.equal(plain.seen(image), plain.down(image))
    assert torch.equal(other.seen(image), keyed(other.down(image)))
    assert torch.equal(other.key(other.down(image)), other.seen(image))


def test_the_published_models_look_at_pictures_as_they_are():
    for name in models.config_names():
        params = models.read_config(name)["model_params"]["generator_params"]["dense_motion_params"]
        assert bool(params.get("keyed")) == (name == "starter"), name
