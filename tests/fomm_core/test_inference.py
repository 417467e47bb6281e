"""The inference form, against the plain networks that it is made from."""

from __future__ import annotations

import copy
import dataclasses
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from fomm_core import inference, models
from fomm_core.bench.network import driving_images
from fomm_core.bench.weights import with_random_weights
from fomm_core.errors import UserError
from fomm_core.inference import winograd
from fomm_core.inference.convolution import Convolution
from fomm_core.inference.form import Form, choose, precisions
from fomm_core.network import Keypoints

CPU = torch.device("cpu")
HAS_BF16 = "bf16" in precisions(CPU)
PUBLISHED = [name for name in models.config_names() if name.endswith("-256")]


@torch.inference_mode()
def results(network, detect, images: torch.Tensor, keypoints: Keypoints | None = None) -> dict:
    """Keypoints, motion and pictures of a network: the first image is the source, the others drive."""
    found = detect(images)
    keypoints = keypoints or found
    source = network.encode(images[:1]).expand(len(images) - 1)
    origin = Keypoints(
        *(None if part is None else part[:1].expand(len(images) - 1, *part.shape[1:]) for part in keypoints)
    )
    motion = network.motion(source, keypoints[1:], origin)
    return {
        "value": found.value,
        "jacobian": found.jacobian,
        "deformation": motion.deformation,
        "occlusion": motion.occlusion_map,
        "mask": motion.mask,
        "image": network.decode(source, motion),
        "keypoints": keypoints,
    }


def compared(model: models.Model, form: Form, size: int) -> tuple[dict, dict]:
    """What the plain networks give, and the inference form for the same motion."""
    images = driving_images(size, 3)
    plain = results(model.generator, model.kp_detector, images)
    fast = inference.Network(model.generator, model.kp_detector, form)
    return plain, results(fast, fast.detect, images, plain["keypoints"])


def assert_close(plain: dict, found: dict, tolerance: float = 5e-4) -> None:
    for name in ("value", "jacobian", "deformation", "occlusion", "mask", "image"):
        if plain[name] is None:
            assert found[name] is None, name
        else:
            assert found[name].shape == plain[name].shape, name
            assert (found[name] - plain[name]).abs().max() <= tolerance, name


def decibels(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean()))


# Widths go past those from which the tiles of `winograd` pay.
@st.composite
def architectures(draw) -> dict:
    """Configurations of small networks, with everything that published ones and ours differ in, and more."""
    blocks = draw(st.integers(1, 3))
    width = st.sampled_from([3, 8, 20])
    widest = st.sampled_from([16, 72])
    scale = draw(st.sampled_from([0.25, 0.5, 1]))
    detector = {
        "temperature": 0.1,
        "block_expansion": draw(width),
        "max_features": draw(widest),
        "scale_factor": scale,
        "num_blocks": blocks,
        "pad": draw(st.sampled_from([0, 3])),
        "single_jacobian_map": draw(st.booleans()),
    }
    generator = {
        "block_expansion": draw(st.sampled_from([4, 65])),
        "max_features": draw(st.sampled_from([65, 70])),
        "num_down_blocks": draw(st.integers(1, 2)),
        "num_bottleneck_blocks": draw(st.integers(0, 2)),
        "estimate_occlusion_map": draw(st.booleans()),
        "dense_motion_params": {
            "block_expansion": draw(width),
            "max_features": draw(widest),
            "num_blocks": blocks,
            "scale_factor": draw(st.sampled_from([0.25, 0.5])),
            "keyed": draw(st.booleans()),
        },
    }
    common = {"num_kp": draw(st.integers(1, 5)), "num_channels": 3, "estimate_jacobian": draw(st.booleans())}
    # Sides that the tiles divide, and ones that they do not.
    side = draw(st.sampled_from({1: [56, 64, 72], 2: [64, 80], 3: [96]}[blocks]))
    return {
        "dataset_params": {"frame_shape": [side, side, 3]},
        "model_params": {
            "common_params": common,
            "kp_detector_params": detector,
            "generator_params": generator,
        },
    }


