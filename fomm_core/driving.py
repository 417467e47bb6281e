"""The driving video's motion: from the video, or from a motion track."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from . import __version__, job_folder, media, models, motion, protocol, regions
from .animator import Animator, resized
from .control import Control
from .errors import UserError
from .files import check_writable, sha256
from .motion import MotionTrack
from .protocol import Job
from .regions import Region


def read(job: Job, animator: Animator, control: Control, resumed: Path | None) -> MotionTrack:
    """The job's driving motion, cut and retimed: from its own earlier run, a track file, or the video."""
    video = Path(job.video)
    if resumed is not None:
        with contextlib.suppress(UserError):  # lost or damaged: detected anew, it comes out the same
            return MotionTrack.load(resumed / job_folder.TRACK)
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
        track = detect(video, animator, control, job.driving_region, job.start, job.end)
    return track.retimed(job.fps) if job.fps else track


def detect(
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
                region = _region(reader, frame, region_text, control)
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


def run(request: protocol.Track, control: Control) -> protocol.Done:
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
    track = detect(Path(request.video), animator, control, request.driving_region)
    control.check()
    track.save(target)
    return protocol.Done(
        control.id, request.output, len(track), track.fps, round(time.monotonic() - began, 2)
    )


def _region(reader: media.VideoReader, first: np.ndarray, text: str, control: Control) -> Region:
    what = f"the driving video {reader.path.name}"
    if region := regions.given(first, text, what):
        return region
    with contextlib.closing(_checked(reader, control)) as frames:
        face = regions.find_moving_face(frames)
    if face:
        return regions.square_around(face, *first.shape[1::-1], within=True)
    return regions.middle(first, what, control.warn)


def _checked(frames: Iterable[np.ndarray], control: Control) -> Iterator[np.ndarray]:
    for frame in frames:
        control.check()
        yield frame
