"""The runtime's upkeep: its set-up or removal under way in this Blender, and what there is to know about it.

No bpy. Everything slow is in threads and processes; `tick` takes in what they gave, and panels draw what is here.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable

from ..fomm_core.errors import UserError, in_words
from .runtime import About, Failed, Finished, Progress, Runtime, SetUp

STOP_SECONDS = 5.0  # for a set-up to end when Blender does


class Answers:
    """Slow questions, each answered by a thread of its own."""

    def __init__(self) -> None:
        self._known: dict[tuple, object] = {}
        self._asked: dict[tuple, float] = {}  # when
        self._arrived = threading.Event()

    def ask(self, question: Callable, *arguments: object, again_after: float = float("inf")) -> object | None:
        """What `question(*arguments)` gives, a `UserError` when it failed, none while it is not known.

        Args:
            again_after: seconds for which the answer is good. An old one is given until there is the new.
        """
        key, now = (question, arguments), time.monotonic()
        if key not in self._known or now - self._asked[key] > again_after:
            self._known.setdefault(key, None)
            self._asked[key] = now
            threading.Thread(target=self._find_out, args=(key, self._known), daemon=True).start()
        return self._known[key]

    def forget(self) -> None:
        """What is asked from now on is found out anew."""
        self._known = {}

    @property
    def pending(self) -> bool:
        """Something was asked and is not known yet."""
        return None in self._known.values()

    def arrived(self) -> bool:
        """Whether there was an answer since the last call."""
        arrived = self._arrived.is_set()
        self._arrived.clear()
        return arrived

    def _find_out(self, key: tuple, known: dict[tuple, object]) -> None:
        question, arguments = key
        try:
            known[key] = question(*arguments)
        except Exception as error:
            known[key] = in_words(error)
        self._arrived.set()


class _Task:
    """Something done to the runtime: begun in a thread, for even that looks at many files; then followed."""

    def __init__(self, begin: Callable[[], SetUp | None], removes: bool = False) -> None:
        self.removes = removes
        self._set_up: SetUp | None = None
        self._end: Finished | Failed | None = None
        self._cancelled = False
        threading.Thread(target=self._begin, args=(begin,), daemon=True).start()

    def poll(self) -> list[Progress | Finished | Failed]:
        """As `SetUp.poll`."""
        if self._end:
            return [self._end]
        return self._set_up.poll() if self._set_up else []

    def cancel(self) -> None:
        """As `SetUp.cancel`. A removal goes on: half a runtime is of no use to anybody."""
        self._cancelled = True
        if self._set_up:
            self._set_up.cancel()

    def _begin(self, begin: Callable[[], SetUp | None]) -> None:
        try:
            set_up = begin()
        except Exception as error:
            self._end = Failed(in_words(error))
            return
        if set_up is None:
            self._end = Finished(None)
            return
        self._set_up = set_up
        if self._cancelled:  # meanwhile
            set_up.cancel()


class Upkeep:
    """What is done to the runtime, one thing at a time.

    Attributes:
        runtime: the extension's own.
        answers: what panels asked about it.
        progress: of the set-up under way, once there is some.
        cancelling: the set-up under way was asked to stop.
        error: why the last set-up or removal did not end well; none once another has begun.
        about: what the set-up that ended well in this Blender has made.
        fault: why the worker does not run in a runtime that looks ready; the session knows.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.answers = Answers()
        self.progress: Progress | None = None
        self.cancelling = False
        self.error: UserError | None = None
        self.about: About | None = None
        self.fault: UserError | None = None
        self._task: _Task | None = None

    @property
    def running(self) -> bool:
        """A set-up or a removal is under way."""
        return self._task is not None

    @property
    def busy(self) -> bool:
        """There will soon be something new to draw."""
        return self.running or self.answers.pending

    @property
    def removing(self) -> bool:
        return self._task is not None and self._task.removes

    def set_up(self, backend: str, online: bool) -> None:
        """Begin a set-up, whatever is there now; does nothing while something is under way.

        Args:
            backend: one of `runtime.BACKENDS`.
            online: the network may be used.
        """
        self._begin(lambda: _Task(lambda: self.runtime.set_up(backend, online)))

    def remove(self) -> None:
        """Begin to remove the runtime; does nothing while something is under way."""
        self._begin(lambda: _Task(self.runtime.remove, removes=True))

    def cancel(self) -> None:
        """Ask the set-up under way to stop: `error` says so when it has."""
        if self._task:
            self.cancelling = True
            self._task.cancel()

    def stop(self) -> None:
        """Cancel what is under way and wait for its end, `STOP_SECONDS` at most: Blender or the add-on goes."""
        self.cancel()
        deadline = time.monotonic() + STOP_SECONDS
        while self._task and time.monotonic() < deadline:
            self.tick()
            time.sleep(0.01)

    def tick(self) -> bool:
        """Take in what happened since the last tick; whether there is something new to draw."""
        changed = self.answers.arrived()
        for message in self._task.poll() if self._task else ():
            changed = True
            if isinstance(message, Progress):
                self.progress = message
            else:
                self._end(message)
        return changed

    def _begin(self, make: Callable[[], _Task]) -> None:
        if self._task:
            return
        self.error = self.about = self.fault = self.progress = None
        self.cancelling = False
        self._task = make()
        atexit.register(self.stop)

    def _end(self, message: Finished | Failed) -> None:
        atexit.unregister(self.stop)
        self._task = self.progress = None
        self.cancelling = False
        self.answers.forget()
        if isinstance(message, Failed):
            self.error = message.error
        else:
            self.about = message.about


_current: Upkeep | None = None


def current() -> Upkeep:
    """The upkeep of this Blender's runtime, from `begin` on."""
    return _current


def begin(runtime: Runtime) -> None:
    """Called when the extension is switched on."""
    global _current
    _current = Upkeep(runtime)
