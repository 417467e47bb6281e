"""What the published configurations say about training, checked before anything runs."""

from __future__ import annotations

from ..errors import UserError
from .patterns import (
    AMOUNT,
    ANY,
    AVERAGE,
    COUNT,
    COUNTS,
    SHAPE,
    SWITCH,
    Kind,
    check,
    is_amount,
    is_number,
    is_whole,
    list_of,
    optional,
)
from .perceptual import LEVELS, SMALLEST

_EXAMPLE = "vox-256.yaml"
_SPREAD = Kind(
    "a number from 0, or a list of two numbers", lambda v: is_amount(v) or list_of(is_number, 2)(v)
)

_TRAIN_PARAMS = {
    "num_epochs": COUNT,
    "num_repeats": COUNT,
    "epoch_milestones": COUNTS,
    "lr_generator": AMOUNT,
    "lr_discriminator": AMOUNT,
    "lr_kp_detector": AMOUNT,
    "batch_size": COUNT,
    "scales": Kind(
        "a list of numbers above 0 and up to 1",
        lambda value: list_of(lambda scale: is_number(scale) and 0 < scale <= 1)(value) and value != [],
    ),
    "checkpoint_freq": COUNT,
    "transform_params": {"sigma_affine": AMOUNT, "sigma_tps": AMOUNT, "points_tps": COUNT},
    "loss_weights": {
        "generator_gan": AMOUNT,
        "discriminator_gan": AMOUNT,
        "feature_matching": Kind("a list of numbers from 0", list_of(is_amount)),
        "perceptual": Kind(f"a list of {LEVELS} numbers from 0", list_of(is_amount, LEVELS)),
        "equivariance_value": AMOUNT,
        "equivariance_jacobian": AMOUNT,
    },
}
_OURS = {
    "average": AVERAGE,
    "clip": Kind("a number above 0", lambda value: is_amount(value) and value > 0),
    "warm_up": COUNT,
}
_DATASET_PARAMS = {
    "frame_shape": SHAPE,
    "image_shape": SHAPE,  # what half of the published files call it
    "id_sampling": SWITCH,
    "root_dir": ANY,  # of the authors' machine: the command line says where the data is
    "pairs_list": ANY,  # for their evaluation
    "augmentation_params": {
        "flip_param": {"horizontal_flip": SWITCH, "time_flip": SWITCH},
        "rotation_param": {"degrees": _SPREAD},
        "resize_param": {
            "ratio": Kind("a list of two numbers above 0", list_of(lambda v: is_number(v) and v > 0, 2))
        },
        "crop_param": {"size": Kind("a list of two whole numbers, height and width", list_of(is_whole, 2))},
        "jitter_param": dict.fromkeys(("brightness", "contrast", "saturation", "hue"), _SPREAD),
    },
}


def published_settings(config: dict, frame_size: int) -> tuple[dict, dict]:
    """`train_params` and `dataset_params` of a configuration in the published form.

    `frame_size` is the model's. All that the published `train_params` hold must be there; what `dataset_params`
    lack is not done. Of our own, `train_params` may hold `average` (decay of the weights' moving average), `clip`
    (of the gradients' norm) and `warm_up` (steps until the rates are whole).

    Raises:
        UserError: a key is missing, or unknown (the nearest right one is named), or a value cannot be used.
    """
    train, data = config.get("train_params"), config.get("dataset_params") or {}
    check(train, _TRAIN_PARAMS | optional(_OURS), "train_params", _EXAMPLE)
    check(data, optional(_DATASET_PARAMS), "dataset_params", _EXAMPLE)
    smallest = min(train["scales"]) * frame_size
    if smallest < SMALLEST:
        raise UserError(
            "model",
            f"train_params.scales make pictures of {smallest:g} pixels out of {frame_size}.",
            f"The perceptual loss needs {SMALLEST}: leave out the smallest scales.",
        )
    blocks = config["model_params"].get("discriminator_params", {}).get("num_blocks")
    if blocks is not None and len(train["loss_weights"]["feature_matching"]) != blocks:
        raise UserError(
            "model",
            f"train_params.loss_weights.feature_matching has not {blocks} weights.",
            "Give one for each of the discriminator's num_blocks.",
        )
    if data.get("image_shape", [frame_size])[0] != frame_size:
        raise UserError(
            "model",
            f"dataset_params.image_shape is not {frame_size}.",
            "Call it frame_shape, which the networks follow.",
        )
    return train, data
