"""The package that carries its wheels, built from a lock of two made-up ones: no index is asked."""

import zipfile

import pytest

from tests.tools.test_wheels import make_wheel
from tools import wheels

LINUX = ("--offline", "--platform", "linux-x64", "--python", "3.11")


@pytest.fixture
def small(tree, packages, tmp_path):
    """The tree with a lock of one small wheel and a torch, and pip's settings to find both. (`packages` has seen to
    it that uv's wheel is there.)"""
    easel = make_wheel(tmp_path / "index", "easel", "1.0")
    make_wheel(tmp_path / "index", "torch", "2.13.0+cpu", "cp311-cp311-manylinux_2_28_x86_64")
    lock = tree.folder / "vangogh_blender" / "runtime" / "locks" / "linux-x64-py3.11.txt"
    before = lock.read_text()
    wheels.write_lock(lock, "#", {"easel==1.0": [wheels.sha256(easel)], "torch==2.13.0": []})
    yield {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "index")}
    lock.write_text(before)


def test_it_carries_every_wheel_of_the_lock_and_none_for_blenders_python(tree, small, tmp_path):
    done = tree.run("package.py", *LINUX, "--output", tmp_path / "dist", **small)
    assert done.returncode == 0, done.stderr
    [package] = (tmp_path / "dist").iterdir()
    assert package.name.endswith("-linux_x64-py3.11-offline.zip")
    with zipfile.ZipFile(package) as content:
        offline = [name for name in content.namelist() if name.startswith("wheels/offline/")]
        manifest = content.read("blender_manifest.toml").decode()
    assert [name.rpartition("/")[2] for name in offline] == [
        "easel-1.0-py3-none-any.whl",
        "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl",
    ]
    assert "offline/" not in manifest
    # No lock knows the hash of torch for the processor, so that it is said.
    torch = next((tmp_path / "index").glob("torch-*"))
    assert f"sha256 {wheels.sha256(torch)}" in done.stdout


def test_a_wheel_that_is_not_the_locks_leaves_no_package(tree, small, tmp_path):
    make_wheel(tmp_path / "index", "easel", "1.0", "py2.py3-none-any")
    (tmp_path / "index" / "easel-1.0-py3-none-any.whl").unlink()
    cache = tree.folder / "build" / "wheels" / "linux-x64-py3.11"
    for kept in cache.glob("easel-*"):
        kept.unlink()
    done = tree.run("package.py", *LINUX, "--output", tmp_path / "dist", **small)
    assert done.returncode == 1
    assert "linux-x64-py3.11" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "dist").exists() or not list((tmp_path / "dist").iterdir())
