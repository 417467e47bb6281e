"""The line between a job and whoever started it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from . import protocol

Report = Callable[[object], None]


class Cancelled(Exception):
    """The job was asked to stop, and did."""


class Control:
    """The line to whoever started a job: events go out, a wish to stop comes in.

    Args:
        id: the job's name in events.
        report: takes `protocol` events.
        stop: tells whether to stop; asked several times a second.
    """

    def __init__(self, id: str, report: Report, stop: Callable[[], bool] = lambda: False):
        self.id, self.report, self._stop = id, report, stop
        self.frames = 0  # complete on disk

    def check(self) -> None:
        """Raises `Cancelled` if the job is to stop."""
        if self._stop():
            raise Cancelled

    def warn(self, sentence: str) -> None:
        self.report(protocol.Warning(self.id, sentence))

    def frame(self, index: int, path: Path) -> None:
        """Frame `index` is complete, as are all before it."""
        self.frames = index
        self.report(protocol.Frame(self.id, index, str(path)))

    def progress(self, stage: str, done: int, total: int, since: float, at_once: int = 0) -> None:
        """`done` of `total`, of which `at_once` were there before the work began at the time `since`."""
        elapsed = time.monotonic() - since
        rate = (done - at_once) / elapsed if elapsed > 0 else 0.0
        eta = max(0, total - done) / rate if rate > 0 else 0.0
        self.report(protocol.Progress(self.id, stage, done, max(done, total), round(rate, 2), round(eta, 1)))
