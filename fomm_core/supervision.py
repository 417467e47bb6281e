"""A command's work, watched: bars on a terminal, JSON lines, or a farm's lines; and Ctrl-C."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

from . import protocol
from .control import Cancelled, Control
from .errors import in_words

INTERRUPTED = 130  # the exit status of a command that was
PROGRESS = ("bar", "json", "openjd")  # how a command tells how far it is


def supervised(progress: str, run: Callable) -> protocol.Done | None:
    """Run a job with its progress shown as one of `PROGRESS`; None where it was interrupted."""
    stop = []

    # The first Ctrl-C lets what is under way become complete; the second does not wait.
    def interrupted(*_) -> None:
        if stop:
            raise KeyboardInterrupt
        stop.append(True)

    before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    report = {"bar": _Bars, "json": _JsonLines, "openjd": _FarmLines}[progress]()
    control = Control("cli", report, lambda: bool(stop))
    try:
        done = run(control)
    except Cancelled:
        report(protocol.Cancelled("cli", control.frames))
        return None
    except Exception as error:
        failure = in_words(error)
        report(protocol.Error("cli", failure.kind, failure.sentence, failure.hint))
        raise
    finally:
        report.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    report(done)
    return done


class _JsonLines:
    """Every event as the worker's protocol has it."""

    def __call__(self, event: object) -> None:
        print(protocol.encode(event), flush=True)

    def close(self) -> None:
        pass


class _FarmLines:
    """What Open Job Description has a task say: the percentage, what it does, why it failed (How Jobs Are Run)."""

    def __init__(self):
        self._stage = self._percent = None

    def __call__(self, event: object) -> None:
        if isinstance(event, protocol.Progress):
            if event.stage != self._stage:
                self._stage = event.stage
                self._say("status", _LABELS.get(event.stage, ("Loading the model",))[0])
            percent = 100 * event.done // max(1, event.total)
            if event.stage in _LABELS and percent != self._percent:
                self._percent = percent
                self._say("progress", percent)
        elif isinstance(event, protocol.Started):
            self._say("status", f"{event.id}: {event.total} frames of {event.width} x {event.height}")
        elif isinstance(event, protocol.Warning):
            self._say("status", event.sentence)
        elif isinstance(event, protocol.Cancelled):
            self._say("status", "Stopped. What is complete is kept, and the next run goes on from there.")
        elif isinstance(event, protocol.Error):
            self._say("fail", f"{event.sentence} {event.hint}")
        elif isinstance(event, protocol.Done):
            self._say("progress", 100)

    def _say(self, what: str, text: object) -> None:
        print(f"openjd_{what}: {' '.join(str(text).split())}", flush=True)

    def close(self) -> None:
        pass


_LABELS = {
    "motion": ("Reading the motion", "frame"),
    "frames": ("Painting", "frame"),
    "film": ("Encoding", "frame"),
    "hash": ("Checking", "B"),
    "read": ("Reading", "B"),
    "write": ("Writing", "B"),
}


class _Bars:
    """Shows a job's progress on a terminal, one bar a stage; elsewhere only its warnings."""

    def __init__(self):
        self._stage = self._bar = None

    def __call__(self, event: object) -> None:
        if isinstance(event, protocol.Warning):
            print(event.sentence, file=sys.stderr)
        if not isinstance(event, protocol.Progress) or event.stage not in _LABELS:
            return
        if event.stage != self._stage:
            from tqdm import tqdm

            self.close()
            label, unit = _LABELS[event.stage]
            self._bar = tqdm(desc=label, initial=event.done, unit=unit, unit_scale=unit == "B", disable=None)
            self._stage = event.stage
        self._bar.total = event.total or None
        self._bar.update(event.done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
