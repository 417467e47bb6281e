"""A moving average of a model's weights, which paints more evenly than the weights of the last step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ..models import PARTS, Model


class Average:
    """The average of `model`'s weights over the steps so far, the last ones most of all.

    Batch norm's running statistics are averaged like the weights, with which they have to fit.

    Args:
        decay: what a step keeps of the average; less in the beginning, when the average would be old.
    """

    def __init__(self, model: Model, decay: float):
        self.decay = decay
        self._live = {
            f"{part}.{key}": value
            for part in PARTS
            for key, value in getattr(model, part).state_dict().items()
            if value.is_floating_point()
        }
        self.tensors = {key: value.clone() for key, value in self._live.items()}
        self.count = 0  # steps since it was begun

    def restart(self) -> None:
        """Begin anew with the weights as they are."""
        self._copy(self._live, self.tensors)
        self.count = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are."""
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        torch._foreach_lerp_(list(self.tensors.values()), list(self._live.values()), 1 - decay)

    def restore(self, tensors: dict[str, Tensor], count: int) -> None:
        """Go on from the `tensors` and `count` of an earlier sitting."""
        self._copy(tensors, self.tensors)
        self.count = count

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the model have the averaged weights for a while."""
        kept = {key: value.clone() for key, value in self._live.items()}
        self._copy(self.tensors, self._live)
        try:
            yield
        finally:
            self._copy(kept, self._live)

    @staticmethod
    @torch.no_grad()
    def _copy(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
        for key, value in target.items():
            value.copy_(source[key])
