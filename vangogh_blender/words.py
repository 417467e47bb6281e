"""Figures and names as a person says them, and text in lines as wide as there is room for."""

from __future__ import annotations

import textwrap

import bpy

LETTER_PIXELS = 6.2  # of Blender's own font at a scale of 1, on average
EDGES_PIXELS = 78  # the icon, a box's border and the panel's, the tabs


def duration(seconds: float, digits: int = 0) -> str:
    """Seconds as a person says them; below a minute with so many digits after the point."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.{digits}f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def file_size(count: int) -> str:
    """Bytes as a person says them, in the decimal units that shops and systems print on disks."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if count >= size * 0.9995:
            return f"{count / size:.1f} {unit}" if count < 10 * size else f"{count / size:.0f} {unit}"
    return f"{count} bytes"


def backend_name(backend: str) -> str:
    """One of `runtime.BACKENDS` as a person knows it."""
    if backend.startswith("cu") and backend[2:].isdigit():
        return f"CUDA {backend[2:-1]}.{backend[-1]}"
    if backend.startswith("rocm"):
        return f"ROCm {backend[4:]}"
    return {"auto": "Automatic", "cpu": "CPU", "xpu": "Intel XPU"}.get(backend, backend)


def wrapped(layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str = "NONE") -> None:
    """The text in lines as wide as the region; a label alone would be cut off."""
    scale = context.preferences.system.ui_scale
    letters = max(int((context.region.width / scale - EDGES_PIXELS) / LETTER_PIXELS), 18)
    column = layout.column(align=True)
    column.scale_y = 0.75
    for number, line in enumerate(textwrap.wrap(text, letters, break_on_hyphens=False)):
        column.label(text=line, icon=icon if number == 0 else "BLANK1" if icon != "NONE" else "NONE")
