"""The runtime as the sidebar and the preferences draw it: what there is, what it takes, what to press."""

from __future__ import annotations

import bpy

from . import installation, upkeep
from .runtime import About, Needs, State, examine
from .runtime_words import STAGES, about_line, amount, device_name
from .words import file_size, wrapped
from .worker_client import find_python

WHAT = (
    "To move pictures, the add-on needs PyTorch and a few packages. They go into a folder of its own:"
    " Blender and other add-ons stay as they are."
)
ROOM_SECONDS = 5.0  # for which the free space on the disk is as it was: somebody may be making room
ACTIONS = {  # of a runtime in that state: the operator, the button, its icon
    "none": ("vangogh.set_up_runtime", "Set Up", "IMPORT"),
    "unfinished": ("vangogh.set_up_runtime", "Continue Set Up", "IMPORT"),
    "outdated": ("vangogh.set_up_runtime", "Update", "FILE_REFRESH"),
    "broken": ("vangogh.repair_runtime", "Repair", "TOOL_SETTINGS"),
    "ready": ("vangogh.repair_runtime", "Repair", "TOOL_SETTINGS"),
}


def may_fetch() -> bool:
    """The network may be used, or need not be."""
    return bpy.app.online_access or installation.carries_wheels()


def draw_in_sidebar(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What has to be done before pictures can move; nothing once they can."""
    care = upkeep.current()
    if care.running or (not installation.named_python() and wants_care(care)):
        draw_care(layout.box(), context)
    elif care.about and not len(context.scene.vangogh.jobs):
        device = device_name(care.about.devices[0])
        wrapped(layout, context, f"Ready. It computes on {device}.", icon="CHECKMARK")
        _draw_notes(layout, context, care.about)


def wants_care(care: upkeep.Upkeep) -> bool:
    """Something is to be done, or to be read."""
    problem = care.fault or (care.error and care.error.kind != "cancelled")
    return bool(problem) or care.runtime.state().kind != "ready"


def draw_care(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What is under way; or else what went wrong, what can be done about it, and what that takes."""
    care = upkeep.current()
    if care.running:
        _draw_progress(layout, context, care)
        return
    state = care.runtime.state()
    problem = care.error or care.fault
    cancelled = problem is not None and problem.kind == "cancelled"
    if problem:
        wrapped(layout, context, problem.sentence, icon="INFO" if cancelled else "ERROR")
        wrapped(layout, context, problem.hint, icon="BLANK1")
    elif state.kind == "none":
        wrapped(layout, context, WHAT)
    else:
        wrapped(layout, context, state.sentence, icon="ERROR" if state.kind == "broken" else "INFO")
    _draw_offer(layout, context, state, again=bool(care.error) and not cancelled)
    if (problem and not cancelled) or state.kind == "broken":
        row = layout.row(align=True)
        row.operator("vangogh.show_set_up_log", icon="TEXT")
        row.operator("vangogh.copy_set_up_details", icon="COPYDOWN")


def _draw_offer(layout: bpy.types.UILayout, context: bpy.types.Context, state: State, again: bool) -> None:
    """The button that sets up, with what it takes said above it; or what has to be allowed before."""
    if not may_fetch():
        _draw_offline(layout, context)
        return
    care, backend = upkeep.current(), installation.preferences().backend
    needs = care.answers.ask(care.runtime.needs, backend, again_after=ROOM_SECONDS)
    enough = True
    if isinstance(needs, Needs):
        enough = needs.disk <= needs.free
        _draw_needs(layout, needs)
    elif needs:
        wrapped(layout, context, str(needs), icon="ERROR")
    operator, text, icon = ACTIONS[state.kind]
    if again and operator == "vangogh.set_up_runtime":
        text, icon = "Try Again", "FILE_REFRESH"
    button = layout.column()
    button.scale_y = 1.8
    button.enabled = enough
    button.operator(operator, text=text, icon=icon)
    if not enough:
        wrapped(layout, context, "There is too little room on the disk.", icon="ERROR")


def _draw_needs(layout: bpy.types.UILayout, needs: Needs) -> None:
    column = layout.column(align=True)
    column.scale_y = 0.9
    sizes = [("To fetch", needs.download)] if needs.download else []  # the complete package fetches nothing
    for name, size in (*sizes, ("On the disk", needs.disk), ("Free there", needs.free)):
        row = column.split(factor=0.45)
        row.label(text=name)
        row.label(text=file_size(size))


def _draw_offline(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    if bpy.app.online_access_override:
        wrapped(
            layout,
            context,
            "This Blender was started without network access (--offline-mode). Start it with network access,"
            " or install the complete package of this add-on.",
            icon="INTERNET_OFFLINE",
        )
        return
    wrapped(
        layout,
        context,
        "The packages are fetched from the network, and Blender's online access is off.",
        icon="INTERNET_OFFLINE",
    )
    button = layout.column()
    button.scale_y = 1.8
    button.operator("extensions.userpref_allow_online", text="Allow Online Access", icon="INTERNET")
    layout.operator("screen.userpref_show", text="Preferences, System", icon="PREFERENCES").section = "SYSTEM"


def _draw_progress(layout: bpy.types.UILayout, context: bpy.types.Context, care: upkeep.Upkeep) -> None:
    progress = care.progress
    if care.removing or progress is None:
        layout.label(text="Removing the runtime" if care.removing else "Beginning", icon="SORTTIME")
        return
    step = list(STAGES).index(progress.stage) + 1
    layout.label(text=f"Step {step} of {len(STAGES)}: {STAGES[progress.stage]}", icon="SORTTIME")
    if progress.total:
        layout.progress(factor=progress.done / progress.total, text=amount(progress))
    if progress.what:
        wrapped(layout, context, progress.what)
    button = layout.row()
    button.enabled = not care.cancelling
    text = "Cancelling" if care.cancelling else "Cancel"
    button.operator("vangogh.cancel_set_up", text=text, icon="CANCEL")
    wrapped(layout, context, "You can work in the meantime.")


def draw_about(layout: bpy.types.UILayout, context: bpy.types.Context, python: str) -> None:
    """What that Python has, found out in a thread, and what it lacks."""
    about = upkeep.current().answers.ask(_examine, python)
    if about is None:
        layout.label(text="Looking at it", icon="SORTTIME")
    elif isinstance(about, About) and not about.missing:
        wrapped(layout, context, about_line(about), icon="CHECKMARK")
        _draw_notes(layout, context, about)
    elif isinstance(about, About):
        lacks = ", ".join(about.missing)
        wrapped(layout, context, f"Python {about.version} at {python} lacks: {lacks}.", icon="ERROR")
    else:
        wrapped(layout, context, str(about), icon="ERROR")


def _draw_notes(layout: bpy.types.UILayout, context: bpy.types.Context, about: About) -> None:
    for note in about.notes:
        wrapped(layout, context, note, icon="INFO")


def _examine(python: str) -> About:
    return examine(find_python(python))
