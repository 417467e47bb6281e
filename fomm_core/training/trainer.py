"""Training by the clock: first the motion alone on small pictures, then the pictures with it.

The motion networks look at 64x64 pictures, which makes them cheap to train; what they learn is supervised by
the data (landmarks, flow, visibility). The generator then learns to pass what is visible through and to paint
the rest. Many of its pairs are warped by the true flow: an error of the flow would teach it to blur.
"""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import models
from ..errors import UserError
from ..files import replacing, writing
from ..network import Discriminator
from .data import Clips, Pairs
from .objective import NotFinite, Objective, require_finite
from .pictures import save_grid
from .precision import recalibrate
from .settings import training_settings
from .transparent import make_transparent

CHECKPOINT, LOG, MODEL = "checkpoint.pt", "log.csv", "model.safetensors"
_CALIBRATION = 60  # batches
_TYPICAL = 20  # pictures
_TERMS = ("keypoints", "keypoint_motion", "jacobian", "deformation", "occlusion")
_TERMS += ("picture", "adversarial", "feature_matching", "discriminator")


def train(
    config: dict,
    data: Path,
    output: Path,
    *,
    minutes: float,
    seed: int = 0,
    resume: bool = False,
    steps: int | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> Path:
    """Train the model that `config` describes on the clips of `data` (or `data`/train, shown on `data`/test).

    Writes to `output`, now and then and at the end: `checkpoint.pt` (all that resuming needs),
    `model.safetensors` (fp16), `log.csv`, and `pairs-NNNNNN.png`.

    Args:
        minutes: of training in all, earlier sittings included.
        resume: go on from the checkpoint in `output`.
        steps: of training in all, in place of `minutes`.
        say: takes a line of progress now and then.

    Returns the model's file. Raises `UserError`.
    """
    trainer = Trainer(config, data, output, minutes=minutes, seed=seed, steps=steps, device=device, say=say)
    if resume:
        trainer.restore()
    elif (output / CHECKPOINT).exists():
        raise UserError(
            "output",
            f"{output} holds the checkpoint of an earlier training.",
            "Continue it with --resume, or choose another folder.",
        )
    trainer.run()
    return output / MODEL


class Trainer:
    """One training: networks, optimizers, data, how much of the time is spent. Arguments as for `train`."""

    def __init__(
        self,
        config: dict,
        data: Path,
        output: Path,
        *,
        minutes: float,
        seed: int,
        steps: int | None,
        device: str,
        say: Callable[[str], None],
    ):
        torch.manual_seed(seed)
        self.rng = torch.Generator().manual_seed(seed)
        self.config, self.output, self.say, self.seed = config, output, say, seed
        self.device = torch.device(device)
        self.limit, self.by_steps = (minutes * 60, False) if steps is None else (steps, True)
        self.step, self.spent = 0, 0.0
        self.prepared: set[str] = set()  # what has been done between the two parts of a training
        self.rows: list[dict] = []  # of the log, not yet written
        self.settings = training_settings(config)
        self.model = models.build(config)
        folder = data / "train" if (data / "train").is_dir() else data
        self.clips = Clips(folder, self.model.num_kp)
        self.clips.grow()
        self.clips.require()
        self._build(config)
        self.shown = self._shown(data / "test")

    def _build(self, config: dict) -> None:
        words = ("eye", "mouth", "lip")
        parts = [i for i, name in enumerate(self.clips.names) if name.split("_")[0] in words]
        try:
            self.discriminator = Discriminator(**config["model_params"]["discriminator_params"])
        except (KeyError, TypeError) as error:
            raise UserError(
                "model",
                f"The configuration has no right discriminator_params ({error}).",
                "See configs/starter.yaml.",
            ) from error
        self.objective = Objective(self.model, self.discriminator, self.settings, parts, self.device)
        self.motion, self.painter = self.objective.motion, self.objective.painter
        self.optimizers = {
            "motion": torch.optim.Adam(self.motion.parameters(), betas=(0.9, 0.99)),
            "picture": torch.optim.Adam(self.painter.parameters(), betas=(0.9, 0.99)),
            "discriminator": torch.optim.Adam(self.discriminator.parameters(), betas=(0.5, 0.99)),
        }
        workers = self.settings["workers"]
        threads = max(1, torch.get_num_threads() // workers)
        self.pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads,))

    def _shown(self, test: Path) -> Pairs:
        clips = self.clips
        if test.is_dir():
            clips = Clips(test, self.model.num_kp)
            clips.grow(6)
        picks = [(clip, 1, 0) for clip in (clips.clips or self.clips.clips)[:6]]
        return self._moved(clips.pairs(picks, None, small=False))

    # --- the course of a training -----------------------------------------------------------------

    @property
    def progress(self) -> float:
        """How much of the training is done, in [0, 1]."""
        return min(1.0, (self.step if self.by_steps else self.spent) / self.limit)

    def run(self) -> None:
        """Train to the end. Raises `UserError`."""
        with writing(self.output):
            self.output.mkdir(parents=True, exist_ok=True)
        share = self.settings["motion"]["share"]
        started, saved = time.monotonic() - self.spent, self.spent
        while (progress := self.progress) < 1:
            if self.step % 40 == 0:
                self.clips.grow(40)
            if progress < share:
                terms = self.motion_step(progress / share)
            else:
                terms = self.picture_step((progress - share) / (1 - share))
            self.step += 1
            self.spent = time.monotonic() - started
            self.rows.append(
                {"step": self.step, "seconds": f"{self.spent:.1f}", "clips": len(self.clips), **terms}
            )
            if self.spent - saved > 60 * self.settings["save_minutes"]:
                self.save()
                saved = self.spent
        self.settle()
        self.save()
        self.pool.shutdown()

    def motion_step(self, progress: float) -> dict[str, float]:
        """One step of the keypoint detector and the dense motion network, on small pictures."""
        self.motion.train()
        settings = self.settings["motion"]
        rate = settings["rate"] * _warm(self.step / 100) * (0.15 + 0.85 * _cosine(progress))
        return self._descend(
            lambda rng: self.objective.motion_terms(self._pairs("motion", rng), rng), {"motion": rate}
        )

    def picture_step(self, progress: float) -> dict[str, float]:
        """One step of all networks on whole pictures, the motion networks gently.

        Batch norm's statistics are fixed from here on: those of a few pictures would hide from the generator
        how bright and how colourful each of them is.
        """
        settings = self.settings["picture"]
        self.settle()
        self.start_painting()
        self.motion.eval()
        self.painter.eval()
        begun = progress - settings["adversarial_from"]
        adversarial = _warm(begun * 20) if begun > 0 else 0.0
        rates = {
            "motion": self.settings["motion"]["rate"] * 0.15 * _cosine(progress),
            "picture": settings["rate"] * _warm(progress * 100) * (0.02 + 0.98 * _cosine(progress)),
        }
        if adversarial:
            rates["discriminator"] = settings["rate"] * _cosine(progress)
        return self._descend(
            lambda rng: self.objective.picture_terms(self._pairs("picture", rng), rng, adversarial), rates
        )

    def settle(self) -> None:
        """Fix the motion networks' batch norm statistics to those of their weights by now."""
        if "motion" in self.prepared:
            return

        def motion() -> None:
            self.objective.motion_terms(self._pairs("motion", self.rng), self.rng)

        self.motion.eval()
        batches = min(_CALIBRATION, 2 + self.step // 4)
        recalibrate(self.objective.detector, motion, batches)  # first: the other sees what it answers
        recalibrate(self.objective.dense, motion, batches)
        self.prepared.add("motion")

    def start_painting(self) -> None:
        """Let the generator begin as one that shows the source."""
        if "painter" in self.prepared:
            return
        objective = self.objective
        with torch.no_grad():
            # A map that is in doubt would dim all features: from here on it decides.
            objective.dense.occlusion.weight.mul_(3)
            objective.dense.occlusion.bias.mul_(3).add_(2)
            pairs = self._moved(self.clips.draw(_TYPICAL, self.rng, small=False))
            pairs = objective.same_colours(pairs, self.rng)
            origin, target = objective.detector(pairs.source), objective.detector(pairs.driving)
            occlusion = objective.dense(pairs.source, target, origin).occlusion_map
            make_transparent(objective.generator, pairs.source, occlusion, self.rng)
        self.optimizers["picture"].state.clear()
        self.prepared.add("painter")

    # --- parts of a step --------------------------------------------------------------------------

    def _pairs(self, phase: str, rng: torch.Generator) -> Pairs:
        count = max(1, self.settings[phase]["pairs"] // self.settings["workers"])
        return self._moved(self.clips.draw(count, rng, small=phase == "motion"))

    def _moved(self, pairs: Pairs) -> Pairs:
        return Pairs(**{name: value.to(self.device) for name, value in vars(pairs).items()})

    def _descend(
        self, terms_of: Callable[[torch.Generator], dict[str, Tensor]], rates: dict[str, float]
    ) -> dict[str, float]:
        """One step of the named optimizers, at these rates; returns the terms' values.

        Every worker takes a share of the batch: on a busy machine whole shares in parallel waste less than
        each operation in parallel does. Raises `UserError` where the loss is not a number.
        """
        parameters = {name: self.optimizers[name].param_groups[0]["params"] for name in rates}
        trained = [p for name, group in parameters.items() if name != "discriminator" for p in group]
        weights, workers = self.settings["weights"], self.settings["workers"]
        for name in rates:
            self.optimizers[name].zero_grad()

        def share(seed: int) -> dict[str, float]:
            terms = terms_of(torch.Generator().manual_seed(seed))
            total = sum(weights[name] * term for name, term in terms.items() if name in weights) / workers
            require_finite(total)
            if "discriminator" in terms:
                own = terms["discriminator"] / workers
                require_finite(own)
                own.backward(inputs=parameters["discriminator"], retain_graph=True)
            total.backward(inputs=trained)
            return {name: term.item() for name, term in terms.items()}

        seeds = torch.randint(2**62, (workers,), generator=self.rng).tolist()
        try:
            values = list(self.pool.map(share, seeds))
            norms = [nn.utils.clip_grad_norm_(group, self.settings["clip"]) for group in parameters.values()]
            require_finite(*norms)
        except (NotFinite, torch.linalg.LinAlgError) as error:  # the latter: a Jacobian without an inverse
            kept = (self.output / CHECKPOINT).exists()
            last = f"The last good weights are in {self.output}" if kept else "Nothing was saved yet"
            raise UserError(
                "model",
                f"Training stopped at step {self.step + 1}: the loss is not a number.",
                f"{last}; lower the rates in train_params and go on.",
            ) from error
        for name, rate in rates.items():
            for group in self.optimizers[name].param_groups:
                group["lr"] = rate
            self.optimizers[name].step()
        return {name: round(sum(v[name] for v in values) / workers, 5) for name in values[0]}

    # --- what is kept -----------------------------------------------------------------------------

    def save(self) -> None:
        """Write checkpoint, model, log and pictures, each complete or not at all. Raises `UserError`."""
        state = {
            "config": json.dumps(self.config),
            "step": self.step,
            "spent": self.spent,
            "prepared": sorted(self.prepared),
            "rng": self.rng.get_state(),
            "discriminator": self.discriminator.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            **{part: getattr(self.model, part).state_dict() for part in models.PARTS},
        }
        with replacing(self.output / CHECKPOINT) as temporary:
            torch.save(state, temporary)
        metadata = {
            "trained": f"{self.step} steps in {self.spent / 60:.0f} minutes on {len(self.clips)} clips",
            "seed": str(self.seed),
            "landmarks": ",".join(self.clips.names),
        }
        models.save(self.output / MODEL, self.model, metadata, half=True)
        self._log()
        self.motion.eval()
        self.painter.eval()
        save_grid(self.output / f"pairs-{self.step:06d}.png", self.model, self.shown)

    def _log(self) -> None:
        path = self.output / LOG
        with writing(path):
            new = not path.exists()
            with open(path, "a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, ["step", "seconds", "clips", *_TERMS], restval="")
                if new:
                    writer.writeheader()
                writer.writerows(self.rows)
        recent = self.rows[-50:]
        means = {
            name: sum(row[name] for row in recent if name in row) / count
            for name in _TERMS
            if (count := sum(name in row for row in recent))
        }
        words = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        self.say(f"step {self.step}  {self.spent / 60:.1f} min  {len(self.clips)} clips  {words}")
        for name, why in self.clips.skipped.items():
            self.say(f"skipped {name}: {why}")
        self.clips.skipped.clear()
        self.rows.clear()

    def restore(self) -> None:
        """Go on from the checkpoint in the output folder. Raises `UserError`."""
        path = self.output / CHECKPOINT
        if not path.is_file():
            raise UserError(
                "output", f"There is no checkpoint to resume in {self.output}.", "Train without --resume."
            )
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            if json.loads(state["config"])["model_params"] != self.config["model_params"]:
                raise UserError(
                    "model",
                    f"{path} is the checkpoint of another configuration.",
                    "Resume with the configuration it was begun with.",
                )
            for part in models.PARTS:
                getattr(self.model, part).load_state_dict(state[part])
            self.discriminator.load_state_dict(state["discriminator"])
            for name, optimizer in self.optimizers.items():
                optimizer.load_state_dict(state["optimizers"][name])
            self.rng.set_state(state["rng"].cpu())
            self.step, self.spent = state["step"], state["spent"]
            self.prepared = set(state["prepared"])
        except UserError:
            raise
        except Exception as error:  # damaged pickles fail in as many ways as there are bytes
            raise UserError(
                "output", f"{path} is damaged and cannot be resumed.", "Train into another folder."
            ) from error


def _cosine(progress: float) -> float:
    """From 1 down to 0 as `progress` goes from 0 to 1."""
    return (1 + math.cos(math.pi * min(progress, 1))) / 2


def _warm(progress: float) -> float:
    """From nearly 0 up to 1, where it stays."""
    return min(1.0, progress + 0.01)
