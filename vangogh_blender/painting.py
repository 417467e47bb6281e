"""A painting as a file on disk, which is what the worker reads, and the folder that its job gets."""

from __future__ import annotations

import os
import re
from array import array
from pathlib import Path

import bpy

from ..fomm_core.errors import UserError
from ..fomm_core.files import replacing, writing
from .image_sequence import absolute_path

READABLE = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}
# How such files begin, for those that are packed under whatever name.
_SIGNATURES = (
    (b"\x89PNG", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
    (b"BM", ".bmp"),
    (b"RIFF", ".webp"),
)


def painting_file(image: bpy.types.Image, folder: Path) -> Path:
    """The file with the pixels that `image` shows now. The image itself is left as it is.

    A plain file is used where it lies. What is packed, generated, painted upon, a movie, or of a type that the
    worker does not read is written into `folder` as it is packed or else as `painting.png`; of a sequence or a
    movie, that is the first frame.

    Raises:
        UserError: the image has no pixels, or `folder` cannot be written.
    """
    if image.source not in {"FILE", "GENERATED", "SEQUENCE", "MOVIE"}:
        raise UserError(
            "image",
            f"{image.name} is not one picture but a render or a set of tiles.",
            "Save it as a file first.",
        )
    path = _path(image)
    if path and not path.is_file() and not image.is_dirty:
        raise UserError(
            "image", f"The painting {image.name} is gone from {path}.", "Choose the painting again."
        )
    if plain := plain_file(image):
        return plain
    if image.packed_file is not None and not image.is_dirty and image.source == "FILE":
        data = image.packed_file.data
        suffix = next((suffix for start, suffix in _SIGNATURES if data.startswith(start)), None)
        if suffix:
            with replacing(folder / f"painting{suffix}") as temporary:
                temporary.write_bytes(data)
            return folder / f"painting{suffix}"
    return _write_pixels(image, folder / "painting.png")


def plain_file(image: bpy.types.Image) -> Path | None:
    """The file with the pixels that `image` shows, if the worker can read it where it lies."""
    path = _path(image)
    readable = path is not None and path.suffix.lower() in READABLE and path.is_file()
    return path if readable and not image.is_dirty else None


def _path(image: bpy.types.Image) -> Path | None:
    """Where the image's pixels lie, or lay, in a file of their own."""
    own = image.source in {"FILE", "SEQUENCE", "MOVIE"} and image.packed_file is None
    return absolute_path(image) if own and image.filepath else None


def size(image: bpy.types.Image) -> tuple[int, int]:
    """Width and height in pixels. Raises `UserError` when it cannot be read."""
    count = len(image.pixels)  # loads the image, if it was not
    width, height = image.size
    if not count or not width or not height:
        where = absolute_path(image) if image.filepath else "it has no file"
        raise UserError(
            "image", f"The painting {image.name} cannot be read ({where}).", "Choose another painting."
        )
    return width, height


def _write_pixels(image: bpy.types.Image, path: Path) -> Path:
    """Save the image's pixels as a PNG in display colours (Blender converts), by way of a datablock of our own."""
    width, height = size(image)
    count = len(image.pixels)
    pixels = array("f", bytes(4 * count))
    image.pixels.foreach_get(pixels)
    copy = bpy.data.images.new(
        "vangogh painting", width, height, alpha=image.depth in (32, 64, 128), float_buffer=image.is_float
    )
    try:
        copy.pixels.foreach_set(_rgba(pixels, count // (width * height)))
        copy.file_format = "PNG"
        with replacing(path) as temporary:
            copy.filepath_raw = str(temporary)
            _save(copy)
    finally:
        bpy.data.images.remove(copy)
    return path


def _save(image: bpy.types.Image) -> None:
    try:
        image.save()
    except RuntimeError as error:  # Blender's own report, which does not tell the reason apart
        raise UserError(
            "output",
            f"The painting cannot be written to {Path(image.filepath_raw).parent}.",
            "Is the disk full or the folder read-only? Choose another output folder.",
        ) from error


def _rgba(pixels: array, channels: int) -> array:
    """Pixels of 1 to 4 channels as RGBA; one and two are grey, and grey with alpha."""
    if channels == 4:
        return pixels
    # Not with numpy, which Linux distributions leave out of their Blender.
    rgba = array("f", [1.0]) * (len(pixels) // channels * 4)
    for channel in range(3):
        rgba[channel::4] = pixels[channel if channels == 3 else 0 :: channels]
    if channels == 2:
        rgba[3::4] = pixels[1::2]
    return rgba


def job_folder(chosen: str, painting: str, video: Path, fallback: Path, taken: set[Path], blend: str) -> Path:
    """A new folder for a job, made and writable; no other job's.

    Args:
        chosen: the user's output folder, absolute; used itself when it is new or empty. Empty: beside the .blend,
            in `vangogh`, or in `fallback` when that is not saved.
        painting: the painting's name, which with the video's names the folder.
        taken: folders of jobs that have not written anything yet.
        blend: path of the .blend, empty when it was never saved.

    Raises:
        UserError: the folder cannot be made, or not be written.
    """
    name = f"{_file_name(painting)}-{_file_name(video.stem)}"
    if chosen:
        parent = Path(os.path.abspath(chosen))
        if _is_free(parent, taken):
            return _made(parent)
    else:
        parent = Path(blend).parent / "vangogh" if blend else fallback
    number = 1
    while not _is_free(folder := parent / (name if number == 1 else f"{name}-{number}"), taken):
        number += 1
    return _made(folder)


def _file_name(name: str) -> str:
    """A name that every file system takes: letters of any alphabet, digits, dots and dashes."""
    stem = re.sub(r"\.(png|jpe?g|webp|tiff?|bmp|exr|hdr)$", "", name, flags=re.IGNORECASE)
    return re.sub(r"[^\w.-]+", "_", stem).strip("._")[:60] or "untitled"


def _is_free(folder: Path, taken: set[Path]) -> bool:
    if folder in taken:
        return False
    if not folder.exists():
        return True
    return folder.is_dir() and os.access(folder, os.R_OK) and not any(folder.iterdir())


def _made(folder: Path) -> Path:
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise UserError("output", f"The folder {folder} is read-only.", "Choose another output folder.")
    return folder
