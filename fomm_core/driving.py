"""The driving video's motion: from the video, from the tracks detected before, or from a motion track."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image

from . import (
    __version__,
    faces,
    fitting,
    following,
    gaps,
    job_folder,
    media,
    motion,
    protocol,
    regions,
    track_cache,
    warm,
)
from .animator import Animator
from .control import Control
from .errors import UserError
from .faces import Probe, Search
from .files import check_writable, sha256
from .framing import WHOLE
from .motion import MotionTrack
from .protocol import Job
from .regions import Region

# Changes whenever detection comes to another track for the same video, model and settings.
DETECTION = 7
# A clip's frames are compared as grey thumbnails of so many pixels a side. One frame to the next, heads that shake
# hold a correlation above 0.95; over a whole clip, 0.8 with some frame that shows the face.
THUMBNAIL, CUT, LOST = 16, 0.85, 0.6
# A cut also changes the thumbnail by so many grey levels of 255 on average: two dark frames are no cut.
CUT_CHANGE = 8
# How far a clip's head goes is told by so many of its frames.
LOOKS = 24
# A sentence names so many cuts, and of gaps that last so many seconds as many are told.
TOLD, NOTICED = 5, 0.4


def read(
    job: Job,
    animator: Animator,
    control: Control,
    resumed: Path | None,
    plain: bool,
    looks: Search[list[Probe]] | None = None,
) -> MotionTrack:
    """The job's driving motion, cut, smoothed, retimed and looped.

    It comes from the job's own earlier run in the folder `resumed`, from a track file, or from the video. A job in
    the `plain` published way is not smoothed unless it says so. `looks` are a search for the clip's face, if
    one has begun. Raises `UserError` and `Cancelled`.
    """
    video = Path(job.video)
    if resumed is not None:
        with contextlib.suppress(UserError):  # lost or damaged: detected anew, it comes out the same
            return MotionTrack.load(resumed / job_folder.TRACK)
    if motion.is_track(video):
        track = MotionTrack.load(video)
        made_with = track.provenance.get("model_sha256")
        if made_with not in (animator.metadata["sha256"], _motion_hash(animator)):
            raise UserError(
                "video",
                f"The motion track {video} was made with the model {track.provenance.get('model', 'unknown')}.",
                f"Animate with that model, or make a track with {animator.name}.",
            )
        _warn_again(track, control)
        track = track.cut(job.start, job.end)
    else:
        track = detect(video, animator, control, job.driving_region, job.start, job.end, looks)
    smooth = (0.0 if plain else 1.0) if job.smooth is None else job.smooth
    track = track.smoothed(smooth)
    return (track.retimed(job.fps) if job.fps else track).looped(job.loop)


def detect(
    video: Path,
    animator: Animator,
    control: Control,
    region_text: str = "auto",
    start: float = 0,
    end: float | None = None,
    looks: Search[list[Probe]] | None = None,
) -> MotionTrack:
    """The motion of a driving video, as detected now or earlier. Raises `UserError` and `Cancelled`.

    `looks` are a search for its face, if one has begun.
    """
    reader = media.VideoReader(video, start, end)
    origin = {
        "video": video.name,
        "video_sha256": sha256(video),
        "model": animator.name,
        "model_sha256": animator.metadata["sha256"],
    }
    name = track_cache.name_of(
        video=origin["video_sha256"], model=_motion_hash(animator), region=region_text, start=start, end=end,
        detection=DETECTION,
    )  # fmt: skip
    if track := track_cache.look_up(name):
        # Known by their contents, the video and a model tuned from that one may have other names now.
        track = replace(track, provenance={**track.provenance, **origin})
        _warn_again(track, control)
        if looks:
            looks.leave()
        return track
    if region_text == "auto":
        looks = looks or faces.in_clip(video, start, end, control)
    track = _detected(reader, start, animator, control, region_text, looks)
    track.provenance.update(origin)
    track_cache.keep(name, track)
    return track


def run(request: protocol.Track, control: Control, load: warm.Load = warm.load) -> protocol.Done:
    """Detect a video's motion, with an animator from `load`, and save it. Raises `UserError` and `Cancelled`."""
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
    video, looks = Path(request.video), None
    if request.driving_region == "auto":
        looks = faces.in_clip(video, 0, None, control)
    # Keypoints are the same in any precision; in this one the model may be there already.
    animator = load(request.model, request.config, request.device, "auto")
    control.check()
    track = detect(video, animator, control, request.driving_region, looks=looks)
    control.check()
    track.save(target)
    return protocol.Done(
        control.id, request.output, len(track), track.fps, round(time.monotonic() - began, 2)
    )


