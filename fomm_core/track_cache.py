"""Motion that was detected before, so that no video is looked at twice: small files in a folder of the user's.

Nothing here ever fails a job: a cache that cannot be read is empty, and one that cannot be written stays as it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .errors import UserError
from .motion import SUFFIX, MotionTrack
from .registry import own_folder

# Of all tracks together, in bytes: some thousand clips. The ones that were not used for longest go first.
LARGEST = 64 * 2**20
# An entry, or what a killed process left of one: a folder that was chosen may hold other files as well.
_ENTRY = re.compile(r"\.?[0-9a-f]{64}.*\.npz")


def folder() -> Path:
    """Where tracks are kept: `VANGOGH_CACHE`, or the user's cache folder of this system."""
    return own_folder("tracks", "VANGOGH_CACHE", "Caches", "XDG_CACHE_HOME", ".cache")


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """While this lasts no clip of before is known, here and in what is started: what measures detects anew."""
    before = os.environ.get("VANGOGH_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VANGOGH_CACHE"] = folder
        try:
            yield
        finally:
            del os.environ["VANGOGH_CACHE"]
            if before is not None:
                os.environ["VANGOGH_CACHE"] = before


def name_of(**settings: object) -> str:
    """The name of the entry for what decides on a track: the video's hash, the model's, the settings."""
    words = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(words.encode()).hexdigest()


def look_up(name: str) -> MotionTrack | None:
    """The track of that entry, or None."""
    try:
        path = folder() / (name + SUFFIX)
        track = MotionTrack.load(path)
    except (UserError, OSError, RuntimeError):  # not there, damaged, or the user has no home
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # used just now, it is the last to go
    return track


def keep(name: str, track: MotionTrack) -> None:
    """Store a track, and let the oldest go where they grow too many."""
    with contextlib.suppress(UserError, OSError, RuntimeError):
        folder().mkdir(parents=True, exist_ok=True)
        track.save(folder() / (name + SUFFIX))
        _trim()


def _trim() -> None:
    entries = []
    for path in filter(lambda path: _ENTRY.fullmatch(path.name), folder().iterdir()):
        with contextlib.suppress(OSError):  # gone, by the hand of a job beside this one
            about = path.stat()
            entries.append((about.st_mtime, about.st_size, path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= LARGEST:
            return
        with contextlib.suppress(OSError):
            path.unlink()
            total -= size
