"""Convolutions made ready for inference: batch norm folded in, ReLU and sum fused, weights laid out once.

oneDNN lays a convolution's weights out anew on every call unless they are handed to it prepacked, by operators
that PyTorch keeps for its compiler. Where those are missing, and on other devices, it is plain `conv2d`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import rows, winograd
from .form import Form


def affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """The scale and the shift, each C in float64 on the CPU, that a batch norm is in evaluation."""
    weight, bias, mean, variance = map(_exact, (norm.weight, norm.bias, norm.running_mean, norm.running_var))
    scale = weight * (variance + norm.eps).rsqrt()
    return scale, bias - mean * scale


def folded(conv: nn.Conv2d, norm: nn.BatchNorm2d | None = None) -> tuple[Tensor, Tensor]:
    """Weight OxIxhxw and bias O, in float64 on the CPU, of `conv` and the batch norm that follows it."""
    weight, bias = _exact(conv.weight), _exact(conv.bias)
    if norm is not None:
        scale, shift = affine(norm)
        weight, bias = weight * scale[:, None, None, None], bias * scale + shift
    return weight, bias


def _exact(value: Tensor) -> Tensor:
    return value.detach().cpu().double()  # Apple's devices have no float64


class Direct:
    """A convolution as it is, for inputs of about one size.

    Args:
        weight, bias: OxIxhxw and O.
        padding: rows and columns of zeros on each side.
        relu: whether one follows.
        dtype: of the computation.
        like: an input.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        padding: tuple[int, int],
        relu: bool,
        form: Form,
        dtype: torch.dtype,
        like: Tensor,
    ):
        weight, self._bias = (value.to(like.device, dtype) for value in (weight, bias))
        self._padding, self._relu, self._dtype, self._prepacked = list(padding), relu, dtype, form.prepacked
        if self._prepacked:
            self._weight = torch.ops.mkldnn._reorder_convolution_weight(
                weight, self._padding, [1, 1], [1, 1], 1, list(like.shape)
            )
        else:
            self._weight = weight.contiguous(memory_format=torch.channels_last)

    def __call__(self, x: Tensor, onto: Tensor | None = None) -> Tensor:
        """The result in the dtype of `x`, or added to `onto` in place."""
        given = x.dtype
        x = x.to(self._dtype)
        if not self._prepacked:
            out = F.conv2d(x, self._weight, self._bias, padding=self._padding)
            out = out.relu_() if self._relu else out
            return out.to(given) if onto is None else onto.add_(out)
        fixed = (self._weight, self._bias, self._padding, [1, 1], [1, 1], 1)
        if onto is not None and onto.dtype == self._dtype:
            add = torch.ops.mkldnn._convolution_pointwise_.binary
            return add(onto, x, *fixed, "add", 1.0, None, [], None)
        after = "relu" if self._relu else "none"
        out = torch.ops.mkldnn._convolution_pointwise(x, *fixed, after, [], None)
        return out.to(given) if onto is None else onto.add_(out)


class Settled:
    """What is made of some weights once it is known how large the inputs are.

    It is for inputs of that size, and for as many threads as the first call has: oneDNN lays weights out by both,
    and for others may do so anew at every call.

    Args:
        given: the weights, kept until then.
    """

    def __init__(self, given: tuple[Tensor, ...]):
        self._given: tuple[Tensor, ...] | None = given
        self._run: Callable | None = None
        self._once = threading.Lock()

    def _prepared(self, x: Tensor) -> Callable:
        """What computes the result for inputs like `x`."""
        raise NotImplementedError

    def _settled(self, x: Tensor) -> Callable:
        if self._run is None:
            with self._once:  # two lanes come here at about the same time
                if self._run is None:
                    self._run = self._prepared(x)
                    self._given = None
        return self._run


class Convolution(Settled):
    """A convolution of BxIxHxW tensors in channels_last; how is settled by the first input's size.

    Args:
        weight, bias: OxIxhxw and O, as `folded` gives them. They are kept only until the first call.
        padding: rows and columns of zeros on each side.
        relu: whether one follows.
        dtype: of the multiplications; input and result have the same one.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        form: Form,
        padding: tuple[int, int],
        relu: bool = False,
        dtype: torch.dtype = torch.float32,
    ):
        self._padding, self._relu, self._form, self._dtype = padding, relu, form, dtype
        super().__init__((weight.float(), bias.float()))

    def __call__(self, x: Tensor, onto: Tensor | None = None) -> Tensor:
        """The result, BxOxH'xW'; with `onto`, where no ReLU follows, added to that in place."""
        x = x.contiguous(memory_format=torch.channels_last)
        return self._settled(x)(x, onto)

    def _prepared(self, x: Tensor) -> Direct | rows.Rows | winograd.Winograd:
        weight, bias = self._given
        if self._padding == (1, 1) and winograd.pays(winograd.SAME, weight, x, self._form, self._dtype):
            return winograd.Winograd(winograd.SAME, weight, bias, self._relu, self._dtype, x)
        if not self._relu and rows.pays(weight, x, self._form, self._dtype):
            return rows.Rows(weight, bias, self._padding, x)
        return Direct(weight, bias, self._padding, self._relu, self._form, self._dtype, x)