@given(architectures(), st.integers(0, 9), st.booleans())
@settings(max_examples=20)
def test_any_architecture_gives_what_the_plain_one_does(config, seed, prepacked):
    model = with_random_weights(models.build(config), seed)
    form = choose(CPU, "fp32") if prepacked else Form(CPU, torch.float32, prepacked=False, minimal=False)
    assert_close(*compared(model, form, model.frame_size))


@pytest.mark.parametrize("name", [*PUBLISHED, "starter"])
def test_every_configuration_narrowed(name):
    """As shipped in every respect but the widths: the whole ones take seconds."""
    config = copy.deepcopy(models.read_config(name))
    params = config["model_params"]
    for part in (
        params["kp_detector_params"],
        params["generator_params"],
        params["generator_params"]["dense_motion_params"],
    ):
        part["block_expansion"] = 16
        part["max_features"] = 72
    model = with_random_weights(models.build(config))
    assert_close(*compared(model, choose(CPU, "fp32"), 128))


def test_the_starter_as_it_is_shipped():
    if "starter" not in models.registered():
        pytest.skip("the starter's weights are not here")
    model = models.load("starter")
    plain, found = compared(model, choose(CPU, "fp32"), 128)
    assert_close(plain, found)
    if HAS_BF16:
        half = compared(model, choose(CPU, "bf16"), 128)[1]
        assert 50 <= decibels(half["image"], plain["image"]) < 90
        assert torch.equal(half["value"], found["value"]), "keypoints are fp32 whatever the precision"
        assert torch.equal(half["deformation"], found["deformation"])


@pytest.mark.skipif(not HAS_BF16, reason="this processor does not multiply in bf16")
@given(st.integers(0, 9), st.sampled_from([64, 128]))
@settings(max_examples=4)
def test_half_precision_stays_near(seed, features):
    config = copy.deepcopy(models.read_config("vox-256"))
    generator = config["model_params"]["generator_params"]
    generator |= {"block_expansion": 64, "max_features": features, "num_bottleneck_blocks": 2}
    for part in (generator["dense_motion_params"], config["model_params"]["kp_detector_params"]):
        part |= {"block_expansion": 8, "max_features": 16}
    plain, found = compared(with_random_weights(models.build(config), seed), choose(CPU, "bf16"), 128)
    assert 50 <= decibels(found["image"], plain["image"]) < 100, "near, and not fp32 after all"


def test_features_in_half_precision_too():
    """As on a GPU: everything of the decoder, with plain convolutions. bf16 everywhere costs more than inside."""
    config = copy.deepcopy(models.read_config("starter"))
    for part in config["model_params"].values():
        part |= {"block_expansion": 8} if "block_expansion" in part else {}
    model = with_random_weights(models.build(config))
    form = dataclasses.replace(choose(CPU, "fp32"), dtype=torch.bfloat16, prepacked=False, minimal=False)
    plain, found = compared(model, form, 128)
    assert decibels(found["image"], plain["image"]) > 40


@pytest.mark.parametrize("name", ["tiny-vox", "tiny-mgif"])
@torch.inference_mode()
def test_the_authors_outputs(name, reference):
    model, inputs, outputs = reference(name)
    network = inference.build(model, CPU, "fp32")
    image = torch.from_numpy(inputs["source"]).permute(2, 0, 1)[None].float() / 255
    mode = "relative_adapted"

    def keypoints(prefix: str) -> Keypoints:
        value, jacobian = (
            torch.from_numpy(outputs[f"{prefix}/{part}"]) for part in ("keypoints", "jacobians")
        )
        return Keypoints(value.view(-1, *value.shape[-2:]), jacobian.view(-1, *jacobian.shape[-3:]))

    driving, origin = keypoints(mode), keypoints("source")
    source = network.encode(image)
    for i in range(len(driving.value)):
        motion = network.motion(source, driving[i : i + 1], origin)
        prediction = network.decode(source, motion)[0, :, ::4, ::4].numpy()
        assert np.abs(prediction - outputs[f"{mode}/prediction"][i]).max() < 1e-4
        assert np.abs(motion.mask[0].numpy() - outputs[f"{mode}/mask"][i]).max() < 1e-4


