"""One animation job, from its description to its frames on disk."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import __version__, media, models, motion, protocol, regions
from .animator import Animator, resized
from .canvas import Canvas
from .errors import UserError
from .files import check_writable, remove_leftovers, replacing, sha256, writing
from .motion import MotionTrack
from .protocol import Job
from .regions import Region

Report = Callable[[object], None]
# Settings that do not change what the frames look like, and paths: their files are known by their hashes.
_INCIDENTAL = ("painting", "video", "output", "model", "config", "device", "resume")
_FRAME_NAME = re.compile(r"\d{4,}\.(png|jpg|webp)")
_MOVIE = "animation.mp4"


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


class Cancelled(Exception):
    """The job was asked to stop, and did."""


class Control:
    """The line to whoever started a job: events go out, a wish to stop comes in.

    Args:
        id: the job's name in events.
        report: takes `protocol` events.
        stop: tells whether to stop; asked several times a second.
    """

    def __init__(self, id: str, report: Report, stop: Callable[[], bool] = lambda: False):
        self.id, self.report, self._stop = id, report, stop
        self.frames = 0  # complete on disk

    def check(self) -> None:
        """Raises `Cancelled` if the job is to stop."""
        if self._stop():
            raise Cancelled

    def warn(self, sentence: str) -> None:
        self.report(protocol.Warning(self.id, sentence))

    def frame(self, index: int, path: Path) -> None:
        """Frame `index` is complete, as are all before it."""
        self.frames = index
        self.report(protocol.Frame(self.id, index, str(path)))

    def progress(self, stage: str, done: int, total: int, since: float, at_once: int = 0) -> None:
        """`done` of `total`, of which `at_once` were there before the work began at the time `since`."""
        elapsed = time.monotonic() - since
        rate = (done - at_once) / elapsed if elapsed > 0 else 0.0
        eta = max(0, total - done) / rate if rate > 0 else 0.0
        self.report(protocol.Progress(self.id, stage, done, max(done, total), round(rate, 2), round(eta, 1)))


def check(job: Job) -> None:
    """Raises `UserError` for settings that no job can meet, before anything is read."""

    def need(condition: bool, sentence: str, hint: str) -> None:
        if not condition:
            raise UserError("arguments", sentence, hint)

    for name, value, choices in (
        ("motion", job.motion, protocol.MOTIONS),
        ("format", job.format, protocol.FORMATS),
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
    _check_output(output)
    control.check()
    model = models.load(job.model, job.config)
    control.check()
    animator = Animator(model, job.device)
    control.report(protocol.Progress(control.id, "model", 1, 1))

    record = _record(job, model)
    control.frames = kept = _complete_frames(output, record, job)
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
    _start_output(output, record, track, kept)
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
    track = _driving_track(job, animator, control, resumed)
    region = _painting_region(painting, job.region, control)
    source = resized(regions.crop(painting, region), animator.frame_size, antialias=job.region != "full")
    value, jacobian = animator.set_source(source)
    return Scene(region, source, value, track, *_transferred(job, track, value, jacobian))


def detect_track(
    video: Path,
    animator: Animator,
    control: Control,
    region_text: str = "auto",
    start: float = 0,
    end: float | None = None,
) -> MotionTrack:
    """The motion of a driving video. Raises `UserError` and `Cancelled`."""
    reader = media.VideoReader(video, start, end)
    region: Region | None = None
    values, jacobians = [], []
    batch: list[np.ndarray] = []
    began = time.monotonic()

    def flush() -> None:
        value, jacobian = animator.detect(np.stack(batch))
        values.append(value)
        jacobians.append(jacobian)
        batch.clear()
        control.progress("motion", sum(map(len, values)), reader.estimate, began)

    with contextlib.closing(iter(reader)) as frames:
        for frame in frames:
            control.check()
            if region is None:  # one fixed crop for the clip, so that the head's motion stays motion
                region = _driving_region(reader, frame, region_text, control)
            batch.append(
                resized(regions.crop(frame, region), animator.frame_size, antialias=region_text != "full")
            )
            if len(batch) >= animator.batch_size:
                flush()
    if batch:
        flush()
    model = animator.model
    provenance = {
        "video": video.name,
        "video_sha256": sha256(video),
        "model": model.name,
        "model_sha256": model.metadata["sha256"],
        "region": ",".join(map(str, region)),
        "start": f"{start:g}",
        "fps": f"{reader.fps:g}",
        "version": __version__,
    }
    return MotionTrack(np.concatenate(values), np.concatenate(jacobians), reader.fps, provenance)


def run_track(request: protocol.Track, control: Control) -> protocol.Done:
    """Detect a video's motion and save it. Raises `UserError` and `Cancelled`."""
    began = time.monotonic()
    regions.parse_region(request.driving_region, "The driving region")
    target = Path(request.output)
    if not motion.is_track(target) or target.is_dir():
        raise UserError(
            "arguments",
            f"{target} cannot name a motion track.",
            f"Choose a file's name that ends in {motion.SUFFIX}.",
        )
    check_writable(target.parent)
    animator = Animator(models.load(request.model, request.config), request.device)
    control.check()
    track = detect_track(Path(request.video), animator, control, request.driving_region)
    control.check()
    track.save(target)
    return protocol.Done(
        control.id, request.output, len(track), track.fps, round(time.monotonic() - began, 2)
    )


