from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest
import torch

from fomm_core import animator as engine
from fomm_core import models
from fomm_core.animator import Animator, devices, pick_device, resized
from fomm_core.errors import UserError
from fomm_core.motion import MotionTrack
from fomm_core.network import DenseMotionNetwork
from fomm_core.transfer import transfer

N = 7


@pytest.fixture
def animator(model, picture):
    """With its source set."""
    found = Animator(model, "cpu")
    found.source = found.set_source(picture(64, 64))
    return found


@pytest.fixture
def motion(animator, picture):
    """Keypoints and Jacobians of N driving frames."""
    track = MotionTrack(*animator.detect(np.stack([picture(64, 64, i / 20) for i in range(N)])), 25.0)
    return transfer(track, *animator.source)


def everything(animator, motion):
    """The predictions of all batches, joined."""
    return [np.concatenate(parts) for parts in zip(*animator.animate(*motion), strict=True)]


def test_predictions_have_the_promised_form(animator, motion):
    image, deformation, *maps = everything(animator, motion)
    assert image.shape == (N, 64, 64, 3)
    assert image.dtype == np.uint8
    assert deformation.shape == (N, 16, 16, 2)
    assert deformation.dtype == np.float32
    for part in maps:  # occlusion and background
        assert part.shape == (N, 16, 16)
        assert part.dtype == np.float32
        assert 0 <= part.min() <= part.max() <= 1
    masks = np.concatenate(list(animator.masks(*motion)))
    assert maps[1] == pytest.approx(masks[:, 0])
    assert image.std() > 5, "the model under test paints something"
    assert np.abs(image[0].astype(int) - image[5]).max() > 2, "and it moves"


def test_the_source_is_encoded_once(animator, motion, monkeypatch):
    calls = []
    encode = animator._network.encode
    monkeypatch.setattr(animator._network, "encode", lambda image: calls.append(1) or encode(image))
    everything(animator, motion)
    assert not calls
    animator.set_source(np.zeros((64, 64, 3), np.uint8))
    everything(animator, motion)
    assert len(calls) == 1


def test_still_is_the_prediction_for_no_motion(animator, picture):
    value, jacobian = animator.source
    (batch,) = animator.animate(value[None], jacobian[None])
    still = animator.still()
    for a, b in zip(still, batch, strict=True):
        assert (a == b[0]).all()
    line = np.linspace(-1, 1, 16, dtype=np.float32)
    identity = np.stack(np.meshgrid(line, line), -1)
    assert still.deformation == pytest.approx(identity, abs=1e-4)
    animator.set_source(255 - picture(64, 64))
    assert (animator.still().image != still.image).any()


@pytest.mark.parametrize("batch_size", [1, 8])
def test_the_still_picture_is_predicted_once(animator, motion, batch_size, monkeypatch):
    animator.batch_size = batch_size
    predict, seen = animator._predict, []
    monkeypatch.setattr(animator, "_predict", lambda *about: seen.append(len(about[0])) or predict(*about))

    def frames(**how) -> list[np.ndarray]:
        return [np.concatenate(part) for part in zip(*animator.animate(*motion, **how), strict=True)]

    moved, first, again = frames(), frames(still_first=True), frames(still_first=True)
    still = animator.still()
    total = len(motion[0])
    assert sum(seen) == 3 * total + 1
    for *parts, alone in zip(moved, first, again, still, strict=True):
        for part in parts[1:]:
            assert (part[0] == alone).all()
            assert (part[1:] == parts[0]).all()


def test_the_plain_networks_are_not_kept(model_file, motion, picture):
    """They are as large as the form that they are made into."""
    model = models.load(str(model_file))
    animator = Animator(model, "cpu")
    parts = [weakref.ref(network) for network in (model.generator, model.kp_detector)]
    weights = weakref.ref(model.generator.dense_motion_network.mask.weight)
    del model
    gc.collect()
    assert [part() for part in (*parts, weights)] == [None] * 3
    animator.set_source(picture(64, 64))
    everything(animator, motion)


def test_still_needs_a_source(model):
    with pytest.raises(RuntimeError, match="set_source"):
        Animator(model, "cpu").still()


def test_an_animator_beside_has_a_source_of_its_own(animator, motion):
    before = everything(animator, motion)[0]
    other = animator.beside()
    with pytest.raises(RuntimeError, match="set_source"):
        next(other.animate(*motion))
    other.set_source(np.full((64, 64, 3), 200, np.uint8))
    assert (everything(other, motion)[0] != before).any()
    assert (everything(animator, motion)[0] == before).all()


