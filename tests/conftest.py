"""What all tests share."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

# As `python -m fomm_core` does: the tests share the processor with the processes that they start.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

# Before anything imports bpy, at whatever test's collection: its user folders are ours for this run.
_user_folders = tempfile.TemporaryDirectory(prefix="vangogh-tests-")
os.environ["BLENDER_USER_RESOURCES"] = _user_folders.name

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def _no_cache_of_the_users(tmp_path_factory):
    """The tracks that jobs keep, in any process that a test starts, go elsewhere than the user's own."""
    os.environ["VANGOGH_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def zip_file(tmp_path_factory):
    """The extension for this platform, as `make package` builds it. Needs a package index once, for uv's wheel."""
    folder = tmp_path_factory.mktemp("dist")
    package = str(ROOT / "tools" / "package.py")
    command = [sys.executable, package, "--platform", "this", "--output", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if "could not be fetched" in done.stderr:
        pytest.skip(f"no package index: {done.stderr}")
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.zip"))
