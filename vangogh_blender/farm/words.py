"""What an export came to, in words."""

from __future__ import annotations

from pathlib import Path

from ...fomm_core.bundle import Manifest


def told(manifest: Manifest, folder: Path) -> str:
    """One line: what is in the bundle, how large it is, where it lies."""
    scene = manifest.scene
    megabytes = sum(about["size"] for about in manifest.files.values()) / 1e6
    return (
        f"{len(manifest.animations)} animations by {len(manifest.clips)} clips, frames {scene.first} to "
        f"{scene.last}, {megabytes:.1f} MB: {folder}"
    )
