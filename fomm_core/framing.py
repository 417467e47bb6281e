"""The square of a picture that a keypoint detector looks at: as much of it as the head needs.

A detector sees a picture at a quarter of its size or so; of a head that fills it, it tells more. The square is the
same for all frames of a clip, so that the head's motion stays motion.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .network import Keypoints
from .network.layers import coordinate_grid

# Half a square's side, in units of the keypoints' root mean square distance from their middle: about as far as they
# reach on a head that is still.
REACH = 1.8
# The frames that tell a clip's square are not all of its frames: so much larger it is taken.
ROOM = 1.05
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
    """One of `around`, (3,), with some room, moved into the picture; the whole where it is hardly smaller."""
    x, y, half = square.tolist()
    half *= ROOM
    if half > WORTHWHILE:
        return WHOLE
    room = 1 - half
    return Square(min(max(x, -room), room), min(max(y, -room), room), half)


def cut(images: Tensor, square: Square) -> Tensor:
    """BxCxSxS: the square of the BxCxSxS `images`, as large as these."""
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
