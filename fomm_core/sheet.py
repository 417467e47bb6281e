"""One frame's explanation, laid out: captioned pictures in a row, and under them who moves what."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from .animator import Prediction
from .drawing import keypoint_colours, with_keypoints
from .network import resized, warp

# Pixels: the side of a picture, the least side of a mask if there is room, between pictures, around all.
TILE, MASK, GAP, MARGIN = 256, 128, 10, 16
# Pixels: the height of a line of text, and of its letters.
LINE, LETTER = 20, 13
PAPER, INK, FAINT, HAIRLINE = (255, 255, 255), (40, 40, 44), (110, 110, 116), (208, 208, 212)
# The background's mask, and the ground of what has no picture.
GREY = np.array([[150, 150, 150]], np.uint8)
PLAIN = 36


class Sheet:
    """Explains one frame of an animation after another; layout, captions and the source are drawn once.

    Args:
        source: (S,S,3) uint8.
        origin: (K,2), its keypoints in [-1, 1].
        transferred: whether the driving keypoints are moved to the source's, as relative motion does, so that there
            is a step between the two to be shown.
    """

    def __init__(self, source: np.ndarray, origin: np.ndarray, transferred: bool):
        self._origin, self._transferred = origin, transferred
        self._pixels = torch.from_numpy(source.copy()).permute(2, 0, 1)[None].float()
        self._colours = np.concatenate([GREY, keypoint_colours(len(origin))])
        self._font = ImageFont.load_default(LETTER)
        self._blank = self._laid_out()
        self._source = _fitted(source, TILE)
        self._dimmed = _dimmed(self._source)
        self._paste(self._blank, self._tiles[0], with_keypoints(self._source, origin))

    def filled(
        self,
        title: str,
        driving: np.ndarray | None,
        driving_value: np.ndarray,
        value: np.ndarray,
        prediction: Prediction,
        mask: np.ndarray,
    ) -> np.ndarray:
        """The (H,W,3) uint8 sheet of one frame.

        Args:
            title: stands above it.
            driving: (S,S,3) uint8, the driving frame, or None: its keypoints are shown on a plain ground.
            driving_value: (K,2), its keypoints.
            value: (K,2), the same, transferred to the source.
            prediction: one frame's, without the first axis.
            mask: (K+1,h,w), see `Animator.masks`.
        """
        deformation = torch.from_numpy(prediction.deformation)[None]
        deformed = _image(warp(self._pixels, deformation))
        if driving is None:
            driving = np.full((TILE, TILE, 3), PLAIN, np.uint8)
        seen = torch.from_numpy(prediction.occlusion * 255).expand(1, 3, -1, -1)
        masks = torch.from_numpy(mask)[None]
        mixed = torch.einsum("nkhw,kc->nchw", masks, torch.from_numpy(self._colours).float())
        pictures = [
            with_keypoints(_fitted(driving, TILE), driving_value),
            *([with_keypoints(self._dimmed, value, self._origin)] if self._transferred else []),
            deformed,
            prediction.image,
            _image(resized(seen, (TILE, TILE))),
            _image(resized(mixed, (TILE, TILE))),
        ]
        sheet = self._blank.copy()
        for place, picture in zip(self._tiles[1:], pictures, strict=True):
            self._paste(sheet, place, _fitted(picture, TILE))
        ground = _dimmed(_fitted(deformed, self._side))
        shares = resized(masks, (self._side, self._side))[0].numpy()[..., None]
        for i, (place, share) in enumerate(zip(self._places, shares, strict=True)):
            picture = np.rint(ground * (1 - share) + self._colours[i] * share).astype(np.uint8)
            if i > 0:  # the background, which comes first, has no keypoint
                picture = with_keypoints(picture, value[i - 1 : i], colours=self._colours[i : i + 1])
            self._paste(sheet, place, picture)
        ImageDraw.Draw(sheet).text((MARGIN, MARGIN), title, INK, self._font)
        return np.asarray(sheet)

    def _laid_out(self) -> Image.Image:
        """The paper with all captions; finds the places for the pictures."""
        titles = ["Source", "Driving", "Transferred motion", "Deformed source", "Prediction", "Occlusion map"]
        titles = [*(t for t in titles if self._transferred or t != "Transferred motion"), "Masks"]
        names = ["Background", *(str(i) for i in range(len(self._origin)))]
        width = len(titles) * (TILE + GAP) - GAP
        rows = math.ceil(len(names) * (MASK + GAP) / (width + GAP))
        columns = math.ceil(len(names) / rows)
        self._side = min(TILE, (width + GAP) // columns - GAP)
        top = MARGIN + 2 * LINE
        below = top + TILE + GAP + LINE
        step = self._side + GAP
        self._tiles = [(MARGIN + i * (TILE + GAP), top) for i in range(len(titles))]
        self._places = [
            (MARGIN + i % columns * step, below + i // columns * (step + LINE)) for i in range(len(names))
        ]
        height = self._places[-1][1] + self._side + MARGIN
        paper = Image.new("RGB", (width + 2 * MARGIN, height), PAPER)
        draw = ImageDraw.Draw(paper)
        sides = [TILE] * len(titles) + [self._side] * len(names)
        for (x, y), side, text in zip(self._tiles + self._places, sides, titles + names, strict=True):
            draw.text((x, y - LINE + 2), text, FAINT, self._font)
            draw.rectangle((x - 1, y - 1, x + side, y + side), outline=HAIRLINE)  # a white map needs an edge
        return paper

    @staticmethod
    def _paste(sheet: Image.Image, place: tuple[int, int], picture: np.ndarray) -> None:
        sheet.paste(Image.fromarray(picture), place)


def _image(pixels: torch.Tensor) -> np.ndarray:
    """(H,W,3) uint8 of 1x3xHxW in [0, 255]."""
    return pixels[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()


def _fitted(picture: np.ndarray, side: int) -> np.ndarray:
    if picture.shape[:2] == (side, side):
        return picture
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))


def _dimmed(picture: np.ndarray) -> np.ndarray:
    """The picture in dark greys, on which colours stand out."""
    grey = picture.mean(-1, keepdims=True) * 0.45 + PLAIN / 2
    return np.repeat(np.rint(grey).astype(np.uint8), 3, axis=2)