def _check_output(output: Path) -> None:
    """Raises `UserError` where frames could not be put, before any work is done for them."""
    for folder in (output, output / "frames"):
        with writing(folder):
            a_file = folder.exists() and not folder.is_dir()
        if a_file:
            raise UserError("output", f"{folder} is a file, not a folder.", "Choose another output folder.")
    check_writable(output / "frames")


def _check_format(format: str, width: int, height: int) -> None:
    largest = media.MAX_SIDE.get(format, math.inf)
    if max(width, height) > largest:
        raise UserError(
            "arguments",
            f"Frames of {width} x {height} pixels are too large for {format}.",
            f"Choose a size of at most {largest}, or png.",
        )


def _record(job: Job, model: models.Model) -> dict:
    """What `job.json` says: the whole request, and what identifies the files it names."""
    request = dataclasses.asdict(job)
    return {
        "version": __version__,
        "settings": {key: value for key, value in request.items() if key not in _INCIDENTAL},
        "painting": _identity(Path(job.painting), "image", "The painting"),
        "video": _identity(Path(job.video), "video", "The driving video"),
        "model": {"name": model.name, "sha256": model.metadata["sha256"]},
        "paths": {"painting": job.painting, "video": job.video},
    }


def _identity(path: Path, kind: str, what: str) -> dict:
    try:
        return {"name": path.name, "size": path.stat().st_size, "sha256": sha256(path)}
    except FileNotFoundError as error:
        raise UserError(kind, f"{what} {path} is not there.", "Choose another file.") from error
    except OSError as error:
        raise UserError(
            kind, f"{what} {path} cannot be read: {error.strerror}.", "Choose another file."
        ) from error


def _same_job(one: dict, other: dict) -> bool:
    """Whether two records ask for the same frames, wherever the files lie now."""
    return {**one, "paths": None} == {**other, "paths": None}


