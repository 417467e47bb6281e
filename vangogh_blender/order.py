"""What the user ordered: a job for the worker, and where in which scene its frames are to be shown."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import bpy

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


def request_of(scene: bpy.types.Scene, settings: object, painting: str, output: str) -> protocol.Job:
    """What the worker is asked to do. `settings` has the attributes of `properties.JobSettings`."""
    return protocol.Job(
        painting=painting,
        video=absolute(settings.driving_video),
        output=output,
        model=_model(settings.model),
        config=_model(settings.config) if settings.config else None,
        device=settings.device or "auto",
        motion=settings.motion,
        adapt_scale=settings.adapt_scale,
        reference_frame=settings.reference_frame or "auto",
        strength=settings.strength,
        region=settings.region if settings.region and not settings.all_faces else "auto",
        driving_region=settings.driving_region or "auto",
        still_wall=settings.still_wall,
        all_faces=settings.all_faces,
        size=settings.size or None,
        fps=scene.render.fps / scene.render.fps_base if settings.use_scene_fps else None,
        start=settings.start,
        end=settings.end or None,
        loop=settings.loop,
        smooth=settings.smooth,
        format=settings.format,
    )


def absolute(path: str) -> str:
    """A path of the user's, relative to the .blend or to their home, as an absolute one."""
    return os.path.abspath(bpy.path.abspath(os.path.expanduser(path)))


def _model(name: str) -> str:
    """A name as it is, a file's path made absolute."""
    return absolute(name) if "/" in name or os.sep in name else name or "starter"
