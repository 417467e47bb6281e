"""What the user ordered: a job for the worker, and where in which scene its frames are to be shown."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..fomm_core import protocol
from ..fomm_core.errors import UserError
from . import showing


@dataclass(frozen=True)
class Order:
    """What the user asked for: the worker's request, and where in which scene the frames are to be shown.

    Attributes:
        id: of the job.
        label: what a person reads.
        place: where the frames go in the scene.
        scene: where it was asked.
        blend: the .blend that it was asked in; empty when that was never saved.
        welcome: the file that it was asked in is still open, so the frames are put into it.
        sound: the driving video's sound comes with them.
    """

    id: str
    label: str
    request: protocol.Job
    place: showing.Place
    scene: showing.Ref
    blend: str = ""
    welcome: bool = True
    sound: bool = False

    @property
    def frames(self) -> Path:
        """The folder with the files 0001.png …"""
        return Path(self.request.output) / "frames"

    @cached_property
    def json(self) -> str:
        """The order as one string, for `from_json` (once: every tick compares it with the .blend's)."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Order:
        """Raises `UserError` when this is not what `json` gave."""
        try:
            data = json.loads(text)
            request = protocol.job_from_dict(data.pop("request"))
            place = showing.Place.from_dict(data.pop("place"))
            scene = showing.Ref(data.pop("scene")["name"])
            return cls(request=request, place=place, scene=scene, **data)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(
                "arguments", "This job was saved by another version of the add-on.", "Press Animate again."
            ) from error
