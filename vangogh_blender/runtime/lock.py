"""One set-up at a time in a folder."""

from __future__ import annotations

from pathlib import Path

from ...fomm_core import lock
from ...fomm_core.errors import UserError


class FolderLock(lock.FolderLock):
    """The lock of a runtime's folder. Raises `UserError` and `OSError` as its base does."""

    def __init__(self, folder: Path):
        busy = "Another Blender is setting up or removing this runtime right now."
        super().__init__(folder, UserError("runtime", busy, "Wait until it has finished, then try again."))
