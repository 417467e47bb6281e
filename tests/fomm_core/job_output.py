"""What tests of whole jobs look at: the pixels of their frames, the bytes of their folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fomm_core import media


def pixels(paths) -> list[np.ndarray]:
    return [media.read_painting(path) for path in paths]


def same(one, other) -> bool:
    return len(one) == len(other) and all((a == b).all() for a, b in zip(one, other, strict=True))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
