"""The steps of a farm job that the core does: tracks, animations, the film. Each task can be run again, anywhere.

Results lie in one output folder that all machines share: `tracks/`, `animations/NAME/`, `render/` and the film. A
task that was done is not done again, one that was cut off goes on from its last complete frame.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

from . import bundle as layout
from . import driving, job, media, pool, protocol, warm
from .bundle import Animation, Bundle
from .control import Control
from .errors import UserError
from .files import replacing
from .motion import MotionTrack
from .protocol import Job

# What one painting's failure says nothing about the next one's.
OWN_FAULTS = ("arguments", "image", "video")


def track(bundle: Bundle, numbers: list[int], output: Path, device: str, control: Control) -> protocol.Done:
    """Detect the motion of clips, by their numbers. Raises `UserError` and `Cancelled`."""
    began, frames = time.monotonic(), 0
    clips = [bundle.clip(number) for number in numbers]
    bundle.claim(output)
    kept = warm.WarmModel()
    for index, clip in enumerate(clips):
        target = layout.track_file(output, clip.name)
        if target.is_file():  # complete or not there: nothing else is ever written to that name
            frames += len(MotionTrack.load(target))
            continue
        request = protocol.Track(
            control.id,
            str(bundle.file(clip.video)),
            str(target),
            str(bundle.file(clip.model)),
            bundle.config(clip.config),
            device,
            clip.driving_region,
        )
        frames += driving.run(request, _part(control, clip.name, index, len(clips)), kept.load).frames
    return _done(control, layout.track_file(output, clips[-1].name).parent, frames, began)


def animate(
    bundle: Bundle, numbers: list[int], output: Path, devices: list[str], control: Control
) -> protocol.Done:
    """Make animations, by their numbers; on several devices at once by a process for each.

    A painting that cannot be animated does not keep the others from it: it fails the task at the end.

    Raises:
        UserError: one or more failed; the first one's reason.
        Cancelled: it was stopped; complete frames are on disk.
    """
    began = time.monotonic()
    animations = [bundle.animation(number) for number in numbers]
    bundle.claim(output)
    left = [a for a in animations if not is_done(bundle, a, output)]
    jobs, failures = [], []
    for animation in left:
        try:
            jobs.append(_job(bundle, animation, output, devices[0]))
        except UserError as failure:
            failures.append((animation, failure))

    def finished(request: Job, result: protocol.Done | UserError) -> None:
        animation = next(a for a in left if layout.animation_folder(output, a.name) == Path(request.output))
        if isinstance(result, UserError):
            failures.append((animation, result))
            if result.kind not in OWN_FAULTS:
                raise result
            return
        with replacing(Path(request.output) / layout.DONE) as temporary:
            record = {"key": _key(bundle, animation), "frames": result.frames}
            temporary.write_text(json.dumps(record) + "\n", encoding="utf-8")

    if len(devices) == 1:
        _one_by_one(jobs, control, finished)
    else:
        pool.run(jobs, devices, control, finished)
    if failures:
        animation, failure = failures[0]
        others = f" {len(failures) - 1} more failed, too." if failures[1:] else ""
        sentence = f"{animation.name}: {failure.sentence}{others}"
        raise UserError(failure.kind, sentence, failure.hint) from failure
    frames = sum(frames_done(bundle, a, output) for a in animations)
    return _done(control, output / "animations", frames, began)


def encode(bundle: Bundle, frames: str, output: Path, control: Control) -> protocol.Done:
    """Make a film of the rendered frames in a range. Raises `UserError` where one is missing, and `Cancelled`."""
    began = time.monotonic()
    scene = bundle.manifest.scene
    wanted = layout.frames_of(scene, frames)
    bundle.claim(output)
    pictures = [layout.picture(output, frame, scene.suffix) for frame in wanted]
    if missing := [picture for picture in pictures if not picture.is_file()]:
        raise UserError(
            "image",
            f"{len(missing)} of {len(pictures)} pictures are not rendered, the first {missing[0]}.",
            "Render them first.",
        )
    film = output / f"{Path(scene.file).stem}.mp4"
    written = _counted(control, len(pictures), time.monotonic())
    with media.MovieWriter(film, scene.fps, written, warn=control.warn) as writer:
        for index, picture in enumerate(pictures, 1):
            control.check()
            writer.write(index, media.read_painting(picture))
    return _done(control, film, len(pictures), began)


def check(bundle: Bundle) -> int:
    """Look at every file of the bundle; how many there are. Raises `UserError` at the first that is not right."""
    for path in bundle.manifest.files:
        bundle.file(path)
    for animation in bundle.manifest.animations:
        bundle.job(animation, Path(), "auto")
        job.check(animation.job)
    for clip in bundle.manifest.clips:
        bundle.file(clip.video)
        bundle.file(clip.model)
    bundle.file(bundle.manifest.scene.file)
    return len(bundle.manifest.files)


def is_done(bundle: Bundle, animation: Animation, output: Path) -> bool:
    """Whether all frames of this very animation are there."""
    return frames_done(bundle, animation, output) > 0


def frames_done(bundle: Bundle, animation: Animation, output: Path) -> int:
    """How many frames a finished animation has; 0 for one that is not, or was made of something else."""
    folder = layout.animation_folder(output, animation.name)
    try:
        record = json.loads((folder / layout.DONE).read_text(encoding="utf-8"))
        count = record["frames"] if record["key"] == _key(bundle, animation) else 0
    except (OSError, ValueError, LookupError, TypeError):
        return 0
    paths = (media.frame_path(folder / "frames", n, animation.job.format) for n in range(1, count + 1))
    return count if all(path.is_file() for path in paths) else 0


def _key(bundle: Bundle, animation: Animation) -> str:
    """What decides on an animation's frames: its settings, and the contents of its files."""
    settings = dataclasses.asdict(animation.job)
    clip = next((clip for clip in bundle.manifest.clips if clip.name == animation.clip), None)
    paths = (animation.job.painting, animation.job.video, animation.job.model)
    hashes = [bundle.manifest.files.get(path, {}).get("sha256") for path in paths]
    words = json.dumps([settings, clip and dataclasses.asdict(clip), hashes], sort_keys=True)
    return hashlib.sha256(words.encode()).hexdigest()


