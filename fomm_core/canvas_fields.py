"""How one sitter's pixels change in one frame: where they come from, what is hidden, and what light falls on them.

All of it is smooth, so it is worked out at the model's own resolution, whatever the painting's is; `canvas`
applies it to the painting's pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import hulls
from .animator import Prediction
from .backdrop import Backdrop
from .beyond import Edges
from .heads import Head
from .lids import Lids
from .mouth import Mouth
from .network import resized
from .network.layers import coordinate_grid
from .pins import Pins
from .smoothing import smoothstep, spread

# The motion fades to stillness over this share of the region's side, so that no seam shows. Where the painting
# itself ends there is none: a head near the frame would be drawn out towards it.
FADE = 0.12
# The sitter is what lies within this distance of the keypoints' hull, in the region's half sides: face keypoints
# leave out hair, hats and shoulders. Over as much again the motion fades.
REACH, SOFTNESS = 0.35, 0.4
# Colours are compared on pictures of this side, each place by what is seen within this many of its pixels.
MATCH_SIDE, MATCH_REACH = 64, 12
# A place counts as hidden by how much less the painting shows it than it does at rest, softened by this much.
TRUST = 0.1
# Doubt up to the first number hides nothing, or the prediction's softness would lie over all that moves; from the
# second on, the prediction is all there is.
DOUBT = (0.35, 0.9)
# Where the wall behind the sitter is known, the painting's own pixels are shown, hidden or not, until a place takes
# up less than the first share of one of them; from the second on, the prediction is all there is.
DRAWN_OUT = (0.5, 0.25)
# The light that the prediction adds is smoothed over this many pixels of MATCH_SIDE to either side, and bounded
# softly to this much of 255: a weak generator's errors are larger than what light does to a face.
LIGHT_REACH, LIGHT_LIMIT = 2, 40.0
# It falls on the face, and ends within this many half sides of the region beside it.
BESIDE = 0.15


class Fields(NamedTuple):
    """What becomes of the sitter's pixels, as one (8,S,S) float32 tensor, and what its channels are.

    A pixel becomes `kept * painting[place + displacement] + painted`, and as much of that as is `wall` the wall
    behind the sitter.

    Attributes:
        displacement: (2,S,S), (x, y) in shares of the region's width and height.
        kept: (1,S,S) in [0, 1].
        painted: (3,S,S), of 255, multiplied by what is not kept already, and the light besides.
        support: (1,S,S) in [0, 1]; where it is 0 the displacement and what is painted are 0, all is kept, and the
            canvas changes nothing.
        wall: (1,S,S) in [0, 1].
    """

    displacement: Tensor
    kept: Tensor
    painted: Tensor
    support: Tensor
    wall: Tensor


class Sitter:
    """The source's side of the fields: what each frame of one sitter is compared with.

    Args:
        seen: (h,w,3) float32 of 255, the region of the painting as it is seen, of any size.
        origin: (K,2), the source's keypoints in [-1, 1] of the region.
        still: what the model predicts for no motion, of one frame (see `Animator.still`).
        head, still_wall: as `Canvas` takes them.
        edges: where in the region the painting ends.

    Attributes:
        backdrop: that wall; None where there is no telling it from the sitter.
    """

    def __init__(
        self,
        seen: np.ndarray,
        origin: np.ndarray,
        still: Prediction,
        head: Head | None,
        still_wall: bool,
        edges: Edges,
    ):
        self.origin, self._head = origin, head
        side = (MATCH_SIDE, MATCH_SIDE)
        self._painting = F.interpolate(_tensor(seen), side, mode="area")
        self._still = F.interpolate(_tensor(still.image), side, mode="area")
        self._trust = _map(still.occlusion)
        self._fade = _fade(len(still.image), edges)
        whole = resized(_tensor(seen), still.image.shape[:2])
        mouth = Mouth.of(head, origin, self._painting)
        self._features = [*Lids.of(head, origin, whole), *([mouth] if mouth else [])]
        self._pins = Pins.of(head, origin)
        self.backdrop = Backdrop.of(head, origin, whole, still, edges) if still_wall else None

    def fields(self, prediction: Prediction, keypoints: np.ndarray) -> Fields:
        """The fields of one frame, from its prediction and its driving keypoints (K,2)."""
        size = prediction.image.shape[:2]
        shares = _shares(torch.from_numpy(prediction.deformation))
        if self.backdrop:
            shares = self.backdrop.carried(shares, prediction.background, keypoints)
        if self._pins:
            shares = self._pins.pinned(shares, keypoints)
        displacement = _smoothly(shares, size[0])
        support = _smoothly(_tensor(support_map(self.origin, keypoints))[0], size[0])
        support = support.clamp(0, 1) * self._fade

        hidden = self._hidden(_map(prediction.occlusion), _motion(shares))
        trusted = 1 - hidden
        if self.backdrop:
            hidden = hidden * _drawn_out(shares)
        image = _tensor(prediction.image)
        motion = _motion(resized(shares[None], self._painting.shape[2:])[0])
        small = F.interpolate(image, self._painting.shape[2:], mode="area")
        painted = image + resized(self._colour_shift(small, motion, 1 - hidden), size)
        light = self._light(small, motion) * resized(trusted, small.shape[2:])
        if self._head:
            light *= self._within(keypoints, small.shape[2:])
        light = resized(light, size)
        hidden = resized(hidden, size) * support
        for feature in self._features:
            if (patch := feature.patch(displacement, keypoints)) is None:
                continue
            part = (..., patch.rows, patch.columns)
            displacement[part] = patch.displacement
            light[part] *= 1 - patch.near
            painted[part] = torch.lerp(painted[part], patch.colour, patch.inside)
            hidden[part] = torch.maximum(hidden[part] * (1 - patch.near), patch.inside * support[part])
        painted = torch.lerp(light * support, painted, hidden)
        displacement *= support
        wall = self.backdrop.bared(displacement) if self.backdrop else torch.zeros_like(support)
        return Fields(displacement, 1 - hidden[0], painted[0], support, wall)

    def _hidden(self, occlusion: Tensor, motion: Tensor) -> Tensor:
        """1x1xhxw in [0, 1], 1 where the painting does not show what the frame needs.

        A model distrusts some places, such as eyes, in stillness too, where the painting shows all there is:
        only what it trusts less than at rest is hidden.
        """
        doubt = 1 - (occlusion + TRUST) / (_moved(self._trust, motion) + TRUST)
        low, high = DOUBT
        return smoothstep((doubt - low) / (high - low))

    def _light(self, small: Tensor, motion: Tensor) -> Tensor:
        """1x3xhxw, of 255: how the prediction's low frequencies change beyond being moved."""
        change = small - _moved(self._still, motion)
        # What comes from beyond the region the network has never seen: its prediction there is a guess.
        change *= (motion.abs() <= 1).all(-1)
        change = spread(change, LIGHT_REACH)
        return LIGHT_LIMIT * torch.tanh(change / LIGHT_LIMIT)

    def _within(self, keypoints: np.ndarray, size: Sequence[int]) -> Tensor:
        """1x1xhxw, 1 on the face and 0 away from it: beside it the prediction is off by more than light does."""
        away = torch.from_numpy(hulls.distance(keypoints[self._head.rows]))[None, None]
        return 1 - smoothstep(resized(away, size) / BESIDE)

    def _colour_shift(self, small: Tensor, motion: Tensor, seen: Tensor) -> Tensor:
        """1x3xhxw, what has to be added to the prediction for the painting's colours.

        Where the painting is seen, it is known by how much the prediction is off; the hidden places next to
        it are taken to be off by as much, so that no edge of another colour shows around them.
        """
        weight = resized(seen, small.shape[2:]).square()
        wrong = (_moved(self._painting, motion) - small) * weight
        around = spread(torch.cat([wrong, weight], dim=1), MATCH_REACH)
        return around[:, :3] / (around[:, 3:] + 1e-3)


