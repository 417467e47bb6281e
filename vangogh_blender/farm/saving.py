"""The scene as a .blend in the bundle, with what it uses beside it; the open file stays as it is."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import bpy

from ...fomm_core.errors import UserError
from ...fomm_core.files import writing
from .. import versions
from ..image_sequence import absolute_path
from ..properties import VANGOGH_PG_job
from .carried import Carried

FOLDER = "scene"
FILE = f"{FOLDER}/scene.blend"
ASSETS = f"{FOLDER}/assets"
# What has a file, besides images, and the property that names it.
_OTHERS = ("sounds", "fonts", "movieclips", "volumes", "cache_files")


def save_scene(scene: bpy.types.Scene, carried: Carried, animated: dict[bpy.types.Image, str]) -> list[str]:
    """Save the open file into the bundle, all its files by relative paths.

    Args:
        animated: sequences that the farm makes, and where in the bundle the first frame will be.

    Returns:
        Sentences about what does not travel.

    Raises:
        UserError: a file is missing, an image has changes that are nowhere saved, or a library is linked.
    """
    if libraries := [library.filepath for library in bpy.data.libraries]:
        raise UserError(
            "arguments",
            f"The scene links {libraries[0]}, which a bundle cannot carry.",
            "Make its data local: Object, Relations, Make Local, All.",
        )
    with contextlib.ExitStack() as changes:
        for image in bpy.data.images:
            if path := _image(image, carried, animated):
                changes.enter_context(_changed(image, "filepath_raw", path))
        for kind in _OTHERS:
            for block in getattr(bpy.data, kind):
                source = bpy.path.abspath(block.filepath)
                if (
                    block.users
                    and getattr(block, "packed_file", None) is None
                    and source
                    and not source.startswith("<")
                ):
                    path = carried.add(Path(source), ASSETS, what=f"The file of {block.name}")
                    changes.enter_context(_changed(block, "filepath", _relative(path)))
        changes.enter_context(_changed(scene.render, "filepath", "//"))
        changes.enter_context(_without_jobs(scene))
        target = carried.root / FILE
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        try:
            bpy.ops.wm.save_as_mainfile(filepath=str(target), copy=True, relative_remap=False, compress=True)
        except RuntimeError as error:
            raise UserError(
                "output", f"The scene cannot be saved to {target}: {str(error).strip()}.", "Is the disk full?"
            ) from error
        left = _left_out()
    carried.note(FILE)
    return left


def _image(image: bpy.types.Image, carried: Carried, animated: dict[bpy.types.Image, str]) -> str:
    """The path that an image has in the bundle's .blend, its file copied; empty where it has none to change."""
    if image in animated:
        return _relative(animated[image])
    if not image.users or image.source == "VIEWER":
        return ""
    if image.is_dirty:
        raise UserError(
            "image", f"The image {image.name} has changes that are not saved.", "Save it: Image, Save."
        )
    if image.source == "GENERATED" or image.packed_file or not image.filepath:
        return ""
    file = absolute_path(image)
    if image.source == "TILED":
        files = [Path(str(file).replace("<UDIM>", str(tile.number))) for tile in image.tiles]
        name = file.name
    elif image.source == "SEQUENCE":
        files, name = _numbered_like(file), file.name
    else:
        return _relative(carried.add(file, ASSETS, what=f"The file of the image {image.name}"))
    if not files or not all(found.is_file() for found in files):
        raise UserError("image", f"Files of the image {image.name} are missing: {file}.", "Put them back.")
    return _relative(f"{carried.add_sequence(files, ASSETS).rpartition('/')[0]}/{name}")


def _numbered_like(file: Path) -> list[Path]:
    """All files of the sequence that `file` belongs to, that one first."""
    match = re.fullmatch(r"(.*?)(\d+)(\D*)", file.name)
    if match is None:
        return [file]
    alike = re.compile(f"{re.escape(match[1])}\\d+{re.escape(match[3])}")
    folder = sorted(file.parent.iterdir()) if file.parent.is_dir() else []
    return [file, *(path for path in folder if alike.fullmatch(path.name) and path != file)]


def _relative(path: str) -> str:
    """A path of the bundle as the .blend in `FOLDER` says it."""
    inside = path.removeprefix(f"{FOLDER}/")
    return f"//{inside}" if inside != path else f"//../{path}"


@contextlib.contextmanager
def _changed(owner: object, name: str, value: object) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextlib.contextmanager
def _without_jobs(scene: bpy.types.Scene) -> Iterator[None]:
    """The add-on's jobs and paths are this machine's, and of no use on another."""
    settings = scene.vangogh
    names = list(VANGOGH_PG_job.__annotations__)
    jobs = [(item.name, {name: getattr(item, name) for name in names}) for item in settings.jobs]
    with _changed(settings, "driving_video", ""), _changed(settings, "output_directory", ""):
        settings.jobs.clear()
        try:
            yield
        finally:
            for name, values in jobs:
                item = settings.jobs.add()
                item.name = name
                for key, value in values.items():
                    setattr(item, key, value)


def _left_out() -> list[str]:
    """What else of the scene names a file of this machine, each in a sentence."""
    known = {"IMAGE", "SOUND", "FONT", "MOVIECLIP", "VOLUME", "CACHEFILE", "TEXT"}
    return sorted(
        f"{block.name} uses {path}, which stays behind."
        for block, paths in versions.file_paths().items()
        if block.id_type not in known
        for path in paths
        if Path(bpy.path.abspath(path)).is_file()
    )
