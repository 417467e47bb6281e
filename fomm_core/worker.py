"""The background process: reads jobs from standard input, writes events to standard output, one JSON line each.

Nothing else may reach standard output, so it is moved out of everybody's way first; what libraries print goes
to standard error, which Blender keeps as the log. The end of standard input means that Blender is gone.
"""

from __future__ import annotations

import faulthandler
import os
import queue
import sys
import threading
import traceback

from . import __version__, protocol
from .errors import UserError

# How long a job may take to notice that it is to stop when nobody is there any more.
GRACE = 5.0


class Worker:
    """One queue of jobs, done one after another in the main thread while another reads requests."""

    def __init__(self, requests, events):
        self._requests, self._events = requests, events
        self._lock = threading.Lock()
        self._waiting: queue.Queue = queue.Queue()
        self._cancelled: set[str] = set()
        self._stopping = threading.Event()

    def run(self) -> None:
        """Serve until the input ends or `shutdown` comes."""
        try:
            from . import animator  # torch: this takes seconds, and fails where it is missing

            devices = [protocol.Device(name, label) for name, label in animator.devices()]
        except Exception as error:  # a broken installation fails in as many ways as there are packages
            traceback.print_exc()
            self.report(protocol.Error("", "runtime", *runtime_words(error)))
            return
        self.report(protocol.Hello(protocol.PROTOCOL, __version__, devices))
        threading.Thread(target=self._read, daemon=True).start()
        while not self._stopping.is_set():
            request = self._waiting.get()
            if isinstance(request, protocol.ListDevices):
                self.report(protocol.Devices(devices))
            elif request is not None:
                self._do(request)

    def report(self, event: object) -> None:
        """Send an event; if nobody listens any more, stop."""
        try:
            with self._lock:
                self._events.write(protocol.encode(event) + "\n")
                self._events.flush()
        except OSError:
            self._stopping.set()

    def _read(self) -> None:
        for line in self._requests:
            try:
                request = protocol.decode(line)
            except protocol.ProtocolError as error:
                self.report(protocol.Error("", "arguments", f"The request was not understood: {error}."))
                continue
            if isinstance(request, protocol.Cancel):
                self._cancelled.add(request.id)
            elif isinstance(request, protocol.Shutdown):
                break
            elif isinstance(request, protocol.Animate | protocol.Track | protocol.ListDevices):
                self._waiting.put(request)
            else:
                self.report(protocol.Error("", "arguments", f"{type(request).__name__} is no request."))
        self._stopping.set()
        self._waiting.put(None)
        # A job stuck in a driver or on a dead disk must not outlive Blender.
        timer = threading.Timer(GRACE, os._exit, (0,))
        timer.daemon = True
        timer.start()

    def _do(self, request: protocol.Animate | protocol.Track) -> None:
        from . import job

        frames = 0

        def report(event: object) -> None:
            nonlocal frames
            if isinstance(event, protocol.Frame):
                frames = event.index
            self.report(event)

        def stop() -> bool:
            return self._stopping.is_set() or request.id in self._cancelled

        control = job.Control(request.id, report, stop)
        try:
            control.check()
            if isinstance(request, protocol.Animate):
                result = job.run(request.job, control)
            else:
                result = job.run_track(request, control)
        except job.Cancelled:
            result = protocol.Cancelled(request.id, frames)
        except UserError as error:
            result = protocol.Error(request.id, error.kind, error.sentence, error.hint)
        except Exception as error:  # a fault of ours must not take the other jobs along
            traceback.print_exc()
            result = protocol.Error(request.id, "internal", *internal_words(error))
        self.report(result)


def runtime_words(error: BaseException) -> tuple[str, str]:
    """A sentence and a hint for a Python that lacks something."""
    if isinstance(error, ModuleNotFoundError):
        sentence = f"The Python at {sys.executable} has no {error.name}, which animating needs."
    else:
        sentence = f"The Python at {sys.executable} cannot load what animating needs ({error})."
    return sentence, "Install the project's requirements into it, or choose another Python."


def internal_words(error: BaseException) -> tuple[str, str]:
    return (
        f"Something went wrong inside the program ({type(error).__name__}: {error}).",
        "Please report it, with the log.",
    )


def main() -> int:
    """`python -m fomm_core worker`."""
    faulthandler.enable()
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", newline="\n")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests = os.fdopen(os.dup(sys.stdin.fileno()), encoding="utf-8", errors="replace")
    Worker(requests, events).run()
    return 0
