"""Lids that close: the skin above an eye comes down over it, as far as the clip's lids do.

A detector sees a blink well; the dense motion, smooth and coarse, squeezes an eye that is a few of its places high
and leaves it open, and a portrait that never blinks stares. Where a model says which of its keypoints are the
corners and the lids of an eye, the canvas draws the upper lid over it: the painting's own lid, its edge where the
frame's lids say, and the skin up to the brow stretched after it. The eye below stays where its corners carry it.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .features import Axes, Feature, Patch, bowed, sampled
from .heads import Head, Poses
from .smoothing import smoothstep

# An eye's keypoints: the corner on the sitter's left, the other one, the lids.
EYES = (
    ("eye_l_outer", "eye_l_inner", "eye_l_upper", "eye_l_lower"),
    ("eye_r_inner", "eye_r_outer", "eye_r_upper", "eye_r_lower"),
)
# An eye closes from where its lids are nearer than at rest by the first number to where they are by the second, in
# widths of the wider eye: the keypoints of shut lids are not all that near, and those of open ones tremble.
CLOSING = (0.05, 0.16)
# Both eyes blink: so much counts how far the other one has closed.
OTHER = 0.25
# Where the edges of the lids are. The upper one's is so far above its keypoint, in widths of the eye; the lower
# one's keypoint lies on the skin below it, and its edge at this share of the way there. They meet so far beyond the
# corners, and are as much steeper there than parabolas as these powers make them.
UPPER, LOWER, BEYOND, STEEP = 0.1, 0.5, 0.08, (0.7, 0.6)
# The lid that comes down is cut where the lashes end, or they would hang from it: in so many places along it,
# within so much above its edge, in widths of the eye, where it first is as bright as this share of the skin there.
PLACES, CUT, BRIGHT = 13, (0.03, 0.2), 0.85
# It gets a new edge, of a colour so far from the lid's towards the darkest of the eye's: how thick it is to either
# side, in widths, and at least, in pixels, for there the motion changes from one pixel to the next.
LASHES, THICK, COVERED = 0.6, 0.04, 0.9
# The skin is stretched from so far above the lid on, in widths, the more the nearer to it, by this power.
SKIN, STRETCH = 0.45, 1.5
# The motion is the model's own again from this far around the eye and that skin on, in widths.
AROUND = 0.3
# An eye that is this much shut moves with its corners alone; one that is less so, in part as the model says.
CERTAIN = 0.25


class Lids(Feature):
    """One eye's lids, as they are painted.

    Args:
        head, rows, origin, pose: as `Feature` takes them.
        others: the other eye's rows.
        unit: the width of the wider eye, in [-1, 1].
        seen: 1x3xhxw, of 255, the region of the painting as it is seen, of any size.
    """

    def __init__(
        self,
        head: Head,
        rows: list[int],
        origin: np.ndarray,
        pose: Poses,
        others: list[int],
        unit: float,
        seen: Tensor,
    ):
        super().__init__(head, rows, origin, pose)
        self._others, self._unit = others, unit
        self._lashes, self._cut = self._looks(seen)

    @classmethod
    def of(cls, head: Head | None, origin: np.ndarray, seen: Tensor) -> list[Lids]:
        """As `Lids`, of both eyes; none where the model does not say where they are, or there is no head."""
        if head is None or not all(rows := [head.rows_of(*names) for names in EYES]):
            return []
        if (pose := head.poses(origin[None])) is None:
            return []
        unit = max(float(np.linalg.norm(origin[eye[0]] - origin[eye[1]])) for eye in rows)
        return [cls(head, eye, origin, pose, other, unit, seen) for eye, other in (rows, rows[::-1])]

    def _changed(
        self, displacement: Tensor, keypoints: np.ndarray, rest: Axes, axes: Axes, scale: float
    ) -> Patch | None:
        """How the upper lid comes down, if it does."""
        side = displacement.shape[1]
        shut = self._shut(keypoints, scale)
        if shut <= 0:
            return None
        reach, above = AROUND * rest.width, SKIN * rest.width
        rows, columns = axes.box((above + reach) / scale, side)
        y, x = torch.meshgrid(torch.arange(side)[rows], torch.arange(side)[columns], indexing="ij")
        along, down = axes.seen(x, y)
        share, down = axes.share(along), down * scale
        bow, upper, lower = _edges(rest, share)
        corner = (4 * bow).clamp(max=1)  # towards the corners nothing is cut, and there are no lashes
        # How far the lid's edge comes down, and so what of the skin above it is seen where.
        way = shut * (lower - upper).clamp(min=0)
        edge, top = upper + way, upper - above
        cut = shut * rest.width * corner * _along(self._cut, share)
        stretched = (way + cut) * ((down - top) / (above + way)).clamp(0, 1) ** STRETCH
        followed = torch.where((down < edge) & (bow > 0), stretched, 0.0)
        moved = (rest.place(rest.along_of(share), down - followed) - torch.stack([x, y])) / side
        thick = max(THICK * rest.width, COVERED * scale)
        lashes = (1.75 - (down - edge).abs() / thick).clamp(0, 1) * corner

        beside = torch.maximum(-along, along - axes.width) * scale
        away = torch.stack([beside, down - lower, top - down]).clamp(min=0).square().sum(0).sqrt()
        near = (smoothstep(1 - away / reach) * smoothstep(torch.tensor(shut / CERTAIN))).to(displacement)
        return Patch(
            rows, columns, torch.lerp(displacement[:, rows, columns], moved.to(displacement), near), near,
            shut * lashes.to(near), self._lashes.expand(3, *near.shape),
        )  # fmt: skip

    def _shut(self, keypoints: np.ndarray, scale: float) -> float:
        """From 0, as at rest, to 1."""
        low, high = CLOSING
        own, other = (min(self._nearer(r, keypoints, scale), high) for r in (self._rows, self._others))
        return float(smoothstep(np.asarray(((1 - OTHER) * own + OTHER * other - low) / (high - low))))

    def _nearer(self, rows: list[int], keypoints: np.ndarray, scale: float) -> float:
        """How much nearer an eye's lids are than at rest, in widths of the wider eye."""
        rest, axes = (Axes.of(k[rows].astype(np.float64)) for k in (self._origin, keypoints))
        return ((rest.lower - rest.upper) - (axes.lower - axes.upper) * scale) / self._unit

    def _looks(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """(3,1,1), of 255, the colour of the new lashes; (PLACES,), how far above its edge the lid is cut."""
        axes = Axes.of_keypoints(self._origin[self._rows], min(seen.shape[2:]))
        share, part = torch.meshgrid(torch.linspace(0.2, 0.8, 13), torch.linspace(0, 1, 13), indexing="ij")
        _, upper, lower = _edges(axes, share)
        colours = sampled(seen, axes.place(axes.along_of(share), torch.lerp(upper, lower, part)))
        light = colours.mean(0)
        dark = colours[:, light <= torch.quantile(light, 0.1)].mean(1)

        share, above = torch.meshgrid(torch.linspace(0, 1, PLACES), torch.linspace(*CUT, 18), indexing="ij")
        _, upper, _ = _edges(axes, share)
        colours = sampled(seen, axes.place(axes.along_of(share), upper - above * axes.width))
        light = colours.mean(0)
        skin = light >= BRIGHT * torch.quantile(light, 0.75, dim=1, keepdim=True)
        cut = above[torch.arange(PLACES), skin.int().argmax(1)]
        lashes = torch.lerp(colours[:, skin].mean(1), dark, LASHES)[:, None, None]
        return lashes, F.avg_pool1d(F.pad(cut[None], (1, 1), mode="replicate"), 3, 1)[0]


def _edges(axes: Axes, share: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """From 0 where the lids meet to 1 in their middle; how far down the upper and the lower one's edge is there."""
    bow = bowed(0.5 + (share - 0.5) / (1 + 2 * BEYOND))
    upper = (axes.upper - UPPER * axes.width) * bow ** STEEP[0]
    return bow, upper, LOWER * axes.lower * bow ** STEEP[1]


def _along(values: Tensor, share: Tensor) -> Tensor:
    """Values at even steps from 0 to 1, between them linearly, at each share."""
    place = share.clamp(0, 1) * (len(values) - 1)
    first = place.long().clamp(max=len(values) - 2)
    return torch.lerp(values[first], values[first + 1], (place - first).to(values))
