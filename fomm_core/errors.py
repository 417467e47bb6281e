"""What a user can cause, as one exception: a sentence (what, which file) and a hint (what to do)."""

from __future__ import annotations

import sys

KINDS = (
    "arguments",  # a setting that cannot be met
    "image",  # the painting cannot be read
    "video",  # the driving video or the motion track cannot be read
    "model",  # the model or its configuration cannot be used
    "output",  # the output folder cannot be written
    "disk_full",
    "out_of_memory",
    "device",  # the chosen device is not there or failed
    "runtime",  # a package is missing, the Python does not work
    "cancelled",  # by the user, who wanted it so
    "internal",  # a fault of ours
)


class UserError(Exception):
    """A failure with words for the person in front of the screen.

    Args:
        kind: one of `KINDS`.
        sentence: what failed and which file, one plain sentence.
        hint: what to do about it, one plain sentence, or empty.
    """

    def __init__(self, kind: str, sentence: str, hint: str = ""):
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is not an error kind")
        super().__init__(sentence)
        self.kind = kind
        self.sentence = sentence
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.sentence} {self.hint}".strip()


def in_words(error: BaseException) -> UserError:
    """Any failure as a `UserError`: itself, a missing package, a device that gave up, or a fault of ours."""
    if isinstance(error, UserError):
        return error
    reason = (str(error).strip().splitlines() or ["no reason given"])[0]
    if isinstance(error, ImportError):
        lacks = isinstance(error, ModuleNotFoundError)
        what = (
            f"has no {error.name}, which animating needs"
            if lacks
            else f"cannot load what it needs ({reason})"
        )
        return UserError(
            "runtime",
            f"The Python at {sys.executable} {what}.",
            "Install the project's requirements into it, or choose another Python.",
        )
    # By name: this module is imported where there is no torch.
    if type(error).__name__ == "AcceleratorError" or "CUDA error" in reason:
        return UserError(
            "device",
            f"The graphics card failed ({reason}).",
            "Try again, update its driver, or choose the CPU.",
        )
    return UserError(
        "internal",
        f"Something went wrong inside the program ({type(error).__name__}: {reason}).",
        "Please report it, with the log.",
    )
