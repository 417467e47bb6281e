"""The jobs of this Blender: the state machine, the worker and the .blend brought together, a tick at a time.

The truth about the jobs is here and not in the .blend, which the user reloads, undoes and closes while a worker
goes on working: each tick writes into `scene.vangogh.jobs` what there is to see. Datablocks are remembered by
session_uid and name, never by reference.
"""

from __future__ import annotations

import time
from dataclasses import replace

import bpy

from ..fomm_core import protocol
from ..fomm_core.errors import UserError
from . import expectation, image_sequence, installation, showing, sound, status_bar, upkeep
from .jobs import (
    Asked,
    CancelAsked,
    Expected,
    Forgotten,
    JobState,
    Moved,
    Noted,
    Phase,
    Received,
    Report,
    Send,
    ShowFrames,
    StartWorker,
    State,
    StopWorker,
    Worker,
    WorkerLost,
    transition,
)
from .order import Order
from .worker_client import Exited, WorkerClient

BUDGET_SECONDS = 0.003  # for the worker's messages in one tick
BUSY_SECONDS, IDLE_SECONDS = 0.1, 0.5  # from one tick to the next
GROW_SECONDS = 1.0  # from one look at what has arrived for a picture on the wall to the next
CANCEL_SECONDS = 10.0  # for a worker to obey, until it is stopped

INTERRUPTED = "Interrupted: Blender was closed, or another file opened, before it was finished."

TAKEN_AWAY = "What showed the frames is not in the scene any more. Load Frames shows them again."

ELSEWHERE = "Another file was opened. The frames are still being made; Load Frames shows them here."


