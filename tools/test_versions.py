"""The Blender side's tests in every Blender that the add-on is for: `python tools/test_versions.py [VERSION …]`.

Each is Blender's Python module, in a virtual environment .venv-bpy-VERSION that uv makes once, from the package
index that it is set up for. The worker runs in this Python, which has torch. Where a version's Python or module is
not to be had, it is left out, and that is said. The exit status is 1 where a test failed, or nothing was run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / "build" / "test-versions"


@dataclass(frozen=True)
class Blender:
    """A version of Blender as Python has it: the Python that it comes with, and its module on the package index."""

    python: str
    bpy: str


# From the first that the manifest lets in to the newest.
BLENDERS = {
    "4.2": Blender("3.11", "4.2.0"),
    "4.5": Blender("3.11", "4.5.15"),
    "5.0": Blender("3.11", "5.0.1"),
    "5.2": Blender("3.13", "5.2.2"),
}
# Leaves without Blender's module taking itself apart: that of 4.5 now and then waits for itself for ever.
LEAVE = """
import os, sys, pytest
status = pytest.main(sys.argv[1:])
sys.stdout.flush()
os._exit(status)
"""
# What the tests import, at the versions of the requirements.
NEEDED = {"hypothesis", "imageio-ffmpeg", "numpy", "pillow", "pytest", "scikit-image", "scipy"}


class NotToBeHad(Exception):
    """This version cannot be tested here; the message is why."""


def environment(name: str) -> Path:
    """A Python with that Blender's module and what the tests need, made where it is not there yet.

    Raises:
        NotToBeHad: there is no such Python here and uv can fetch none, or the index has no such module for it.
        subprocess.CalledProcessError: anything else that is needed cannot be installed.
    """
    blender = BLENDERS[name]
    if sys.version_info[:2] == tuple(map(int, blender.python.split("."))) and blender.bpy == _bpy_here():
        return Path(sys.executable)
    folder = ROOT / f".venv-bpy-{name}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = [f"bpy=={blender.bpy}", *_needed()]
    ready = folder / ".ready"
    if ready.is_file() and ready.read_text() == "\n".join(wanted):
        return python
    print(f"Blender {name}: setting up {folder.name} …", flush=True)
    for step in (
        # With pip, which tools/package.py uses.
        ("venv", "--quiet", "--clear", "--seed", "--python", _python(blender.python), str(folder)),
        ("pip", "install", "--quiet", "--python", str(python), wanted[0]),
    ):
        done = _uv(*step)
        if done.returncode:
            raise NotToBeHad(done.stderr.strip())
    _uv("pip", "install", "--quiet", "--python", str(python), *wanted).check_returncode()
    ready.write_text("\n".join(wanted))
    return python


def _bpy_here() -> str:
    return installed_version("bpy")


def _needed() -> list[str]:
    lines = [
        line
        for file in ("requirements.txt", "requirements-dev.txt")
        for line in (ROOT / file).read_text(encoding="utf-8").splitlines()
    ]
    return [line for line in lines if line.split("==")[0] in NEEDED]


def _python(version: str) -> str:
    """A Python of that version here, or else the version, for uv to look for or to fetch."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    installed = sorted(pyenv.glob(f"versions/{version}.*/bin/python"))  # its shims do not lead to all of them
    return str(installed[-1]) if installed else version


def _uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "uv", *arguments], stderr=subprocess.PIPE, text=True)


def run_tests(name: str, python: Path) -> str:
    """Run the tests in that environment; their counts in words. Raises `CalledProcessError` where one fails."""
    print(f"Blender {name}: tests/vangogh_blender in {python}", flush=True)
    report = REPORTS / f"{name}.xml"
    # Those without bpy are the same in every Blender.
    files = [
        file for file in (ROOT / "tests" / "vangogh_blender").glob("test_*.py") if "bpy" in file.read_text()
    ]
    began = time.monotonic()
    subprocess.run(
        [str(python), "-c", LEAVE, f"--junitxml={report}", *map(str, sorted(files))],
        cwd=ROOT,
        env={**os.environ, "VANGOGH_TEST_PYTHON": sys.executable},
        check=True,
    )
    [suite] = xml.parse(report).getroot().iter("testsuite")
    skipped = int(suite.get("skipped"))
    return f"{int(suite.get('tests')) - skipped} passed, {skipped} skipped, {time.monotonic() - began:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "versions", nargs="*", metavar="VERSION", help=f"of {', '.join(BLENDERS)}; all by default"
    )
    names = parser.parse_args().versions or list(BLENDERS)
    if unknown := set(names) - set(BLENDERS):
        parser.error(f"{', '.join(sorted(unknown))}: the versions are {', '.join(BLENDERS)}")
    REPORTS.mkdir(parents=True, exist_ok=True)
    results, failed = {}, []
    with ThreadPoolExecutor(2) as pool:  # the next are fetched while one is tested
        environments = {name: pool.submit(environment, name) for name in names}
        for name, made in environments.items():
            try:
                results[name] = run_tests(name, made.result())
            except NotToBeHad as error:
                results[name] = f"NOT TESTED, it is not to be had here: {error}"
            except subprocess.CalledProcessError as error:
                results[name] = f"FAILED. {error.stderr or ''}".strip()
                failed.append(name)
    print("\n".join(f"Blender {name} (bpy {BLENDERS[name].bpy}): {words}" for name, words in results.items()))
    tested = any("passed" in words for words in results.values())
    sys.exit(1 if failed or not tested else 0)


if __name__ == "__main__":
    main()
