"""A child process that ends with us, whatever happens to us, and whose output is read line by line."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

END_SECONDS = 10.0
LEASH = Path(__file__).with_name("leash.py")


def clean_environment(**changes: str) -> dict[str, str]:
    """Our environment without what would lead another Python, or uv, to Blender's or to a user's own."""
    mine = ("PYTHON", "VIRTUAL_ENV", "CONDA_", "__PYVENV_LAUNCHER__")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8", **changes}


class Child:
    """A command that is running, its output and its errors in one stream.

    Args:
        leash_python: the Python that holds the leash.
        command: what to run.
        folder: where it runs.
        environment: what it sees.

    Raises:
        OSError: where `leash_python` cannot be started.
    """

    def __init__(self, leash_python: Path, command: list[str], folder: Path, environment: dict[str, str]):
        self._process = subprocess.Popen(
            [str(leash_python), "-I", "-S", "-B", str(LEASH), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )

    def run(self, heard: Callable[[str], None]) -> int:
        """Give each line to `heard` until the command ends; its exit status."""
        for line in self._process.stdout:
            heard(line.decode("utf-8", "replace").rstrip())
        self._process.stdout.close()
        self.end()
        return self._process.wait()

    def end(self) -> None:
        """End it, and what it has started; comes back at once."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        timer = threading.Timer(END_SECONDS, self._process.kill)
        timer.daemon = True
        timer.start()
        threading.Thread(target=self._let_go, args=(timer,), daemon=True).start()

    def _let_go(self, timer: threading.Timer) -> None:
        self._process.wait()
        timer.cancel()
