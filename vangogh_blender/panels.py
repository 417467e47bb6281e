"""The sidebar tab of the 3D view."""

from __future__ import annotations

import bpy

from . import installation, runtime_view
from .operators.jobs import why_not
from .properties import VANGOGH_PG_job
from .words import duration, wrapped

STAGES = {"model": "Loading the model", "motion": "Reading the motion", "frames": "Painting frames"}
PHASES = {
    "waiting": "Waiting for the job before it",
    "starting": "Starting",
    "running": "Running",
    "cancelling": "Cancelling",
    "done": "Done",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
ICONS = {"done": "CHECKMARK", "failed": "ERROR", "cancelled": "CANCEL", "waiting": "TIME"}
OVER = ("done", "failed", "cancelled")


class _Sidebar:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Van Gogh"


class VANGOGH_PT_animate(_Sidebar, bpy.types.Panel):
    bl_label = "Van Gogh Says Hello"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        settings = context.scene.vangogh
        runtime_view.draw_in_sidebar(layout, context)
        column = layout.column()
        column.label(text="Painting")
        row = column.row(align=True)
        row.template_ID(settings, "painting", open="image.open")
        row.operator("vangogh.painting_from_object", text="", icon="EYEDROPPER")
        column.label(text="Driving Video")
        column.prop(settings, "driving_video", text="", placeholder="A video of a talking face")

        fields = layout.column()
        fields.use_property_split = True
        fields.use_property_decorate = False
        fields.prop(settings, "target")
        fields.prop(settings, "model")
        fields.prop(settings, "device")
        fields.prop(settings, "output_directory", placeholder="Automatic")

        reason = why_not(settings.painting, settings, context.object)
        button = layout.column()
        button.scale_y = 1.8
        button.enabled = not reason
        button.operator("vangogh.animate", icon="PLAY")
        if reason and installation.worker_python():  # without one, what is to be done stands above
            wrapped(layout, context, reason, icon="INFO")


class VANGOGH_PT_motion(_Sidebar, bpy.types.Panel):
    bl_label = "Motion"
    bl_parent_id = "VANGOGH_PT_animate"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        settings = context.scene.vangogh
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "motion")
        relative = layout.column()
        relative.enabled = settings.motion == "relative"
        for name in ("strength", "adapt_scale", "reference_frame"):
            relative.prop(settings, name)
        column = layout.column(align=True)
        column.prop(settings, "start")
        column.prop(settings, "end")
        for name in ("smooth", "loop", "use_scene_fps", "add_sound"):
            layout.prop(settings, name)


class VANGOGH_PT_picture(_Sidebar, bpy.types.Panel):
    bl_label = "Picture"
    bl_parent_id = "VANGOGH_PT_animate"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        settings = context.scene.vangogh
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "all_faces")
        region = layout.column(align=True)
        region.enabled = not settings.all_faces
        region.prop(settings, "region", placeholder="auto")
        region.operator("vangogh.pick_region", icon="SELECT_SET")
        for name in ("driving_region", "size", "format", "config"):
            layout.prop(settings, name)


class VANGOGH_PT_scene(_Sidebar, bpy.types.Panel):
    bl_label = "Scene"
    bl_parent_id = "VANGOGH_PT_animate"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, _context: bpy.types.Context) -> None:
        column = self.layout.column(align=True)
        column.operator("vangogh.add_picture_frame", icon="IMAGE_PLANE")
        column.operator("vangogh.build_gallery", icon="HOME")
        column.separator()
        column.operator("vangogh.add_to_farm", icon="ADD")
        column.operator("vangogh.export_farm_job", icon="EXPORT")


class VANGOGH_PT_jobs(_Sidebar, bpy.types.Panel):
    bl_label = "Jobs"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return len(context.scene.vangogh.jobs) > 0

    def draw(self, context: bpy.types.Context) -> None:
        jobs = context.scene.vangogh.jobs
        for item in reversed(jobs):
            draw_job(self.layout.box(), context, item)
        transform = context.scene.view_settings.view_transform
        if transform not in ("Standard", "Raw") and any(item.phase == "done" for item in jobs):
            advice = "the view transform Standard (Render, Color Management) keeps them."
            text = f"{transform} changes a painting's colours; {advice}"
            wrapped(self.layout, context, text, icon="COLOR")


def draw_job(layout: bpy.types.UILayout, context: bpy.types.Context, item: VANGOGH_PG_job) -> None:
    """One job: what it is, how far it is, what went wrong, what can be done about it."""
    head = layout.row()
    head.label(text=item.label, icon=ICONS.get(item.phase, "RENDER_ANIMATION"))
    if item.phase in OVER:
        head.operator("vangogh.remove_job", text="", icon="X", emboss=False).job = item.name
    else:
        head.operator("vangogh.cancel", text="", icon="CANCEL").job = item.name
    if item.phase == "running":
        layout.progress(factor=item.done / max(item.total, 1), text=_progress(item))
        if item.stage == "frames":
            layout.label(text=_speed(item))
    elif item.phase == "done":
        layout.label(text=f"{item.frames} frames")
    elif item.phase not in ("failed", "cancelled") or not item.sentence:
        layout.label(text=PHASES.get(item.phase, item.phase))
    if item.sentence:
        words = layout.column(align=True)
        wrapped(words, context, item.sentence)
        wrapped(words, context, item.hint)
    for warning in item.warnings.splitlines():
        wrapped(layout, context, warning, icon="INFO")
    if item.phase in OVER:
        row = layout.row(align=True)
        if item.phase != "done":
            text = "Resume" if item.frames else "Try Again"
            row.operator("vangogh.resume", text=text, icon="FILE_REFRESH").job = item.name
        if item.frames:
            row.operator("vangogh.load_frames", icon="IMAGE_DATA").job = item.name
        if item.phase == "done":
            row.operator("vangogh.add_sound", text="", icon="SOUND").job = item.name
        row.operator(
            "wm.path_open", text="" if item.frames else "Open Folder", icon="FILE_FOLDER"
        ).filepath = item.output


def _progress(item: VANGOGH_PG_job) -> str:
    stage = STAGES.get(item.stage, "Running")
    return f"{stage}: {item.done} of {item.total}" if item.total else stage


def _speed(item: VANGOGH_PG_job) -> str:
    parts = [f"{item.fps:.1f} frames/s"] if item.fps else []
    if item.eta:
        parts.append(f"{duration(item.eta)} left")
    return ", ".join(parts)


classes = (VANGOGH_PT_animate, VANGOGH_PT_motion, VANGOGH_PT_picture, VANGOGH_PT_scene, VANGOGH_PT_jobs)
