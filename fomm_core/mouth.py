"""Lips that part, smile and are pursed; what lies between parted ones is not in the painting.

The dense motion is smooth and coarse: it draws both lips out over an opening mouth, a small generator paints grey
over them, and those of a smile it folds. Where a model says which of its keypoints are the lips and the corners of
the mouth, the canvas lays the painting's own lips where these are, and parts them along the line where they meet.
Between them is the dark of a mouth, with the upper teeth, and with the tongue where it opens wide. The motion
around is the model's.

All of it is worked out at the prediction's resolution, in its pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .features import Axes, Feature, Patch, bowed, sampled
from .heads import Head, Poses
from .smoothing import smoothstep

NAMES = ("mouth_l", "mouth_r", "lip_upper", "lip_lower")
# Lips that change by no more than the first number of pixels move as the model says; from the second further on, as
# their keypoints do; between, in part.
STILL, CHANGED = 0.3, 2.0
# An opened mouth is an ellipse once its lips are this much further apart than at rest, in widths at rest. A narrow
# slit is a parabola.
ROUND = 0.3
# Lips that are pursed grow thicker, and their keypoints go apart without the mouth's being open: by this power of
# how much narrower it is, as measured where a real clip purses shut lips, between so much and so much. Those of a
# mouth that is open and round are stretched, and no thicker than at rest. Pressed ones keep so much of it.
PURSED, THICKNESS = 1.7, (0.75, 2.0)
THINNEST = 0.4
# Of the ellipse that a mouth is from outside: how high it is at the least, in pixels, and how far apart its foci,
# in widths, where it is as high as wide.
LOWEST, ROUNDEST = 2.0, 0.1
# The motion is the model's own from this far around the mouth on, in widths at rest. Within the second number's
# share of that way the prediction, which has no idea of lips, does not show.
AROUND, NEAR = 0.55, 0.5
EDGE = 1.5  # pixels from a lip to what is behind it
# What is in a mouth: at the top so much of the dark line between its lips, at the bottom so much of the lower lip
# and of that line.
TOP, BOTTOM = 0.45, (0.42, 0.1)
# The upper teeth: how far down they reach, in widths at rest and at the most in the opening's height, and to both
# sides of the middle, in widths; how soft these edges are; how much of them shows; how bright they are, of the
# skin's lights, and how much less of its colour they have.
TEETH, BITE, SMILE, SOFT, SHOWN = 0.16, 0.7, 0.42, (0.05, 0.2), 0.75
WHITE, PALE = 0.87, 0.2
# The tongue lies on the lower lip's side: how much of the opening it fills, how far to both sides of the middle it
# reaches, in widths, how soft its edge is. A mouth shows it that is opened further than this, in widths at rest:
# from none to all. Its red, green and blue, of the lower lip's: painted lips can be as pale as skin.
TONGUE, BROAD, ROUNDED, WIDE_OPEN = 0.62, 0.42, 0.35, (0.15, 0.5)
FLESH = torch.tensor([0.7, 0.52, 0.5])[:, None, None]


class Mouth(Feature):
    """One sitter's mouth, as it is painted.

    Args:
        head: the model's, with lips and corners of the mouth among its keypoints.
        origin: (K,2), the source's keypoints in [-1, 1] of the sitter's region.
        pose: of these.
        seen: 1x3xhxw, of 255, the region of the painting as it is seen, of any size.
    """

    def __init__(self, head: Head, origin: np.ndarray, pose: Poses, seen: Tensor):
        super().__init__(head, head.rows_of(*NAMES), origin, pose)
        self._line, self._lip, self._light = self._colours(seen)

    @classmethod
    def of(cls, head: Head | None, origin: np.ndarray, seen: Tensor) -> Mouth | None:
        """As `Mouth`; None where the model does not say where a mouth is, or its keypoints are not a head's."""
        if head is None or not head.rows_of(*NAMES) or (pose := head.poses(origin[None])) is None:
            return None
        return cls(head, origin, pose, seen)

    def _changed(
        self, displacement: Tensor, keypoints: np.ndarray, rest: Axes, axes: Axes, scale: float
    ) -> Patch | None:
        """How the lips change, if they do."""
        side = displacement.shape[1]
        further = (axes.lower - axes.upper) * scale - (rest.lower - rest.upper)
        width = axes.width * scale
        opening = _opening(further, width, rest)
        places = np.array([(a.upper, a.lower, a.width) for a in (axes, rest)])
        changed = float(np.abs(places[0] * scale - places[1]).max())
        if changed <= STILL:
            return None
        axes = axes.nearer(max(further - opening, 0.0) / scale)
        lips = _Lips(rest, axes, scale)
        reach = AROUND * rest.width / scale
        rows, columns = axes.box(reach, side)
        y, x = torch.meshgrid(torch.arange(side)[rows], torch.arange(side)[columns], indexing="ij")
        moved, between, inside, depth, teeth, tongue = lips.at(x, y)
        around, away = lips.around(x, y, displacement, reach)
        moved = torch.where(between, moved, around) / side
        amount = smoothstep(torch.tensor((changed - STILL) / CHANGED))
        return Patch(
            rows, columns,
            torch.lerp(displacement[:, rows, columns], moved, amount),
            smoothstep((1 - away) / NEAR) * amount, inside * amount, self._colour(depth, teeth, tongue),
        )  # fmt: skip

    def _colours(self, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(3,1,1) each, of 255: the line between the lips, the lower lip, and the lights of the skin around."""
        side = min(seen.shape[2:])
        axes = Axes.of_keypoints(self._origin[self._rows], side)
        share, down = torch.meshgrid(torch.linspace(0, 1, 17), torch.linspace(-0.8, 0.8, 33), indexing="ij")
        line = (axes.upper + axes.lower) / 2 * bowed(share)
        places = axes.place(axes.along_of(share), line + down * axes.width)
        colours = sampled(seen, places)
        light = colours.mean(0)

        def of(there: Tensor, lightest: float, darkest: float) -> Tensor:
            low, high = (torch.quantile(light[there], part) for part in (lightest, darkest))
            return colours[:, there & (light >= low) & (light <= high)].mean(1)[:, None, None]

        inner = (share - 0.5).abs() < 0.4
        lip = ((share - 0.5).abs() < 0.2) & (down > 0.07) & (down < 0.24)
        return (
            of(inner & (down.abs() < 0.1), 0, 0.15), of(lip, 0.3, 0.7), of(torch.ones_like(inner), 0.8, 1)
        )  # fmt: skip

    def _colour(self, depth: Tensor, teeth: Tensor, tongue: Tensor) -> Tensor:
        """(3,h,w), of 255, at these depths, from 0 at the upper lip to 1 at the lower one."""
        bottom = BOTTOM[0] * self._lip + BOTTOM[1] * self._line
        dark = torch.lerp(TOP * self._line, bottom, smoothstep(depth))
        white = WHITE * torch.lerp(self._light, self._light.max(), PALE)
        return torch.lerp(torch.lerp(dark, FLESH * self._lip, tongue), white, SHOWN * teeth)


def _opening(further: float, width: float, rest: Axes) -> float:
    """How far lips part whose keypoints are `further` apart than at rest, in a mouth so wide; in pixels at rest."""
    thickness = min(max((rest.width / width) ** PURSED, THICKNESS[0]), THICKNESS[1])
    thicker = (thickness - 1) * (rest.lower - rest.upper)
    if thicker > 0:
        thicker *= 1 - min(max((further - thicker) / (ROUND * rest.width), 0.0), 1.0)
    return max(further - thicker, 0.0)


class _Lips:
    """A frame's lips, each where its keypoint is.

    Through a lip's keypoint and the corners goes a bow. The lip between that bow and the line where both met in the
    painting, halfway between their keypoints, keeps its height, but where lips are pressed.

    Attributes:
        opening: how much further apart they are than at rest, in pixels at rest.
    """

    def __init__(self, rest: Axes, axes: Axes, scale: float):
        self._rest, self._axes, self._scale = rest, axes, scale
        thickness = (axes.lower - axes.upper) * scale
        self.opening = max(thickness - (rest.lower - rest.upper), 0.0)
        self._pressed = min(max(thickness / max(rest.lower - rest.upper, 1e-3), THINNEST), 1.0)
        self._power = 1 - 0.5 * float(smoothstep(torch.tensor(self.opening / (ROUND * rest.width))))

    def at(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """What lies at these places, (h,w) pixels.

        Returns:
            (2,h,w), how far away in the painting it is, in pixels, right between the bows; (h,w) each: what is
            between the bows; from 0 to 1, what is between the lips; how deep that is; what is a tooth there, what
            is the tongue.
        """
        rest, axes, scale = self._rest, self._axes, self._scale
        along, down = axes.seen(x, y)
        share = axes.share(along)
        bow, opened = bowed(share), bowed(share) ** self._power
        line = (rest.upper + rest.lower) / 2 * bow
        # How far below the line in the painting the upper and the lower lip would be, in pixels at rest.
        scale /= self._pressed
        upper = (down - axes.upper * opened) * scale + rest.upper * bow - line
        lower = (down - axes.lower * opened) * scale + rest.lower * bow - line
        nearest = torch.where(lower > -upper, lower, upper)
        moved = rest.place(rest.along_of(share), nearest + line) - torch.stack([x, y])
        between = (bow > 0) & (down > axes.upper * opened) & (down < axes.lower * opened)
        shown = torch.maximum(_covered(-upper), _covered(lower))
        inside = (1 - shown) * (self.opening * opened / EDGE).clamp(max=1)
        depth = (upper / (upper - lower).clamp(min=1e-3)).clamp(0, 1)
        biting = torch.minimum(TEETH * bow.sqrt(), BITE * (upper - lower) / rest.width)
        teeth = smoothstep((biting - upper / rest.width) / SOFT[0] + 0.5)
        teeth = teeth * smoothstep((SMILE - (share - 0.5).abs()) / SOFT[1])
        half = (share - 0.5).abs() / BROAD
        top = 1 - TONGUE * (1 - half.square()).clamp(min=0).sqrt()
        tongue = smoothstep((depth - top) / ROUNDED) * smoothstep((1 - half) / ROUNDED)
        low, high = (w * rest.width for w in WIDE_OPEN)
        tongue = tongue * smoothstep(torch.tensor((self.opening - low) / (high - low)))
        return moved, between, inside, depth, teeth, tongue

    def around(self, x: Tensor, y: Tensor, displacement: Tensor, reach: float) -> tuple[Tensor, Tensor]:
        """How what surrounds the mouth moves: at the bows with them, from `reach` away on as the model says.

        The model's motion on the way there is none of the skin's: it goes over from one lip to the other.

        Returns:
            (2,h,w), how far away in the painting it is, in pixels; (h,w), how far from the mouth, in `reach`.
        """
        rest, axes = self._rest, self._axes
        wide, high = axes.width / 2, max((axes.lower - axes.upper) / 2, LOWEST)
        along, down = axes.seen(x, y)
        place = torch.stack([along - wide, down - self._bend(along)])
        # What surrounds an ellipse, were the mouth not bent.
        nearest = _towards_ellipse(place, wide, high)
        off = place - nearest
        distance = torch.hypot(*off)
        away = distance / reach

        share, above = axes.share(nearest[0] + wide).clamp(0, 1), place[1] < 0
        source = rest.place(rest.along_of(share), torch.where(above, rest.upper, rest.lower) * bowed(share))
        height = torch.where(above, axes.upper, axes.lower) * bowed(share) ** self._power
        lips = source - axes.place(axes.along_of(share), height)

        along, down = nearest + off * (reach / distance.clamp(min=1e-6)).clamp(min=1)
        along = along + wide
        places = axes.place(along, down + self._bend(along))
        model = sampled(displacement[None], places) * displacement.shape[1]
        return torch.lerp(lips, model, smoothstep(away)), away

    def _bend(self, along: Tensor) -> Tensor:
        """How far down the middle between the bows is."""
        axes = self._axes
        return (axes.upper + axes.lower) / 2 * bowed(axes.share(along)) ** self._power


def _towards_ellipse(place: Tensor, wide: float, high: float) -> Tensor:
    """(2,...) where the ways from (2,...) places, relative to an ellipse's middle, meet it; those within it stay.

    The ways are hyperbolas that have its foci: straight up from a flat one, from one as high as wide straight out.
    """
    along, down = place
    focus = max(wide**2 - high**2, (ROUNDEST * wide) ** 2)
    both = along.square() + down.square() + focus
    apart = (both.square() - 4 * focus * along.square()).clamp(min=0).sqrt()
    cosine = along / ((both + apart) / 2).sqrt()
    sine = (1 - cosine.square()).clamp(min=0).sqrt().copysign(down)
    within = torch.hypot(along / wide, down / high) < 1
    return torch.where(within, place, torch.stack([wide * cosine, high * sine]))


def _covered(depth: Tensor) -> Tensor:
    """From 0 to 1, how much of each pixel lies where the (h,w) depth is above 0: with an edge of `EDGE` pixels.

    However steeply that runs through the picture, which takes the depth's gradient.
    """
    steep = torch.hypot(*torch.gradient(depth)).clamp(min=1e-3)
    return (0.5 + depth / (steep * EDGE)).clamp(0, 1)
