"""One process at a time in a folder: a lock of the operating system's, which vanishes with its process."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from .errors import UserError

if os.name == "nt":
    import msvcrt
else:
    import fcntl


class FolderLock:
    """Held from its making until `release`, or until the process ends.

    Args:
        busy: what to raise where another process holds it.

    Raises:
        UserError: `busy`.
        OSError: where the folder cannot be written.
    """

    def __init__(self, folder: Path, busy: UserError):
        self._file = open(folder / "lock", "a+b")  # noqa: SIM115 - open as long as it is held
        try:
            if os.name == "nt":
                self._file.seek(0)
                msvcrt.locking(self._file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            self._file.close()
            raise busy from None
        except OSError:
            # A network drive without locks: better none than no work at all.
            return

    def release(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
