# ruff: noqa: PT017 - damage may as well leave a file readable

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from fomm_core.errors import UserError
from fomm_core.media import FrameWriter, as_seen, colour_profile, read_painting, scaled


def saved(image: Image.Image, path: Path, **options) -> np.ndarray:
    image.save(path, **options)
    return read_painting(path)


def written(folder: Path, image: np.ndarray) -> np.ndarray:
    """An image as it is read again after it was written as PNG."""
    with FrameWriter(folder, "png", lambda *event: None) as writer:
        writer.write(1, image)
    return read_painting(folder / "0001.png")


def test_a_painting_is_read_as_it_is(tmp_path, picture):
    image = picture(40, 30)
    found = saved(Image.fromarray(image), tmp_path / "p.png")
    assert found.dtype == np.uint8
    assert (found == image).all()


def test_what_is_transparent_stays_so_and_is_seen_over_white(tmp_path):
    image = Image.new("RGBA", (20, 20), (200, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 10, 20))
    image.paste((0, 0, 100, 128), (10, 0, 20, 10))
    for suffix, options in (("png", {}), ("tif", {}), ("webp", {"lossless": True, "exact": True})):
        found = saved(image, tmp_path / f"p.{suffix}", **options)
        assert (found == np.asarray(image)).all()
        seen = as_seen(found)
        assert seen.shape == (20, 20, 3)
        assert (seen[:, :10] == 255).all()
        assert (seen[15, 15] == [200, 0, 0]).all()
        assert np.abs(seen[5, 15].astype(int) - [127, 127, 177]).max() <= 1


def test_an_alpha_channel_that_hides_nothing_is_none(tmp_path, picture):
    image = picture(20, 20)
    assert (saved(Image.fromarray(image).convert("RGBA"), tmp_path / "p.png") == image).all()
    deep = np.dstack([image.astype(np.uint16) * 257 + 1, np.full((20, 20), 65535, np.uint16)])
    assert (written(tmp_path, deep) == deep[..., :3]).all()


def test_transparency_of_a_palette(tmp_path):
    image = Image.new("P", (20, 20), 1)
    image.putpalette([255, 0, 0, 0, 0, 200])
    image.paste(0, (0, 0, 10, 20))
    found = saved(image, tmp_path / "p.png", transparency=0)
    assert found[0, 0, 3] == 0
    assert (found[0, 15] == [0, 0, 200, 255]).all()


def test_sixteen_bits_of_grey(tmp_path):
    values = np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20)
    for suffix in ("png", "tif"):
        found = saved(Image.fromarray(values), tmp_path / f"p.{suffix}")
        assert found.dtype == np.uint16
        assert (found == values[..., None]).all()
        assert found.shape == (20, 20, 3)


def noise(height: int, width: int, channels: int) -> np.ndarray:
    shape = (height, width, channels)
    return np.random.default_rng(height * width).integers(0, 65536, shape, np.uint16)


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        ("rgb48be", "p.png"),
        ("rgba64be", "p.png"),
        ("ya16be", "p.png"),
        ("rgb48le", "p.tif"),
        ("rgba64le", "p.tif"),
    ],
)
def test_sixteen_bits_of_colour(stored, name, tmp_path, ffmpeg):
    """Files that another program wrote, TIFF with LZW: bit for bit."""
    channels = {"rgb": 3, "rgba": 4, "ya": 2}[stored[:-4]]
    values = noise(30, 40, channels)
    (tmp_path / "raw").write_bytes(values.astype(">u2" if stored.endswith("be") else "<u2").tobytes())
    packing = ["-compression_algo", "lzw"] if name.endswith("tif") else []
    ffmpeg(
        "-f", "rawvideo", "-pix_fmt", stored, "-s", "40x30", "-i", tmp_path / "raw", *packing, tmp_path / name
    )
    found = read_painting(tmp_path / name)
    assert found.dtype == np.uint16
    assert (found == (values[..., [0, 0, 0, 1]] if channels == 2 else values)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("packing", [{}, {"compression": "zlib", "predictor": True}, {"tile": (16, 16)}])
def test_sixteen_bits_of_tiff(packing, planes, orientation, tmp_path):
    values = noise(20, 30, 3)
    stored = values if planes == "contig" else np.moveaxis(values, -1, 0)
    tag = [(274, 3, 1, orientation, True)]
    path = tmp_path / "p.tif"
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planes, extratags=tag, **packing)
    # What Pillow makes of the same turn in 8 bits.
    exif = Image.Exif()
    exif[274] = orientation
    upright = saved(Image.fromarray((values >> 8).astype(np.uint8)), tmp_path / "p.png", exif=exif)
    found = read_painting(path)
    assert found.dtype == np.uint16
    assert (found >> 8 == upright).all()
    assert {*map(tuple, found.reshape(-1, 3))} == {*map(tuple, values.reshape(-1, 3))}


