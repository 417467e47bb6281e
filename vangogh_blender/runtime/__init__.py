"""The extension's own Python environment, in Blender's user folder for it: made with uv, and used by nobody else.

Standard library only, no bpy: what is slow is in threads and child processes, so that Blender stays usable.
"""

from __future__ import annotations

from .check import About, examine
from .environment import Runtime, State
from .requirements import BACKENDS, Needs
from .set_up import Failed, Finished, Progress, SetUp

__all__ = (
    "BACKENDS",
    "About",
    "Failed",
    "Finished",
    "Needs",
    "Progress",
    "Runtime",
    "SetUp",
    "State",
    "examine",
)
