"""What the runtime is made of: the lock for this platform and Python, its size, and where torch comes from."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from ...fomm_core.errors import UserError

# uv's names of the builds that there are of the torch in our locks; auto looks at the graphics driver.
BACKENDS: tuple[str, ...] = ("auto", "cpu", "cu126", "cu130", "cu132", "rocm7.2")

PYTHON = f"py{sys.version_info.major}.{sys.version_info.minor}"

# A studio that names its own index or folder of wheels has its torch there, and often no way to PyTorch's index.
_OWN_INDEX = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_TORCH_BACKEND",
)
_SPARE = 1.05  # file systems store files in whole blocks
_LOCKS = Path(__file__).with_name("locks")


@dataclass(frozen=True)
class Needs:
    """What a set-up takes, in bytes: to download at most, on the disk in the end, and what is free there now."""

    download: int
    disk: int
    free: int


def platform_name() -> str:
    """This Python's platform as Blender names it, for example `linux-x64`."""
    system = {"win32": "windows", "darwin": "macos"}.get(sys.platform, sys.platform)
    # What Python was built for: an x64 Blender on an ARM machine takes x64 wheels.
    built = sysconfig.get_platform()
    machine = platform.machine() if built.endswith("universal2") else built.rpartition("-")[2]
    return f"{system}-{'arm64' if machine.lower() in ('arm64', 'aarch64') else 'x64'}"


def lock_file(folder: Path = _LOCKS) -> Path:
    """The pinned requirements for this platform and Python.

    Raises:
        UserError: runtime, where there are none.
    """
    path = folder / f"{platform_name()}-{PYTHON}.txt"
    if not path.is_file():
        raise UserError(
            "runtime",
            f"There is no runtime for {platform_name()} with Python {PYTHON[2:]}, which this Blender has.",
            "Use Blender 4.2 or later for a platform of this add-on, or name a Python that has torch.",
        )
    return path


def identity(lock: Path) -> str:
    """A name for exactly these requirements, 64 hexadecimal digits."""
    return hashlib.sha256(lock.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def sizes(lock: Path, build: str) -> tuple[int, int]:
    """What all of `lock` takes with this build of torch: bytes to download and installed; zeros where not known."""
    try:
        known = json.loads(lock.with_name("sizes.json").read_text(encoding="utf-8"))[lock.stem]
    except (OSError, ValueError, KeyError):
        return 0, 0
    each = [_torch_size(size, build) if isinstance(size, dict) else size for size in known.values()]
    return sum(download for download, _ in each), sum(installed for _, installed in each)


def torch_options(backend: str) -> list[str]:
    """uv's options for where torch comes from, with the network."""
    # macOS has one torch, PyPI's, and the lock has its hash.
    if sys.platform == "darwin" or (backend == "auto" and _has_own_index()):
        return []
    return ["--torch-backend", backend]


def expected_build(backend: str) -> str:
    """The build of torch that a backend comes to, as uv names it; empty where only the set-up will tell."""
    if backend != "auto":
        return backend
    return "" if _has_gpu() or _has_own_index() else "cpu"


def free_bytes(folder: Path) -> int:
    """What is free on the disk that `folder` is on or will be on."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def needs(lock: Path, build: str, folder: Path) -> Needs:
    download, installed = sizes(lock, build)
    return Needs(download, int(installed * _SPARE), free_bytes(folder))


def _torch_size(by_build: dict[str, list[int]], build: str) -> list[int]:
    """Of that build; of the largest one that is known where that one's is not."""
    return by_build.get(build) or max(by_build.values())


def _has_own_index() -> bool:
    return any(os.environ.get(name) for name in _OWN_INDEX)


def _has_gpu() -> bool:
    """Whether there is a driver that could make uv take a torch for a graphics card."""
    if sys.platform == "win32":
        return (Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "nvcuda.dll").exists()
    return any(Path(path).exists() for path in ("/proc/driver/nvidia/version", "/dev/kfd"))
