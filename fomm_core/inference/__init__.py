"""The inference form of a model: the same function, arranged for the device that it runs on.

`build` makes it once from a loaded model, whose networks stay as they are: for training, and as the reference that
this form is tested against. docs/speed.md says what each change brings.
"""

from __future__ import annotations

import torch

from ..models import Model
from .form import Form, choose
from .network import Network

__all__ = ["Form", "Network", "build", "choose"]


@torch.inference_mode()
def build(model: Model, device: torch.device, precision: str = "auto") -> Network:
    """The model's networks on `device`, in a precision of auto, fp32, fp16 or bf16.

    The result takes no notice of later changes to the model's weights. Raises `UserError` where the device does
    not compute in that precision.
    """
    form = choose(device, precision)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # the sizes stay the same for a whole clip
    return Network(model.generator, model.kp_detector, form)
