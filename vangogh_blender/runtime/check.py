"""What a Python has of what the worker needs, asked of that Python itself."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ...fomm_core.errors import UserError
from .child import clean_environment

CHECK_SECONDS = 300.0  # a first import of torch from a slow disk, with an antivirus looking at every file
OLDEST = (3, 11)
CHOOSE = "Choose another Python, or let Set Up make one."
PROBE = Path(__file__).with_name("probe.py")


@dataclass(frozen=True)
class About:
    """What a Python has.

    Attributes:
        python: its path.
        version: its own, for example "3.11.7".
        torch: its version, empty without one.
        devices: that compute, the fastest first, for example "cuda:0 (NVIDIA GeForce RTX 3060)" and "cpu".
        missing: packages (or the Python itself) that the worker cannot do without; empty: it can work.
        notes: one sentence each about a graphics card that cannot be used, and what to do.
    """

    python: str
    version: str
    torch: str
    devices: tuple[str, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...] = ()


def probe_command(python: str | Path) -> list[str]:
    """The command that makes that Python say what it has."""
    return [str(python), "-B", str(PROBE)]


def examine(python: str) -> About:
    """Run that Python and ask what it has; slow.

    Raises:
        UserError: runtime, where it cannot be run or does not answer.
    """
    try:
        done = subprocess.run(
            probe_command(python),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CHECK_SECONDS,
            env=clean_environment(),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.TimeoutExpired:
        raise UserError("runtime", f"The Python at {python} did not answer.", CHOOSE) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError("runtime", f"The Python at {python} cannot be started: {reason}.", CHOOSE) from error
    lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    return read_answer(python, done.stdout.decode("utf-8", "replace").splitlines(), lines)


def read_answer(python: str, answer: list[str], output: list[str] | None = None) -> About:
    """What the probe said, found in the lines of its output.

    Raises:
        UserError: runtime, where it said nothing that can be read.
    """
    for line in reversed(answer):
        try:
            found = json.loads(line)
            return _about(python, found)
        except (ValueError, KeyError, TypeError):
            continue
    last = next((line.strip() for line in reversed(output or answer) if line.strip()), "no reason given")
    raise UserError("runtime", f"The Python at {python} does not work ({last[:200]}).", CHOOSE)


def _about(python: str, found: dict) -> About:
    missing = list(found["missing"])
    if tuple(int(part) for part in found["version"].split(".")[:2]) < OLDEST:
        missing.insert(0, "Python 3.11 or later")
    notes = tuple(dict.fromkeys(_note(trouble, found["architectures"]) for trouble in found["troubles"]))
    devices = tuple(found["devices"])
    return About(
        python, found["version"], found["torch"], devices, tuple(missing), tuple(filter(None, notes))
    )


def _note(trouble: str, architectures: list[str]) -> str:
    """What torch says of a graphics card in our words; empty where there simply is none."""
    if re.search(r"driver .*too old", trouble, re.S):
        return (
            "The driver of the graphics card is too old for this torch: update it, or set up again for cu126."
        )
    if "no kernel image" in trouble or "not compatible" in trouble:
        card = re.search(r"sm_(\d+)$", trouble)
        newest = max((int(a[3:]) for a in architectures if a[3:].isdigit()), default=0)
        if card and newest and int(card[1]) < newest:
            return "The graphics card is too old for this torch: set up again for cu126."
        return "The graphics card is too new for this torch: update its driver, then set up again for cu130."
    if re.search("no NVIDIA driver|No CUDA GPUs", trouble, re.I):
        return ""
    return f"The graphics card cannot be used ({trouble.splitlines()[0][:160]}): update its driver."


def missing_error(about: About, output: list[str]) -> UserError:
    """A fresh environment that cannot import its packages."""
    reasons = " ".join(output)
    what = ", ".join(about.missing)
    if sys.platform == "win32" and re.search(r"DLL load failed|WinError 126|c10\.dll", reasons):
        hint = "Install Microsoft's Visual C++ Redistributable, then set up again."
    else:
        hint = "If an antivirus is at work, allow this folder; then remove the runtime and set up again."
    return UserError("runtime", f"The new environment cannot load {what}.", hint)
