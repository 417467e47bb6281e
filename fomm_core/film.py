"""The last step of a farm job: a film of the rendered pictures. It needs no PyTorch, which takes seconds."""

from __future__ import annotations

import time
from pathlib import Path

from . import bundle as layout
from . import media, protocol
from .bundle import Bundle
from .control import Control
from .errors import UserError


def encode(bundle: Bundle, frames: str, output: Path, control: Control) -> protocol.Done:
    """Make a film of the rendered frames in a range. Raises `UserError` where one is missing, and `Cancelled`."""
    began = time.monotonic()
    scene = bundle.manifest.scene
    wanted = layout.frames_of(scene, frames)
    bundle.claim(output)
    pictures = [layout.picture(output, frame, scene.suffix) for frame in wanted]
    if missing := [picture for picture in pictures if not picture.is_file()]:
        raise UserError(
            "image",
            f"{len(missing)} of {len(pictures)} pictures are not rendered, the first {missing[0]}.",
            "Render them first.",
        )
    film = output / f"{Path(scene.file).stem}.mp4"

    def written(index: int, _path: Path) -> None:
        control.progress("film", index, len(pictures), began)

    with media.MovieWriter(film, scene.fps, written) as writer:
        for index, picture in enumerate(pictures, 1):
            control.check()
            writer.write(index, media.read_painting(picture))
    seconds = round(time.monotonic() - began, 2)
    return protocol.Done(control.id, str(film), len(pictures), scene.fps, seconds)
