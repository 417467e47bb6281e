"""Frames on disk as an image sequence, and the image nodes that show one.

A sequence is a folder of files 0001.png, 0002.png … (or .jpg, .webp), as `media.FrameWriter` leaves them: a file
is there only when it is complete. Blender draws magenta where it misses one and renders on without a word, so the
number of frames is counted here, never guessed.
"""

from __future__ import annotations

import re
from pathlib import Path

import bpy

from ..fomm_core.errors import UserError

EXTENSIONS = ("png", "jpg", "webp")


def frame_file(folder: Path, index: int) -> Path | None:
    """The file of frame `index` (from 1) in `folder`, or None where there is none."""
    for extension in EXTENSIONS:
        path = folder / f"{index:04d}.{extension}"
        if path.is_file() and path.stat().st_size > 0:
            return path
    return None


def count_frames(folder: Path) -> int:
    """How many frames `folder` holds without a gap from 0001 on, all of the first one's file type; 0 if none."""
    folder = Path(folder)
    first = frame_file(folder, 1)
    return _count_like(first) if first else 0


def load_sequence(folder: Path, name: str) -> bpy.types.Image:
    """The frames in `folder` as an image of source SEQUENCE, named `name`.

    A sequence of the same folder that this file already has is read again and returned, so that running a job
    twice leaves one image. The path is relative where the .blend is saved on the same drive. The colour space is
    the one that Blender gives a painting of this file type (sRGB with its own configuration).

    Raises:
        UserError: `folder` holds no frame, or Blender cannot read the first one.
    """
    first = frame_file(Path(folder), 1)
    if first is None:
        raise UserError(
            "image",
            f"There is no frame 0001 in {folder}.",
            "Run the animation again, or choose another folder.",
        )
    image = _already_loaded(first)
    if image is None:
        image = bpy.data.images.load(str(first), check_existing=False)
        if not all(image.size):  # Blender loads anything by name; only then does it read it
            bpy.data.images.remove(image)
            raise UserError("image", f"Blender cannot read the frame {first}.", "Run the animation again.")
        image.source = "SEQUENCE"
    image.name = name
    image.filepath = _portable(first)
    image.reload()
    return image


def loaded(folder: Path) -> bpy.types.Image | None:
    """The sequence of the frames in `folder`, where this file has it."""
    first = frame_file(folder, 1)
    return first and _already_loaded(first)


def show(
    node: bpy.types.ShaderNodeTexImage,
    image: bpy.types.Image,
    frames: int,
    start: int = 1,
    cyclic: bool = True,
) -> None:
    """Let `node` play `frames` files of the sequence `image`, file 0001 at the scene's frame `start`.

    Cyclic by default: a scene that is longer than the sequence, or begins before it, sees it again from its
    beginning and not Blender's magenta.

    Raises:
        UserError: `frames` is less than 1, or the node belongs to a linked library and cannot be changed.
    """
    if frames < 1:
        raise UserError(
            "image", f"The sequence {image.name} has no frames to show.", "Run the animation first."
        )
    if node.id_data.library is not None:
        raise UserError(
            "image",
            f"The material that shows {image.name} is linked from another file and cannot be changed here.",
            "Make it local (Object > Relations > Make Local), or add a new picture frame instead.",
        )
    node.image = image
    user = node.image_user
    user.frame_duration = frames
    user.frame_start = start
    user.frame_offset = 0  # the file at `start` is 0001: Blender counts 1 + offset
    user.use_cyclic = cyclic
    user.use_auto_refresh = True


def nodes_showing(target: bpy.types.Object, image: bpy.types.Image) -> list[bpy.types.ShaderNodeTexImage]:
    """The image nodes of `target`'s materials that show `image`, those inside node groups too."""
    return [node for node in image_nodes(target) if node.image == image]


def image_nodes(target: bpy.types.Object) -> list[bpy.types.ShaderNodeTexImage]:
    """The image nodes of `target`'s materials, those inside node groups too."""
    found = []
    seen = set()
    trees = [slot.material.node_tree for slot in target.material_slots if slot.material]
    while trees:
        tree = trees.pop()
        if tree is None or tree in seen:
            continue
        seen.add(tree)
        for node in tree.nodes:
            if node.type == "TEX_IMAGE":
                found.append(node)
            elif node.type == "GROUP":
                trees.append(node.node_tree)
    return found


def missing_frames(node: bpy.types.ShaderNodeTexImage) -> list[int]:
    """The numbers of the files that `node` will ask for and that are not on disk: each would render magenta."""
    image = node.image
    if image is None or image.source != "SEQUENCE":
        return []
    first = absolute_path(image)
    user = node.image_user
    numbers = range(1 + user.frame_offset, 1 + user.frame_offset + user.frame_duration)
    return [number for number in numbers if not _like(first, number).is_file()]


def sequence_frames(image: bpy.types.Image) -> int:
    """How many files the sequence `image` has on disk, without a gap from 0001 on."""
    return _count_like(absolute_path(image))


def absolute_path(image: bpy.types.Image) -> Path:
    """Where the file of `image` is, whether its path is absolute, or relative to this .blend or to a library."""
    return Path(bpy.path.abspath(image.filepath, library=image.library))


def _like(file: Path, number: int) -> Path:
    """The name of frame `number` in the sequence that `file` belongs to: its digits replaced, as Blender does."""
    match = re.fullmatch(r"(.*?)(\d+)(\D*)", file.name)
    if match is None:
        return file
    head, digits, tail = match.groups()
    return file.with_name(f"{head}{number:0{len(digits)}d}{tail}")


def _count_like(first: Path) -> int:
    count = 0
    while (path := _like(first, count + 1)).is_file() and path.stat().st_size > 0:
        count += 1
    return count


def _already_loaded(first: Path) -> bpy.types.Image | None:
    for image in bpy.data.images:
        if image.source == "SEQUENCE" and image.library is None and absolute_path(image) == first:
            return image
    return None


def _portable(path: Path) -> str:
    if not bpy.data.filepath:
        return str(path)
    try:
        return bpy.path.relpath(str(path))
    except ValueError:  # Windows: no relative path leads to another drive
        return str(path)
