"""Operators for framed pictures, and for what a render would make of them."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, StringProperty

from ...fomm_core.errors import UserError
from .. import colors, image_sequence, picture_frame, render_check

STYLE_ITEMS = (
    ("GILDED", "Gilded", "Carved and gilded: beads, flutes, laurel and a shell on each corner"),
    ("WOOD", "Dark Wood", "An Italian moulding in polished dark pearwood"),
    ("PLAIN", "Plain", "A plain moulding of oiled oak"),
    ("RIPPLE", "Dutch Ripple", "A cabinet maker's frame in ebony, with waved mouldings"),
    ("SHADOW_GAP", "Shadow Gap", "A thin modern frame that does not touch the canvas"),
)
_LENGTH = {"min": 0.0, "soft_max": 0.3, "unit": "LENGTH", "subtype": "DISTANCE"}


class FrameSettings:
    """How pictures are framed: the properties of the operators that frame some, and how they are drawn."""

    style: EnumProperty(name="Frame", description="The frame's profile and finish", items=STYLE_ITEMS)
    width: FloatProperty(
        name="Width", description="Of the moulding; 0 is what suits the style and the canvas", **_LENGTH
    )
    depth: FloatProperty(
        name="Depth",
        description="From the wall to the moulding's front; 0 is what suits the width",
        **_LENGTH,
    )
    mat: FloatProperty(
        name="Mat Board", description="Width of the passe-partout round the picture; 0 is none", **_LENGTH
    )
    glass: BoolProperty(name="Glass", description="A pane in front of the picture, which mirrors the room")
    canvas_texture: FloatProperty(
        name="Canvas Texture",
        description="How much the weave and the brush strokes stand out",
        default=0.5,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
    )

    def framing(self, context: bpy.types.Context) -> dict[str, object]:
        """The settings as `add_picture_frame` takes them, lengths in metres."""
        metres = context.scene.unit_settings.scale_length
        return {
            "style": self.style,
            "width": self.width * metres or None,
            "depth": self.depth * metres or None,
            "mat": self.mat * metres,
            "glass": self.glass,
            "canvas_texture": self.canvas_texture,
        }

    def draw_framing(self, layout: bpy.types.UILayout) -> None:
        for name in FrameSettings.__annotations__:
            layout.prop(self, name)


def chosen_painting(context: bpy.types.Context) -> bpy.types.Image | None:
    """The painting chosen in the Van Gogh panel, if any."""
    settings = getattr(context.scene, "vangogh", None)
    return settings.painting if settings else None


def frames_of(image: bpy.types.Image) -> int:
    """How many frames `image` has to play: the files of a sequence, the length of a film, 1 for a still."""
    if image.source == "SEQUENCE":
        return image_sequence.sequence_frames(image)
    return max(1, image.frame_duration)


class VANGOGH_OT_add_picture_frame(FrameSettings, bpy.types.Operator):
    """Hang a painting in a frame at the 3D cursor; an image sequence plays in it"""

    bl_idname = "vangogh.add_picture_frame"
    bl_label = "Add Picture Frame"
    bl_options = {"REGISTER", "UNDO"}

    image: StringProperty(name="Image", description="The painting; the panel's own if left empty", default="")
    height: FloatProperty(
        name="Height", description="Height of the canvas, without the frame", default=0.6, min=0.01, soft_max=5.0,
        unit="LENGTH", subtype="DISTANCE",
    )  # fmt: skip

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
            frame = picture_frame.add_picture_frame(
                context,
                image,
                frames=frames_of(image),
                start=context.scene.frame_start,
                height=self.height * context.scene.unit_settings.scale_length,
                **self.framing(context),
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
        self.draw_framing(layout)
        layout.label(text="Later: in the modifier Picture Frame", icon="MODIFIER")


class VANGOGH_OT_set_frame_style(bpy.types.Operator):
    """Give the selected picture frames another profile and finish, in the proportions that suit it"""

    bl_idname = "vangogh.set_frame_style"
    bl_label = "Change Frame"
    bl_options = {"REGISTER", "UNDO"}

    style: EnumProperty(name="Frame", description="The frame's profile and finish", items=STYLE_ITEMS)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        frames = [thing for thing in context.selected_objects if picture_frame.frame_modifier(thing)]
        if not frames:
            cls.poll_message_set("Select a picture frame")
        return bool(frames)

    def execute(self, context: bpy.types.Context) -> set[str]:
        for thing in context.selected_objects:
            if picture_frame.frame_modifier(thing):
                picture_frame.set_style(thing, self.style)
        return {"FINISHED"}


class VANGOGH_OT_use_standard_colors(bpy.types.Operator):
    """Set the scene's view transform to Standard, without a look: paintings keep their own colours"""

    bl_idname = "vangogh.use_standard_colors"
    bl_label = "Standard Colors"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not colors.advice(context.scene):
            cls.poll_message_set("The paintings keep their own colours already")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        colors.use_standard(context.scene)
        return {"FINISHED"}


class VANGOGH_OT_check_sequences(bpy.types.Operator):
    """Find the frames that a render of this scene would miss; it runs by itself before each render"""

    bl_idname = "vangogh.check_sequences"
    bl_label = "Check Sequences"

    def execute(self, context: bpy.types.Context) -> set[str]:
        found = render_check.problems(context.scene)
        for sentence in found:
            self.report({"ERROR"}, sentence)
        if found:
            return {"CANCELLED"}
        self.report({"INFO"}, "Every frame that this scene shows is there")
        return {"FINISHED"}


classes = (
    VANGOGH_OT_add_picture_frame,
    VANGOGH_OT_set_frame_style,
    VANGOGH_OT_use_standard_colors,
    VANGOGH_OT_check_sequences,
)
