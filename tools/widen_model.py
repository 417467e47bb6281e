"""Makes of a model a wider one that answers the same, for training to go on from (`train --start`).

python tools/widen_model.py MODEL CONFIG --output wide.safetensors

CONFIG has the architecture: as many levels as MODEL's, layers as wide or wider, as many residual blocks or more.
Each new feature is a copy of an old one, and what reads them divides its weights among the copies at random, so
that they learn different things (Chen et al., "Net2Net", 2016, function-preserving wider networks). New residual
blocks begin as the identity.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fomm_core import models  # noqa: E402
from fomm_core.errors import UserError  # noqa: E402
from fomm_core.models import Model  # noqa: E402
from fomm_core.network.layers import Hourglass, ResBlock, SameBlock  # noqa: E402

SHARE = (0.6, 1.4)  # of a weight that copies divide among them, before they add up to it


class Widening:
    """Copies weights, and remembers for each layer's features which old one each is a copy of.

    Args:
        seed: of the choice of copies and of their shares.
    """

    def __init__(self, seed: int = 0):
        self.rng = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def model(self, old: Model, new: Model) -> None:
        """Give `new` the answers of `old`. Raises `UserError` where it has no room for them."""
        try:
            self._detector(old.kp_detector, new.kp_detector)
            self._generator(old.generator, new.generator)
        except (RuntimeError, ValueError, IndexError) as error:
            raise UserError(
                "model",
                f"{old.name} does not fit into the configuration ({error}).",
                "Give one with as many keypoints and levels, and layers at least as wide.",
            ) from error

    def _detector(self, old: nn.Module, new: nn.Module) -> None:
        features = self._hourglass(old.predictor, new.predictor)
        self._last(old.kp, new.kp, features)
        self._last(old.jacobian, new.jacobian, features)

    def _generator(self, old: nn.Module, new: nn.Module) -> None:
        dense, wider = old.dense_motion_network, new.dense_motion_network
        features = self._hourglass(dense.hourglass, wider.hourglass)
        self._last(dense.mask, wider.mask, features)
        self._last(dense.occlusion, wider.occlusion, features)

        features = self._block(old.first, new.first, torch.arange(old.first.conv.in_channels))
        for pair in zip(old.down_blocks, new.down_blocks, strict=True):
            features = self._block(*pair, features)
        if len(new.bottleneck) < len(old.bottleneck):
            raise ValueError(f"{len(new.bottleneck)} residual blocks are fewer than {len(old.bottleneck)}")
        for number, block in enumerate(new.bottleneck):
            if number < len(old.bottleneck):
                self._residual(old.bottleneck[number], block, features)
            else:
                nn.init.zeros_(block.conv2.weight)
                nn.init.zeros_(block.conv2.bias)
        for pair in zip(old.up_blocks, new.up_blocks, strict=True):
            features = self._block(*pair, features)
        self._last(old.final, new.final, features)

    def _hourglass(self, old: Hourglass, new: Hourglass) -> Tensor:
        """Returns which old feature each of the output is a copy of."""
        levels = [torch.arange(old.encoder.down_blocks[0].conv.in_channels)]
        for pair in zip(old.encoder.down_blocks, new.encoder.down_blocks, strict=True):
            levels.append(self._block(*pair, levels[-1]))
        features = levels.pop()
        for narrow, wide in zip(old.decoder.up_blocks, new.decoder.up_blocks, strict=True):
            features = torch.cat(
                [self._block(narrow, wide, features), levels.pop() + narrow.conv.out_channels]
            )
        return features

    def _block(self, old: SameBlock, new: SameBlock, inputs: Tensor) -> Tensor:
        outputs = self._copies(old.conv.out_channels, new.conv.out_channels)
        self._convolution(old.conv, new.conv, inputs, outputs)
        _norm(old.norm, new.norm, outputs)
        return outputs

    def _residual(self, old: ResBlock, new: ResBlock, features: Tensor) -> None:
        inner = self._copies(old.conv1.out_channels, new.conv1.out_channels)
        _norm(old.norm1, new.norm1, features)
        self._convolution(old.conv1, new.conv1, features, inner)
        _norm(old.norm2, new.norm2, inner)
        self._convolution(old.conv2, new.conv2, inner, features)

    def _last(self, old: nn.Conv2d | None, new: nn.Conv2d | None, inputs: Tensor) -> None:
        """A convolution whose outputs mean something: there are no more of them."""
        if (old is None) != (new is None):
            raise ValueError("one of them estimates what the other does not")
        if old is not None:
            self._convolution(old, new, inputs, torch.arange(old.out_channels))

    def _copies(self, old: int, new: int) -> Tensor:
        """For each of the `new` features the old one that it is a copy of; each has one at least."""
        if new < old:
            raise ValueError(f"{new} features are fewer than {old}")
        return torch.cat([torch.arange(old), torch.randint(old, (new - old,), generator=self.rng)])

    def _convolution(self, old: nn.Conv2d, new: nn.Conv2d, inputs: Tensor, outputs: Tensor) -> None:
        low, high = SHARE
        share = low + (high - low) * torch.rand(len(outputs), len(inputs), generator=self.rng)
        total = torch.zeros(len(outputs), old.in_channels).index_add_(1, inputs, share)
        share = share / total[:, inputs]
        new.weight.copy_(old.weight[outputs][:, inputs] * share[:, :, None, None])
        new.bias.copy_(old.bias[outputs])


def _norm(old: nn.BatchNorm2d, new: nn.BatchNorm2d, copies: Tensor) -> None:
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(new, name).copy_(getattr(old, name)[copies])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("model", help="a model, by name or file")
    parser.add_argument("config", help="the wider architecture: a configuration, by name or file")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    try:
        old, new = models.load(asked.model), models.build(models.read_config(asked.config))
        Widening(asked.seed).model(old, new)
        models.save(asked.output, new, {"widened": old.name})
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
