"""The sound of a finished job."""

from __future__ import annotations

import bpy
from bpy.props import EnumProperty

from ...fomm_core.errors import UserError
from .. import image_sequence, showing, sound
from ..order import Order
from .jobs import OfJob


class VANGOGH_OT_add_sound(OfJob, bpy.types.Operator):
    """Let the driving video be heard from where the picture begins to move"""

    bl_idname = "vangogh.add_sound"
    bl_label = "Add Sound"
    bl_options = {"REGISTER", "UNDO"}

    output: EnumProperty(
        name="As",
        description="What plays the sound",
        items=(
            ("STRIP", "Strip", "A strip in the scene's sequencer: the same wherever the camera is"),
            ("SPEAKER", "Speaker", "A speaker at the picture: louder the nearer the camera is"),
        ),
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        try:
            order = self.order(context)
            first = showing.first_frame(order.place, order.frames, scene)
            add = self._add_speaker if self.output == "SPEAKER" else self._add_strip
            said = add(scene, order, first)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if said is None:
            return {"CANCELLED"}
        if warning := sound.drift(scene, order.request):
            self.report({"WARNING"}, warning)
        else:
            advice = "" if scene.sync_mode == "AUDIO_SYNC" else "; Playback, Sync to Audio keeps it in time"
            self.report({"INFO"}, f"The sound is {said}{advice}")
        return {"FINISHED"}

    def draw(self, _context: bpy.types.Context) -> None:
        self.layout.use_property_split = True
        self.layout.prop(self, "output", expand=True)

    def _add_strip(self, scene: bpy.types.Scene, order: Order, first: int) -> str | None:
        """Where the sound is, in words; None, and that is said, where it was before."""
        if strip := sound.find(scene, order.request, first):
            self.report({"INFO"}, f"The sound is there already: {strip.name}, channel {strip.channel}")
            return None
        strip = sound.add(scene, order.request, first, image_sequence.count_frames(order.frames))
        return f"on the sequencer's channel {strip.channel}"

    def _add_speaker(self, scene: bpy.types.Scene, order: Order, first: int) -> str | None:
        if speaker := sound.find_speaker(scene, order.request, first):
            self.report({"INFO"}, f"The sound is there already: {speaker.name}")
            return None
        shown = showing.shown_on(order.frames, scene)
        if shown is None:
            raise UserError(
                "arguments", "No object of this scene shows these frames.", "Load Frames hangs them."
            )
        frames = image_sequence.count_frames(order.frames)
        return f"at {sound.add_speaker(scene, order.request, first, frames, shown[0]).name}"


classes = (VANGOGH_OT_add_sound,)
