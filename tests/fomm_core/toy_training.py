"""A course that trains in no time, and a process that runs it: `toy_training.py OUTPUT STEPS [options]`."""

from __future__ import annotations

import argparse
import csv
import os
import signal
import weakref
from pathlib import Path

import torch
import torch.distributed as dist

from fomm_core import models
from fomm_core.training.course import Course, Limit, Setting, Shown, Terms
from fomm_core.training.log import LOG
from fomm_core.training.parallel import joined
from fomm_core.training.self_supervised import build_discriminator
from fomm_core.training.trainer import Trainer

SIDE, BATCH = 32, 4
HOURGLASS = {"block_expansion": 4, "max_features": 8, "num_blocks": 2, "scale_factor": 0.25}
CONFIG = {
    "dataset_params": {"frame_shape": [SIDE, SIDE, 3]},
    "model_params": {
        "common_params": {"num_kp": 2, "num_channels": 3, "estimate_jacobian": True},
        "kp_detector_params": {"temperature": 0.1, "pad": 3, **HOURGLASS},
        "generator_params": {
            "block_expansion": 4,
            "max_features": 8,
            "num_down_blocks": 1,
            "num_bottleneck_blocks": 1,
            "estimate_occlusion_map": True,
            "dense_motion_params": HOURGLASS,
        },
        "discriminator_params": {"scales": [1], "block_expansion": 4, "max_features": 8, "num_blocks": 2},
    },
}


class Toy(Course):
    """Random pictures, the same in each process; what else is random comes from everywhere it may come from."""

    columns = ("picture", "adversarial", "discriminator")
    limit, save_every = Limit(steps=6), Limit(steps=2)
    clip, average, whole_statistics = 0.5, 0.9, True
    noise = 0.1

    def __init__(self, setting: Setting):
        torch.manual_seed(setting.seed)
        self.setting = setting
        self.model = models.build(CONFIG)
        self.networks = {part: getattr(self.model, part) for part in models.PARTS}
        self.networks["discriminator"] = build_discriminator(CONFIG)
        self.optimizers = {
            name: torch.optim.SGD(network.parameters(), momentum=0.9)
            for name, network in self.networks.items()
        }
        self.seen = 0

    def begin(self, step: int, progress: float, rng: torch.Generator) -> bool:
        for network in self.networks.values():
            network.train()
        self.offset = torch.rand((), generator=rng)
        return False

    def rates(self, step: int, progress: float) -> dict[str, float]:
        return dict.fromkeys(self.networks, 0.1)

    def terms(self, step: int, progress: float, rng: torch.Generator) -> Terms:
        self.seen += 1
        pictures = torch.rand(2, BATCH, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(step))
        own = BATCH // self.setting.world * self.setting.rank
        source, driving = pictures[:, own : own + BATCH // self.setting.world]
        noise = torch.rand(source.shape, generator=rng) + torch.rand(source.shape) + self.seen + self.offset
        source = source + self.noise * noise
        detector, generator, judge = (self.networks[n] for n in ("kp_detector", "generator", "discriminator"))
        prediction, _ = generator(source, detector(driving), detector(source))
        pictures = (driving, prediction, prediction.detach())
        real, fake, judged = (judge({1: images})[1][1] for images in pictures)
        picture, adversarial = (prediction - driving).abs().mean(), (1 - fake).square().mean()
        discriminator = judged.square().mean() + (1 - real).square().mean()
        values = {"picture": picture, "adversarial": adversarial, "discriminator": discriminator}
        return Terms(values, picture + 0.1 * adversarial, discriminator)

    def shown(self) -> Shown:
        return Shown(torch.zeros(1, 3, SIDE, SIDE), torch.ones(1, 3, SIDE, SIDE))

    def state(self) -> dict[str, object]:
        return {"seen": self.seen}

    def load_state(self, state: dict[str, object]) -> None:
        self.seen = state["seen"]


class Quiet(Toy):
    """All that is random is the same in every process."""

    noise = 0.0


class Mortal(Toy):
    """Dies as the system kills, in the middle of a step."""

    last = 0

    def terms(self, step: int, progress: float, rng: torch.Generator) -> Terms:
        terms = super().terms(step, progress, rng)
        if step == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        return terms


def trainer(
    output: Path, steps: int = 6, *, course: type[Toy] = Toy, resume: bool = False, **changes
) -> Trainer:
    """A training of the toy, resumed or not."""
    setting = Setting(CONFIG, Path(), output, **{"device": torch.device("cpu"), **changes})
    made = Trainer(course(setting), setting, Limit(steps=steps), say=lambda line: None)
    if resume:
        made.restore()
    return made


def weights(made: Trainer) -> dict[str, torch.Tensor]:
    """All that was learnt, the averages too."""
    return made._weights()


def log_of(output: Path) -> list[dict[str, str]]:
    with open(output / LOG, newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("output", type=Path)
    parser.add_argument("steps", type=int)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--kill-at", type=int)
    options = parser.parse_args()
    torch.set_num_threads(1)
    Mortal.last = options.kill_at
    course = Quiet if options.kill_at is None else Mortal
    with joined("cpu") as group:
        made = trainer(
            options.output,
            options.steps,
            course=course,
            resume=options.resume,
            rank=group.rank,
            world=group.world,
        )
        made.run()
        threads = weakref.ref(dist.group.WORLD) if group.world > 1 else lambda: None
    assert threads() is None, "something keeps the group, and its threads with it"


if __name__ == "__main__":
    main()
