"""What is to be measured, and what came out."""

from __future__ import annotations

import dataclasses
import statistics
from dataclasses import dataclass
from pathlib import Path

ROUNDS = 7
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@dataclass(frozen=True)
class Measure:
    """One thing measured in every round.

    Attributes:
        name: of what.
        unit: ms per frame, s, MB.
        ours, baseline: one number a round; `baseline` is empty where there is none.
    """

    name: str
    unit: str
    ours: list[float]
    baseline: list[float] = dataclasses.field(default_factory=list)

    def summary(self) -> dict:
        """Medians, spreads (the lower and the upper quartile) and the ratio baseline / ours."""
        found = {"name": self.name, "unit": self.unit, "ours": _spread(self.ours)}
        if self.baseline:
            found["baseline"] = _spread(self.baseline)
            found["ratio"] = _spread([b / a for a, b in zip(self.ours, self.baseline, strict=True)])
        return found


def _spread(values: list[float]) -> dict:
    low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"median": statistics.median(values), "quartiles": [low, high]}


@dataclass(frozen=True)
class Settings:
    """What to measure, and how often.

    Attributes:
        model: a registered model or a file, or a configuration's name: that one with random weights.
        device, precision: as for a job.
        frames: in a round.
        rounds: each of them all things in turn.
        what: some of network, job, memory and first.
        baseline: measure the published way of working too.
        painting, video: for the whole job; by default those of examples/.
    """

    model: str = "vox-256"
    device: str = "auto"
    precision: str = "auto"
    frames: int = 4
    rounds: int = ROUNDS
    what: tuple[str, ...] = ("network",)
    baseline: bool = False
    painting: Path = EXAMPLES / "painting.jpg"
    video: Path = EXAMPLES / "driving.mp4"
