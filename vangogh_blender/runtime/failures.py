"""Why a set-up failed, in words: told by what uv printed, or by the operating system's error."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from ...fomm_core.errors import UserError

CERTIFICATE = re.compile(r"invalid peer certificate|certificate verify failed|UnknownIssuer", re.I)

# In this order: the first that is found in uv's output is the cause. uv names the system's errors by number: on
# Windows 5 is "access denied", 32 and 33 "in use by another process", 112 "disk full", 225 "contains a virus"; on
# Linux and macOS 28 is "no space", 30 "read-only", 32 a pipe that broke.
_CAUSES: tuple[tuple[str, str, str, str], ...] = (
    (
        r"os error (28|112|122|69)\)|No space left|not enough space on the disk",
        "disk_full",
        "The disk is full.",
        "Make some room, then set up again: what was fetched is kept.",
    ),
    (
        r"os error 225\)|(?<!pipe \()os error (32|33|1224)\)|used by another process|os error 5\)|Access is denied",
        "runtime",
        "Another program, most often an antivirus, kept a file locked.",
        "Set up again; if it happens again, allow the folder {folder} in the antivirus.",
    ),
    (
        r"os error 206\)|File name too long",
        "runtime",
        "The path of the runtime's folder is too long for this system.",
        "Switch on long paths in Windows, or use Blender with a shorter user folder; it is {folder}.",
    ),
    (
        r"os error 30\)|Read-only file system",
        "runtime",
        "The folder of the runtime cannot be written: its disk is read-only.",
        "Make {folder} writable, then set up again.",
    ),
    (
        r"proxy authorization required",
        "runtime",
        "The proxy wants a user name and a password.",
        "Set HTTPS_PROXY to http://USER:PASSWORD@HOST:PORT, start Blender again, then set up again.",
    ),
    (
        r"tunnel error|proxy connect|proxyconnect",
        "runtime",
        "The proxy could not be reached or refused to connect.",
        "Check HTTPS_PROXY or the system's proxy settings, then start Blender and set up again.",
    ),
    (
        CERTIFICATE.pattern,
        "runtime",
        "The server's certificate was refused; a proxy or an antivirus may be reading encrypted connections.",
        "Let SSL_CERT_FILE name your organisation's certificates, then start Blender and set up again.",
    ),
    (
        r"Hash mismatch",
        "runtime",
        "A downloaded package is not the one that was published (its hash differs).",
        "Set up again; if it happens again, a proxy or a mirror changes files: tell whoever runs it.",
    ),
    (
        r"401 Unauthorized|403 Forbidden|lack of valid authentication",
        "runtime",
        "The package index refused access.",
        "Check the index that UV_INDEX_URL or uv.toml names and its password, then set up again.",
    ),
    (
        r"dns error|failed to lookup address|tcp connect error|client error \(Connect\)|Network is unreachable",
        "runtime",
        "There is no way to the network: {host} could not be reached.",
        "Check the connection and the firewall, then set up again: what was fetched is kept.",
    ),
    (
        r"timed out|error decoding response body|connection (reset|closed)|Connection reset|unexpected EOF"
        r"|end of file before message|status server error|incomplete message",
        "runtime",
        "The connection broke off or the server gave up ({host}).",
        "Set up again: what was fetched is kept.",
    ),
    (
        r"not found in the provided package locations",
        "runtime",
        "This offline package lacks a wheel for this computer.",
        "Install the add-on's offline package for this platform and this Blender, or allow online access.",
    ),
    (
        r"No solution found",
        "runtime",
        "The package index has no build of these packages for this computer and this choice.",
        "Choose another backend, for example cpu or cu126, then set up again.",
    ),
    (
        r"Querying Python at|inspect Python interpreter|query Python interpreter|No interpreter found"
        r"|No virtual environment or system Python|Could not find a suitable Python executable",
        "runtime",
        "Blender's own Python does not work.",
        "Install Blender again, then set up again.",
    ),
    (
        r"cannot start .*uv",
        "runtime",
        "The program that installs packages could not be started: something on this computer forbids it.",
        "Allow programs in {folder} (an antivirus or the disk's settings), then set up again.",
    ),
    (
        r"os error (13|1)\)|Permission denied|Operation not permitted",
        "runtime",
        "The folder of the runtime cannot be written.",
        "Give yourself the right to write to {folder}, then set up again.",
    ),
    (
        r"Failed to extract archive|invalid zip|not a zip|Zip|corrupt",
        "runtime",
        "A package's file is damaged.",
        "Set up again; for an offline package, install the add-on again.",
    ),
)
_DISK_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def from_output(lines: list[str], folder: Path) -> UserError:
    """The cause in what uv printed."""
    text = "\n".join(lines)
    host = re.search(r"https?://(?:[^/@\s]*@)?([^/\s:)]+)", text)
    words = {"folder": folder, "host": host[1] if host else "the server"}
    for pattern, kind, sentence, hint in _CAUSES:
        if re.search(pattern, text, re.I):
            return UserError(kind, sentence.format(**words), hint.format(**words))
    said = [line for line in lines if line.startswith(("error:", "  cause:"))] or lines[-1:]
    reason = " ".join("".join(said[-1:]).split())[:200] or "no reason given"
    return UserError("runtime", f"The set-up failed ({reason}).", "See the log, then set up again.")


def from_system(error: OSError, folder: Path) -> UserError:
    """What the operating system refused to us."""
    code = getattr(error, "winerror", None) or error.errno
    if error.errno in _DISK_FULL:
        code = 28
    elif error.errno in (errno.EACCES, errno.EPERM) and not getattr(error, "winerror", None):
        code = 13
    return from_output([f"error: {error.filename or folder}: {error.strerror} (os error {code})"], folder)