class Session:
    def __init__(self) -> None:
        self.state = State()
        self.orders: dict[str, Order] = {}
        self.client: WorkerClient | None = None
        self._to_show: list[str] = []
        self._early: set[str] = set()  # jobs whose frames are shown while they arrive
        self._shown: dict[str, showing.Ref] = {}  # the sequences of the jobs that are in the scene
        self._grown = 0.0  # when
        self._cancelling_since: dict[str, float] = {}
        self._drawn: State | None = None
        self._expectation = expectation.Expectation()

    def ask(self, order: Order, early: bool = True) -> None:
        """Start the job, or let it wait for those before it. `early`: show its frames while they arrive."""
        self.orders[order.id] = order
        self._shown.pop(order.id, None)
        (self._early.add if early else self._early.discard)(order.id)
        self._feed(Asked(order.id, order.label, order.request))
        self._mirror()

    def cancel(self, job_id: str) -> None:
        self._feed(CancelAsked(job_id))
        self._mirror()

    def move(self, job_id: str, places: int) -> None:
        """Let a waiting job come so many places later, or earlier where it is negative."""
        self._feed(Moved(job_id, places))
        self._mirror()

    def forget(self, job_id: str) -> None:
        """Take a job that is over off the list; its files stay."""
        self._feed(Forgotten(job_id))
        if self.state.job(job_id):
            return
        self.orders.pop(job_id, None)
        for scene in _own_scenes():
            index = scene.vangogh.jobs.find(job_id)
            if index >= 0:
                scene.vangogh.jobs.remove(index)

    def free(self) -> None:
        """End the worker, if it has nothing to do: the next job starts another."""
        if self.client and not self.state.active:
            self.stop()
            self._feed(WorkerLost("Stopped to free its memory."))

    def stop(self) -> None:
        """End the worker, and wait for its end."""
        if self.client:
            self.client.stop(wait=True)
            self.client = None

    def tick(self) -> float:
        """Take in what happened since the last tick; the seconds until the next one."""
        deadline = time.perf_counter() + BUDGET_SECONDS
        while self.client and time.perf_counter() < deadline and (message := self.client.poll()) is not None:
            if isinstance(message, Exited):
                self.client = None
                self._lose_worker(message.sentence, message.hint)
            else:
                self._receive(message)
        self._watch()
        if not is_rendering():  # which reads the scene
            self._show_waiting()
            self._show_early()
            self._expect()
        self._mirror()
        return BUSY_SECONDS if self.state.active else IDLE_SECONDS

    def file_loaded(self) -> None:
        """Another .blend is open, or the same one anew: the jobs go on, and end up where they still belong."""
        listed = {item.name for scene in _own_scenes() for item in scene.vangogh.jobs}
        self._shown.clear()
        self._expectation.forget()
        for job in self.state.jobs:
            order = self.orders[job.id]
            if not order.blend or order.blend != bpy.data.filepath:
                self.orders[job.id] = replace(order, welcome=False)
                if not job.over:
                    self._feed(Noted(job.id, ELSEWHERE))
            elif image := showing.growing(order.frames):
                self._shown[job.id] = showing.ref(image)
            if job.over and job.id not in listed:
                self._feed(Forgotten(job.id))
        self._mirror()

    def undone(self) -> None:
        """The scene is as it was at an earlier step, or a later one; what the jobs have made since stays made."""
        self._grow()
        self._mirror()

    def file_saving(self) -> None:
        """The file is about to be written: let it play all that there is, not what there was at the last look."""
        self._grow()

    def file_saved(self) -> None:
        for job_id, order in self.orders.items():
            if order.welcome:
                self.orders[job_id] = replace(order, blend=bpy.data.filepath)

    def _feed(self, event: object) -> None:
        self.state, effects = transition(self.state, event)
        for effect in effects:
            self._carry_out(effect)

    def _carry_out(self, effect: object) -> None:
        if isinstance(effect, StartWorker):
            self._start_worker()
        elif isinstance(effect, StopWorker):
            if self.client:
                self.client.stop()
                self.client = None
        elif isinstance(effect, Send):
            self.client.send(effect.message)
        elif isinstance(effect, ShowFrames):
            self._to_show.append(effect.id)
        elif isinstance(effect, Report) and not bpy.app.background:  # there, the operator reports
            print(f"Van Gogh: {effect.sentence} {effect.hint}".rstrip())

    def _receive(self, message: object) -> None:
        """The worker said something; if its Python is at fault, that is known before the jobs are told."""
        if isinstance(message, protocol.Hello):
            upkeep.current().fault = None
        elif isinstance(message, protocol.Error) and message.kind == "runtime":
            if not installation.named_python():
                message = replace(message, hint=installation.worker_hint())
            self._blame(message.sentence, message.hint)
        self._feed(Received(message))

    def _lose_worker(self, sentence: str, hint: str) -> None:
        if self.state.worker is Worker.STARTING:
            self._blame(sentence, hint)
        self._feed(WorkerLost(sentence, hint))

    def _blame(self, sentence: str, hint: str) -> None:
        """This is no fault of the job's: the sidebar offers to repair our own runtime, if it is that."""
        if not installation.named_python():
            upkeep.current().fault = UserError("runtime", sentence, hint)

    def _start_worker(self) -> None:
        python, hint = installation.worker_python(), installation.worker_hint()
        try:
            folder = installation.user_folder("logs")
            self.client = WorkerClient(python, installation.core_root(), folder, hint)
        except UserError as error:
            self._lose_worker(error.sentence, error.hint)
        except OSError as error:
            self._feed(WorkerLost(f"The worker's log cannot be written: {error}.", "Is the disk full?"))

    def _expect(self) -> None:
        """Let the worker prepare what the user has chosen."""
        scene = bpy.context.scene
        if self._expectation.look(scene, time.monotonic()) and (request := expectation.prepared(scene)):
            self._feed(Expected(request))

    def _watch(self) -> None:
        """What may happen behind our back: a painting removed, a worker that does not obey."""
        for job in self.state.jobs:
            if job.over:
                self._cancelling_since.pop(job.id, None)
                continue
            order = self.orders[job.id]
            if order.welcome and showing.find(bpy.data.images, order.place.painting) is None:
                name = order.place.painting.name
                self._feed(Noted(job.id, f"The painting {name} was removed from this file. The job goes on."))
            if job.phase is Phase.CANCELLING:
                since = self._cancelling_since.setdefault(job.id, time.monotonic())
                if time.monotonic() - since > CANCEL_SECONDS:
                    self._feed(CancelAsked(job.id))

    def _show_waiting(self) -> None:
        """Put finished frames into the scene."""
        while self._to_show:
            order = self.orders.get(self._to_show.pop(0))
            if order is None or not order.welcome:  # off the list, or of another file, since it was done
                continue
            if order.id in self._shown and not showing.growing(order.frames):
                self._feed(Noted(order.id, TAKEN_AWAY))  # by somebody who may not want it
            elif order.id in self._shown or self._show(order):
                self._grow()
                self._add_sound(order)

    def _show_early(self) -> None:
        """Show what there is of the job that is being done, and let the pictures in the scene grow."""
        job = self.state.active
        if job and job.frames and job.id in self._early and job.id not in self._shown:
            order = self.orders[job.id]
            if job.phase is Phase.RUNNING and order.welcome and not self._show(order):
                self._early.discard(job.id)  # perhaps it can be shown when it is done
        if time.monotonic() - self._grown >= GROW_SECONDS:
            self._grow()

    def _show(self, order: Order) -> bool:
        """Show the frames that there are; whether that was possible."""
        image = showing.growing(order.frames)
        if image is None:
            try:
                image = showing.show(order.place, order.frames, order.label, self._home(order))
            except UserError as error:
                self._feed(Noted(order.id, str(error)))
                return False
            showing.push_undo(f"Van Gogh: {order.label}")
        self._shown[order.id] = showing.ref(image)
        return True

    def _grow(self) -> None:
        """All frames that have arrived play, those too that an undo has taken back."""
        self._grown = time.monotonic()
        for job_id, shown in self._shown.items():
            job, image = self.state.job(job_id), showing.find(bpy.data.images, shown)
            if job and image:
                showing.grow(image, job.frames)

    def _add_sound(self, order: Order) -> None:
        if not order.sound:
            return
        scene = self._home(order)
        try:
            sound.add(scene, order.request, order.place.start, image_sequence.count_frames(order.frames))
            warning = sound.drift(scene, order.request)
        except UserError as error:
            warning = str(error)
        if warning:
            self._feed(Noted(order.id, warning))
        showing.push_undo(f"Van Gogh: {order.label}, its sound")

    def _mirror(self) -> None:
        """Make `scene.vangogh.jobs` of every scene say what is so."""
        home = {job.id: self._home(self.orders[job.id]) for job in self.state.jobs}
        changed = self.state is not self._drawn
        for scene in _own_scenes():
            changed |= self._mirror_scene(scene, {job_id for job_id, at in home.items() if at == scene})
        self._drawn = self.state
        if changed:
            _redraw()

    def _home(self, order: Order) -> bpy.types.Scene:
        """The scene that the job belongs to, or the one that is open when that is gone."""
        return showing.find(bpy.data.scenes, order.scene) or bpy.context.scene

    def _mirror_scene(self, scene: bpy.types.Scene, here: set[str]) -> bool:
        items = scene.vangogh.jobs
        changed = False
        for index in reversed(range(len(items))):
            item = items[index]
            if item.name in here:
                continue
            if self.state.job(item.name):  # it came along when the scene was copied
                items.remove(index)
                changed = True
            elif item.phase not in ("done", "failed", "cancelled"):
                _write(item, {"phase": "failed", "sentence": INTERRUPTED, "hint": "Press Resume."})
                changed = True
        # Below what an earlier Blender has left, in the order in which they are done.
        place = len(items) - sum(item.name in here for item in items)
        for job in self.state.jobs:
            if job.id in here:
                index = items.find(job.id)
                if index < 0:
                    items.add().name = job.id
                    index = len(items) - 1
                if index != place:
                    items.move(index, place)
                changed |= _write(items[place], _shown(job, self.orders[job.id]))
                place += 1
        return changed


