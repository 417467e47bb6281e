"""The add-on's preferences: the Python that runs the worker."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from . import session
from .installation import ADDON, worker_python


def _python_changed(_preferences: bpy.types.AddonPreferences, _context: bpy.types.Context) -> None:
    session.current().free()  # the next job starts a worker in the new one


class VANGOGH_AP_preferences(bpy.types.AddonPreferences):
    bl_idname = ADDON

    python: StringProperty(
        name="Python",
        description="A Python that has torch, which computes the frames in the background."
        " Empty: the environment variable VANGOGH_PYTHON",
        subtype="FILE_PATH",
        update=_python_changed,
    )

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "python")
        python = worker_python()
        column = layout.column(align=True)
        if not python:
            column.label(text="No Python is set. Choose one that has torch.", icon="ERROR")
        elif not self.python:
            column.label(text=f"From VANGOGH_PYTHON: {python}")
        state = session.current().state
        if state.version:
            column.label(text=f"The worker is version {state.version} and computes on:")
            for device in state.devices:
                column.label(text=f"{device.label} ({device.name})", icon="DOT")
            layout.operator("vangogh.free_memory")


classes = (VANGOGH_AP_preferences,)
