"""Paintings in, with all the depth and transparency that they have."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import UserError

# Nobody's painting has more pixels than this; a file that claims to would fill the memory.
MAX_PIXELS = 400_000_000

Image.MAX_IMAGE_PIXELS = MAX_PIXELS


def read_painting(path: Path) -> np.ndarray:
    """A painting as (H,W,3) RGB or, where any of it is transparent, (H,W,4) RGBA, upright.

    uint16 of files with more than 8 bits a channel, otherwise uint8; grey becomes RGB; alpha is not premultiplied.
    Raises `UserError`.
    """
    try:
        # Pillow's warnings about odd metadata help nobody whose picture is read.
        with warnings.catch_warnings(action="ignore"):
            image = _read(path)
    except FileNotFoundError:
        raise UserError("image", f"The painting {path} is not there.", "Choose another image.") from None
    except UnidentifiedImageError:
        raise UserError(
            "image", f"{path} is no image that can be read.", "Save it as PNG, JPEG, WebP or TIFF."
        ) from None
    except Image.DecompressionBombError as error:
        raise UserError("image", f"The painting {path} is too large.", "Scale it down.") from error
    except IsADirectoryError:
        raise UserError("image", f"The painting {path} is a folder.", "Choose an image file.") from None
    except Exception as error:  # on damaged files, decoders fail in as many ways as there are formats
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            "image",
            f"The painting {path} cannot be read ({reason}).",
            "The file may be damaged; save it anew.",
        ) from error
    height, width, channels = image.shape
    if min(height, width) < 16:
        raise UserError(
            "image",
            f"The painting {path} has only {width} x {height} pixels.",
            "Choose one with at least 16 a side.",
        )
    if channels == 4 and (image[..., 3] == np.iinfo(image.dtype).max).all():
        return np.ascontiguousarray(image[..., :3])
    return image


def colour_profile(path: Path) -> bytes | None:
    """The ICC profile of a painting's RGB colours, if it has one, for the frames made of it."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as file:
            profile = file.info.get("icc_profile") or b""
    except Exception:  # what is wrong with the file, `read_painting` tells
        return None
    # The header names the colours that a profile is for: what was CMYK or grey is RGB by now.
    return profile if profile[16:20] == b"RGB " else None


def as_seen(image: np.ndarray) -> np.ndarray:
    """Any (H,W,3|4) uint8 or uint16 image as (H,W,3) uint8, laid over white where it is transparent."""
    image = eight_bit(image)
    if image.shape[2] == 3:
        return image
    over = Image.new("RGBA", image.shape[1::-1], "white")
    over.alpha_composite(Image.fromarray(image))
    return np.asarray(over.convert("RGB"))


def eight_bit(image: np.ndarray) -> np.ndarray:
    """A uint8 or uint16 image as uint8, by the nearest value."""
    if image.dtype == np.uint8:
        return image
    return ((np.arange(65536) + 128) // 257).astype(np.uint8)[image]


def scaled(image: np.ndarray, size: int) -> np.ndarray:
    """The (H,W,3|4) uint8 or uint16 image with its longest side at most `size`."""
    longest = max(image.shape[:2])
    if longest <= size:
        return image
    height, width = (max(1, round(side * size / longest)) for side in image.shape[:2])

    def resized(pixels: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))

    if image.dtype == np.uint8 and image.shape[2] == 3:
        return resized(image)
    # One channel at a time, as floats. Colours weigh as much as they are seen: none bleeds in that was transparent.
    top = np.iinfo(image.dtype).max
    weight = image[..., 3].astype(np.float32) if image.shape[2] == 4 else None
    result = np.empty((height, width, image.shape[2]), image.dtype)
    left = np.ones((), np.float32) if weight is None else resized(weight)
    for k in range(3):
        channel = image[..., k].astype(np.float32)
        value = resized(channel if weight is None else channel * weight) / np.maximum(left, 0.5)
        result[..., k] = value.round().clip(0, top)
    if weight is not None:
        result[..., 3] = left.round().clip(0, top)
    return result


