"""What the loop does for every course: averages, clipping, half precision, limits, the log."""

from __future__ import annotations

import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fomm_core import models
from fomm_core.errors import UserError
from fomm_core.training import events, mixed
from fomm_core.training.average import Average
from fomm_core.training.course import Limit, Terms
from fomm_core.training.log import Log
from fomm_core.training.trainer import MODEL
from tests.fomm_core.toy_training import CONFIG, SIDE, Toy, log_of, trainer, weights


def test_the_average_follows_the_weights_and_is_what_is_given_away(tmp_path):
    made = trainer(tmp_path, 6)
    made.run()
    known = weights(made)
    last, averaged = known["generator.final.weight"], known["average.generator.final.weight"]
    assert not torch.equal(last, averaged)
    exported = models.load(str(tmp_path / MODEL)).generator.final.weight
    assert torch.equal(exported, averaged.half().float())
    assert torch.equal(made.course.model.generator.final.weight, last), "training goes on with its own"


@settings(max_examples=15)
@given(st.floats(0.5, 0.999), st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=20))
def test_an_average_is_between_what_was_averaged(decay, steps):
    model = models.build(CONFIG)
    weight = model.generator.final.weight
    nn.init.zeros_(weight)
    average = Average(model, decay)
    for value in steps:
        nn.init.constant_(weight, value)
        average.update()
    found = average.tensors["generator.final.weight"]
    assert min(0, *steps) - 1e-5 <= found.min() <= found.max() <= max(0, *steps) + 1e-5
    average.restart()
    assert torch.equal(average.tensors["generator.final.weight"], weight)


def test_the_average_starts_anew_where_the_course_changes_the_weights(tmp_path):
    class Jumping(Toy):
        def begin(self, step: int, progress: float, rng: torch.Generator) -> bool:
            super().begin(step, progress, rng)
            if step == 2:
                nn.init.constant_(self.model.generator.final.bias, 100.0)
            return step == 2

    made = trainer(tmp_path, 3, course=Jumping)
    made.run()
    assert weights(made)["average.generator.final.bias"].min() > 99
    assert made.average.count == 1


def test_running_statistics_are_averaged_with_the_weights(tmp_path):
    made = trainer(tmp_path, 4)
    made.run()
    key = "generator.first.norm.running_mean"
    live, averaged = weights(made)[key], weights(made)[f"average.{key}"]
    assert not torch.equal(live, averaged)
    with made._exported():
        assert torch.equal(made.course.model.generator.first.norm.running_mean, averaged)


def test_gradients_are_no_longer_than_they_may_be(tmp_path):
    lengths = []

    class Watched(Toy):
        def __init__(self, setting):
            super().__init__(setting)
            for optimizer in self.optimizers.values():
                parameters = optimizer.param_groups[0]["params"]
                optimizer.register_step_pre_hook(
                    lambda *_, p=parameters: lengths.append(
                        torch.stack([x.grad.norm() for x in p if x.grad is not None]).norm().item()
                    )
                )

    class Unclipped(Watched):
        clip = None

    trainer(tmp_path / "a", 2, course=Unclipped).run()
    assert max(lengths) > 2 * Toy.clip
    lengths.clear()
    trainer(tmp_path / "b", 2, course=Watched).run()
    assert max(lengths) == pytest.approx(Toy.clip, rel=1e-3)


def test_a_discriminator_descends_its_own_loss_only(tmp_path):
    class Judged(Toy):
        clip = None

        def terms(self, step: int, progress: float, rng: torch.Generator) -> Terms:
            terms = super().terms(step, progress, rng)
            return Terms(terms.values, 0 * terms.loss, terms.judged)

    made = trainer(tmp_path, 1, course=Judged)
    before = {key: value.clone() for key, value in made._weights().items()}
    made._descend(0.0)
    changed = {
        key.split(".")[0]
        for key, value in made._weights().items()
        if not torch.equal(value, before[key]) and key.endswith("weight")
    }
    assert changed == {"discriminator"}


def test_an_optimizer_without_a_rate_rests(tmp_path):
    class Resting(Toy):
        def rates(self, step: int, progress: float) -> dict[str, float]:
            return {"generator": 0.1}

    made = trainer(tmp_path, 1, course=Resting)
    before = {key: value.clone() for key, value in made._weights().items()}
    made._descend(0.0)
    after = made._weights()
    assert not torch.equal(after["generator.final.weight"], before["generator.final.weight"])
    for still in ("kp_detector.kp.weight", "discriminator.discs.1.conv.weight"):
        assert torch.equal(after[still], before[still])


