"""The runtime on disk: which environment there is, in what state, and how one takes another's place.

uv/                 uv itself
cache/              uv's: what was downloaded; environments share its bytes by hard links
py3.11-1a2b3c-1/    an environment; it is made where it stays, for nothing may move it
py3.11.json         which environment counts for that Python; written last, in one step, so that one which was
                    cut off never counts, and one that is replaced counts until the other is complete
lock  tmp/  set_up.log
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ...fomm_core.errors import UserError
from . import failures, requirements, uv
from .check import About
from .lock import FolderLock
from .progress import folder_size
from .set_up import SetUp

_WINDOWS = sys.platform == "win32"
_PROGRAM = "Scripts/python.exe" if _WINDOWS else "bin/python"
_PACKAGES = "Lib/site-packages" if _WINDOWS else f"lib/python{requirements.PYTHON[2:]}/site-packages"


@dataclass(frozen=True)
class State:
    """What there is.

    Attributes:
        kind: none, ready, unfinished (a set-up was cut off), outdated (made for other requirements) or broken.
        sentence: the same in words.
    """

    kind: str
    sentence: str


class Runtime:
    """The extension's own Python environment.

    Args:
        folder: for it alone, made when need be.
        extension: the extension's root, which is only read.
        base: Blender's own Python, of the version that runs this.
        locks: folder of the requirements.
    """

    def __init__(self, folder: Path, extension: Path, base: Path, locks: Path | None = None):
        self.folder = Path(folder).absolute()
        self.extension = Path(extension).absolute()
        self.base = Path(base)
        self.cache = self.folder / "cache"
        self.temporary = self.folder / "tmp"
        self._locks = locks
        self._marker = self.folder / f"{requirements.PYTHON}.json"

    @property
    def log(self) -> Path:
        """Of the last set-up."""
        return self.folder / "set_up.log"

    @property
    def python(self) -> Path | None:
        """The environment's Python, where there is one that works."""
        return self._python() if self.state().kind in ("ready", "outdated") else None

    def state(self) -> State:
        """What there is; a few looks at the disk."""
        made = self._made()
        if made is None:
            if any(self.folder.glob(f"{requirements.PYTHON}-*")):
                return State("unfinished", "The set-up was cut off; what was fetched is kept.")
            return State("none", "Nothing is set up yet.")
        if not self._python():
            return State("broken", "The runtime is damaged, or the Blender that it was made with is gone.")
        if made.get("lock") != self._identity:
            return State("outdated", "The runtime works, and this version of the add-on has newer packages.")
        return State("ready", f"Ready: torch {made.get('torch', '')} with Python {made.get('version', '')}.")

    def needs(self, backend: str) -> requirements.Needs:
        """What a set-up takes, and what is free. Raises `UserError` where there is no runtime for this Python."""
        needs = requirements.needs(self._lock_file(), self.build(backend), self.folder)
        return replace(needs, download=0) if self._carried(backend) else needs

    def size(self) -> int:
        """The bytes on the disk, shared ones counted once; walks the whole folder."""
        seen = set()

        def count(entry: os.DirEntry) -> int:
            # Not the entry's own, which knows no links on Windows.
            status = os.stat(entry.path, follow_symlinks=False)
            if status.st_nlink > 1 and (status.st_dev, status.st_ino) in seen:
                return 0
            seen.add((status.st_dev, status.st_ino))
            return status.st_size

        return folder_size(self.folder, count)

    def set_up(self, backend: str, online: bool) -> SetUp:
        """Make the environment, anew when there is one, which counts until the new one is complete.

        Args:
            backend: one of `BACKENDS`.
            online: the network may be used; not needed with wheels/offline in the extension.

        Raises:
            UserError: runtime or disk_full, for what is known before it begins.
        """
        if backend not in requirements.BACKENDS:
            choices = ", ".join(requirements.BACKENDS)
            raise UserError("arguments", f"There is no backend {backend!r}.", f"Use one of: {choices}.")
        lock_file = self._lock_file()
        program = uv.find(self.extension)
        wheels = self._offline_wheels(backend, online)
        self._check_room(backend)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.temporary.mkdir(exist_ok=True)
            held = FolderLock(self.folder)
        except OSError as error:
            raise failures.from_system(error, self.folder) from error
        # uv takes a project's settings from the nearest folder above that has some: here it finds none.
        with contextlib.suppress(OSError):
            (self.folder / "uv.toml").touch()
        return SetUp(self, program, lock_file, backend, wheels, held)

    def remove(self) -> None:
        """Delete the runtime, with what was fetched for it.

        Raises:
            UserError: runtime, where another Blender sets it up or a file is in use.
        """
        if not self.folder.exists():
            return
        try:
            FolderLock(self.folder).release()
            self._marker.unlink(missing_ok=True)  # first: half an environment never counts
        except OSError as error:
            raise failures.from_system(error, self.folder) from error
        kept = _delete(self.folder)
        if kept:
            raise UserError(
                "runtime",
                f"{len(kept)} files of the runtime are in use or locked, and remain: {kept[0]}.",
                "Close other Blenders, then remove it again.",
            )

    def build(self, backend: str) -> str:
        """The build of torch that a set-up comes to, as uv names it; empty where only the set-up will tell."""
        if carried := self._carried(backend):
            # PyPI's file does not say which build it is.
            return "cpu" if any("+cpu" in path.name for path in carried) else ""
        return requirements.expected_build(backend)

    # For SetUp, which holds the folder's lock.

    def new_environment(self) -> Path:
        """A folder for an environment, which is not there yet."""
        stem = f"{requirements.PYTHON}-{self._identity[:6]}"
        numbers = range(1, 1000)
        return next(path for i in numbers if not (path := self.folder / f"{stem}-{i}").exists())

    @staticmethod
    def python_in(environment: Path) -> Path:
        return environment / _PROGRAM

    def put_into_place(self, environment: Path, lock_file: Path, backend: str, about: About) -> None:
        """From now on it is this environment that counts."""
        made = {
            "environment": environment.name,
            "lock": requirements.identity(lock_file),
            "backend": backend,
            "version": about.version,
            "torch": about.torch,
        }
        temporary = self._marker.with_suffix(".tmp")
        temporary.write_text(json.dumps(made, indent=1), encoding="utf-8")
        os.replace(temporary, self._marker)

    def sweep(self) -> None:
        """Delete what set-ups that were cut off have left, and what no environment uses any more."""
        made = self._made()
        for path in self.folder.glob(f"{requirements.PYTHON}-*"):
            if made is None or path.name != made.get("environment"):
                _delete(path)
        for path in [*self.cache.glob(".tmp*"), *self.temporary.glob("*")]:
            _delete(path)
        if made is not None and self._links():
            for archive in self.cache.glob("archive-v0/*"):
                if not _is_shared(archive):
                    _delete(archive)

    def _links(self) -> bool:
        """Whether this disk has hard links: without them nothing is shared, and the cache is all that is kept."""
        one, other = self.temporary / "one", self.temporary / "other"
        try:
            one.touch()
            os.link(one, other)
            return True
        except OSError:
            return False
        finally:
            _delete(one)
            _delete(other)

    def _lock_file(self) -> Path:
        return requirements.lock_file(self._locks) if self._locks else requirements.lock_file()

    @cached_property
    def _identity(self) -> str:
        try:
            return requirements.identity(self._lock_file())
        except UserError:
            return ""

    def _made(self) -> dict | None:
        """What the marker says; none without one, an empty one where it cannot be read."""
        try:
            made = json.loads(self._marker.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return {}
        return made if isinstance(made, dict) else {}

    def _python(self) -> Path | None:
        name = (self._made() or {}).get("environment")
        if not name or not isinstance(name, str):
            return None
        python = self.python_in(self.folder / name)
        torch = self.folder / name / _PACKAGES / "torch"
        return python if python.exists() and _home_exists(self.folder / name) and torch.is_dir() else None

    def _carried(self, backend: str) -> list[Path]:
        """The wheels in the extension, where it carries some and this backend is content with them."""
        found = (self.extension / "wheels" / "offline").glob("*.whl")
        return sorted(found) if backend in ("auto", "cpu") else []

    def _offline_wheels(self, backend: str, online: bool) -> Path | None:
        # Without the network, what is carried has to do for any backend.
        if carried := self._carried(backend if online else "auto"):
            return carried[0].parent
        if not online:
            raise UserError(
                "runtime",
                "The packages are fetched from the network, and Blender's online access is off.",
                "Switch on Allow Online Access in the preferences (System), or install the offline package.",
            )
        return None

    def _check_room(self, backend: str) -> None:
        needs = self.needs(backend)
        if needs.free >= needs.disk:
            return
        wanted = needs.disk - self.size()  # of a set-up that goes on, a part is there
        if needs.free < wanted:
            raise UserError(
                "disk_full",
                f"The runtime takes {wanted / 1e9:.1f} GB more, but {self.folder} has only"
                f" {needs.free / 1e9:.1f} GB free.",
                "Make some room, then set up again.",
            )


def _home_exists(environment: Path) -> bool:
    """Whether the Python that the environment was made with is still there (on Windows its own would be)."""
    try:
        lines = (environment / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return False
    homes = [line.partition("=")[2].strip() for line in lines if line.startswith("home")]
    return bool(homes) and Path(homes[0]).is_dir()


def _is_shared(archive: Path) -> bool:
    """Whether an environment has the files of this package."""
    for path in archive.glob("*.dist-info/METADATA"):
        with contextlib.suppress(OSError):
            return path.stat().st_nlink > 1
    return True


def _delete(path: Path) -> list[str]:
    """Delete a file or a folder, what is locked apart; the files that remain."""
    kept: list[str] = []
    if not path.is_dir() or path.is_symlink():
        with contextlib.suppress(FileNotFoundError):
            try:
                path.unlink()
            except PermissionError:
                kept.append(str(path))
        return kept
    # torch has files whose paths are longer than Windows takes without the prefix.
    root = f"\\\\?\\{path}" if _WINDOWS else str(path)

    def failed(_function: object, name: str, _error: object) -> None:
        if os.path.lexists(name) and not os.path.isdir(name):
            kept.append(name)

    shutil.rmtree(root, onerror=failed)
    return kept