def _read(path: Path) -> np.ndarray:
    """The file's (H,W,3|4) pixels; raises whatever its decoder does."""
    try:
        with Image.open(path) as file:
            if file.mode in ("RGB", "RGBA") and file.format in ("PNG", "TIFF"):
                if file.format == "TIFF" and file.tag_v2.get(284) == 2:  # planes: Pillow mixes up deep ones
                    return _by_tifffile(path)
                if ";16" in (mode := _raw_mode(file.tile[0])):
                    return _deep(path, mode, file.info.get("transparency"))
            image = ImageOps.exif_transpose(file)
    except UnidentifiedImageError:
        with open(path, "rb") as file:
            if file.read(4) not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
                raise
        return _by_tifffile(path)
    if image.mode.startswith("I") or image.mode == "F":
        return _coloured(_sixteen_bit(np.asarray(image)), image.info.get("transparency"))
    return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))


def _raw_mode(tile) -> str:
    """How the pixels are stored in a part of a file, in Pillow's words."""
    return tile.args if isinstance(tile.args, str) else tile.args[0]


def _deep(path: Path, mode: str, transparent: tuple[int, int, int] | None) -> np.ndarray:
    """16-bit RGB(A) or grey with alpha, for which Pillow has no mode.

    It decodes such files all the same, and keeps the high bytes; told that they are in the other order, it keeps
    the low ones.
    """
    if mode.startswith("LA"):  # both bytes of both channels fit into one RGBA
        grey_alpha = _decoded(path, "RGBA").view(">u2")
        return grey_alpha[..., [0, 0, 0, 1]].astype(np.uint16)
    little = mode.endswith("L") or (mode.endswith("N") and np.little_endian)
    high = _decoded(path, mode)
    low = _decoded(path, mode[:-1] + ("B" if little else "L"))
    image = high.astype(np.uint16)
    image <<= 8
    image |= low
    return _coloured(image, transparent)


def _decoded(path: Path, mode: str) -> np.ndarray:
    """The (H,W,C) uint8 pixels of a file, read as if they were stored in the raw `mode`, upright."""
    with Image.open(path) as file:
        file.tile = [
            tile._replace(args=mode if isinstance(tile.args, str) else (mode, *tile.args[1:]))
            for tile in file.tile
        ]
        if file.mode == "RGB" and mode == "RGBA":
            raise ValueError("its alpha channel is damaged")
        return np.array(ImageOps.exif_transpose(file))


def _by_tifffile(path: Path) -> np.ndarray:
    """TIFF of what Pillow has no mode for: planes, 16-bit grey with alpha, floats and 32 bits in colour."""
    import tifffile  # seldom needed

    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        if page.imagewidth * page.imagelength > MAX_PIXELS:
            raise Image.DecompressionBombError
        if page.photometric.name not in ("MINISBLACK", "RGB") or page.ndim > 3 or page.samplesperpixel > 4:
            raise UnidentifiedImageError
        pixels, orientation = page.asarray(), page.tags.valueof(274, 1)
    pixels = np.moveaxis(pixels, 0, -1) if page.axes.startswith("S") else pixels
    pixels = _turned(pixels, orientation)
    return _coloured(pixels if pixels.dtype == np.uint8 else _sixteen_bit(pixels))


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Upright, by the EXIF orientation 1 to 8: from 5 on rows are columns; the rest is mirrored."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _sixteen_bit(values: np.ndarray) -> np.ndarray:
    """16 bits, 32 bits that hold 16, or floats up to 1 or to 65535, as uint16."""
    if values.dtype.kind == "f":
        values = np.nan_to_num(values.astype(np.float32))
        values = values * 65535 if values.max(initial=0) <= 1 else values
    return values.round().clip(0, 65535).astype(np.uint16)


def _coloured(image: np.ndarray, transparent: int | tuple[int, int, int] | None = None) -> np.ndarray:
    """Grey, grey with alpha, RGB or RGBA as RGB(A); PNG may name one `transparent` value."""
    image = image[..., None] if image.ndim == 2 else image
    alpha = image[..., image.shape[2] - 1 :] if image.shape[2] in (2, 4) else None
    if transparent is not None and alpha is None:
        seen = (image != np.asarray(transparent)).any(-1, keepdims=True)
        alpha = seen * np.array(np.iinfo(image.dtype).max, image.dtype)
    colour = image[..., :3] if image.shape[2] >= 3 else image[..., [0, 0, 0]]
    return np.ascontiguousarray(colour if alpha is None else np.concatenate([colour, alpha], -1))
