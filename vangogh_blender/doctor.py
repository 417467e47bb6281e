"""What is installed here and whether it works, on one page to send to somebody who can help."""

from __future__ import annotations

import shutil
from pathlib import Path

import bpy

from ..fomm_core import registry
from ..fomm_core.errors import UserError
from . import installation, runtime_words, session
from .runtime import examine
from .words import file_size
from .worker_client import find_python


def report() -> str:
    """The page. Asks the worker's Python what it has, which takes seconds."""
    parts = {
        "Versions": runtime_words.versions(),
        "Computes on": _devices(),
        "Models": [_model(entry) for entry in registry.entries() if entry.path],
        "Folders": [_folder(name, path) for name, path in _folders().items()],
        "Jobs": [
            f"{job.name}: {job.phase.value}. {job.sentence}".rstrip() for job in session.current().state.jobs
        ],
    }
    lines = ["Van Gogh Says Hello", ""]
    for title, part in parts.items():
        lines += [title, *(f"  {line}" for line in part or ["none"]), ""]
    return "\n".join(lines).rstrip()


def _devices() -> list[str]:
    python = installation.worker_python()
    try:
        about = examine(find_python(python, installation.worker_hint()))
    except UserError as error:
        return [str(error)]
    lacks = [f"It lacks: {', '.join(about.missing)}"] if about.missing else []
    return [runtime_words.about_line(about), f"at {about.python}", *lacks, *about.notes]


def _model(entry: registry.Entry) -> str:
    return f"{entry.name}, {entry.kind}, {file_size(entry.size)}, {entry.path}. {entry.trouble}".rstrip(". ")


def _folders() -> dict[str, Path]:
    blend = Path(bpy.data.filepath).parent if bpy.data.filepath else None
    return {
        "extension": installation.core_root(),
        "runtime": installation.runtime_folder(),
        "models": registry.user_folder(),
        "frames": blend or installation.user_folder("jobs"),
    }


def _folder(name: str, path: Path) -> str:
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    return f"{name}: {path}, {file_size(shutil.disk_usage(there).free)} free"