def _complete_frames(output: Path, record: dict, job: Job) -> int:
    """How many frames from the first on need not be made again; 0 unless the same job is to be resumed."""
    if not job.resume or job.format == "mp4":
        return 0
    try:
        earlier = json.loads((output / "job.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    if not isinstance(earlier, dict) or not _same_job(earlier, record):
        return 0
    count = 0
    while media.frame_path(output / "frames", count + 1, job.format).is_file():
        count += 1
    return count


def _driving_track(job: Job, animator: Animator, control: Control, resumed: Path | None) -> MotionTrack:
    """The job's driving motion, cut and retimed: from its own earlier run, a track file, or the video."""
    video = Path(job.video)
    if resumed is not None:
        with contextlib.suppress(UserError):  # lost or damaged: detected anew, it comes out the same
            return MotionTrack.load(resumed / "motion.npz")
    if motion.is_track(video):
        track = MotionTrack.load(video)
        made_with = track.provenance.get("model_sha256")
        about = animator.model.metadata  # a model tuned to a painting moves as the one it comes from
        if made_with not in (about["sha256"], about.get("motion_sha256", about["sha256"])):
            raise UserError(
                "video",
                f"The motion track {video} was made with the model {track.provenance.get('model', 'unknown')}.",
                f"Animate with that model, or make a track with {animator.model.name}.",
            )
        track = track.cut(job.start, job.end)
    else:
        track = detect_track(video, animator, control, job.driving_region, job.start, job.end)
    return track.retimed(job.fps) if job.fps else track


def _painting_region(painting: np.ndarray, text: str, control: Control) -> Region:
    if region := _given_region(painting, text, "the painting"):
        return region
    if region := regions.around_sitter(painting):
        return region
    return _middle(painting, "the painting", control)


def _driving_region(reader: media.VideoReader, first: np.ndarray, text: str, control: Control) -> Region:
    what = f"the driving video {reader.path.name}"
    if region := _given_region(first, text, what):
        return region
    with contextlib.closing(_checked(reader, control)) as frames:
        face = regions.find_moving_face(frames)
    if face:
        return regions.square_around(face, *first.shape[1::-1], within=True)
    return _middle(first, what, control)


def _checked(frames: Iterable[np.ndarray], control: Control) -> Iterator[np.ndarray]:
    for frame in frames:
        control.check()
        yield frame


def _given_region(image: np.ndarray, text: str, what: str) -> Region | None:
    """The region that `text` names in an image; None where it is to be found. Raises `UserError`."""
    height, width = image.shape[:2]
    if text == "full":
        return Region(0, 0, width, height)
    region = regions.parse_region(text, f"The region of {what},")
    if region is not None:
        regions.check_inside(region, width, height, f"The region of {what},")
    return region


def _middle(image: np.ndarray, what: str, control: Control) -> Region:
    control.warn(
        f"No face was found in {what}; the square in its middle is used. A region can be given by hand."
    )
    return regions.centred_square(*image.shape[1::-1])


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


def _start_output(output: Path, record: dict, track: MotionTrack, kept: int) -> None:
    """Now that all has been read: make room for the frames, and say what they are.

    A folder of frames that no job of ours wrote is left alone, and so are other files in a job's folder.
    """
    frames = output / "frames"
    if any(frames.iterdir()) and not (output / "job.json").is_file():
        raise UserError(
            "output", f"{frames} holds files that no job wrote.", "Choose an empty output folder."
        )
    with writing(frames):
        for folder in (output, frames):
            remove_leftovers(folder)
        if kept == 0:
            for path in frames.iterdir():
                if _FRAME_NAME.fullmatch(path.name):
                    path.unlink()
            (output / _MOVIE).unlink(missing_ok=True)
    with replacing(output / "job.json") as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    track.save(output / "motion.npz")


def _writer(job: Job, output: Path, fps: float, written: Callable[[int, Path], None]):
    if job.format == "mp4":
        return media.MovieWriter(output / _MOVIE, fps, written)
    return media.FrameWriter(output / "frames", job.format, written)


def _frames(animator: Animator, canvas: Canvas | None, scene: Scene, kept: int) -> Iterator[np.ndarray]:
    for batch in animator.animate(scene.value[kept:], scene.jacobian[kept:]):
        for image, deformation, occlusion in zip(*batch, strict=True):
            yield image if canvas is None else canvas.compose(image, deformation, occlusion)
