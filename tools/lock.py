"""Make the locks from requirements.txt: `python tools/lock.py [TARGET …]`, all targets where none is named.

For every platform and Python it resolves, writes the lock, fetches every file that the lock names by its hash, and
notes the sizes. What this machine can run itself it installs and imports as well. It prints how far each lock was
checked.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tools import wheels
from tools.platforms import LOCKS, PLATFORMS, ROOT, TARGETS, Target, here

SIZES = LOCKS / "sizes.json"
# What only torch's CUDA build asks for. The artist's uv takes the build that fits, with what that one needs.
BUILD_ONLY = ("cuda-", "nvidia-", "triton")
IMPORTS = "torch, numpy, scipy, skimage, PIL, imageio_ffmpeg, safetensors, yaml, tqdm"
# The index is asked, as this machine reaches it; what the machine keeps besides has no place in a lock.
_KEPT_BESIDES = ("UV_FIND_LINKS", "UV_TORCH_BACKEND")
UV_ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in _KEPT_BESIDES}
UV = (sys.executable, "-m", "uv")

Sizes = dict[str, object]  # {package: [download, installed]} in bytes; torch: {build: [download, installed]}


@dataclass(frozen=True)
class Package:
    """A resolved package: `hashes` of the wheels that fit the target, none where the index has no wheel."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()

    @property
    def pinned(self) -> str:
        return f"{self.name}=={self.version}"


def resolve(requirements: str, target: Target) -> list[Package]:
    """What uv makes of the requirements on the oldest system of the target's platform. Exits where it cannot."""
    with tempfile.TemporaryDirectory() as folder:
        source, lock = Path(folder) / "requirements.in", Path(folder) / "pylock.toml"
        source.write_text(requirements, encoding="utf-8")
        command = [
            *(*UV, "pip", "compile", "--quiet", "--no-header", "--only-binary", ":all:"),
            *("--python-platform", target.platform.triple, "--python-version", target.python),
            *(str(source), "--output-file", str(lock)),
        ]
        environment = dict(UV_ENVIRONMENT)
        if target.platform.oldest_macos:
            environment["MACOSX_DEPLOYMENT_TARGET"] = target.platform.oldest_macos
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{target.name} does not resolve:\n{done.stderr}")
        packages = tomllib.loads(lock.read_text(encoding="utf-8"))["packages"]
    return [
        Package(package["name"], package["version"], tuple(w["hashes"]["sha256"] for w in package["wheels"]))
        for package in packages
    ]


def resolve_target(target: Target) -> list[Package]:
    """The target's packages. For Windows arm64 PyPI has no torch, so that nobody can be asked what goes with it:
    it takes what Windows x64 has, in its own files."""
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    if target.platform.pypi_torch:
        return resolve(requirements, target)
    on_x64 = resolve(requirements, Target(PLATFORMS["windows-x64"], target.python))
    others = resolve("\n".join(p.pinned for p in on_x64 if p.name != "torch"), target)
    return [*others, *(Package("torch", p.version) for p in on_x64 if p.name == "torch")]


def write_locks(target: Target, packages: list[Package]) -> None:
    """The add-on's lock, and beside it torch as PyPI has it where its build is chosen when it is installed."""
    torch = next(p for p in packages if p.name == "torch")
    of_its_build = [torch, *(p for p in packages if p.name.startswith(BUILD_ONLY))]
    entries = {p.pinned: list(p.hashes) for p in packages if p not in of_its_build}
    only_build = bool(target.platform.oldest_macos)
    entries[torch.pinned] = list(torch.hashes) if only_build else []
    written = f"# Written by tools/lock.py from requirements.txt. {target.name}"
    wheels.write_lock(target.lock, written, entries)
    target.torch_lock.unlink(missing_ok=True)
    if torch.hashes and not only_build:
        comment = f"{written}: torch as PyPI has it, and what that build alone needs"
        wheels.write_lock(target.torch_lock, comment, {p.pinned: list(p.hashes) for p in of_its_build})


def fetch_and_measure(target: Target) -> Sizes:
    """Fetches every file of the target's locks; what they take."""
    folder = wheels.CACHE / target.name
    sizes: Sizes = {_name(path): _sizes(path) for path in wheels.fetch(target.lock, target, folder)}
    builds = {"cpu": sizes.pop("torch")} if "torch" in sizes else {}
    if target.torch_lock.exists():
        files = [_sizes(path) for path in wheels.fetch(target.torch_lock, target, folder)]
        builds[target.platform.pypi_torch] = [sum(column) for column in zip(*files, strict=True)]
    if "cpu" not in builds:
        version = wheels.torch_version(target.lock)
        with suppress(wheels.FetchError):  # then its size is estimated
            builds["cpu"] = _sizes(wheels.fetch_cpu_torch(target, version, folder))
    return {**sizes, "torch": builds}


