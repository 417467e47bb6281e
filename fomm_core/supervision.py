"""A command's work, watched at the terminal: bars or JSON lines, and Ctrl-C."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

from . import protocol
from .control import Cancelled, Control
from .errors import in_words

INTERRUPTED = 130  # the exit status of a command that was


def supervised(as_json: bool, run: Callable) -> protocol.Done | None:
    """Run a job with its progress shown; None where it was interrupted."""
    stop = []

    # The first Ctrl-C lets what is under way become complete; the second does not wait.
    def interrupted(*_) -> None:
        if stop:
            raise KeyboardInterrupt
        stop.append(True)

    before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    report = _print_json if as_json else _Bars()
    control = Control("cli", report, lambda: bool(stop))
    try:
        done = run(control)
    except Cancelled:
        if as_json:
            _print_json(protocol.Cancelled("cli", control.frames))
        return None
    except Exception as error:
        if as_json:
            failure = in_words(error)
            _print_json(protocol.Error("cli", failure.kind, failure.sentence, failure.hint))
        raise
    finally:
        if not as_json:
            report.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    if as_json:
        _print_json(done)
    return done


def _print_json(event: object) -> None:
    print(protocol.encode(event), flush=True)


class _Bars:
    """Shows a job's progress on a terminal, one bar a stage; elsewhere only its warnings."""

    LABELS = {
        "motion": ("Reading the motion", "frame"),
        "frames": ("Painting", "frame"),
        "hash": ("Checking", "B"),
        "read": ("Reading", "B"),
        "write": ("Writing", "B"),
    }

    def __init__(self):
        self._stage = self._bar = None

    def __call__(self, event: object) -> None:
        if isinstance(event, protocol.Warning):
            print(event.sentence, file=sys.stderr)
        if not isinstance(event, protocol.Progress) or event.stage not in self.LABELS:
            return
        if event.stage != self._stage:
            from tqdm import tqdm

            self.close()
            label, unit = self.LABELS[event.stage]
            self._bar = tqdm(desc=label, initial=event.done, unit=unit, unit_scale=unit == "B", disable=None)
            self._stage = event.stage
        self._bar.total = event.total or None
        self._bar.update(event.done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
