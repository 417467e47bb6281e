"""Make docs/panel.jpg and docs/first-run.jpg of screenshots that the tests take of the real Blender.

make test BLENDER=/path/to/blender && python tools/panel_picture.py panel
FIRST_RUN=… BLENDER=… python -m pytest tests/blender/test_first_run.py && python tools/panel_picture.py first-run
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
GAP, GREY = 12, (70, 70, 70)


@dataclass(frozen=True)
class Sheet:
    """Moments side by side: the screenshots' folder and names, what is to be seen of each, at which width."""

    folder: str
    moments: tuple[str, ...]
    box: tuple[int, int, int, int]
    width: int


SHEETS = {
    "panel": Sheet(
        "screenshots",
        ("01-nothing-chosen", "02-chosen", "05-more-progress", "06-frame-1"),
        box=(1025, 80, 1308, 760),  # the sidebar, of a screen of 1600 x 900
        width=283,
    ),
    "first-run": Sheet(
        "screenshots-first-run",
        ("02-before", "12-chosen", "14-viewed"),
        box=(408, 80, 1308, 810),  # the 3D view's right side
        width=600,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sheet", choices=SHEETS)
    parser.add_argument("--build", type=Path, default=ROOT / "build", metavar="DIR")
    options = parser.parse_args()
    sheet = SHEETS[options.sheet]
    files = [options.build / sheet.folder / f"{name}.png" for name in sheet.moments]
    if missing := [str(file) for file in files if not file.is_file()]:
        sys.exit(f"There is no {', '.join(missing)}: run the tests in a real Blender first.")
    left, top, right, bottom = sheet.box
    height = round((bottom - top) * sheet.width / (right - left))
    picture = Image.new("RGB", ((sheet.width + GAP) * len(files) - GAP, height), GREY)
    for number, file in enumerate(files):
        with Image.open(file) as shot:
            part = shot.convert("RGB").crop(sheet.box).resize((sheet.width, height), Image.Resampling.LANCZOS)
        picture.paste(part, (number * (sheet.width + GAP), 0))
    picture.save(ROOT / "docs" / f"{options.sheet}.jpg", quality=88)


if __name__ == "__main__":
    main()
