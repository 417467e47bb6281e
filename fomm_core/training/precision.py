"""bfloat16 where it saves time, float32 where digits matter, and batch norm statistics fit for inference."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ..models import Model


def in_bfloat16(model: Model, device: torch.device) -> None:
    """Let the convolutions of `model` compute in bfloat16; coordinates, warps and losses stay in float32."""
    detector, generator = model.kp_detector, model.generator
    dense = generator.dense_motion_network
    inner = [generator.first, *generator.down_blocks[:-1], *generator.up_blocks]
    outer = [detector.predictor, detector.kp, detector.jacobian, dense.hourglass, dense.mask, dense.occlusion]
    outer += [generator.down_blocks[-1], generator.bottleneck, generator.final]
    for module in (*inner, *outer):
        module.forward = _mixed(module.forward, device.type, widen=module in outer)


def _mixed(forward: Callable, device: str, widen: bool) -> Callable:
    def mixed(x: torch.Tensor) -> torch.Tensor:
        # Each weight is used once: a cache, which all threads would share, gains nothing.
        with torch.autocast(device, torch.bfloat16, cache_enabled=False):
            out = forward(x)
        return out.float() if widen else out

    return mixed


def recalibrate(module: nn.Module, run: Callable[[], object], batches: int) -> None:
    """Replace the running statistics of `module` by plain averages over `batches` calls of `run`.

    During training they lag behind the weights; at inference they have to fit. Leaves the module in
    evaluation mode.
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
