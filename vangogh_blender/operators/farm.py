"""Operators for a render farm: note a job for it, export all of them."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import EnumProperty, IntProperty, StringProperty

from ...fomm_core.errors import UserError
from .. import showing
from ..farm.export import export
from ..farm.words import told
from ..order import Order
from .jobs import Orders

FOR_THE_FARM = "For the farm: Export Farm Job takes it along."


class VANGOGH_OT_add_to_farm(Orders, bpy.types.Operator):
    """Note this painting and driving video for the farm; nothing is animated here"""

    bl_idname = "vangogh.add_to_farm"
    bl_label = "Add to Farm"
    bl_options = {"REGISTER", "UNDO"}
    elsewhere = True

    def run(self, order: Order) -> set[str]:
        item = showing.find(bpy.data.scenes, order.scene).vangogh.jobs.add()
        item.name, item.label, item.order = order.id, order.label, order.json
        # As one that was stopped before its first frame: Resume animates it here after all.
        item.phase, item.sentence, item.output = "cancelled", FOR_THE_FARM, order.request.output
        return {"FINISHED"}


class VANGOGH_OT_export_farm_job(bpy.types.Operator):
    """Write the scene, what it shows and how that is animated into a folder that render farms read"""

    bl_idname = "vangogh.export_farm_job"
    bl_label = "Export Farm Job"

    directory: StringProperty(
        name="Folder", description="A new folder, for the bundle", subtype="DIR_PATH", options={"SKIP_SAVE"}
    )
    device: EnumProperty(
        name="Animate On",
        items=[
            ("auto", "GPU", "Ask the farm for machines with a GPU"),
            ("cpu", "CPU", "Any machine will do"),
        ],
    )
    frames_per_task: IntProperty(
        name="Frames per Task", description="How many frames one Blender renders", default=8, min=1
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        beside = Path(bpy.data.filepath)
        self.directory = str(beside.with_name(f"{beside.stem}-farm")) if bpy.data.filepath else ""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            if not self.directory:
                raise UserError("arguments", "No folder is chosen for the bundle.", "Choose a new one.")
            folder = Path(bpy.path.abspath(self.directory))
            manifest, left = export(context, folder, self.device, self.frames_per_task)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for sentence in left:
            self.report({"WARNING"}, sentence)
        self.report({"INFO"}, told(manifest, folder))
        return {"FINISHED"}


classes = (VANGOGH_OT_add_to_farm, VANGOGH_OT_export_farm_job)
