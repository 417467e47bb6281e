"""The import of a model, seen from Blender: a process of its own, so that the worker stays free. No bpy.

The process is `python -m fomm_core models import … --json`. It may be killed at any moment: what it has written by
then is no model yet, and is deleted.
"""

from __future__ import annotations

import atexit
import queue
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from ..fomm_core import protocol, registry
from ..fomm_core.errors import UserError
from .worker_client import _cause, core_environment, find_python


@dataclass(frozen=True)
class Wanted:
    """What is to be imported: a file, and what the user said about it, where they said something."""

    file: str
    config: str = ""
    name: str = ""
    replace: bool = False

    @property
    def arguments(self) -> list[str]:
        """The command line of `python -m fomm_core`."""
        options = [f"--config={self.config}"] if self.config else []
        options += [f"--name={self.name}"] if self.name else []
        options += ["--replace"] if self.replace else []
        return ["models", "import", *options, "--json", "--", self.file]


class Imports:
    """The imports of this Blender, one at a time.

    Attributes:
        progress: of the import under way, once there is some.
        error: why the last one did not end well; none once another has begun.
        imported: the name of the model that the last one made; empty otherwise.
    """

    def __init__(self) -> None:
        self.progress: protocol.Progress | None = None
        self.error: UserError | None = None
        self.imported = ""
        self._process: subprocess.Popen | None = None
        self._messages: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._cancelled = False
        self._log, self._hint = Path(), ""

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self, wanted: Wanted, python: str, root: Path, log_folder: Path, hint: str = "") -> None:
        """Begin an import. Does nothing while one is under way.

        Args:
            python: path or name of a Python that has torch.
            root: folder that contains the package `fomm_core`.
            log_folder: existing folder for `import.log`, which gets what the process says on stderr.
            hint: what the user can do when this Python does not work.

        Raises:
            UserError: that Python is not there or cannot be started.
        """
        if self._process:
            return
        self.progress, self.error, self.imported, self._cancelled = None, None, "", False
        python = find_python(python, hint)
        self._log, self._hint = log_folder / "import.log", hint
        try:
            with open(self._log, "wb") as log:
                self._process = subprocess.Popen(
                    [python, "-u", "-m", "fomm_core", *wanted.arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=core_environment(root),
                    cwd=log_folder,  # `-m` puts the current folder on the path: a folder of ours
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
        except OSError as error:
            raise UserError(
                "runtime", f"The Python at {python} cannot be started: {error.strerror}.", hint
            ) from error
        threading.Thread(target=self._read, args=(self._process,), name="vangogh import", daemon=True).start()
        atexit.register(self.stop)

    def cancel(self) -> None:
        """End the import at once: nothing is left of it. `tick` takes note."""
        if self._process:
            self._cancelled = True
            self._process.kill()

    def stop(self) -> None:
        """The same, and wait for its end: Blender or the add-on goes."""
        self.cancel()
        while self._process:
            self._take(self._messages.get())

    def tick(self) -> bool:
        """Take in what happened since the last tick, without waiting; whether there is something new to draw."""
        changed = False
        while self._process and not self._messages.empty():
            self._take(self._messages.get())
            changed = True
        return changed

    def _read(self, process: subprocess.Popen) -> None:
        for line in process.stdout:
            try:
                self._messages.put(protocol.decode(line.decode("utf-8", "replace")))
            except protocol.ProtocolError:
                continue  # somebody's print
        self._messages.put(process.wait())

    def _take(self, message: object) -> None:
        if isinstance(message, protocol.Progress):
            self.progress = message
        elif isinstance(message, protocol.Done):
            self.imported = Path(message.path).stem
        elif isinstance(message, protocol.Error):
            hint = (message.kind == "runtime" and self._hint) or message.hint
            self.error = UserError(message.kind, message.sentence, hint)
        elif isinstance(message, int):
            self._end(message)

    def _end(self, code: int) -> None:
        atexit.unregister(self.stop)
        self._process = self.progress = None
        registry.clean_up()
        if not (self._cancelled or self.error or self.imported):
            self.error = UserError(
                "internal",
                f"The import stopped in the middle: it {_cause(code)}.",
                f"Its log is {self._log}.",
            )


_current = Imports()


def current() -> Imports:
    """The imports of this Blender."""
    return _current
