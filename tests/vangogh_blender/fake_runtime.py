"""A runtime that fetches nothing: it is in the state it is told, and its set-up says what it is told to say."""

import importlib
import time
from pathlib import Path

SENTENCES = {
    "none": "There is no runtime yet.",
    "unfinished": "The set-up was cut off.",
    "outdated": "The add-on was updated, and its packages with it.",
    "broken": "The runtime does not start any more.",
    "ready": "The runtime is ready.",
}


class FakeRuntime:
    """Implements the extension's `runtime.Runtime`.

    Args:
        types: the extension's package `runtime`, for its messages.
        folder: for the log.
        python: what is there once it is ready.
    """

    def __init__(self, types, folder, python, kind="none"):
        self.types, self.folder, self.kind, self.made = types, Path(folder), kind, str(python)
        self.log = self.folder / "set-up.log"
        self.asked = []  # (backend, online) of every set-up
        self.refusal = None  # an error that the next set-up raises at once
        self.needed = types.Needs(download=210_400_000, disk=812_000_000, free=35_200_000_000)
        self.lock = None  # an error that remove raises
        self.under_way = None  # the last set-up

    def state(self):
        return self.types.State(self.kind, SENTENCES[self.kind])

    @property
    def python(self):
        return Path(self.made) if self.kind in ("ready", "outdated") else None

    def needs(self, _backend):
        return self.needed

    def size(self):
        return 812_000_000

    def set_up(self, backend, online):
        if self.refusal:
            raise self.refusal
        self.asked.append((backend, online))
        self.kind = "unfinished"
        self.log.write_text("uv 0.13.9\nfetching torch\n", encoding="utf-8")
        self.under_way = FakeSetUp(self)
        return self.under_way

    def remove(self):
        if self.lock:
            raise self.lock
        self.kind = "none"


class FakeSetUp:
    def __init__(self, runtime):
        self.runtime, self.types = runtime, runtime.types
        self.messages = []
        self.obedient = True  # a cancel is answered

    def poll(self):
        messages, self.messages = self.messages, []
        return messages

    def cancel(self):
        (self.runtime.folder / "cancelled").touch()
        if self.obedient:
            self.fail("cancelled", "The set-up was cancelled.", "What was fetched is kept.")

    def progress(self, stage, what="", done=0, total=0):
        self.messages.append(self.types.Progress(stage, what, done, total))

    def finish(self):
        self.runtime.kind = "ready"
        has = ("3.11.9", "2.13.0", ("cuda:0 (A fine GPU)", "cpu"), (), ("Its driver is old.",))
        about = self.types.About(self.runtime.made, *has)
        self.messages.append(self.types.Finished(about))

    def fail(self, kind, sentence, hint=""):
        extension = self.types.__name__.removesuffix(".vangogh_blender.runtime")
        errors = importlib.import_module(f"{extension}.fomm_core.errors")
        self.messages.append(self.types.Failed(errors.UserError(kind, sentence, hint)))


def begun(care):
    """Wait for the thread that begins the set-up of the upkeep `care`."""
    deadline = time.monotonic() + 20
    while care._task._set_up is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
