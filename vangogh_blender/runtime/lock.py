"""One set-up at a time in a folder: a lock of the operating system's, which vanishes with its process."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ...fomm_core.errors import UserError

if os.name == "nt":
    import msvcrt
else:
    import fcntl


class FolderLock:
    """Held from its making until `release`, or until the process ends.

    Raises:
        UserError: runtime, where another Blender holds it.
        OSError: where the folder cannot be written.
    """

    def __init__(self, folder: Path):
        self._file = open(folder / "lock", "a+b")  # noqa: SIM115 - open as long as it is held
        try:
            if os.name == "nt":
                self._file.seek(0)
                msvcrt.locking(self._file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            self._file.close()
            raise UserError(
                "runtime",
                "Another Blender is setting up or removing this runtime right now.",
                "Wait until it has finished, then try again.",
            ) from None
        except OSError:
            # A network drive without locks: better no lock than no runtime.
            return

    def release(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
