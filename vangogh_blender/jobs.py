"""What the jobs are doing, as a pure state machine: `transition(state, event)` gives `(state, effects)`.

No bpy and no I/O. The session feeds it what the user asks, what the worker says and what becomes of the worker,
and carries out the effects: start or stop the worker, send it a request, show frames, tell the user something.
Jobs run one after another, in the order in which they were asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from ..fomm_core import protocol


class Phase(Enum):
    WAITING = "waiting"  # for the job before it
    STARTING = "starting"  # the worker is being started, or has the job and has not begun
    RUNNING = "running"
    CANCELLING = "cancelling"  # the worker was asked to stop it
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE = frozenset({Phase.STARTING, Phase.RUNNING, Phase.CANCELLING})
OVER = frozenset({Phase.DONE, Phase.FAILED, Phase.CANCELLED})


class Worker(Enum):
    OFF = "off"
    STARTING = "starting"  # the process is there, its `hello` is not
    READY = "ready"


@dataclass(frozen=True)
class JobState:
    """One job as it stands. `done` of `total` count within `stage`, one of `protocol.STAGES`."""

    id: str
    name: str
    request: protocol.Job
    phase: Phase = Phase.WAITING
    stage: str = ""
    done: int = 0
    total: int = 0
    fps: float = 0.0  # frames computed per second
    eta: float = 0.0  # seconds left, 0 where unknown
    frames: int = 0  # complete frames on disk
    sentence: str = ""
    hint: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def over(self) -> bool:
        return self.phase in OVER


@dataclass(frozen=True)
class State:
    jobs: tuple[JobState, ...] = ()
    worker: Worker = Worker.OFF
    version: str = ""  # of the worker, once it has said hello
    devices: tuple[protocol.Device, ...] = ()
    expected: protocol.Job | None = None  # what may be asked for next, until the worker knows of it

    def job(self, job_id: str) -> JobState | None:
        return next((job for job in self.jobs if job.id == job_id), None)

    @property
    def active(self) -> JobState | None:
        """The one job that the worker has, or is being started for."""
        return next((job for job in self.jobs if job.phase in ACTIVE), None)


# Events.


@dataclass(frozen=True)
class Asked:
    """The user wants `request` animated. `id` is new, or that of a job that is over and is tried again."""

    id: str
    name: str
    request: protocol.Job


@dataclass(frozen=True)
class Expected:
    """The user has chosen what `request` says, and may ask for it next: the worker can prepare it."""

    request: protocol.Job


@dataclass(frozen=True)
class CancelAsked:
    """The user wants the job stopped. Asked a second time, the worker is stopped with it."""

    id: str


@dataclass(frozen=True)
class Moved:
    """The user wants a waiting job `places` further on in the queue: -1 is one earlier."""

    id: str
    places: int


@dataclass(frozen=True)
class Forgotten:
    """The user wants a job that is over off the list."""

    id: str


@dataclass(frozen=True)
class Received:
    """The worker said `message`, one of the protocol's events."""

    message: object


@dataclass(frozen=True)
class WorkerLost:
    """The worker could not be started, died, or does not answer: why, and what to do."""

    sentence: str
    hint: str = ""


@dataclass(frozen=True)
class Noted:
    """Something happened around the job that the user should know; the job goes on."""

    id: str
    sentence: str


# Effects.


@dataclass(frozen=True)
class StartWorker:
    pass


@dataclass(frozen=True)
class StopWorker:
    """Whatever the worker still says is of no interest."""


@dataclass(frozen=True)
class Send:
    message: object


@dataclass(frozen=True)
class ShowFrames:
    """All frames of the job are on disk: put them into the scene."""

    id: str


@dataclass(frozen=True)
class Report:
    """`level` is INFO, WARNING or ERROR, as Blender's operators report."""

    level: str
    sentence: str
    hint: str = ""


Effects = tuple[object, ...]


def transition(state: State, event: object) -> tuple[State, Effects]:
    """The state after `event`, and what has to be done about it, in order.

    Events that come too late (about a job that is over, or unknown) change nothing.
    """
    state, effects = _HANDLERS[type(event)](state, event)
    state, more = _next_job(state)
    return state, effects + more


