"""Locks are read as they were written, and no file comes in whose hash is another. The index here is a folder."""

import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import wheels
from tools.platforms import PLATFORMS, Target

LINUX = Target(PLATFORMS["linux-x64"], "3.11")

pinned = st.from_regex(r"[a-z]+(-[a-z]+)?==[0-9]\.[0-9]+", fullmatch=True)
sha256s = st.lists(st.from_regex(r"[0-9a-f]{64}", fullmatch=True), max_size=3, unique=True).map(sorted)


def make_wheel(folder, name, version, tags="py3-none-any"):
    """A wheel of nothing that pip takes for one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tags}.whl"
    with zipfile.ZipFile(path, "w") as file:
        info = f"{name}-{version}.dist-info"
        file.writestr(f"{name}.py", "")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tags}\n")
        file.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip has in place of any index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@given(st.dictionaries(pinned, sha256s, min_size=1))
def test_a_lock_is_read_as_it_was_written(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp("lock") / "lock.txt"
    wheels.write_lock(path, "# of a test", entries)
    assert wheels.read_lock(path) == entries


def test_what_the_lock_names_is_fetched_once(index, tmp_path):
    easel = make_wheel(index, "easel", "1.0")
    lock, folder = tmp_path / "lock.txt", tmp_path / "fetched"
    wheels.write_lock(lock, "#", {"easel==1.0": [wheels.sha256(easel)], "torch==2.13.0": []})
    [fetched] = wheels.fetch(lock, LINUX, folder)
    assert fetched.read_bytes() == easel.read_bytes()
    easel.unlink()
    assert wheels.fetch(lock, LINUX, folder) == [fetched]


def test_a_file_with_another_hash_is_refused(index, tmp_path):
    make_wheel(index, "easel", "1.0")
    lock, folder = tmp_path / "lock.txt", tmp_path / "fetched"
    wheels.write_lock(lock, "#", {"easel==1.0": ["0" * 64]})
    with pytest.raises(wheels.FetchError, match=r"linux-x64-py3\.11"):
        wheels.fetch(lock, LINUX, folder)
    assert not list(folder.iterdir())


def test_a_spoilt_file_is_fetched_again(index, tmp_path):
    easel = make_wheel(index, "easel", "1.0")
    lock, folder = tmp_path / "lock.txt", tmp_path / "fetched"
    wheels.write_lock(lock, "#", {"easel==1.0": [wheels.sha256(easel)]})
    [fetched] = wheels.fetch(lock, LINUX, folder)
    fetched.write_bytes(fetched.read_bytes()[:-1])
    [again] = wheels.fetch(lock, LINUX, folder)
    assert Path(again).read_bytes() == easel.read_bytes()


def test_torch_for_the_processor_is_that_of_pips_folder(index, tmp_path):
    wheel = make_wheel(index, "torch", "2.13.0+cpu", "cp311-cp311-manylinux_2_28_x86_64")
    fetched = wheels.fetch_cpu_torch(LINUX, "2.13.0", tmp_path / "fetched")
    assert fetched.read_bytes() == wheel.read_bytes()
