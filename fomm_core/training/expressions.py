"""Expressions that no rendered head makes: the face's features moved at random, each on its own.

A rendered mouth moves as its head's few expressions move it, the lower lip with the chin and both corners alike,
and what turns a landmark's surroundings tells it as well as the landmark does. A network that has seen nothing
else moves lips by what chins do. Here it sees that each landmark says what is right around it, whatever the
others do.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..network.layers import coordinate_grid, sample
from .data import Pairs

_REACH = (0.12, 0.37)  # of a push, its Gaussian's standard deviation, in the landmarks' own from their middle
_STEEPEST = 0.6  # at 1 the picture would fold
_STEPS = 12


def invented(pairs: Pairs, parts: list[int], chosen: Tensor, rng: torch.Generator) -> Pairs:
    """The pairs with the landmarks `parts` pushed about where B `chosen`, and with all that is around them.

    Landmarks, flow, `visible`, `face` and `inside` are those of the driving frame so distorted; its picture stays.
    """
    if not chosen.any():
        return pairs
    count = len(chosen)
    reach, amount = torch.rand(2, count, generator=rng)
    push = torch.randn(count, len(parts), 2, generator=rng)
    middle = pairs.target.mean(1, keepdim=True)
    size = (pairs.target - middle).square().sum(-1).mean(1).sqrt()
    reach = size * (_REACH[0] + (_REACH[1] - _REACH[0]) * reach.to(size))
    push = push.to(size) * (reach * amount.to(size) * chosen.to(size))[:, None, None]
    centres = pairs.target[:, parts]

    def pushed(places: Tensor) -> Tensor:
        """How far the BxNx2 places are from where they were."""
        near = (places[:, :, None] - centres[:, None]).square().sum(-1) / reach[:, None, None].square()
        return torch.exp(-0.5 * near) @ push

    h, w = pairs.flow.shape[1:3]
    grid = coordinate_grid(h, w, pairs.flow).view(1, -1, 2).expand(count, -1, -1)
    way = pushed(grid).view(count, h, w, 2)
    steep = [way.diff(dim=axis).abs().amax((1, 2, 3)) * (n - 1) / 2 for axis, n in ((1, h), (2, w))]
    gentle = (_STEEPEST / torch.maximum(*steep).clamp(min=_STEEPEST))[:, None, None]
    push = push * gentle
    places = (grid - pushed(grid)).view(count, h, w, 2)
    maps = torch.cat([pairs.flow.permute(0, 3, 1, 2), pairs.visible, pairs.face, pairs.inside], dim=1)
    flow, visible, face, inside = sample(maps, places.clamp(-1, 1)).split([2, 1, 1, 1], dim=1)
    target = pairs.target
    for _ in range(_STEPS):
        target = pairs.target + pushed(target)
    distorted = replace(
        pairs,
        target=target,
        flow=flow.permute(0, 2, 3, 1),
        visible=visible.clamp(0, 1),
        face=(face > 0.5).float(),
        inside=(inside > 0.5).float() * (places.abs() <= 1).all(-1)[:, None],
    )
    return pairs.replaced(chosen, distorted.wall_standing(distorted.face == 0))
