"""A region of the painting as a job takes it, X,Y,W,H in pixels from the top left, and as it is dragged. No bpy."""

from __future__ import annotations

from typing import NamedTuple

# A job refuses what is smaller (fomm_core.regions, which needs more Python than Blender has, says so too).
SMALLEST = 16

Point = tuple[float, float]  # in pixels from the painting's top left, y downwards


class Region(NamedTuple):
    """In whole pixels of the painting. It may reach past the edge."""

    x: int
    y: int
    w: int
    h: int

    def __str__(self) -> str:
        return ",".join(map(str, self))


def parse(text: str) -> Region | None:
    """The region that `text` gives in figures; None for auto, full and what is no region."""
    try:
        return Region(*(int(part) for part in text.split(",")))
    except (ValueError, TypeError):
        return None


def dragged(start: Point, end: Point, free: bool = False) -> Region:
    """The region from where the mouse went down to where it is: a square unless `free`, growing the way it went."""
    x, y = round(start[0]), round(start[1])
    w, h = round(abs(end[0] - start[0])), round(abs(end[1] - start[1]))
    if not free:
        w = h = max(w, h)
    return Region(x if end[0] >= start[0] else x - w, y if end[1] >= start[1] else y - h, w, h)


def problem(region: Region, width: int, height: int) -> str:
    """Why `region` cannot move in a painting of that size, for the one who dragged it; empty when it can."""
    if min(region.w, region.h) < SMALLEST:
        return f"Too small: at least {SMALLEST} pixels a side."
    if region.x >= width or region.y >= height or region.x + region.w <= 0 or region.y + region.h <= 0:
        return "That is beside the picture."
    return ""
