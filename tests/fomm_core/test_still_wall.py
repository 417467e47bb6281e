"""A whole job with the included model: its sitter moves, and the wall behind does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation

from fomm_core import job, matte, media, regions
from fomm_core.control import Control
from fomm_core.protocol import Job

EXAMPLES = Path(__file__).parents[2] / "examples"
SIZE = 400
OUTLINE = 24  # pixels, around the sitter where it is painted and where it moves to


def example() -> tuple[np.ndarray, torch.Tensor, regions.Region]:
    """The example in the frames' size, and its sitter's region, 1x3xhxw of 255."""
    painting = media.scaled(media.as_seen(media.read_painting(EXAMPLES / "painting.jpg")), SIZE)
    region = regions.around_sitter(painting)
    seen = torch.from_numpy(regions.crop(painting, region).copy()).permute(2, 0, 1)[None].float()
    return painting, seen, region


@pytest.fixture(scope="module")
def wall() -> np.ndarray:
    """Where the painting shows wall far enough from the sitter, in the frames' size."""
    painting, seen, (x, y, w, h) = example()
    shown = np.zeros(painting.shape[:2], bool)
    shown[y : y + h, x : x + w] = matte.matte(seen)[0, 0].numpy() > 0.02
    inside = np.zeros_like(shown)
    inside[y : y + h // 2, x : x + w] = True
    return inside & ~binary_dilation(shown, iterations=OUTLINE)


def changed(wall: np.ndarray, folder: Path, **options) -> float:
    """The largest share of the wall that is another than painted, of all frames."""
    request = Job(
        str(EXAMPLES / "painting.jpg"), str(EXAMPLES / "driving.mp4"), str(folder), device="cpu", size=SIZE,
        fps=2.0, end=2.0, **options,
    )  # fmt: skip
    done = job.run(request, Control("test", lambda event: None))
    painting = media.scaled(media.read_painting(Path(request.painting)), SIZE)
    frames = [
        media.read_painting(media.frame_path(Path(done.path), n, "png")) for n in range(1, done.frames + 1)
    ]
    assert max(np.abs(frame.astype(int) - painting).mean() for frame in frames) > 1  # the sitter moves
    return max((frame != painting).any(-1)[wall].mean() for frame in frames)


def test_the_wall_stands_still_unless_it_is_not_asked_to(wall, tmp_path):
    assert wall.sum() > 2000
    still, moving = changed(wall, tmp_path / "still"), changed(wall, tmp_path / "moving", still_wall=False)
    assert still == 0
    assert moving > 0.0008  # little: the network sees where the sitter ends, but in a small picture


def test_dark_hair_before_a_dark_wall_is_the_sitters_where_a_lit_look_shows_it(monkeypatch):
    """The lock beside the neck, of which the look at the picture as it is sees hardly anything."""
    _, seen, region = example()
    top, bottom, left, right = (round(share * region.w) for share in (0.7, 0.78, 0.31, 0.37))
    lock = (..., slice(top, bottom), slice(left, right))
    lit = matte.matte(seen)[lock].mean()
    monkeypatch.setattr(matte, "LIT", 1.0)
    assert lit > 0.6 > 1.3 * matte.matte(seen)[lock].mean()
