"""Frames of a driving clip that show no face, behind a hand or beside the picture: motion is led across them."""

from __future__ import annotations

import math

import numpy as np

from .heads import STRANGE, SURELY, Head

# A picture whose grey levels, of 255, spread less than this shows nothing. A detector sees a face even there.
EMPTY = 4.0
# Some faces lie further from a head's shape than others. One is hidden where it is so many times as far as mostly:
# as in the nearest of this share of the frames.
UNLIKE, SHOWN = 2.0, 0.25
# A face that is about to be hidden is half seen for so many seconds.
MARGIN = 0.08


def is_empty(picture: np.ndarray) -> bool:
    """Whether a picture, of uint8 numbers of any shape, is of one colour."""
    return float(picture.std()) < EMPTY


def hidden(head: Head, value: np.ndarray, thumbnails: np.ndarray, fps: float) -> list[range]:
    """The frames in which a clip's face is not to be seen, in order; none where it hardly ever is.

    Args:
        value: (N,K,2), keypoints as they were detected.
        thumbnails: (N,T,T), what the model has seen, small and grey.
    """
    away = head.away(value)
    usual = min(float(np.percentile(away, 100 * SHOWN)), STRANGE / UNLIKE)
    seen = (away <= max(SURELY, UNLIKE * usual)) & np.array([not is_empty(picture) for picture in thumbnails])
    if not seen.any():
        return []
    margin = math.ceil(MARGIN * fps)
    # Padded, each gap has an edge on both sides.
    edges = np.flatnonzero(np.diff(np.concatenate([[True], seen, [True]]).astype(int)))
    found: list[range] = []
    for start, stop in edges.reshape(-1, 2):
        gap = range(max(0, start - margin), min(len(seen), stop + margin))
        if found and gap.start <= found[-1].stop:
            gap = range(found.pop().start, gap.stop)
        found.append(gap)
    return [] if found and len(found[0]) == len(seen) else found


def told(gap: range, frames: int, fps: float, start: float) -> str:
    """The end of a sentence about a video of so many frames, from the second `start` on, that has this gap."""
    begins, ends = (f"{start + number / fps:.1f} s" for number in (gap.start, gap.stop))
    if gap.start == 0:
        return f"shows no face before {ends}: the head holds still until then."
    if gap.stop == frames:
        return f"shows no face from {begins} on: the head holds still from then on."
    return (
        f"hides the face from {begins} to {ends}: the head goes there from its pose before to the one after."
    )
