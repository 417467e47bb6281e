"""Files on their way into a bundle: each copied once, hashed, by a path that means the same everywhere."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from ...fomm_core.errors import UserError
from ...fomm_core.files import sha256, writing


class Carried:
    """The files of a bundle that is being written into the folder `root`.

    Attributes:
        files: size and SHA-256 of each, by its path in the bundle.
    """

    def __init__(self, root: Path):
        self.root = root
        self.files: dict[str, dict] = {}
        self._sources: dict[Path, str] = {}
        self._taken: set[str] = set()  # in small letters: some systems do not tell capitals apart

    def add(self, source: Path, folder: str, name: str = "", what: str = "") -> str:
        """Copy the file `source` into a folder of the bundle; its path there.

        One that was copied before, to wherever, is not copied again. A name that is taken gets a number.

        Args:
            name: its name there, without a suffix; by default its own.
            what: what it is to the user, for the sentence that it is gone.

        Raises:
            UserError: it is gone or cannot be read, or the bundle cannot be written.
        """
        source = Path(os.path.abspath(source))
        if source in self._sources:
            return self._sources[source]
        if not source.is_file():
            raise UserError(
                "arguments",
                f"{what or 'A file of the scene'} is missing: {source}.",
                "Put it back, or choose another one.",
            )
        path = self.free(folder, name or file_name(source.stem), source.suffix.lower())
        self.copy(source, path)
        self._sources[source] = path
        return path

    def add_tree(self, source: Path, folder: str, skipped: re.Pattern) -> None:
        """Copy all files below `source` but those whose relative path matches. Raises `UserError`."""
        for found in sorted(source.rglob("*")):
            relative = found.relative_to(source).as_posix()
            if found.is_file() and not skipped.search(relative):
                self.copy(found, f"{folder}/{relative}")

    def add_sequence(self, files: list[Path], folder: str) -> str:
        """Copy numbered files, named as they are, into a new folder; the first one's path. Raises `UserError`."""
        if files[0] not in self._sources:
            place = self.free(folder, file_name(files[0].parent.name), "")
            for file in files:
                self.copy(file, f"{place}/{file.name}")
            self._sources[files[0]] = f"{place}/{files[0].name}"
        return self._sources[files[0]]

    def write(self, path: str, text: str) -> None:
        """Write a file of our own. Raises `UserError`."""
        target = self.root / path
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\n")
        self.note(path)

    def note(self, path: str) -> None:
        """Take a file that is in its place into the list."""
        file = self.root / path
        self.files[path] = {"size": file.stat().st_size, "sha256": sha256(file)}
        self._taken |= {path.lower(), path.rpartition("/")[0].lower()}

    def free(self, folder: str, name: str, suffix: str) -> str:
        """A path in the bundle that nothing has."""
        number = 1
        while (
            path := f"{folder}/{name}{'' if number == 1 else f'-{number}'}{suffix}"
        ).lower() in self._taken:
            number += 1
        return path

    def copy(self, source: Path, path: str) -> None:
        """Copy a file to this very path. Raises `UserError`."""
        target = self.root / path
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        self.note(path)


def file_name(name: str) -> str:
    """A name that every system and every farm takes: letters, digits, dots and dashes of ASCII."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[:48]
    return plain or "untitled"
