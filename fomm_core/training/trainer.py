"""The loop of every training: how long it runs, and what it keeps. What is learnt is a course's.

A training that was killed goes on from its last checkpoint as if it had never stopped; limited by steps, with
the same numbers to the last bit on the same machine.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from torch import Tensor

from .. import models
from ..errors import UserError
from ..files import writing
from ..lock import FolderLock
from . import checkpoint
from .average import Average
from .checkpoint import Checkpoint
from .course import Course, Limit, Setting
from .descent import Descent
from .log import Log
from .objective import NotFinite, require_finite
from .parallel import Group, joined, share_statistics
from .pictures import save_grid
from .settings import build_course, decided_precision, training_settings

MODEL = "model.safetensors"


def train(
    config: dict,
    data: Path,
    output: Path,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    epochs: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    seed: int = 0,
    workers: int | None = None,
    start: str | None = None,
    resume: bool = False,
    say: Callable[[str], None] = print,
) -> Path:
    """Train the model that `config` describes, on videos or on rendered clips, as its `train_params` ask for.

    Writes to `output`, now and then and at the end: the checkpoint (all that resuming needs),
    `model.safetensors` (fp16; the averaged weights where there is an average), `log.csv` with event files for
    TensorBoard, and `pairs-NNNNNNN.png`. Under torchrun all its processes train together.

    Args:
        minutes, steps, epochs: of training in all, earlier sittings included; at most one is given, and without
            any the configuration decides.
        precision: auto, fp32, bf16 or fp16.
        workers: threads or processes that help; None where the course may choose.
        start: a model, by name or file, whose weights to begin with in place of random ones.
        resume: go on from the checkpoint in `output`.
        say: takes a line of progress now and then.

    Returns the model's file. Raises `UserError`.
    """
    training_settings(config)
    require_one(minutes, steps, epochs)
    if workers is not None and workers < 0:
        raise UserError("arguments", f"There cannot be {workers} workers.", "Give a number from 0.")
    if not resume:
        checkpoint.require_none(output)
    with joined(device) as group:
        precision = decided_precision(config, precision, group.device)
        setting = Setting(
            config, data, output, group.device, precision, seed, workers, group.rank, group.world
        )
        torch.manual_seed(seed)
        course = build_course(setting, None if start is None else models.load(start))
        try:
            limit = _limit(course, minutes, steps, epochs)
            trainer = Trainer(course, setting, limit, say)
            if resume:
                trainer.restore()
            return trainer.run()
        finally:
            course.close()


def require_one(*limits: float | None) -> None:
    """Raises `UserError` where more than one is given, or one that is no length of a training."""
    given = [limit for limit in limits if limit is not None]
    if len(given) > 1:
        raise UserError("arguments", "Minutes, steps and epochs exclude each other.", "Give one of them.")
    if given and not 0 < given[0] < math.inf:
        raise UserError("arguments", f"One cannot train for {given[0]:g}.", "Give a number above 0.")


def _busy(output: Path) -> UserError:
    return UserError(
        "output", f"Another training is at work in {output}.", "Wait until it ends, or choose another folder."
    )


def _limit(course: Course, minutes: float | None, steps: int | None, epochs: int | None) -> Limit:
    if epochs is not None:
        if course.epoch is None:
            raise UserError(
                "arguments", "There are no epochs in rendered clips.", "Give --minutes or --steps."
            )
        return Limit(steps=epochs * course.epoch)
    return course.limit if minutes is None and steps is None else Limit(steps, minutes)


class Trainer:
    """One training of a course.

    Args:
        course: built from `setting`.
        limit: how long to train in all; the course's own where it is None.
        say: takes a line of progress now and then.
    """

    def __init__(
        self, course: Course, setting: Setting, limit: Limit | None = None, say: Callable[[str], None] = print
    ):
        self.course, self.setting, self.output = course, setting, setting.output
        self.limit = limit or course.limit
        self.group = Group(setting.rank, setting.world, setting.device)
        self.say = say
        self.rng = torch.Generator().manual_seed(setting.seed)
        self.step, self.spent = 0, 0.0  # steps and seconds
        self.average = Average(course.model, course.average) if course.average else None
        first = ("step", "seconds") if course.epoch is None else ("step", "epoch", "seconds")
        self.log = Log(self.output, (*first, *course.columns))
        self.group.equalise(course.networks.values())
        if setting.world > 1 and course.whole_statistics:
            for network in course.networks.values():
                share_statistics(network)
        self.descent = Descent(course, self.group, setting.precision)

    # --- the loop ---------------------------------------------------------------------------------

    def run(self) -> Path:
        """Train to the end. Returns the model's file. Raises `UserError`."""
        with writing(self.output):
            self.output.mkdir(parents=True, exist_ok=True)
            held = FolderLock(self.output, _busy(self.output)) if self.setting.rank == 0 else None
        if held:
            self.log.begin(self.step)
        self._tell_news()
        started = time.monotonic() - self.spent
        saved = self.step, self.spent
        try:
            while (progress := self.limit.reached(self.step, self.spent)) < 1:
                values = self._descend(progress)
                self.step += 1
                self.spent = self.group.first(time.monotonic() - started)
                if self.setting.rank == 0:
                    self._note(values)
                if self.course.save_every.reached(self.step - saved[0], self.spent - saved[1]) >= 1:
                    self.save()
                    saved = self.step, self.spent
            self.course.finish(self.step, self.rng)
            self.save()
        except (NotFinite, torch.linalg.LinAlgError) as error:  # the latter: a Jacobian without an inverse
            raise self._stopped() from error
        finally:
            self.descent.close()
            self.course.close()
            if held:
                held.release()
        return self.output / MODEL

    def _note(self, values: dict[str, float]) -> None:
        row = {"step": self.step, "seconds": round(self.spent, 1), **values}
        if self.course.epoch is not None:
            row["epoch"] = (self.step - 1) // self.course.epoch
        self.log.add(row)

    def _descend(self, progress: float) -> dict[str, float]:
        """One step; returns the terms' values. Raises `NotFinite`."""
        if self.course.begin(self.step, progress, self.rng):
            self.group.equalise(self.course.networks.values())
            if self.average:
                self.average.restart()
        values = self.descent.step(self.step, progress, self.rng)
        if self.average:
            self.average.update()
        return values

    def _stopped(self) -> UserError:
        if self.setting.rank == 0:
            self.log.flush()
        kept = checkpoint.there_is_one(self.output)
        last = f"The last good weights are in {self.output}" if kept else "Nothing was saved yet"
        return UserError(
            "model",
            f"Training stopped at step {self.step + 1}: the loss is not a number.",
            f"{last}; lower the rates in train_params and go on.",
        )

    # --- what is kept -----------------------------------------------------------------------------

    def save(self) -> None:
        """Write log, checkpoint, model and pictures, each complete or not at all.

        Raises:
            UserError: the disk is full, or refuses.
            NotFinite: the last step has made the weights no numbers; nothing was written then.
        """
        if self.setting.rank != 0:
            return
        weights = self._weights()
        require_finite(*weights.values())
        recent = self.log.flush()  # first: what a resumed training finds of later steps, it drops
        checkpoint.write(self.output, Checkpoint(self.step, weights, self._state()))
        metadata = {
            "trained": f"{self.step} steps in {self.spent / 60:.0f} minutes",
            "seed": str(self.setting.seed),
            **self.course.about(),
        }
        with self._exported():
            models.save(self.output / MODEL, self.course.model, metadata, half=True)
            if shown := self.course.shown():
                save_grid(self.output / f"pairs-{self.step:07d}.png", self.course.model, shown)
        self.say(f"step {self.step}  {self.spent / 60:.1f} min  {recent}")
        self._tell_news()

    def _tell_news(self) -> None:
        if self.setting.rank == 0:
            for line in self.course.news():
                self.say(line)

    def _weights(self) -> dict[str, Tensor]:
        networks = self.course.networks.items()
        weights = {
            f"{name}.{key}": v for name, network in networks for key, v in network.state_dict().items()
        }
        averaged = self.average.tensors if self.average else {}
        return weights | {f"average.{key}": value for key, value in averaged.items()}

    def _state(self) -> dict[str, object]:
        return {
            "config": json.dumps(self.setting.config),
            "spent": self.spent,
            "rng": self.rng.get_state(),
            "torch_rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state() if self.setting.device.type == "cuda" else None,
            "optimizers": {
                name: optimizer.state_dict() for name, optimizer in self.course.optimizers.items()
            },
            "scaler": self.descent.scaler.state_dict(),
            "averaged": self.average.count if self.average else 0,
            "course": self.course.state(),
        }

    @contextmanager
    def _exported(self) -> Iterator[None]:
        """Let the model be as it is given away: in evaluation mode, with the averaged weights."""
        networks = [getattr(self.course.model, part) for part in models.PARTS]
        modes = [(module, module.training) for network in networks for module in network.modules()]
        with ExitStack() as stack:
            if self.average:
                stack.enter_context(self.average.in_place())
            for network in networks:
                network.eval()
            try:
                yield
            finally:
                for module, mode in modes:
                    module.training = mode

    def restore(self) -> None:
        """Go on from the checkpoint in the output folder. Raises `UserError`."""
        found = checkpoint.read(self.output, self.setting.device)
        state = found.state
        try:
            if json.loads(state["config"])["model_params"] != self.setting.config["model_params"]:
                raise UserError(
                    "model",
                    f"{self.output} holds the checkpoint of another configuration.",
                    "Resume with the configuration it was begun with.",
                )
            self._load(found)
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                "output",
                f"The checkpoint in {self.output} is of another kind of training ({error}).",
                "Resume it as it was begun, or train into another folder.",
            ) from error

    def _load(self, found: Checkpoint) -> None:
        state = found.state
        for name, network in self.course.networks.items():
            network.load_state_dict(_within(found.weights, name))
        for name, optimizer in self.course.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        if self.average and (averaged := _within(found.weights, "average")):
            self.average.restore(averaged, state["averaged"])
        elif self.average:
            self.average.restart()
        if state["scaler"] and self.descent.scaler.is_enabled():
            self.descent.scaler.load_state_dict(state["scaler"])
        self.course.load_state(state["course"])
        self.rng.set_state(state["rng"].cpu())
        torch.set_rng_state(state["torch_rng"].cpu())
        if state["cuda_rng"] is not None and self.setting.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_rng"].cpu())
        self.step, self.spent = found.step, state["spent"]


def _within(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    """The tensors of one part, by their names within it."""
    return {key.removeprefix(f"{part}."): v for key, v in tensors.items() if key.startswith(f"{part}.")}
