"""A farm job written into a folder: the bundle."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from pathlib import Path

import bpy

from ...fomm_core import __version__, registry
from ...fomm_core import bundle as bundled
from ...fomm_core.bundle import Animation, Clip, Manifest, Scene
from ...fomm_core.errors import UserError
from ...fomm_core.files import sha256, writing
from ...fomm_core.protocol import Job
from .. import installation
from . import saving
from .carried import Carried, file_name
from .scene_jobs import Wanted, animations
from .template import PACKAGE, TASK, template

# Not of the extension: what it sets itself up with, the models, which travel on their own, and leftovers.
_SKIPPED = re.compile(r"(^|/)(__pycache__|\.[^/]*|locks)(/|$)|\.pyc$|^weights/")
# What a film can be made of.
_FILM = (".png", ".jpg", ".webp", ".tif", ".bmp")
_TASK = '''"""Runs the core of this bundle: `python task.py farm animate BUNDLE …`."""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "{package}"))
runpy.run_module("fomm_core", run_name="__main__", alter_sys=True)
'''


def export(
    context: bpy.types.Context, folder: Path, device: str = "auto", frames_per_task: int = 8
) -> tuple[Manifest, list[str]]:
    """Write the scene's farm job into `folder`, which is new or empty; whole or not at all.

    Args:
        device: what animates; `cpu` asks for no GPU.

    Returns:
        What is in it, and sentences about what is not.

    Raises:
        UserError: there is nothing to animate, something that it takes is missing, or the folder cannot be written.
    """
    folder = Path(os.path.abspath(folder))
    with writing(folder):
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            raise UserError("output", f"{folder} is not empty.", "Choose a new folder for the bundle.")
        folder.parent.mkdir(parents=True, exist_ok=True)
    work = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(work, ignore_errors=True)
    try:
        manifest, left = _write(context.scene, work, device, frames_per_task)
        with writing(folder):
            if folder.is_dir():
                folder.rmdir()
            os.replace(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return manifest, left


def _write(
    scene: bpy.types.Scene, root: Path, device: str, frames_per_task: int
) -> tuple[Manifest, list[str]]:
    wanted = animations(scene)
    if not wanted:
        raise UserError(
            "arguments",
            f"Nothing in the scene {scene.name} is to be animated.",
            "Choose a painting and a driving video, and press Add to Farm.",
        )
    _check_film(scene)
    carried = Carried(root)
    clips, made, sequences = _animations(wanted, carried)
    left = saving.save_scene(scene, carried, sequences)
    carried.add_tree(installation.core_root() / "fomm_core", f"{PACKAGE}/fomm_core", _SKIPPED)
    carried.add_tree(installation.core_root() / "vangogh_blender", f"{PACKAGE}/vangogh_blender", _SKIPPED)
    for name in ("__init__.py", "blender_manifest.toml"):
        carried.copy(installation.core_root() / name, f"{PACKAGE}/{name}")
    carried.write(TASK, _TASK.format(package=PACKAGE))
    suffix = scene.render.file_extension
    manifest = Manifest(
        __version__,
        clips,
        made,
        Scene(
            saving.FILE,
            scene.name,
            scene.frame_start,
            scene.frame_end,
            scene.render.fps / scene.render.fps_base,
            suffix,
            suffix in _FILM,
        ),
        carried.files,
    )
    for name, text in _documents(manifest, device, frames_per_task).items():
        (root / name).write_text(text, encoding="utf-8", newline="\n")
    return manifest, left


def _documents(manifest: Manifest, device: str, frames_per_task: int) -> dict[str, str]:
    """What says what the bundle is: to us, and to a farm."""
    job = template(manifest, device, frames_per_task)
    values = [
        {"name": parameter["name"], "value": parameter["default"]}
        for parameter in job["parameterDefinitions"]
        if parameter["type"] != "PATH"  # those are told by their defaults, relative to the bundle
    ]
    # The parameter Bundle brings all that goes in, and Output all that comes out.
    references = {"inputs": {"filenames": [], "directories": []}, "outputs": {"directories": []}}
    documents = {
        "template.json": job,
        "parameter_values.json": {"parameterValues": values},
        "asset_references.json": {"assetReferences": {**references, "referencedPaths": []}},
    }
    texts = {name: json.dumps(data, indent=2, ensure_ascii=False) + "\n" for name, data in documents.items()}
    return {bundled.MANIFEST: manifest.json(), **texts}


def _check_film(scene: bpy.types.Scene) -> None:
    if scene.render.is_movie_format:
        raise UserError(
            "arguments",
            "A farm renders pictures, and the scene's output is a movie.",
            "Choose PNG in Output, File Format; the film is made of the pictures.",
        )


def _animations(
    wanted: list[Wanted], carried: Carried
) -> tuple[tuple[Clip, ...], tuple[Animation, ...], dict[bpy.types.Image, str]]:
    """The clips, the animations and the sequences that the farm makes; their files are copied.

    What is shown in several places is animated once.
    """
    clips: dict[tuple, Clip] = {}
    made: dict[str, Animation] = {}
    sequences: dict[bpy.types.Image, str] = {}
    paintings: dict[str, Path] = {}
    for want in wanted:
        _check_painting(want, paintings)
        painting = file_name(Path(want.painting).stem)
        job = dataclasses.replace(
            want.job,
            painting=carried.add(Path(want.job.painting), "paintings", painting, "The painting"),
            video=carried.add(Path(want.job.video), "clips", what="The driving video"),
            **_model(want.job, carried),
            output="",
            device="auto",
            resume=False,
        )
        clip = _clip(job, clips) if Path(job.video).suffix != ".npz" else ""
        name = _name(f"{painting}-{Path(job.video).stem}", job, made)
        shown = made[name.lower()].shown if name.lower() in made else ()
        made[name.lower()] = Animation(name, job, clip, (*shown, want.shown))
        if want.sequence is not None:
            frames = bundled.animation_folder(Path("output"), name) / "frames" / f"0001.{job.format}"
            sequences[want.sequence] = frames.as_posix()
    return tuple(clips.values()), tuple(made.values()), sequences


def _check_painting(want: Wanted, paintings: dict[str, Path]) -> None:
    """Raises `UserError` where another painting has this one's name: nobody could tell their results apart."""
    source = Path(want.job.painting)
    other = paintings.setdefault(file_name(Path(want.painting).stem).lower(), source)
    if other != source and source.is_file() and other.is_file() and sha256(other) != sha256(source):
        raise UserError(
            "image",
            f"Two paintings are named {want.painting}: {other} and {source}.",
            "Give one of the images another name in Blender, and add its job again.",
        )