def _job(bundle: Bundle, animation: Animation, output: Path, device: str) -> Job:
    request = bundle.job(animation, output, device)
    if not Path(request.video).is_file():
        raise UserError(
            "video", f"The clip {animation.clip} is not tracked yet: {request.video}.", "Run the step Track."
        )
    return request


def _one_by_one(
    jobs: list[Job], control: Control, finished: Callable[[Job, protocol.Done | UserError], None]
) -> None:
    """Do jobs in this process, the model loaded once."""
    kept = warm.WarmModel()
    for index, request in enumerate(jobs):
        try:
            result: protocol.Done | UserError = job.run(
                request, _part(control, Path(request.output).name, index, len(jobs)), kept.load
            )
        except UserError as failure:
            result = failure
        finished(request, result)


def _part(control: Control, name: str, index: int, of: int) -> Control:
    """The control of one of several jobs, by its name; its progress is told as a part of the whole."""

    def report(event: object) -> None:
        if isinstance(event, protocol.Progress):
            event = dataclasses.replace(event, done=index * event.total + event.done, total=of * event.total)
        control.report(event)

    def stop() -> bool:
        control.check()  # raises where the whole is to stop
        return False

    return Control(name, report, stop)


def _counted(control: Control, total: int, began: float) -> Callable[[int, Path], None]:
    return lambda index, _path: control.progress("film", index, total, began)


def _done(control: Control, path: Path, frames: int, began: float) -> protocol.Done:
    return protocol.Done(control.id, str(path), frames, 0.0, round(time.monotonic() - began, 2))
