"""Reading models: published checkpoints, our own files, and files that are not what they claim to be."""

# ruff: noqa: PT017 - damage may as well leave a file readable

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from fomm_core import models
from fomm_core.errors import UserError


@pytest.fixture(autouse=True)
def user_folder(tmp_path, monkeypatch):
    """Imported models go to a folder of the test's."""
    folder = tmp_path / "user models"
    monkeypatch.setenv("VANGOGH_MODELS", str(folder))
    return folder


def states(model) -> dict[str, torch.Tensor]:
    return {
        f"{part}.{key}": value
        for part in models.PARTS
        for key, value in getattr(model, part).state_dict().items()
    }


def assert_equal(one, other) -> None:
    one, other = states(one), states(other)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def refused(path, config=None) -> UserError:
    """The error with which loading and importing the file end: a model error of one sentence."""
    with pytest.raises(UserError) as caught:
        models.load(str(path), config)
    error = caught.value
    assert error.kind == "model"
    assert "\n" not in str(error)
    assert error.sentence.endswith(".")
    assert error.hint
    with pytest.raises(UserError) as again:
        models.import_checkpoint(path, config)
    assert again.value.sentence == error.sentence
    assert not models.registered().keys() - {"starter"}
    return error


def test_a_published_checkpoint_loads_and_imports(checkpoint, model, user_folder):
    path, config = checkpoint
    assert_equal(models.load(str(path), str(config)), model)
    target = models.import_checkpoint(path, str(config))
    assert target == user_folder / "tiny.safetensors"
    imported = models.load("tiny")
    assert_equal(imported, model)
    assert imported.config == model.config
    assert imported.metadata["source"] == "tiny-cpk.pth.tar"
    assert imported.metadata["source_config"] == "tiny"
    assert len(imported.metadata["source_sha256"]) == 64
    assert imported.metadata["source_sha256"] != imported.metadata["sha256"]
    assert [p.name for p in user_folder.iterdir()] == ["tiny.safetensors"]


@pytest.mark.parametrize("name", ["tiny-vox", "tiny-mgif"])
def test_the_reference_checkpoints_import(name, shared, user_folder):
    path = shared / "reference" / f"{name}.pth.tar"
    config = str(shared / "reference" / f"{name}.yaml")
    target = models.import_checkpoint(path, config)
    assert target.name == f"{name}.safetensors"
    assert_equal(models.load(name), models.load(str(path), config))


def test_a_new_zip_checkpoint_loads_too(checkpoint, model, tmp_path):
    """What torch writes today is a zip of another layout."""
    data = torch.load(checkpoint[0], weights_only=True)
    torch.save(data, tmp_path / "new.pth")
    assert_equal(models.load(str(tmp_path / "new.pth"), str(checkpoint[1])), model)


def test_info_says_what_a_model_is(checkpoint):
    models.import_checkpoint(checkpoint[0], str(checkpoint[1]), "mine")
    info = models.describe("mine")
    assert info["keypoints"] == "10"
    assert info["source"] == "tiny-cpk.pth.tar"
    assert info["name"] == "mine"
    for wrong in ("nobody", str(checkpoint[0])):
        with pytest.raises(UserError):
            models.describe(wrong)


def test_half_precision_is_read_back_as_single(model, tmp_path):
    models.save(tmp_path / "half.safetensors", model, {}, half=True)
    half = models.load(str(tmp_path / "half.safetensors"))
    for key, value in states(half).items():
        assert value.dtype in (torch.float32, torch.int64)
        assert torch.allclose(value, states(model)[key], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["../up", "a b", ".hidden", "a/b", "starter/"])
def test_names_that_are_none(name, checkpoint):
    with pytest.raises(UserError) as caught:
        models.import_checkpoint(checkpoint[0], str(checkpoint[1]), name)
    assert caught.value.kind == "arguments"


def test_the_bundled_name_is_taken(checkpoint, tmp_path, monkeypatch, model_file):
    (tmp_path / "bundled").mkdir()
    shutil.copy(model_file, tmp_path / "bundled" / "starter.safetensors")
    monkeypatch.setattr(models, "BUNDLED", tmp_path / "bundled")
    with pytest.raises(UserError, match="bundled"):
        models.import_checkpoint(checkpoint[0], str(checkpoint[1]), "starter")


def test_an_import_that_fails_leaves_nothing(checkpoint, user_folder, monkeypatch):
    def full(tensors, path, metadata):
        path.write_bytes(b"half of it")
        raise models.SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(models, "save_file", full)
    with pytest.raises(UserError) as caught:
        models.import_checkpoint(checkpoint[0], str(checkpoint[1]))
    assert caught.value.kind == "disk_full"
    assert list(user_folder.iterdir()) == []


