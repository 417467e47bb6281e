"""Messages between Blender and the worker: dataclasses, written as JSON, one message a line.

Standard library only: Blender's Python imports this module too. A reader ignores fields that it does not
know, so that a newer worker can say more to an older Blender; `Hello.protocol` changes when that is not enough.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field

PROTOCOL = 1

MOTIONS = ("relative", "absolute")
FORMATS = ("png", "jpg", "webp", "mp4")
PRECISIONS = ("auto", "fp32", "fp16", "bf16")
LOOPS = ("none", "pingpong", "seamless")
STAGES = ("model", "motion", "frames")  # what a job does, in this order


class ProtocolError(ValueError):
    """A line that is no message of this protocol."""


@dataclass(frozen=True)
class Job:
    """One animation: a painting, a driving video and how to bring them together.

    Attributes:
        painting: path of an image file.
        video: path of a driving video, or of a motion track saved by `track`.
        output: path of the job's folder; `frames/0001.png …`, `job.json` and `motion.npz` are written there.
        model: name of a registered model, or path of a checkpoint.
        config: name or path of the configuration, for a published checkpoint that does not carry its own.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: auto, fp32, fp16 or bf16: of the pictures; keypoints and motion are always fp32.
        motion: relative (the sitter keeps their pose and moves from it) or absolute.
        adapt_scale: scale relative motion by the faces' sizes.
        reference_frame: auto, first, or the number of the driving frame (from 0) in which the driving face
            has the sitter's pose. Relative motion only.
        strength: factor on relative motion, 0 (still) to 2.
        region: auto, full, or X,Y,W,H in the painting's pixels: what moves.
        driving_region: the same in the driving video.
        still_wall: keep what is behind the sitter as it is painted, where it can be told from the sitter.
        all_faces: animate every sitter that is found, each in a region of their own; `region` is auto.
        size: longest side of the output in pixels; none keeps the painting's own.
        fps: frame rate of the output; none keeps the driving video's own.
        start, end: seconds into the driving video.
        loop: none, pingpong (forward, then backward) or seamless (the end leads back into the beginning).
        smooth: how strongly the motion is smoothed over time, 0 (not at all) to 5; none means 1, and 0 in the
            plain published way (`region` and `driving_region` full at the model's own size).
        format: png, jpg, webp or mp4.
        resume: keep the complete frames of the same job cut off earlier.
    """

    painting: str
    video: str
    output: str
    model: str = "starter"
    config: str | None = None
    device: str = "auto"
    precision: str = "auto"
    motion: str = "relative"
    adapt_scale: bool = True
    reference_frame: str = "auto"
    strength: float = 1.0
    region: str = "auto"
    driving_region: str = "auto"
    still_wall: bool = True
    all_faces: bool = False
    size: int | None = None
    fps: float | None = None
    start: float = 0.0
    end: float | None = None
    loop: str = "none"
    smooth: float | None = None
    format: str = "png"
    resume: bool = False


# Requests: Blender to the worker.


@dataclass(frozen=True)
class Animate:
    """Run `job`; every event about it carries `id`. Jobs run one after another."""

    id: str
    job: Job


@dataclass(frozen=True)
class Track:
    """Detect the motion of `video` and save it as a motion track at `output`."""

    id: str
    video: str
    output: str
    model: str = "starter"
    config: str | None = None
    device: str = "auto"
    driving_region: str = "auto"


@dataclass(frozen=True)
class Prepare:
    """Get ready for `job`, which may be asked for: load its model, find its clip's motion, look at its painting.

    It gives way to a job that needs something else and to another `Prepare`, and tells nothing but its end,
    `Prepared`: what is wrong with the job is told when it comes. Without a painting yet, `job.painting` is empty;
    `job.output` says nothing.
    """

    id: str
    job: Job


@dataclass(frozen=True)
class Cancel:
    """Stop the job `id`, running or waiting; answered by `Cancelled`."""

    id: str


@dataclass(frozen=True)
class ListDevices:
    """Answered by `Devices`."""


@dataclass(frozen=True)
class FreeMemory:
    """Let go of the model that is kept for the next job, once no job runs. Not answered."""


@dataclass(frozen=True)
class Shutdown:
    """Stop whatever runs and exit."""


# Events: the worker to Blender.


@dataclass(frozen=True)
class Device:
    name: str  # what `Job.device` takes: cpu, cuda:0, mps
    label: str  # what a person reads


@dataclass(frozen=True)
class Hello:
    """The first line of a worker."""

    protocol: int
    version: str
    devices: list[Device] = field(default_factory=list)


@dataclass(frozen=True)
class Devices:
    devices: list[Device]


@dataclass(frozen=True)
class Started:
    """The job is under way. `total` frames of `width` x `height` pixels at `fps` are to come."""

    id: str
    total: int
    fps: float
    width: int
    height: int


@dataclass(frozen=True)
class Progress:
    """`done` of `total` in one of `STAGES`; `fps` frames per second, `eta` seconds left (0 where unknown)."""

    id: str
    stage: str
    done: int
    total: int
    fps: float = 0.0
    eta: float = 0.0


@dataclass(frozen=True)
class Frame:
    """The frame number `index` (from 1) is complete on disk at `path`; an mp4 is complete at its end only."""

    id: str
    index: int
    path: str


@dataclass(frozen=True)
class Warning:
    """Something a person should know; the job goes on."""

    id: str
    sentence: str


@dataclass(frozen=True)
class Done:
    """All is on disk. `path` is the frames' folder, the mp4 or the motion track."""

    id: str
    path: str
    frames: int
    fps: float
    seconds: float


@dataclass(frozen=True)
class Prepared:
    """The end of a `Prepare`. `ready`: it was not given up, and nothing stood in its way."""

    id: str
    ready: bool


@dataclass(frozen=True)
class Cancelled:
    """The job was stopped; `frames` complete frames are on disk."""

    id: str
    frames: int = 0


@dataclass(frozen=True)
class Error:
    """The job failed; `kind` is one of `errors.KINDS`. An empty `id`: about no job in particular."""

    id: str
    kind: str
    sentence: str
    hint: str = ""


_TYPES = {
    "animate": Animate,
    "track": Track,
    "prepare": Prepare,
    "cancel": Cancel,
    "devices": ListDevices,
    "free": FreeMemory,
    "shutdown": Shutdown,
    "hello": Hello,
    "device_list": Devices,
    "started": Started,
    "progress": Progress,
    "frame": Frame,
    "warning": Warning,
    "done": Done,
    "prepared": Prepared,
    "cancelled": Cancelled,
    "error": Error,
}
_NAMES = {cls: name for name, cls in _TYPES.items()}


def encode(message: object) -> str:
    """The message as one line of JSON, without the line's end."""
    return json.dumps({"type": _NAMES[type(message)], **dataclasses.asdict(message)}, allow_nan=False)


def decode(line: str) -> object:
    """The message in one line.

    Raises:
        ProtocolError: the line is not JSON, of no known type, or lacks a field or has one of a wrong type.
    """
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not a JSON line: {line[:80]!r}") from error
    if not isinstance(data, dict) or not isinstance(data.get("type"), str):
        raise ProtocolError(f"a message without a type: {line[:80]!r}")
    cls = _TYPES.get(data.pop("type"))
    if cls is None:
        raise ProtocolError(f"a message of unknown type: {line[:80]!r}")
    return _build(cls, data)


def job_from_dict(data: dict) -> Job:
    """The job that `dataclasses.asdict` wrote (to `job.json`, say). Raises `ProtocolError`."""
    return _build(Job, data)


_FIELD_TYPES = {
    "str": str,
    "int": int,
    "float": (int, float),
    "bool": bool,
    "str | None": (str, type(None)),
    "int | None": (int, type(None)),
    "float | None": (int, float, type(None)),
}


def _build(cls: type, data: object):
    if not isinstance(data, dict):
        raise ProtocolError(f"{cls.__name__} is not an object")
    values = {}
    for f in dataclasses.fields(cls):
        if f.name not in data:
            if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
                raise ProtocolError(f"{cls.__name__} lacks {f.name}")
            continue
        values[f.name] = _value(cls, f, data[f.name])
    return cls(**values)


def _value(cls: type, f: dataclasses.Field, value: object) -> object:
    if f.type == "Job":
        return _build(Job, value)
    if f.type == "list[Device]":
        if not isinstance(value, list):
            raise ProtocolError(f"{cls.__name__}.{f.name} is not a list")
        return [_build(Device, item) for item in value]
    expected = _FIELD_TYPES[f.type]
    # True is an int to Python, and NaN a float to its JSON reader; neither is one here.
    if not isinstance(value, expected) or (isinstance(value, bool) and f.type != "bool"):
        raise ProtocolError(f"{cls.__name__}.{f.name} is {str(value)[:80]!r}, not {f.type}")
    if f.type.startswith("float") and value is not None:
        try:
            value = float(value)  # JSON writes 1.0 as it likes
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise ProtocolError(f"{cls.__name__}.{f.name} is not a finite number")
    return value
