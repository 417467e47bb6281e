"""What the tests of the Blender side share.

The pure modules are imported as `vangogh_says_hello.…`, from the repository and without bpy. The tests on bpy build
the extension's zip and install it, as a user does, into user folders of their own.
"""

import importlib.util
import os
import stat
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FAKE_WORKER = Path(__file__).with_name("fake_worker.py")

# Before anything imports bpy: its user folders are ours for this run.
_user_folders = tempfile.TemporaryDirectory(prefix="vangogh-tests-")
os.environ["BLENDER_USER_RESOURCES"] = _user_folders.name


def _import_the_package():
    spec = importlib.util.spec_from_file_location(
        "vangogh_says_hello", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["vangogh_says_hello"] = module
    spec.loader.exec_module(module)


_import_the_package()


@pytest.fixture
def fake_python(tmp_path):
    """`fake_python(scenario)`: the path of a program that looks like a Python and is the fake worker."""

    def make(scenario):
        path = tmp_path / f"python {scenario}"
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE_WORKER}" {scenario}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return make
