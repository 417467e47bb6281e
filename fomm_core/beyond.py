"""How a sitter goes on beyond the painting's edge, which a head that moves away from it brings into view."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .regions import Region

# It is made up for so many pixels of a matte, from how wide the sitter is at the edge and so many pixels within.
BEYOND, WITHIN = 40, 6
# What is shown of it is so much of what lies between the edge and the first keypoint: hair, but no brows.
SHOWN = 1 / 6


class Edges(NamedTuple):
    """Where the painting ends, in shares of a region's sides; None where the region ends first."""

    left: float | None
    top: float | None
    right: float | None
    bottom: float | None

    @classmethod
    def of(cls, region: Region, width: int, height: int) -> Edges:
        """The edges of a painting of that size in pixels."""
        x, y, w, h = region
        return cls(
            -x / w if x <= 0 else None,
            -y / h if y <= 0 else None,
            (width - x) / w if x + w >= width else None,
            (height - y) / h if y + h >= height else None,
        )

    def part(self, side: int) -> tuple[slice, slice]:
        """Rows and columns of an SxS map that lie on the painting; at least one of each."""
        first = [0 if edge is None else min(round(edge * side), side - 1) for edge in (self.top, self.left)]
        last = [side if edge is None else max(round(edge * side), 1) for edge in (self.bottom, self.right)]
        return tuple(slice(a, max(b, a + 1)) for a, b in zip(first, last, strict=True))


class Fold(NamedTuple):
    """The painting's two edges along a row or column of a region, in pixels, at which what lies beyond is mirrored.

    Again and again, so that nothing of what is painted deeper is shown twice.

    Attributes:
        edges: None where the region ends first.
        depths: how far within each edge may be shown.
    """

    edges: tuple[float | None, float | None]
    depths: tuple[float, float]

    @classmethod
    def of(cls, edges: Edges, origin: np.ndarray, axis: int, length: int) -> Fold:
        """Along an axis, 0 for rows and 1 for columns, of so many pixels.

        Args:
            origin: (K,2), the source's keypoints in [-1, 1] of the region.
        """
        first, last = (
            None if edge is None else edge * length - 0.5 for edge in (edges[axis], edges[axis + 2])
        )
        places = (origin[:, axis] + 1) / 2 * length
        depths = (places.min() - (first or 0), (length if last is None else last) - places.max())
        return cls((first, last), tuple(max(SHOWN * float(depth), 1.0) for depth in depths))

    def within(self, displacement: Tensor, line: Tensor) -> Tensor:
        """(h,w) displacement of the places on the line, changed where it leads beyond an edge."""
        (first, last), (start, stop) = self.edges, line.aminmax()
        least, most = displacement.aminmax()
        if first is not None and start + least < first:
            outside = (first - line - displacement).clamp(min=0)
            displacement = torch.maximum(displacement, first - line) + _swinging(outside, self.depths[0])
        if last is not None and stop + most > last:
            outside = (line + displacement - last).clamp(min=0)
            displacement = torch.minimum(displacement, last - line) - _swinging(outside, self.depths[1])
        return displacement


def _swinging(outside: Tensor, depth: float) -> Tensor:
    return depth - (outside.remainder(2 * depth) - depth).abs()


def domed(shown: np.ndarray) -> np.ndarray:
    """An (h,w) matte with `BEYOND` pixels more on each side, where a head that the edge cuts off goes on as a dome.

    Its two sides go on from the outline's at the edge and `WITHIN` it. What goes around a corner goes on as it is.
    """
    wide = np.pad(shown, BEYOND, mode="edge")
    for turns in range(4):
        turned = np.rot90(wide, turns)  # a view
        edge, within = (turned[row, BEYOND:-BEYOND] > 0.5 for row in (BEYOND, BEYOND + WITHIN))
        goes_on = np.zeros((BEYOND, len(edge)))
        for first, last in _runs(edge):
            wider = [run for run in _runs(within) if run[0] <= (first + last) / 2 <= run[1]]
            columns = slice(max(first - WITHIN, 0), last + 1 + WITHIN)
            if first == 0 or last == len(edge) - 1:
                goes_on[:, columns] = 1
            elif wider:
                dome = _dome((first, last), wider[0], len(edge))
                goes_on[:, columns] = np.maximum(goes_on, dome)[:, columns]
        turned[:BEYOND, BEYOND:-BEYOND] *= goes_on
    return wide


def _dome(edge: tuple[int, int], within: tuple[int, int], length: int) -> np.ndarray:
    """(BEYOND,length), the dome on an edge's run of places, by that which it has become `WITHIN` the picture.

    The square of a side's width w falls by b t + c t² on a way of t outwards: a circle has c = 1, and b is how the
    outline has come. Both sides end at the height of the circle that ends first, so that what only touches the
    edge is at an end there whatever lies beside it.
    """
    middle, half = (edge[0] + edge[1]) / 2, (edge[1] - edge[0] + 1) / 2
    wider = np.array([middle - within[0], within[1] - middle]) + 0.5
    falls = np.maximum(wider**2 - half**2, 0) / WITHIN
    height = max(float((np.hypot(falls, 2 * half) - falls).min() / 2), 0.5)
    bends = (half**2 - falls * height) / height**2
    along, out = np.arange(length) - middle, np.arange(BEYOND, 0, -1)[:, None]
    falls, bends = (np.where(along < 0, *both) for both in (falls, bends))
    left = np.sqrt(np.maximum(half**2 - falls * out - bends * out**2, 0))
    inside = np.minimum(left - np.abs(along), height - out)
    return np.clip(inside + 0.5, 0, 1)


def _runs(line: np.ndarray) -> list[tuple[int, int]]:
    """First and last places of each stretch of a line of bools that is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]]).astype(int)))
    return [(int(start), int(stop) - 1) for start, stop in edges.reshape(-1, 2)]
