"""Draws the pictures of docs/how-it-works.md and docs/driving-videos.md from examples/, with the bundled model.

python tools/docs_pictures.py [--output docs]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fomm_core import api, media, sheet, track_cache  # noqa: E402

PAINTING, VIDEO = ROOT / "examples" / "painting.jpg", ROOT / "examples" / "driving.mp4"
WIDTH = 1400  # of a sheet, in pixels
SIDE, GAP = 300, 8  # of a picture that stands beside others
# The clip without a mouth: ffmpeg's width, height, left and top.
TOO_CLOSE = "crop=150:150:85:30"
NODDING, NEUTRAL_AGAIN = 15, 99  # frames of the clip
TURNED = 2.64  # seconds into it


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "docs", metavar="DIR")
    folder = parser.parse_args().output
    with track_cache.apart(), tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        explained(work / "1.png", folder / "how-it-works.jpg", reference_frame="first")
        explained(work / "2.png", folder / "how-it-works-absolute.jpg", first_row=True, motion="absolute")
        close = work / "close.mp4"
        cropped = ["-i", VIDEO, "-vf", TOO_CLOSE, "-crf", "12", close]
        subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *cropped], check=True)
        columns = [
            column(VIDEO, NODDING),
            column(close, NODDING, driving_region="full"),
            column(VIDEO, NEUTRAL_AGAIN),
            column(VIDEO, NEUTRAL_AGAIN, start=TURNED),
        ]
        space = np.full((columns[0].shape[0], GAP, 3), 255, np.uint8)
        row = np.concatenate([part for each in columns for part in (each, space)][:-1], axis=1)
        write(Image.fromarray(row), folder / "driving-videos.jpg")
    return 0


def explained(work: Path, target: Path, first_row: bool = False, **settings: object) -> None:
    """What `explain` draws of frame 55, scaled down."""
    api.explain(PAINTING, VIDEO, work, frame=55, **settings)
    picture = Image.open(work)
    if first_row:
        picture = picture.crop((0, 0, picture.width, 2 * sheet.MARGIN + 2 * sheet.LINE + sheet.TILE))
    height = round(picture.height * WIDTH / picture.width)
    write(picture.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS), target)


def column(video: Path, number: int, **settings: object) -> np.ndarray:
    """The clip's frame `number` above what it makes of the sitter."""
    animation = api.prepare(PAINTING, video, size=400, reference_frame="first", **settings)
    index = number - round(settings.get("start", 0) * animation.fps)
    driving = next(iter(media.VideoReader(video, number / animation.fps)))
    moved = next(animation.frames(index))[:SIDE]
    above = np.asarray(Image.fromarray(driving).resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    return np.concatenate([above, np.full((GAP, SIDE, 3), 255, np.uint8), moved])


def write(picture: Image.Image, target: Path) -> None:
    picture.save(target, quality=84, optimize=True)
    print(f"{target}: {picture.width} x {picture.height}, {target.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    sys.exit(main())
