"""Equivariance: the transforms, their derivative, and what the losses ask of the keypoints."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fomm_core.network import Keypoints
from fomm_core.network.layers import coordinate_grid, sample
from fomm_core.training.equivariance import ThinPlateSpline, equivariance_losses


def random_transform(seed: int, count: int = 2, sigma_tps: float = 0.02, points: int = 5) -> ThinPlateSpline:
    rng = torch.Generator().manual_seed(seed)
    transform = ThinPlateSpline.random(count, rng, sigma_affine=0.1, sigma_tps=sigma_tps, points_tps=points)
    return ThinPlateSpline(*(value.double() for value in vars(transform).values()))


def random_places(seed: int, count: int = 2) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed + 1)
    return torch.rand(count, 7, 2, generator=rng, dtype=torch.float64) * 2 - 1


@given(st.integers(0, 1000), st.integers(1, 6))
def test_the_jacobian_is_the_finite_difference(seed, points):
    transform, places = random_transform(seed, points=points), random_places(seed)
    step = 1e-6
    columns = [
        (transform(places + step * axis) - transform(places - step * axis)) / (2 * step)
        for axis in torch.eye(2, dtype=torch.float64)
    ]
    torch.testing.assert_close(transform.jacobian(places), torch.stack(columns, -1), atol=1e-6, rtol=1e-6)


def test_at_a_point_of_the_grid_all_is_finite_with_its_gradient():
    transform = random_transform(3)
    places = transform.points.expand(2, -1, -1).clone().requires_grad_()
    (transform(places).sum() + transform.jacobian(places).sum()).backward()
    assert torch.isfinite(places.grad).all()


def test_the_splines_bend_and_the_affine_part_does_not():
    straight, bent = random_transform(5, sigma_tps=0.0), random_transform(5)
    places = torch.tensor([[[-0.8, 0.1], [0.0, 0.3], [0.8, 0.5]]], dtype=torch.float64).expand(2, -1, -1)

    def crook(mapped: torch.Tensor) -> float:
        return (mapped[:, 0] + mapped[:, 2] - 2 * mapped[:, 1]).norm(dim=-1).min().item()

    assert crook(straight(places)) < 1e-12
    assert crook(bent(places)) > 1e-3


def test_every_picture_has_a_transform_of_its_own_and_a_seed_repeats_them():
    first, again = random_transform(8), random_transform(8)
    assert torch.equal(first.weights, again.weights)
    assert torch.equal(first.affine, again.affine)
    assert not torch.equal(first.affine[0], first.affine[1])
    assert not torch.equal(first.affine, random_transform(9).affine)


def test_a_deformed_picture_shows_what_the_transform_says():
    """In a picture whose values are its coordinates, the deformed one reads out the mapped places."""
    transform = random_transform(2, sigma_tps=0.005)
    grid = coordinate_grid(33, 33, transform.affine)
    picture = grid.permute(2, 0, 1)[None].expand(2, -1, -1, -1)
    places = random_places(2) * 0.5
    shown = sample(transform.deform(picture), places[:, None])[:, :, 0].mT
    torch.testing.assert_close(shown, transform(places), atol=2e-3, rtol=0)


def keypoints_of(transform: ThinPlateSpline) -> tuple[Keypoints, Keypoints]:
    """Keypoints that follow the transform exactly."""
    places = random_places(4)
    rng = torch.Generator().manual_seed(6)
    noise = torch.randn(2, 7, 2, 2, generator=rng, dtype=torch.float64)
    jacobian = torch.eye(2, dtype=torch.float64) + 0.2 * noise
    found = Keypoints(transform(places), transform.jacobian(places) @ jacobian)
    return found, Keypoints(places, jacobian)


def test_keypoints_that_follow_cost_nothing():
    transform = random_transform(4)
    terms = equivariance_losses(*keypoints_of(transform), transform)
    assert set(terms) == {"equivariance_value", "equivariance_jacobian"}
    assert all(term.item() < 1e-9 for term in terms.values())


@pytest.mark.parametrize("wrong", ["value", "jacobian"])
def test_keypoints_that_do_not_follow_cost_as_much_as_they_are_off(wrong):
    transform = random_transform(4)
    found, deformed = keypoints_of(transform)
    change = {"value": found.value + 0.1} if wrong == "value" else {"jacobian": found.jacobian * 2}
    terms = equivariance_losses(found._replace(**change), deformed, transform)
    # Jacobians twice as large leave half the identity over, on the diagonal: a quarter of the mean.
    expected = {
        "equivariance_value": 0.1 * (wrong == "value"),
        "equivariance_jacobian": 0.25 * (wrong != "value"),
    }
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(expected, abs=1e-9)


def test_without_jacobians_only_the_places_count():
    transform = random_transform(4)
    found, deformed = (points._replace(jacobian=None) for points in keypoints_of(transform))
    assert set(equivariance_losses(found, deformed, transform)) == {"equivariance_value"}
