"""Operators that build things in the scene: a framed picture, a gallery."""

from __future__ import annotations

import bpy
from bpy.props import EnumProperty, FloatProperty, IntProperty, StringProperty

from ...fomm_core.errors import UserError
from .. import image_sequence
from ..gallery import Painting, build_gallery
from ..picture_frame import add_picture_frame

STYLE_ITEMS = (
    ("GILDED", "Gilded", "Old gold leaf over red bole"),
    ("WOOD", "Dark Wood", "Polished dark pearwood"),
)


def chosen_painting(context: bpy.types.Context) -> bpy.types.Image | None:
    """The painting chosen in the Van Gogh panel, if any."""
    settings = getattr(context.scene, "vangogh", None)
    return settings.painting if settings else None


def selected_paintings(context: bpy.types.Context, style: str, height: float) -> list[Painting]:
    """The paintings that the selected objects show, as sequences where they are; else the one chosen in the panel.

    Each image is taken once; a sequence keeps the start and the number of frames of the node that shows it.
    """
    found: dict[bpy.types.Image, Painting] = {}
    active = context.view_layer.objects.active
    for target in sorted(context.selected_objects, key=lambda o: (o != active, o.name)):
        for image in bpy.data.images:
            nodes = image_sequence.nodes_showing(target, image)
            if nodes and image not in found:
                user = nodes[0].image_user
                found[image] = Painting(image, user.frame_duration, user.frame_start, height, style)
    if not found and (image := chosen_painting(context)):
        found[image] = Painting(image, frames_of(image), context.scene.frame_start, height, style)
    return list(found.values())


def frames_of(image: bpy.types.Image) -> int:
    """How many frames `image` has to play: the files of a sequence, the length of a film, 1 for a still."""
    if image.source == "SEQUENCE":
        return image_sequence.sequence_frames(image)
    return max(1, image.frame_duration)


class VANGOGH_OT_add_picture_frame(bpy.types.Operator):
    """Hang a painting in a moulded frame at the 3D cursor; an image sequence plays in it"""

    bl_idname = "vangogh.add_picture_frame"
    bl_label = "Add Picture Frame"
    bl_options = {"REGISTER", "UNDO"}

    image: StringProperty(name="Image", description="The painting; the panel's own if left empty", default="")
    height: FloatProperty(
        name="Height", description="Height of the canvas, without the frame", default=0.6, min=0.01, soft_max=5.0,
        unit="LENGTH", subtype="DISTANCE",
    )  # fmt: skip
    style: EnumProperty(name="Frame", items=STYLE_ITEMS)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.mode == "OBJECT"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not self.image and (image := chosen_painting(context)):
            self.image = image.name
        return self.execute(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        image = bpy.data.images.get(self.image) if self.image else chosen_painting(context)
        if image is None:
            missing = f"There is no image named {self.image}." if self.image else "No painting is chosen."
            self.report({"ERROR"}, f"{missing} Choose one in the Van Gogh panel, or open an image first.")
            return {"CANCELLED"}
        try:
            frame = add_picture_frame(
                context,
                image,
                frames=frames_of(image),
                start=context.scene.frame_start,
                height=self.height * context.scene.unit_settings.scale_length,
                style=self.style,
            )
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for other in context.selected_objects:
            other.select_set(False)
        frame.select_set(True)
        context.view_layer.objects.active = frame
        return {"FINISHED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop_search(self, "image", bpy.data, "images")
        layout.prop(self, "height")
        layout.prop(self, "style")


class VANGOGH_OT_build_gallery(bpy.types.Operator):
    """Build a lit room round the paintings of the selected objects, or the panel's, with a camera that walks up"""

    bl_idname = "vangogh.build_gallery"
    bl_label = "Build Gallery"
    bl_options = {"REGISTER", "UNDO"}

    height: FloatProperty(
        name="Height", description="Height of each canvas, without the frame", default=0.9, min=0.1, max=1.8,
        unit="LENGTH",
    )  # fmt: skip
    style: EnumProperty(name="Frames", items=STYLE_ITEMS)
    frames: IntProperty(name="Length", description="Frames of the camera's walk", default=96, min=2)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.mode == "OBJECT"

    def execute(self, context: bpy.types.Context) -> set[str]:
        first = context.scene.frame_start
        try:
            paintings = selected_paintings(context, self.style, self.height)
            build_gallery(context, paintings, first_frame=first, last_frame=first + self.frames - 1)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if context.scene.view_settings.view_transform != "Standard":
            self.report(
                {"INFO"}, "Choose the view transform Standard to see the paintings in their own colours."
            )
        return {"FINISHED"}


classes = (VANGOGH_OT_add_picture_frame, VANGOGH_OT_build_gallery)
