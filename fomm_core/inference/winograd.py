"""3x3 convolutions with a quarter of the multiplications, on the CPU.

Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, "Fast algorithms for convolutional neural networks",
2016): the input's tiles are transformed, multiplied by the transformed weights place by place, and transformed
back. The products are one grouped 1x1 convolution, oneDNN's fastest code; they alone may be in bf16.

The same serves a 3x3 convolution of an image that was doubled by nearest neighbour. One of the six points at
which a tile is looked at is -1, and it sees nothing of doubled pixels: x - x = 0. The other five need tiles of four
pixels instead of six, and a sixth of the multiplications that doubling first takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .form import Form

OUT = 4  # pixels of the result that a tile gives, in each direction
# With fewer tiles the transformed weights are the load, four times as many; with fewer features the transforms are,
# sooner where the products are in bf16 and take half the time.
MIN_TILES, MIN_FEATURES, MIN_FEATURES_HALF = 64, 64, 128
# Transformed input that is worked on at once: what stays in the processor's cache, in numbers.
STRIP = 600_000


class Scheme(NamedTuple):
    """One-dimensional transforms; a plane's are their Kronecker products.

    Attributes:
        input: PxT, of T neighbouring input pixels to P places.
        weight: PxK, of the kernel.
        output: 4xP, from the places to 4 neighbouring pixels of the result.
        step: input pixels from tile to tile.
    """

    input: Tensor
    weight: Tensor
    output: Tensor
    step: int


def scheme(points: list[float], kernel: int = 3, doubled: bool = False) -> Scheme:
    """Toom and Cook's, from as many points as there are, and infinity, for kernels of that many pixels.

    `doubled`: for the input before doubling; -1 is a point then.
    """

    def powers(count: int) -> Tensor:
        rows = [[point**i for i in range(count)] for point in points]
        return torch.tensor([*rows, [0.0] * (count - 1) + [1.0]], dtype=torch.float64)

    into, weight, output = torch.linalg.inv(powers(len(points) + 1)).T, powers(kernel), powers(OUT).T
    if not doubled:
        return Scheme(into, weight, output, OUT)
    into = into @ torch.eye(4, dtype=torch.float64)[[0, 1, 1, 2, 2, 3]]
    seen = into.abs().amax(1) > 1e-9
    return Scheme(into[seen], weight[seen], output[:, seen], OUT // 2)


# Points whose largest powers stay small: products in bf16 come out as near as those of the convolution itself.
SAME = scheme([0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5)])
DOUBLED = scheme([0, 1, -1, 0.5, -0.5], doubled=True)


def pays(chosen: Scheme, weight: Tensor, x: Tensor, form: Form, dtype: torch.dtype) -> bool:
    """Whether it is faster than the convolution as it is, for inputs like `x` and products of that dtype."""
    tiles = -(-x.shape[2] // chosen.step) * -(-x.shape[3] // chosen.step)
    return (
        form.minimal
        and not (form.amx and dtype == torch.bfloat16)
        and weight.shape[2:] == (3, 3)
        and tiles >= MIN_TILES
        and min(weight.shape[:2]) >= (MIN_FEATURES if dtype == torch.float32 else MIN_FEATURES_HALF)
    )


class Winograd:
    """A 3x3 convolution with padding 1 of BxIxHxW fp32 tensors in channels_last.

    Args:
        chosen: `SAME`, or `DOUBLED` to double the input first.
        weight, bias: OxIx3x3 and O.
        relu: whether one follows.
        dtype: of the products.
        like: an input.
    """

    def __init__(
        self, chosen: Scheme, weight: Tensor, bias: Tensor, relu: bool, dtype: torch.dtype, like: Tensor
    ):
        self._step, self._relu, self._dtype = chosen.step, relu, dtype
        self._tile = chosen.input.shape[1]
        self._places = chosen.input.shape[0] ** 2
        self._outputs, inputs = weight.shape[:2]
        self._into = torch.kron(chosen.input, chosen.input).float()
        self._back = torch.kron(chosen.output, chosen.output).float()
        self._bias = bias
        # As one product: the same as a sum over both of the kernel's axes takes seven times as long.
        weight = torch.kron(chosen.weight, chosen.weight) @ weight.double().view(-1, 9).T
        self._weight = torch.ops.mkldnn._reorder_convolution_weight(
            weight.to(dtype).view(-1, inputs, 1, 1),
            *([0, 0], [1, 1], [1, 1], self._places),
            list(next(self._transformed(like)).shape),
        )

    def __call__(self, x: Tensor, onto: Tensor | None = None, out: Tensor | None = None) -> Tensor:
        """The result; added to `onto` in place, or put into `out`, which may be channels of a larger tensor."""
        b, _, h, w = x.shape
        h, w = h * OUT // self._step, w * OUT // self._step
        result = onto if onto is not None else out
        if result is None:
            result = torch.empty(b, self._outputs, h, w, memory_format=torch.channels_last)
        row = 0
        for places in self._transformed(x):
            tiles = self._multiplied(places)
            place = result[:, :, row : row + tiles.shape[1] * OUT].permute(0, 2, 3, 1)
            row += tiles.shape[1] * OUT
            if place.shape[1] < tiles.shape[1] * OUT or w % OUT:  # the last tiles reach beyond the picture
                tiles = tiles.flatten(3, 4).flatten(1, 2)[:, : place.shape[1], :w]
            else:
                place = place.unflatten(2, (-1, OUT)).unflatten(1, (-1, OUT))
            if onto is not None:
                place.add_(tiles)
            elif self._relu:
                torch.clamp_min(tiles, 0, out=place)
            else:
                place.copy_(tiles)
        return result

    def _transformed(self, x: Tensor) -> Iterator[Tensor]:
        """The tiles in places, some rows of tiles at a time: Bx(P*I)xyxX, channels_last."""
        b, inputs, h, w = x.shape
        rows, columns = -(-h // self._step), -(-w // self._step)
        # All strips are as high, with tiles below the picture if need be: for another shape oneDNN may want the
        # weights laid out in another way, and would lay them out so at every call.
        strips = -(-rows * columns * b * self._places * inputs // STRIP)
        strip = -(-rows // min(strips, rows))
        rows += -rows % strip
        below, right = ((n - 1) * self._step + self._tile - 1 - side for n, side in ((rows, h), (columns, w)))
        x = F.pad(x, (1, right, 1, below)).permute(0, 2, 3, 1)
        tiles = x.unfold(1, self._tile, self._step).unfold(2, self._tile, self._step)
        for some in tiles.split(strip, dim=1):
            flat = some.permute(0, 1, 2, 4, 5, 3).reshape(-1, self._tile**2, inputs)
            places = torch.bmm(self._into.expand(len(flat), -1, -1), flat).to(self._dtype)
            yield places.view(b, -1, columns, self._places * inputs).permute(0, 3, 1, 2)

    def _multiplied(self, places: Tensor) -> Tensor:
        """The result in tiles, BxYx4xXx4xO."""
        b, _, rows, columns = places.shape
        products = torch.ops.mkldnn._convolution_pointwise(
            places, self._weight, None, [0, 0], [1, 1], [1, 1], self._places, "none", [], None
        )
        products = products.permute(0, 2, 3, 1).reshape(-1, self._places, self._outputs).float()
        tiles = torch.bmm(self._back.expand(len(products), -1, -1), products).add_(self._bias)
        return tiles.view(b, rows, columns, OUT, OUT, self._outputs).transpose(2, 3)
