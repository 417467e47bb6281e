"""The ffmpeg that comes with imageio-ffmpeg: how it is started, and what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg


def start(*arguments: str, **streams) -> subprocess.Popen:
    """Start ffmpeg, out of reach of the terminal's Ctrl-C: a job ends its input and output in its own time."""
    apart = (
        {"creationflags": subprocess.CREATE_NO_WINDOW}
        if sys.platform == "win32"
        else {"start_new_session": True}
    )
    return subprocess.Popen([imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", *arguments], **apart, **streams)


def file_input(path: Path) -> list[str]:
    # A file and nothing but a file, whatever its name looks like and whatever addresses it contains.
    return ["-protocol_whitelist", "file", "-i", f"file:{path}"]


def about(path: Path) -> str:
    """What ffmpeg says of the file; its exit status is an error as no output was asked for."""
    process = start("-hide_banner", *file_input(path), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return process.communicate()[1].decode("utf-8", "replace")


def last_line(log) -> str:
    """The last thing that was written to the open file `log`, or nothing."""
    log.seek(0)
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:200] if lines else ""