def test_another_source_gives_another_picture(animator, motion):
    before = everything(animator, motion)[0]
    animator.set_source(np.full((64, 64, 3), 200, np.uint8))
    assert (everything(animator, motion)[0] != before).any()


@pytest.mark.parametrize("size", [2, 3, N, 50])
def test_the_batch_size_does_not_matter(size, animator, motion):
    assert animator.batch_size == 1
    one = everything(animator, motion)
    animator.batch_size = size
    assert len(next(animator.animate(*motion)).image) == min(size, N)
    for a, b in zip(one, everything(animator, motion), strict=True):
        assert np.abs(a.astype(float) - b).max() <= (1 if a.dtype == np.uint8 else 1e-4)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_is_detected_may_be_made_on_the_way(animator, picture, monkeypatch, batch_size, device):
    """In the lanes, just before the network looks at it; not for a GPU, whose batches would hold whole frames."""
    animator.batch_size = batch_size
    where, made = [], []

    def seen(frame):
        where.append(threading.current_thread() is threading.main_thread())
        made.append(frame)
        return resized(frame, 64, antialias=False)

    frames = [picture(90, 70, i / 20) for i in range(N)]
    wanted = animator.detect(np.stack([resized(frame, 64, antialias=False) for frame in frames]))
    monkeypatch.setattr(animator, "_sent", lambda array: torch.from_numpy(np.ascontiguousarray(array)))
    monkeypatch.setattr(animator, "device", torch.device(device))
    monkeypatch.setattr(animator, "_fetched", lambda *tensors: tuple(tensor.numpy() for tensor in tensors))
    found = [np.concatenate(parts) for parts in zip(*animator.detections(frames, seen), strict=True)]
    for one, other in zip(wanted, found, strict=True):
        assert np.abs(one - other).max() < 1e-5
    assert len(made) == N
    assert set(where) == {device == "cuda"}


