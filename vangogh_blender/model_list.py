"""The models, as the preferences list them: what there is, what can be had from the authors, and what to press."""

from __future__ import annotations

import bpy

from ..fomm_core import catalogue, registry
from ..fomm_core.registry import Entry
from . import models
from .operators.models import progress_line
from .words import file_size, wrapped

ICONS = {"bundled": "CHECKMARK", "imported": "CHECKMARK", "own": "USER", "published": "IMPORT"}
STATES = {"bundled": "Comes with the add-on", "imported": "Imported", "own": "Your own"}
AGAIN = "Import it again, or remove it"
GET = (
    "The authors' models are large and not ours to pass on: open their page, download a file, and press Import."
    " Leave the .tar as it is."
)
LICENCE = f"{catalogue.LICENCE} What each was trained on has terms of its own."


def draw(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The models' part of the preferences."""
    entries = registry.entries()
    here = layout.box()
    _title(here, "Models").operator("vangogh.import_model", icon="IMPORT")
    _draw_import(here, context)
    for entry in entries:
        if entry.path:
            _draw_here(here, entry)
    there = layout.box()
    page = _title(there, "The Authors' Models")
    page.operator("wm.url_open", text="Open Their Page", icon="URL").url = catalogue.PAGE
    wrapped(there, context, GET)
    for entry in entries:
        if not entry.path:
            _draw_there(there, entry)
    wrapped(there, context, LICENCE, icon="INFO")


def _title(layout: bpy.types.UILayout, text: str) -> bpy.types.UILayout:
    """A line with the title of a box, and the place for a button at its end."""
    row = layout.row()
    row.label(text=text)
    side = row.row()
    side.alignment = "RIGHT"
    return side


def _draw_import(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The import under way, or how the last one ended."""
    imports = models.current()
    if imports.running:
        progress = imports.progress
        row = layout.split(factor=0.8)
        row.progress(
            factor=progress.done / max(progress.total, 1) if progress else 0.0, text=progress_line(imports)
        )
        row.operator("vangogh.cancel_import", icon="CANCEL")
    elif imports.error:
        wrapped(layout, context, imports.error.sentence, icon="ERROR")
        wrapped(layout, context, imports.error.hint, icon="BLANK1")
    elif imports.imported in registry.registered():
        words = f"Imported. Choose {imports.imported} as the Model in the sidebar of the 3D view."
        wrapped(layout, context, words, icon="CHECKMARK")


def _columns(layout: bpy.types.UILayout, entry: Entry, icon: str) -> tuple[bpy.types.UILayout, ...]:
    """A row for the model, with its name: the places for its two lines of words, and for its buttons."""
    split = layout.split(factor=0.22)
    split.label(text=entry.name, icon=icon)
    split = split.split(factor=0.72)
    lines = split.column(align=True)
    lines.scale_y = 0.8
    side = split.row()
    side.alignment = "RIGHT"
    side.label(text=file_size(entry.size))
    return lines, side


def _draw_here(layout: bpy.types.UILayout, entry: Entry) -> None:
    lines, side = _columns(layout, entry, "ERROR" if entry.trouble else ICONS[entry.kind])
    lines.label(text=entry.trouble or entry.about)
    note = lines.row()
    note.active = False
    trained_on = f"; trained on {entry.published.data}" if entry.published else ""
    note.label(text=AGAIN if entry.trouble else f"{STATES[entry.kind]}{trained_on}")
    side.operator("wm.path_open", text="", icon="FILE_FOLDER").filepath = str(entry.path.parent)
    remove = side.row()
    remove.enabled = entry.kind != "bundled"
    remove.operator("vangogh.remove_model", text="", icon="TRASH").model = entry.name


def _draw_there(layout: bpy.types.UILayout, entry: Entry) -> None:
    lines, side = _columns(layout, entry, ICONS[entry.kind])
    lines.label(text=entry.about)
    note = lines.row()
    note.active = False
    note.label(text=f"{entry.published.file}; trained on {entry.published.data}")
    side.operator("wm.url_open", text="", icon="URL").url = catalogue.PAGE
