"""The runtime in words: for the sidebar, the console and a message to somebody who can help."""

from __future__ import annotations

import platform
from pathlib import Path

import bpy

from . import installation, upkeep
from .runtime import About, Progress
from .words import file_size

STAGES = {
    "python": "Preparing a Python",
    "download": "Fetching",
    "install": "Installing",
    "check": "Trying it out",
}
LOG_LINES = 60  # of the log's end


def amount(progress: Progress) -> str:
    """How much of the stage is done; empty where that is not known."""
    if not progress.total:
        return ""
    return f"{file_size(progress.done)} of {file_size(progress.total)}"


def progress_line(progress: Progress) -> str:
    parts = (STAGES[progress.stage], progress.what, amount(progress))
    return ", ".join(part for part in parts if part)


def device_name(device: str) -> str:
    """One of `About.devices` as a person knows it: "cuda:0 (NVIDIA GeForce RTX 3060)" is that card."""
    return "the processor" if device == "cpu" else device.partition(" (")[2].removesuffix(")") or device


def about_line(about: About) -> str:
    devices = ", ".join(device_name(device) for device in about.devices)
    return f"Python {about.version}, torch {about.torch}, computes on: {devices}"


def log_end() -> str:
    """The last lines of the last set-up's log."""
    return end_of(upkeep.current().runtime.log, LOG_LINES)


def end_of(log: Path, lines: int) -> str:
    """So many of its last lines."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError as error:
        return f"There is no log ({error})."


def versions() -> list[str]:
    """What runs here, a line each."""
    state = upkeep.current().runtime.state()
    return [
        f"Blender {bpy.app.version_string}, Python {platform.python_version()}, {platform.platform()}",
        f"{installation.ADDON}, backend {installation.preferences().backend}",
        f"Online access: {'on' if bpy.app.online_access else 'off'}",
        f"Runtime: {state.kind}. {state.sentence}".rstrip(),
        *([f"Python of one's own: {named}"] if (named := installation.named_python()) else []),
    ]


def details() -> str:
    """What somebody who is to help needs to know: what went wrong, the versions, and the end of the log."""
    error = upkeep.current().error or upkeep.current().fault
    problem = [f"Error ({error.kind}): {error}"] if error else []
    return "\n".join([*versions(), *problem, "", log_end()])