def test_others_may_read_an_imported_model(checkpoint):
    other = models.user_folder() / "other.txt"
    path = models.import_checkpoint(checkpoint[0], str(checkpoint[1]))
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


def test_an_import_over_a_file_in_the_way(checkpoint, user_folder):
    user_folder.write_text("not a folder")
    with pytest.raises(UserError) as caught:
        models.import_checkpoint(checkpoint[0], str(checkpoint[1]))
    assert caught.value.kind == "output"


# Files that are not what they claim to be.


class Trap:
    """What unpickles by running a command."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch '{self.target}'",)


@pytest.mark.parametrize("form", ["pickle", "legacy", "zip"])
def test_code_in_a_pickle_is_not_run(form, checkpoint, tmp_path):
    target = tmp_path / "it ran"
    data = {"generator": {}, "kp_detector": Trap(target)}
    path = tmp_path / "trap.pth.tar"
    if form == "pickle":
        path.write_bytes(pickle.dumps(data, protocol=2))
    else:
        torch.save(data, path, _use_new_zipfile_serialization=form == "zip")
    error = refused(path, str(checkpoint[1]))
    assert not target.exists()
    assert "nothing in it was run" in error.sentence
    # The trap is a real one.
    torch.load(path, weights_only=False) if form != "pickle" else pickle.loads(path.read_bytes())
    assert target.exists()


def test_a_web_page(checkpoint, tmp_path):
    path = tmp_path / "vox-cpk.pth.tar"
    path.write_text("\n<!DOCTYPE html><html><title>Google Drive - Virus scan warning</title></html>")
    assert "web page" in refused(path, str(checkpoint[1])).sentence


def test_a_zip_archive(checkpoint, tmp_path):
    path = tmp_path / "vox-cpk.pth.tar"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("vox-cpk.pth.tar", b"0" * 100)
    assert "zip" in refused(path, str(checkpoint[1])).sentence


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 1000, b"hello", pickle.dumps({"a": 1}), b"\x89PNG\r\n\x1a\n"]
)
def test_something_else(content, checkpoint, tmp_path):
    path = tmp_path / "model.pth.tar"
    path.write_bytes(content)
    error = refused(path, str(checkpoint[1]))
    assert "no checkpoint, or it is damaged" in error.sentence


def test_another_kind_of_checkpoint(checkpoint, tmp_path):
    for i, data in enumerate(({"state_dict": {"conv.weight": torch.zeros(3)}}, [1, 2], torch.zeros(3))):
        for new in (False, True):
            path = tmp_path / f"{i}{new}.pth"
            torch.save(data, path, _use_new_zipfile_serialization=new)
            assert "another network" in refused(path, str(checkpoint[1])).sentence


def test_a_checkpoint_of_another_configuration(checkpoint):
    error = refused(checkpoint[0], "vox-256")
    assert "does not fit the configuration vox-256" in error.sentence


def test_the_fitting_configuration_is_named(checkpoint, tmp_path):
    config = models.read_config("mgif-256")
    with torch.device("meta"):
        model = models.build(config)
    found = {part: getattr(model, part).state_dict() for part in models.PARTS}
    assert models._fitting_config(found, "vox-256") == "It fits --config mgif-256."


def changed(checkpoint, tmp_path, change):
    data = torch.load(checkpoint[0], weights_only=True)
    change(data)
    path = tmp_path / "changed.pth.tar"
    torch.save(data, path, _use_new_zipfile_serialization=False)
    with pytest.raises(UserError) as caught:
        models.load(str(path), str(checkpoint[1]))
    assert caught.value.kind == "model"
    return caught.value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none(value, checkpoint, tmp_path):
    error = changed(checkpoint, tmp_path, lambda data: data["kp_detector"]["kp.bias"].fill_(value))
    assert "kp_detector.kp.bias" in error.sentence


def test_tensors_missing_extra_or_odd(checkpoint, tmp_path):
    error = changed(checkpoint, tmp_path, lambda d: d["generator"].pop("final.bias"))
    assert "final.bias is missing" in error.sentence
    error = changed(checkpoint, tmp_path, lambda d: d["generator"].update(more=torch.zeros(1)))
    assert "more is not expected" in error.sentence
    error = changed(checkpoint, tmp_path, lambda d: d["generator"].update({3: torch.zeros(1)}))
    assert "3 is not expected" in error.sentence
    error = changed(checkpoint, tmp_path, lambda d: d["generator"].update({"final.bias": "three"}))
    assert "no plain tensor" in error.sentence
    error = changed(checkpoint, tmp_path, lambda d: d["generator"].update({"final.bias": torch.zeros(7)}))
    assert "(7,) instead of (3,)" in error.sentence
    sparse = torch.zeros(3).to_sparse()
    error = changed(checkpoint, tmp_path, lambda d: d["generator"].update({"final.bias": sparse}))
    assert "no plain tensor" in error.sentence
    changed(checkpoint, tmp_path, lambda d: d.update(generator=None))


@pytest.mark.parametrize("share", [0.0005, 0.01, 0.3, 0.7, 0.9999])
def test_a_truncated_checkpoint_is_said_to_be(share, checkpoint, tmp_path):
    content = checkpoint[0].read_bytes()
    path = tmp_path / "vox-cpk.pth.tar"
    path.write_bytes(content[: int(len(content) * share)])
    assert "incomplete" in refused(path, str(checkpoint[1])).sentence


@settings(max_examples=30)
@given(st.data())
def test_a_damaged_checkpoint_is_never_another_exception(checkpoint, tmp_path_factory, data):
    """Cut off or changed anywhere, mostly in the pickles at the beginning."""
    content = bytearray(checkpoint[0].read_bytes())
    near = st.integers(0, 40_000) | st.integers(0, len(content) - 1)
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(near)] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.pth.tar"
    path.write_bytes(content[: data.draw(near) if data.draw(st.booleans()) else None])
    try:
        models.load(str(path), str(checkpoint[1]))
    except UserError as error:
        assert error.kind == "model"
        assert "\n" not in str(error)


def test_a_folder_a_missing_file_and_no_configuration(checkpoint, tmp_path):
    assert "no model" in refused(tmp_path, str(checkpoint[1])).sentence
    assert "no model" in refused(tmp_path / "gone.pth.tar", str(checkpoint[1])).sentence
    with pytest.raises(UserError, match="--config"):
        models.load(str(checkpoint[0]))


# Our own files.


@given(st.data())
def test_damaged_safetensors_get_a_sentence(model_file, tmp_path_factory, data):
    content = bytearray(model_file.read_bytes())
    near = st.integers(0, 12_000) | st.integers(0, len(content) - 1)
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(near)] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    path.write_bytes(content[: data.draw(near) if data.draw(st.booleans()) else None])
    for read in (models.load, models.describe):
        try:
            read(str(path))
        except UserError as error:
            assert error.kind == "model"
            assert "\n" not in str(error)


def test_truncated_safetensors(model_file, tmp_path):
    content = model_file.read_bytes()
    path = tmp_path / "cut.safetensors"
    for length in (0, 4, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match="incomplete"):
            models.load(str(path))


@pytest.mark.parametrize("config", [None, "{", "[]", "{}", '{"model_params": {"common_params": 3}}'])
def test_safetensors_of_something_else(config, tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(3)}, path, None if config is None else {"config": config})
    for read in (models.load, models.describe):
        with pytest.raises(UserError) as caught:
            read(str(path))
        assert caught.value.kind == "model"


# Configurations.


def test_an_unknown_configuration_names_a_near_one():
    with pytest.raises(UserError, match="Did you mean vox-256"):
        models.read_config("vox256")


@pytest.mark.parametrize("text", ["", "- 3", "a: [", "model_params: 3", "\0", "\xff"])
def test_a_configuration_that_is_none(text, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError) as caught:
        models.read_config(str(path))
    assert caught.value.kind == "model"
    assert "\n" not in str(caught.value)


def test_yaml_runs_nothing(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(f"model_params: !!python/object/apply:os.system ['touch \"{tmp_path}/ran\"']")
    with pytest.raises(UserError):
        models.read_config(str(path))
    assert not (tmp_path / "ran").exists()


WRONG = {
    "no keypoints": ("common_params", "num_kp", "many"),
    "negative": ("kp_detector_params", "block_expansion", -3),
    "unknown": ("kp_detector_params", "colour", "blue"),
    "too deep": ("kp_detector_params", "num_blocks", 9),
    "enormous": ("generator_params", "block_expansion", 10**9),
    "nothing": ("generator_params", "dense_motion_params", None),
}


@pytest.mark.parametrize("case", WRONG)
def test_configurations_that_describe_no_model(case, config):
    section, key, value = WRONG[case]
    config["model_params"][section][key] = value
    with pytest.raises(UserError, match="does not describe") as caught:
        models.build(config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [[60, 60, 3], [0], [], "big", [10**9], 64])
def test_frames_that_the_networks_cannot_take(shape, config):
    config["dataset_params"]["frame_shape"] = shape
    with pytest.raises(UserError, match="does not describe"):
        models.build(config)


def test_every_shipped_configuration_builds():
    for name in models.config_names():
        config = yaml.safe_load(models.config_path(name).read_text())
        with torch.device("meta"):
            assert models.build(json.loads(json.dumps(config))).num_kp > 0
