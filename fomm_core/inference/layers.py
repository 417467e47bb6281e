"""The blocks of `fomm_core.network.layers`, made ready for inference. Tensors are BxCxHxW in channels_last."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..network import layers
from . import winograd
from .convolution import Convolution, Direct, Settled, affine, folded
from .form import Form

# Where an input of an up block is smaller, reading the weights is the load, and sub-pixel ones are 16/9 as many.
MIN_SUBPIXEL = 8


def same(block: layers.SameBlock, form: Form) -> Convolution:
    """A `SameBlock`, or a `DownBlock` before its pooling."""
    return Convolution(*folded(block.conv, block.norm), form, block.conv.padding, relu=True)


class Down:
    """A `DownBlock`."""

    def __init__(self, block: layers.DownBlock, form: Form):
        self._same = same(block, form)

    def __call__(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self._same(x), 2)


class Up(Settled):
    """An `UpBlock`. The doubled image is never made where there is a shorter way."""

    def __init__(self, block: layers.UpBlock, form: Form, dtype: torch.dtype = torch.float32):
        super().__init__(folded(block.conv, block.norm))  # exact until the sub-pixel kernels are summed
        self._form, self._dtype, self._outputs = form, dtype, block.conv.out_channels

    def __call__(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """BxOx2Hx2W, followed by the channels of `skip` where there is one."""
        x = x.contiguous(memory_format=torch.channels_last)
        run = self._settled(x)
        b, _, h, w = x.shape
        channels = self._outputs + (0 if skip is None else skip.shape[1])
        out = torch.empty(
            (b, channels, 2 * h, 2 * w), dtype=x.dtype, device=x.device, memory_format=torch.channels_last
        )
        if skip is not None:
            out[:, self._outputs :] = skip
        run(x, out=out[:, : self._outputs])
        return out

    def _prepared(self, x: Tensor):
        weight, bias = self._given
        if winograd.pays(winograd.DOUBLED, weight, x, self._form, self._dtype):
            return winograd.Winograd(winograd.DOUBLED, weight, bias.float(), True, self._dtype, x)
        if min(x.shape[2:]) >= MIN_SUBPIXEL:
            return _SubPixel(weight, bias, self._form, self._dtype, x)
        return _Doubled(weight, bias, self._form, self._dtype, x)


class _SubPixel:
    """Each of the four pixels that one becomes sees 2x2 of the input: four kernels of summed weights."""

    # What the 3 rows of the kernel see of the 2 rows of the input, for the upper pixel and for the lower one.
    ROWS = torch.tensor([[[1.0, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]], dtype=torch.float64)

    def __init__(self, weight: Tensor, bias: Tensor, form: Form, dtype: torch.dtype, like: Tensor):
        phases = torch.einsum("yai,xbj,ocij->yxocab", self.ROWS, self.ROWS, weight.double())
        self._convolution = Direct(phases.flatten(0, 2), bias.repeat(4), (1, 1), True, form, dtype, like)

    def __call__(self, x: Tensor, out: Tensor) -> None:
        phases = self._convolution(x).unflatten(1, (4, -1))
        h, w = x.shape[2:]
        for row in (0, 1):
            for column in (0, 1):
                out[:, :, row::2, column::2] = phases[
                    :, 2 * row + column, :, row : row + h, column : column + w
                ]


class _Doubled:
    """The block as it is."""

    def __init__(self, weight: Tensor, bias: Tensor, form: Form, dtype: torch.dtype, like: Tensor):
        doubled = F.interpolate(like, scale_factor=2)
        self._convolution = Direct(weight, bias, (1, 1), True, form, dtype, doubled)

    def __call__(self, x: Tensor, out: Tensor) -> None:
        out.copy_(self._convolution(F.interpolate(x, scale_factor=2)))


class Residual:
    """A `ResBlock`. The first batch norm stands before a ReLU and does not fold; the second folds into conv1."""

    def __init__(self, block: layers.ResBlock, form: Form):
        def shaped(value: Tensor) -> Tensor:
            return value.to(form.features).to(form.device)[:, None, None]

        self._scale, self._shift = map(shaped, affine(block.norm1))
        padding = block.conv1.padding
        dtype = form.products(block.conv1.out_channels)
        self._first = Convolution(*folded(block.conv1, block.norm2), form, padding, relu=True, dtype=dtype)
        self._second = Convolution(*folded(block.conv2), form, padding, dtype=dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """The result, written over `x`."""
        inner = torch.addcmul(self._shift, x, self._scale).relu_()
        return self._second(self._first(inner), onto=x)


class Hourglass:
    """An `Hourglass`; the features of each level go straight into the tensor that joins them."""

    def __init__(self, hourglass: layers.Hourglass, form: Form):
        self._down = [Down(block, form) for block in hourglass.encoder.down_blocks]
        self._up = [Up(block, form) for block in hourglass.decoder.up_blocks]

    def __call__(self, x: Tensor) -> Tensor:
        levels = [x]
        for block in self._down:
            levels.append(block(levels[-1]))
        out = levels.pop()
        for block in self._up:
            out = block(out, levels.pop())
        return out


def heads(convs: list[nn.Conv2d | None], form: Form) -> Convolution:
    """Several convolutions of the same features as one: few outputs each leave the processor half empty."""
    convs = [conv for conv in convs if conv is not None]
    weights, biases = zip(*map(folded, convs), strict=True)
    return Convolution(torch.cat(weights), torch.cat(biases), form, convs[0].padding)


def copied(module: nn.Module, form: Form) -> nn.Module:
    """A small module as it is, on the form's device; the model's own stays where it is."""
    return copy.deepcopy(module).to(form.device)


class Separated:
    """A wide convolution with few outputs: one column of the kernel after another.

    The columns' results are as many outputs more, which fills the processor; then they are shifted and summed.
    """

    def __init__(self, conv: nn.Conv2d, form: Form):
        weight, bias = folded(conv)
        self._outputs, self._columns = len(weight), weight.shape[3]
        self._padding = conv.padding[1]
        columns = weight.permute(3, 0, 1, 2).flatten(0, 1)[..., None]
        # The bias is needed once, in the column that no shift takes out of the picture.
        biases = bias.new_zeros(self._columns, self._outputs)
        biases[self._padding] = bias
        self._convolution = Convolution(columns, biases.flatten(), form, (conv.padding[0], 0))

    def __call__(self, x: Tensor) -> Tensor:
        parts = self._convolution(x).split(self._outputs, dim=1)
        out = parts[self._padding].clone()
        for i, part in enumerate(parts):
            shift, width = i - self._padding, out.shape[3] - abs(i - self._padding)
            if shift and width > 0:
                start = max(0, -shift)
                out[..., start : start + width] += part[..., start + shift : start + shift + width]
        return out
