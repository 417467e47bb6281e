"""Operators that build a gallery: round the selected paintings, or from files."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    StringProperty,
)

from ...fomm_core.errors import UserError
from .. import colors, image_sequence, picture_frame
from ..gallery import Painting, build_gallery
from ..room import WALL_COLOR
from .scene import FrameSettings, chosen_painting, frames_of

# What moves paintings, by its file type; every other file is taken for a painting.
TRACKS = (".npz", ".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".ogv")
PAINTINGS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".exr", ".tga", ".jp2")


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


def paintings_from_files(files: list[Path], height: float, framing: dict[str, object]) -> list[Painting]:
    """The image files as paintings, by name. Raises `UserError` where one cannot be read."""
    found = []
    for file in sorted(files):
        try:
            image = bpy.data.images.load(str(file), check_existing=True)
        except RuntimeError as error:
            raise UserError("image", f"Blender cannot read {file}.", "Choose another file.") from error
        found.append(Painting(image, height=height, framing=framing))
    return found


class _BuildsGallery(FrameSettings):
    """The settings of a gallery, and how it is built from paintings."""

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

    def build(self, context: bpy.types.Context, paintings: list[Painting]) -> bpy.types.Collection:
        """Raises `UserError` where there is nothing to hang."""
        scene = context.scene
        collection = build_gallery(
            context,
            paintings,
            first_frame=scene.frame_start,
            last_frame=scene.frame_start + self.frames - 1 if self.frames else None,
            wall_color=tuple(self.wall_color),
        )
        if self.standard:
            colors.use_standard(scene)
        elif advice := colors.advice(scene):
            self.report({"INFO"}, advice)
        return collection

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        for name in ("height", "frames", "wall_color"):
            layout.prop(self, name)
        self.draw_framing(layout)
        if self.standard or colors.advice(context.scene):
            layout.prop(self, "standard")


GALLERY_SETTINGS = (*FrameSettings.__annotations__, *_BuildsGallery.__annotations__)


class VANGOGH_OT_build_gallery(_BuildsGallery, bpy.types.Operator):
    """Build a lit room round the paintings of the selected objects, or the panel's, and a camera that walks by"""

    bl_idname = "vangogh.build_gallery"
    bl_label = "Build Gallery"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            self.build(context, selected_paintings(context, self.height, self.framing(context)))
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class VANGOGH_OT_gallery_from_files(_BuildsGallery, bpy.types.Operator):
    """Choose paintings, and videos or motion tracks: the paintings hang in a gallery, each moved by one of them"""

    bl_idname = "vangogh.gallery_from_files"
    bl_label = "Gallery from Files"
    bl_options = {"REGISTER", "UNDO"}

    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE", "HIDDEN"})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE", "HIDDEN"})
    filter_glob: StringProperty(
        default=";".join(f"*{kind}" for kind in (*PAINTINGS, *TRACKS)), options={"SKIP_SAVE", "HIDDEN"}
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        chosen = [Path(bpy.path.abspath(self.directory)) / item.name for item in self.files if item.name]
        tracks = sorted(file for file in chosen if file.suffix.lower() in TRACKS)
        stills = [file for file in chosen if file.suffix.lower() not in TRACKS]
        try:
            paintings = paintings_from_files(stills, self.height, self.framing(context))
            collection = self.build(context, paintings)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if tracks:
            self._animate(collection, paintings, tracks)
        return {"FINISHED"}

    def _animate(
        self, collection: bpy.types.Collection, paintings: list[Painting], tracks: list[Path]
    ) -> None:
        """A job for each painting, which takes the tracks in turn; the gallery stays where one fails."""
        frames = [thing for thing in collection.objects if picture_frame.frame_modifier(thing)]
        for i, (frame, painting) in enumerate(zip(frames, paintings, strict=True)):
            try:
                bpy.ops.vangogh.animate(
                    painting=painting.image.name,
                    driving_video=str(tracks[i % len(tracks)]),
                    target="OBJECT",
                    object=frame.name,
                )
            except RuntimeError as error:  # how an operator's report comes to who called it
                self.report({"ERROR"}, str(error).removeprefix("Error: ").strip())
                return


classes = (VANGOGH_OT_build_gallery, VANGOGH_OT_gallery_from_files)
