"""Makes docs/gallery.jpg of what `make demo` rendered: four moments of the film.

python tools/readme_picture.py [build/demo/gallery.mp4]
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fomm_core.media import VideoReader  # noqa: E402

MOMENTS = (0.0, 0.45, 0.7, 0.9)  # of the film's length


def main() -> None:
    film = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "demo" / "gallery.mp4"
    reader = VideoReader(film)
    wanted = {round(moment * (reader.estimate - 1)) for moment in MOMENTS}
    a, b, c, d = (frame for number, frame in enumerate(reader) if number in wanted)
    picture = np.vstack([np.hstack([a, b]), np.hstack([c, d])])
    Image.fromarray(picture).save(ROOT / "docs" / "gallery.jpg", quality=88)


if __name__ == "__main__":
    main()
