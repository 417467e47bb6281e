"""The add-on's preferences: what runs the worker, and the models."""

from __future__ import annotations

import os

import bpy
from bpy.props import BoolProperty, StringProperty

from . import model_list, runtime_view, session, upkeep
from .installation import ADDON, named_python, runtime_folder
from .properties import BackendSetting
from .words import file_size, wrapped


def _python_changed(_preferences: bpy.types.AddonPreferences, _context: bpy.types.Context) -> None:
    session.current().free()  # the next job starts a worker in the new one
    upkeep.current().answers.forget()


class VANGOGH_AP_preferences(BackendSetting, bpy.types.AddonPreferences):
    bl_idname = ADDON

    python: StringProperty(
        name="Python",
        description="A Python that has torch, to be used in place of the runtime: of conda, or a studio's own."
        " Empty: the environment variable VANGOGH_PYTHON, or else the runtime",
        subtype="FILE_PATH",
        update=_python_changed,
    )

    prepare: BoolProperty(
        name="Prepare What Is Chosen",
        description="Load the model and find the motion as soon as a driving video is chosen, so that the first"
        " frames come at once when Animate is pressed. It takes the processor for some seconds",
        default=True,
    )

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        _draw_runtime(_section(layout, "Runtime"), context, self)
        _draw_named_python(_section(layout, "Or a Python of Your Own"), context, self)
        layout.prop(self, "prepare")
        _draw_worker(layout)
        model_list.draw(layout, context)


def _section(layout: bpy.types.UILayout, title: str) -> bpy.types.UILayout:
    box = layout.box()
    box.label(text=title)
    return box.column()


def _draw_runtime(
    layout: bpy.types.UILayout, context: bpy.types.Context, preferences: VANGOGH_AP_preferences
) -> None:
    care = upkeep.current()
    setting = layout.column()
    setting.use_property_split = True
    setting.enabled = not care.running
    setting.prop(preferences, "backend")
    state = care.runtime.state()
    if care.running or runtime_view.wants_care(care):
        runtime_view.draw_care(layout, context)
    if care.running or state.kind == "none":
        return
    python = care.runtime.python
    if python:
        runtime_view.draw_about(layout, context, str(python))
    size = care.answers.ask(care.runtime.size)
    takes = f"{file_size(size)} in" if isinstance(size, int) else "In"
    wrapped(layout, context, f"{takes} {runtime_folder()}", icon="DISK_DRIVE")
    row = layout.row(align=True)
    if python:
        row.operator("vangogh.repair_runtime", icon="TOOL_SETTINGS")
    row.operator("vangogh.remove_runtime", text="Remove", icon="TRASH")
    row.operator("vangogh.show_set_up_log", icon="TEXT")
    row.operator("wm.path_open", text="Open Folder", icon="FILE_FOLDER").filepath = str(runtime_folder())


def _draw_named_python(
    layout: bpy.types.UILayout, context: bpy.types.Context, preferences: VANGOGH_AP_preferences
) -> None:
    setting = layout.column()
    setting.use_property_split = True
    setting.prop(preferences, "python", placeholder=os.environ.get("VANGOGH_PYTHON") or "The runtime above")
    if python := named_python():
        if not preferences.python:
            wrapped(layout, context, f"VANGOGH_PYTHON names {python}.", icon="INFO")
        runtime_view.draw_about(layout, context, python)


def _draw_worker(layout: bpy.types.UILayout) -> None:
    """What the worker that is running has said of itself."""
    state = session.current().state
    if state.version:
        row = layout.row()
        row.label(text=f"The worker is version {state.version}.", icon="PLAY")
        row.operator("vangogh.free_memory")


classes = (VANGOGH_AP_preferences,)
