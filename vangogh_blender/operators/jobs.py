"""Jobs from the sidebar and from scripts: animate, cancel, resume, load the frames, take off the list."""

import os
import time
import uuid
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty

from ...fomm_core.errors import UserError
from .. import installation, job_words, painting, picture_frame, session, showing, upkeep
from ..jobs import JobState, Phase
from ..order import Order, absolute, request_of
from ..properties import SETTINGS, JobSettings, ShowSettings

TELL_SECONDS = 2.0


def why_not(
    image: bpy.types.Image | None,
    settings: object,
    target_object: bpy.types.Object | None,
    elsewhere: bool = False,
) -> str:
    """Why these settings cannot be animated, as one sentence; empty when they can as far as a glance tells.

    Args:
        elsewhere: on a farm: nothing need be set up here.
    """
    if elsewhere:
        return _why_not_anywhere(image, settings, target_object)
    if upkeep.current().running and not installation.named_python():
        return "Wait until it is set up."
    if not installation.worker_python():
        return f"It is not set up yet. {installation.worker_hint()}"
    return _why_not_anywhere(image, settings, target_object)


def _why_not_anywhere(
    image: bpy.types.Image | None, settings: object, target_object: bpy.types.Object | None
) -> str:
    if image is None:
        return "Choose a painting."
    if not settings.driving_video:
        return "Choose a driving video."
    video = absolute(settings.driving_video)
    if not os.path.isfile(video):
        return f"There is no driving video at {video}."
    if settings.target == "OBJECT":
        if target_object is None:
            return "Select the object that shows the painting."
        if not showing.nodes_of(target_object, image):
            return f"{target_object.name} does not show {image.name} with an image texture."
    return ""


def make_order(
    context: bpy.types.Context,
    image: bpy.types.Image | None,
    settings: object,
    target_object: bpy.types.Object | None,
    elsewhere: bool = False,
) -> Order:
    """The order for a new job: the painting is on disk and the job's folder is made.

    Args:
        settings: has the attributes of `JobSettings`.
        target_object: for the target OBJECT, the object that shows the painting.
        elsewhere: a farm is to do it.

    Raises:
        UserError: it cannot be animated as it is.
    """
    if reason := why_not(image, settings, target_object, elsewhere):
        raise UserError("arguments", reason)
    scene = context.scene
    video = Path(absolute(settings.driving_video))
    orders = session.current().orders
    folder = painting.job_folder(
        absolute(settings.output_directory) if settings.output_directory else "",
        image.name,
        video,
        fallback=installation.user_folder("jobs"),
        taken={Path(order.request.output) for order in orders.values()},
        blend=bpy.data.filepath,
    )
    request = request_of(scene, settings, str(painting.painting_file(image, folder)), str(folder))
    return Order(
        id=uuid.uuid4().hex[:12],
        label=f"{Path(image.name).stem} · {video.stem}",
        request=request,
        place=_place(context, image, settings.target, target_object),
        scene=showing.ref(scene),
        blend=bpy.data.filepath,
        sound=settings.add_sound,
    )


def _place(
    context: bpy.types.Context,
    image: bpy.types.Image | None,
    target: str,
    target_object: bpy.types.Object | None,
) -> showing.Place:
    scene = context.scene
    return showing.Place(
        painting=showing.ref(image),
        target=target,
        object=showing.ref(target_object),
        location=tuple(scene.cursor.location),
        start=scene.frame_start,
    )


class _OnObject:
    """For operators that may show frames on an object of the user's."""

    object: StringProperty(
        name="Object",
        description="For the target OBJECT, its name; by default the active object",
        options={"SKIP_SAVE"},
    )

    def target_object(self, context: bpy.types.Context) -> bpy.types.Object | None:
        return context.scene.objects.get(self.object) if self.object else context.object


class _Runs:
    """For operators that start a job: with a window they come back at once, without one when it is over."""

    wait: BoolProperty(
        name="Wait",
        description="Come back when the frames are there; by default so in background mode only",
        options={"SKIP_SAVE"},
    )

    def run(self, order: Order) -> set[str]:
        waits = self.wait if self.properties.is_property_set("wait") else bpy.app.background
        session.current().ask(order, early=not waits)
        if not waits:
            self.report({"INFO"}, f"The frames go to {order.frames}")
            return {"FINISHED"}
        job = _wait_for(order.id)
        for warning in job.warnings:
            self.report({"WARNING"}, warning)
        if job.phase is Phase.DONE:
            return {"FINISHED"}
        self.report({"ERROR"}, f"{job.sentence} {job.hint}".strip())
        return {"CANCELLED"}


