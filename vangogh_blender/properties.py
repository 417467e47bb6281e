"""What the user chooses, on the scene as `scene.vangogh` and elsewhere, and the jobs as the sidebar lists them."""

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..fomm_core import registry
from . import session, versions
from .runtime import BACKENDS
from .words import backend_name


def _search_model(_settings, _context, _text):
    return list(registry.registered())


def _search_config(_settings, _context, _text):
    return registry.config_names()


def _search_device(_settings, _context, _text):
    found = [(device.name, device.label) for device in session.current().state.devices]
    return ["auto", *(found or ["cpu", "cuda", "mps"])]


def _search_region(_settings, _context, _text):
    return ["auto", "full"]


def _search_reference(_settings, _context, _text):
    return ["auto", "first"]


# Blender keeps no reference to the strings of an enum: these stay.
_FORMATS = [
    ("png", "PNG", "Lossless"),
    ("jpg", "JPEG", "Small"),
    ("webp", "WebP", "Smaller, slower to write"),
]
_MOTIONS = [
    ("relative", "Relative", "The sitter keeps their own pose and moves from it"),
    ("absolute", "Absolute", "The sitter takes the driving face's pose"),
]
_LOOPS = [
    ("none", "None", "Once from beginning to end"),
    ("pingpong", "Ping-Pong", "Forward, then backward"),
    ("seamless", "Seamless", "The end leads back into the beginning"),
]
_TARGETS = [
    ("NEW", "New Picture Frame", "Hang a new picture frame at the 3D cursor"),
    ("OBJECT", "Active Object", "Switch the active object's own image textures that show the painting"),
]
_BACKENDS = [(backend, backend_name(backend), "") for backend in BACKENDS]
_SEARCH = {"search_options": {"SUGGESTION"}}
# The operator has the same properties; there, a value given once is not kept for the next time.
_ONCE = {"options": {"SKIP_SAVE"}}
_ONCE_A_PATH = {"options": {"SKIP_SAVE"} | versions.RELATIVE_PATH}


class BackendSetting:
    """What the runtime is set up for: a preference, which the operators that set it up override."""

    backend: EnumProperty(
        name="Compute With",
        description="Which build of PyTorch is fetched. Automatic takes the one for this computer's graphics card",
        items=_BACKENDS,
        **_ONCE,
    )


class ShowSettings:
    """Where frames are shown."""

    target: EnumProperty(name="Show On", description="What shows the moving picture", items=_TARGETS, **_ONCE)


