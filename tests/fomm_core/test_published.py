"""What the published configurations say about training, and how mistakes in it are told."""

from __future__ import annotations

import pytest

from fomm_core import models
from fomm_core.errors import UserError
from fomm_core.training.published import published_settings
from fomm_core.training.settings import training_settings

PUBLISHED = {  # name: (epochs, milestones, pairs in a batch, rate of the detector, weight of the adversary)
    "bair-256": (20, [12, 18], 36, 2e-4, 1),
    "fashion-256": (100, [60, 90], 27, 2e-4, 1),
    "mgif-256": (100, [60, 90], 36, 2e-4, 1),
    "nemo-256": (100, [60, 90], 36, 2e-4, 1),
    "taichi-256": (100, [60, 90], 30, 2e-4, 0),
    "taichi-adv-256": (150, [], 27, 0, 1),
    "vox-256": (100, [60, 90], 40, 2e-4, 0),
    "vox-adv-256": (150, [], 36, 2e-4, 1),
}


def settings_of(config: dict) -> tuple[dict, dict]:
    return published_settings(config, 256)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_values_are_there(name):
    config = models.read_config(name)
    train, data = settings_of(config)
    assert training_settings(config) == train  # the networks' part is right, too
    keys = ("num_epochs", "epoch_milestones", "batch_size", "lr_kp_detector")
    assert (*(train[key] for key in keys), train["loss_weights"]["generator_gan"]) == PUBLISHED[name]
    assert data["id_sampling"] == (name.split("-")[0] in ("vox", "taichi"))
    assert data["augmentation_params"]["flip_param"] == {"horizontal_flip": True, "time_flip": True}


def test_what_only_the_authors_files_hold_does_not_matter():
    config = models.read_config("taichi-256")
    data = config["dataset_params"]
    data |= {"image_shape": data.pop("frame_shape"), "root_dir": "data/taichi-png", "pairs_list": None}
    settings_of(config)


def test_augmentation_is_left_out_at_will():
    config = models.read_config("vox-256")
    del config["dataset_params"]["augmentation_params"]
    assert "augmentation_params" not in settings_of(config)[1]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("train_params.num_epoch", 3, "knows no 'num_epoch'. Did you mean 'num_epochs'"),
        ("train_params.loss_weights.perceptul", 3, "Did you mean 'perceptual'"),
        ("dataset_params.augmentation_params.jitter_param.colour", 1, "knows no 'colour'"),
        ("train_params.batch_size", 0, "batch_size is 0; it has to be a whole number"),
        ("train_params.batch_size", True, "batch_size is True"),
        ("train_params.lr_generator", "2e-4", "lr_generator is '2e-4'; it has to be a number"),
        ("train_params.lr_generator", float("nan"), "lr_generator is nan"),
        ("train_params.scales", [], "scales is []"),
        ("train_params.scales", [1, 2], "scales is [1, 2]"),
        ("train_params.scales", [1, 0.03125], "scales make pictures of 8 pixels"),
        ("train_params.epoch_milestones", 60, "epoch_milestones is 60; it has to be a list"),
        ("train_params.transform_params", 0.05, "no train_params.transform_params"),
        ("train_params.loss_weights.perceptual", [10, 10], "a list of 5 numbers"),
        ("train_params.loss_weights.feature_matching", [10], "feature_matching has not 4 weights"),
        ("dataset_params.id_sampling", "yes", "id_sampling is 'yes'; it has to be true or false"),
        ("dataset_params.image_shape", [128, 128, 3], "image_shape is not 256"),
    ],
)
def test_a_mistake_is_named(path, value, words):
    config = models.read_config("vox-adv-256")
    *parents, key = path.split(".")
    section = config
    for parent in parents:
        section = section[parent]
    section[key] = value
    with pytest.raises(UserError) as failure:
        settings_of(config)
    assert words in str(failure.value)
    assert failure.value.kind == "model"


@pytest.mark.parametrize("missing", ["train_params", "train_params.batch_size"])
def test_what_is_missing_is_named(missing):
    config = models.read_config("vox-256")
    section, _, key = missing.partition(".")
    (config if not key else config[section]).pop(key or section)
    with pytest.raises(UserError, match=key or section):
        settings_of(config)