def _wait_for(job_id: str) -> JobState:
    """Tick until the job is over, and say on the console now and then how it goes."""
    told = -TELL_SECONDS
    try:
        while not (job := session.current().state.job(job_id)).over:
            session.tick()
            if time.monotonic() - told >= TELL_SECONDS and job.stage:
                told = time.monotonic()
                print(f"Van Gogh: {job.name}: {job.stage}, {job.done} of {job.total}", flush=True)
            time.sleep(0.02)
    except KeyboardInterrupt:
        session.current().cancel(job_id)
        raise
    return job


class Orders(JobSettings, _OnObject):
    """For operators that make an order of a painting and the settings; `run` says what becomes of it."""

    elsewhere = False  # a farm does it

    painting: StringProperty(
        name="Painting",
        description="Name of an image in this file, or path of an image file",
        options={"SKIP_SAVE"},
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.vangogh
        chosen = SimpleNamespace(
            **{
                name: getattr(self if self.properties.is_property_set(name) else settings, name)
                for name in SETTINGS
            }
        )
        try:
            image = _image(self.painting) if self.painting else settings.painting
            target_object = self.target_object(context)
            order = make_order(context, image, chosen, target_object, self.elsewhere)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return self.run(order)


class VANGOGH_OT_animate(Orders, _Runs, bpy.types.Operator):
    """Make the painting move as the driving video does"""

    bl_idname = "vangogh.animate"
    bl_label = "Animate"
    bl_options = {"REGISTER"}


def _image(name_or_path: str) -> bpy.types.Image:
    if image := bpy.data.images.get(name_or_path):
        return image
    try:
        return bpy.data.images.load(absolute(name_or_path), check_existing=True)
    except RuntimeError as error:
        raise UserError(
            "image",
            f"There is no image {name_or_path} in this file, nor on disk.",
            "Choose another painting.",
        ) from error


class OfJob:
    """For operators on one job of the list."""

    job: StringProperty(
        name="Job", description="The job's id: its name in scene.vangogh.jobs", options={"SKIP_SAVE"}
    )

    def order(self, context: bpy.types.Context) -> Order:
        """Raises `UserError` when the job is not on the list."""
        item = context.scene.vangogh.jobs.get(self.job)
        if item is None:
            raise UserError("arguments", f"There is no job {self.job!r} in this scene.")
        order = session.current().orders.get(self.job) or Order.from_json(item.order)
        return replace(order, scene=showing.ref(context.scene), blend=bpy.data.filepath, welcome=True)


class VANGOGH_OT_cancel(OfJob, bpy.types.Operator):
    """Stop the job; the frames that are complete stay on disk. Pressed again, the worker is stopped with it"""

    bl_idname = "vangogh.cancel"
    bl_label = "Cancel"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        current = session.current()
        job = current.state.job(self.job) if self.job else current.state.active
        if job is None or job.over:
            self.report({"INFO"}, "There is nothing to cancel")
            return {"CANCELLED"}
        current.cancel(job.id)
        return {"FINISHED"}


class VANGOGH_OT_resume(OfJob, _Runs, bpy.types.Operator):
    """Go on with a job that was cancelled or failed, from its last complete frame"""

    bl_idname = "vangogh.resume"
    bl_label = "Resume"

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            order = self.order(context)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        job = session.current().state.job(self.job)
        if job and not job.over:
            self.report({"INFO"}, "The job is not over")
            return {"CANCELLED"}
        return self.run(replace(order, request=replace(order.request, resume=True)))


class VANGOGH_OT_load_frames(OfJob, ShowSettings, _OnObject, bpy.types.Operator):
    """Show the frames that are on disk, where Show On says: in a new picture frame, or on the active object"""

    bl_idname = "vangogh.load_frames"
    bl_label = "Load Frames"
    bl_options = {"REGISTER", "UNDO"}

    directory: StringProperty(
        name="Folder",
        description="In place of a job: its folder, or one with files from 0001 on",
        options={"SKIP_SAVE"},
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.vangogh
        target = self.target if self.properties.is_property_set("target") else settings.target
        target_object = self.target_object(context)
        try:
            if self.directory:
                folder = Path(absolute(self.directory))
                image, label = settings.painting, folder.name
                folder = folder / "frames" if (folder / "frames").is_dir() else folder
            else:
                order = self.order(context)
                image = showing.find(bpy.data.images, order.place.painting)
                folder, label = order.frames, order.label
            showing.show(_place(context, image, target, target_object), folder, label, context.scene)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class VANGOGH_OT_view_picture(OfJob, bpy.types.Operator):
    """Turn the 3D view to the moving picture, in a shading that shows paintings"""

    bl_idname = "vangogh.view_picture"
    bl_label = "View Picture"

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            shown = showing.shown_on(self.order(context).frames, context.scene)
            if shown is None:
                raise UserError("arguments", "No object shows these frames.", "Press Load Frames.")
            self._turn(context, shown[0])
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}

    def _turn(self, context: bpy.types.Context, picture: bpy.types.Object) -> None:
        areas = [context.area, *(context.screen.areas if context.screen else [])]
        area = next((area for area in areas if area and area.type == "VIEW_3D"), None)
        if bpy.app.background or area is None or context.mode != "OBJECT":
            raise UserError("arguments", "This needs a 3D view in Object Mode.")
        if not picture.visible_get():
            raise UserError("arguments", f"{picture.name} is hidden.", "Switch it on in the Outliner.")
        for thing in context.selected_objects:
            thing.select_set(False)
        picture.select_set(True)
        context.view_layer.objects.active = picture
        shading = area.spaces.active.shading
        if shading.type in ("SOLID", "WIREFRAME"):
            shading.type = "MATERIAL"
        region = next(region for region in area.regions if region.type == "WINDOW")
        with context.temp_override(area=area, region=region):
            if picture_frame.frame_modifier(picture):  # where the user's own object shows it, we do not know
                bpy.ops.view3d.view_axis(type="FRONT", align_active=True)
            bpy.ops.view3d.view_selected()


class VANGOGH_OT_remove_job(OfJob, bpy.types.Operator):
    """Take the job off this list; its files stay on disk"""

    bl_idname = "vangogh.remove_job"
    bl_label = "Remove from List"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        session.current().forget(self.job)
        return {"FINISHED"}


class VANGOGH_OT_move_job(OfJob, bpy.types.Operator):
    """Let a waiting job come earlier or later"""

    bl_idname = "vangogh.move_job"
    bl_label = "Move Job"

    places: IntProperty(
        name="Places",
        description="How many places later; negative is earlier",
        default=-1,
        options={"SKIP_SAVE"},
    )

    def execute(self, _context: bpy.types.Context) -> set[str]:
        job = session.current().state.job(self.job)
        if job is None or job.phase is not Phase.WAITING:
            self.report({"INFO"}, "Only a waiting job can be moved")
            return {"CANCELLED"}
        session.current().move(self.job, self.places)
        return {"FINISHED"}


class VANGOGH_OT_copy_job_details(OfJob, bpy.types.Operator):
    """Copy what went wrong, what was asked for, the versions and the end of the log, to send it to somebody"""

    bl_idname = "vangogh.copy_job_details"
    bl_label = "Copy Details"

    def execute(self, context: bpy.types.Context) -> set[str]:
        item = context.scene.vangogh.jobs.get(self.job)
        if item is None:
            self.report({"ERROR"}, f"There is no job {self.job!r} in this scene.")
            return {"CANCELLED"}
        context.window_manager.clipboard = job_words.details(item)
        self.report({"INFO"}, "Copied: paste it into your message")
        return {"FINISHED"}


class VANGOGH_OT_free_memory(bpy.types.Operator):
    """End the background process, which keeps the model in memory; the next job starts another"""

    bl_idname = "vangogh.free_memory"
    bl_label = "Free Memory"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        current = session.current()
        if current.client is None:
            cls.poll_message_set("No background process is running")
        elif current.state.active:
            cls.poll_message_set("The background process is working")
        return current.client is not None and not current.state.active

    def execute(self, _context: bpy.types.Context) -> set[str]:
        session.current().free()
        return {"FINISHED"}


classes = (
    VANGOGH_OT_animate,
    VANGOGH_OT_cancel,
    VANGOGH_OT_resume,
    VANGOGH_OT_load_frames,
    VANGOGH_OT_view_picture,
    VANGOGH_OT_remove_job,
    VANGOGH_OT_move_job,
    VANGOGH_OT_copy_job_details,
    VANGOGH_OT_free_memory,
)
