"""The supervised losses: what they reward, and that a window sees what the whole picture would."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fomm_core import models
from fomm_core.errors import UserError
from fomm_core.network import DenseMotion, Discriminator
from fomm_core.network.layers import coordinate_grid, sample
from fomm_core.training import losses
from fomm_core.training.data import Pairs, windows
from fomm_core.training.objective import LOOK_AT, WINDOWS, Objective, _complete, _within

coordinates = st.floats(-0.9, 0.9)


def peak(place: torch.Tensor, size: int, spread: float) -> torch.Tensor:
    """Bx1xsizexsize logarithms of a Gaussian heatmap at `place`, which is Bx1x2."""
    away = (coordinate_grid(size, size, place) - place[:, :, None, None]).square().sum(-1)
    return (-0.5 * away / spread**2).flatten(2).log_softmax(-1).view(len(place), 1, size, size)


@given(x=coordinates, y=coordinates, angle=st.floats(0, 6.28))
def test_a_heatmap_is_best_at_its_landmark_and_sharp(x, y, angle):
    place = torch.tensor([[[x, y]]])
    aside = place + 0.08 * torch.tensor([math.cos(angle), math.sin(angle)])
    right = losses.heatmap_loss(peak(place, 32, 0.03), place, [])
    assert right < losses.heatmap_loss(peak(aside, 32, 0.03), place, [])
    assert right < losses.heatmap_loss(peak(place, 32, 0.2), place, [])


def test_the_landmarks_of_eyes_and_mouth_count_more():
    places = torch.zeros(1, 3, 2)
    wrong = torch.full((1, 3, 16, 16), -8.0)

    def loss(parts: list[int]) -> float:
        heatmaps = wrong.clone()
        heatmaps[:, 1:] = peak(places[:, :1], 16, 0.1)  # the first of the three is missed
        return losses.heatmap_loss(heatmaps, places, parts).item()

    assert loss([1]) < loss([]) < loss([0])


def test_the_choice_rewards_what_is_right_not_a_right_mean():
    flow = torch.zeros(1, 4, 4, 2)
    left, right, still = (torch.full((1, 1, 4, 4, 2), x) for x in (-0.2, 0.2, 0.0))
    motions = torch.cat([left, right, still], dim=1)
    weight = torch.ones(1, 1, 4, 4)

    def loss(*shares: float) -> float:
        log_mask = torch.tensor(shares).view(1, 3, 1, 1).expand(1, 3, 4, 4).log()
        return losses.choice_loss(motions, log_mask, flow, weight).item()

    assert loss(1e-6, 1e-6, 1.0) == pytest.approx(0, abs=1e-3)
    assert loss(0.5, 0.5, 1e-6) > 5  # its mean, the deformation, is right
    assert loss(0.05, 0.05, 0.9) < loss(0.3, 0.3, 0.4)


def test_a_right_candidate_that_has_no_share_gets_one():
    motions = torch.stack([torch.full((4, 4, 2), x) for x in (0.2, 0.0)])[None]
    logits = torch.tensor([0.0, -80.0]).view(1, 2, 1, 1).repeat(1, 1, 4, 4).requires_grad_()
    loss = losses.choice_loss(motions, logits.log_softmax(1), torch.zeros(1, 4, 4, 2), torch.ones(1, 1, 4, 4))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.sum((0, 2, 3)).tolist() == pytest.approx([1, -1], abs=1e-3)


def test_keypoints_are_followed_where_they_are():
    """One candidate moves as the keypoint does, one stays; at another place it is the other way round."""
    side, way = 9, torch.tensor([0.1, 0.0])
    grid = coordinate_grid(side, side, way)
    motions = torch.stack([grid, grid - way])[None]
    places = torch.tensor([[[-0.5, 0.2], [0.5, 0.2], [1.5, 0.0]]])  # the last lies outside
    origin = places - torch.tensor([[0.0, 0.0], [0.1, 0.0], [0.3, 0.3]])
    left = (grid[..., 0] < 0).float()

    def terms(share: float, scale: float = 1.0, weight: float = 1.0) -> dict[str, float]:
        """Of the candidate that is right on each side."""
        mask = torch.stack([left * share + (1 - left) * (1 - share), (1 - left) * share + left * (1 - share)])
        answer = losses.following_losses(
            motions, mask.log()[None], places, origin, torch.tensor([scale]), torch.tensor([weight])
        )
        return {name: value.item() for name, value in answer.items()}

    assert terms(1 - 1e-7) == {"following": pytest.approx(0, abs=1e-5), "choice": pytest.approx(0, abs=0.05)}
    assert terms(0.5)["following"] == pytest.approx(0.025)  # half of 0.1, in one of two coordinates
    assert terms(0.5, 0.5)["following"] == pytest.approx(0.05)
    assert terms(0.1)["choice"] > terms(0.5)["choice"] > terms(0.9)["choice"]
    assert terms(0.5, weight=0.0) == {"following": 0, "choice": 0}


@given(x=coordinates, y=coordinates, corner=st.tuples(st.integers(0, 6), st.integers(0, 3)))
def test_a_place_of_the_map_is_that_place_of_the_window(x, y, corner):
    side, size = 5, (8, 11)
    maps = coordinate_grid(*size, torch.zeros(1)).permute(2, 0, 1)[None]
    place = torch.tensor([[[x, y]]])
    within = _within(place, [corner], side, size)
    if within.abs().max() <= 1:
        found = sample(windows(maps, [corner], side), within[:, :, None])[0, :, 0, 0]
        assert found.tolist() == pytest.approx([x, y], abs=1e-5)
    else:
        pixel = (place[0, 0] + 1) / 2 * torch.tensor([10, 7]) - torch.tensor(corner)
        assert pixel.min() < 1e-5 or pixel.max() > side - 1 - 1e-5


def objective_model() -> models.Model:
    config = models.read_config("starter")
    params = config["model_params"]
    config["dataset_params"]["frame_shape"] = [64, 64, 3]
    params["common_params"]["num_kp"] = 3
    params["kp_detector_params"] |= {"block_expansion": 4, "max_features": 8, "num_blocks": 2}
    params["generator_params"] |= {"block_expansion": 4, "max_features": 8, "num_bottleneck_blocks": 1}
    params["generator_params"]["dense_motion_params"] |= {
        "block_expansion": 4,
        "max_features": 8,
        "num_blocks": 2,
    }
    torch.manual_seed(0)
    return models.build(config)


@pytest.fixture(scope="module")
def objective() -> Objective:
    settings = models.read_config("starter")["train_params"] | {"bfloat16": False}
    discriminator = Discriminator([1], block_expansion=4, max_features=8, num_blocks=2)
    made = Objective(objective_model(), discriminator, settings, [[0]], [0, 1], torch.device("cpu"))
    made.motion.eval()
    return made


def pairs(seed: int, size: int = 16, side: int = 16) -> Pairs:
    """Pictures of size x size, and the rest of side x side."""
    rng = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(2, *shape, generator=rng)

    flow = coordinate_grid(side, side, torch.zeros(1)) + 0.1 * random(side, side, 2)
    masks = [(random(1, side, side) > 0.4).float() for _ in range(3)]
    pictures = random(3, size, size), random(3, size, size)
    return Pairs(*pictures, random(3, 2) - 0.5, random(3, 2) - 0.5, flow, *masks, masks[1])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_window_has_the_terms_of_that_part_of_the_whole(objective, monkeypatch, seed):
    seen = []
    monkeypatch.setattr(losses, "dense_losses", lambda *args: seen.append(args) or {})
    for side in (16, 6):
        objective.settings["motion"]["window"] = side
        with torch.no_grad():
            objective.motion_terms(pairs(3), torch.Generator().manual_seed(seed))
    (whole, true, *_), (part, cut, *_) = seen
    for number in range(2):  # each pair has a window of its own
        y, x = _corner(true.flow[number], cut.flow[number])
        rows, columns = slice(y, y + 6), slice(x, x + 6)
        torch.testing.assert_close(part.deformation[number], whole.deformation[number, rows, columns])
        torch.testing.assert_close(part.occlusion_map[number], whole.occlusion_map[number, :, rows, columns])
        for name in ("visible", "face", "inside"):
            torch.testing.assert_close(
                getattr(cut, name)[number], getattr(true, name)[number, :, rows, columns]
            )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_close_up_is_painted_as_that_part_of_the_whole(objective, monkeypatch, seed):
    seen = []
    monkeypatch.setattr(losses, "picture_loss", lambda *args: seen.append(args) or torch.zeros(()))
    monkeypatch.setitem(objective.settings, "close_ups", objective.settings["close_ups"] | {"crop": 96})
    objective.painter.eval()
    with torch.no_grad():
        objective.picture_terms(pairs(3, 128, 32), torch.Generator().manual_seed(seed))
        windows = objective.close_ups(pairs(3, 128, 32), torch.Generator().manual_seed(seed))
        assert len(windows) == 2 * WINDOWS
        objective.close_up_terms(windows, 0.0)
    (whole, true, _), (part, cut, weight) = seen
    assert cut.shape == (2 * WINDOWS, 3, 96, 96)
    true = (true * 255).round() / 255
    for number in range(2 * WINDOWS):
        y, x = _corner(true[number % 2].permute(1, 2, 0), cut[number].permute(1, 2, 0))
        counts = weight[number].repeat_interleave(4, 1).repeat_interleave(4, 2)[0] > 0
        assert counts.float().mean() > 0.1
        expected = whole[number % 2, :, y : y + 96, x : x + 96]
        # The features are kept in half precision.
        torch.testing.assert_close(part[number][:, counts], expected[:, counts], atol=2e-3, rtol=1e-3)


def test_windows_lie_around_eyes_and_mouths(objective):
    given = pairs(5, 64, 32)
    rng = torch.Generator().manual_seed(0)
    for number, (x, y) in enumerate(objective._corners(given, (32, 32), 8, 1.0, rng)):
        middle = (given.target[number, 0] + 1) / 2 * 32
        assert (torch.tensor([x + 4, y + 4]) - middle).abs().max() <= 1


@pytest.mark.parametrize(("size", "side"), [(32, 8), (32, 9), (32, 32), (24, 20)])
def test_windows_anywhere_see_every_place_as_often(objective, size, side):
    given, rng, seen = pairs(5, 64, 32), torch.Generator().manual_seed(0), torch.zeros(size, size)
    for _ in range(2000):
        for x, y in objective._corners(given, (size, size), side, 0.0, rng):
            assert min(x, y) >= 0
            assert max(x, y) <= size - side
            seen[y : y + side, x : x + side] += 1
    # Where tiles have to overlap, some see twice as much in each direction.
    assert seen.min() > 0.7 * 4000 / (-(-size // side)) ** 2
    assert size % side or seen.max() < 1.4 * seen.min()


def test_a_window_of_a_pair_lies_at_what_is_hidden(objective, monkeypatch):
    """One place of the first pair is hidden, of the other none: any window will do there."""
    given, (x, y) = pairs(5, 128, 32), (26, 3)
    given.inside, given.face = torch.ones_like(given.inside), torch.ones_like(given.face)
    given.visible = torch.ones_like(given.visible)
    given.visible[0, 0, y, x] = 0
    monkeypatch.setitem(objective.settings, "close_ups", objective.settings["close_ups"] | {"crop": 32})
    anywhere = set()
    for seed in range(5):
        found = objective.close_ups(copy.deepcopy(given), torch.Generator().manual_seed(seed))
        number = 2 * LOOK_AT.index("hidden")
        weight = found.weight[number, 0]
        assert weight.argmax() == y * 8 + 3  # in the middle of a window that touches the upper edge
        assert weight.max() == pytest.approx(6, rel=0.1)  # three times as much as the sitter counts
        anywhere.add(found.driving[number + 1].float().mean().item())
    assert len(anywhere) > 1


def test_a_window_counts_up_to_the_pictures_own_border():
    """There the decoder sees what it sees in a whole picture; untaught, it would paint a frame of its own."""
    corner, middle = _complete([(0, 8), (4, 4)], (32, 32), 24)[:, 0]
    assert corner[4:, :20].all()  # at the left and lower edges of the picture
    assert corner.sum() == 20 * 20
    assert middle[4:20, 4:20].all()
    assert middle.sum() == 16 * 16


@pytest.mark.parametrize("sn", [False, True])
def test_the_discriminator_judges_what_is_painted(objective, monkeypatch, sn):
    """Its own loss, and the decoder's against it, each with a gradient for what it is to change."""
    judge = Discriminator([1], block_expansion=4, max_features=8, num_blocks=2, sn=sn)
    config = models.read_config("starter")
    made = Objective(
        objective_model(),
        judge,
        config["train_params"] | {"bfloat16": False},
        [[0]],
        [0],
        torch.device("cpu"),
    )
    seen = made.close_ups(pairs(3, 128, 32), torch.Generator().manual_seed(0))
    assert set(made.close_up_terms(seen, 0.0)) == {"picture"}
    terms = made.close_up_terms(seen, 1.0)
    assert set(terms) == {"picture", "adversarial", "feature_matching", "discriminator"}
    assert all(value.item() > 0 for value in terms.values())
    half = made.close_up_terms(seen, 0.5)
    if not sn:  # whose weights change a little with each look
        assert half["adversarial"].item() == pytest.approx(terms["adversarial"].item() / 2, rel=1e-5)
    final = made.generator.final.bias
    for name in ("adversarial", "feature_matching"):
        assert torch.autograd.grad(terms[name], final, retain_graph=True)[0].abs().max() > 0
    judged = [p for p in judge.parameters() if p.requires_grad]
    assert all(g is not None for g in torch.autograd.grad(terms["discriminator"], judged))