def test_fp16_leaves_out_steps_whose_gradients_overflow(tmp_path):
    class Huge(Toy):
        def terms(self, step: int, progress: float, rng: torch.Generator) -> Terms:
            terms = super().terms(step, progress, rng)
            return Terms(terms.values, terms.loss * (1e36 if step == 0 else 1.0), terms.judged)

    made = trainer(tmp_path, 3, course=Huge, precision="fp16")
    before = made.course.model.generator.final.weight.clone()
    scale = made.descent.scaler.get_scale()
    made._descend(0.0)
    assert torch.equal(made.course.model.generator.final.weight, before)
    assert made.descent.scaler.get_scale() == scale / 2
    made.step = 1
    made._descend(0.4)
    assert not torch.equal(made.course.model.generator.final.weight, before)


def test_fp16_that_never_becomes_numbers_stops(tmp_path):
    class Broken(Toy):
        def terms(self, step: int, progress: float, rng: torch.Generator) -> Terms:
            terms = super().terms(step, progress, rng)
            return Terms(
                terms.values, (terms.loss - terms.loss.detach()).sqrt(), terms.judged
            )  # slope: infinite

    with pytest.raises(UserError, match=r"stopped at step 17: the loss is not a number"):
        trainer(tmp_path, 30, course=Broken, precision="fp16").run()


@pytest.mark.parametrize("precision", mixed.DTYPES)
def test_convolutions_in_half_answer_nearly_the_same(precision):
    torch.manual_seed(0)
    model = models.build(CONFIG)
    images, device = torch.rand(2, 3, SIDE, SIDE), torch.device("cpu")
    with torch.no_grad():
        keypoints = model.kp_detector(images)
        plain, _ = model.generator(images, keypoints, keypoints)
        mixed.in_half(model, device, mixed.DTYPES[precision])
        again = model.kp_detector(images)
        half, motion = model.generator(images, again, again)
    assert {x.dtype for x in (*again, half, motion.deformation, motion.occlusion_map)} == {torch.float32}
    assert 0 < (half - plain).abs().max() < 0.02
    assert (again.value - keypoints.value).abs().max() < 0.02


def test_whole_networks_in_half_answer_in_float32():
    class Nested(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 1)

        def forward(self, x):
            return {1: ([self.conv(x)], self.conv(x))}

    network = Nested()
    mixed.autocast_whole(network, torch.device("cpu"), torch.bfloat16)
    features, score = network(torch.rand(1, 3, 4, 4))[1]
    assert features[0].dtype == score.dtype == torch.float32
    assert torch.equal(score, score.bfloat16().float()), "it was computed in bfloat16"


def test_limits():
    assert Limit(steps=4).reached(1, 1e9) == 0.25
    assert Limit(minutes=2).reached(10**9, 30) == 0.25


def test_a_training_by_the_clock_ends(tmp_path):
    made = trainer(tmp_path)
    made.limit = Limit(minutes=1e-3)
    made.run()
    assert made.spent >= 0.06
    assert int(log_of(tmp_path)[-1]["step"]) == made.step


# --- the log ------------------------------------------------------------------------------------------


def records(data: bytes) -> list[bytes]:
    """The contents of a TFRecord file whose checksums are right."""
    found = []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        content = data[12 : 12 + length]
        assert data[8:12] == events._checksum(data[:8])
        assert data[12 + length : 16 + length] == events._checksum(content)
        found.append(content)
        data = data[16 + length :]
    return found


def test_checksums_are_those_of_the_standard():
    assert events._crc32c(b"123456789") == 0xE3069283  # RFC 3720's polynomial, the usual check value
    assert events._crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4


def test_event_files_hold_the_numbers_of_the_log(tmp_path, monkeypatch):
    monkeypatch.setattr(events.time, "time", lambda: 2.0)
    log = Log(tmp_path, ("step", "seconds", "loss"))
    log.begin(0)
    log.add({"step": 300, "seconds": 1.5, "loss": 0.25})
    words = log.flush()
    assert words == "loss 0.2500"
    assert log_of(tmp_path) == [{"step": "300", "seconds": "1.5", "loss": "0.25"}]
    version, start, values = records(next(tmp_path.glob("events.out.tfevents.*")).read_bytes())
    clock = b"\x09" + struct.pack("<d", 2.0)
    assert version == clock + b"\x10\x00" + b"\x1a\x0dbrain.Event:2"
    assert start == clock + b"\x10\x01" + b"\x3a\x02\x08\x01"
    first, second = (
        b"\x0a\x07seconds\x15" + struct.pack("<f", 1.5),
        b"\x0a\x04loss\x15" + struct.pack("<f", 0.25),
    )
    summary = b"".join(b"\x0a" + bytes([len(value)]) + value for value in (first, second))
    assert values == clock + b"\x10\xac\x02" + b"\x2a" + bytes([len(summary)]) + summary


def test_a_resumed_log_tells_tensorboard_what_no_longer_counts(tmp_path):
    log = Log(tmp_path, ("step", "loss"))
    log.begin(5)
    log.flush()
    _, start = records(next(tmp_path.glob("events.out.tfevents.*")).read_bytes())
    assert start[9:] == b"\x10\x06" + b"\x3a\x02\x08\x01"
