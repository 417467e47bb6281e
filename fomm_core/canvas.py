"""Puts the moving region back into the whole painting, at its own resolution."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .animator import Prediction
from .beyond import Edges, Fold
from .canvas_fields import Fields, Sitter
from .heads import Head
from .regions import Region, crop

# So many pixels are worked on at once: what a band of rows needs stays in the processor's cache, and a painting
# of any size in a memory that is not its own.
BAND = 1 << 15
# A region of no more pixels than this is kept as floats. In a larger one, each of at most so many bands takes what
# it needs: more of them would take much of it twice.
HELD, BANDS = 1 << 22, 24
# Columns that are brought to the region's resolution together.
BLOCK = 64
SEEN_SIDE = 256  # of the picture that the sitter is told from the wall in
# Where a sitter's support is above this, nothing of another sitter's motion shows through.
SOLID = 0.5


class Canvas:
    """A painting of which one sitter moves.

    The painting's own pixels are carried along by the dense motion, so that its detail survives; where
    the motion uncovers what the painting does not show (the occlusion map), the prediction is taken. Around the
    sitter, and towards the region's border within the painting, the motion fades to stillness.

    Args:
        painting: (H,W,3) RGB or (H,W,4) RGBA, uint8 or uint16, alpha not multiplied in.
        region: what moves; it may reach past the edge.
        origin: (K,2), the source's keypoints in [-1, 1] of the region.
        still: what the model predicts for no motion, of one frame (see `Animator.still`): what a frame's
            prediction does not change against it, the canvas leaves as it is painted.
        head: where on a head the keypoints are, if the model says so (see `Animator.head`): its lips part.
        still_wall: let what is behind the sitter stand still, where the model has a head and it can be told.
    """

    def __init__(
        self,
        painting: np.ndarray,
        region: Region,
        origin: np.ndarray,
        still: Prediction,
        head: Head | None = None,
        still_wall: bool = True,
    ):
        self.painting = painting
        self.region = region
        self._unit = np.iinfo(painting.dtype).max / 255
        height, width = painting.shape[:2]
        edges = Edges.of(region, width, height)
        self._sitter = Sitter(self._seen(), origin, still, head, still_wall, edges)
        self._folds = [Fold.of(edges, origin, axis, region[2 + axis]) for axis in (0, 1)]
        # The part of the region that lies on the painting, in the region's pixels.
        self._left, self._top = max(-region.x, 0), max(-region.y, 0)
        self._right, self._bottom = min(region.w, width - region.x), min(region.h, height - region.y)
        self._held = self._cut(0, region.h) if region.w * region.h <= HELD else None
        self._wall = self._made_up = None
        if backdrop := self._sitter.backdrop:
            behind = backdrop.behind()
            self._wall = self._behind(behind, backdrop.nearest_wall())
            self._made_up = (behind != 0).any(0)

    def paint(self, frame: np.ndarray, prediction: Prediction, keypoints: np.ndarray) -> None:
        """Paint the sitter onto `frame`, in place.

        Args:
            frame: like the painting; a copy of it, or one on which another sitter has been painted.
            prediction: of one frame, without the first axis.
            keypoints: (K,2), the frame's driving keypoints in [-1, 1] of the region.
        """
        fields = self._sitter.fields(prediction, keypoints)
        changes = fields.support[0] > 0
        if self._made_up is not None:  # elsewhere the wall is the painting's own
            changes &= (fields.wall[0] < 1) | self._made_up
        rows, columns = self._reach(changes, 1), self._reach(changes, 0)
        width = columns.stop - columns.start
        if width <= 0:
            return
        maps = torch.cat([
            fields.displacement * torch.tensor([self.region.w, self.region.h])[:, None, None],
            fields.kept, fields.painted * self._unit, fields.support, fields.wall,
        ])  # fmt: skip
        # Across in blocks, for the same reason as down in bands: each takes few of the fields' values.
        across = (slice(i, min(i + BLOCK, columns.stop)) for i in range(columns.start, columns.stop, BLOCK))
        maps = torch.cat([_read(maps.mT, self.region.w, block).mT for block in across], dim=2)
        step = max(1, BAND // width, 0 if self._held is not None else self.region.h // BANDS)
        share = len(changes) / self.region.h
        for first in range(rows.start, rows.stop, step):
            band = slice(first, min(first + step, rows.stop))
            part = self._reach(changes[max(int(band.start * share - 1), 0) : int(band.stop * share) + 2], 0)
            if part.stop > part.start:
                within = slice(part.start - columns.start, part.stop - columns.start)
                self._paint_band(frame, band, part, maps[..., within])

    def _paint_band(self, frame: np.ndarray, rows: slice, columns: slice, maps: Tensor) -> None:
        """Paint these rows and columns of the region by the (8,S,w) fields, in pixels and colour values."""
        fields = Fields(*_read(maps, self.region.h, rows).split([2, 1, 3, 1, 1]))
        moving = self._warped(fields.displacement, rows, columns)
        moving[:3].mul_(fields.kept).add_(fields.painted)
        x, y = self.region.x, self.region.y
        place = slice(rows.start + y, rows.stop + y), slice(columns.start + x, columns.stop + x)
        ours, rest = frame[place], self.painting[place]
        shown = fields.support[0].numpy() > 0
        wall = None if self._wall is None else self._wall[rows, columns].astype(np.float32)
        if not np.array_equal(ours, rest):
            # Another sitter has moved here: what is ours fades into what has become of the rest.
            others = ours.astype(np.float32) - rest
            through = 1 - (fields.support / SOLID).clamp(max=1)
            moving += torch.from_numpy(others).permute(2, 0, 1) * through
            wall = None if wall is None else wall + others
        if wall is not None:
            moving.lerp_(torch.from_numpy(wall).permute(2, 0, 1), fields.wall)
        if len(moving) == 4:  # what is and stays transparent has a colour that nobody sees: it is left alone
            shown &= (moving[3] >= 0.5).numpy() | (ours[..., 3] > 0)
        np.copyto(ours, self._pixels(moving), where=shown[..., None])

    def _warped(self, displacement: Tensor, rows: slice, columns: slice) -> Tensor:
        """(C,h,w), the painting as the (2,h,w) displacement, in pixels, brings it to `rows` and `columns`."""
        x, y = torch.arange(columns.start, columns.stop), torch.arange(rows.start, rows.stop)[:, None]
        dx, dy = (fold.within(part, line) for fold, part, line in zip(self._folds, displacement, (x, y)))
        top, bottom = 0, self.region.h
        pixels = self._held
        if pixels is None:
            reached = (y + dy).clamp(0, bottom - 1)
            top, bottom = max(0, int(reached.min()) - 2), min(bottom, int(reached.max()) + 4)
            pixels = self._cut(top, bottom)
        across, down = (max(n - 1, 1) / 2 for n in (self.region.w, bottom - top))
        grid = displacement.new_empty((1, *displacement.shape[1:], 2))
        torch.add(x / across - 1, dx, alpha=1 / across, out=grid[0, ..., 0])
        torch.add((y - top) / down - 1, dy, alpha=1 / down, out=grid[0, ..., 1])
        # Bicubic: bilinear sampling would blur away a third of the finest detail's energy. Motion that reaches
        # past a region's border within the painting takes its last pixels; anything else would be black.
        warped = F.grid_sample(pixels, grid, "bicubic", padding_mode="border", align_corners=True)[0]
        if len(warped) == 4:
            warped[:3].div_(warped[3].clamp(min=0.5) / (255 * self._unit))
        return warped

    def _behind(self, displacement: Tensor, nearest_wall: np.ndarray) -> np.ndarray:
        """(h,w,C) like the painting: the region with wall where the sitter is.

        Args:
            displacement: (2,S,S), in shares: what brings it. Between places that it brings from different sides, it
                brings the sitter.
            nearest_wall: (2,S,S), rows and columns: where that is taken from instead.
        """
        (height, width), (x, y, w, h) = self.painting.shape[:2], self.region
        side = nearest_wall.shape[1]
        wall = np.empty((h, w, self.painting.shape[2]), self.painting.dtype)
        maps = _read((displacement * torch.tensor([w, h])[:, None, None]).mT, w, slice(0, w)).mT
        instead = nearest_wall - np.indices((side, side))
        for first in range(0, h, step := max(1, BAND // w)):
            rows = slice(first, min(first + step, h))
            across, down = _read(maps, h, rows).round().long().numpy()
            columns, lines = np.arange(w) + across, np.arange(h)[rows, None] + down
            place = lines.clip(0, h - 1) * side // h, columns.clip(0, w - 1) * side // w
            lines += np.where(across | down, instead[0][place] * h // side, 0)
            columns += np.where(across | down, instead[1][place] * w // side, 0)
            wall[rows] = self.painting[(y + lines).clip(0, height - 1), (x + columns).clip(0, width - 1)]
        return wall

    def _cut(self, first: int, last: int) -> Tensor:
        """1xCxhxw float32, rows of the region; the colours times their alpha, which keeps dark fringes away."""
        x, y, w, _ = self.region
        pixels = crop(self.painting, Region(x, y + first, w, last - first))
        pixels = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None].contiguous()
        if pixels.shape[1] == 4:
            pixels[:, :3] *= pixels[:, 3:] / (255 * self._unit)
        return pixels

    def _pixels(self, moving: Tensor) -> np.ndarray:
        moving = moving.round_().clamp_(0, 255 * self._unit).permute(1, 2, 0)
        if self.painting.dtype == np.uint8:
            return moving.byte().numpy()
        return moving.int().numpy().astype(self.painting.dtype)

    def _reach(self, changes: Tensor, axis: int) -> slice:
        """The columns (axis 0) or rows (axis 1) of the region, on the painting, that hold all places that change.

        Args:
            changes: (S,S) of the region; for columns, only some of the rows will do.
            axis: the one that is looked along.
        """
        length = (self.region.w, self.region.h)[axis]
        first, last = ((self._left, self._right), (self._top, self._bottom))[axis]
        there = changes.any(axis).nonzero()[:, 0]
        if not len(there):
            return slice(0, 0)
        share = length / changes.shape[1 - axis]
        start, stop = (int(there[0]) - 0.5) * share, (int(there[-1]) + 1.5) * share
        return slice(max(first, int(start)), min(last, int(stop) + 1))

    def _seen(self) -> np.ndarray:
        """(n,n,3) float32 of 255, the region scaled down and laid over white, as the model sees it."""
        *_, w, h = self.region
        edges = np.linspace(0, h, min(h, SEEN_SIDE) + 1).round().astype(int)
        rows = []
        for first, last in pairwise(edges):
            pixels = self._cut(first, last) / self._unit
            if pixels.shape[1] == 4:
                pixels = pixels[:, :3] + 255 - pixels[:, 3:]
            rows.append(F.interpolate(pixels, (1, min(w, SEEN_SIDE)), mode="area"))
        return torch.cat(rows, dim=2)[0].permute(1, 2, 0).numpy()


def _read(maps: Tensor, length: int, places: slice) -> Tensor:
    """Cxnxw maps at some `places` of `length` that n values cover, linearly between them: Cxhxw."""
    weights = _interpolation(maps.shape[1], length)[places]
    needed = weights.any(0).nonzero()[:, 0]
    needed = slice(int(needed[0]), int(needed[-1]) + 1)
    return weights[:, needed] @ maps[:, needed]


@lru_cache(maxsize=16)
def _interpolation(before: int, after: int) -> Tensor:
    """(after,before) weights that bring `before` values to `after`, as `F.interpolate` does."""
    return F.interpolate(torch.eye(before)[None, None], (after, before), mode="bilinear")[0, 0]
