"""Fetch wheels by their locks: `python tools/wheels.py` puts uv's, one for each platform, into wheels/.

pip does the fetching, from wherever it is set up to look, and takes no file whose sha256 is not in the lock. What
is there already is not fetched again.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tools.platforms import PLATFORMS, ROOT, TOOL_LOCKS, Target

UV_WHEELS = ROOT / "wheels"
CACHE = ROOT / "build" / "wheels"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"


class FetchError(Exception):
    """A wheel could not be had; the message says which and what to do."""


def read_lock(path: Path) -> dict[str, list[str]]:
    """The sha256s of each `name==version` in a lock; none where the lock leaves the file open."""
    entries: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if pinned := re.match(r"[\w.-]+==[^\s\\]+", line):
            entries[pinned.group()] = hashes = []
        elif locked := re.search(r"--hash=sha256:([0-9a-f]{64})", line):
            hashes.append(locked.group(1))
    return entries


def write_lock(path: Path, comment: str, entries: dict[str, list[str]]) -> None:
    """What `read_lock` reads, and uv and pip as well. `comment` is lines that begin with `#`."""
    lines = [comment.rstrip()]
    for pinned, hashes in entries.items():
        lines.append(" \\\n".join([pinned, *(f"    --hash=sha256:{value}" for value in sorted(hashes))]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def fetch(lock: Path, target: Target, folder: Path) -> list[Path]:
    """The files of a lock that are named by hash, for one platform and Python, in `folder`. Raises FetchError."""
    wanted = {pinned: hashes for pinned, hashes in read_lock(lock).items() if hashes}
    if len(_locked_files(folder, wanted)) < len(wanted):
        with tempfile.TemporaryDirectory() as temporary:
            requirements = Path(temporary) / "requirements.txt"
            write_lock(requirements, "#", wanted)
            _download(target, folder, "--require-hashes", "--requirement", str(requirements))
    found = _locked_files(folder, wanted)
    if missing := wanted.keys() - found.keys():
        raise FetchError(f"{lock.name}: pip left out {', '.join(sorted(missing))}.")
    return sorted(found.values())


def fetch_uv(platforms: Iterable[str]) -> dict[str, Path]:
    """uv's wheel for each of the platforms, in wheels/. Raises FetchError."""
    # uv's wheels take any Python, so that any target of the platform does.
    return {name: fetch(uv_lock(name), Target(PLATFORMS[name], "3.11"), UV_WHEELS)[0] for name in platforms}


def uv_lock(platform: str) -> Path:
    """The lock of the uv that the platform's package carries."""
    return TOOL_LOCKS / f"{platform}-uv.txt"


def fetch_cpu_torch(target: Target, version: str, folder: Path) -> Path:
    """torch's build for the processor alone, which PyPI has not: from where pip is set up to look, or else from
    PyTorch's own index. No lock knows its hash; who builds the package compares it. Raises FetchError."""
    folder /= "cpu"  # beside PyPI's torch of the same version, uv would take this one and find its hash wrong
    for earlier in folder.glob("torch-*.whl"):
        earlier.unlink()  # pip would keep it for its name, whatever is in it
    pinned = f"torch=={version}+cpu"
    for place in (("--no-index",), ("--index-url", TORCH_INDEX)):
        with suppress(FetchError):
            _download(target, folder, *place, pinned)
            break
    else:
        raise FetchError(
            f"{pinned} for {target.name} could not be fetched, neither as pip is set up nor from {TORCH_INDEX}.\n"
            "Name a folder that has it: PIP_FIND_LINKS=/path/to/folder"
        )
    return next(folder.glob(f"torch-{version}+cpu-*.whl"))


def torch_version(lock: Path) -> str:
    """The version that a lock pins torch to."""
    return next(pinned.partition("==")[2] for pinned in read_lock(lock) if pinned.startswith("torch=="))


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _locked_files(folder: Path, wanted: dict[str, list[str]]) -> dict[str, Path]:
    pinned_by = {value: pinned for pinned, hashes in wanted.items() for value in hashes}
    files = {sha256(path): path for path in folder.glob("*.whl")}
    return {pinned_by[value]: path for value, path in files.items() if value in pinned_by}


def _download(target: Target, folder: Path, *arguments: str) -> None:
    platform = [option for tag in target.platform.tags for option in ("--platform", tag)]
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
        *("--only-binary", ":all:", "--implementation", "cp", "--python-version", target.python, *platform),
        *("--dest", str(folder), *arguments),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [
            done.stderr.strip()
        ]
        raise FetchError(
            f"The wheels for {target.name} could not be fetched: {said[0]}\n"
            "pip needs a package index, and its files have to be those of the lock."
        )


if __name__ == "__main__":
    try:
        for wheel in fetch_uv(PLATFORMS).values():
            print(f"{wheel} ({wheel.stat().st_size / 1e6:.1f} MB)")
    except FetchError as error:
        sys.exit(str(error))
