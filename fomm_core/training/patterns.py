"""Patterns that parts of a configuration have to follow, and the words for where one does not."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import UserError


@dataclass(frozen=True)
class Kind:
    """What a value has to be: in words, and as a test."""

    words: str
    fits: Callable[[object], bool]


Pattern = dict[str, "Kind | Pattern"]  # by key; one that ends in "?" may be missing


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_amount(value: object) -> bool:
    return is_number(value) and 0 <= value < float("inf")


def is_whole(value: object) -> bool:
    return type(value) is int and value >= 1


def list_of(fits: Callable[[object], bool], length: int | None = None) -> Callable[[object], bool]:
    """A test for lists, of `length` items where it is given, each of which passes the test `fits`."""
    return lambda value: (
        isinstance(value, list) and length in (None, len(value)) and all(fits(item) for item in value)
    )


SWITCH = Kind("true or false", lambda value: isinstance(value, bool))
AMOUNT = Kind("a number from 0, such as 2.0e-4", is_amount)
COUNT = Kind("a whole number from 1", is_whole)
COUNTS = Kind("a list of whole numbers from 1", list_of(is_whole))
AVERAGE = Kind("a number from 0 and below 1", lambda value: is_amount(value) and value < 1)
ANY = Kind("anything", lambda value: True)
SHAPE = Kind(
    "[S, S, 3]", lambda value: list_of(is_whole, 3)(value) and value[0] == value[1] and value[2] == 3
)


def optional(pattern: Pattern) -> Pattern:
    """The same with all keys optional, in all sections."""
    return {f"{key}?": optional(kind) if isinstance(kind, dict) else kind for key, kind in pattern.items()}


def check(given: object, pattern: Pattern, where: str, example: str) -> None:
    """Compare the section `given` of a configuration with what it has to be.

    Args:
        where: the section's name, dotted.
        example: a configuration that shows it.

    Raises:
        UserError: a key is missing, or unknown (the nearest right one is named), or a value is of another kind.
    """
    if not isinstance(given, dict):
        raise UserError("model", f"The configuration has no {where}.", f"configs/{example} shows them.")
    known = {key.removesuffix("?"): kind for key, kind in pattern.items()}
    for key, value in given.items():
        kind, place = known.get(key), f"{where}.{key}"
        if kind is None:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0)
            raise UserError("model", f"{where} knows no {key!r}.", f"Did you mean {near[0]!r}?")
        if isinstance(kind, dict):
            check(value, kind, place, example)
        elif not kind.fits(value):
            raise UserError("model", f"{place} is {value!r}; it has to be {kind.words}.")
    if missing := [key for key in pattern if not key.endswith("?") and key not in given]:
        raise UserError("model", f"{where} lacks {missing[0]!r}.", f"configs/{example} shows it.")