@pytest.mark.parametrize("kind", ["grey and alpha", "float colours"])
def test_tiff_that_pillow_knows_nothing_of(kind, tmp_path):
    values = noise(20, 30, 2 if kind == "grey and alpha" else 3)
    if kind == "grey and alpha":
        tifffile.imwrite(tmp_path / "p.tif", values, photometric="minisblack", extrasamples=["unassalpha"])
        values = values[..., [0, 0, 0, 1]]
    else:
        tifffile.imwrite(tmp_path / "p.tif", values.astype(np.float32) / 65535, photometric="rgb")
    assert (read_painting(tmp_path / "p.tif") == values).all()


@pytest.mark.parametrize("top", [1.0, 65535.0])
def test_floats(top, tmp_path):
    values = np.linspace(0, top, 400, dtype=np.float32).reshape(20, 20)
    values[0, 0] = np.nan
    found = saved(Image.fromarray(values), tmp_path / "p.tif")
    assert found.dtype == np.uint16
    assert found[-1, -1, 0] == 65535
    assert found[0, 0, 0] == 0


@pytest.mark.parametrize("mode", ["L", "1", "LA", "CMYK", "YCbCr", "HSV", "LAB"])
def test_other_modes(mode, tmp_path, picture):
    image = Image.fromarray(picture(20, 20))
    suffix = "jpg" if mode in ("CMYK", "YCbCr") else "tif" if mode in ("LAB", "LA") else "png"
    image = image.convert("L").convert(mode) if mode in ("LA", "1", "L") else image
    image = image if mode in ("LAB", "HSV") else image.convert(mode)
    found = saved(image, tmp_path / f"p.{suffix}")
    assert found.shape == (20, 20, 3)
    if mode == "CMYK":
        assert np.abs(found.astype(int) - picture(20, 20)).mean() < 12
    if mode == "L":
        assert (found[..., 0] == found[..., 2]).all()


def test_exif_rotation(tmp_path):
    image = Image.new("RGB", (30, 20), "black")
    image.paste("white", (0, 0, 10, 10))  # the top left corner is white
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    found = saved(image, tmp_path / "p.jpg", exif=exif, quality=95)
    assert found.shape == (30, 20, 3)
    assert found[2, 17].min() > 200, "it is at the top right now"
    assert found[2, 2].max() < 50


def test_damaged_exif_does_not_matter(tmp_path, picture):
    image = Image.fromarray(picture(30, 20))
    found = saved(image, tmp_path / "p.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\xff" * 40)
    assert found.shape == (20, 30, 3)


