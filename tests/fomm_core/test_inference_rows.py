"""7x7 convolutions along rows: the plain convolution's results, whatever the size."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from fomm_core.inference import rows
from fomm_core.inference.convolution import Convolution
from fomm_core.inference.form import choose

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(not choose(CPU).prepacked, reason="this PyTorch has no oneDNN convolutions")


@given(
    size=st.tuples(st.integers(8, 40), st.integers(8, 40)),
    features=st.tuples(st.integers(16, 40), st.integers(1, 40)),
    padding=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    batch=st.integers(1, 2),
    seed=st.integers(0, 1000),
)
def test_it_is_the_convolution(size, features, padding, batch, seed):
    rng = torch.Generator().manual_seed(seed)
    inputs, outputs = features
    weight = torch.randn(outputs, inputs, 7, 7, generator=rng)
    bias = torch.randn(outputs, generator=rng)
    x = torch.randn(batch, inputs, *size, generator=rng).contiguous(memory_format=torch.channels_last)
    convolution = rows.Rows(weight, bias, padding, x)
    expected = F.conv2d(x.double(), weight.double(), bias.double(), padding=padding)
    scale = F.conv2d(x.abs(), weight.abs(), padding=padding).max()  # of what is summed, and rounded
    assert (convolution(x) - expected).abs().max() < 2e-6 * scale
    onto = torch.ones_like(expected.float())
    assert convolution(x, onto) is onto
    assert (onto - 1 - expected).abs().max() < 2e-6 * scale
    # An input of another size than that which it was made for.
    wider = F.pad(x, (0, 3, 0, 1)).contiguous(memory_format=torch.channels_last)
    expected = F.conv2d(wider.double(), weight.double(), bias.double(), padding=padding)
    assert (convolution(wider) - expected).abs().max() < 2e-6 * scale


@pytest.mark.parametrize(
    ("kernel", "inputs", "width", "relu", "chosen"),
    [(7, 32, 32, False, True), (7, 32, 8, False, False), (7, 3, 32, False, False), (5, 32, 32, False, False),
     (7, 32, 32, True, False)],
)  # fmt: skip
def test_it_is_chosen_where_it_pays(kernel, inputs, width, relu, chosen):
    torch.manual_seed(0)
    weight, bias = torch.randn(4, inputs, kernel, kernel), torch.randn(4)
    x = torch.randn(1, inputs, 16, width)
    convolution = Convolution(weight, bias, choose(CPU, "fp32"), (kernel // 2, kernel // 2), relu)
    found = convolution(x)
    assert isinstance(convolution._run, rows.Rows) == chosen
    expected = F.conv2d(x, weight, bias, padding=kernel // 2)
    torch.testing.assert_close(found, expected.relu() if relu else expected, atol=2e-3, rtol=1e-4)
