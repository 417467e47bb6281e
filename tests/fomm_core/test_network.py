"""The networks, against the shapes of the published ones and against what the authors' code computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fomm_core import models
from fomm_core.animator import Animator
from fomm_core.motion import MotionTrack
from fomm_core.network import Discriminator, Keypoints, warp
from fomm_core.network.dense_motion import DenseMotionNetwork
from fomm_core.network.layers import coordinate_grid, sample
from fomm_core.transfer import transfer

CONFIGS = [
    "bair-256", "fashion-256", "mgif-256", "nemo-256", "taichi-256", "taichi-adv-256", "vox-256", "vox-adv-256",
]  # fmt: skip
TINY = ["tiny-vox", "tiny-mgif"]
MODES = {
    "relative_adapted": {"relative": True, "adapt_scale": True},
    "relative": {"relative": True, "adapt_scale": False},
    "absolute": {"relative": False},
}


def shapes_of(network: torch.nn.Module) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in network.state_dict().items()}


@pytest.mark.parametrize("name", CONFIGS)
def test_names_and_shapes_are_the_published_ones(name, shapes):
    config = models.read_config(name)
    with torch.device("meta"):
        model = models.build(config)
        params = config["model_params"]
        discriminator = Discriminator(
            num_channels=params["common_params"]["num_channels"], **params["discriminator_params"]
        )
    assert shapes_of(model.generator) == shapes[name]["generator"]
    assert shapes_of(model.kp_detector) == shapes[name]["kp_detector"]
    assert shapes_of(discriminator) == shapes[name]["discriminator"]


def test_every_published_configuration_ships(shapes):
    assert sorted(shapes) == CONFIGS
    assert set(CONFIGS) <= set(models.config_names())


@pytest.fixture(scope="module", params=TINY)
def case(request, reference):
    """A reference model's animator with the source set, its inputs, the authors' outputs, its generator."""
    model, inputs, outputs = reference(request.param)
    animator = Animator(model, "cpu")
    return (
        animator,
        animator.set_source(inputs["source"]),
        animator.detect(inputs["driving"]),
        inputs,
        outputs,
        model.generator,
    )


def test_keypoints_are_the_authors(case):
    _, source, driving, _, outputs, _ = case
    for found, name in ((source, "source"), (driving, "driving")):
        assert found[0] == pytest.approx(outputs[f"{name}/keypoints"].reshape(found[0].shape), abs=1e-5)
        # A sum over the heatmap, in another order for another number of threads.
        assert found[1] == pytest.approx(outputs[f"{name}/jacobians"].reshape(found[1].shape), abs=2e-5)


@pytest.mark.parametrize("mode", MODES)
def test_the_way_of_a_picture_is_the_authors(case, mode):
    """Through our own detection, transfer and engine, from uint8 pictures to uint8 predictions."""
    animator, source, driving, _, outputs, _ = case
    track = MotionTrack(*driving, 25.0)
    value, jacobian = transfer(track, *source, **MODES[mode])
    assert value == pytest.approx(outputs[f"{mode}/keypoints"], abs=1e-5)
    # Jacobians are multiplied and inverted here: the tolerance goes with their size.
    scale = max(1.0, float(np.abs(outputs[f"{mode}/jacobians"]).max()))
    assert jacobian == pytest.approx(outputs[f"{mode}/jacobians"], abs=2e-5 * scale)
    image = np.concatenate([p.image for p in animator.animate(value, jacobian)])
    expected = outputs[f"{mode}/prediction"].transpose(0, 2, 3, 1) * 255
    assert np.abs(image[:, ::4, ::4] - expected).max() <= 0.5 + 255 * 1e-4


@pytest.mark.parametrize("mode", MODES)
@torch.inference_mode()
def test_predictions_are_the_authors_to_the_digit(case, mode):
    """The same in floats, from the authors' keypoints, with mask, occlusion map and deformed source."""
    *_, inputs, outputs, generator = case
    image = torch.from_numpy(inputs["source"]).permute(2, 0, 1)[None].float() / 255
    origin = Keypoints(
        torch.from_numpy(outputs["source/keypoints"])[None],
        torch.from_numpy(outputs["source/jacobians"])[None],
    )
    torch2 = "torch2_relative_adapted/prediction"
    for i in range(4):
        driving = Keypoints(
            torch.from_numpy(outputs[f"{mode}/keypoints"][i : i + 1]),
            torch.from_numpy(outputs[f"{mode}/jacobians"][i : i + 1]),
        )
        prediction, motion = generator(image, driving, origin)
        small = prediction[0, :, ::4, ::4].numpy()
        assert np.abs(small - outputs[f"{mode}/prediction"][i]).max() < 1e-4
        if mode == "relative_adapted":
            deformed = warp(image, motion.deformation)[0, :, ::4, ::4].numpy()
            assert np.abs(deformed - outputs[f"{mode}/deformed"][i]).max() < 1e-4
            assert np.abs(motion.mask[0].numpy() - outputs[f"{mode}/mask"][i]).max() < 1e-4
            assert np.abs(motion.occlusion_map[0].numpy() - outputs[f"{mode}/occlusion_map"][i]).max() < 1e-4
            assert np.abs(small - outputs[torch2][i]).max() > 1e-3


def test_the_identity_grid_gives_the_picture_back():
    image = torch.rand(1, 3, 33, 48, generator=torch.Generator().manual_seed(1))
    assert sample(image, coordinate_grid(33, 48, image)[None]) == pytest.approx(image, abs=1e-5)
    assert warp(image, coordinate_grid(33, 48, image)[None]) == pytest.approx(image, abs=1e-5)


def test_equal_keypoints_are_no_motion(model):
    """Whatever the mask, it mixes identities; so the deformed source is the source."""
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(1, 3, 64, 64, generator=generator)
    value = torch.rand(1, 10, 2, generator=generator) * 2 - 1
    jacobian = torch.eye(2) + 0.3 * torch.rand(1, 10, 2, 2, generator=generator)
    keypoints = Keypoints(value, jacobian)
    with torch.inference_mode():
        motion = model.generator.dense_motion_network(image, keypoints, keypoints)
    grid = coordinate_grid(*motion.deformation.shape[1:3], image)
    assert motion.deformation[0] == pytest.approx(grid, abs=1e-5)


def test_a_keypoint_carries_its_surroundings_along():
    """Equation 4: near a keypoint that moved, a pixel comes from the source's keypoint, through both Jacobians."""
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    origin = Keypoints(torch.tensor([[[0.5, 0.0]]]), torch.eye(2)[None, None])
    driving = Keypoints(torch.tensor([[[0.0, 0.0]]]), turn[None, None])
    motions = DenseMotionNetwork.sparse_motions(driving, origin, 3, 3)[0]
    assert motions[0] == pytest.approx(coordinate_grid(3, 3, turn))
    assert motions[1, 1, 1] == pytest.approx(torch.tensor([0.5, 0.0]))  # the keypoint itself
    assert motions[1, 1, 2] == pytest.approx(torch.tensor([0.5, -1.0]))  # to its right: turned back