def _motion_hash(animator: Animator) -> str:
    """What identifies a model's keypoints: one tuned to a painting moves as the one it comes from."""
    about = animator.metadata
    return about.get("motion_sha256", about["sha256"])


def _warn_again(track: MotionTrack, control: Control) -> None:
    """What was odd about the video is told whenever its track is used."""
    for sentence in filter(None, track.provenance.get("warnings", "").split("\n")):
        control.warn(sentence)


def _detected(
    reader: media.VideoReader,
    start: float,
    animator: Animator,
    control: Control,
    region_text: str,
    looks: Search[list[Probe]] | None,
) -> MotionTrack:
    probes: list[Probe] = []
    warnings: list[str] = []
    # Each in one piece: an array for each frame, among the large ones that come and go, would scatter the heap
    # so that it grows by up to a megabyte a frame.
    values, jacobians, thumbnails = bytearray(), bytearray(), bytearray()
    began = time.monotonic()

    def warn(sentence: str) -> None:
        warnings.append(sentence)
        control.warn(sentence)

    def seen(frame: np.ndarray, region: Region) -> np.ndarray:
        """What the model sees of a frame."""
        return fitting.seen(frame, region, animator, antialias=region_text != "full")

    def checked(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for frame in frames:
            control.check()
            yield frame

    def taken(frames: Iterable[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
        """Each, and its number, with room for its thumbnail."""
        for numbered in enumerate(checked(frames)):
            thumbnails.extend(bytes(THUMBNAIL**2))
            yield numbered

    def noted(numbered: tuple[int, np.ndarray]) -> np.ndarray:
        number, frame = numbered
        picture = seen(frame, way.region(number / reader.fps) if way else region)
        thumbnails[number * THUMBNAIL**2 : (number + 1) * THUMBNAIL**2] = _thumbnail(picture).tobytes()
        return picture

    def some(first: np.ndarray, region: Region) -> np.ndarray:
        """(F,K,2), the keypoints in a few frames, without the empty ones."""
        frames = chain([first], reader.sparse(LOOKS))
        pictures = [seen(frame, region) for frame in checked(frames)]
        telling = [picture for picture in pictures if not gaps.is_empty(picture)]
        return animator.detect(np.stack(telling or pictures))[0]

    def place(first: np.ndarray) -> tuple[Region, np.ndarray | None]:
        """Where the face is, and the keypoints in a few frames of it, for a model that knows heads.

        Where the cascade has found none, or what is not surely a head, it is where the keypoints show one.
        """
        nonlocal probes
        what, size = f"the driving video {reader.path.name}", first.shape[1::-1]
        region = regions.given(first, region_text, what)
        if region_text == "auto":
            probes = looks.found()
            region = faces.region_of(probes, *size)
        if not animator.head or region_text == "full":
            return region or regions.middle(first, what, warn), None
        value = some(first, region) if region else None
        if region_text == "auto" and following.unsure(animator.head, value) > following.UNSURE:
            again = faces.a_few(reader, control.check, head_in, at_once=1)
            if other := faces.region_of(again, *size):
                better = some(first, other)
                if following.unsure(animator.head, better) < following.unsure(animator.head, value):
                    probes = again
                    return other, better
        if value is None:
            region = regions.middle(first, what, warn)
            value = some(first, region)
        return region, value

    def head_in(frame: np.ndarray) -> Region | None:
        return next((head.face for head in fitting.everywhere(frame, animator, control.check)), None)

    with contextlib.closing(iter(reader)) as frames:
        first = next(frames)
        # One fixed region and one fixed square of it for the clip: the head's motion stays motion. But for a head
        # that goes further than a painting's can.
        (region, value), square, way = place(first), WHOLE, None
        if value is not None:
            if probes and following.wanders(animator.head, value):
                found = following.way(reader, probes, animator, control.check)
                way, value = found or (None, value)
            square = animator.around(value)
        for value, jacobian in animator.detections(taken(chain([first], frames)), noted, square):
            if way:
                value, jacobian = way.placed(value, jacobian, len(values) // value[0].nbytes)
            values.extend(value.tobytes())
            jacobians.extend(jacobian.tobytes())
            control.progress("motion", len(values) // value[0].nbytes, reader.estimate, began)
    small = np.frombuffer(thumbnails, np.uint8).reshape(-1, THUMBNAIL, THUMBNAIL)
    squares = way.drawn(len(small)) if way else [region]
    track = MotionTrack(
        np.frombuffer(values, np.float32).reshape(-1, *value.shape[1:]),
        np.frombuffer(jacobians, np.float32).reshape(-1, *jacobian.shape[1:]),
        reader.fps,
        {
            "region": ";".join(",".join(map(str, square)) for square in squares),
            "start": f"{start:g}",
            "fps": f"{reader.fps:g}",
            "version": __version__,
        },
    )
    hidden = gaps.hidden(animator.head, track.value, small, reader.fps) if animator.head else []
    for sentence in oddities(small.astype(np.float64), reader.fps, probes, start, hidden):
        warn(f"The driving video {reader.path.name} {sentence}")
    track.provenance["warnings"] = "\n".join(warnings)
    return track.bridged(hidden)


def oddities(
    thumbnails: np.ndarray,
    fps: float,
    probes: Sequence[Probe],
    start: float = 0,
    hidden: Sequence[range] = (),
) -> list[str]:
    """What is wrong with a clip, each with its time: cuts, and when its face is not to be seen.

    Args:
        thumbnails: (N,T,T) numbers, what the model sees, small and grey.
        probes: where the face was looked for, in order of time.
        start: seconds into the video at which the clip starts.
        hidden: the frames that are known to show no face; of a cut there, the motion knows nothing.

    Returns:
        The ends of sentences about the video.
    """
    flat = thumbnails.reshape(len(thumbnails), -1)
    centred = flat - flat.mean(1, keepdims=True)
    # A picture of one colour, but for a compressed video's noise, is like no other.
    even = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), flat.shape[1] ** 0.5)
    within = {number for gap in hidden for number in range(gap.start, gap.stop + 1)}
    tellable = [gap for gap in hidden if len(gap) >= NOTICED * fps]
    said = [gaps.told(gap, len(flat), fps, start) for gap in tellable[:TOLD]]
    jump = ((even[1:] * even[:-1]).sum(1) < CUT) & (np.abs(np.diff(flat, axis=0)).mean(1) > CUT_CHANGE)
    if cuts := [number for number in np.flatnonzero(jump) + 1 if number not in within]:
        times = ", ".join(f"{start + number / fps:.1f} s" for number in cuts[:TOLD])
        more = " and later" if len(cuts) > TOLD else ""
        said.append(f"cuts to another picture at {times}{more}: the motion jumps there.")
    at = [min(len(flat) - 1, round(probe.seconds * fps)) for probe in probes]
    seen = [number for number, probe in zip(at, probes, strict=True) if probe.face]
    if seen:
        # The cascade misses a face now and then: it is lost where the picture is another, too, twice in a row.
        lost = [
            not probe.face and (even[seen] @ even[i]).max() < LOST
            for i, probe in zip(at, probes, strict=True)
        ]
        for index, gone in enumerate(lost):
            if at[index] in within:
                continue
            if gone and not (index and lost[index - 1]) and lost[index : index + 2] == [True, True]:
                seconds = start + probes[index].seconds
                said.append(f"shows no face at {seconds:.1f} s: the motion from about there on means little.")
    return said


def _thumbnail(picture: np.ndarray) -> np.ndarray:
    small = Image.fromarray(picture).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(small.convert("L"))
