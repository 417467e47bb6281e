"""One animation job, from its description to its frames on disk."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import driving, faces, job_folder, lanes, media, motion, protocol, regions, sitters, warm
from .animator import Animator, Prediction
from .canvas import Canvas
from .control import Control
from .errors import UserError
from .faces import Probe, Search
from .motion import MotionTrack
from .protocol import Job
from .regions import Region
from .sitters import Sitter

# At most so much of frames that are being painted, besides one.
HELD_BYTES = 100_000_000


class Scene(NamedTuple):
    """What a job animates, once all has been read.

    Attributes:
        track: the driving motion, N frames.
        sitters: who moves, the largest first.
        plain: whether the prediction is written as it is, as the published code does.
        still_wall: as in `Job`.
    """

    track: MotionTrack
    sitters: list[Sitter]
    plain: bool
    still_wall: bool


class Looked(NamedTuple):
    """Searches for faces that have begun: in the painting and in the clip, each where its region is `auto`."""

    painting: Search[list[Region]] | None
    clip: Search[list[Probe]] | None


def check(job: Job) -> None:
    """Raises `UserError` for settings that no job can meet, before anything is read."""

    def need(condition: bool, sentence: str, hint: str) -> None:
        if not condition:
            raise UserError("arguments", sentence, hint)

    for name, value, choices in (
        ("motion", job.motion, protocol.MOTIONS),
        ("format", job.format, protocol.FORMATS),
        ("loop", job.loop, protocol.LOOPS),
        ("precision", job.precision, protocol.PRECISIONS),
    ):
        need(value in choices, f"{value!r} is no {name}.", f"Use one of: {', '.join(choices)}.")
    need(
        job.reference_frame in ("auto", "first") or job.reference_frame.isdecimal(),
        f"{job.reference_frame!r} is no reference frame.",
        "Use auto, first, or a frame's number, from 0.",
    )
    need(0 <= job.strength <= 2, f"A strength of {job.strength:g} is not possible.", "Use 0 (still) to 2.")
    need(
        job.fps is None or 1 <= job.fps <= media.MAX_FPS,
        f"{job.fps} frames per second are not possible.",
        f"Use 1 to {media.MAX_FPS:g}.",
    )
    need(
        job.size is None or 16 <= job.size <= 16384,
        f"A size of {job.size} is not possible.",
        "Use 16 to 16384.",
    )
    need(
        job.smooth is None or 0 <= job.smooth <= 5,
        f"Smoothing of {job.smooth} is not possible.",
        "Use 0 (not at all) to 5.",
    )
    need(
        not job.all_faces or job.region == "auto",
        "All faces are looked for in the whole painting.",
        "Leave the region at auto, or animate one face.",
    )
    need(
        0 <= job.start < math.inf,
        f"The start, {job.start:g} s, does not lie in the video.",
        "Use 0 or more seconds.",
    )
    need(
        job.end is None or job.start < job.end < math.inf,
        f"The end, {job.end} s, does not lie after the start, {job.start:g} s.",
        "Choose a later end.",
    )
    regions.parse_region(job.region, "The region")
    regions.parse_region(job.driving_region, "The driving region")


def run(job: Job, control: Control, load: warm.Load = warm.load) -> protocol.Done:
    """Do the job; its events go to `control`. Returns the last of them, which the caller reports.

    Args:
        load: where its animator comes from.

    Raises:
        UserError: it cannot be done.
        Cancelled: it was stopped; complete frames are on disk.
    """
    began = time.monotonic()
    check(job)
    control.report(protocol.Progress(control.id, "model", 0, 1))
    painting = media.read_painting(Path(job.painting))
    output = Path(job.output)
    job_folder.check_output(output)
    control.check()
    looked = look_ahead(job, painting, control)
    animator = load(job.model, job.config, job.device, job.precision)
    control.report(protocol.Progress(control.id, "model", 1, 1))

    record = job_folder.record(job, animator)
    control.frames = kept = job_folder.complete_frames(output, record, job)
    scene = prepare(job, painting, animator, control, output if kept else None, looked)
    scale = 1.0
    if scene.plain:
        height, width = scene.sitters[0].source.shape[:2]
    else:
        painting, scale = _scaled(painting, job.size)
        height, width = painting.shape[:2]
    _check_format(job.format, width, height)

    track = scene.track
    total = len(track)
    control.frames = kept = min(kept, total)
    control.check()
    job_folder.start(output, record, track, kept)
    control.report(protocol.Started(control.id, total, track.fps, width, height))
    frames_began = time.monotonic()
    control.progress("frames", kept, total, frames_began, kept)

    def written(index: int, path: Path) -> None:
        if job.format != "mp4":
            control.frame(index, path)
        control.progress("frames", index, total, frames_began, kept)

    with _writer(job, output, track.fps, written, control) as writer:
        for index, frame in enumerate(_frames(painting, scale, scene, kept, control), kept + 1):
            writer.write(index, frame)
    path = writer.path if job.format == "mp4" else output / "frames"
    return protocol.Done(control.id, str(path), total, track.fps, round(time.monotonic() - began, 2))


def get_ready(job: Job, control: Control, load: warm.Load = warm.load) -> None:
    """Do ahead what a job of these settings will not have to do again, as `protocol.Prepare` says.

    Raises as `run` does.
    """
    check(job)
    painting = media.read_painting(Path(job.painting)) if job.painting else None
    looked = look_ahead(job, painting, control)
    animator = load(job.model, job.config, job.device, job.precision)
    if painting is None:
        driving.read(job, animator, control, None, plain=False, looks=looked.clip)
    else:
        # The sources are known then; that one frame has the decoder lay out its weights.
        prepare(job, painting, animator, control, looked=looked).sitters[0].animator.still()


def look_ahead(job: Job, painting: np.ndarray | None, control: Control) -> Looked:
    """Begin to look for the faces that the job has to find: the model takes a second to load."""
    video = Path(job.video)
    of_clip = job.driving_region == "auto" and not motion.is_track(video)
    return Looked(
        faces.in_painting(painting, control) if painting is not None and job.region == "auto" else None,
        faces.in_clip(video, job.start, job.end, control) if of_clip else None,
    )


def prepare(
    job: Job,
    painting: np.ndarray,
    animator: Animator,
    control: Control,
    resumed: Path | None = None,
    looked: Looked | None = None,
) -> Scene:
    """Read the driving motion, find the sitters of the painting, and make it theirs.

    Args:
        painting: as `media.read_painting` gives it.
        animator: the first sitter's.
        resumed: the folder of the same job's earlier run.
        looked: what `look_ahead` has begun, if it has.

    Raises:
        UserError: it cannot be done.
        Cancelled: it was stopped.
    """
    plain = job.region == job.driving_region == "full" and job.size == animator.frame_size
    looked = looked or look_ahead(job, painting, control)
    track = driving.read(job, animator, control, resumed, plain, looked.clip)
    found = sitters.prepare(painting, job, track, animator, control, plain, looked.painting)
    return Scene(track, found, plain, job.still_wall)


def frames(
    job: Job, painting: np.ndarray, scene: Scene, control: Control, kept: int = 0
) -> Iterator[np.ndarray]:
    """The frames after the first `kept` as `run` writes them, computed one after another as they are asked for.

    Args:
        painting, scene: what `prepare` was given, and what it gave.
    """
    scale = 1.0
    if not scene.plain:
        painting, scale = _scaled(painting, job.size)
    return _frames(painting, scale, scene, kept, control)


def _check_format(format: str, width: int, height: int) -> None:
    largest = media.MAX_SIDE.get(format, math.inf)
    if max(width, height) > largest:
        raise UserError(
            "arguments",
            f"Frames of {width} x {height} pixels are too large for {format}.",
            f"Choose a size of at most {largest}, or png.",
        )


def _scaled(painting: np.ndarray, size: int | None) -> tuple[np.ndarray, float]:
    """The painting with its longest side at most `size`, and by how much it became smaller."""
    smaller = media.scaled(painting, size) if size else painting
    return smaller, smaller.shape[1] / painting.shape[1]


def _canvas(
    painting: np.ndarray, scale: float, sitter: Sitter, still: Prediction, still_wall: bool
) -> Canvas:
    x, y, w, h = (round(v * scale) for v in sitter.region)
    region = Region(x, y, max(1, w), max(1, h))
    return Canvas(painting, region, sitter.origin, still, sitter.animator.head, still_wall)


def _writer(job: Job, output: Path, fps: float, written: Callable[[int, Path], None], control: Control):
    if job.format != "mp4":
        profile = media.colour_profile(Path(job.painting))
        return media.FrameWriter(output / "frames", job.format, written, profile)
    sound = None
    # What swings back and forth has no sound that fits.
    if job.loop != "pingpong" and not motion.is_track(Path(job.video)):
        sound = media.Sound(Path(job.video), job.start)
    return media.MovieWriter(output / job_folder.MOVIE, fps, written, sound, control.warn)


def _frames(
    painting: np.ndarray, scale: float, scene: Scene, kept: int, control: Control
) -> Iterator[np.ndarray]:
    """The frames after the first `kept`, one at a time, each with all sitters in it.

    Args:
        painting, scale: as large as the frames are to be, and what the sitters' regions are to be multiplied by.
    """
    if kept == len(scene.track):
        return
    streams = [_predictions(sitter, kept, still_first=not scene.plain) for sitter in scene.sitters]
    canvases = []
    if not scene.plain:
        pairs = zip(scene.sitters, streams, strict=True)
        canvases = [
            _canvas(painting, scale, sitter, next(stream), scene.still_wall) for sitter, stream in pairs
        ]

    def painted(seen: tuple[int, tuple[Prediction, ...]]) -> np.ndarray:
        number, predictions = seen
        if scene.plain:
            return predictions[0].image
        frame = painting.copy()
        for canvas, sitter, prediction in zip(canvases, scene.sitters, predictions, strict=True):
            canvas.paint(frame, prediction, sitter.value[number])
        return frame

    predictions = enumerate(zip(*streams, strict=True), kept)
    # The first is waited for, and does not wait for those after it: somebody looks at an empty canvas.
    held = min(lanes.count(), HELD_BYTES // painting.nbytes)
    for some, ahead in ((islice(predictions, 1), 0), (predictions, held)):
        for frame in lanes.in_order(painted, some, ahead):
            control.check()
            yield frame


def _predictions(sitter: Sitter, kept: int, still_first: bool) -> Iterator[Prediction]:
    for batch in sitter.animator.animate(sitter.value[kept:], sitter.jacobian[kept:], still_first):
        for parts in zip(*batch, strict=True):
            yield Prediction(*parts)
