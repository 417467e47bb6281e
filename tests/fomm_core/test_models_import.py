"""Importing models: which published one a file is, what is refused, and that nothing half-finished is left."""

from __future__ import annotations

import hashlib
import shutil

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fomm_core import catalogue, importing, models, protocol, registry
from fomm_core.catalogue import PUBLISHED, Published
from fomm_core.control import Cancelled, Control
from fomm_core.errors import UserError


@pytest.fixture(autouse=True)
def user_folder(tmp_path, monkeypatch):
    """Imported models go to a folder of the test's."""
    folder = tmp_path / "user models"
    monkeypatch.setenv("VANGOGH_MODELS", str(folder))
    return folder


@pytest.fixture
def tiny_published(checkpoint, tmp_path, monkeypatch):
    """The tiny checkpoint as one that the authors published: `tiny-cpk.pth.tar`, of the configuration `tiny`."""
    configs = tmp_path / "package" / "configs"
    configs.mkdir(parents=True)
    shutil.copy(checkpoint[1], configs / "tiny.yaml")
    monkeypatch.setattr(registry, "PACKAGE", configs.parent)
    content = checkpoint[0].read_bytes()
    published = Published("tiny", "tiny", "Tests", "noise", len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(catalogue, "PUBLISHED", (published,))
    return published


def control(events: list | None = None, stop_after: int = 10**9) -> Control:
    events = [] if events is None else events
    return Control("test", events.append, lambda: len(events) >= stop_after)


def refused(path, kind="model", **options) -> UserError:
    """The error with which importing the file ends: one sentence, one hint, and no model more than before."""
    before = registry.registered()
    with pytest.raises(UserError) as caught:
        importing.run(path, control(), **options)
    error = caught.value
    assert error.kind == kind
    assert "\n" not in str(error)
    assert error.sentence.endswith(".")
    assert error.hint
    assert registry.registered() == before
    return error


def test_a_checkpoint_becomes_a_model(checkpoint, model, user_folder):
    path, config = checkpoint
    done = importing.run(path, control(), str(config))
    assert done.path == str(user_folder / "tiny.safetensors")
    imported = models.load("tiny")
    for part in models.PARTS:
        old, new = (getattr(m, part).state_dict() for m in (model, imported))
        assert old.keys() == new.keys()
        assert all(torch.equal(old[key], new[key]) for key in old)
    assert imported.config == model.config
    assert imported.metadata["source"] == "tiny-cpk.pth.tar"
    assert imported.metadata["source_config"] == "tiny"
    assert imported.metadata["source_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [p.name for p in user_folder.iterdir()] == ["tiny.safetensors"]


@pytest.mark.parametrize("name", ["tiny-vox", "tiny-mgif"])
def test_the_reference_checkpoints_import(name, shared):
    folder = shared / "reference"
    importing.run(folder / f"{name}.pth.tar", control(), str(folder / f"{name}.yaml"))
    assert models.load(name).num_kp == 10


def test_progress_is_told_in_bytes_stage_by_stage(checkpoint):
    events = []
    importing.run(checkpoint[0], control(events), str(checkpoint[1]))
    stages = [event.stage for event in events]
    assert list(dict.fromkeys(stages)) == list(importing.STAGES)
    size = checkpoint[0].stat().st_size
    ends = {event.stage: (event.done, event.total) for event in events}
    assert ends["hash"] == (size, size)
    assert ends["read"][1] == size
    assert ends["write"] == 2 * ((registry.user_folder() / "tiny.safetensors").stat().st_size,)
    for stage in importing.STAGES:
        done = [event.done for event in events if event.stage == stage]
        assert done == sorted(done)


@pytest.mark.parametrize("stage", importing.STAGES)
def test_a_cancelled_import_leaves_nothing(stage, checkpoint, user_folder, monkeypatch):
    monkeypatch.setattr(importing, "TELL_SECONDS", 0)
    monkeypatch.setattr(models, "_CHUNK", 10_000)
    events = []
    told = Control("test", events.append, lambda: any(event.stage == stage for event in events))
    with pytest.raises(Cancelled):
        importing.run(checkpoint[0], told, str(checkpoint[1]))
    assert events[-1].stage == stage
    assert not user_folder.exists() or not list(user_folder.iterdir())


# Which published model a file is.


def test_a_published_file_needs_no_configuration_and_no_name(tiny_published, checkpoint):
    importing.run(checkpoint[0], control())
    (entry,) = [entry for entry in registry.entries() if entry.name == "tiny"]
    assert (entry.kind, entry.published, entry.about) == ("imported", tiny_published, "Tests")


def test_it_is_known_by_its_content_under_any_name(tiny_published, checkpoint, tmp_path):
    shutil.copy(checkpoint[0], tmp_path / "download 7.bin")
    done = importing.run(tmp_path / "download 7.bin", control())
    assert done.path.endswith("tiny.safetensors")
    assert models.load("tiny").metadata["source_config"] == "tiny"


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_download_that_broke_off_is_incomplete(share, tiny_published, checkpoint, tmp_path):
    content = checkpoint[0].read_bytes()
    path = tmp_path / "tiny-cpk.pth (1).tar"
    path.write_bytes(content[: int(share * len(content))])
    sentence = refused(path).sentence
    assert "incomplete" in sentence
    assert f"{len(content):,}" in sentence


def test_another_file_of_a_published_name_is_not_it(tiny_published, checkpoint, tmp_path):
    content = bytearray(checkpoint[0].read_bytes())
    content[-5] ^= 1
    path = tmp_path / "tiny-cpk.pth.tar"
    path.write_bytes(content)
    error = refused(path)
    assert "its content differs" in error.sentence
    assert "another name" in error.hint


def test_without_a_known_name_it_is_the_configuration_that_fits(checkpoint, tmp_path, tiny_published):
    data = torch.load(checkpoint[0], weights_only=True)
    torch.save({**data, "epoch": 100}, tmp_path / "00000099-checkpoint.pth.tar")
    done = importing.run(tmp_path / "00000099-checkpoint.pth.tar", control())
    assert done.path.endswith("00000099-checkpoint.safetensors")
    assert models.load("00000099-checkpoint").metadata["source_config"] == "tiny"


def test_one_that_fits_nothing_asks_for_its_configuration(checkpoint):
    assert "fits no configuration" in refused(checkpoint[0]).sentence


def test_a_configuration_of_another_network_is_refused(checkpoint):
    assert "does not fit the configuration vox-256" in refused(checkpoint[0], config="vox-256").sentence
    assert "Did you mean vox-256" in refused(checkpoint[0], config="vox256").hint


@given(
    st.sampled_from(PUBLISHED),
    st.sampled_from(["{}.pth.tar", "{}.PTH.TAR", "{}.pth (1).tar", "{} (12).pth.tar", "{}.pth.tar.crdownload",
                     "{}.tar", "{}.pth - Copy.tar", "{}.pth.tar.part"]),
)  # fmt: skip
def test_a_published_name_is_known_whatever_the_browser_made_of_it(published, form):
    assert catalogue.by_name(form.format(published.file.removesuffix(".pth.tar"))) is published


@pytest.mark.parametrize(
    "name", ["vox.pth.tar", "my-vox-cpk.pth.tar", "vox-cpk2.pth.tar", "starter.safetensors", ""]
)
def test_other_names_are_not(name):
    """The first is what another model's authors call theirs."""
    assert catalogue.by_name(name) is None


@given(st.text(max_size=40))
def test_any_file_name_makes_a_name_that_is_one(tmp_path_factory, file):
    assert importing._target(
        importing._name(tmp_path_factory.getbasetemp() / f"x{file}".replace("/", ""), None), True
    )


# Models of one's own.


def test_a_trained_model_is_copied_under_its_folders_name(model_file, user_folder, tmp_path):
    (tmp_path / "My puppets, 2nd").mkdir()
    path = tmp_path / "My puppets, 2nd" / "model.safetensors"
    shutil.copy(model_file, path)
    importing.run(path, control())
    assert (user_folder / "My-puppets-2nd.safetensors").read_bytes() == model_file.read_bytes()
    assert registry.entries()[-1 - len(PUBLISHED)].kind == "own"


def test_a_broken_or_foreign_model_file_is_refused(model_file, tmp_path):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(model_file.read_bytes()[:-1])
    assert "incomplete" in refused(path).sentence
    assert "no file" in refused(tmp_path / "gone.safetensors").sentence


# Names, and what is in the way.


@pytest.mark.parametrize("name", ["../up", "a b", ".hidden", "a/b", "starter/", "-\n"])
def test_names_that_are_none(name, checkpoint):
    assert "cannot name a model" in refused(checkpoint[0], "arguments", name=name).sentence


def test_the_bundled_name_is_taken(checkpoint, tmp_path, monkeypatch, model_file):
    shutil.copy(model_file, tmp_path / "starter.safetensors")
    monkeypatch.setattr(registry, "BUNDLED", tmp_path)
    for replace in (False, True):
        options = {"config": str(checkpoint[1]), "name": "starter", "replace": replace}
        assert "bundled" in refused(checkpoint[0], "arguments", **options).sentence


def test_a_taken_name_is_replaced_only_by_those_who_say_so(checkpoint, model_file, user_folder):
    user_folder.mkdir()
    mine = user_folder / "tiny.safetensors"
    mine.write_bytes(b"mine")
    config = str(checkpoint[1])
    error = refused(checkpoint[0], "arguments", config=config)
    assert "tiny already" in error.sentence
    assert mine.read_bytes() == b"mine"
    importing.run(checkpoint[0], control(), config, replace=True)
    assert models.load("tiny").metadata["source"] == checkpoint[0].name


def test_a_replacement_that_fails_leaves_the_old_one(checkpoint, user_folder):
    user_folder.mkdir()
    (user_folder / "tiny.safetensors").write_bytes(b"mine")
    refused(checkpoint[0], config="vox-256", replace=True)
    assert [p.read_bytes() for p in user_folder.iterdir()] == [b"mine"]


def test_a_full_disk_is_told_with_what_to_do(checkpoint, small_disk, monkeypatch):
    monkeypatch.setenv("VANGOGH_MODELS", str(small_disk / "models"))
    error = refused(checkpoint[0], "disk_full", config=str(checkpoint[1]))
    assert "are free" in error.sentence
    assert "import it again" in error.hint
    # And where it fills up only meanwhile.
    monkeypatch.setattr(importing, "_make_room", lambda target, size: None)
    error = refused(checkpoint[0], "disk_full", config=str(checkpoint[1]))
    assert "import it again" in error.hint
    assert list((small_disk / "models").iterdir()) == []


def test_a_file_where_the_folder_should_be(checkpoint, user_folder):
    user_folder.write_text("not a folder")
    error = refused(checkpoint[0], "output", config=str(checkpoint[1]))
    assert "VANGOGH_MODELS" in error.hint


def test_what_an_import_says_can_go_over_the_wire(checkpoint):
    events = []
    done = importing.run(checkpoint[0], control(events), str(checkpoint[1]))
    for event in (*events, done):
        assert protocol.decode(protocol.encode(event)) == event


def test_every_published_model_has_its_configuration():
    assert {p.config for p in PUBLISHED} <= set(registry.config_names())
    assert len({p.name for p in PUBLISHED}) == 8
    for published in PUBLISHED:
        assert published.sha256 is None or len(bytes.fromhex(published.sha256)) == 32
        assert yaml.safe_load(registry.config_path(published.config).read_text())["model_params"]
