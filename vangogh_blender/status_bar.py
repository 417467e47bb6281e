"""Progress in Blender's status bar, for when the sidebar is closed."""

from __future__ import annotations

import bpy

from . import job_words

WIDTH = 8.0  # of the progress bar, in units of the interface


def draw(header: bpy.types.Header, context: bpy.types.Context) -> None:
    """Appended to what Blender draws there; nothing while no job is under way."""
    active = [
        job for scene in bpy.data.scenes for job in scene.vangogh.jobs if job.phase not in job_words.OVER
    ]
    job = next((job for job in active if job.phase != "waiting"), None)
    if job is None:
        return
    row = header.layout.row(align=True)
    row.label(text=f"{job.label}  {job_words.speed(job)}".rstrip(), icon="RENDER_ANIMATION", translate=False)
    bar = row.row()
    bar.ui_units_x = WIDTH * 2
    bar.progress(factor=job.done / max(job.total, 1), text=job_words.progress(job))
    if len(active) > 1:
        row.label(text=f"+{len(active) - 1}", translate=False)


def redraw() -> None:
    """Have it drawn anew, but for a window in which an operator is running: that one writes there itself."""
    for window in bpy.context.window_manager.windows:
        if not len(window.modal_operators):
            with bpy.context.temp_override(window=window):
                bpy.types.WorkSpace.status_text_set_internal(None)


def register() -> None:
    bpy.types.STATUSBAR_HT_header.append(draw)


def unregister() -> None:
    bpy.types.STATUSBAR_HT_header.remove(draw)
