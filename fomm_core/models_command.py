"""`python -m fomm_core models …`: the models there are, importing one, removing one."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from . import catalogue, registry
from .registry import Entry
from .supervision import INTERRUPTED, supervised

STATES = {"bundled": "bundled", "imported": "imported", "own": "your own", "published": "to import"}


def add(commands: argparse._SubParsersAction, command: Callable) -> None:
    """Add `models` to the commands; `command(name, run, about, parent)` makes one of its actions."""
    models = commands.add_parser("models", help="The models there are; importing one.")
    models.set_defaults(run=_list)
    actions = models.add_subparsers(metavar="ACTION")
    command("list", _list, "List the models, and the published ones that can be imported.", actions)
    importing = command(
        "import", _import, "Import a published checkpoint (.pth.tar), or a model of your own.", actions
    )
    importing.add_argument("file", metavar="FILE", type=Path)
    importing.add_argument(
        "--config", metavar="NAME|FILE", help="its configuration (default: that of the published model it is)"
    )
    importing.add_argument(
        "--name", help="what to call it (default: the published model's name, or the file's)"
    )
    importing.add_argument("--replace", action="store_true", help="it may replace a model of that name")
    importing.add_argument("--json", action="store_true", help="report progress, in bytes, as JSON lines")
    info = command("info", _info, "Say what a model is.", actions)
    info.add_argument("model", metavar="NAME|FILE")
    removing = command("remove", _remove, "Delete an imported model, or one of your own.", actions)
    removing.add_argument("name", metavar="NAME")


def _list(options: argparse.Namespace) -> int:
    registry.clean_up()
    for entry in registry.entries():
        size = f"{entry.size / 1e6:8.1f} MB"
        print(f"{entry.name:24} {STATES[entry.kind]:10} {size}  {entry.trouble or entry.about}".rstrip())
    print(f"Yours are in {registry.user_folder()}; the published ones: {catalogue.PAGE}")
    return 0


def _import(options: argparse.Namespace) -> int:
    from . import importing

    done = supervised(
        "json" if options.json else "bar",
        lambda control: importing.run(options.file, control, options.config, options.name, options.replace),
    )
    if done is None:
        return INTERRUPTED
    if not options.json:
        print(f"Imported: {done.path}")
    return 0


def _info(options: argparse.Namespace) -> int:
    entry = next((entry for entry in registry.entries() if entry.name == options.model), None)
    if entry is None or entry.path is not None:
        from . import models

        _print(models.describe(options.model))
    if entry and entry.published:
        _print(_published(entry))
    return 0


def _published(entry: Entry) -> dict[str, str]:
    about = entry.published
    size = f"{about.download / 1e6:.0f} MB" + (f", sha256 {about.sha256}" if about.sha256 else "")
    return {
        "for": about.subject,
        "state": STATES[entry.kind],
        "published as": about.file,
        "download": size,
        "page": catalogue.PAGE,
        "licence": about.licence,
    }


def _print(values: dict[str, str]) -> None:
    for key, value in values.items():
        print(f"{key:16} {value}")


def _remove(options: argparse.Namespace) -> int:
    print(f"Removed: {registry.remove(options.name)}")
    return 0
