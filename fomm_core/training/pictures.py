"""A grid of pictures that shows how far training has come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..drawing import with_keypoints
from ..files import replacing
from ..models import Model
from ..network import Keypoints, resized, warp
from .course import Shown


def save_grid(path: Path, model: Model, pairs: Shown) -> None:
    """A row per pair: source, driving, deformed source, prediction, occlusion map; deformed by the true flow.

    Crosses are the landmarks, dots the predicted keypoints; what is not known of a pair, or what the networks
    do not answer, is left out. The networks must be in evaluation mode.
    """
    with torch.no_grad():
        origin, driving = model.kp_detector(pairs.source), model.kp_detector(pairs.driving)
        prediction, motion = model.generator(pairs.source, driving, origin)
    columns = [
        _dotted(pairs.source, origin, pairs.origin),
        _dotted(pairs.driving, driving, pairs.target),
        *map(_pixels, (warp(pairs.source, motion.deformation), prediction)),
    ]
    if motion.occlusion_map is not None:
        columns.append(_pixels(resized(motion.occlusion_map, pairs.source.shape[2:]).expand(-1, 3, -1, -1)))
    if pairs.flow is not None:
        columns.append(_pixels(warp(pairs.source, pairs.flow)))
    rows = [np.concatenate(row, axis=1) for row in zip(*columns, strict=True)]
    with replacing(path) as temporary:
        Image.fromarray(np.concatenate(rows)).save(temporary)


def _pixels(images: Tensor) -> list[np.ndarray]:
    return list((images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())


def _dotted(images: Tensor, keypoints: Keypoints, landmarks: Tensor | None) -> list[np.ndarray]:
    crosses = (
        [[]] * len(images) if landmarks is None else ((landmarks + 1) * (images.shape[-1] - 1) / 2).tolist()
    )
    out = []
    for pixels, found, true in zip(_pixels(images), keypoints.value, crosses, strict=True):
        picture = Image.fromarray(pixels)
        draw = ImageDraw.Draw(picture)
        for x, y in true:
            draw.line((x - 3, y, x + 3, y), fill=(255, 255, 255))
            draw.line((x, y - 3, x, y + 3), fill=(255, 255, 255))
        out.append(with_keypoints(np.array(picture), found.cpu().numpy()))
    return out
