"""The list of models: what is in the folders, and in which state."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fomm_core import models, registry
from fomm_core.catalogue import PUBLISHED
from fomm_core.errors import UserError


@pytest.fixture(autouse=True)
def user_folder(tmp_path, monkeypatch):
    folder = tmp_path / "user models"
    monkeypatch.setenv("VANGOGH_MODELS", str(folder))
    return folder


@pytest.fixture
def shelve(model, user_folder):
    """`shelve(name, **metadata)`: the tiny model in the user's folder."""

    def put(name, **metadata):
        models.save(user_folder / f"{name}.safetensors", model, metadata)
        return next(entry for entry in registry.entries() if entry.name == name)

    return put


def test_with_nothing_imported_the_published_ones_wait():
    waiting = [entry for entry in registry.entries() if entry.kind == "published"]
    assert [entry.published for entry in waiting] == list(PUBLISHED)
    assert all(entry.path is None and entry.about and entry.size > 700e6 for entry in waiting)


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda published: published.name)
def test_an_imported_one_is_no_longer_waited_for_whatever_it_is_called(published, shelve):
    entry = shelve("renamed", source=published.file)
    assert (entry.kind, entry.published, entry.about) == ("imported", published, published.subject)
    assert published.name not in [e.name for e in registry.entries()]


def test_ones_own_say_where_they_come_from(shelve):
    assert shelve("a", trained="300 steps in 2 minutes").about == "Your own: 300 steps in 2 minutes"
    assert shelve("b", tuned_from="starter", trained="9 steps").about == "Tuned from starter: 9 steps"
    assert shelve("c").kind == "own"
    assert shelve("d", source="puppets.pth.tar").about == "From puppets.pth.tar"


def test_the_bundled_one_is_ready_to_use():
    if not (registry.BUNDLED / "starter.safetensors").is_file():
        pytest.skip("the bundled model is not there")
    entry = registry.entries()[0]
    assert (entry.name, entry.kind, entry.trouble) == ("starter", "bundled", "")


@given(st.data())
def test_a_damaged_file_never_breaks_the_list(model_file, tmp_path_factory, data):
    """Cut off it is said to be incomplete; changed anywhere, the list still comes."""
    content = bytearray(model_file.read_bytes())
    whole = len(content)
    near = st.integers(0, 12_000) | st.integers(0, whole - 1)
    changes = data.draw(st.integers(0, 3))
    for _ in range(changes):
        content[data.draw(near)] = data.draw(st.integers(0, 255))
    content = content[: data.draw(near) if data.draw(st.booleans()) else None]
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    path.write_bytes(content)
    registry._metadata.cache_clear()
    entry = registry._entry("damaged", path)
    if len(content) < whole and not changes:
        assert "incomplete" in entry.trouble
    if not changes and len(content) == whole:
        assert entry.trouble == ""


def test_a_file_that_came_back_whole_is_seen_at_once(shelve, user_folder):
    shelve("mine")
    path = user_folder / "mine.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:1000])
    assert registry._entry("mine", path).trouble
    path.write_bytes(content)
    assert not registry._entry("mine", path).trouble


def test_an_import_under_way_is_no_model(user_folder, model_file):
    user_folder.mkdir()
    (user_folder / f".vox.{os.getpid()}.tmp.safetensors").write_bytes(model_file.read_bytes())
    assert not registry.registered().keys() - {"starter"}
    assert "vox" in [entry.name for entry in registry.entries() if entry.kind == "published"]


def test_leftovers_of_the_dead_are_deleted_and_of_the_living_are_not(user_folder):
    user_folder.mkdir()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for number in (dead.pid, os.getpid(), "x", 10**30):
        (user_folder / f".a.b.{number}.tmp.safetensors").write_bytes(b"half")
    (user_folder / "mine.safetensors").write_bytes(b"mine")
    (user_folder / ".DS_Store").write_bytes(b"theirs")
    registry.clean_up()
    left = {path.name for path in user_folder.iterdir()}
    alive = {f".a.b.{number}.tmp.safetensors" for number in (os.getpid(), 10**30)}
    assert left == {"mine.safetensors", ".DS_Store"} | (alive if sys.platform != "win32" else set())


def test_removing(shelve, user_folder):
    shelve("mine")
    assert registry.remove("mine") == user_folder / "mine.safetensors"
    assert list(user_folder.iterdir()) == []
    for name in ("mine", "vox", "../user models/mine", ""):
        with pytest.raises(UserError, match="no model"):
            registry.remove(name)


def test_the_bundled_one_stays(tmp_path, monkeypatch):
    (tmp_path / "starter.safetensors").write_bytes(b"bundled")
    monkeypatch.setattr(registry, "BUNDLED", tmp_path)
    with pytest.raises(UserError, match="comes with the program"):
        registry.remove("starter")
    assert (tmp_path / "starter.safetensors").exists()


def test_the_list_needs_no_torch():
    code = "import sys; from fomm_core import registry; registry.entries(); print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
