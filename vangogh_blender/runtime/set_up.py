"""A set-up under way: its steps in a thread of their own, its news in a queue."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...fomm_core.errors import UserError, in_words
from . import failures, requirements, uv
from .check import About, missing_error, probe_command, read_answer
from .child import Child, clean_environment
from .lock import FolderLock
from .progress import CacheSize, Meter, Progress

if TYPE_CHECKING:
    from .environment import Runtime

LOG_BYTES = 1_000_000
TELL_SECONDS = 0.5


@dataclass(frozen=True)
class Finished:
    """The environment is ready; `about` says what it has."""

    about: About | None


@dataclass(frozen=True)
class Failed:
    """It is not, and what was fetched is kept; `error` says why, of kind `cancelled` after `SetUp.cancel`."""

    error: UserError


class SetUp:
    """Made by `Runtime.set_up`, which knows what can be known before.

    Args:
        runtime: whose environment it makes.
        program: uv, or the wheel that carries it.
        lock_file: what to install.
        backend: one of `BACKENDS`.
        wheels: a folder with every wheel, in place of the network.
        held: the folder's lock, released at the end.
    """

    def __init__(
        self,
        runtime: Runtime,
        program: Path,
        lock_file: Path,
        backend: str,
        wheels: Path | None,
        held: FolderLock,
    ):
        self._runtime = runtime
        self._program = program
        self._lock_file = lock_file
        self._backend = backend
        self._wheels = wheels
        self._held = held
        self._news: queue.SimpleQueue[Progress | Finished | Failed] = queue.SimpleQueue()
        self._last: Progress | None = None
        self._cancelled = threading.Event()
        self._child: Child | None = None
        self._guard = threading.Lock()
        threading.Thread(target=self._run, name="vangogh set-up", daemon=True).start()

    def poll(self) -> list[Progress | Finished | Failed]:
        """What happened since the last call; a `Finished` or a `Failed` is the last of all. Never waits."""
        news = []
        while not self._news.empty():
            news.append(self._news.get_nowait())
        return news

    def cancel(self) -> None:
        """Stop it; comes back at once, and `poll` tells when it has stopped."""
        self._cancelled.set()
        with self._guard:
            if self._child:
                self._child.end()

    def _run(self) -> None:
        folder = self._runtime.folder
        try:
            with open(self._runtime.log, "w", encoding="utf-8", errors="replace") as self._log:
                try:
                    end = Finished(self._steps())
                except Exception as error:
                    end = Failed(_in_words(error, folder))
                    self._note(f"{end.error.kind}: {end.error}")
                    if end.error.kind == "internal":
                        self._note("".join(traceback.format_exception(error)))
        except OSError as error:
            end = Failed(_in_words(error, folder))
        if self._cancelled.is_set() and isinstance(end, Failed):
            end = Failed(UserError("cancelled", "The set-up was cancelled.", "What was fetched is kept."))
        self._held.release()
        self._news.put(end)

    def _steps(self) -> About:
        runtime = self._runtime
        self._note(
            f"{requirements.platform_name()} {requirements.PYTHON}, {self._lock_file.name}, {self._backend}"
        )
        self._tell(Progress("python", "a place of its own", 0, 0))
        runtime.sweep()
        program = uv.unpack(self._program, runtime.folder / "uv")
        environment = runtime.new_environment()
        self._uv([program, "venv", "--no-project", "--python", runtime.base, environment])
        python = runtime.python_in(environment)
        self._install(program, python)
        self._tell(Progress("check", "loads torch", 0, 0))
        about = self._check(python)
        self._stop_if_cancelled()
        runtime.put_into_place(environment, self._lock_file, self._backend, about)
        runtime.sweep()
        return about

    def _install(self, program: Path, python: Path) -> None:
        command = [program, "pip", "install", "--no-build", "--python", python, "-r", self._lock_file]
        if self._wheels:
            command += ["--offline", "--no-index", "--find-links", self._wheels]
        else:
            command += requirements.torch_options(self._backend)
        cache_size = CacheSize(self._runtime.cache)
        # After a set-up that was cut off, what the cache has is part of this one; beside a runtime, it may not be.
        fresh = self._runtime.python is None
        build = self._runtime.build(self._backend)
        download, installed = requirements.sizes(self._lock_file, build) if fresh else (0, 0)
        meter = Meter(download, installed, 0 if fresh else cache_size())
        over = threading.Event()

        def watch() -> None:
            pause = TELL_SECONDS
            while not over.wait(pause):
                started = time.monotonic()
                self._tell(meter.progress(cache_size()))
                pause = max(TELL_SECONDS, 10 * (time.monotonic() - started))

        def hear(line: str) -> None:
            before = meter.stage
            meter.hear(line)
            if meter.stage != before:
                self._tell(meter.progress(0))

        self._tell(meter.progress(0))
        watcher = threading.Thread(target=watch, name="vangogh set-up's progress", daemon=True)
        watcher.start()
        try:
            self._uv(command, hear)
        finally:
            over.set()
            watcher.join()
        if meter.stage == "download":  # all was there already
            self._tell(Progress("install", "the packages into their folder", 0, 0))

    def _uv(self, command: list[object], hear: Callable[[str], None] = lambda line: None) -> None:
        """Run uv. Raises `UserError` with the cause when it fails."""
        folder = self._runtime.folder
        environment = uv.environment(self._runtime.cache, self._runtime.temporary)
        status, lines = self._call(command, environment, hear)
        if status and failures.CERTIFICATE.search("\n".join(lines)) and "UV_SYSTEM_CERTS" not in environment:
            # An organisation that reads encrypted connections has put its certificate into the system's own store.
            environment["UV_SYSTEM_CERTS"] = "true"
            status, lines = self._call(command, environment, hear)
        self._stop_if_cancelled()
        if status:
            raise failures.from_output(lines, folder)

    def _check(self, python: Path) -> About:
        _status, lines = self._call(
            [*probe_command(python), "compile"], clean_environment(), lambda line: None
        )
        self._stop_if_cancelled()
        about = read_answer(str(python), lines)
        if about.missing:
            raise missing_error(about, lines)
        return about

    def _call(
        self, command: list[object], environment: dict[str, str], hear: Callable[[str], None]
    ) -> tuple[int, list[str]]:
        """Run a command to its end; its status and what it printed, which the log gets too."""
        lines: list[str] = []

        def heard(line: str) -> None:
            lines.append(line)
            self._note(line)
            hear(line)

        words = [str(word) for word in command]
        self._note("$ " + " ".join(words))
        with self._guard:
            self._stop_if_cancelled()
            try:
                self._child = Child(self._runtime.base, words, self._runtime.folder, environment)
            except OSError as error:
                raise UserError(
                    "runtime",
                    f"Blender's own Python at {self._runtime.base} cannot be started: {error.strerror}.",
                    "Install Blender again, or allow that program in the antivirus.",
                ) from error
        try:
            return self._child.run(heard), lines
        finally:
            with self._guard:
                self._child = None

    def _stop_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise UserError("cancelled", "The set-up was cancelled.")

    def _tell(self, progress: Progress) -> None:
        if progress != self._last:
            self._last = progress
            self._news.put(progress)

    def _note(self, line: str) -> None:
        if self._log.tell() < LOG_BYTES:
            self._log.write(line + "\n")
            self._log.flush()


def _in_words(error: Exception, folder: Path) -> UserError:
    return failures.from_system(error, folder) if isinstance(error, OSError) else in_words(error)
