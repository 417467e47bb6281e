"""The frames' sections, and what is carved on them, as plain numbers: no bpy.

A section runs round the moulding from the sight edge out to the back, closed. Its points are (out, forward): out
from the sight edge in widths of the moulding, forward from the wall in depths of it, so that one section serves
frames of any size. Carving lies on a section: its points are (along, out, forward), `along` in repeats of the
pattern.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

Pair = tuple[float, float]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Section:
    """A line across the moulding.

    Attributes:
        points: (out, forward).
        ridges: for each point how much of a ridge (1) or a hollow (0) it is: where gilding wears, where dust lies.
        closed: it comes back to its beginning.
    """

    points: tuple[Pair, ...]
    ridges: tuple[float, ...]
    closed: bool = True

    def forward(self, out: float) -> float:
        """How far forward the moulding's face is there."""
        hits = []
        for (a, fa), (b, fb) in zip(self.points, self.points[1:], strict=False):
            if min(a, b) <= out <= max(a, b):
                hits.append(max(fa, fb) if a == b else fa + (fb - fa) * (out - a) / (b - a))
        return max(hits)


@dataclass
class Carving:
    """A piece of carving as a mesh: vertices (along, out, forward), faces, and for each vertex its ridge."""

    vertices: list[Point] = field(default_factory=list)
    faces: list[list[int]] = field(default_factory=list)
    ridges: list[float] = field(default_factory=list)

    def grid(self, columns: int, rows: int, place: Callable[[float, float], tuple[Point, float]]) -> Carving:
        """Add a sheet: `place(s, t)` is a vertex and its ridge, s from 0 to 1 along and t from 0 to 1 outwards."""
        first = len(self.vertices)
        for j in range(rows + 1):
            for i in range(columns + 1):
                vertex, ridge = place(i / columns, j / rows)
                self.vertices.append(vertex)
                self.ridges.append(ridge)
        for j in range(rows):
            for i in range(columns):
                a = first + j * (columns + 1) + i
                self.faces.append([a, a + columns + 1, a + columns + 2, a + 1])
        return self


def _section(*runs: tuple[list[Pair], float], closed: bool = True) -> Section:
    points, ridges = [], []
    for run, ridge in runs:
        for point in run:
            if not points or math.dist(point, points[-1]) > 1e-6:
                points.append(point)
                ridges.append(ridge)
    return Section(tuple(points), tuple(ridges), closed)


def _arc(center: Pair, radii: Pair, start: float, end: float, steps: int) -> list[Pair]:
    """Points of an ellipse's arc from the angle `start` to `end`, in degrees."""
    angles = (math.radians(start + (end - start) * i / steps) for i in range(steps + 1))
    return [(center[0] + radii[0] * math.cos(a), center[1] + radii[1] * math.sin(a)) for a in angles]


BACK = ([(1.0, 0.03), (0.97, 0.0), (0.0, 0.0)], 0.2)

