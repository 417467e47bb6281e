"""The steps of a farm job that a model does: tracks and animations. Each task can be run again, anywhere.

Results lie in one output folder that all machines share: `tracks/`, `animations/NAME/`, `render/` and the film. A
task that was done is not done again, one that was cut off goes on from its last complete frame.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from . import bundle as layout
from . import media, pool, protocol
from .bundle import Animation, Bundle
from .control import Control
from .errors import UserError
from .files import replacing, writing
from .lock import FolderLock
from .motion import MotionTrack
from .protocol import Job

if TYPE_CHECKING:  # torch
    from . import warm

# What one painting's failure says nothing about the next one's.
OWN_FAULTS = ("arguments", "image", "video")
# From one look at whether another process is done to the next, in seconds.
WAIT = 0.5


def track(bundle: Bundle, numbers: list[int], output: Path, device: str, control: Control) -> protocol.Done:
    """Detect the motion of clips, by their numbers. Raises `UserError` and `Cancelled`."""
    from . import driving, warm  # torch: takes seconds

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
        UserError: a device is not there; or one or more failed, the first one's reason.
        Cancelled: it was stopped; complete frames are on disk.
    """
    began = time.monotonic()
    animations = [bundle.animation(number) for number in numbers]
    bundle.claim(output)
    left = [a for a in animations if not is_done(bundle, a, output)]
    jobs, failures, by_output = [], [], {}
    for animation in left:
        try:
            jobs.append(_job(bundle, animation, output, devices[0]))
            by_output[jobs[-1].output] = animation
        except UserError as failure:
            failures.append((animation, failure))

    def finished(request: Job, result: protocol.Done | UserError) -> None:
        animation = by_output[request.output]
        if isinstance(result, UserError):
            failures.append((animation, result))
            if result.kind not in OWN_FAULTS:
                raise result
            return
        with replacing(Path(request.output) / layout.DONE) as temporary:
            record = {"key": _key(bundle, animation), "frames": result.frames}
            temporary.write_text(json.dumps(record) + "\n", encoding="utf-8")

    if not jobs:
        pass  # without PyTorch, which takes longer to start than all this: a job that is submitted again is quick
    elif len(devices) == 1:
        from . import warm

        kept = warm.WarmModel()
        for index, request in enumerate(jobs):
            with _alone(request, control):
                animation = by_output[request.output]
                if not is_done(bundle, animation, output):  # by whoever was there before
                    part = _part(control, animation.name, index, len(jobs))
                    finished(request, _tried(request, part, kept.load))
    else:
        from .animator import pick_device

        # The others may be done with it all before the process for a device that is not there has said so.
        for device in devices[: len(jobs)]:
            pick_device(device)
        with contextlib.ExitStack() as held:
            for request in jobs:
                held.enter_context(_alone(request, control))
            pool.run(jobs, devices, control, finished)
    if failures:
        animation, failure = failures[0]
        others = f" {len(failures) - 1} more failed, too." if failures[1:] else ""
        sentence = f"{animation.name}: {failure.sentence}{others}"
        raise UserError(failure.kind, sentence, failure.hint) from failure
    frames = sum(frames_done(bundle, a, output) for a in animations)
    return _done(control, output / "animations", frames, began)


def check(bundle: Bundle) -> int:
    """Look at every file of the bundle; how many there are. Raises `UserError` at the first that is not right."""
    from . import job

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


def _tried(request: Job, control: Control, load: warm.Load) -> protocol.Done | UserError:
    from . import job

    try:
        return job.run(request, control, load)
    except UserError as failure:
        return failure


@contextlib.contextmanager
def _alone(request: Job, control: Control) -> Iterator[None]:
    """Work on an animation that nobody else works on: a farm may give a task to a second machine.

    Waits for the other; raises `Cancelled` meanwhile.
    """
    folder = Path(request.output)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    busy = UserError("output", f"{folder.name} is being animated by another process.")
    told = False
    while True:
        try:
            with writing(folder):
                held = FolderLock(folder, busy)
            break
        except UserError as other:
            if other is not busy:
                raise
            if not told:
                control.warn(f"{busy.sentence} Waiting for it.")
                told = True
            control.check()
            time.sleep(WAIT)
    try:
        yield
    finally:
        held.release()


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


def _done(control: Control, path: Path, frames: int, began: float) -> protocol.Done:
    return protocol.Done(control.id, str(path), frames, 0.0, round(time.monotonic() - began, 2))
