"""Weaker motion: frames on the way from the source to the driving frame, as `--strength` below 1 moves it.

Rendered frames differ by far more than those of somebody who speaks to a camera. What is right where a mouth opens
by 20 pixels has to be right where it opens by two, or lips and lids are left behind by what is around them.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..network import Keypoints
from ..network.layers import coordinate_grid
from .data import Pairs

_DENSE, _EMPTY = 0.3, 0.02  # pieces of surface that arrive at a place, of one that nothing stretches
_ALIKE = 0.5  # places, that the ways of these may differ by: beyond, they are several surfaces


def weakened(pairs: Pairs, strength: Tensor) -> Pairs:
    """The pairs with every visible place moved by B `strength`, in (0, 1], of its way from the source.

    Landmarks, flow, `visible` and `face` are those of the weaker motion; the driving picture stays, for there is
    none of it. Hidden is what the source hides of the sitter, such as a mouth's inside, where nothing that it shows
    comes before it. What cannot be told is not `inside`: where several surfaces meet, or none arrives.
    """
    weaker = strength < 1
    if not weaker.any():
        return pairs
    s = strength.to(pairs.flow)[:, None, None, None]
    grid = coordinate_grid(*pairs.flow.shape[1:3], pairs.flow)
    way = (pairs.flow - grid).permute(0, 3, 1, 2)
    places = grid + (1 - s) * way.permute(0, 2, 3, 1)
    known = pairs.known * pairs.inside
    sitter, told = _arrived(way, known * pairs.face, places)
    wall, told_of_wall = _arrived(way, known * (1 - pairs.face), places)
    inner, told_of_inner = _arrived(way, (1 - pairs.known) * pairs.inside * pairs.face, places)
    alike = _ALIKE * 2 / (pairs.flow.shape[2] - 1)
    face, bare = told[:, :1] > _DENSE, told[:, :1] < _EMPTY
    behind = bare & (told_of_wall[:, :1] > _DENSE)
    opened = bare & (told_of_wall[:, :1] < _EMPTY) & (told_of_inner[:, :1] > _DENSE)
    way = torch.where(face, sitter, torch.where(opened, inner, wall))
    slower = replace(
        pairs,
        target=torch.lerp(pairs.origin, pairs.target, s[..., 0]),
        flow=grid + (s * way).permute(0, 2, 3, 1),
        visible=(~opened).float(),
        face=(face | opened).float(),
        inside=(face & (told[:, 1:] < alike) | behind | opened).float(),
    )
    return pairs.replaced(weaker, slower)


def _arrived(way: Tensor, weight: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """What comes upon each place of the grid when every place of it goes to its one of the Bxhxwx2 `places`.

    Returns:
        Bx2xhxw: the mean `way` (Bx2xhxw) of all that arrives there, by Bx1xhxw `weight`; and Bx2xhxw: how much
        that is, and how different their ways are.
    """
    b, _, h, w = way.shape
    values = torch.cat([way, way.square().sum(1, keepdim=True), torch.ones_like(weight)], dim=1) * weight
    extent = places.new_tensor([w - 1, h - 1])
    pixels = (places + 1) / 2 * extent
    corner = pixels.floor()
    landed = values.new_zeros(b, 4, h * w)
    for right in (0, 1):
        for below in (0, 1):
            at = corner + pixels.new_tensor([right, below])
            share = (1 - (pixels - at).abs()).prod(-1) * ((at >= 0) & (at <= extent)).all(-1)
            index = (at[..., 1].clamp(0, h - 1) * w + at[..., 0].clamp(0, w - 1)).long().view(b, 1, -1)
            landed.scatter_add_(2, index.expand(-1, 4, -1), (values * share[:, None]).flatten(2))
    landed = landed.view(b, 4, h, w)
    amount = landed[:, 3:]
    mean, square = (landed[:, :3] / amount.clamp(min=1e-6)).split((2, 1), dim=1)
    unlike = (square - mean.square().sum(1, keepdim=True)).clamp(min=0).sqrt()
    return mean, torch.cat([amount, unlike], dim=1)


def turned(origin: Keypoints, target: Keypoints, strength: Tensor) -> Tensor:
    """The Jacobians BxKx2x2 of `target` at B `strength`, as relative motion has them (`transfer.transfer`)."""
    change = target.jacobian @ torch.linalg.inv(origin.jacobian)
    one = torch.eye(2).to(change)
    return (
        torch.lerp(one.expand_as(change), change, strength.to(change)[:, None, None, None]) @ origin.jacobian
    )
