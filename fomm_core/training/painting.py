"""The course for one painting: a model learns to paint this one better, and forgets nothing by it.

What moves the painting stays as it is: keypoint detector and dense motion network are frozen, for deformations
made up here know nothing of heads, and so are batch norm's statistics. Of what is learned only that is kept which
makes new deformations of the painting come out better and another picture hardly worse.
"""

from __future__ import annotations

import copy

import numpy as np
import torch

from ..errors import UserError
from ..models import Model
from ..network import Keypoints
from .course import Course, Limit, Setting, Shown, Terms, cosine
from .mixed import DTYPES
from .painting_objective import PaintingObjective, Standing
from .warps import Reproduction, warped

TOLERANCE = 0.1  # by which the error on another picture may grow
RATE = 5e-4  # of plain descent: Adam's first steps move all weights alike, which undoes more than it learns
_WARM_UP = 10  # steps
_CHECKS = 6  # of the standing, in the course of the training
_SHARES = (1.0, 0.5, 0.25)  # of the last layer's correction: the largest is taken that forgets nothing
_LOSS = 10.0  # times the terms: gradients of the size that `clip` is made for
_SHOWN, _SHOWN_SEED = 4, 7


class Painting(Course):
    """The course.

    Args:
        setting: where and how.
        model: to be tuned, as loaded.
        painting: (h,w,3) uint8, the square of it that moves.
        poses: keypoints of the painting in N poses, or None: see `PaintingObjective`.
        origin: metadata that says which model and which painting these are; a checkpoint fits the same only.
    """

    columns = ("warped", "driven", "others")
    clip = 2.0
    limit = Limit(minutes=5)
    save_every = Limit(minutes=1)

    def __init__(
        self,
        setting: Setting,
        model: Model,
        painting: np.ndarray,
        poses: Keypoints | None,
        origin: dict[str, str],
    ):
        self.model, self.origin = model, origin
        for network in (model.generator, model.kp_detector):
            network.to(setting.device).eval().requires_grad_(False)
        self.objective = PaintingObjective(model, painting, poses, DTYPES.get(setting.precision))
        painter = self.objective.painter.requires_grad_(True)
        self.networks = {"generator": model.generator, "kp_detector": model.kp_detector}
        self.optimizers = {"picture": torch.optim.SGD(painter.parameters(), RATE, momentum=0.9)}
        self.start = self.best = self.last = self.objective.standing()
        self._weights = self._copied()
        self._checks = 0
        self._news = [f"before: {_words(self.start)}"]

    def begin(self, step: int, progress: float, rng: torch.Generator) -> bool:
        for network in self.networks.values():
            network.eval()
        if step == 0:
            self._fit_last_layer(rng)
            return True
        if int(progress * _CHECKS) > self._checks:
            self._checks = int(progress * _CHECKS)
            self._check()
        return False

    def rates(self, step: int, progress: float) -> dict[str, float]:
        return {"picture": RATE * min(1.0, (step + 1) / _WARM_UP) * (0.02 + 0.98 * cosine(progress))}

    def terms(self, step: int, progress: float, rng: torch.Generator) -> Terms:
        values = self.objective.terms(rng)
        return Terms(values, _LOSS * sum(values.values()))

    def finish(self, step: int, rng: torch.Generator) -> None:
        """Leave the model with the best weights there were; its own, where none were better."""
        self._check()
        self.objective.painter.load_state_dict(self._weights)

    def shown(self) -> Shown:
        rng = torch.Generator().manual_seed(_SHOWN_SEED)
        pairs = warped(self.objective.picture, _SHOWN, self.model, rng)
        return Shown(pairs.source, pairs.driving, flow=pairs.flow)

    def about(self) -> dict[str, str]:
        kept = {name: value for name, value in self.model.metadata.items() if name == "landmarks"}
        return {**kept, **self.origin, "tuned": self.outcome()}

    def outcome(self) -> str:
        """What the tuning has brought, in a sentence."""
        if self.best is not self.start:
            return f"before: {_words(self.start)}; after: {_words(self.best)}"
        if self._forgets(self.last):
            why = f"another picture came out more than {TOLERANCE:.0%} worse ({_words(self.last)})"
        else:
            why = f"the painting did not come out better ({_words(self.last)})"
        return f"the model's own weights are kept: {why}"

    def news(self) -> list[str]:
        lines, self._news = self._news, []
        return lines

    def state(self) -> dict[str, object]:
        return {
            "origin": self.origin,
            "checks": self._checks,
            "best": None if self.best is self.start else _numbers(self.best),
            "last": _numbers(self.last),
            "weights": self._weights,
        }

    def load_state(self, state: dict) -> None:
        if state["origin"] != self.origin:
            raise UserError(
                "output",
                "The checkpoint in the output folder is of another model or painting.",
                "Choose another folder, or tune that one on.",
            )
        self._checks, self._weights = state["checks"], state["weights"]
        self.best = self.start if state["best"] is None else _standing(state["best"])
        self.last = _standing(state["last"])

    @torch.no_grad()
    def _fit_last_layer(self, rng: torch.Generator) -> None:
        """Begin with what needs no steps: the best last convolution, or as much of it as forgets nothing."""
        final = self.model.generator.final
        correction, own = self.objective.last_layer(rng), copy.deepcopy(final.state_dict())
        for share in _SHARES:
            for name, value in final.named_parameters():
                value.copy_(own[name] + share * correction.get_parameter(name))
            if self._check():
                return
        final.load_state_dict(own)

    def _check(self) -> bool:
        """Keep the weights of now, where they are the best so far and forget nothing. Returns whether they are."""
        self.last = now = self.objective.standing()
        self._news.append(f"now: {_words(now)}")
        better = now.painting.l1 < self.best.painting.l1 and not self._forgets(now)
        if better:
            self.best, self._weights = now, self._copied()
        return better

    def _forgets(self, standing: Standing) -> bool:
        return not standing.other.l1 <= self.start.other.l1 * (1 + TOLERANCE)  # said so that NaN forgets

    def _copied(self) -> dict[str, torch.Tensor]:
        return {name: value.clone() for name, value in self.objective.painter.state_dict().items()}


def _numbers(standing: Standing) -> list[float]:
    return [*standing.painting, *standing.other]


def _standing(numbers: list[float]) -> Standing:
    return Standing(Reproduction(*numbers[:2]), Reproduction(*numbers[2:]))


def _words(standing: Standing) -> str:
    own, other = standing
    return (
        f"the painting L1 {own.l1:.4f}, SSIM {own.ssim:.3f}; another picture L1 {other.l1:.4f}, "
        f"SSIM {other.ssim:.3f}"
    )
