"""Where this installation of the extension has its things."""

from __future__ import annotations

import os
from pathlib import Path

import bpy

ADDON = __package__.rpartition(".")[0]


def worker_python() -> str:
    """The Python that runs the worker: the preference, or else VANGOGH_PYTHON; empty when neither is set."""
    addon = bpy.context.preferences.addons.get(ADDON)
    chosen = addon.preferences.python if addon else ""
    return bpy.path.abspath(chosen) if chosen else os.environ.get("VANGOGH_PYTHON", "")


def user_folder(name: str) -> Path:
    """A folder of ours among the user's own files, made if need be: extensions do not write into their own."""
    return Path(bpy.utils.extension_path_user(ADDON, path=name, create=True))


def core_root() -> Path:
    """The folder that contains the package `fomm_core`."""
    return Path(__file__).parents[1]
