"""Operators that build things in the scene: a framed picture, a gallery."""

from __future__ import annotations

import bpy
from bpy.props import (
    BoolProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    StringProperty,
)

from ...fomm_core.errors import UserError
from .. import colors, image_sequence, picture_frame
from ..gallery import Painting, build_gallery
from ..room import WALL_COLOR

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


def selected_paintings(
    context: bpy.types.Context, height: float, framing: dict[str, object]
) -> list[Painting]:
    """The paintings that the selected objects show, as sequences where they are; else the one chosen in the panel.

    The active object's first, then by the objects' names. Each image is taken once; a sequence keeps the start and
    the number of frames of the node that shows it.
    """
    found: dict[bpy.types.Image, Painting] = {}
    active = context.view_layer.objects.active
    for target in sorted(context.selected_objects, key=lambda o: (o != active, o.name)):
        for image in bpy.data.images:
            nodes = image_sequence.nodes_showing(target, image)
            if nodes and image not in found:
                user = nodes[0].image_user
                found[image] = Painting(image, user.frame_duration, user.frame_start, height, framing=framing)
    if not found and (image := chosen_painting(context)):
        found[image] = Painting(image, frames_of(image), context.scene.frame_start, height, framing=framing)
    return list(found.values())


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


class VANGOGH_OT_build_gallery(FrameSettings, bpy.types.Operator):
    """Build a lit room round the paintings of the selected objects, or the panel's, and a camera that walks by"""

    bl_idname = "vangogh.build_gallery"
    bl_label = "Build Gallery"
    bl_options = {"REGISTER", "UNDO"}

    height: FloatProperty(
        name="Height", description="Height of each canvas, without the frame", default=0.9, min=0.1, max=1.8,
        unit="LENGTH",
    )  # fmt: skip
    frames: IntProperty(
        name="Length", description="Frames of the camera's walk; 0 gives it the time it needs", min=0
    )
    wall_color: FloatVectorProperty(
        name="Walls", description="Colour of the walls", subtype="COLOR", min=0.0, max=1.0, default=WALL_COLOR
    )
    standard: BoolProperty(
        name="Standard Colors",
        description="Set the scene's view transform to Standard, which shows the paintings in their own colours",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.mode == "OBJECT"

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        try:
            paintings = selected_paintings(context, self.height, self.framing(context))
            build_gallery(
                context,
                paintings,
                first_frame=scene.frame_start,
                last_frame=scene.frame_start + self.frames - 1 if self.frames else None,
                wall_color=tuple(self.wall_color),
            )
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if self.standard:
            colors.use_standard(scene)
        elif advice := colors.advice(scene):
            self.report({"INFO"}, advice)
        return {"FINISHED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        for name in ("height", "frames", "wall_color"):
            layout.prop(self, name)
        self.draw_framing(layout)
        if self.standard or colors.advice(context.scene):
            layout.prop(self, "standard")


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


classes = (
    VANGOGH_OT_add_picture_frame,
    VANGOGH_OT_set_frame_style,
    VANGOGH_OT_build_gallery,
    VANGOGH_OT_use_standard_colors,
)
