"""The square of a picture that a keypoint detector looks at: as much of it as the head needs.

A detector sees a picture at a quarter of its size or so; of a head that fills it, it tells more. The square is the
same for all frames of a clip, so that the head's motion stays motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .network import Keypoints
from .network.layers import coordinate_grid

# Half a square's side, in units of the keypoints' root mean square distance from their middle: about as far as they
# reach on a head that is still.
REACH = 1.8
# The detector looks twice, by this share of half a square's side up and left of it, and down and right. What a look
# gets wrong is partly its own, so the mean of both is nearer.
APART = 0.03
# What makes a square less than this much smaller shows hardly more.
WORTHWHILE = 0.97


class Square(NamedTuple):
    """Of a picture in [-1, 1]: where its middle is, and half its side."""

    x: float
    y: float
    half: float


WHOLE = Square(0.0, 0.0, 1.0)


def around(points: Tensor) -> Tensor:
    """Bx3: middle (x, y) and half the side of the squares around BxFxKx2 keypoints of a head, of F frames each.

    None of its keypoints leaves the square; that may leave the picture.
    """
    low, high = points.amin((1, 2)), points.amax((1, 2))
    spread = (points - points.mean(2, keepdim=True)).square().sum(-1).mean((1, 2)).sqrt()
    half = torch.maximum(REACH * spread, (high - low).amax(1) / 2)
    return torch.cat([(low + high) / 2, half[:, None]], dim=1)


def within_picture(square: Tensor) -> Square:
    """One of `around`, (3,), moved into the picture; the whole where it is hardly smaller."""
    x, y, half = square.tolist()
    if half > WORTHWHILE:
        return WHOLE
    room = 1 - half
    return Square(min(max(x, -room), room), min(max(y, -room), room), half)


def looks(square: Square) -> list[Square]:
    """What the detector looks at for the keypoints in the square; the whole it sees as it is."""
    if square == WHOLE:
        return [square]
    x, y, half = square
    return [Square(x + way * half, y + way * half, half) for way in (-APART, APART)]


def cut(images: Tensor, square: Square) -> Tensor:
    """BxCxSxS: the square of the BxCxSxS `images`, as large as these; beyond the edge they go on as they end."""
    if square == WHOLE:
        return images
    middle = images.new_tensor([square.x, square.y])
    places = coordinate_grid(*images.shape[2:], images) * square.half + middle
    places = places.expand(len(images), -1, -1, -1)
    return F.grid_sample(images, places, padding_mode="border", align_corners=True)


def placed(found: Keypoints, square: Square) -> Keypoints:
    """Keypoints that were found in the square, as keypoints of the whole picture."""
    if square == WHOLE:
        return found
    value = found.value * square.half + found.value.new_tensor([square.x, square.y])
    return Keypoints(value, None if found.jacobian is None else found.jacobian * square.half)


def mean(found: Sequence[Keypoints]) -> Keypoints:
    """Of what several looks have found, all in the whole picture."""
    value = torch.stack([one.value for one in found]).mean(0)
    if found[0].jacobian is None:
        return Keypoints(value, None)
    return Keypoints(value, torch.stack([one.jacobian for one in found]).mean(0))
