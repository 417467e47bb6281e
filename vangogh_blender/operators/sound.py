"""The sound of a finished job."""

from __future__ import annotations

import bpy

from ...fomm_core.errors import UserError
from .. import image_sequence, showing, sound
from .jobs import OfJob


class VANGOGH_OT_add_sound(OfJob, bpy.types.Operator):
    """Put the driving video's sound into the scene's sequencer, where the picture begins to move"""

    bl_idname = "vangogh.add_sound"
    bl_label = "Add Sound"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        try:
            order = self.order(context)
            first = showing.first_frame(order.place, order.frames, scene)
            if strip := sound.find(scene, order.request, first):
                self.report({"INFO"}, f"The sound is there already: {strip.name}, channel {strip.channel}")
                return {"CANCELLED"}
            strip = sound.add(scene, order.request, first, image_sequence.count_frames(order.frames))
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if warning := sound.drift(scene, order.request):
            self.report({"WARNING"}, warning)
        else:
            advice = "" if scene.sync_mode == "AUDIO_SYNC" else "; Playback, Sync to Audio keeps it in time"
            self.report({"INFO"}, f"The sound is on the sequencer's channel {strip.channel}{advice}")
        return {"FINISHED"}


classes = (VANGOGH_OT_add_sound,)