def test_a_picture_that_cannot_be_made_is_told(animator, picture):
    with pytest.raises(ZeroDivisionError):
        list(animator.detections([picture(64, 64)] * 3, lambda frame: 1 // 0))


def test_detection_goes_in_batches_too(animator, picture):
    images = np.stack([picture(64, 64, i / 20) for i in range(N)])
    one = animator.detect(images)
    animator.batch_size = 3
    for a, b in zip(one, animator.detect(images), strict=True):
        assert a.shape[0] == N
        assert a == pytest.approx(b, abs=1e-5)


OUT_OF_MEMORY = {
    "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    "cpu": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried "
        "to allocate 400000000000 bytes. Error code 12 (Cannot allocate memory)"
    ),
    "windows": RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    "mps": RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
    "python": MemoryError(),
}


def limited(animator, name, limit, error, monkeypatch) -> list[int]:
    """Let the network's `decode` or `detect` run out of memory above `limit` pictures at once."""
    tried = []
    plain = getattr(animator._network, name)

    def run(*arguments):
        tried.append(len(arguments[0].image if name == "decode" else arguments[0]))
        if tried[-1] > limit:
            raise error
        return plain(*arguments)

    monkeypatch.setattr(animator._network, name, run)
    return tried


@pytest.mark.parametrize("case", OUT_OF_MEMORY)
def test_out_of_memory_halves_the_batch_and_goes_on(case, animator, motion, monkeypatch):
    whole = everything(animator, motion)
    animator.batch_size = 8
    tried = limited(animator, "decode", 2, OUT_OF_MEMORY[case], monkeypatch)
    for a, b in zip(whole, everything(animator, motion), strict=True):
        assert np.abs(a.astype(float) - b).max() <= (1 if a.dtype == np.uint8 else 1e-4)
    assert tried == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    assert animator.batch_size == 1, "what did not fit is not tried again"


def test_out_of_memory_while_detecting(animator, picture, monkeypatch):
    animator.batch_size = 4
    tried = limited(animator, "detect", 2, OUT_OF_MEMORY["cuda"], monkeypatch)
    assert len(animator.detect(np.stack([picture(64, 64)] * 5))[0]) == 5
    assert tried == [4, 2, 2, 1]


@pytest.mark.parametrize("case", OUT_OF_MEMORY)
def test_out_of_memory_for_one_frame_is_said(case, animator, motion, monkeypatch):
    animator.batch_size = 4
    tried = limited(animator, "decode", 0, OUT_OF_MEMORY[case], monkeypatch)
    with pytest.raises(UserError) as caught:
        everything(animator, motion)
    assert caught.value.kind == "out_of_memory"
    assert {4, 2, 1} <= set(tried), "the batch after it may be under way, too"


def test_out_of_memory_for_the_model_is_said(model, monkeypatch):
    def full(*_):
        raise OUT_OF_MEMORY["cuda"]

    monkeypatch.setattr(engine.inference, "build", full)
    with pytest.raises(UserError) as caught:
        Animator(model, "cpu")
    assert caught.value.kind == "out_of_memory"


def test_other_failures_are_not_taken_for_that(animator, motion, monkeypatch):
    limited(animator, "decode", 0, RuntimeError("shapes do not match"), monkeypatch)
    with pytest.raises(RuntimeError, match="shapes"):
        everything(animator, motion)


def test_masks_make_the_deformation(animator, motion):
    """Equation 5: the deformation is the sum of the keypoints' motions, weighed by the masks."""
    value, jacobian = motion
    masks = np.concatenate(list(animator.masks(value, jacobian)))
    assert masks.shape[:2] == (len(value), 1 + value.shape[1])
    assert np.allclose(masks.sum(1), 1, atol=1e-5)
    sparse = DenseMotionNetwork.sparse_motions(
        animator._keypoints(value, jacobian), animator._set.origin, *masks.shape[2:]
    ).numpy()
    deformation = everything(animator, motion)[1]
    assert np.allclose((sparse * masks[..., None]).sum(1), deformation, atol=1e-4)


def test_precision(model, animator, motion, picture):
    other = Animator(model, "cpu", "auto")
    source = other.set_source(picture(64, 64))
    assert all((a == b).all() for a, b in zip(source, animator.source, strict=True))
    a, b = everything(animator, motion)[0], everything(other, motion)[0]
    assert np.abs(a.astype(float) - b).mean() < 1
    with pytest.raises(UserError) as caught:
        Animator(model, "cpu", "fp16")
    assert caught.value.kind == "device"


@pytest.mark.parametrize("ask", [Animator.animate, Animator.masks])
def test_animating_needs_a_source(ask, model, motion):
    with pytest.raises(RuntimeError, match="set_source"):
        next(ask(Animator(model, "cpu"), *motion))


def test_a_model_of_zero_order(config, picture):
    """Without Jacobians parts move by translation alone."""
    config["model_params"]["common_params"]["estimate_jacobian"] = False
    animator = Animator(engine.Model("zero", config, *built(config)), "cpu")
    value, jacobian = animator.set_source(picture(64, 64))
    assert (jacobian == np.eye(2)).all()
    assert np.isfinite(everything(animator, (value[None], jacobian[None]))[0]).all()


def built(config):
    from fomm_core import models

    model = models.build(config)
    return model.generator, model.kp_detector


def test_a_model_without_occlusion_map_shows_all(config, picture):
    config["model_params"]["generator_params"]["estimate_occlusion_map"] = False
    animator = Animator(engine.Model("plain", config, *built(config)), "cpu")
    value, jacobian = animator.set_source(picture(64, 64))
    assert (everything(animator, (value[None], jacobian[None]))[2] == 1).all()


def test_devices():
    names = [name for name, _ in devices()]
    assert names[-1] == "cpu"
    assert str(pick_device("auto")) == names[0]
    for wrong in ("cuda:99", "tpu", "", "CPU"):
        with pytest.raises(UserError) as caught:
            pick_device(wrong)
        assert caught.value.kind == "device"
        assert "auto, " in caught.value.hint


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_where_there_is_none():
    with pytest.raises(UserError, match="cuda"):
        pick_device("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_computes_what_the_cpu_does(model_file, animator, motion):
    from fomm_core import models

    other = Animator(models.load(str(model_file)), "cuda")
    assert other.batch_size > 1
    other.set_source((animator._set.source.image[0].permute(1, 2, 0) * 255).round().byte().numpy())
    a, b = everything(animator, motion)[0], everything(other, motion)[0]
    assert np.abs(a.astype(float) - b).mean() < 1


def test_resized_without_antialias_is_the_published_resize():
    image = np.zeros((8, 4, 3), np.uint8)
    image[:, 2:] = 200
    assert (resized(image, 4, antialias=False)[0, :, 0] == [0, 0, 200, 200]).all()
    assert resized(image, 2, antialias=True).shape == (2, 2, 3)
    square = np.zeros((4, 4, 3), np.uint8)
    assert resized(square, 4, antialias=True) is square