def refused(path: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        read_painting(path)
    error = caught.value
    assert error.kind == "image"
    assert str(path) in error.sentence
    assert "\n" not in str(error)
    assert error.hint
    return error


def test_a_picture_of_one_pixel(tmp_path):
    Image.new("RGB", (1, 1)).save(tmp_path / "p.png")
    assert "1 x 1" in refused(tmp_path / "p.png").sentence


def test_a_deleted_picture_and_a_folder(tmp_path):
    assert "not there" in refused(tmp_path / "gone.png").sentence
    assert "folder" in refused(tmp_path).sentence


def test_what_is_no_picture(tmp_path):
    for content in (b"", b"hello", b"\0" * 100):
        (tmp_path / "p.png").write_bytes(content)
        assert "no image" in refused(tmp_path / "p.png").sentence


def test_a_picture_of_absurd_size(tmp_path):
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\x0aIDAT" + b"\0" * 14)
    assert "too large" in refused(tmp_path / "p.png").sentence


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "gif", "bmp", "tga", "jp2"])
def test_truncated_pictures_get_a_sentence(suffix, tmp_path, picture):
    whole = tmp_path / f"whole.{suffix}"
    Image.fromarray(picture(80, 60)).save(whole)
    content = whole.read_bytes()
    path = tmp_path / f"p.{suffix}"
    for share in (0.03, 0.2, 0.5, 0.9):
        path.write_bytes(content[: int(len(content) * share)])
        refused(path)


@given(suffix=st.sampled_from(["png", "jpg", "webp", "tif", "gif", "jp2"]), data=st.data())
def test_damaged_pictures_are_never_another_exception(suffix, data, tmp_path_factory, picture):
    path = tmp_path_factory.getbasetemp() / f"damaged.{suffix}"
    Image.fromarray(picture(40, 30)).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, min(400, len(content) - 1)))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        image = read_painting(path)
    except UserError as error:
        assert error.kind == "image"
    else:
        assert image.shape[2] == 3


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_damaged_sixteen_bits_get_a_sentence(suffix, channels, tmp_path):
    written(tmp_path, noise(40, 50, channels))
    whole = tmp_path / f"0001.{suffix}"
    if suffix == "tif":
        tifffile.imwrite(whole, noise(40, 50, channels), photometric="rgb", compression="zlib")
    content = whole.read_bytes()
    for share in (0.1, 0.5, 0.9):
        (tmp_path / f"p.{suffix}").write_bytes(content[: int(len(content) * share)])
        refused(tmp_path / f"p.{suffix}")


def test_a_colour_profile_goes_from_the_painting_into_the_frames(tmp_path, picture):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(picture(20, 20)).save(tmp_path / "p.png", icc_profile=profile)
    assert colour_profile(tmp_path / "p.png") == profile
    for suffix, frame in (("png", picture(20, 20)), ("png", noise(20, 20, 4)), ("jpg", picture(20, 20))):
        with FrameWriter(tmp_path, suffix, lambda *event: None, profile) as writer:
            writer.write(1, frame)
        assert colour_profile(tmp_path / f"0001.{suffix}") == profile
    Image.fromarray(picture(20, 20)).save(tmp_path / "plain.png")
    assert colour_profile(tmp_path / "plain.png") is None
    assert colour_profile(tmp_path / "gone.png") is None


def test_scaled(picture):
    assert scaled(picture(400, 300), 100).shape == (75, 100, 3)
    assert scaled(picture(300, 400), 100).shape == (100, 75, 3)
    small = picture(40, 30)
    assert scaled(small, 100) is small
    assert scaled(np.zeros((16, 4000, 3), np.uint8), 16).shape == (1, 16, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_plain_colour_stays_it_when_scaled(channels, dtype):
    top = np.iinfo(dtype).max
    image = np.full((60, 40, channels), top // 3, dtype)
    found = scaled(image, 30)
    assert found.shape == (30, 20, channels)
    assert found.dtype == dtype
    assert np.abs(found.astype(int) - top // 3).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_no_fringe_of_what_is_transparent(dtype):
    """A red square on transparent green: where anything of the smaller one is seen, it is red."""
    top = np.iinfo(dtype).max
    image = np.zeros((90, 90, 4), dtype)
    image[..., 1] = top
    image[20:71, 20:71] = [top, 0, 0, top]
    found = scaled(image, 23)
    seen = found[..., 3] > top // 50
    assert 0 < found[..., 3][seen].min() < top * 3 // 4, "there are edges"
    assert found[..., 1][seen].max() <= top // 100
    assert found[..., 0][seen].min() >= top - top // 50