def _name(name: str, job: Job, made: dict[str, Animation]) -> str:
    """That of the same animation, or a new one: the same painting and clip with other settings get a number."""
    number, base = 1, name
    while (key := name.lower()) in made and made[key].job != job:
        number += 1
        name = f"{base}-{number}"
    return made[key].name if key in made else name


def _clip(job: Job, clips: dict[tuple, Clip]) -> str:
    """The name of the clip whose track drives the job: one for each video, model and region to look at."""
    key = (job.video, job.model, job.config, job.driving_region)
    if key not in clips:
        names = {clip.name.lower() for clip in clips.values()}
        name, number = Path(job.video).stem, 1
        while name.lower() in names:
            number += 1
            name = f"{Path(job.video).stem}-{number}"
        clips[key] = Clip(name, *key)
    return clips[key].name


def _model(job: Job, carried: Carried) -> dict[str, str | None]:
    """The model's file and its configuration, in the bundle. Raises `UserError` where there is no such model."""
    file = registry.registered().get(job.model, Path(job.model))
    if not file.is_file():
        raise UserError(
            "model",
            f"There is no model {job.model!r} on this computer.",
            "Import it, or choose another one.",
        )
    config = job.config or None
    if config and not registry.config_path(config).is_file():
        config = carried.add(Path(config), "models", what="The configuration")
    return {"model": carried.add(file, "models"), "config": config}
