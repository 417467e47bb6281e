"""One animation job, from its description to its frames on disk."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import driving, job_folder, media, models, motion, protocol, regions
from .animator import Animator, resized
from .canvas import Canvas
from .control import Control
from .errors import UserError
from .motion import MotionTrack
from .protocol import Job
from .regions import Region


class Scene(NamedTuple):
    """What a job animates, once all has been read.

    Attributes:
        region: what moves, in the painting's pixels.
        source: (S,S,3) uint8, the region as the model sees it.
        origin: its keypoints, (K,2) in [-1, 1].
        track: the driving motion, N frames.
        value, jacobian: (N,K,2) and (N,K,2,2), that motion as keypoints and Jacobians of the source.
    """

    region: Region
    source: np.ndarray
    origin: np.ndarray
    track: MotionTrack
    value: np.ndarray
    jacobian: np.ndarray


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


def run(job: Job, control: Control) -> protocol.Done:
    """Do the job; its events go to `control`. Returns the last of them, which the caller reports.

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
    model = models.load(job.model, job.config)
    control.check()
    animator = Animator(model, job.device)
    control.report(protocol.Progress(control.id, "model", 1, 1))

    record = job_folder.record(job, model)
    control.frames = kept = job_folder.complete_frames(output, record, job)
    scene = prepare(job, painting, animator, control, output if kept else None)
    track, region, source = scene.track, scene.region, scene.source
    full = job.region == job.driving_region == "full"
    # The prediction as it is, as the published code writes it.
    plain = full and job.size == animator.frame_size
    if job.size and not plain:
        painting, region = _scaled(painting, region, job.size)
    height, width = source.shape[:2] if plain else painting.shape[:2]
    _check_format(job.format, width, height)

    total = len(track)
    control.frames = kept = min(kept, total)
    control.check()
    job_folder.start(output, record, track, kept)
    control.report(protocol.Started(control.id, total, track.fps, width, height))
    canvas = None if plain else Canvas(painting, region)
    frames_began = time.monotonic()
    control.progress("frames", kept, total, frames_began, kept)

    def written(index: int, path: Path) -> None:
        if job.format != "mp4":
            control.frame(index, path)
        control.progress("frames", index, total, frames_began, kept)

    with _writer(job, output, track.fps, written) as writer:
        for index, frame in enumerate(_frames(animator, canvas, scene, kept), kept + 1):
            control.check()
            writer.write(index, frame)
    path = writer.path if job.format == "mp4" else output / "frames"
    return protocol.Done(control.id, str(path), total, track.fps, round(time.monotonic() - began, 2))


def prepare(
    job: Job, painting: np.ndarray, animator: Animator, control: Control, resumed: Path | None = None
) -> Scene:
    """Read the driving motion, make the (H,W,3) `painting`'s region the source, and transfer one to the other.

    `resumed` is the folder of the same job's earlier run. Raises `UserError` and `Cancelled`.
    """
    track = driving.read(job, animator, control, resumed)
    region = _painting_region(painting, job.region, control)
    source = resized(regions.crop(painting, region), animator.frame_size, antialias=job.region != "full")
    value, jacobian = animator.set_source(source)
    return Scene(region, source, value, track, *_transferred(job, track, value, jacobian))


def _check_format(format: str, width: int, height: int) -> None:
    largest = media.MAX_SIDE.get(format, math.inf)
    if max(width, height) > largest:
        raise UserError(
            "arguments",
            f"Frames of {width} x {height} pixels are too large for {format}.",
            f"Choose a size of at most {largest}, or png.",
        )


def _painting_region(painting: np.ndarray, text: str, control: Control) -> Region:
    if region := regions.given(painting, text, "the painting"):
        return region
    if region := regions.around_sitter(painting):
        return region
    return regions.middle(painting, "the painting", control.warn)


def _scaled(painting: np.ndarray, region: Region, size: int) -> tuple[np.ndarray, Region]:
    """The painting with its longest side at most `size`, and the region in its new pixels."""
    smaller = media.scaled(painting, size)
    scale = smaller.shape[1] / painting.shape[1]
    x, y, w, h = (round(v * scale) for v in region)
    return smaller, Region(x, y, max(1, w), max(1, h))


def _transferred(
    job: Job, track: MotionTrack, source_value: np.ndarray, source_jacobian: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    if job.reference_frame == "auto":
        reference = motion.nearest_frame(track, source_value)
    else:
        number = 0 if job.reference_frame == "first" else int(job.reference_frame)
        # The number counts the driving video's own frames, from the start that was chosen.
        original_fps = track.recorded_fps
        reference = math.floor(number * track.fps / original_fps + 0.5)
        if reference >= len(track):
            raise UserError(
                "arguments",
                f"The reference frame {number} lies past the driving video's end.",
                f"Use 0 to {math.floor((len(track) - 1) * original_fps / track.fps)}.",
            )
    return motion.transfer(
        track,
        source_value,
        source_jacobian,
        relative=job.motion == "relative",
        adapt_scale=job.adapt_scale,
        reference=reference,
        strength=job.strength,
    )


def _writer(job: Job, output: Path, fps: float, written: Callable[[int, Path], None]):
    if job.format == "mp4":
        return media.MovieWriter(output / job_folder.MOVIE, fps, written)
    return media.FrameWriter(output / "frames", job.format, written)


def _frames(animator: Animator, canvas: Canvas | None, scene: Scene, kept: int) -> Iterator[np.ndarray]:
    for batch in animator.animate(scene.value[kept:], scene.jacobian[kept:]):
        for image, deformation, occlusion in zip(*batch, strict=True):
            yield image if canvas is None else canvas.compose(image, deformation, occlusion)
