"""The `train_params` of a configuration, checked before anything runs."""

from __future__ import annotations

import difflib

from .. import models
from ..errors import UserError


def training_settings(config: dict) -> dict:
    """`train_params` of `config`: the keys of configs/starter.yaml, each with a value of its kind.

    Raises:
        UserError: a key is missing, or unknown (the nearest right one is named), or a value of another kind.
    """
    settings = config.get("train_params")
    _check(settings, models.read_config("starter")["train_params"], "train_params")
    return settings


def _check(given: object, pattern: object, where: str) -> None:
    if isinstance(pattern, dict):
        if not isinstance(given, dict):
            raise UserError("model", f"The configuration has no {where}.", "configs/starter.yaml shows them.")
        for key in given:
            if key not in pattern:
                near = difflib.get_close_matches(str(key), pattern, n=1, cutoff=0)
                raise UserError("model", f"{where} knows no {key!r}.", f"Did you mean {near[0]!r}?")
        for key, value in pattern.items():
            if key not in given:
                raise UserError("model", f"{where} lacks {key!r}.", f"configs/starter.yaml has {value!r}.")
            _check(given[key], value, f"{where}.{key}")
    elif isinstance(pattern, bool) or isinstance(given, bool) or not isinstance(given, int | float):
        if type(given) is not type(pattern):
            kind = "true or false" if isinstance(pattern, bool) else "a number"
            raise UserError("model", f"{where} is {given!r}; it has to be {kind}.")
    elif isinstance(pattern, int) and (given != int(given) or given < 1):
        raise UserError("model", f"{where} is {given!r}; it has to be a whole number from 1.")
