"""Mistakes in a configuration are named before anything runs, and the data has to fit its course."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fomm_core import cli, models
from fomm_core.errors import UserError
from fomm_core.registry import config_names
from fomm_core.training import settings, trainer
from fomm_core.training.settings import decided_precision, training_settings
from fomm_core.training.trainer import train

SECTIONS = ("model_params", "dataset_params", "train_params")


def keys_of(section: dict, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The paths of all keys in a configuration's three sections."""
    found = []
    for key, value in section.items():
        if path or key in SECTIONS:
            found += [(*path, key)] if path else []
            found += keys_of(value, (*path, key)) if isinstance(value, dict) else []
    return found


CONFIGS = {name: models.read_config(name) for name in ("starter", "vox-adv-256")}
PLACES = [(name, path) for name, config in CONFIGS.items() for path in keys_of(config)]


def inside(config: dict, path: tuple[str, ...]) -> dict:
    for key in path:
        config = config[key]
    return config


@pytest.mark.parametrize("name", config_names())
def test_what_is_shipped_can_be_trained(name):
    config = models.read_config(name)
    assert training_settings(config) is config["train_params"]


@given(st.sampled_from(PLACES), st.data())
def test_a_key_with_a_slip_is_named_and_put_right(place, data):
    name, (*path, key) = place
    at = data.draw(st.integers(0, len(key) - 1))
    wrong = key[:at] + key[at + 1 :]  # a letter is missing
    config = copy.deepcopy(CONFIGS[name])
    section = inside(config, path)
    if wrong in section:
        return
    section[wrong] = section.pop(key)
    with pytest.raises(UserError, match=re.escape(f"{'.'.join(path)} knows no {wrong!r}")) as failure:
        training_settings(config)
    assert failure.value.hint == f"Did you mean {key!r}?"


@given(st.sampled_from(PLACES))
def test_a_value_of_another_kind_is_named(place):
    name, (*path, key) = place
    config = copy.deepcopy(CONFIGS[name])
    section = inside(config, path)
    section[key] = object() if not isinstance(section[key], dict) else 7
    with pytest.raises(UserError, match=re.escape(".".join([*path, key]))):
        training_settings(config)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("train_params.cilp", 1.0, "knows no 'cilp'. Did you mean 'clip'"),
        ("train_params.workers", "two", "workers is 'two'; it has to be a whole number"),
        ("train_params.workers", 0, "workers is 0; it has to be a whole number"),
        ("train_params.bfloat16", 1, "bfloat16 is 1; it has to be true or false"),
        ("train_params.motion", {"share": 0.4}, "train_params.motion lacks 'pairs'"),
        ("train_params.weights", 3, "no train_params.weights"),
        ("train_params.average", 1.0, "average is 1.0; it has to be a number from 0 and below 1"),
        ("model_params.generator_params.dense_motion_params.max_feature", 8, "Did you mean 'max_features'"),
        ("model_params.common_params.num_kp", 2.5, "num_kp is 2.5; it has to be a whole number"),
        ("model_params.discriminator_params.scales", [], "scales is []"),
        ("dataset_params.frame_shape", [256, 128, 3], "has to be [S, S, 3]"),
    ],
)
def test_a_mistake_for_rendered_clips_is_named(path, value, words):
    config = copy.deepcopy(CONFIGS["starter"])
    *parents, key = path.split(".")
    inside(config, parents)[key] = value
    with pytest.raises(UserError) as failure:
        training_settings(config)
    assert words in str(failure.value)


def test_an_average_may_be_asked_for():
    for config in copy.deepcopy(CONFIGS).values():
        config["train_params"]["average"] = 0.999
        assert training_settings(config)["average"] == 0.999


def fails(tmp_path, config: str, words: str, **options) -> None:
    with pytest.raises(UserError, match=words):
        train(models.read_config(config), tmp_path / "data", tmp_path / "out", **{"steps": 1, **options})
    assert not (tmp_path / "out").exists()


def test_videos_are_not_for_a_configuration_of_rendered_clips(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "someone.mp4").write_bytes(b"")
    fails(tmp_path, "starter", r"videos in .*someone\.mp4.*rendered clips.* vox-256")


def test_rendered_clips_are_not_for_a_configuration_of_videos(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dataset.json").write_text(json.dumps({"landmarks": ["nose"]}))
    fails(tmp_path, "vox-256", r"rendered clips in .*dataset\.json.*for videos.* starter")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "cannot train for 0"),
        ({"steps": None, "minutes": -1.0}, "cannot train for -1"),
        ({"steps": None, "minutes": float("nan")}, "cannot train for nan"),
        ({"minutes": 2.0}, "exclude each other"),
        ({"device": "cuda:99"}, "no device 'cuda:99'"),
        ({"workers": -1}, "cannot be -1 workers"),
        ({"precision": "fp8"}, "no precision 'fp8'"),
        ({"precision": "fp16"}, "not in fp16"),
    ],
)
def test_arguments_that_cannot_be_met(tmp_path, options, words):
    fails(tmp_path, "starter", words, **options)


def test_precision_is_decided_by_device_and_configuration(monkeypatch):
    cpu = torch.device("cpu")
    monkeypatch.setattr(settings, "precisions", lambda device: ["bf16", "fp32"])
    assert decided_precision(CONFIGS["vox-adv-256"], "auto", cpu) == "fp32"
    assert decided_precision(CONFIGS["vox-adv-256"], "fp16", cpu) == "fp16"
    assert decided_precision(CONFIGS["starter"], "auto", cpu) == "bf16"
    assert decided_precision(CONFIGS["starter"], "fp32", cpu) == "fp32"
    monkeypatch.setattr(settings, "precisions", lambda device: ["fp32"])  # a processor that imitates bf16
    assert decided_precision(CONFIGS["starter"], "auto", cpu) == "fp32"
    assert decided_precision(CONFIGS["starter"], "bf16", cpu) == "bf16"


def test_the_command_passes_its_options_on(monkeypatch, tmp_path):
    asked = {}
    monkeypatch.setattr(trainer, "train", lambda *places, **options: asked.update(options, places=places))
    words = "train vox-256 --data in --output out --epochs 3 --device cpu --precision bf16 --seed 4"
    assert cli.main([*words.split(), "--workers", "2", "--start", "vox", "--resume"]) == 0
    places = asked.pop("places")
    assert places == (models.read_config("vox-256"), Path("in"), Path("out"))
    wanted = {"epochs": 3, "device": "cpu", "precision": "bf16", "seed": 4, "workers": 2, "resume": True}
    assert asked == wanted | {"start": "vox", "minutes": None, "steps": None}


def test_the_command_tells_in_a_sentence_what_is_wrong(capsys, tmp_path):
    assert cli.main(["train", "vox-256", "--data", str(tmp_path), "--output", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert str(tmp_path) in told
    assert len(told.splitlines()) == 1