def _next_job(state: State) -> tuple[State, Effects]:
    """Start the first waiting job when no other is active; without any, let the expected one be prepared."""
    waiting = next((job for job in state.jobs if job.phase is Phase.WAITING), None)
    if state.active or not (waiting or state.expected):
        return state, ()
    if waiting:
        state = _put(state, replace(waiting, phase=Phase.STARTING))
    if state.worker is Worker.OFF:
        return replace(state, worker=Worker.STARTING), (StartWorker(),)
    if state.worker is Worker.STARTING:
        return state, ()
    if waiting:
        return state, (_animate(waiting),)
    return replace(state, expected=None), (Send(protocol.Prepare(id="", job=state.expected)),)


def _animate(job: JobState) -> Send:
    return Send(protocol.Animate(id=job.id, job=job.request))


def _put(state: State, job: JobState) -> State:
    return replace(state, jobs=tuple(job if other.id == job.id else other for other in state.jobs))


def _asked(state: State, event: Asked) -> tuple[State, Effects]:
    known = state.job(event.id)
    if known and not known.over:
        return state, ()
    jobs = tuple(job for job in state.jobs if job.id != event.id)
    job = JobState(event.id, event.name, event.request, frames=known.frames if known else 0)
    return replace(state, jobs=(*jobs, job), expected=None), ()


def _expected(state: State, event: Expected) -> tuple[State, Effects]:
    return replace(state, expected=event.request), ()


def _cancel_asked(state: State, event: CancelAsked) -> tuple[State, Effects]:
    job = state.job(event.id)
    if job is None or job.over:
        return state, ()
    cancelled = replace(job, phase=Phase.CANCELLED, sentence="Cancelled.")
    # A job that the worker does not have yet needs no word with the worker.
    if job.phase is Phase.WAITING or state.worker is not Worker.READY:
        return _put(state, cancelled), ()
    if job.phase is Phase.CANCELLING:
        return replace(_put(state, cancelled), worker=Worker.OFF), (StopWorker(),)
    return _put(state, replace(job, phase=Phase.CANCELLING)), (Send(protocol.Cancel(id=job.id)),)


def _moved(state: State, event: Moved) -> tuple[State, Effects]:
    queue = [job for job in state.jobs if job.phase is Phase.WAITING]
    job = state.job(event.id)
    if job not in queue:
        return state, ()
    at = queue.index(job)
    queue.insert(min(max(at + event.places, 0), len(queue) - 1), queue.pop(at))
    # Those that do not wait keep their places on the list.
    following = iter(queue)
    jobs = tuple(next(following) if other.phase is Phase.WAITING else other for other in state.jobs)
    return replace(state, jobs=jobs), ()


def _forgotten(state: State, event: Forgotten) -> tuple[State, Effects]:
    jobs = tuple(job for job in state.jobs if job.id != event.id or not job.over)
    return replace(state, jobs=jobs), ()


def _noted(state: State, event: Noted) -> tuple[State, Effects]:
    job = state.job(event.id)
    if job is None or event.sentence in job.warnings:
        return state, ()
    job = replace(job, warnings=(*job.warnings, event.sentence))
    return _put(state, job), (Report("WARNING", f"{job.name}: {event.sentence}"),)


def _worker_lost(state: State, event: WorkerLost) -> tuple[State, Effects]:
    lost = replace(state, worker=Worker.OFF, expected=None)  # or another would be started, and lost, for ever
    job = state.active
    if job is None:
        return lost, ()
    if job.phase is Phase.CANCELLING:
        return _put(lost, replace(job, phase=Phase.CANCELLED, sentence="Cancelled.")), ()
    return _fail(lost, job, event.sentence, event.hint)


def _fail(state: State, job: JobState, sentence: str, hint: str) -> tuple[State, Effects]:
    failed = replace(job, phase=Phase.FAILED, sentence=sentence, hint=hint)
    return _put(state, failed), (Report("ERROR", f"{job.name}: {sentence}", hint),)


