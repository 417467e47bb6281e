"""Models to measure: weights do not change the speed, but pictures have to show that both sides do the same."""

from __future__ import annotations

from pathlib import Path

import torch

from .. import models, registry
from ..models import Model


def model_of(name: str) -> Model:
    """A registered model or a file; a configuration's name gives it with random weights. Raises `UserError`."""
    if name in registry.registered() or Path(name).is_file():
        return models.load(name)
    return with_random_weights(models.build(models.read_config(name), name))


def with_random_weights(model: Model, seed: int = 0) -> Model:
    """The model, changed: its pictures show every part of it."""
    randomize(model, seed)
    with torch.no_grad():
        model.generator.final.weight.mul_(0.3)  # a painting's contrast, not black and white alone
    return model


def randomize(model: Model, seed: int) -> None:
    """Give all layers random weights and statistics under which signals keep their size."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for network in (model.generator, model.kp_detector):
            for name, value in network.state_dict().items():
                if name.endswith("running_var"):
                    value.uniform_(0.5, 1.5, generator=generator)
                elif name.endswith("running_mean"):
                    value.normal_(0, 0.2, generator=generator)
                elif value.is_floating_point() and not name.endswith("down.weight"):
                    inputs = value[0].numel() if value.ndim > 1 else 25
                    value.normal_(1.0 if "norm" in name else 0.0, inputs**-0.5, generator=generator)
