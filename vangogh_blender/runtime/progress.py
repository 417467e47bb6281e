"""How far uv is: what it says (its lines when stderr is not a terminal, uv 0.13), and how its cache grows."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_BEGINS = re.compile(r"Downloading (\S+) \(([\d.]+)([KMG]?i?B)\)")
_ENDS = re.compile(r" ?Downloaded (\S+)")
_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_USUAL_RATIO = 2.0  # unpacked bytes of a downloaded one, where sizes are not known


@dataclass(frozen=True)
class Progress:
    """Where a set-up is.

    Attributes:
        stage: python, download, install or check, in that order.
        what: what it is doing, in a few words.
        done: bytes of `total`; never falls within a stage.
        total: bytes, 0 where that is not known.
    """

    stage: str
    what: str
    done: int
    total: int


class Meter:
    """Follows one run of uv.

    Args:
        download: bytes that all packages take to download, 0 where not known.
        installed: bytes that they take unpacked, 0 where not known.
        cached: bytes in uv's cache that do not belong to this set-up, which are not counted.
    """

    def __init__(self, download: int, installed: int, cached: int = 0):
        self.stage = "download"
        self._download = download
        self._ratio = installed / download if download and installed else _USUAL_RATIO
        self._cached = cached
        self._sizes: dict[str, int] = {}
        self._ended: set[str] = set()
        self._done = 0

    def hear(self, line: str) -> None:
        """Take in a line of uv's."""
        if begins := _BEGINS.fullmatch(line.strip()):
            size = int(float(begins[2]) * _UNITS.get(begins[3], 1))
            self._sizes[begins[1]] = max(size, self._sizes.get(begins[1], 0))  # uv tries twice where it must
        elif ends := _ENDS.fullmatch(line.rstrip()):
            self._ended.add(ends[1])
        elif line.startswith("Prepared "):
            self.stage = "install"

    def progress(self, cache_bytes: int) -> Progress:
        """Where it is now that uv's cache has so many bytes."""
        if self.stage == "install":
            return Progress("install", "the packages into their folder", 0, 0)
        # uv unpacks as it downloads: what is unpacked tells what has come, also of a package that is on its way.
        total = max(self._download, sum(self._sizes.values()))
        grown = int(max(cache_bytes - self._cached, 0) / self._ratio)
        ended = sum(self._sizes.get(name, 0) for name in self._ended)
        self._done = min(max(self._done, grown, ended), total) if total else 0
        on_their_way = [name for name in self._sizes if name not in self._ended]
        on_their_way.sort(key=lambda name: -self._sizes[name])
        more = f" and {len(on_their_way) - 3} more" if len(on_their_way) > 3 else ""
        what = ", ".join(on_their_way[:3]) + more or "the packages"
        return Progress("download", what, self._done, total)


class CacheSize:
    """The unpacked bytes in uv's cache. What is complete there never changes, and is measured once."""

    def __init__(self, cache: Path):
        self._cache = cache
        self._complete: dict[str, int] = {}

    def __call__(self) -> int:
        for entry in _entries(self._cache / "archive-v0"):
            if entry.name not in self._complete:
                self._complete[entry.name] = folder_size(entry.path)
        unfinished = sum(folder_size(e.path) for e in _entries(self._cache) if e.name.startswith(".tmp"))
        return sum(self._complete.values()) + unfinished


def folder_size(folder: str | Path, count: Callable[[os.DirEntry], int] | None = None) -> int:
    """The bytes of the files below `folder`; files that vanish meanwhile do not count."""
    count = count or (lambda entry: entry.stat(follow_symlinks=False).st_size)
    total = 0
    for entry in _entries(folder):
        try:
            if entry.is_dir(follow_symlinks=False):
                total += folder_size(entry.path, count)
            else:
                total += count(entry)
        except OSError:
            continue
    return total


def _entries(folder: str | Path) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
