"""Several devices in one machine: a worker process for each, which takes the next job when it is done with one."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from . import protocol
from .control import Cancelled, Control
from .errors import UserError
from .protocol import Job

ROOT = Path(__file__).resolve().parents[1]
# From one look at whether to stop to the next, in seconds.
LOOK = 0.2


def run(
    jobs: list[Job],
    devices: list[str],
    control: Control,
    finished: Callable[[Job, protocol.Done | UserError], None],
) -> None:
    """Do the jobs on the devices, as many at once as there are devices; `finished` is told of each in this thread.

    Args:
        devices: as in `protocol.Job`; one that is named twice gets two processes.

    Raises:
        UserError: a worker did not start or ended by itself, or what `finished` raises; jobs under way are stopped.
        Cancelled: the work was stopped.
    """
    waiting, events = deque(jobs), queue.SimpleQueue()
    began, done = time.monotonic(), 0
    workers = [_Worker(device, _threads(device, devices), events) for device in devices[: len(jobs)]]
    stopping = False
    try:
        while done < len(jobs):
            if not stopping:
                try:
                    control.check()
                except Cancelled:
                    stopping = True
                    for worker in workers:
                        worker.cancel()
            try:
                worker, event = events.get(timeout=LOOK)
            except queue.Empty:
                continue
            if isinstance(event, protocol.Warning | protocol.Started):
                control.report(event)
            elif isinstance(event, protocol.Frame):
                control.frames += 1
            elif isinstance(event, protocol.Done | protocol.Error | protocol.Cancelled | protocol.Hello):
                if worker.job is not None and not isinstance(event, protocol.Cancelled):
                    done += 1
                    control.progress("frames", done, len(jobs), began)
                    finished(worker.job, _result(event))
                elif isinstance(event, protocol.Error):  # it could not even begin
                    raise _result(event)
                worker.job = None
                if stopping and not any(other.job for other in workers):
                    raise Cancelled
                if waiting and not stopping:
                    worker.begin(waiting.popleft())
            elif event is None:
                raise UserError(
                    "runtime",
                    f"The process for the device {worker.device} ended by itself.",
                    "Run it again: what is complete is kept.",
                )
    finally:
        for worker in workers:
            worker.end()


def _result(event: object) -> protocol.Done | UserError:
    if isinstance(event, protocol.Error):
        return UserError(event.kind, event.sentence, event.hint)
    return event


def _threads(device: str, devices: list[str]) -> int | None:
    """How many threads a process on the processor gets, where several share it."""
    beside = devices.count("cpu")
    return max(1, (os.cpu_count() or 1) // beside) if device == "cpu" and beside > 1 else None


class _Worker:
    """A worker process on a device. What it says arrives in `events` as (worker, event), None at its end."""

    def __init__(self, device: str, threads: int | None, events: queue.SimpleQueue):
        self.device = device
        self.job: Job | None = None
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        if threads:
            environment["OMP_NUM_THREADS"] = str(threads)
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "fomm_core", "worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=environment,
            start_new_session=True,  # Ctrl-C is ours: it lets complete what is under way
        )
        threading.Thread(target=self._read, args=(events,), daemon=True).start()

    def _read(self, events: queue.SimpleQueue) -> None:
        for line in self._process.stdout:
            events.put((self, protocol.decode(line)))
        events.put((self, None))

    def begin(self, job: Job) -> None:
        self.job = job
        self._send(protocol.Animate(Path(job.output).name, dataclasses.replace(job, device=self.device)))

    def cancel(self) -> None:
        if self.job:
            self._send(protocol.Cancel(Path(self.job.output).name))

    def _send(self, message: object) -> None:
        with contextlib.suppress(OSError):  # it has ended, which `events` tells
            self._process.stdin.write(protocol.encode(message) + "\n")
            self._process.stdin.flush()

    def end(self) -> None:
        """Let it end; it does by itself when its input does."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()
