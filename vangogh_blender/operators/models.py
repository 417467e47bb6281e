"""Models from the preferences and from scripts: import one, remove one."""

from __future__ import annotations

import os
import time

import bpy
from bpy.props import BoolProperty, StringProperty

from ...fomm_core import registry
from ...fomm_core.errors import UserError
from .. import installation, models
from ..words import file_size
from .jobs import TELL_SECONDS

TICK_SECONDS = 0.1
STAGES = {"hash": "Checking the file", "read": "Reading the file", "write": "Writing the model"}


def progress_line(imports: models.Imports) -> str:
    """How far the import under way is, as a person reads it."""
    progress = imports.progress
    if progress is None:
        return "Starting"
    return f"{STAGES.get(progress.stage, 'Importing')}: {file_size(progress.done)} of {file_size(progress.total)}"


def tick() -> float | None:
    """What the timer calls while an import is under way; the seconds until the next call."""
    if models.current().tick():
        for window in bpy.context.window_manager.windows:
            for area in window.screen.areas:
                if area.type == "PREFERENCES":
                    area.tag_redraw()
    return TICK_SECONDS if models.current().running else None


class VANGOGH_OT_import_model(bpy.types.Operator):
    """Choose a checkpoint of the authors' (.pth.tar) that you have downloaded, or a model of your own"""

    bl_idname = "vangogh.import_model"
    bl_label = "Import…"

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(default="*.tar;*.pth;*.pt;*.safetensors;*.zip", options={"HIDDEN"})
    model: StringProperty(
        name="Name",
        description="What to call the model. Empty: as it was published, or as the file is called",
        options={"SKIP_SAVE"},
    )
    config: StringProperty(
        name="Configuration",
        description="The configuration that belongs to the checkpoint. Empty: it is found out",
        search=lambda _operator, _context, _text: registry.config_names(),
        search_options={"SUGGESTION"},
        options={"SKIP_SAVE"},
    )
    replace: BoolProperty(
        name="Replace",
        description="It may take the place of a model that has the same name",
        options={"SKIP_SAVE"},
    )
    wait: BoolProperty(
        name="Wait",
        description="Come back when it is over; by default so in background mode only",
        options={"SKIP_SAVE", "HIDDEN"},
    )

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if models.current().running:
            cls.poll_message_set("A model is being imported")
        elif not installation.worker_python():
            cls.poll_message_set("Set up the runtime first: it converts the model")
        return bool(installation.worker_python()) and not models.current().running

    @classmethod
    def unregister(cls) -> None:
        """The add-on is switched off."""
        models.current().stop()

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "model", placeholder="Automatic")
        layout.prop(self, "config", placeholder="Automatic")
        layout.prop(self, "replace")

    def execute(self, _context: bpy.types.Context) -> set[str]:
        file = os.path.abspath(bpy.path.abspath(os.path.expanduser(self.filepath)))
        config = bpy.path.abspath(self.config)
        try:
            models.current().start(
                models.Wanted(file, config, self.model, self.replace),
                installation.worker_python(),
                installation.core_root(),
                installation.user_folder("logs"),
                installation.worker_hint(),
            )
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if not (self.wait if self.properties.is_property_set("wait") else bpy.app.background):
            bpy.app.timers.register(tick, first_interval=TICK_SECONDS, persistent=True)
            return {"FINISHED"}
        _wait_for_end()
        if error := models.current().error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Imported {models.current().imported}")
        return {"FINISHED"}


def _wait_for_end() -> None:
    """Until the import is over, say on the console now and then how it goes."""
    imports, told = models.current(), time.monotonic()
    try:
        while imports.running:
            imports.tick()
            if time.monotonic() - told >= TELL_SECONDS:
                told = time.monotonic()
                print(f"Van Gogh: {progress_line(imports)}", flush=True)
            time.sleep(0.02)
    except KeyboardInterrupt:
        imports.stop()
        raise


class VANGOGH_OT_cancel_import(bpy.types.Operator):
    """Stop the import; nothing is left of it"""

    bl_idname = "vangogh.cancel_import"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return models.current().running

    def execute(self, _context: bpy.types.Context) -> set[str]:
        models.current().cancel()
        return {"FINISHED"}


class VANGOGH_OT_remove_model(bpy.types.Operator):
    """Delete this model's file"""

    bl_idname = "vangogh.remove_model"
    bl_label = "Remove Model"

    model: StringProperty(name="Model", description="The model's name", options={"SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        path = registry.registered().get(self.model)
        frees = f"This frees {file_size(path.stat().st_size)}. " if path and path.exists() else ""
        used = context.scene.vangogh.model == self.model
        message = (
            f"{frees}This scene uses it: choose another there." if used else f"{frees}It cannot be undone."
        )
        return context.window_manager.invoke_confirm(
            self,
            event,
            title=f"Remove the model {self.model}?",
            message=message,
            confirm_text="Remove",
            icon="WARNING",
        )

    def execute(self, _context: bpy.types.Context) -> set[str]:
        try:
            path = registry.remove(self.model)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Removed {path.name}")
        return {"FINISHED"}


classes = (VANGOGH_OT_import_model, VANGOGH_OT_cancel_import, VANGOGH_OT_remove_model)