def test_a_discriminator_that_sees_keypoints_is_refused():
    judge = Discriminator([1], block_expansion=4, max_features=8, num_blocks=2, use_kp=True, num_kp=3)
    with pytest.raises(UserError, match="use_kp"):
        Objective(
            objective_model(),
            judge,
            models.read_config("starter")["train_params"],
            [[0]],
            [0],
            torch.device("cpu"),
        )


def test_the_dense_motion_network_alone_looks_at_pictures_without_their_wall(objective, monkeypatch):
    looked, given = {}, pairs(3)
    candidates, detector = objective.dense.candidates, objective.small_detector
    monkeypatch.setattr(objective.dense, "key", lambda small: torch.full_like(small, 0.5))
    monkeypatch.setattr(
        objective.dense, "candidates", lambda *args: looked.update(dense=args[0]) or candidates(*args)
    )
    monkeypatch.setattr(
        objective, "small_detector", lambda views: looked.update(detector=views) or detector(views)
    )
    for terms, pictures in ((objective.motion_terms, given), (objective.picture_terms, pairs(3, size=64))):
        with torch.no_grad():
            terms(pictures, torch.Generator().manual_seed(0))
        assert (looked["dense"] == 0.5).all()
        assert looked["detector"].std() > 0.1


@pytest.mark.parametrize(
    ("share", "weaker", "faces"), [(0.0, 1.0, 1.0), (1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (1.0, 1.0, 1.0)]
)
def test_keypoints_are_moved_as_in_relative_motion(objective, monkeypatch, share, weaker, faces):
    """And the flow that is taught is that of the same motion."""
    seen, taught, given = [], [], pairs(3)
    candidates = objective.dense.candidates
    for name, value in (("_TRANSFERRED", share), ("_WEAKER", weaker), ("_INVENTED_FACES", faces)):
        monkeypatch.setattr(f"fomm_core.training.objective.{name}", value)
    monkeypatch.setattr(objective.dense, "candidates", lambda *args: seen.append(args) or candidates(*args))
    monkeypatch.setattr(losses, "dense_losses", lambda *args: taught.append(args) or {})
    with torch.no_grad():
        objective.motion_terms(given, torch.Generator().manual_seed(0))
    (_, target, origin), (_, window, _, scale) = seen[0], taught[0]
    strength = scale[:, :, 0]
    assert bool((strength < 1).all()) == (share * weaker == 1)
    wanted = window.target - given.origin
    moved = torch.allclose(target.value - origin.value, wanted, atol=1e-6)
    assert moved == bool(share)
    as_they_did = torch.allclose(wanted, strength * (given.target - given.origin), atol=1e-6)
    assert as_they_did != bool(share * faces)


def _corner(whole: torch.Tensor, part: torch.Tensor) -> tuple[int, int]:
    """Where `part` was cut out of `whole`."""
    side = len(part)
    for y in range(len(whole) - side + 1):
        for x in range(len(whole) - side + 1):
            if torch.equal(whole[y : y + side, x : x + side], part):
                return y, x
    raise AssertionError("the window's flow is not a part of the whole flow")


def test_a_shifted_sitter_is_not_torn():
    h = w = 8
    flow = coordinate_grid(h, w, torch.zeros(1))[None]
    face = torch.zeros(1, 1, h, w)
    face[..., 2:6, 2:6] = 1
    point, ones = torch.zeros(1, 1, 2), torch.ones(1, 1, h, w)
    pairs = Pairs(
        torch.zeros(1, 3, h, w), torch.zeros(1, 3, h, w), point, point, flow, ones, face, ones, face
    )

    def tearing(wrong: torch.Tensor) -> float:
        motion = DenseMotion(flow + wrong, 0.5 * ones, ones)
        return losses.dense_losses(motion, pairs, ones)["tearing"].item()

    shifted = torch.full_like(flow, 0.2)
    torn = torch.zeros_like(flow)
    torn[:, :, ::2] = 0.2
    behind = torch.rand(1, h, w, 2) * (1 - face[:, 0, :, :, None])
    assert tearing(shifted) == pytest.approx(0, abs=1e-6)
    assert tearing(torn) > 0.05
    assert tearing(behind) == pytest.approx(0, abs=1e-6)
