"""The core from Python, for notebooks and pipelines.

    from fomm_core import api

    api.animate("portrait.jpg", "hello.mp4", "build/hello", size=1920)   # files, as the command line writes them
    api.prepare("portrait.jpg", "hello.mp4", size=480).save("hello.gif")  # or frames in memory, one at a time

Settings are keywords, named as the attributes of `protocol.Job`, with its defaults. What cannot be done raises
`UserError`: a `kind`, a `sentence` and a `hint`. What a person should know is logged as a warning of the logger
`fomm_core`, unless `report` takes the events of `fomm_core.protocol` in its place.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from . import driving, job, media, protocol, warm
from . import explain as explanation
from .animator import Prediction
from .control import Cancelled, Control, Report
from .drawing import with_keypoints
from .errors import UserError
from .motion import MotionTrack
from .sitters import Sitter
from .warm import WarmModel

__all__ = [
    "Animation",
    "Cancelled",
    "MotionTrack",
    "Prediction",
    "UserError",
    "WarmModel",
    "animate",
    "explain",
    "prepare",
    "track",
    "with_keypoints",
]

PathLike = str | os.PathLike[str]


def _log(event: object) -> None:
    if isinstance(event, protocol.Warning):
        logging.getLogger("fomm_core").warning("%s", event.sentence)


def _never() -> bool:
    return False


def animate(
    painting: PathLike,
    video: PathLike,
    output: PathLike,
    *,
    report: Report = _log,
    stop: Callable[[], bool] = _never,
    load: warm.Load = warm.load,
    **settings: object,
) -> protocol.Done:
    """Animate a painting into a folder, as `python -m fomm_core animate` does.

    Args:
        painting: an image file.
        video: a driving video, or a motion track.
        output: the job's folder: `frames/0001.png …`, `job.json` and `motion.npz` are written there.
        report: takes the events of `fomm_core.protocol`: `Started`, `Progress`, `Frame`, `Warning`.
        stop: asked several times a second whether to stop.
        load: `WarmModel().load` keeps the model for the next call.
        settings: of `protocol.Job`.

    Returns:
        Where the frames are, how many, at which rate, and the seconds it took.

    Raises:
        UserError: it cannot be done.
        Cancelled: `stop` said so; complete frames are on disk, and `resume=True` goes on from them.
    """
    request = protocol.Job(os.fspath(painting), os.fspath(video), os.fspath(output), **settings)
    return job.run(request, Control("api", report, stop), load)


def track(
    video: PathLike,
    output: PathLike,
    *,
    report: Report = _log,
    stop: Callable[[], bool] = _never,
    load: warm.Load = warm.load,
    **settings: object,
) -> MotionTrack:
    """Detect a video's motion and save it as the file `output` (.npz), which stands for the video anywhere.

    Args:
        report, stop, load: as for `animate`.
        settings: of `protocol.Track`: `model`, `config`, `device`, `driving_region`.

    Raises:
        UserError: it cannot be done.
        Cancelled: `stop` said so; nothing was written.
    """
    request = protocol.Track("api", os.fspath(video), os.fspath(output), **settings)
    return MotionTrack.load(Path(driving.run(request, Control("api", report, stop), load).path))


def explain(
    painting: PathLike,
    video: PathLike,
    output: PathLike,
    *,
    frame: int | None = None,
    report: Report = _log,
    stop: Callable[[], bool] = _never,
    **settings: object,
) -> protocol.Done:
    """Draw what the model does, as `python -m fomm_core explain` does: a picture, or a movie of all frames.

    Args:
        output: a file's name, .png or .jpg, .mp4 or .gif.
        frame: the one frame that a picture shows, from 0; a few telling ones by default.
        report, stop, settings: as for `animate`.

    Raises:
        UserError: it cannot be done.
        Cancelled: `stop` said so; nothing was written.
    """
    request = protocol.Job(os.fspath(painting), os.fspath(video), os.fspath(output), **settings)
    return explanation.run(request, Control("api", report, stop), frame)


def prepare(
    painting: PathLike,
    video: PathLike,
    *,
    report: Report = _log,
    stop: Callable[[], bool] = _never,
    load: warm.Load = warm.load,
    **settings: object,
) -> Animation:
    """Read a painting and a driving motion and bring them together; no frame is computed yet.

    Args:
        report, stop, load, settings: as for `animate`. `output`, `format` and `resume` have no say.

    Raises:
        UserError: it cannot be done.
        Cancelled: `stop` said so.
    """
    request = protocol.Job(painting=os.fspath(painting), video=os.fspath(video), output="", **settings)
    job.check(request)
    pixels = media.read_painting(Path(painting))
    control = Control("api", report, stop)
    looked = job.look_ahead(request, pixels, control)
    animator = load(request.model, request.config, request.device, request.precision)
    scene = job.prepare(request, pixels, animator, control, looked=looked)
    return Animation(request, pixels, scene, control)


class Animation:
    """A painting and a driving motion, brought together by `prepare`. Frames are computed as they are asked for.

    Attributes:
        job: what was asked for.
        painting: (H,W,3|4) uint8 or uint16, as it was read.
        track: the driving motion, N frames: keypoints `value` (N,K,2) in [-1, 1] of the square that the model sees,
            and `jacobian` (N,K,2,2).
        sitters: who moves, the largest first; each has its `region` in the painting's pixels, the `source` that
            the model sees (S,S,3), its keypoints `origin` (K,2), and the motion as its own, `value` and `jacobian`.
    """

    def __init__(self, request: protocol.Job, painting: np.ndarray, scene: job.Scene, control: Control):
        self.job, self.painting = request, painting
        self.track: MotionTrack = scene.track
        self.sitters: list[Sitter] = scene.sitters
        self._scene, self._control = scene, control

    def __len__(self) -> int:
        return len(self.track)

    @property
    def fps(self) -> float:
        return self.track.fps

    def frames(self, first: int = 0) -> Iterator[np.ndarray]:
        """The whole painting from the frame `first` on, (h,w,3|4) of the painting's type, one at a time."""
        return job.frames(self.job, self.painting, self._scene, self._control, first)

    def predictions(self, numbers: Sequence[int] | None = None, sitter: int = 0) -> Iterator[Prediction]:
        """What the networks say of the frames `numbers`, or of all, without the canvas.

        Of each: the picture (S,S,3) uint8, the deformation (h,w,2) in [-1, 1], and the occlusion map (h,w), 1 where
        the source shows the place and 0 where it hides it.
        """
        chosen = self.sitters[sitter]
        wanted = slice(None) if numbers is None else list(numbers)
        for batch in chosen.animator.animate(chosen.value[wanted], chosen.jacobian[wanted]):
            for parts in zip(*batch, strict=True):
                yield Prediction(*parts)

    def save(self, path: PathLike) -> None:
        """Write all frames as one movie, .mp4 (without sound) or .gif. Raises `UserError` and `Cancelled`."""
        target = Path(path)
        if target.suffix.lower() not in explanation.MOVIES:
            raise UserError(
                "arguments",
                f"{target} does not name a movie.",
                f"Choose a file's name that ends in {', '.join(explanation.MOVIES)}.",
            )
        with media.MovieWriter(target, self.fps, lambda *_: None) as writer:
            for index, frame in enumerate(self.frames(), 1):
                writer.write(index, frame)
