"""Half precision where it saves time, single precision where digits matter."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ..errors import UserError
from ..models import Model

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
PRECISIONS = ("auto", "fp32", *DTYPES)


def chosen_precision(name: str, device: torch.device) -> str:
    """What `name` stands for on `device`: "auto" is half precision on CUDA, and fp32 elsewhere.

    Raises `UserError` where it is none of `PRECISIONS`.
    """
    if name not in PRECISIONS:
        raise UserError(
            "arguments", f"There is no precision {name!r}.", f"Choose one of {', '.join(PRECISIONS)}."
        )
    if name != "auto":
        return name
    if device.type != "cuda":
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def in_half(model: Model, device: torch.device, dtype: torch.dtype) -> None:
    """Let the convolutions of `model` compute in `dtype`; coordinates, warps and losses stay in float32."""
    detector, generator = model.kp_detector, model.generator
    dense = generator.dense_motion_network
    inner = [generator.first, *generator.down_blocks[:-1], *generator.up_blocks]
    outer = [detector.predictor, detector.kp, detector.jacobian, dense.hourglass, dense.mask, dense.occlusion]
    outer += [generator.down_blocks[-1], generator.bottleneck, generator.final]
    for module in filter(None, (*inner, *outer)):
        module.forward = _mixed(module.forward, device.type, dtype, widen=module in outer)


def autocast_whole(module: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Let a network that knows no coordinates compute in `dtype`; what it answers is float32 again."""
    module.forward = _mixed(module.forward, device.type, dtype, widen=True)


def _mixed(forward: Callable, device: str, dtype: torch.dtype, widen: bool) -> Callable:
    def mixed(*inputs):
        # Each weight is used once: a cache, which all threads would share, gains nothing.
        with torch.autocast(device, dtype, cache_enabled=False):
            out = forward(*inputs)
        return _widened(out) if widen else out

    return mixed


def _widened(answers):
    """Tensors as float32, in whatever lists and dicts they come."""
    if isinstance(answers, torch.Tensor):
        return answers.float()
    if isinstance(answers, dict):
        return {name: _widened(value) for name, value in answers.items()}
    return type(answers)(_widened(value) for value in answers)
