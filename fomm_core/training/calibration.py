"""Batch norm statistics that fit the weights: during training they lag behind."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


def recalibrate(module: nn.Module, run: Callable[[], object], batches: int) -> None:
    """Replace the running statistics of `module` by plain averages over `batches` calls of `run`.

    At inference they have to fit. Leaves the module in evaluation mode.
    """
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain average
    module.train()
    with torch.no_grad():
        for _ in range(batches):
            run()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    module.eval()