def _received(state: State, event: Received) -> tuple[State, Effects]:
    message = event.message
    if state.worker is Worker.OFF:  # the last words of one that was stopped
        return state, ()
    if isinstance(message, protocol.Hello):
        return _hello(state, message) if state.worker is Worker.STARTING else (state, ())
    if isinstance(message, protocol.Devices):
        return replace(state, devices=tuple(message.devices)), ()
    if isinstance(message, protocol.Error) and not message.id:
        return _worker_error(state, message)
    job = state.job(getattr(message, "id", ""))
    if job is None or job.phase not in ACTIVE or type(message) not in _MESSAGES:
        return state, ()
    return _MESSAGES[type(message)](state, job, message)


def _hello(state: State, message: protocol.Hello) -> tuple[State, Effects]:
    if message.protocol != protocol.PROTOCOL:
        sentence = f"The worker speaks protocol {message.protocol}, this add-on protocol {protocol.PROTOCOL}."
        state, effects = _worker_lost(
            state, WorkerLost(sentence, "Restart Blender, or install the add-on anew.")
        )
        return state, (StopWorker(), *effects)
    state = replace(state, worker=Worker.READY, version=message.version, devices=tuple(message.devices))
    job = state.active
    return state, (_animate(job),) if job else ()


def _worker_error(state: State, message: protocol.Error) -> tuple[State, Effects]:
    """An error about no job: before `hello` it means that this Python cannot be a worker."""
    if state.worker is Worker.READY:
        return state, (Report("ERROR", message.sentence, message.hint),)
    state, effects = _worker_lost(state, WorkerLost(message.sentence, message.hint))
    return state, (StopWorker(), *effects)


def _under_way(job: JobState) -> Phase:
    return Phase.CANCELLING if job.phase is Phase.CANCELLING else Phase.RUNNING


def _started(state: State, job: JobState, message: protocol.Started) -> tuple[State, Effects]:
    return _put(state, replace(job, phase=_under_way(job), total=message.total)), ()


def _progress(state: State, job: JobState, message: protocol.Progress) -> tuple[State, Effects]:
    job = replace(
        job,
        phase=_under_way(job),
        stage=message.stage,
        done=message.done,
        total=message.total,
        fps=message.fps,
        eta=message.eta,
    )
    return _put(state, job), ()


def _frame(state: State, job: JobState, message: protocol.Frame) -> tuple[State, Effects]:
    return _put(state, replace(job, frames=max(job.frames, message.index))), ()


def _warning(state: State, job: JobState, message: protocol.Warning) -> tuple[State, Effects]:
    return _noted(state, Noted(job.id, message.sentence))


def _done(state: State, job: JobState, message: protocol.Done) -> tuple[State, Effects]:
    # Cancelled a moment too late: the frames are there, but nobody wants them in the scene now.
    unwanted = job.phase is Phase.CANCELLING
    sentence = "Finished before it could be cancelled." if unwanted else ""
    job = replace(
        job,
        phase=Phase.DONE,
        done=message.frames,
        total=message.frames,
        frames=message.frames,
        eta=0.0,
        sentence=sentence,
    )
    return _put(state, job), () if unwanted else (ShowFrames(job.id),)


def _cancelled(state: State, job: JobState, message: protocol.Cancelled) -> tuple[State, Effects]:
    sentence = f"Cancelled with {message.frames} frames made." if message.frames else "Cancelled."
    job = replace(job, phase=Phase.CANCELLED, frames=message.frames, sentence=sentence)
    return _put(state, job), ()


def _error(state: State, job: JobState, message: protocol.Error) -> tuple[State, Effects]:
    return _fail(state, job, message.sentence, message.hint)


_MESSAGES = {
    protocol.Started: _started,
    protocol.Progress: _progress,
    protocol.Frame: _frame,
    protocol.Warning: _warning,
    protocol.Done: _done,
    protocol.Cancelled: _cancelled,
    protocol.Error: _error,
}

_HANDLERS = {
    Asked: _asked,
    Expected: _expected,
    CancelAsked: _cancel_asked,
    Moved: _moved,
    Forgotten: _forgotten,
    Received: _received,
    WorkerLost: _worker_lost,
    Noted: _noted,
}
