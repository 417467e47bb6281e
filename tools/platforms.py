"""The platforms that the extension is built for, as Blender, uv and pip name them."""

from __future__ import annotations

import platform as machine
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "vangogh_blender" / "runtime" / "locks"
TOOL_LOCKS = ROOT / "tools" / "locks"  # what no artist's machine reads: uv itself, torch as PyPI has it


@dataclass(frozen=True)
class Platform:
    """One platform. `oldest_macos` is the oldest macOS that the lock has to fit, where it is one.

    `pypi_torch` is the build that PyPI's torch is there, as uv's --torch-backend calls it; empty where it has none.
    """

    name: str  # Blender's
    triple: str  # uv's
    tags: tuple[str, ...]  # pip's; the first is the newest that a wheel may ask for
    pypi_torch: str
    oldest_macos: str = ""


# Blender itself asks for glibc 2.28. torch asks for macOS 14 on Apple's processors.
_MANYLINUX = (*(f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)), "manylinux2014_x86_64")
PLATFORMS = {
    platform.name: platform
    for platform in (
        Platform("linux-x64", "x86_64-manylinux_2_28", _MANYLINUX, "cu130"),
        Platform("windows-x64", "x86_64-pc-windows-msvc", ("win_amd64",), "cpu"),
        Platform("windows-arm64", "aarch64-pc-windows-msvc", ("win_arm64",), ""),
        Platform("macos-arm64", "aarch64-apple-darwin", ("macosx_14_0_arm64",), "cpu", "14.0"),
        Platform("macos-x64", "x86_64-apple-darwin", ("macosx_11_0_x86_64",), "cpu", "11.0"),
    )
}


def here() -> str:
    """The name of the platform that this runs on, one of PLATFORMS or not."""
    system = {"darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)
    arm = machine.machine().lower() in ("arm64", "aarch64")
    return f"{system}-{'arm64' if arm else 'x64'}"


@dataclass(frozen=True)
class Target:
    """A platform and a Python that there is a lock for."""

    platform: Platform
    python: str

    @property
    def name(self) -> str:
        return f"{self.platform.name}-py{self.python}"

    @property
    def lock(self) -> Path:
        """What the add-on installs: everything by hash, torch by version where its build is chosen later."""
        return LOCKS / f"{self.name}.txt"

    @property
    def torch_lock(self) -> Path:
        """torch as PyPI has it for this target, with what only that build needs (CUDA's libraries), by hash."""
        return TOOL_LOCKS / f"{self.name}-torch.txt"


# Missing are Windows arm64 with Python 3.11, which PyYAML has no wheel for, and macOS x64 with 3.13: torch for it
# ended with 2.2.2, before that Python, and Blender for it with 4.5, which has 3.11. The Blenders that Linux
# distributions build have the distribution's Python: Debian's 5.2 has 3.14.
TARGETS = tuple(
    Target(PLATFORMS[name], python)
    for name, pythons in {
        "linux-x64": ("3.11", "3.13", "3.14"),
        "windows-x64": ("3.11", "3.13"),
        "windows-arm64": ("3.13",),
        "macos-arm64": ("3.11", "3.13"),
        "macos-x64": ("3.11",),
    }.items()
    for python in pythons
)
