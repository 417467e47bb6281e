"""The sidebar tab of the 3D view."""

from __future__ import annotations

import os

import bpy

from ..fomm_core.errors import UserError
from . import first_look, installation, job_words, runtime_view
from .job_words import OVER
from .motion_presets import VANGOGH_PT_presets
from .operators.jobs import why_not
from .order import absolute
from .properties import VANGOGH_PG_job, VANGOGH_PG_settings
from .words import wrapped

ICONS = {"done": "CHECKMARK", "failed": "ERROR", "cancelled": "CANCEL", "waiting": "TIME"}
PREVIEW = 5.0  # the scale of the pictures in the sidebar


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
        _draw_painting(layout.column(), settings)
        reason = _draw_video(layout.column(), context, settings)
        fields = _fields(layout)
        fields.prop(settings, "model")

        reason = why_not(settings.painting, settings, context.object) or reason
        button = layout.column()
        button.scale_y = 1.8
        button.enabled = not reason
        button.operator("vangogh.animate", icon="PLAY")
        if reason and installation.worker_python():  # without one, what is to be done stands above
            wrapped(layout, context, reason, icon="INFO")


def _draw_painting(layout: bpy.types.UILayout, settings: VANGOGH_PG_settings) -> None:
    """The painting, a look at it, and what of it moves."""
    layout.label(text="Painting")
    row = layout.row(align=True)
    row.template_ID(settings, "painting", open="image.open")
    row.operator("vangogh.painting_from_object", text="", icon="EYEDROPPER")
    if settings.painting is None:
        return
    look = layout.row()
    if preview := settings.painting.preview_ensure():
        look.template_icon(icon_value=preview.icon_id, scale=PREVIEW)
    side = look.column(align=True)
    side.prop(settings, "all_faces")
    region = side.column(align=True)
    region.enabled = not settings.all_faces
    region.operator("vangogh.pick_region", icon="SELECT_SET")
    region.prop(settings, "region", text="", placeholder="auto")


def _draw_video(layout: bpy.types.UILayout, context: bpy.types.Context, settings: VANGOGH_PG_settings) -> str:
    """The driving video, with its first frame and its length; why it cannot be read, if it cannot."""
    layout.label(text="Driving Video")
    layout.prop(settings, "driving_video", text="", placeholder="A video of a talking face")
    if not settings.driving_video:
        return ""
    seen = first_look.seen(absolute(settings.driving_video))
    if isinstance(seen, UserError):
        return str(seen)
    if seen != first_look.NOTHING:
        # As high before the look is over: the button below must not move from under the mouse.
        look = layout.row()
        look.template_icon(icon_value=first_look.icon(seen.picture if seen else ""), scale=PREVIEW)
        words = look.column(align=True)
        for line in seen.lines if seen else []:
            words.label(text=line, translate=False)
    return ""


def _fields(layout: bpy.types.UILayout) -> bpy.types.UILayout:
    """A column for fields with their names before them."""
    fields = layout.column()
    fields.use_property_split = True
    fields.use_property_decorate = False
    return fields


class _SubPanel(_Sidebar):
    bl_parent_id = "VANGOGH_PT_animate"
    bl_options = {"DEFAULT_CLOSED"}


class VANGOGH_PT_motion(_SubPanel, bpy.types.Panel):
    bl_label = "Motion"

    def draw_header_preset(self, _context: bpy.types.Context) -> None:
        VANGOGH_PT_presets.draw_panel_header(self.layout)

    def draw(self, context: bpy.types.Context) -> None:
        settings = context.scene.vangogh
        fields = _fields(self.layout)
        fields.prop(settings, "motion")
        if settings.motion == "relative":
            for name in ("strength", "adapt_scale", "reference_frame"):
                fields.prop(settings, name)
        part = fields.column(align=True)
        part.prop(settings, "start")
        part.prop(settings, "end")
        for name in ("smooth", "loop", "use_scene_fps"):
            fields.prop(settings, name)
        fields.prop(settings, "driving_region", placeholder="auto")
        fields.prop(settings, "still_wall")


