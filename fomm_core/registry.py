"""Which models and configurations there are, by name. Standard library only: Blender lists them too."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent
BUNDLED = PACKAGE / "weights"


def user_folder() -> Path:
    """Where imported models are kept: `VANGOGH_MODELS`, or the user's data folder of this system."""
    return own_folder("models", "VANGOGH_MODELS", "Application Support", "XDG_DATA_HOME", ".local/share")


def own_folder(name: str, variable: str, mac: str, xdg: str, otherwise: str) -> Path:
    """The folder that an environment variable names, or `name` among what this system keeps for the user.

    Args:
        mac: the folder in ~/Library.
        xdg, otherwise: the variable of the XDG base directories, and the folder in ~ where it is not set.
    """
    if chosen := os.environ.get(variable):
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / mac
    else:
        base = Path(os.environ.get(xdg, Path.home() / otherwise))
    return base / "vangogh_says_hello" / name


def registered() -> dict[str, Path]:
    """Names and files of the bundled and the imported models."""
    folders = (BUNDLED, user_folder())
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.safetensors"))}


def config_names() -> list[str]:
    return sorted(path.stem for path in (PACKAGE / "configs").glob("*.yaml"))


def config_path(name: str) -> Path:
    """Where the configuration of that name is, if it ships with the package."""
    return PACKAGE / "configs" / f"{name}.yaml"
