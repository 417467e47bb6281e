"""What a training is about, apart from the loop that runs it: a *course* knows data, networks and losses.

The loop (trainer.py) knows steps and clocks, gradients, averages, processes and files, and nothing of the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..models import Model


@dataclass(frozen=True)
class Setting:
    """Where and how a training runs.

    Attributes:
        config: the configuration, checked.
        data: the folder to learn from.
        output: the folder to write to.
        precision: of the convolutions: fp32, bf16 or fp16.
        workers: threads or processes that help; None where the course may choose.
        rank: this process' number among `world`; 0 alone writes files.
    """

    config: dict
    data: Path
    output: Path
    device: torch.device
    precision: str = "fp32"
    seed: int = 0
    workers: int | None = None
    rank: int = 0
    world: int = 1


@dataclass(frozen=True)
class Limit:
    """A length of training: one of the two."""

    steps: int | None = None
    minutes: float | None = None

    def reached(self, steps: int, seconds: float) -> float:
        """How much of it so many steps and seconds are, from 0; 1 and more is all of it."""
        return steps / self.steps if self.steps is not None else seconds / (60 * self.minutes)


@dataclass
class Terms:
    """What is wrong with a batch.

    Attributes:
        values: scalars for the log, each named in the course's `columns`.
        loss: scalar; all optimizers but "discriminator" descend it.
        judged: scalar; the optimizer "discriminator" alone descends it.
    """

    values: dict[str, Tensor]
    loss: Tensor
    judged: Tensor | None = None


@dataclass
class Shown:
    """Pairs for the picture grid.

    Attributes:
        source, driving: Bx3xSxS in [0, 1].
        origin, target: BxKx2 landmarks of the source and of the driving frame, where they are known.
        flow: Bxhxwx2, where in the source each place of the driving frame is, where that is known.
    """

    source: Tensor
    driving: Tensor
    origin: Tensor | None = None
    target: Tensor | None = None
    flow: Tensor | None = None


class Course:
    """A way of training: on which data, towards what, in which parts. Built from a `Setting`.

    Attributes:
        model: what is trained and exported.
        networks: "generator", "kp_detector", "discriminator", on the device.
        optimizers: by name, each with one group of parameters; the loop sets its rate.
        columns: of the log: the names that `Terms.values` may have.
        limit: how long to train where nobody says.
        save_every: how often to save.
        clip: the longest gradient that an optimizer may see, or None.
        average: how much of the moving average of the weights a step keeps, or None for no average.
        shares: threads of this process among which a batch is divided.
        whole_statistics: whether batch norm has to see the batches of all processes as one.
        epoch: steps in an epoch, or None where the data has none.
    """

    model: Model
    networks: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Optimizer]
    columns: tuple[str, ...]
    limit: Limit
    save_every: Limit
    clip: float | None = None
    average: float | None = None
    shares: int = 1
    whole_statistics: bool = False
    epoch: int | None = None

    def begin(self, step: int, progress: float, rng: torch.Generator) -> bool:
        """Make ready for a step, counted from 0; `progress` is how much of the training is done, in [0, 1).

        Returns whether weights were changed by other means than descent: an average then starts anew. `rng` is
        the same in all processes.
        """
        return False

    def rates(self, step: int, progress: float) -> dict[str, float]:
        """The learning rate of each optimizer that takes part in this step; the others rest."""
        raise NotImplementedError

    def terms(self, step: int, progress: float, rng: torch.Generator) -> Terms:
        """The terms of one share of this process' part of batch number `step`, as means over its pairs.

        All that is random comes from `rng`, of which each step, process and share has its own. Called by
        several threads at once where `shares` is more than 1. May raise `NotFinite`.
        """
        raise NotImplementedError

    def finish(self, step: int, rng: torch.Generator) -> None:
        """What remains to be done after the last step."""

    def shown(self) -> Shown | None:
        """What the picture grid shows, if there is anything to show."""
        raise NotImplementedError

    def about(self) -> dict[str, str]:
        """What the exported model says about its training."""
        return {}

    def news(self) -> list[str]:
        """Lines to tell, each once: what was skipped, and why."""
        return []

    def state(self) -> dict[str, object]:
        """What resuming needs besides networks and optimizers: tensors, numbers, words, lists, dicts."""
        return {}

    def load_state(self, state: dict[str, object]) -> None:
        """The counterpart of `state`."""

    def close(self) -> None:
        """End what runs in the background."""


def architecture(config: dict) -> dict:
    """What the weights of generator and keypoint detector depend on."""
    params = {key: value for key, value in config["model_params"].items() if key != "discriminator_params"}
    return params | {"frame_size": config.get("dataset_params", {}).get("frame_shape", [256])[0]}


def require_fitting(model: Model, config: dict) -> None:
    """Raises `UserError` where `model` is not what the configuration describes."""
    if architecture(model.config) != architecture(config):
        raise UserError(
            "model",
            f"{model.name} has another architecture than the configuration describes.",
            "Train it with the model_params and the frame_shape that it carries.",
        )


def cosine(progress: float) -> float:
    """From 1 down to 0 as `progress` goes from 0 to 1."""
    return (1 + math.cos(math.pi * min(progress, 1))) / 2


def warm(progress: float) -> float:
    """From nearly 0 up to 1, which it reaches with `progress`, and where it stays."""
    return min(1.0, progress + 0.01)