def test_two_lanes_that_come_first_at_once_lay_the_weights_out_once(monkeypatch):
    calls = []
    plain = Convolution._prepared

    def slowly(self, x):
        calls.append(1)
        time.sleep(0.1)
        return plain(self, x)

    monkeypatch.setattr(Convolution, "_prepared", slowly)
    convolution = Convolution(torch.ones(2, 3, 3, 3), torch.zeros(2), choose(CPU, "fp32"), (1, 1))
    with ThreadPoolExecutor(2) as lanes:
        one, other = lanes.map(convolution, [torch.ones(1, 3, 8, 8)] * 2)
    assert len(calls) == 1
    assert torch.equal(one, other)


def test_later_changes_of_the_weights_go_unnoticed(model):
    images = driving_images(64, 3)
    network = inference.build(model, CPU, "fp32")
    before = results(network, network.detect, images)["image"].clone()
    with torch.no_grad():
        for value in model.generator.parameters():
            value.zero_()
    assert torch.equal(results(network, network.detect, images)["image"], before)


def test_precisions():
    assert choose(CPU, "auto").precision == precisions(CPU)[0]
    assert choose(CPU, "fp32").dtype == torch.float32
    with pytest.raises(UserError) as caught:
        choose(CPU, "fp16")
    assert caught.value.kind == "device"
    assert "auto, " in caught.value.hint


@pytest.mark.skipif(not choose(CPU).prepacked, reason="this PyTorch has no oneDNN convolutions")
@given(
    doubled=st.booleans(),
    size=st.tuples(st.integers(5, 40), st.integers(5, 40)),
    strip=st.integers(1, 60_000),
    batch=st.integers(1, 2),
)
def test_tiles_go_in_strips_that_are_all_as_high(doubled, size, strip, batch):
    """In another shape oneDNN would lay out the weights anew at every call, which can take far longer."""
    rng = torch.Generator().manual_seed(strip)
    weight = torch.randn(9, 7, 3, 3, dtype=torch.float64, generator=rng)
    bias = torch.randn(9, generator=rng)
    x = torch.randn(batch, 7, *size, generator=rng).contiguous(memory_format=torch.channels_last)
    chosen = winograd.DOUBLED if doubled else winograd.SAME
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "STRIP", strip)
        convolution = winograd.Winograd(chosen, weight, bias, False, torch.float32, x)
        shapes = [places.shape for places in convolution._transformed(x)]
        found = convolution(x)
    assert len(set(shapes)) == 1
    tiles = -(-size[0] // chosen.step)
    assert tiles <= len(shapes) * shapes[0][2] < tiles + shapes[0][2], "none lies wholly below the picture"
    assert shapes[0].numel() <= strip + shapes[0].numel() / shapes[0][2], "a row more than asked for, at most"
    seen = F.interpolate(x, scale_factor=2) if doubled else x
    expected = F.conv2d(seen.double(), weight, bias.double(), padding=1)
    assert (found - expected).abs().max() < 3e-5 * expected.abs().max()


@pytest.mark.skipif(not HAS_BF16, reason="this processor does not compute in bf16")
@pytest.mark.parametrize("amx", [False, True])
def test_where_matrices_are_multiplied_in_bf16_convolutions_stay_as_they_are(amx, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx})
    weight, image = torch.empty(128, 128, 3, 3), torch.empty(1, 128, 64, 64)

    def pays(precision: str, dtype: torch.dtype) -> bool:
        return winograd.pays(winograd.SAME, weight, image, choose(CPU, precision), dtype)

    assert pays("bf16", torch.bfloat16) == (not amx)
    assert pays("bf16", torch.float32)
    assert pays("fp32", torch.float32)
    # Either way the pictures are near to those in fp32.
    config = copy.deepcopy(models.read_config("starter"))
    config["model_params"]["generator_params"] |= {"block_expansion": 32, "max_features": 128}
    plain, found = compared(with_random_weights(models.build(config)), choose(CPU, "bf16"), 128)
    assert decibels(found["image"], plain["image"]) > 50


def test_without_onednn_it_is_plain_pytorch(model, monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    form = choose(CPU)
    assert (form.dtype, form.prepacked, form.minimal) == (torch.float32, False, False)
    assert_close(*compared(model, form, 64))