class JobSettings(ShowSettings):
    """A job's settings but for the painting: on the scene, and on `vangogh.animate`, which overrides the scene."""

    driving_video: StringProperty(
        name="Driving Video",
        description="A video of somebody talking or laughing, whose motion the sitter takes; or a motion track",
        subtype="FILE_PATH",
        **_ONCE_A_PATH,
    )
    model: StringProperty(
        name="Model",
        description="A model's name, or a model file",
        default="starter",
        search=_search_model,
        **_SEARCH,
        **_ONCE,
    )
    config: StringProperty(
        name="Configuration",
        description="For a published checkpoint (.pth.tar): the configuration that belongs to it",
        search=_search_config,
        **_SEARCH,
        **_ONCE,
    )
    device: StringProperty(
        name="Device",
        description="What computes: auto takes the best there is",
        default="auto",
        search=_search_device,
        **_SEARCH,
        **_ONCE,
    )
    output_directory: StringProperty(
        name="Output",
        description=(
            "Folder for the frames. New or empty, it is used as it is; otherwise the job gets a folder of its own"
            " in it. None set: a folder beside the .blend, or in the add-on's own folder while that is not saved"
        ),
        subtype="DIR_PATH",
        **_ONCE_A_PATH,
    )
    motion: EnumProperty(name="Motion", description="How the motion is transferred", items=_MOTIONS, **_ONCE)
    adapt_scale: BoolProperty(
        name="Adapt Scale",
        description="Scale relative motion by the sizes of the two faces",
        default=True,
        **_ONCE,
    )
    reference_frame: StringProperty(
        name="Reference Frame",
        description="Driving frame in which the driving face has the sitter's pose: auto, first, or a number",
        default="auto",
        search=_search_reference,
        **_SEARCH,
        **_ONCE,
    )
    strength: FloatProperty(
        name="Strength",
        description="How much of the relative motion is taken: 0 is still, 1 as it is",
        default=1.0,
        min=0.0,
        max=2.0,
        subtype="FACTOR",
        **_ONCE,
    )
    smooth: FloatProperty(
        name="Smooth",
        description="How strongly the motion is smoothed over time: 0 leaves every tremor of the video in it",
        default=1.0,
        min=0.0,
        max=5.0,
        **_ONCE,
    )
    loop: EnumProperty(name="Loop", description="How the motion repeats", items=_LOOPS, **_ONCE)
    still_wall: BoolProperty(
        name="Still Wall",
        description="Keep what is behind the sitter as it is painted",
        default=True,
        **_ONCE,
    )
    all_faces: BoolProperty(
        name="All Sitters",
        description="Move every sitter that is found, each in a region of their own",
        **_ONCE,
    )
    region: StringProperty(
        name="Region",
        description=(
            "What moves in the painting: auto finds the sitter, full is all of it, or X,Y,W,H in pixels from the"
            " top left. Pick Region writes them here; cleared, it is auto again"
        ),
        default="auto",
        search=_search_region,
        **_SEARCH,
        **_ONCE,
    )
    driving_region: StringProperty(
        name="Driving Region",
        description="Where the driving face is in the video: auto, full, or X,Y,W,H in pixels",
        default="auto",
        search=_search_region,
        **_SEARCH,
        **_ONCE,
    )
    size: IntProperty(
        name="Size",
        description="Longest side of the frames in pixels; 0 keeps the painting's own",
        default=0,
        min=0,
        max=16384,
        **_ONCE,
    )
    use_scene_fps: BoolProperty(
        name="Scene Frame Rate",
        description="Retime the motion to the scene's frame rate; otherwise a frame for each of the video's",
        default=True,
        **_ONCE,
    )
    start: FloatProperty(
        name="Start",
        description="Where in the video the motion begins",
        min=0.0,
        unit="TIME_ABSOLUTE",
        **_ONCE,
    )
    end: FloatProperty(
        name="End",
        description="Where in the video the motion ends; 0 is the video's end",
        min=0.0,
        unit="TIME_ABSOLUTE",
        **_ONCE,
    )
    format: EnumProperty(name="Format", description="File type of the frames", items=_FORMATS, **_ONCE)
    add_sound: BoolProperty(
        name="Add Sound",
        description=(
            "When the frames are there, put the driving video's sound into the scene's sequencer, where the"
            " picture begins to move. To hear it in time with the picture, choose Playback, Sync to Audio in a"
            " timeline"
        ),
        **_ONCE,
    )


SETTINGS = (*JobSettings.__annotations__, *ShowSettings.__annotations__)


class VANGOGH_PG_job(bpy.types.PropertyGroup):
    """A job as the sidebar shows it and as the .blend keeps it. The session writes it; nobody else does."""

    # `name`, which every property group has, is the job's id.
    label: StringProperty()
    phase: StringProperty()
    stage: StringProperty()
    sentence: StringProperty()
    hint: StringProperty()
    warnings: StringProperty()  # one a line
    done: IntProperty()
    total: IntProperty()
    fps: FloatProperty()
    eta: FloatProperty()
    frames: IntProperty()
    output: StringProperty()
    order: StringProperty()  # the whole order as JSON, for Resume in another session


class VANGOGH_PG_settings(JobSettings, bpy.types.PropertyGroup):
    painting: PointerProperty(name="Painting", description="The image that is to move", type=bpy.types.Image)
    jobs: CollectionProperty(type=VANGOGH_PG_job)


classes = (VANGOGH_PG_job, VANGOGH_PG_settings)


def register() -> None:
    bpy.types.Scene.vangogh = PointerProperty(type=VANGOGH_PG_settings)


def unregister() -> None:
    del bpy.types.Scene.vangogh
