"""Make docs/panel.jpg of the screenshots that the click-through takes of the real Blender's sidebar.

make test BLENDER=/path/to/blender && python tools/panel_picture.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SHOTS = ROOT / "build" / "screenshots"
# What is to be seen of a screen of 1600 x 900: the sidebar, at these moments.
MOMENTS = ("01-nothing-chosen", "02-chosen", "05-more-progress", "06-frame-1")
SIDEBAR = (1025, 80, 1308, 760)
GAP, GREY = 12, (70, 70, 70)


def main() -> None:
    missing = [name for name in MOMENTS if not (SHOTS / f"{name}.png").is_file()]
    if missing:
        sys.exit(f"{SHOTS} has no {', '.join(missing)}: run the tests in a real Blender first.")
    left, top, right, bottom = SIDEBAR
    width, height = right - left, bottom - top
    sheet = Image.new("RGB", ((width + GAP) * len(MOMENTS) - GAP, height), GREY)
    for number, name in enumerate(MOMENTS):
        with Image.open(SHOTS / f"{name}.png") as shot:
            sheet.paste(shot.convert("RGB").crop(SIDEBAR), (number * (width + GAP), 0))
    sheet.save(ROOT / "docs" / "panel.jpg", quality=88)


if __name__ == "__main__":
    main()
