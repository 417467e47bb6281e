"""Where this installation of the extension has its things."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bpy

from . import upkeep
from .runtime import Runtime

ADDON = __package__.rpartition(".")[0]

PRESS = "Press {} in the sidebar of the 3D view, in the tab Van Gogh."


def preferences() -> bpy.types.AddonPreferences:
    return bpy.context.preferences.addons[ADDON].preferences


def named_python() -> str:
    """The Python that the user named: the preference, or else VANGOGH_PYTHON; empty when neither is set."""
    addon = bpy.context.preferences.addons.get(ADDON)
    named = addon.preferences.python if addon else ""
    return bpy.path.abspath(named) if named else os.environ.get("VANGOGH_PYTHON", "")


def worker_python() -> str:
    """The Python that runs the worker: one that the user named, or else our own runtime's; empty without any."""
    return named_python() or str(upkeep.current().runtime.python or "")


def worker_hint() -> str:
    """What to do when there is no worker's Python, or when it does not work."""
    if preferences().python:
        return (
            "In the preferences of this add-on, choose a Python that has torch, or clear it and press Set Up."
        )
    if os.environ.get("VANGOGH_PYTHON"):
        return "VANGOGH_PYTHON names it: let it name a Python that has torch, or clear it and press Set Up."
    fresh = upkeep.current().runtime.state().kind in ("none", "unfinished")
    return PRESS.format("Set Up" if fresh else "Repair")


def runtime_folder() -> Path:
    """Where our own runtime is, among the user's own files; it is made when that is set up."""
    return Path(bpy.utils.extension_path_user(ADDON, path="runtime"))


def own_runtime() -> Runtime:
    """The runtime of this installation, for this Blender's Python."""
    return Runtime(runtime_folder(), core_root(), Path(sys.executable))


def carries_wheels() -> bool:
    """This is the complete package, which sets itself up with no network at all."""
    return any((core_root() / "wheels" / "offline").glob("*.whl"))


def user_folder(name: str) -> Path:
    """A folder of ours among the user's own files, made if need be: extensions do not write into their own."""
    return Path(bpy.utils.extension_path_user(ADDON, path=name, create=True))


def core_root() -> Path:
    """The folder that contains the package `fomm_core`."""
    return Path(__file__).parents[1]
