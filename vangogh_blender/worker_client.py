"""The worker process seen from Blender: start it, talk to it, notice its end. Standard library only, no bpy.

The worker is `python -m fomm_core worker` in a Python that has torch. It speaks the lines of
`fomm_core.protocol`; a thread of ours reads them into a queue, and `poll` empties the queue without waiting.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ..fomm_core import protocol
from ..fomm_core.errors import UserError

HELLO_SECONDS = 120.0  # a first import of torch from a slow disk takes its time
GRACE_SECONDS = 0.5
LOG_BYTES = 1_000_000


@dataclass(frozen=True)
class Exited:
    """The last thing that `poll` gives: the worker is gone, why, and what to do."""

    sentence: str
    hint: str


class WorkerClient:
    """A running worker.

    Args:
        python: path or name of the Python that runs the worker.
        root: folder that contains the package `fomm_core`.
        log_folder: existing folder for `worker.log`, which gets the worker's stderr.
        hint: what the user can do when this Python does not work as a worker.
        hello_seconds: how long the worker may take until its first word.

    Raises:
        UserError: of kind `runtime`, when that Python is not there or cannot be started.
    """

    def __init__(
        self, python: str, root: Path, log_folder: Path, hint: str = "", hello_seconds: float = HELLO_SECONDS
    ):
        self.hint = hint
        self.python = find_python(python, hint)
        self.log = Path(log_folder) / "worker.log"
        self._messages: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._deadline: float | None = time.monotonic() + hello_seconds
        self._ended = False
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.unlink()
        with open(self.log, "ab") as log:
            self._log_start = log.tell()
            try:
                self._process = subprocess.Popen(
                    [self.python, "-u", "-m", "fomm_core", "worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=core_environment(root),
                    cwd=log_folder,  # `-m` puts the current folder on the path: a folder of ours
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
            except OSError as error:
                raise UserError(
                    "runtime", f"The Python at {self.python} cannot be started: {error.strerror}.", hint
                ) from error
        self._reader = threading.Thread(target=self._read, name="vangogh worker", daemon=True)
        self._reader.start()
        atexit.register(self.stop, wait=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, request: object) -> None:
        """Send a request. To a worker that is gone this does nothing: `poll` will tell."""
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(protocol.encode(request).encode() + b"\n")
            self._process.stdin.flush()

    def poll(self) -> object | None:
        """The next event, an `Exited` as the last, or none for now. Never waits."""
        try:
            message = self._messages.get_nowait()
        except queue.Empty:
            if self._deadline is None or time.monotonic() < self._deadline:
                return None
            self.stop()
            message = Exited(f"The Python at {self.python} did not answer as a worker.", self._hint())
        if self._ended:
            return None
        self._deadline = None
        self._ended = isinstance(message, Exited)
        return message

    def stop(self, wait: bool = False) -> None:
        """End the worker: close its input, then terminate it, then kill it.

        Args:
            wait: come back when it is gone, in a second or two at most; else at once.
        """
        atexit.unregister(self.stop)
        thread = threading.Thread(target=self._end, name="vangogh worker's end")
        thread.start()
        if wait:
            thread.join()

    def _end(self) -> None:
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        for end in (self._process.terminate, self._process.kill):
            try:
                self._process.wait(GRACE_SECONDS)
                return
            except subprocess.TimeoutExpired:
                end()
        self._process.wait()

    def _read(self) -> None:
        with self._process.stdout as lines:
            for line in lines:
                try:
                    self._messages.put(protocol.decode(line.decode("utf-8", "replace")))
                except protocol.ProtocolError:
                    continue  # somebody's print; what matters is that the next line is read
        try:
            code = self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:  # it closed its output and stays: of no use any more
            self._process.kill()
            code = self._process.wait()
        self._messages.put(self._exited(code))

    def _exited(self, code: int) -> Exited:
        if self._deadline is not None:
            return Exited(
                f"The Python at {self.python} ended before it could work: {_cause(code)}.", self._hint()
            )
        return Exited(f"The worker stopped in the middle: it {_cause(code)}.", f"Its log is {self.log}.")

    def _hint(self) -> str:
        last = self._last_words()
        log = f"Its log is {self.log}" + (f" and ends with: {last}" if last else ".")
        return f"{self.hint} {log}".lstrip()

    def _last_words(self) -> str:
        try:
            with open(self.log, "rb") as log:
                log.seek(self._log_start)
                lines = log.read()[-4000:].decode("utf-8", "replace").split("\n")
        except OSError:
            return ""
        return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")


def find_python(python: str, hint: str = "") -> str:
    """The path of the Python that is named by path or by name. Raises `UserError` of kind `runtime` with `hint`."""
    if not python:
        raise UserError("runtime", "There is no Python with torch yet.", hint)
    found = shutil.which(os.path.expanduser(python))
    if found:
        return found
    if os.path.exists(python):
        raise UserError("runtime", f"{python} is not a program that can be started.", hint)
    raise UserError("runtime", f"There is no Python at {python}.", hint)


def core_environment(root: Path) -> dict[str, str]:
    """Our environment without what Blender's own Python set up in it, which would break another Python."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON") and k != "__PYVENV_LAUNCHER__"}
    # No bytecode: an extension never writes into its own folder.
    return {**kept, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"}


_WINDOWS_CRASH = 0xC0000000  # an NTSTATUS of severity "error"


def _cause(code: int) -> str:
    """How a process ended, to follow the word "it"."""
    if code == 0:
        return "ended by itself"
    if code == -getattr(signal, "SIGKILL", 9):
        return "was killed, perhaps because the computer ran out of memory"
    if code in (-signal.SIGTERM, -signal.SIGINT):
        return "was told to stop by another program"
    if code < 0:
        return f"crashed ({_signal_name(-code)})"
    if code >= _WINDOWS_CRASH:
        return f"crashed (0x{code:08X})"
    return f"ended with status {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
