"""Draws moments of many paintings, each moved by one clip: what a model does to portraits, it shows in many.

    python -m portraits sitters --output build/sitters
    python tools/look_at_many.py build/sitters --clip examples/driving.mp4 --output build/sitters.jpg

A row has the painting and frames evenly spread over the clip. For torn necks and folded hats there is no number.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fomm_core import api, media  # noqa: E402

PAINTINGS = {".jpg", ".jpeg", ".png", ".webp"}


def row(painting: Path, options: argparse.Namespace, load: api.warm.Load) -> np.ndarray:
    """The painting and its moments, (H,W,3), side by side."""
    animation = api.prepare(painting, options.clip, model=options.model, load=load, size=options.side)
    wanted = set(np.linspace(0, len(animation) - 1, options.moments).round().astype(int))
    shown = [frame[..., :3] for number, frame in enumerate(animation.frames()) if number in wanted]
    height, width = shown[0].shape[:2]
    still = Image.fromarray(media.as_seen(animation.painting)).resize((width, height))
    return np.concatenate([np.asarray(still), *shown], axis=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paintings", type=Path, help="a folder")
    parser.add_argument("--clip", type=Path, default=ROOT / "examples" / "driving.mp4")
    parser.add_argument("--model", default="starter")
    parser.add_argument("--moments", type=int, default=6)
    parser.add_argument("--side", type=int, default=320, help="a frame's longest side")
    parser.add_argument("--output", type=Path, required=True, help="a picture")
    options = parser.parse_args()
    paintings = sorted(path for path in options.paintings.iterdir() if path.suffix.lower() in PAINTINGS)
    if not paintings:
        sys.exit(f"There is no painting in {options.paintings}. `python -m portraits sitters` draws some.")
    load = api.WarmModel().load
    rows = [row(painting, options, load) for painting in paintings]
    width = max(part.shape[1] for part in rows)
    rows = [np.pad(part, ((0, 4), (0, width - part.shape[1]), (0, 0))) for part in rows]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(options.output, quality=92)
    return 0


if __name__ == "__main__":
    sys.exit(main())
