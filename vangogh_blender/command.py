"""`blender --command vangogh …`: what the sidebar does, without a window.

Exit status: 0 done, 1 it failed (one plain sentence on standard error), 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import bpy

from ..fomm_core.errors import UserError, in_words
from .farm.export import export
from .farm.words import told

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
        print(in_words(error), file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="blender --command vangogh", description="Portraits that move, without a window."
    )
    commands = main.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable, about: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about)
        sub.add_argument("scene", metavar="SCENE.blend", type=Path)
        sub.add_argument("--debug", action="store_true", help="show the traceback of a failure")
        sub.set_defaults(run=run)
        return sub

    farm = command("farm", _farm, "Write the scene's farm job into a folder that render farms read.")
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
