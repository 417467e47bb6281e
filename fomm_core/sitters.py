"""Who moves in a painting: where each sitter is, how the model sees them, and the driving motion as theirs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from . import fitting, limits, media, regions, transfer
from .animator import Animator
from .control import Control
from .errors import UserError
from .faces import Search
from .heads import Head
from .motion import MotionTrack
from .protocol import Job
from .regions import Region

# That the motion is limited is said where it is in more than this share of the frames; now and then is no news.
OFTEN = 0.5


class Sitter(NamedTuple):
    """One sitter, ready to be animated.

    Attributes:
        region: what moves, in the painting's pixels.
        source: (S,S,3) uint8, the region as the model sees it.
        animator: has that source set.
        origin: its keypoints, (K,2) in [-1, 1].
        value, jacobian: (N,K,2) and (N,K,2,2), the driving motion as keypoints and Jacobians of the source.
        limited: how many of the N frames move noticeably less than the driving motion asks for.
    """

    region: Region
    source: np.ndarray
    animator: Animator
    origin: np.ndarray
    value: np.ndarray
    jacobian: np.ndarray
    limited: int


def _found(
    painting: np.ndarray, job: Job, animator: Animator, control: Control, squares: Search[list[Region]] | None
) -> list[Region]:
    """What moves in the (H,W,3) uint8 painting: the region asked for, the largest face's, or those of all faces.

    Never empty: without a face it is the square in the middle, with a warning. Raises `UserError`.
    """
    if region := regions.given(painting, job.region, "the painting"):
        return [region]
    if found := moving(painting, squares.found(), animator, job.all_faces, control.check):
        return found if job.all_faces else found[:1]
    return [regions.middle(painting, "the painting", control.warn)]


def moving(
    painting: np.ndarray,
    squares: list[Region],
    animator: Animator,
    everyone: bool = False,
    check: Callable[[], None] = lambda: None,
) -> list[Region]:
    """The squares that move in an (H,W,3) uint8 painting, of those around its faces (`regions.around_sitters`).

    Where the model knows heads, it is they that move, each square fitted to one: a pattern in the clothes may look
    like a face. Where none of the squares shows one, and where `everyone` is to move, heads are looked for in all
    of the painting. Without any, the squares stay as they are.

    Args:
        check: is called now and then; what it raises ends the search.
    """
    heads = [head for square in squares if (head := fitting.head_in(painting, square, animator))]
    if everyone or not heads:
        heads = [*fitting.everywhere(painting, animator, check), *heads]
    return fitting.apart(fitting.each_once(heads), *painting.shape[1::-1]) or squares


def prepare(
    painting: np.ndarray,
    job: Job,
    track: MotionTrack,
    animator: Animator,
    control: Control,
    plain: bool,
    squares: Search[list[Region]] | None,
) -> list[Sitter]:
    """The painting's sitters, each with a source and a motion of its own. Raises `UserError` and `Cancelled`.

    Args:
        painting: as `media.read_painting` gives it.
        animator: the first sitter's; the others get one each that shares its network.
        plain: move the keypoints in the picture alone, however far (the published way).
        squares: the search for the painting's faces, which a job that names its region needs not.
    """
    seen = media.as_seen(painting)
    sitters = []
    for region in _found(seen, job, animator, control, squares):
        control.check()
        own = animator.beside() if sitters else animator
        source = fitting.seen(seen, region, own, antialias=job.region != "full")
        origin = own.set_source(source)
        moved, limited = _transferred(job, track, origin, None if plain else own.head), 0
        if job.motion == "relative" and not plain:
            *moved, limited = limits.limited(*moved, *origin, own.head)
        sitters.append(Sitter(region, source, own, origin[0], *moved, limited))
    _tell(max(sitter.limited for sitter in sitters), len(track), control)
    return sitters


def _transferred(
    job: Job, track: MotionTrack, origin: tuple[np.ndarray, np.ndarray], head: Head | None
) -> tuple[np.ndarray, np.ndarray]:
    if job.reference_frame == "auto":
        reference = transfer.reference_frame(track, origin[0], head)
    else:
        number = 0 if job.reference_frame == "first" else int(job.reference_frame)
        # The number counts the driving video's own frames, from the start that was chosen.
        original_fps = track.recorded_fps
        reference = math.floor(number * track.fps / original_fps + 0.5)
        if reference >= len(track):
            raise UserError(
                "arguments",
                f"The reference frame {number} lies past the driving video's end.",
                f"Use 0 to {math.floor((len(track) - 1) * original_fps / track.fps)}.",
            )
    return transfer.transfer(
        track,
        *origin,
        relative=job.motion == "relative",
        adapt_scale=job.adapt_scale,
        reference=reference,
        strength=job.strength,
        head=head,
        adapt_face=job.reference_frame == "auto",
    )


def _tell(limited: int, frames: int, control: Control) -> None:
    if limited > OFTEN * frames:
        control.warn(
            f"The motion was limited in {limited} of {frames} frames, so that nothing tears: "
            "a lower strength, or a clip that moves less, follows the driving video more closely."
        )
