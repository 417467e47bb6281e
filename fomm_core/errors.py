"""What a user can cause, as one exception: a sentence (what, which file) and a hint (what to do)."""

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
