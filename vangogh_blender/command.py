"""`blender --command vangogh …`: what the sidebar does, without a window.

Exit status: 0 done, 1 it failed (one plain sentence on standard error), 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import difflib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import bpy

from ..fomm_core.errors import UserError, in_words
from ..fomm_core.files import writing
from . import doctor
from .farm.export import export
from .farm.words import told
from .operators.gallery import GALLERY_SETTINGS
from .properties import SETTINGS

BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

_registered: list[object] = []


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as end:  # argparse has said why
        return int(end.code or 0)
    try:
        return options.run(options)
    except Exception as error:
        if not isinstance(error, UserError) and options.debug:
            raise
        failure = in_words(error)
        print(failure, file=sys.stderr)
        return 2 if failure.kind == "arguments" else 1


def _parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="blender --command vangogh", description="Portraits that move, without a window."
    )
    commands = main.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable, about: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about)
        sub.add_argument("--debug", action="store_true", help="show the traceback of a failure")
        sub.set_defaults(run=run)
        return sub

    animate = command("animate", _animate, "Animate a painting, and show it in a scene.")
    animate.add_argument("scene", metavar="SCENE.blend", type=Path, nargs="?", help="default: a new one")
    animate.add_argument(
        "--painting", metavar="NAME|FILE", help="default: the scene's own choice, as for the rest"
    )
    animate.add_argument("--video", metavar="FILE", help="a driving video, or a motion track")
    animate.add_argument("--output", metavar="DIR", type=Path, help="for the frames")
    animate.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE",
        help=f"any number of: {', '.join(sorted(SETTINGS))}",
    )  # fmt: skip
    animate.add_argument(
        "--save", metavar="FILE.blend", type=Path, help="keep the scene with the moving painting"
    )

    gallery = command(
        "gallery", _gallery, "Hang paintings in a gallery with a camera that walks by, and let them move."
    )
    gallery.add_argument(
        "files", metavar="FILE", type=Path, nargs="*",
        help="paintings, and videos or tracks that move them in turn; default: what the scene's objects show",
    )  # fmt: skip
    gallery.add_argument(
        "--scene", metavar="SCENE.blend", type=Path, help="where to build it; default: a new one"
    )
    gallery.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE",
        help=f"any number of: {', '.join(sorted((*GALLERY_SETTINGS, *SETTINGS)))}",
    )  # fmt: skip
    gallery.add_argument(
        "--save", required=True, metavar="FILE.blend", type=Path, help="the scene with the gallery"
    )

    command("doctor", _doctor, "Say what is installed and whether it works: a page for a bug report.")

    farm = command("farm", _farm, "Write the scene's farm job into a folder that render farms read.")
    farm.add_argument("scene", metavar="SCENE.blend", type=Path)
    farm.add_argument("--output", required=True, metavar="BUNDLE", type=Path, help="a new folder")
    farm.add_argument("--device", default="auto", metavar="auto|cpu|cuda", help="cpu asks for no GPU")
    farm.add_argument("--frames-per-task", type=int, default=8, metavar="N", help="default: %(default)s")
    return main


def _open(file: Path) -> None:
    """Open a .blend. Raises `UserError`."""
    file = file.absolute()
    if not file.is_file():
        raise UserError("arguments", f"There is no scene at {file}.", "Name a .blend file.")
    try:
        bpy.ops.wm.open_mainfile(filepath=str(file), load_ui=False)
    except RuntimeError as error:
        reason = str(error).strip().removeprefix("Error: ").splitlines()[0]
        raise UserError(
            "arguments", f"{file} cannot be opened: {reason.rstrip('.')}.", "Name a .blend file."
        ) from error


def _animate(options: argparse.Namespace) -> int:
    settings = dict(_setting(text, dict.fromkeys(SETTINGS, "animate")) for text in options.set)
    given = {"painting": options.painting, "driving_video": options.video, "output_directory": options.output}
    settings |= {name: str(value) for name, value in given.items() if value is not None}
    _open_or_new(options.scene)
    _call(bpy.ops.vangogh.animate, wait=True, **settings)
    (*_, job) = bpy.context.scene.vangogh.jobs
    print(f"{job.frames} frames: {Path(job.output) / 'frames'}")
    if options.save:
        _save(options.save.absolute())
    return 0


def _gallery(options: argparse.Namespace) -> int:
    known = dict.fromkeys(SETTINGS, "animate") | dict.fromkeys(GALLERY_SETTINGS, "gallery_from_files")
    settings = dict(_setting(text, known) for text in options.set)
    _open_or_new(options.scene)
    scene = bpy.context.scene
    for name in settings.keys() & set(SETTINGS):
        setattr(scene.vangogh, name, settings.pop(name))
    before = len(scene.vangogh.jobs)
    file = options.save.absolute()
    earlier = file.with_name(f".{file.name}.before")
    if file.exists():
        with writing(earlier):
            shutil.copy2(file, earlier)
    try:
        _save(file)  # the frames go beside it
        if options.files:
            files = [{"name": str(path.absolute())} for path in options.files]
            _call(bpy.ops.vangogh.gallery_from_files, files=files, **settings)
        else:
            for thing in bpy.context.view_layer.objects:
                thing.select_set(True)
            _call(bpy.ops.vangogh.build_gallery, **settings)
    except UserError:
        if scene.vangogh.jobs[before:]:  # what is done is kept, and Resume goes on from there
            _save(file)
        elif earlier.exists():
            earlier.replace(file)
        else:
            file.unlink(missing_ok=True)
        raise
    finally:
        earlier.unlink(missing_ok=True)
    _save(file)
    for job in scene.vangogh.jobs[before:]:
        print(f"{job.frames} frames: {Path(job.output) / 'frames'}")
    print(file)
    return 0


def _open_or_new(scene: Path | None) -> None:
    if scene:
        _open(scene)
    else:
        bpy.ops.wm.read_homefile(use_empty=True)


def _call(operator: Callable, **keywords: object) -> None:
    """Run an operator. Raises `UserError` with what it has reported."""
    try:
        operator(**keywords)
    except RuntimeError as error:
        raise UserError("internal", str(error).strip().removeprefix("Error: ")) from error


def _setting(text: str, operators: dict[str, str]) -> tuple[str, object]:
    """NAME=VALUE, the value as the operator that has the setting takes it. Raises `UserError`."""
    name, _, value = text.partition("=")
    if name not in operators:
        close = difflib.get_close_matches(name, operators, 1)
        hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(sorted(operators))}."
        raise UserError("arguments", f"There is no setting {name!r}.", hint)
    setting = getattr(bpy.ops.vangogh, operators[name]).get_rna_type().properties[name]
    kind = setting.type
    try:
        if kind == "BOOLEAN":
            return name, BOOLEANS[value.lower()]
        if kind == "FLOAT" and setting.is_array:
            red, green, blue = map(float, value.split(","))
            return name, (red, green, blue)
        if kind == "ENUM" and value not in setting.enum_items:
            raise UserError("arguments", f"{name} is one of {', '.join(setting.enum_items.keys())}.")
        return name, {"FLOAT": float, "INT": int}.get(kind, str)(value)
    except (ValueError, KeyError):
        expected = {"BOOLEAN": "true or false", "INT": "a whole number"}.get(kind, "a number")
        if kind == "FLOAT" and setting.is_array:
            expected = "three numbers with commas between them"
        raise UserError("arguments", f"{name} is {expected}, not {value!r}.") from None


def _save(file: Path) -> None:
    """Keep the open scene. Raises `UserError`."""
    try:
        bpy.ops.wm.save_as_mainfile(filepath=str(file))
    except RuntimeError as error:
        reason = str(error).strip().removeprefix("Error: ").splitlines()[0]
        raise UserError("output", f"The scene cannot be saved as {file}: {reason}") from error


def _doctor(_options: argparse.Namespace) -> int:
    print(doctor.report())
    return 0


def _farm(options: argparse.Namespace) -> int:
    _open(options.scene)
    manifest, left = export(bpy.context, options.output, options.device, max(1, options.frames_per_task))
    for sentence in left:
        print(sentence, file=sys.stderr)
    print(told(manifest, options.output.absolute()))
    return 0


def register() -> None:
    """Make `blender --command vangogh` known."""
    _registered.append(bpy.utils.register_cli_command("vangogh", main))


def unregister() -> None:
    """Undo `register`."""
    while _registered:
        bpy.utils.unregister_cli_command(_registered.pop())
