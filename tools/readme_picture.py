"""Makes docs/gallery.webp, the README's moving picture, of what `make demo` rendered.

python tools/readme_picture.py [build/demo/gallery.mp4]
"""

import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fomm_core.media import VideoReader  # noqa: E402

EVERY = 2  # frames of the film: 12 a second move well enough, and load in half the time
SIZE = (640, 360)
QUALITY = 85


def main() -> None:
    film = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "demo" / "gallery.mp4"
    reader = VideoReader(film)
    first, *rest = (
        Image.fromarray(frame).resize(SIZE, Image.Resampling.LANCZOS)
        for number, frame in enumerate(reader)
        if number % EVERY == 0
    )
    duration = round(1000 * EVERY / reader.fps)
    file = ROOT / "docs" / "gallery.webp"
    first.save(file, save_all=True, append_images=rest, duration=duration, loop=0, quality=QUALITY, method=6)
    print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