# The hollow and the torus on which the gilded frame is carved.
HOLLOW_CENTER, HOLLOW_RADII, HOLLOW_ARC = (0.205, 0.90), (0.36, 0.36), (-90.0, -8.0)
TORUS_CENTER, TORUS_RADII = (0.70, 0.885), (0.10, 0.115)
BEAD_CENTER, BEAD_RADIUS = (0.115, 0.48), 0.042
# An Italian moulding of the 17th century, which the gilded and the dark wooden frame share.
HOLLOW = _section(
    ([(0.0, 0.30), (0.0, 0.445)], 0.35),  # reveal
    (_arc((0.05, 0.445), (0.05, 0.065), 180, 90, 4), 0.9),  # lip
    ([(0.05, 0.51), (0.07, 0.475), (0.16, 0.475), (0.18, 0.51)], 0.1),  # channel for the beads
    ([(0.18, 0.51), (0.205, 0.51)], 0.9),  # fillet
    ([(0.205, 0.51), (0.205, 0.54)], 0.4),
    (_arc(HOLLOW_CENTER, HOLLOW_RADII, *HOLLOW_ARC, 12), 0.45),  # the great hollow
    ([(0.5615, 0.85), (0.60, 0.85), (0.60, 0.885)], 0.75),  # step
    (_arc(TORUS_CENTER, TORUS_RADII, 180, 0, 12), 0.85),  # top torus
    ([(0.80, 0.885), (0.80, 0.82), (0.83, 0.80)], 0.15),
    (_arc((0.83, 0.63), (0.13, 0.17), 90, 0, 8), 0.7),  # shoulder
    ([(0.96, 0.63), (0.985, 0.63), (1.0, 0.61)], 0.8),
    BACK,
)
PLAIN = _section(
    ([(0.0, 0.45), (0.0, 0.72)], 0.4),
    (_arc((0.10, 0.72), (0.10, 0.10), 180, 105, 4), 0.8),  # eased sight edge
    (_arc((0.93, 0.93), (0.07, 0.07), 98, 0, 5), 0.8),  # a face that rises a little outwards
    BACK,
)
# A cabinet maker's frame of Amsterdam, about 1650: a flat frieze between waved mouldings.
RIPPLE = _section(
    ([(0.0, 0.28), (0.0, 0.40)], 0.4),
    ([(0.015, 0.42), (0.115, 0.44), (0.13, 0.50), (0.15, 0.515)], 0.6),
    ([(0.15, 0.515), (0.40, 0.56), (0.41, 0.60), (0.43, 0.62)], 0.5),  # frieze
    ([(0.43, 0.62), (0.44, 0.80), (0.60, 0.80), (0.61, 0.72), (0.63, 0.70)], 0.6),  # under the great wave
    ([(0.63, 0.70), (0.79, 0.58), (0.80, 0.54), (0.82, 0.53)], 0.5),  # frieze, falling back
    ([(0.82, 0.53), (0.965, 0.50), (0.985, 0.46), (1.0, 0.44)], 0.7),
    BACK,
)
# The mouldings that the waves are cut into lie on the others.
WAVES = (
    _section((_arc((0.078, 0.405), (0.058, 0.085), 170, 10, 7), 0.8), closed=False),
    _section((_arc((0.52, 0.80), (0.095, 0.20), 190, -10, 9), 0.8), closed=False),
    _section((_arc((0.89, 0.49), (0.062, 0.10), 170, 10, 7), 0.8), closed=False),
)
# A thin frame that does not touch the canvas.
SHADOW_GAP = _section(
    ([(0.0, 0.16), (0.60, 0.16), (0.60, 0.985)], 0.1),
    ([(0.612, 1.0), (0.985, 1.0), (1.0, 0.985)], 0.8),
    ([(1.0, 0.985), (1.0, 0.0), (0.0, 0.0)], 0.2),
)
# The canvas turned round its stretcher, seen in that gap.
TURNED_EDGE = _section(([(-0.012, 0.9), (0.0, 0.885), (0.0, 0.1)], 0.5), closed=False)
# A passe-partout: from its bevelled window out under the moulding, lying on the canvas.
MAT = _section(([(0.0, 0.0), (0.03, 0.07), (1.04, 0.07), (1.04, 0.0)], 0.5))

# What is waved or carved comes in repeats of about these lengths, in widths of the moulding.
WAVE_PITCH, WAVE_HEIGHT = 0.085, 0.012
BEAD_PITCH = 2.15 * BEAD_RADIUS
FLUTE_PITCH = 0.115
LEAF_PITCH = 0.24


def bead() -> Carving:
    """The front half of a ball and a little more. Its `along` is in widths, too: a bead stays round."""

    def place(s: float, t: float) -> tuple[Point, float]:
        tilt, turn = math.radians(100) * (1 - t), math.tau * s
        ring, front = BEAD_RADIUS * math.sin(tilt), BEAD_RADIUS * math.cos(tilt)
        x, out = ring * math.cos(turn), BEAD_CENTER[0] + ring * math.sin(turn)
        return (x, out, BEAD_CENTER[1] + 1.28 * front), 0.25 + 0.7 * t

    return Carving().grid(8, 3, place)


def flute() -> Carving:
    """A flute of the great hollow, with its half of the fillets on both sides."""
    low, high = HOLLOW_ARC[0] + 7, HOLLOW_ARC[1] - 5

    def place(s: float, t: float) -> tuple[Point, float]:
        turn = math.radians(low + (high - low) * t)
        # How far from the flute's spine, 1 at its rim: the ends are round.
        end = max(0.0, (abs(t - 0.5) - 0.37) / 0.11)
        rim = min(1.0, math.hypot((2 * s - 1) / 0.84, end))
        lift = 0.006 + 0.04 * (1.0 - math.sqrt(1.0 - rim * rim))
        if t in (0.0, 1.0):  # it sinks into the moulding
            lift = -0.01
        out = HOLLOW_CENTER[0] + (HOLLOW_RADII[0] - lift) * math.cos(turn)
        return (
            s,
            out,
            HOLLOW_CENTER[1] + (HOLLOW_RADII[1] - 1.28 * lift) * math.sin(turn),
        ), 0.1 + 0.8 * rim**4

    return Carving().grid(8, 10, place)


