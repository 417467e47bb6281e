"""A step of a course: the gradients of a batch, which threads and processes share, and the optimizers' steps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .course import Course
from .objective import require_finite
from .parallel import Group

_JUDGE = "discriminator"  # the optimizer with a loss of its own
_LOWEST_SCALE = 1.0  # of an fp16 loss: below, its gradients are no numbers for another reason than their size


@dataclass
class _Share:
    """What one share of a batch says: the terms' values, and a gradient for each parameter that has one."""

    values: dict[str, Tensor]
    gradients: list[Tensor | None]


class Descent:
    """Takes the steps of `course`, with its fellow processes of `group`.

    Every thread takes a share of the batch: on a busy machine whole shares in parallel waste less than each
    operation in parallel does. Shares are added up in one order, whichever thread is the first.

    Args:
        precision: of the convolutions; fp16 needs losses scaled up, or small gradients would be nothing.
    """

    def __init__(self, course: Course, group: Group, precision: str):
        self.course, self.group = course, group
        self.scaler = torch.amp.GradScaler(group.device.type, enabled=precision == "fp16")
        threads = max(1, torch.get_num_threads() // course.shares)
        self._pool = ThreadPoolExecutor(course.shares, initializer=torch.set_num_threads, initargs=(threads,))

    def step(self, number: int, progress: float, rng: torch.Generator) -> dict[str, float]:
        """Step `number` of the course; returns the terms' values. Raises `NotFinite`, or what `terms` raises."""
        course = self.course
        rates = course.rates(number, progress)
        judged = self._parameters(name for name in rates if name == _JUDGE)
        others = self._parameters(name for name in rates if name != _JUDGE)

        def share(seed: int) -> _Share:
            terms = course.terms(number, progress, torch.Generator().manual_seed(seed))
            return self._share(terms.values, [(terms.judged, judged), (terms.loss, others)])

        seeds = torch.randint(2**62, (course.shares * self.group.world,), generator=rng).tolist()
        own = seeds[self.group.rank * course.shares :][: course.shares]
        shares = [share(own[0])] if len(own) == 1 else list(self._pool.map(share, own))
        values = self._combined(shares, judged + others)
        self._update(rates)
        return values

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _parameters(self, names: Iterable[str]) -> list[nn.Parameter]:
        groups = (self.course.optimizers[name].param_groups[0]["params"] for name in names)
        return [parameter for group in groups for parameter in group if parameter.requires_grad]

    def _share(
        self, values: dict[str, Tensor], losses: list[tuple[Tensor | None, list[nn.Parameter]]]
    ) -> _Share:
        """The gradients of each loss for its parameters. Raises `NotFinite`."""
        parts = self.course.shares * self.group.world
        gradients: list[Tensor | None] = []
        losses = [(loss, parameters) for loss, parameters in losses if parameters]
        require_finite(*(loss for loss, _ in losses))
        for number, (loss, parameters) in enumerate(losses):
            gradients += torch.autograd.grad(
                self.scaler.scale(loss / parts),
                parameters,
                retain_graph=number + 1 < len(losses),  # the losses may have features in common
                allow_unused=True,
            )
        return _Share({name: value.detach().float() for name, value in values.items()}, gradients)

    def _combined(self, shares: list[_Share], parameters: list[nn.Parameter]) -> dict[str, float]:
        """Add up the gradients of all shares, of all processes, for the optimizers; average the values."""
        for parameter, parts in zip(
            parameters, zip(*(s.gradients for s in shares), strict=True), strict=True
        ):
            parts = [part for part in parts if part is not None]
            parameter.grad = sum(parts[1:], start=parts[0]) if parts else None
        names = list(shares[0].values)
        values = torch.stack([torch.stack([s.values[name] for name in names]) for s in shares]).mean(0)
        self.group.sum([*(p.grad for p in parameters if p.grad is not None), values])
        return dict(zip(names, (values / self.group.world).tolist(), strict=True))

    def _update(self, rates: dict[str, float]) -> None:
        """One step of these optimizers. Raises `NotFinite`, in fp16 only where smaller losses do not help."""
        longest = math.inf if self.course.clip is None else self.course.clip
        optimizers = {name: self.course.optimizers[name] for name in rates}
        for optimizer in optimizers.values():
            self.scaler.unscale_(optimizer)
            norm = nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], longest)
            if not self.scaler.is_enabled() or self.scaler.get_scale() <= _LOWEST_SCALE:
                require_finite(norm)
        for name, optimizer in optimizers.items():
            optimizer.param_groups[0]["lr"] = rates[name]
            self.scaler.step(optimizer)
            optimizer.zero_grad()
        if optimizers:
            self.scaler.update()