class VANGOGH_PT_output(_SubPanel, bpy.types.Panel):
    bl_label = "Output"

    def draw(self, context: bpy.types.Context) -> None:
        settings = context.scene.vangogh
        fields = _fields(self.layout)
        fields.prop(settings, "target")
        fields.prop(settings, "output_directory", placeholder="Automatic")
        for name in ("size", "format", "add_sound"):
            fields.prop(settings, name)


class VANGOGH_PT_device(_SubPanel, bpy.types.Panel):
    bl_label = "Device"

    def draw(self, context: bpy.types.Context) -> None:
        settings = context.scene.vangogh
        fields = _fields(self.layout)
        fields.prop(settings, "device")
        if os.path.splitext(settings.model)[1]:  # a file; a registered model has its own
            fields.prop(settings, "config")
        self.layout.operator("vangogh.free_memory", icon="TRASH")


class VANGOGH_PT_scene(_SubPanel, bpy.types.Panel):
    bl_label = "Scene"

    def draw(self, _context: bpy.types.Context) -> None:
        column = self.layout.column(align=True)
        column.operator("vangogh.add_picture_frame", icon="IMAGE_PLANE")
        column.operator_menu_enum("vangogh.set_frame_style", "style", icon="MOD_BEVEL")
        column.separator()
        column.operator("vangogh.build_gallery", icon="HOME")
        column.operator("vangogh.gallery_from_files", icon="FILE_FOLDER")
        column.separator()
        column.operator("vangogh.check_sequences", icon="VIEWZOOM")
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
        # What is done and what waits for it, in that order; then what is over, the newest first.
        over = [item for item in jobs if item.phase in OVER]
        for item in [*(item for item in jobs if item.phase not in OVER), *reversed(over)]:
            draw_job(self.layout.box(), context, item)
        transform = context.scene.view_settings.view_transform
        if transform not in ("Standard", "Raw") and any(item.phase == "done" for item in over):
            text = f"{transform} changes a painting's colours; the view transform Standard keeps them."
            wrapped(self.layout, context, text, icon="COLOR")
            self.layout.operator("vangogh.use_standard_colors")


def draw_job(layout: bpy.types.UILayout, context: bpy.types.Context, item: VANGOGH_PG_job) -> None:
    """One job: what it is, how far it is, what went wrong, what can be done about it."""
    head = layout.row(align=True)
    head.label(text=item.label, icon=ICONS.get(item.phase, "RENDER_ANIMATION"), translate=False)
    if item.phase == "waiting":
        for icon, places in (("TRIA_UP", -1), ("TRIA_DOWN", 1)):
            move = head.operator("vangogh.move_job", text="", icon=icon, emboss=False)
            move.job, move.places = item.name, places
    if item.phase in OVER:
        head.operator("vangogh.remove_job", text="", icon="X", emboss=False).job = item.name
    else:
        head.operator("vangogh.cancel", text="", icon="CANCEL", emboss=False).job = item.name
    if item.phase == "running":
        layout.progress(factor=item.done / max(item.total, 1), text=job_words.progress(item))
        if item.stage == "frames":
            layout.label(text=job_words.speed(item), translate=False)
    elif item.phase == "done":
        layout.label(text=f"{item.frames} frames")
    elif item.phase not in ("failed", "cancelled") or not item.sentence:
        layout.label(text=job_words.phase(item))
    if item.sentence:
        words = layout.column(align=True)
        wrapped(words, context, item.sentence)
        wrapped(words, context, item.hint)
    for warning in item.warnings.splitlines():
        wrapped(layout, context, warning, icon="INFO")
    if item.frames or (item.stage == "frames" and item.done):
        layout.operator("vangogh.view_picture", icon="HIDE_OFF").job = item.name
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
        if item.phase == "failed":
            layout.operator("vangogh.copy_job_details", icon="COPYDOWN").job = item.name


classes = (
    VANGOGH_PT_animate,
    VANGOGH_PT_motion,
    VANGOGH_PT_output,
    VANGOGH_PT_device,
    VANGOGH_PT_scene,
    VANGOGH_PT_jobs,
)
