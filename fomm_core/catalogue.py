"""The models that the authors published: what each is for, and how its file is known. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass

PAGE = (
    "https://drive.google.com/open?id=1PyQJmkdCsAkOYwUyaj_l-l0as-iLDgeH"  # the authors' folder of checkpoints
)
LICENCE = "The authors' code is under the MIT licence (once CC BY-NC 4.0); for the weights they name none."


@dataclass(frozen=True)
class Published:
    """A published model.

    Attributes:
        name: what it is called here, once imported.
        config: its configuration, by name.
        subject: what it animates.
        data: what it was trained on.
        download: how large its file is, in bytes; rounded to a million where `sha256` is not known.
        sha256: of its file, in hexadecimal, where known.
    """

    name: str
    config: str
    subject: str
    data: str
    download: int
    sha256: str | None = None

    @property
    def file(self) -> str:
        """The name of the authors' file."""
        return "fashion.pth.tar" if self.name == "fashion" else f"{self.name}-cpk.pth.tar"

    @property
    def licence(self) -> str:
        """What is known about its licence."""
        return f"{LICENCE} Trained on {self.data}, which has terms of its own."


PUBLISHED = (
    Published(
        "vox",
        "vox-256",
        "Faces",
        "VoxCeleb",
        728_766_691,
        "abb41ab1f279f26326c0d6e4d20702de6658364665aa1313daa7a63e89ea2b23",
    ),
    Published(
        "vox-adv",
        "vox-adv-256",
        "Faces, trained with an adversary for more detail",
        "VoxCeleb",
        751_000_000,
        "6792d6810d7f46e3c5c487a1cfec916b96fad8912c3c6cc81baa1fc300c820d3",
    ),
    Published("nemo", "nemo-256", "Smiling faces", "UvA-Nemo", 751_000_000),
    Published("taichi", "taichi-256", "Full bodies", "Tai-Chi-HD", 751_000_000),
    Published(
        "taichi-adv",
        "taichi-adv-256",
        "Full bodies, trained with an adversary for more detail",
        "Tai-Chi-HD",
        751_000_000,
    ),
    Published("fashion", "fashion-256", "Fashion, head to foot", "the Fashion dataset", 751_000_000),
    Published("mgif", "mgif-256", "Cartoon animals", "Moving GIFs", 750_000_000),
    Published("bair", "bair-256", "A robot arm", "BAIR robot pushing", 751_000_000),
)


def by_name(file: str) -> Published | None:
    """The published model whose file is called so, or so but for what browsers add: `vox-cpk.pth (1).tar`."""
    plain = re.sub(r"\s*(\(\d+\)|- copy\b)", "", file.lower())
    stem = plain.partition(".")[0].strip()
    return next((p for p in PUBLISHED if stem in (p.file.partition(".")[0], f"{p.name}-cpk")), None)


def by_sha256(digest: str) -> Published | None:
    """The published model whose file has this SHA-256."""
    return next((p for p in PUBLISHED if p.sha256 == digest), None)


def by_source(metadata: dict[str, str]) -> Published | None:
    """The published model that an imported one was converted from, by its file's metadata."""
    return by_sha256(metadata.get("source_sha256", "")) or by_name(metadata.get("source", ""))