def support_map(origin: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """(n,n,1) float32 in [0, 1]: 1 on the sitter of keypoints (K,2), at rest and in the frame, 0 far from it."""
    away = hulls.distance(np.concatenate([origin, keypoints]))
    return smoothstep(1 - (away - REACH) / SOFTNESS)[..., None]


def _fade(side: int, edges: Edges) -> Tensor:
    """(side,side), 0 along the border, 1 further in than `FADE`, smooth between; 1 up to the painting's edges."""
    ramp = smoothstep(np.arange(side, dtype=np.float32) / side / FADE)
    left, top, right, bottom = (ramp if edge is None else np.ones_like(ramp) for edge in edges)
    return torch.from_numpy(np.outer(np.minimum(top, bottom[::-1]), np.minimum(left, right[::-1])))


def _shares(deformation: Tensor) -> Tensor:
    """(2,h,w), how far from it each place of the (h,w,2) deformation looks, in shares of the region's sides.

    1 is the centre of the last pixel, which lies nearer to the picture's edge the finer the pixels are: as
    coordinates, another resolution's stillness would be a zoom.
    """
    height, width = deformation.shape[:2]
    shares = (deformation - coordinate_grid(height, width, deformation)).permute(2, 0, 1)
    return shares * torch.tensor([(n - 1) / (2 * n) for n in (width, height)])[:, None, None]


def _drawn_out(shares: Tensor) -> Tensor:
    """(h,w) in [0, 1]: where (2,h,w) shares draw out what is painted so far that it shows nothing any more."""
    height, width = shares.shape[1:]
    (ax, ay), (bx, by) = (torch.gradient(part * n) for part, n in zip(shares, (width, height), strict=True))
    # How much of the painting a place takes up: torch's gradients are down, then across.
    taken = (1 + ay) * (1 + bx) - ax * by
    few, none = DRAWN_OUT
    return smoothstep((few - taken) / (few - none))


def _motion(shares: Tensor) -> Tensor:
    """1xhxwx2, the deformation that (2,h,w) shares are at their own resolution."""
    height, width = shares.shape[1:]
    scale = torch.tensor([2 * n / max(n - 1, 1) for n in (width, height)])
    return (coordinate_grid(height, width, shares) + shares.permute(1, 2, 0) * scale)[None]


def _smoothly(maps: Tensor, side: int) -> Tensor:
    """Cxhxw maps at (side,side), without creases, which show in a large painting, and without overshoot.

    A cubic B-spline: where the deformation tears, bilinear values leave steps, and bicubic ones swing.
    """
    rows, columns = (_spline(n, side) for n in maps.shape[1:])
    return rows @ maps @ columns.T


@cache
def _spline(before: int, after: int) -> Tensor:
    """(after,before) weights that bring `before` values to `after`."""
    places = (torch.arange(after)[:, None] + 0.5) * (before / after) - 0.5
    distance = (places - torch.arange(before)).abs()
    near, far = 2 / 3 - distance.square() + distance**3 / 2, (2 - distance).clamp(min=0) ** 3 / 6
    weights = torch.where(distance < 1, near, far)
    return weights / weights.sum(1, keepdim=True)


def _moved(maps: Tensor, motion: Tensor) -> Tensor:
    """1xCxhxw maps seen through the 1xh'xw'x2 motion; beyond the edge they go on as they end there."""
    return F.grid_sample(maps, motion, padding_mode="border", align_corners=True)


def _tensor(image: np.ndarray) -> Tensor:
    """1xCxhxw float32 of an (h,w,C) image."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()


def _map(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values)[None, None]
