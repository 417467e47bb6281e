"""A generator that starts out transparent: undisturbed, it shows the source again, a little softer.

From random weights it takes many thousands of steps to learn just that. Here the encoder keeps colours and
their differences between neighbours (ReLU leaves them alone: they are made positive), the residual blocks
begin as the identity, and the decoder's layers are solved one after the other, by least squares on some
pictures. What is left for training to learn is to repair what the warp hides and tears.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..network import Generator, resized
from ..network.layers import SameBlock
from .calibration import recalibrate

_LINES = torch.tensor([[0.0, 1.0, 0.0], [-0.5, 0.5, 0.0], [0.0, -0.5, 0.5]])  # itself, and two differences
_SAMPLES = 3000  # places in each picture that the least squares see
_RIDGE = 1e-4


@torch.no_grad()
def make_transparent(generator: Generator, pictures: Tensor, occlusion: Tensor, rng: torch.Generator) -> None:
    """Set encoder, bottleneck and decoder of `generator` so that it shows `pictures` again.

    Args:
        pictures: Nx3xHxW in [0, 1], typical sources.
        occlusion: Nx1xhxw, maps as they dim the features; what they hide counts little.

    Leaves the generator in evaluation mode, with batch norm statistics that are not to be changed any more.
    """
    generator.eval()
    blocks = (generator.first, *generator.down_blocks, *generator.up_blocks)
    for norm in (m for block in blocks for m in block.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.reset_parameters()  # mean 0, variance 1: it changes nothing

    kernel = generator.first.conv.weight
    colours = kernel.shape[1]
    kernel[:colours] = 0
    kernel[range(colours), range(colours), kernel.shape[2] // 2, kernel.shape[3] // 2] = 1
    generator.first.conv.bias[:colours] = 0
    levels = [generator.first(pictures)]
    kept = colours
    for block in generator.down_blocks:
        kept = _keep(block, colours, kept)
        levels.append(block(levels[-1]))
    deepest = levels.pop()
    out = deepest * resized(occlusion, deepest.shape[2:])
    shown = 0.05 + occlusion

    for block in generator.bottleneck:
        block.conv2.weight.zero_()
        block.conv2.bias.zero_()
    recalibrate(generator.bottleneck, lambda: generator.bottleneck(out), 1)

    for block in generator.up_blocks[:-1]:
        larger = F.interpolate(out, scale_factor=2)
        solve(block.conv, larger, levels.pop()[:, : block.conv.out_channels], shown, rng)
        out = block(out)
    last = generator.up_blocks[-1]
    solve(last.conv, F.interpolate(out, scale_factor=2), pictures, shown, rng)
    _bend(last, colours)
    truth = pictures.clamp(0.02, 0.98)
    slope = (truth * (1 - truth)).mean(1, keepdim=True)  # of the sigmoid
    solve(generator.final, last(out), truth.logit(), resized(shown, truth.shape[2:]) * slope, rng)


def _keep(block: SameBlock, colours: int, kept: int) -> int:
    """Let the first channels keep the colours, their differences, and what came in; returns how many."""
    weight, bias = block.conv.weight, block.conv.bias
    plans = [(c, _LINES[0], _LINES[0]) for c in range(colours)]
    plans += [(c, y, x) for c in range(colours) for y, x in ((_LINES[0], _LINES[1]), (_LINES[0], _LINES[2]))]
    plans += [(c, y, x) for c in range(colours) for y, x in ((_LINES[1], _LINES[0]), (_LINES[2], _LINES[0]))]
    plans += [(c, _LINES[0], _LINES[0]) for c in range(colours, kept)]
    plans += [(c, y, x) for c in range(colours) for y in _LINES[1:] for x in _LINES[1:]]
    plans = plans[: len(weight)]
    for i, (channel, down, across) in enumerate(plans):
        weight[i] = 0
        weight[i, channel] = torch.outer(down, across)
        bias[i] = 0.0 if down[1] == across[1] == 1 else 0.5
    return len(plans)


def solve(conv: nn.Conv2d, inputs: Tensor, target: Tensor, weight: Tensor, rng: torch.Generator) -> None:
    """The first channels of `conv` such that they answer `target` to `inputs` (weighted ridge regression)."""
    weight = resized(weight, target.shape[2:])
    size = conv.kernel_size[0]
    around = torch.arange(size, device=inputs.device)
    rows, answers = [], []
    for i in range(len(inputs)):
        chosen = torch.randint(target[i, 0].numel(), (_SAMPLES,), generator=rng).to(inputs.device)
        y, x = chosen // target.shape[3], chosen % target.shape[3]
        padded = F.pad(inputs[i], [size // 2] * 4)
        patches = padded[:, y[:, None, None] + around[:, None], x[:, None, None] + around]
        row = patches.transpose(0, 1).flatten(1)
        row = torch.cat([row, row.new_ones(_SAMPLES, 1)], dim=1)
        scale = weight[i].flatten()[chosen, None]
        rows.append(row * scale)
        answers.append(target[i].flatten(1)[:, chosen].T * scale)
    a, b = torch.cat(rows).double(), torch.cat(answers).double()
    normal = a.T @ a
    normal += _RIDGE * normal.diagonal().mean() * torch.eye(len(normal)).to(normal)
    solution = torch.linalg.solve(normal, a.T @ b).T.float()
    conv.weight[: len(solution)] = solution[:, :-1].view(-1, *conv.weight.shape[1:])
    conv.bias[: len(solution)] = solution[:, -1]


def _bend(block: SameBlock, colours: int) -> None:
    """Add the colours' bright and dark parts as channels, which make the sigmoid's inverse nearly linear."""
    weight, bias = block.conv.weight, block.conv.bias
    for n, (sign, bend) in enumerate(((1, 0.75), (-1, 0.25), (1, 0.9), (-1, 0.1)), start=1):
        part = slice(n * colours, min((n + 1) * colours, len(weight)))
        count = len(weight[part])
        weight[part] = sign * weight[:count]
        bias[part] = sign * (bias[:count] - bend)