def laurel() -> Carving:
    """Laurel leaves over the torus: one on its top, and one to either side, half a repeat further."""

    def leaf(along: float, aside: float) -> float:
        """The height of a leaf from its stalk at `along` 0 to its tip at 1; `aside` is 0 on its midrib."""
        if not 0.0 < along < 1.0:
            return 0.0
        half = math.sin(math.pi * along**0.8) ** 0.7
        across = abs(aside) / max(half, 1e-6)
        if across >= 1.0:
            return 0.0
        rib = 0.35 * max(0.0, 1.0 - abs(aside) / 0.14)
        return (0.25 + 0.55 * along) * (1.0 - across**2) ** 0.5 * (1.0 - rib) + 0.12

    def place(s: float, t: float) -> tuple[Point, float]:
        aside = (2 * t - 1) * 1.5  # in half widths of a leaf
        height = max(
            [leaf((s + k) / 1.2, aside / 0.62) for k in (0, 1)]
            + [leaf((s + k + 0.5) / 1.2, (aside - c) / 0.62) for k in (-1, 0, 1) for c in (-1.0, 1.0)]
        )
        lift = 0.085 * height if 0.0 < t < 1.0 else -0.01
        turn = math.pi * (1.0 - t)
        out = TORUS_CENTER[0] + (TORUS_RADII[0] - 0.02 + 0.7 * lift) * math.cos(turn)
        return (
            s,
            out,
            TORUS_CENTER[1] + (TORUS_RADII[1] - 0.03 + 1.28 * lift) * math.sin(turn),
        ), 1.3 * height

    return Carving().grid(14, 16, place)


def corner() -> Carving:
    """A shell over the mitre, opening inwards from the outer corner.

    Its vertices are (p, q, forward): how far beyond the sight edge's corner along the one and the other side, in
    widths. It is the same seen from both.
    """
    focus, lobes, spread = 0.80, 9, math.radians(48)

    def place(s: float, t: float) -> tuple[Point, float]:
        turn = spread * (2 * s - 1)
        lobe = s * lobes
        aside = 2 * (lobe - math.floor(min(lobe, lobes - 1e-9))) - 1  # -1 to 1 across a lobe
        center = abs(
            2 * (math.floor(min(lobe, lobes - 1e-9)) + 0.5) / lobes - 1
        )  # 0 the middle lobe, 1 the last
        reach = (0.82 + 0.42 * center**1.5) * (1.0 - 0.12 * aside**2)
        r = 0.05 + reach * t
        across = turn + math.pi / 4
        p, q = focus - r * math.cos(across), focus - r * math.sin(across)
        out = min(max(p, q, 0.17), 0.85)
        round_ = math.sqrt(max(0.0, 1.0 - 0.92 * aside**2))
        curl = 0.55 + 0.9 * t**3  # the tips curl up
        lift = 0.085 * (0.18 + 0.82 * round_) * curl * min(1.0, 6 * (1 - t)) ** 0.5 * min(1.0, 0.35 + 2 * t)
        if t >= 1.0 or s in (0.0, 1.0):
            lift = -0.03
        return (p, q, HOLLOW.forward(out) + 1.28 * lift), 0.1 + 0.8 * round_

    shell = Carving().grid(8 * lobes, 16, place)
    boss = (focus - 0.03, focus - 0.03)

    def knob(s: float, t: float) -> tuple[Point, float]:
        tilt, turn = math.radians(95) * (1 - t), -math.tau * s
        ring, front = 0.10 * math.sin(tilt), 0.10 * math.cos(tilt)
        return (
            boss[0] + ring * math.cos(turn),
            boss[1] + ring * math.sin(turn),
            HOLLOW.forward(boss[0]) + 0.9 * front,
        ), 0.3 + 0.6 * t

    return shell.grid(14, 6, knob)
