"""What the model does, as a picture or a movie: keypoints, motion, deformation, occlusion and masks side by side.

After the visualisation that the authors publish with their results (project page and supplement).
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image

from . import media, models, motion, protocol, regions
from .animator import Animator, Prediction, resized
from .control import Control
from .errors import UserError
from .files import check_writable, replacing
from .job import Scene, check, look_ahead, prepare
from .protocol import Job
from .regions import Region
from .sheet import Sheet

PICTURES, MOVIES = (".png", ".jpg", ".jpeg"), (".mp4", ".gif")
# A picture shows this many frames, unless one is asked for.
ROWS = 4


def run(job: Job, control: Control, frame: int | None = None) -> protocol.Done:
    """Explain `job`, whose output names a file here: a picture of a few frames, or a movie of all of them.

    The settings that shape an animation's files (size, fps, loop, format, resume) have no say; of several
    sitters it is the first.

    Args:
        frame: the one frame that a picture shows, from 0, counted from the chosen start.

    Raises:
        UserError: it cannot be done.
        Cancelled: it was stopped; nothing was written.
    """
    began = time.monotonic()
    output = Path(job.output)
    check(job)
    _check_output(output, frame)
    job = dataclasses.replace(job, size=None, fps=None, loop="none", all_faces=False)
    painting = media.as_seen(media.read_painting(Path(job.painting)))
    check_writable(output.parent)
    control.check()
    looked = look_ahead(job, painting, control)
    animator = Animator(models.load(job.model, job.config), job.device, job.precision)
    control.check()
    scene = prepare(job, painting, animator, control, looked=looked)
    is_movie = output.suffix.lower() in MOVIES
    numbers = range(len(scene.track)) if is_movie else _shown(scene, frame)
    sheets = _sheets(job, scene, control, numbers)
    if is_movie:
        with media.MovieWriter(output, scene.track.fps, lambda *_: None) as writer:
            for index, sheet in enumerate(sheets, 1):
                writer.write(index, sheet)
    else:
        picture = np.concatenate(list(sheets))
        with replacing(output) as temporary:  # PNG passes over the settings for JPEG
            Image.fromarray(picture).save(temporary, quality=95, subsampling=0)
    seconds = round(time.monotonic() - began, 2)
    return protocol.Done(control.id, str(output), len(numbers), scene.track.fps, seconds)


def representative(value: np.ndarray, origin: np.ndarray, count: int) -> list[int]:
    """Up to `count` of N frames that show what there is to see, in order.

    The first chosen is the one nearest to the source, each further one the least like any before it; frames equal
    to one that is chosen add nothing.

    Args:
        value: (N,K,2), the frames' keypoints.
        origin: (K,2), the source's.
    """

    def distance(to: np.ndarray) -> np.ndarray:
        return np.square(value - to).sum((1, 2))

    chosen = [int(distance(origin).argmin())]
    unlike = distance(value[chosen[0]])
    while len(chosen) < count and unlike.max() > 0:
        chosen.append(int(unlike.argmax()))
        unlike = np.minimum(unlike, distance(value[chosen[-1]]))
    return sorted(chosen)


def _check_output(output: Path, frame: int | None) -> None:
    suffix = output.suffix.lower()
    if suffix not in PICTURES + MOVIES or output.is_dir():
        raise UserError(
            "arguments",
            f"{output} names neither a picture nor a movie.",
            f"Choose a file's name that ends in {', '.join(PICTURES + MOVIES)}.",
        )
    if frame is not None and suffix in MOVIES:
        raise UserError(
            "arguments",
            f"One frame is no movie, which {output} would be.",
            f"Choose a name that ends in {PICTURES[0]}, or no frame.",
        )


def _shown(scene: Scene, frame: int | None) -> list[int]:
    if frame is None:
        return representative(scene.sitters[0].value, scene.sitters[0].origin, ROWS)
    if not 0 <= frame < len(scene.track):
        raise UserError(
            "arguments",
            f"There is no frame {frame} in the driving video.",
            f"Use 0 to {len(scene.track) - 1}.",
        )
    return [frame]


def _sheets(job: Job, scene: Scene, control: Control, numbers: Sequence[int]) -> Iterator[np.ndarray]:
    """The sheet of each of the frames `numbers`, which ascend, one at a time."""
    (sitter,) = scene.sitters
    value, jacobian = sitter.value[numbers], sitter.jacobian[numbers]
    sheet = Sheet(sitter.source, sitter.origin, transferred=job.motion == "relative")
    predictions = (
        Prediction(*parts)
        for batch in sitter.animator.animate(value, jacobian)
        for parts in zip(*batch, strict=True)
    )
    masks = chain.from_iterable(sitter.animator.masks(value, jacobian))
    began = time.monotonic()
    with contextlib.closing(_driving(job, scene, numbers)) as driving:
        frames = zip(numbers, driving, value, predictions, masks, strict=True)
        for index, (number, picture, keypoints, prediction, mask) in enumerate(frames, 1):
            control.check()
            title = f"Frame {number} · {job.start + number / scene.track.fps:.2f} s"
            yield sheet.filled(title, picture, scene.track.value[number], keypoints, prediction, mask)
            control.progress("frames", index, len(numbers), began)


def _driving(job: Job, scene: Scene, numbers: Sequence[int]) -> Iterator[np.ndarray | None]:
    """The driving video's frames `numbers` as the model sees them; None for each where there is but a track."""
    if motion.is_track(Path(job.video)):
        yield from (None for _ in numbers)
        return
    squares = [Region(*map(int, one.split(","))) for one in scene.track.provenance["region"].split(";")]
    reader = media.VideoReader(Path(job.video), job.start, job.end)
    with contextlib.closing(iter(reader)) as frames:
        for number, frame in enumerate(frames):
            if number in numbers:
                crop = regions.crop(frame, squares[min(number, len(squares) - 1)])
                yield resized(crop, len(scene.sitters[0].source), antialias=job.driving_region != "full")
            if number == numbers[-1]:
                return
