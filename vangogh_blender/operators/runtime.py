"""The runtime from the sidebar, the preferences and scripts: set up, cancel, repair, remove, and its log."""

import time
from pathlib import Path

import bpy
from bpy.props import BoolProperty

from ...fomm_core.errors import UserError
from .. import installation, models, runtime_words, session, upkeep
from ..properties import BackendSetting
from ..words import file_size
from .jobs import TELL_SECONDS

WINDOW_LINES = 25  # of the log's end, in the window that opens


def _free_runtime(action: str) -> None:
    """End a worker that runs in our runtime, whose files are about to change. Raises `UserError` while it works."""
    if models.current().running:
        raise UserError(
            "runtime", f"A model is being imported, so the runtime cannot be {action} now.", "Wait for it."
        )
    client = session.current().client
    if client is None or not Path(client.python).is_relative_to(installation.runtime_folder()):
        return
    if session.current().state.active:
        raise UserError(
            "runtime", f"A job is running, so the runtime cannot be {action} now.", "Cancel the job first."
        )
    session.current().free()


class _WorksOnRuntime:
    """For operators that begin something slow: with a window they come back at once, else when it is over."""

    wait: BoolProperty(
        name="Wait",
        description="Come back when it is over; by default so in background mode only",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if upkeep.current().running:
            cls.poll_message_set("The runtime is being worked on")
        return not upkeep.current().running

    def outcome(self) -> set[str]:
        if self.wait if self.properties.is_property_set("wait") else bpy.app.background:
            _wait_for_end()
        session.tick()
        if error := upkeep.current().error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


def _wait_for_end() -> None:
    """Tick until the set-up is over, and say on the console now and then how it goes."""
    told, said = 0.0, ""
    try:
        while upkeep.current().running:
            session.tick()
            progress = upkeep.current().progress
            if progress and (progress.stage != said or time.monotonic() - told >= TELL_SECONDS):
                told, said = time.monotonic(), progress.stage
                print(f"Van Gogh: {runtime_words.progress_line(progress)}", flush=True)
            time.sleep(0.02)
    except KeyboardInterrupt:
        upkeep.current().stop()
        raise
    if about := upkeep.current().about:
        print(f"Van Gogh: {runtime_words.about_line(about)}", flush=True)


class _SetsUp(BackendSetting, _WorksOnRuntime):
    def execute(self, _context: bpy.types.Context) -> set[str]:
        given = self.properties.is_property_set("backend")
        backend = self.backend if given else installation.preferences().backend
        try:
            _free_runtime("set up")
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        upkeep.current().set_up(backend, online=bpy.app.online_access)
        return self.outcome()


class VANGOGH_OT_set_up_runtime(_SetsUp, bpy.types.Operator):
    """Fetch what computes the frames, into a folder of the add-on's own. You can work in the meantime"""

    bl_idname = "vangogh.set_up_runtime"
    bl_label = "Set Up"


class VANGOGH_OT_repair_runtime(_SetsUp, bpy.types.Operator):
    """Make the runtime anew; what was fetched before is used again"""

    bl_idname = "vangogh.repair_runtime"
    bl_label = "Repair"


class VANGOGH_OT_cancel_set_up(bpy.types.Operator):
    """Stop the set-up. What was fetched is kept for the next time"""

    bl_idname = "vangogh.cancel_set_up"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return upkeep.current().running and not upkeep.current().removing

    def execute(self, _context: bpy.types.Context) -> set[str]:
        upkeep.current().cancel()
        return {"FINISHED"}


class VANGOGH_OT_remove_runtime(_WorksOnRuntime, bpy.types.Operator):
    """Remove what Set Up has fetched and made. The frames and the models stay"""

    bl_idname = "vangogh.remove_runtime"
    bl_label = "Remove Runtime"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        size = upkeep.current().answers.ask(upkeep.current().runtime.size)
        frees = f"This frees {file_size(size)}. " if isinstance(size, int) else ""
        message = f"{frees}Animating needs it: Set Up fetches it again."
        return context.window_manager.invoke_confirm(
            self, event, title="Remove the runtime?", message=message, confirm_text="Remove", icon="WARNING"
        )

    def execute(self, _context: bpy.types.Context) -> set[str]:
        try:
            _free_runtime("removed")
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        upkeep.current().remove()
        return self.outcome()


class _HasLog:
    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if not upkeep.current().runtime.log.is_file():
            cls.poll_message_set("Nothing was set up yet")
            return False
        return True


class VANGOGH_OT_show_set_up_log(_HasLog, bpy.types.Operator):
    """Open the log of the last set-up in a text editor"""

    bl_idname = "vangogh.show_set_up_log"
    bl_label = "Show Log"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        path = str(upkeep.current().runtime.log)
        if bpy.app.background:
            print(runtime_words.log_end(), flush=True)
            return {"FINISHED"}
        for text in bpy.data.texts:
            if text.filepath == path:
                bpy.data.texts.remove(text)
                break
        text = bpy.data.texts.load(path)  # only its path goes into the .blend
        text.cursor_set(len(text.lines) - 1)
        bpy.ops.wm.window_new()
        area = bpy.context.window_manager.windows[-1].screen.areas[0]
        area.type = "TEXT_EDITOR"
        area.spaces.active.text = text
        area.spaces.active.show_word_wrap = True
        area.spaces.active.top = max(len(text.lines) - WINDOW_LINES, 0)
        return {"FINISHED"}


class VANGOGH_OT_copy_set_up_details(bpy.types.Operator):
    """Copy what went wrong, the versions and the end of the log, to send it to somebody who can help"""

    bl_idname = "vangogh.copy_set_up_details"
    bl_label = "Copy Details"

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.window_manager.clipboard = runtime_words.details()
        self.report({"INFO"}, "Copied: paste it into your message")
        return {"FINISHED"}


classes = (
    VANGOGH_OT_set_up_runtime,
    VANGOGH_OT_repair_runtime,
    VANGOGH_OT_cancel_set_up,
    VANGOGH_OT_remove_runtime,
    VANGOGH_OT_show_set_up_log,
    VANGOGH_OT_copy_set_up_details,
)
