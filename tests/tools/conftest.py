"""The tests of the developer's tools: the same hypothesis settings as the core's, and for the same reasons."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("tools", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("tools")

ROOT = Path(__file__).resolve().parents[2]


class Tree:
    """A copy of what is packed, somewhere else, made by somebody with other habits."""

    def __init__(self, folder):
        self.folder = folder
        wanted = ("fomm_core", "vangogh_blender", "tools", "wheels")
        for name in (name for name in wanted if (ROOT / name).exists()):
            shutil.copytree(ROOT / name, folder / name, copy_function=shutil.copyfile)
        for path in (path for path in ROOT.iterdir() if path.is_file()):
            shutil.copyfile(path, folder / path.name)
        for path in folder.rglob("*"):
            os.utime(path, (1e9, 1e9))

    def run(self, tool, *arguments, **environment):
        """Run a tool of the copy with another umask; the finished process."""
        command = [sys.executable, str(self.folder / "tools" / tool), *map(str, arguments)]
        environment = {**os.environ, **environment}
        return subprocess.run(command, env=environment, umask=0o077, capture_output=True, text=True)

    def package(self, output, *arguments):
        """Build packages into `output`; skips where uv's wheels are not to be had."""
        done = self.run("package.py", "--output", output, *arguments)
        if "could not be fetched" in done.stderr:
            pytest.skip(f"no package index: {done.stderr}")
        assert done.returncode == 0, done.stdout + done.stderr
        return sorted(output.glob("*.zip"))


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    return Tree(tmp_path_factory.mktemp("somebody else's Ordner"))


@pytest.fixture(scope="session")
def packages(tree, tmp_path_factory):
    """The packages of all platforms, built from the copy."""
    return tree.package(tmp_path_factory.mktemp("packages"))
