"""A wider model that answers as the narrow one does."""

from __future__ import annotations

import copy

import pytest
import torch
import yaml

from fomm_core import models
from fomm_core.bench.weights import with_random_weights
from tools import widen_model


def config(width: int, most: int, blocks: int) -> dict:
    made = copy.deepcopy(models.read_config("starter"))
    made["dataset_params"]["frame_shape"] = [128, 128, 3]
    params = made["model_params"]
    params["generator_params"]["num_bottleneck_blocks"] = blocks
    dense = params["generator_params"]["dense_motion_params"]
    for part in (params["kp_detector_params"], params["generator_params"], dense):
        part |= {"block_expansion": width, "max_features": most}
    return made


@torch.inference_mode()
def answers(model: models.Model, images: torch.Tensor) -> list[torch.Tensor]:
    model.generator.eval()
    model.kp_detector.eval()
    found = model.kp_detector(images)
    picture, motion = model.generator(images[:1], found[1:], found[:1])
    return [found.value, found.jacobian, picture, motion.deformation, motion.occlusion_map]


@pytest.mark.parametrize("seed", [0, 1])
def test_it_answers_as_before(seed):
    narrow, wide = with_random_weights(models.build(config(8, 16, 2)), seed), models.build(config(12, 40, 3))
    images = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(seed))
    widen_model.Widening(seed).model(narrow, wide)
    for before, after in zip(answers(narrow, images), answers(wide, images), strict=True):
        torch.testing.assert_close(after, before, atol=1e-3, rtol=1e-3)


def test_copies_are_not_to_learn_the_same():
    narrow, wide = with_random_weights(models.build(config(8, 16, 2))), models.build(config(16, 32, 2))
    widen_model.Widening().model(narrow, wide)
    weight = wide.generator.bottleneck[0].conv1.weight.flatten(1)
    assert len(torch.unique(weight, dim=0)) == len(weight)


@pytest.mark.parametrize("smaller", [(8, 16, 2), (16, 32, 1)])
def test_a_smaller_configuration_is_refused(smaller, tmp_path, capsys):
    models.save(tmp_path / "wide.safetensors", models.build(config(16, 32, 2)), {})
    (tmp_path / "narrow.yaml").write_text(yaml.safe_dump(config(*smaller)))
    target = tmp_path / "out.safetensors"
    asked = [str(tmp_path / "wide.safetensors"), str(tmp_path / "narrow.yaml"), "--output", str(target)]
    assert widen_model.main(asked) == 1
    said = capsys.readouterr().err
    assert "does not fit into the configuration" in said
    assert said.count("\n") == 1
    assert not target.exists()
