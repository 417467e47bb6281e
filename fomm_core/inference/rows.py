"""7x7 convolutions with a third of the multiplications, on the CPU: the heads of the motion networks.

Winograd's minimal filtering along the rows alone, F(4, 7): a row's pixels are transformed, convolved down the
columns place by place, and transformed back. In both directions (`winograd`) the transforms would cost what the
products save. A transform is one matrix product for a whole row: most of its matrix is zeros, and it is faster
for all that than cutting the row into tiles that overlap.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from . import winograd
from .form import Form

SIZE = 7
# The points, of those of about this size, whose results round the least.
SCHEME = winograd.scheme([0, 0.4, -0.4, 0.75, -0.75, 4 / 3, -4 / 3, 2.5, -2.5], SIZE)
MIN_WIDTH, MIN_FEATURES = 16, 16
ALIGNED = 16  # numbers in a register: oneDNN is slower for other numbers of outputs


def pays(weight: Tensor, x: Tensor, form: Form, dtype: torch.dtype) -> bool:
    """Whether it is faster than the convolution as it is, for inputs like `x` and products of that dtype."""
    return (
        form.prepacked
        and dtype == torch.float32
        and weight.shape[2:] == (SIZE, SIZE)
        and weight.shape[1] >= MIN_FEATURES
        and x.shape[3] >= MIN_WIDTH
    )


class Rows:
    """A 7x7 convolution of BxIxHxW fp32 tensors in channels_last, which rounds twice as much as the plain one.

    Args:
        weight, bias: OxIx7x7 and O.
        padding: rows and columns of zeros on each side.
        like: an input.
    """

    def __init__(self, weight: Tensor, bias: Tensor, padding: tuple[int, int], like: Tensor):
        self._outputs, self._padding, self._beside = len(weight), [padding[0], 0], padding[1]
        more = -self._outputs % ALIGNED
        self._bias = torch.cat([bias, bias.new_zeros(more)])
        weight = torch.cat([weight, weight.new_zeros(more, *weight.shape[1:])]).double()
        weight = torch.einsum("px,oiyx->poiy", SCHEME.weight, weight).flatten(0, 1)
        self._places = len(SCHEME.weight)
        self._weight = torch.ops.mkldnn._reorder_convolution_weight(
            weight[..., None].float(), self._padding, [1, 1], [1, 1], self._places,
            list(self._transformed(like).shape),
        )  # fmt: skip

    def __call__(self, x: Tensor, onto: Tensor | None = None) -> Tensor:
        """The result, or the sum with it in `onto`."""
        places = torch.ops.mkldnn._convolution_pointwise(
            self._transformed(x),
            self._weight,
            None,
            self._padding,
            [1, 1],
            [1, 1],
            self._places,
            "none",
            [],
            None,
        )
        b, _, h, _ = places.shape
        rows = places.permute(0, 2, 3, 1).reshape(b * h, -1, len(self._bias))
        _, back = _whole_row(x.shape[3], self._beside)
        out = torch.baddbmm(self._bias, back.expand(b * h, -1, -1), rows)
        out = out.view(b, h, -1, len(self._bias)).permute(0, 3, 1, 2)[:, : self._outputs]
        return out if onto is None else onto.add_(out)

    def _transformed(self, x: Tensor) -> Tensor:
        """The tiles of four columns of the result in places: Bx(P*I)xHxX, channels_last."""
        b, inputs, h, w = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(b * h, w, inputs)
        into, _ = _whole_row(w, self._beside)
        places = torch.bmm(into.expand(b * h, -1, -1), rows)
        return places.view(b, h, -1, self._places * inputs).permute(0, 3, 1, 2)


@lru_cache(maxsize=8)
def _whole_row(width: int, padding: int) -> tuple[Tensor, Tensor]:
    """The transforms of a row that is so wide, with zeros on each side: (X*P)xW, and W'x(X*P) back."""
    wanted = width + 2 * padding - SIZE + 1
    tiles, (places, tile) = -(-wanted // winograd.OUT), SCHEME.input.shape
    into = torch.zeros(tiles, places, tiles * winograd.OUT + tile + width, dtype=torch.float64)
    back = torch.zeros(tiles, winograd.OUT, tiles, places, dtype=torch.float64)
    for number in range(tiles):
        into[number, :, number * winograd.OUT :][:, :tile] = SCHEME.input
        back[number, :, number] = SCHEME.output
    into = into.flatten(0, 1)[:, padding : padding + width]
    return into.float().contiguous(), back.flatten(0, 1).flatten(1)[:wanted].float().contiguous()
