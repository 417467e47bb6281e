"""A real Blender, named by the environment variable BLENDER: `make test BLENDER=path`."""

import os
import shutil

import pytest

from tests.blender.running import Run


@pytest.fixture(scope="session")
def blender():
    path = os.environ.get("BLENDER")
    if not path:
        pytest.skip("BLENDER does not name a Blender")
    assert shutil.which(path), f"BLENDER={path} is not a program"
    return path


@pytest.fixture(scope="module")
def run(blender, zip_file, tmp_path_factory):
    return Run(blender, tmp_path_factory.mktemp("blender"), zip_file)