def install_and_import(target: Target) -> str:
    """Installs the target's locks into an environment of their own and imports them; what was seen."""
    folder = ROOT / "build" / "locks" / target.name
    shutil.rmtree(folder, ignore_errors=True)
    python = str(folder / "bin" / "python")
    made = _run(*UV, "venv", "--quiet", "--no-python-downloads", "--python", target.python, str(folder))
    if made.returncode:
        return f"not installed, no Python {target.python} on this machine"
    files = ("--no-index", "--find-links", str(wheels.CACHE / target.name))
    locks = ("--requirement", str(target.lock), "--requirement", str(target.torch_lock))
    installed = _run(*UV, "pip", "install", "--quiet", *files, "--python", python, *locks)
    tell = f"import {IMPORTS}; print('torch', torch.__version__, 'numpy', numpy.__version__)"
    imported = _run(python, "-c", tell)
    shutil.rmtree(folder)
    if installed.returncode or imported.returncode:
        sys.exit(f"{target.name} cannot be used:\n{installed.stderr}{imported.stderr}")
    return f"installed and imported ({imported.stdout.strip()})"


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=UV_ENVIRONMENT, capture_output=True, text=True)


def _name(wheel: Path) -> str:
    return wheel.name.partition("-")[0].replace("_", "-").lower()


def _sizes(wheel: Path) -> list[int]:
    return [wheel.stat().st_size, sum(entry.file_size for entry in zipfile.ZipFile(wheel).infolist())]


def _lock_uv() -> None:
    requirements = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    pinned = next(line for line in requirements.splitlines() if line.startswith("uv=="))
    for platform in PLATFORMS.values():
        [uv] = resolve(pinned, Target(platform, "3.11"))
        comment = f"# Written by tools/lock.py: the uv that the packages for {platform.name} carry."
        wheels.write_lock(wheels.uv_lock(platform.name), comment, {uv.pinned: list(uv.hashes)})


def _write_sizes(sizes: dict[str, Sizes]) -> None:
    """A line for each package: what a new lock changes can be read."""
    targets = []
    for name in sorted(sizes):
        packages = sorted(sizes[name].items())
        lines = (f"  {json.dumps(package)}: {json.dumps(size)}" for package, size in packages)
        targets.append(f" {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n }")
    SIZES.write_text("{\n" + ",\n".join(targets) + "\n}\n", encoding="utf-8")


def _estimate_cpu_torch(target: Target, sizes: dict[str, Sizes]) -> str:
    """Takes the size of torch for the processor from the system's nearest target where it was not to be had."""
    builds = sizes[target.name]["torch"]
    if "cpu" in builds:
        return ""
    system = target.platform.name.partition("-")[0]
    likes = [name for name in sizes if name.startswith(system) and "cpu" in sizes[name]["torch"]]
    if not likes:
        return "; torch+cpu was not to be had, its size is unknown"
    builds["cpu"] = sizes[likes[0]]["torch"]["cpu"]
    return f"; torch+cpu was not to be had, its size is that of {likes[0]}"


def _totals(sizes: Sizes) -> list[str]:
    packages = [size for name, size in sizes.items() if name != "torch"]
    return [
        "{}: {:.0f} MB to fetch, {:.0f} MB on the disk".format(
            build, *(sum(column) / 1e6 for column in zip(*packages, torch, strict=True))
        )
        for build, torch in sorted(sizes["torch"].items())
    ]


def make(target: Target, sizes: dict[str, Sizes]) -> None:
    """Makes the target's locks, adds its sizes to those of the others, and prints how far it was checked."""
    write_locks(target, resolve_target(target))
    try:
        sizes[target.name] = fetch_and_measure(target)
    except wheels.FetchError as error:
        sys.exit(str(error))
    checked = "resolved, every hash compared" + _estimate_cpu_torch(target, sizes)
    checked += "; with torch for " + " or ".join(_totals(sizes[target.name]))
    if target.platform.name == "linux-x64" == here():
        checked += f"; {install_and_import(target)}"
    print(f"{target.name}: {checked}.", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="*", help=", ".join(target.name for target in TARGETS))
    chosen = parser.parse_args().target
    if unknown := set(chosen) - {target.name for target in TARGETS}:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    _lock_uv()
    sizes = json.loads(SIZES.read_text(encoding="utf-8")) if chosen and SIZES.exists() else {}
    for target in TARGETS:
        if not chosen or target.name in chosen:
            make(target, sizes)
            _write_sizes(sizes)


if __name__ == "__main__":
    main()
