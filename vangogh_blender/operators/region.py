"""A region of the painting, picked by hand."""

from __future__ import annotations

import bpy

from ...fomm_core.errors import UserError
from .. import painting, region
from ..easel import Easel

HELP = (
    "Drag a square around the sitter's head and shoulders     Ctrl: any rectangle     Esc: leave it as it was"
)
# Looking around while one picks; every other key and button is ours.
NAVIGATION = {
    "MIDDLEMOUSE",
    "WHEELUPMOUSE",
    "WHEELDOWNMOUSE",
    "TRACKPADPAN",
    "TRACKPADZOOM",
    "MOUSEROTATE",
    "NDOF_MOTION",
    "HOME",
    "NUMPAD_PLUS",
    "NUMPAD_MINUS",
}


class VANGOGH_OT_pick_region(bpy.types.Operator):
    """Show the painting in this area, and drag a square over what is to move in it"""

    bl_idname = "vangogh.pick_region"
    bl_label = "Pick Region"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.scene.vangogh.painting is None:
            cls.poll_message_set("Choose a painting")
        elif context.area is None:
            cls.poll_message_set("A region is picked in a window; scripts set scene.vangogh.region")
        return context.scene.vangogh.painting is not None and context.area is not None

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        settings = context.scene.vangogh
        if settings.painting.source == "TILED":
            self.report({"ERROR"}, f"{settings.painting.name} is a set of tiles and not one picture.")
            return {"CANCELLED"}
        try:
            size = painting.size(settings.painting)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self._pressed = None  # where the button went down, in the painting's pixels
        self._easel = Easel(context, settings.painting, size, region.parse(settings.region))
        self._easel.say(HELP)
        with context.temp_override(**self._easel.context()):
            context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        try:
            result = self._taken(context, event)
        except Exception:
            self._easel.leave()
            raise
        if result & {"FINISHED", "CANCELLED"}:
            self._easel.leave()
        return result

    def cancel(self, _context: bpy.types.Context) -> None:
        """Blender ends the operator: the window is closed, or another file opened."""
        self._easel.leave()

    def _taken(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        easel = self._easel
        if easel.area() is None or (event.type in {"ESC", "RIGHTMOUSE"} and event.value == "PRESS"):
            return {"CANCELLED"}
        if event.type.startswith(("TIMER", "WINDOW")):
            return {"PASS_THROUGH"}
        if event.type == "LEFTMOUSE" and event.value == "PRESS" and easel.holds(event):
            self._pressed = easel.pixel(event)
            easel.say(HELP)
        elif self._pressed is not None:
            easel.region = region.dragged(self._pressed, easel.pixel(event), free=event.ctrl)
            easel.area().tag_redraw()
            if event.type == "LEFTMOUSE" and event.value == "RELEASE":
                return self._released(context, easel.region)
        elif event.type in NAVIGATION and easel.holds(event):
            return {"PASS_THROUGH"}
        return {"RUNNING_MODAL"}

    def _released(self, context: bpy.types.Context, picked: region.Region) -> set[str]:
        if trouble := region.problem(picked, *self._easel.size):
            self._pressed = self._easel.region = None
            self._easel.say(f"{trouble}     {HELP}")
            return {"RUNNING_MODAL"}
        context.scene.vangogh.region = str(picked)
        self.report({"INFO"}, f"The region is {picked}")
        return {"FINISHED"}


classes = (VANGOGH_OT_pick_region,)
