"""In which form a network is to run: on which device, in which precision, and what helps there."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..errors import UserError

MIN_HALF = 64
_HALVES = {"fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Form:
    """How the inference form of a network computes.

    Attributes:
        device: where.
        dtype: of the multiplications in the generator's decoder, the heaviest part; keypoints and motion are
            always fp32.
        prepacked: oneDNN's own convolutions, with weights laid out once for them.
        minimal: 3x3 convolutions with fewer multiplications (`winograd`), which round a little more.
        amx: a unit of its own multiplies matrices in bf16, so fast that fewer multiplications gain nothing.
    """

    device: torch.device
    dtype: torch.dtype
    prepacked: bool
    minimal: bool
    amx: bool = False

    @property
    def features(self) -> torch.dtype:
        """Of what is between the convolutions; on the CPU bf16 gains little there, and loses the most."""
        return torch.float32 if self.device.type == "cpu" else self.dtype

    def products(self, features: int) -> torch.dtype:
        """Of the multiplications in a layer of the decoder that is so wide; on the CPU narrow ones gain nothing."""
        return torch.float32 if self.device.type == "cpu" and features < MIN_HALF else self.dtype

    @property
    def precision(self) -> str:
        """fp32, fp16 or bf16."""
        return next((name for name, dtype in _HALVES.items() if dtype == self.dtype), "fp32")


def choose(device: torch.device, precision: str = "auto") -> Form:
    """The form for a precision of auto, fp32, fp16 or bf16. Raises `UserError` where the device lacks it."""
    possible = precisions(device)
    if precision == "auto":
        precision = possible[0]
    if precision not in possible:
        raise UserError(
            "device",
            f"The device {device} does not compute in {precision}.",
            f"Use a precision of: auto, {', '.join(possible)}.",
        )
    dtype = _HALVES.get(precision, torch.float32)
    prepacked = device.type == "cpu" and _has_onednn()
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # an Intel Mac's PyTorch tells none
    amx = prepacked and capabilities.get("amx_bf16", False)
    return Form(device, dtype, prepacked, minimal=prepacked, amx=amx)


def precisions(device: torch.device) -> list[str]:
    """What the device computes well in, the one that auto means first."""
    if device.type == "cuda":
        bf16 = ["bf16"] if torch.cuda.is_bf16_supported(including_emulation=False) else []
        return ["fp16", *bf16, "fp32"]
    if device.type == "mps":  # unmeasured: half precision only for who asks
        return ["fp32", "fp16"]
    return ["bf16", "fp32"] if _has_onednn() and torch.ops.mkldnn._is_mkldnn_bf16_supported() else ["fp32"]


def _has_onednn() -> bool:
    """Whether this PyTorch has oneDNN's fused convolutions: only some builds and processors do."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
