"""What of a scene is to be animated: its jobs, and what its picture frames show of earlier ones."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import bpy

from ...fomm_core import protocol
from ...fomm_core.bundle import Shown
from ...fomm_core.errors import UserError
from .. import image_sequence, session, showing
from ..order import Order


@dataclass(frozen=True)
class Wanted:
    """An animation that the scene shows or is to show.

    Attributes:
        painting: the painting's name.
        job: with the paths of this machine.
        shown: where in the scene.
        sequence: the image that has its frames by now, if there is one.
    """

    painting: str
    job: protocol.Job
    shown: Shown
    sequence: bpy.types.Image | None = None


def animations(scene: bpy.types.Scene) -> list[Wanted]:
    """Everything in the scene that the farm is to animate, in the order of its making.

    A job on the list whose frames no object shows any more is taken for an attempt that was given up.

    Raises:
        UserError: a job was saved by another version of the add-on.
    """
    found, listed = [], set()
    sequences = [image for image in bpy.data.images if image.source == "SEQUENCE"]
    by_folder = {image_sequence.absolute_path(image).parent: image for image in sequences}
    starts = _starts(scene)
    claimed: dict[int, Order] = {}
    for item in scene.vangogh.jobs:
        order = session.current().orders.get(item.name) or Order.from_json(item.order)
        image = by_folder.get(order.frames)
        if image in starts:
            shown = Shown(image.name, start=starts[image])
        elif item.phase == "done":
            continue
        else:
            shown = _planned(order, claimed)
        listed.add(image)
        found.append(Wanted(order.place.painting.name, order.request, shown, image))
    for image in sequences:
        if image in starts and image not in listed:
            job = _recorded(image_sequence.absolute_path(image).parent.parent)
            if job is not None:
                name = image.get(showing.MADE_FROM) or Path(job.painting).stem
                shown = Shown(image.name, start=starts[image])
                found.append(Wanted(name, job, shown, image))
    return found


def _starts(scene: bpy.types.Scene) -> dict[bpy.types.Image, int]:
    """The images that the scene's objects show, each with the frame at which its first node has it begin."""
    starts: dict[bpy.types.Image, int] = {}
    for target in scene.objects:
        for node in image_sequence.image_nodes(target):
            starts.setdefault(node.image, node.image_user.frame_start)
    return starts


def _planned(order: Order, claimed: dict[int, Order]) -> Shown:
    """Where a job's frames go that are not there yet; `claimed`: who takes which nodes, by pointer."""
    place = order.place
    painting = showing.find(bpy.data.images, place.painting)
    if place.target == "OBJECT":
        target = showing.find(bpy.data.objects, place.object)
        nodes = showing.nodes_of(target, painting) if target and painting else []
        if not nodes:
            raise UserError(
                "arguments",
                f"{place.object.name} does not show the painting {place.painting.name} any more.",
                "Take the job off the list, or add it again.",
            )
        for node in nodes:
            other = claimed.setdefault(node.as_pointer(), order)
            if other is not order:
                raise UserError(
                    "arguments",
                    f"Two jobs, {other.label} and {order.label}, are for the same picture on {target.name}.",
                    "Take one off the list, or give the object a material of its own.",
                )
        return Shown(nodes[0].image.name, target.name, place.start)
    return Shown("", start=place.start, location=tuple(place.location))


def _recorded(folder: Path) -> protocol.Job | None:
    """The job whose record is in `folder`; None where there is none, or where its files are gone."""
    try:
        record = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        job = protocol.job_from_dict(
            {**record["settings"], **record["paths"], "output": str(folder), "model": record["model"]["name"]}
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None
    if not (Path(job.painting).is_file() and Path(job.video).is_file()):
        return None
    return dataclasses.replace(job, resume=False)
