"""A grid of pictures that shows how far training has come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..files import replacing
from ..models import Model
from ..network import Keypoints, resized, warp
from .data import Pairs


def save_grid(path: Path, model: Model, pairs: Pairs) -> None:
    """A row per pair: source, driving, deformed source, prediction, occlusion map, deformed by the true flow.

    Crosses are the landmarks, dots the predicted keypoints. The networks must be in evaluation mode.
    """
    with torch.no_grad():
        origin, driving = model.kp_detector(pairs.source), model.kp_detector(pairs.driving)
        prediction, motion = model.generator(pairs.source, driving, origin)
    occlusion = resized(motion.occlusion_map, pairs.source.shape[2:]).expand(-1, 3, -1, -1)
    columns = [
        _dotted(pairs.source, origin, pairs.origin),
        _dotted(pairs.driving, driving, pairs.target),
        *map(_pixels, (warp(pairs.source, motion.deformation), prediction, occlusion)),
        _pixels(warp(pairs.source, pairs.flow)),
    ]
    rows = [np.concatenate(row, axis=1) for row in zip(*columns, strict=True)]
    with replacing(path) as temporary:
        Image.fromarray(np.concatenate(rows)).save(temporary)


def _pixels(images: Tensor) -> list[np.ndarray]:
    return list((images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())


def _dotted(images: Tensor, keypoints: Keypoints, landmarks: Tensor) -> list[np.ndarray]:
    scale = (images.shape[-1] - 1) / 2
    out = []
    for pixels, found, true in zip(_pixels(images), keypoints.value, landmarks, strict=True):
        picture = Image.fromarray(pixels)
        draw = ImageDraw.Draw(picture)
        for x, y in ((true + 1) * scale).tolist():
            draw.line((x - 3, y, x + 3, y), fill=(255, 255, 255))
            draw.line((x, y - 3, x, y + 3), fill=(255, 255, 255))
        for i, (x, y) in enumerate(((found + 1) * scale).tolist()):
            hue = int(255 * i / len(found))
            colour = Image.new("HSV", (1, 1), (hue, 255, 255)).convert("RGB").getpixel((0, 0))
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)
        out.append(np.array(picture))
    return out
