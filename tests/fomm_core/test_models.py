"""Reading models: published checkpoints, our own files, and files that are not what they claim to be."""

# ruff: noqa: PT017 - damage may as well leave a file readable

from __future__ import annotations

import json
import os
import pickle
import tarfile
import zipfile

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from fomm_core import models
from fomm_core.errors import UserError


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
    """The error with which loading the file ends: a model error of one sentence."""
    with pytest.raises(UserError) as caught:
        models.load(str(path), config)
    error = caught.value
    assert error.kind == "model"
    assert "\n" not in str(error)
    assert error.sentence.endswith(".")
    assert error.hint
    return error


def test_a_published_checkpoint_loads(checkpoint, model):
    assert_equal(models.load(str(checkpoint[0]), str(checkpoint[1])), model)


def test_a_new_zip_checkpoint_loads_too(checkpoint, model, tmp_path):
    """What torch writes today is a zip of another layout."""
    data = torch.load(checkpoint[0], weights_only=True)
    torch.save(data, tmp_path / "new.pth")
    assert_equal(models.load(str(tmp_path / "new.pth"), str(checkpoint[1])), model)


def test_info_says_what_a_model_is(model_file, checkpoint):
    info = models.describe(str(model_file))
    assert (info["keypoints"], info["name"], info["file"]) == ("10", "tiny", str(model_file))
    for wrong in ("nobody", str(checkpoint[0])):
        with pytest.raises(UserError):
            models.describe(wrong)


def test_a_model_that_cannot_be_written_leaves_nothing(model, small_disk):
    with pytest.raises(UserError) as caught:
        models.save(small_disk / "model.safetensors", model, {})
    assert caught.value.kind == "disk_full"
    assert list(small_disk.iterdir()) == []


def test_others_may_read_a_model(model, tmp_path):
    models.save(tmp_path / "model.safetensors", model, {})
    (tmp_path / "other.txt").touch()
    assert (tmp_path / "model.safetensors").stat().st_mode == (tmp_path / "other.txt").stat().st_mode


def test_half_precision_is_read_back_as_single(model, tmp_path):
    models.save(tmp_path / "half.safetensors", model, {}, half=True)
    half = models.load(str(tmp_path / "half.safetensors"))
    for key, value in states(half).items():
        assert value.dtype in (torch.float32, torch.int64)
        assert torch.allclose(value, states(model)[key], rtol=1e-3, atol=1e-5)


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


@pytest.mark.parametrize("names", [["vox-cpk.pth.tar"], ["readme.txt"], []])
def test_a_zip_archive(names, checkpoint, tmp_path):
    path = tmp_path / "drive-download.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, b"0" * 100)
    error = refused(path, str(checkpoint[1]))
    assert "zip archive" in error.sentence
    assert ("vox-cpk.pth.tar" in error.hint) == (names == ["vox-cpk.pth.tar"])


@pytest.mark.parametrize("form", ["w", "w:gz", "w:bz2", "w:xz"])
def test_an_archive_of_another_kind(form, checkpoint, tmp_path):
    path = tmp_path / "vox-cpk.pth.tar"
    with tarfile.open(path, form) as file:
        file.add(checkpoint[0], "vox-cpk.pth.tar")
    error = refused(path, str(checkpoint[1]))
    assert "archive, not a checkpoint" in error.sentence
    assert "Unpack it" in error.hint


def test_an_empty_file(checkpoint, tmp_path):
    (tmp_path / "vox-cpk.pth.tar").touch()
    assert "is empty" in refused(tmp_path / "vox-cpk.pth.tar", str(checkpoint[1])).sentence


@pytest.mark.parametrize("content", [b"\0" * 1000, b"hello", pickle.dumps({"a": 1}), b"\x89PNG\r\n\x1a\n"])
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


@pytest.mark.parametrize(("trained", "named"), [("mgif-256", "mgif-256"), ("nemo-256", "vox-256")])
def test_the_fitting_configuration_is_named(trained, named):
    """Of the published ones, all but one are the same network."""
    with torch.device("meta"):
        model = models.build(models.read_config(trained))
    found = {part: getattr(model, part).state_dict() for part in models.PARTS}
    assert models._fitting_config(found) == named


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


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("share", [0.0005, 0.01, 0.3, 0.7, 0.9999])
def test_a_truncated_checkpoint_is_said_to_be(share, new, checkpoint, tmp_path):
    path = tmp_path / "vox-cpk.pth.tar"
    if new:
        torch.save(torch.load(checkpoint[0], weights_only=True), path)
    content = (path if new else checkpoint[0]).read_bytes()
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
