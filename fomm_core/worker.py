"""The background process: reads jobs from standard input, writes events to standard output, one JSON line each.

Nothing else may reach standard output, so it is moved out of everybody's way first; what libraries print goes
to standard error, which Blender keeps as the log. The end of standard input means that Blender is gone.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from . import __version__, protocol
from .control import Cancelled, Control
from .errors import in_words

if TYPE_CHECKING:  # torch
    from . import warm

# How long a job may take to notice that it is to stop when nobody is there any more.
GRACE = 5.0
# Seconds without a job after which the model is let go.
IDLE = 600.0
# After a failure of these kinds the next job starts afresh.
UNSOUND = ("out_of_memory", "device", "internal")
# Of a job: what has to be the same for what was prepared to serve it.
PREPARED_BY = ("video", "model", "config", "device", "precision", "driving_region", "start", "end")

Request = protocol.Animate | protocol.Track | protocol.Prepare


class Worker:
    """One queue of jobs, done one after another in the main thread while another reads requests.

    While there are none, it prepares what may come next.
    """

    def __init__(self, requests, events):
        self._requests, self._events = requests, events
        self._writing = threading.Lock()
        self._changed = threading.Condition()  # guards what follows
        self._waiting: deque[protocol.Animate | protocol.Track] = deque()
        self._expected: protocol.Prepare | None = None  # of those that have not begun, the last
        self._cancelled: set[str] = set()
        self._stopping = False
        self._freeing = False

    def run(self) -> None:
        """Serve until the input ends or `shutdown` comes."""
        try:
            from . import animator, job, warm  # noqa: F401 - torch: takes seconds, and fails where it is missing

            devices = [protocol.Device(name, label) for name, label in animator.devices()]
        except Exception as error:  # a broken installation fails in as many ways as there are packages
            traceback.print_exc()
            reason = in_words(error)
            self.report(protocol.Error("", "runtime", reason.sentence, reason.hint))
            return
        self.report(protocol.Hello(protocol.PROTOCOL, __version__, devices))
        threading.Thread(target=self._read, args=(devices,), daemon=True).start()
        kept = warm.WarmModel()
        while (request := self._next(kept.free)) is not None:
            result = self._done(request, kept.load)
            if isinstance(result, protocol.Error) and result.kind in UNSOUND:
                kept.free()
            if isinstance(request, protocol.Prepare):
                result = protocol.Prepared(request.id, ready=result is None)
            self.report(result)

    def report(self, event: object) -> None:
        """Send an event; if nobody listens any more, stop."""
        try:
            with self._writing:
                self._events.write(protocol.encode(event) + "\n")
                self._events.flush()
        except OSError:
            self._stop()

    def _next(self, free: Callable[[], None]) -> Request | None:
        """The next job, or else what is to be prepared, when there is one; None when it is time to go.

        Until then `free` is called when somebody asks for it, and when there has been no job for a while.
        """
        with self._changed:
            while not self._stopping:
                called = self._changed.wait_for(
                    lambda: self._waiting or self._expected or self._freeing or self._stopping, timeout=IDLE
                )
                if self._freeing or not called:
                    self._freeing = False
                    free()
                elif not self._stopping:
                    if self._waiting:
                        return self._waiting.popleft()
                    request, self._expected = self._expected, None
                    return request
        return None

    def _stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def _read(self, devices: list[protocol.Device]) -> None:
        for line in self._requests:
            try:
                request = protocol.decode(line)
            except protocol.ProtocolError as error:
                self.report(protocol.Error("", "arguments", f"The request was not understood: {error}."))
                continue
            if isinstance(request, protocol.Cancel):
                self._cancel(request.id)
            elif isinstance(request, protocol.Shutdown):
                break
            elif isinstance(request, protocol.ListDevices):
                self.report(protocol.Devices(devices))
            elif isinstance(request, protocol.FreeMemory):
                with self._changed:
                    self._freeing = True
                    self._changed.notify()
            elif isinstance(request, protocol.Prepare):
                with self._changed:
                    unwanted, self._expected = self._expected, request
                    self._changed.notify()
                if unwanted:
                    self.report(protocol.Prepared(unwanted.id, ready=False))
            elif isinstance(request, protocol.Animate | protocol.Track):
                with self._changed:
                    self._cancelled.discard(request.id)  # what was cancelled is an earlier job of that name
                    self._waiting.append(request)
                    self._changed.notify()
            else:
                self.report(protocol.Error("", "arguments", f"{type(request).__name__} is no request."))
        self._stop()
        # A job stuck in a driver or on a dead disk must not outlive Blender.
        timer = threading.Timer(GRACE, os._exit, (0,))
        timer.daemon = True
        timer.start()

    def _cancel(self, id: str) -> None:
        with self._changed:
            waiting = [request for request in self._waiting if request.id == id]
            for request in waiting:
                self._waiting.remove(request)
            if not waiting:
                self._cancelled.add(id)
        for _ in waiting:  # one that runs answers when it has stopped
            self.report(protocol.Cancelled(id))

    def _done(self, request: Request, load: warm.Load) -> object:
        """Do a job; returns its last event. Of what is prepared, None if it is ready."""
        from . import driving, job

        def stop() -> bool:
            return self._stopping or request.id in self._cancelled

        control = Control(request.id, self.report, stop)
        try:
            if isinstance(request, protocol.Animate):
                return job.run(request.job, control, load)
            if isinstance(request, protocol.Track):
                return driving.run(request, control, load)
            return job.get_ready(request.job, self._preparing(request), load)
        except Cancelled:
            return protocol.Cancelled(request.id, control.frames)
        except Exception as error:  # a fault of ours must not take the other jobs along
            failure = in_words(error)
            if failure is not error:
                traceback.print_exc()
            return protocol.Error(request.id, failure.kind, failure.sentence, failure.hint)

    def _preparing(self, request: protocol.Prepare) -> Control:
        """For what is prepared: it stops for what needs something else, and tells those who wait for it only."""

        def following() -> Request | None:
            with self._changed:
                return self._waiting[0] if self._waiting else self._expected

        def report(event: object) -> None:
            waiting = following()
            if isinstance(event, protocol.Progress) and isinstance(waiting, protocol.Animate):
                self.report(replace(event, id=waiting.id))

        def stop() -> bool:
            next_one = following()
            return self._stopping or (next_one is not None and not _serves(request, next_one))

        return Control(request.id, report, stop)


def _serves(prepared: protocol.Prepare, request: Request) -> bool:
    """Whether a request is the sooner done for what is being prepared."""
    return not isinstance(request, protocol.Track) and all(
        getattr(prepared.job, name) == getattr(request.job, name) for name in PREPARED_BY
    )


def main() -> int:
    """`python -m fomm_core worker`."""
    faulthandler.enable()
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", newline="\n")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests = os.fdopen(os.dup(sys.stdin.fileno()), encoding="utf-8", errors="replace")
    Worker(requests, events).run()
    return 0
