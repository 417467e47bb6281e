"""What the worker is given as a painting, whatever it is in Blender."""

from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

import numpy as np  # noqa: E402

from tests.vangogh_blender.in_bpy import (  # noqa: E402
    painting,
    png_sent,
    reread,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("kind", ["generated", "painted on", "float"])
def test_a_painting_that_is_not_on_disk_as_it_is_gets_written(addon, settings, tmp_path, kind):
    chosen = settings()
    if kind == "painted on":
        image = chosen.painting
        image.pixels.foreach_set(np.tile(np.float32([0.2, 0.6, 0.4, 0.5]), 24))
        expected, dirty = (0.2, 0.6, 0.4, 0.5), True
    elif kind == "float":
        image = painting(None, save=False, float_buffer=True)
        image.pixels.foreach_set(
            np.tile(np.float32([0.2140, 0.0, 7.0, 1.0]), 24)
        )  # linear: 0.2140 is sRGB 0.5
        expected, dirty = (0.5, 0.0, 1.0, 1.0), True
    else:
        image, expected, dirty = painting(None, save=False), (0.8, 0.4, 0.2, 1.0), True
    chosen.painting = image
    before = image.filepath, image.source, image.is_dirty
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    assert (image.filepath, image.source, image.is_dirty) == before
    assert before[2] is dirty
    written = reread(png_sent(tmp_path))
    assert written.shape[:2] == (4, 6)
    assert np.abs(written - expected).max() < 2 / 255
    assert "vangogh painting" not in bpy.data.images


def test_a_packed_painting_is_written_as_it_was_packed(addon, settings, tmp_path):
    chosen = settings()
    file = Path(chosen.painting.filepath)
    original = file.read_bytes()
    chosen.painting.pack()
    file.unlink()
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    assert png_sent(tmp_path).read_bytes() == original


def test_a_painting_in_a_format_of_blenders_own_is_written(addon, settings, tmp_path):
    chosen = settings()
    image = painting(None, save=False, float_buffer=True)
    image.filepath_raw = str(tmp_path / "p.exr")
    image.file_format = "OPEN_EXR"
    image.save()
    chosen.painting = bpy.data.images.load(str(tmp_path / "p.exr"))
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    assert png_sent(tmp_path).is_file()


def test_a_movie_as_a_painting_gives_its_first_frame(addon, settings, tmp_path):
    chosen = settings()
    chosen.painting = bpy.data.images.load(str(ROOT / "examples" / "driving.mp4"))
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    assert reread(png_sent(tmp_path)).std() > 0.05