def _shown(job: JobState, order: Order) -> dict[str, object]:
    return {
        "label": job.name,
        "phase": job.phase.value,
        "stage": job.stage,
        "sentence": job.sentence,
        "hint": job.hint,
        "warnings": "\n".join(job.warnings),
        "done": job.done,
        "total": job.total,
        "fps": job.fps,
        "eta": job.eta,
        "frames": job.frames,
        "output": job.request.output,
        "order": order.json,
    }


def _write(item: bpy.types.PropertyGroup, values: dict[str, object]) -> bool:
    changed = False
    for name, value in values.items():
        old = getattr(item, name)
        # Blender keeps floats in single precision.
        if old != value and not (isinstance(value, float) and abs(old - value) <= 1e-6 * abs(value)):
            setattr(item, name, value)
            changed = True
    return changed


def is_rendering() -> bool:
    return bpy.app.is_job_running("RENDER")


def _own_scenes() -> list[bpy.types.Scene]:
    return [scene for scene in bpy.data.scenes if scene.library is None]


def _redraw() -> None:
    status_bar.redraw()
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            shows_us = {"VIEW_3D": "UI", "PREFERENCES": "WINDOW"}.get(area.type)
            for region in area.regions:
                if region.type == shows_us:
                    region.tag_redraw()


_current = Session()


def current() -> Session:
    """The session of this Blender."""
    return _current


def begin() -> None:
    """A new session; called when the extension is switched on."""
    global _current
    _current = Session()
    upkeep.begin(installation.own_runtime())


def end() -> None:
    """Stop the worker and a set-up; what ran is told as interrupted. Called when the extension is switched off."""
    upkeep.current().stop()
    _current.stop()
    for scene in _own_scenes():
        for item in scene.vangogh.jobs:
            if item.phase not in ("done", "failed", "cancelled"):
                _write(
                    item, {"phase": "failed", "sentence": "Stopped: the add-on was switched off.", "hint": ""}
                )


def tick() -> float:
    """What the timer calls, and tests, where timers do not fire. The seconds until the next call."""
    pause = _current.tick()
    if upkeep.current().tick():
        _redraw()
    return min(pause, BUSY_SECONDS) if upkeep.current().busy else pause
