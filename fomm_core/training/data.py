"""Clips whose motion is known: reading them while they are still being rendered, and drawing augmented pairs.

A clip is one sitter in F poses, an `.npz` file with

- `images` (F,S,S,3) uint8 RGB,
- `landmarks` (F,K,2) float32 in [-1, 1], (x, y), one for each of the model's keypoints,
- `flow` (F,F,h,w,2) float16: `flow[d, s]` says for each place of a regular h x w grid over frame d where in
  frame s the same piece of surface is; the background stays where it is,
- `visible` (F,F,h,w): whether frame s shows that piece of surface too,
- `face` (F,h,w): where the sitter is.

Beside the clips, `dataset.json` names the landmarks. "l" and "r" as words of a name are the sitter's sides; a
mirrored picture swaps them.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import framing
from ..errors import UserError
from ..network.layers import coordinate_grid, sample

_PORTRAIT = 0.75  # of the pairs have that frame as their source which is more like a painted portrait
_FLAT = 0.3  # the least area, against its own, that a head may be brought to
_SCALES = (-0.47, 0.22)  # logarithms of what places of the new picture are multiplied by
# Heads that are framed vary in size and place, too, by so much of that; their squares are at most so many times as
# large as the picture.
_SIZES, _SHIFTS, _LARGEST = 0.4, 0.5, 1.3
_SIDES = {"l": "r", "r": "l", "left": "right", "right": "left"}


@dataclass
class Pairs:
    """B pairs of a source and a driving frame of the same sitter, and the true motion between them.

    Attributes:
        source, driving: Bx3xSxS in [0, 1]: the pictures, or small ones for the motion networks alone.
        origin, target: BxKx2 landmarks of the source and of the driving frame.
        flow: Bxhxwx2, where in the source each place of the driving frame is.
        visible: Bx1xhxw in [0, 1], how much of it the source shows.
        face: Bx1xhxw, 1 where the driving frame shows the sitter.
        inside: Bx1xhxw, 0 where augmentation has moved the driving frame's border into the picture.
        source_face: Bx1xhxw in [0, 1], where the source shows the sitter.
    """

    source: Tensor
    driving: Tensor
    origin: Tensor
    target: Tensor
    flow: Tensor
    visible: Tensor
    face: Tensor
    inside: Tensor
    source_face: Tensor

    @property
    def known(self) -> Tensor:
        """Bx1xhxw, 1 where the source shows all of it: elsewhere the flow is one of several surfaces."""
        return (self.visible > 0.99).float()

    def wall_standing(self, where: Tensor) -> Pairs:
        """The same pairs with a wall behind the sitter that stands still, at the Bx1xhxw places `where`."""
        grid = coordinate_grid(*self.flow.shape[1:3], self.flow)
        return replace(
            self,
            flow=torch.where(where[:, 0, ..., None], grid, self.flow),
            visible=torch.where(where, 1 - self.source_face, self.visible),
        )

    def replaced(self, chosen: Tensor, by: Pairs) -> Pairs:
        """The pairs `by` where B `chosen`, these elsewhere."""
        changed = {}
        for name, value in vars(by).items():
            own = getattr(self, name)
            if value is not own:
                which = chosen.view(-1, *[1] * (value.dim() - 1)).to(value.device)
                changed[name] = torch.where(which, value, own)
        return replace(self, **changed)

    def windows(self, corners: list[tuple[int, int]], side: int) -> Pairs:
        """The same pairs, with flow, visibility, face and inside within a window of their grid each."""
        maps = {name: windows(getattr(self, name), corners, side) for name in ("visible", "face", "inside")}
        return replace(self, flow=windows(self.flow[:, None], corners, side)[:, 0], **maps)


def windows(maps: Tensor, corners: list[tuple[int, int]], side: int) -> Tensor:
    """Of each of the BxCxhxw... maps the side x side window with that corner, (x, y)."""
    cut = [image[:, y : y + side, x : x + side] for image, (x, y) in zip(maps, corners, strict=True)]
    return torch.stack(cut)


@dataclass
class Affine:
    """For each pair a map of new places to old ones, x -> matrix x + shift, the same for both frames."""

    matrix: Tensor  # Bx2x2
    shift: Tensor  # Bx2
    mirrored: Tensor  # B, bool

    @classmethod
    def random(cls, count: int, rng: torch.Generator) -> Affine:
        """Mirrored or not, turned by up to 20 degrees, 0.8 to 1.6 times as large, shifted by up to 0.2."""

        def uniform(low: float, high: float, *shape: int) -> Tensor:
            return torch.rand(count, *shape, generator=rng) * (high - low) + low

        angle, scale = uniform(-0.35, 0.35), torch.exp(uniform(*_SCALES))
        cos, sin = scale * angle.cos(), scale * angle.sin()
        mirrored = uniform(0, 1) < 0.5
        side = 1 - 2 * mirrored.float()
        matrix = torch.stack([cos * side, -sin, sin * side, cos], dim=1).view(count, 2, 2)
        return cls(matrix, uniform(-0.2, 0.2, 2), mirrored)

    def then(self, other: Affine) -> Affine:
        """This map, and `other` of the places it leads to; it mirrors what this one does."""
        shift = (other.matrix @ self.shift[..., None])[..., 0] + other.shift
        return Affine(other.matrix @ self.matrix, shift, self.mirrored)

    def framed(self, points: Tensor, chosen: Tensor) -> Affine:
        """These maps, but where B `chosen` to about the square around the heads of BxFxKx2 landmarks."""
        square = framing.around(points)
        half = square[:, 2].clamp(max=_LARGEST)
        scale = torch.linalg.det(self.matrix).abs().sqrt()
        wanted = half * ((scale.log() - sum(_SCALES) / 2) * _SIZES).exp()
        matrix = self.matrix * (wanted / scale)[:, None, None]
        shift = square[:, :2] + self.shift * _SHIFTS * half[:, None]
        return Affine(
            torch.where(chosen[:, None, None], matrix, self.matrix),
            torch.where(chosen[:, None], shift, self.shift),
            self.mirrored,
        )

    def places(self, grid: Tensor) -> Tensor:
        """BxHxWx2: where in the old picture each place of the HxWx2 `grid` over the new one looks."""
        return torch.einsum("bij,hwj->bhwi", self.matrix, grid) + self.shift[:, None, None]

    def back(self, points: Tensor) -> Tensor:
        """Bx...x2 places of the old picture, in the new one."""
        middle = (len(points), *[1] * (points.dim() - 2), 2)
        inverse = torch.linalg.inv(self.matrix).view(len(points), *[1] * (points.dim() - 2), 2, 2)
        return (inverse @ (points - self.shift.view(middle))[..., None])[..., 0]


class Clips:
    """The clips of a folder, held in memory; more may be added to the folder while one trains.

    Args:
        folder: where the clips are, with `dataset.json`.
        num_kp: K of the model.

    Raises:
        UserError: there is none, or they know other landmarks than the model has keypoints.
    """

    def __init__(self, folder: Path, num_kp: int):
        self.folder = folder
        self.names = landmark_names(folder)
        if len(self.names) != num_kp:
            raise UserError(
                "arguments",
                f"The clips in {folder} have {len(self.names)} landmarks, the model has {num_kp} keypoints.",
                f"Set num_kp to {len(self.names)} in the configuration.",
            )
        self.mirror = mirrored_order(self.names)
        self._lids = _facing(self.names, "eye")
        self._lips = _facing(self.names, "lip")
        self.clips: list[dict[str, Tensor]] = []
        self.skipped: dict[str, str] = {}
        self._seen: set[str] = set()
        self._waiting: list[Path] = []

    def __len__(self) -> int:
        return len(self.clips)

    def grow(self, limit: int | None = None) -> int:
        """Read up to `limit` more clips; returns how many. `skipped` gets the damaged ones, and why."""
        if not self._waiting:
            found = (path for path in sorted(self.folder.glob("*.npz")) if path.name not in self._seen)
            self._waiting = list(found)
        batch, self._waiting = self._waiting[:limit], self._waiting[len(self._waiting[:limit]) :]
        before = len(self)
        for path in batch:
            self._seen.add(path.name)
            try:
                self.clips.append(read_clip(path, len(self.names)))
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
                self.skipped[path.name] = str(error)
        return len(self) - before

    def require(self) -> None:
        """Raises `UserError` where no clip could be read."""
        if not self.clips and self.skipped:
            name, why = next(iter(self.skipped.items()))
            raise UserError("arguments", f"No clip in {self.folder} can be read; {name}: {why}.", _RENDER)
        if not self.clips:
            raise UserError("arguments", f"There are no training clips in {self.folder}.", _RENDER)

    def draw(
        self,
        count: int,
        rng: torch.Generator,
        *,
        small: bool,
        augment: bool = True,
        still: float = 0.0,
        framed: float = 0.0,
    ) -> Pairs:
        """`count` random pairs of random clips, at the motion networks' resolution where `small`.

        Of augmented pairs the share `still` has the driving frame brought near to the source's pose, as in a clip
        of someone who speaks and hardly moves: in rendered ones the head always moves more than the mouth. The
        share `framed` shows the head about as large as the detector is shown it (see `framing`).
        """
        chosen = torch.randint(len(self), (count,), generator=rng)
        frames = [torch.randperm(len(self.clips[c]["images"]), generator=rng)[:2].tolist() for c in chosen]
        picks = [(self.clips[c], d, s) for c, (d, s) in zip(chosen.tolist(), frames, strict=True)]
        as_portraits = (torch.rand(count, generator=rng) < _PORTRAIT).tolist()
        picks = [self._portrait(*pick) if so else pick for pick, so in zip(picks, as_portraits, strict=True)]
        if not augment:
            return self.pairs(picks, None, small=small)
        affine, nearness = Affine.random(count, rng), None
        if framed:
            points = torch.stack([clip["landmarks"][[d, s]] for clip, d, s in picks]).float()
            affine = affine.framed(points, torch.rand(count, generator=rng) < framed)
        if still:
            moment, lot = torch.rand(2, count, generator=rng)
            nearness = (1 - moment.square()) * (lot < still)
        return self.pairs(picks, affine, small=small, nearness=nearness)

    def _portrait(self, clip: dict, driving: int, source: int) -> tuple[dict, int, int]:
        """The pair with the frame as its source that is more like a painted portrait: eyes open, mouth shut."""

        def likeness(frame: int) -> float:
            height = clip["landmarks"][frame, :, 1]

            def opened(parts: list[tuple[int, int]]) -> float:
                return sum(float(height[lower] - height[upper]) for upper, lower in parts)

            return opened(self._lids) - opened(self._lips)

        return (clip, source, driving) if likeness(driving) > likeness(source) else (clip, driving, source)

    def pairs(
        self,
        picks: list[tuple[dict, int, int]],
        affine: Affine | None,
        *,
        small: bool,
        nearness: Tensor | None = None,
    ) -> Pairs:
        """The pairs of these (clip, driving frame, source frame), mapped by `affine`.

        Of mapped pairs, `nearness` (B) says how near the driving frame is brought to the source's pose, 1 as near
        as an affine map brings it. What it shows besides the sitter has moved with it then: in whole pictures that
        is not `inside`. Of small ones the motion networks see the source alone, whose wall stands still.
        """

        def stacked(name: str, *index: int) -> Tensor:
            take = [tuple(pick[i] for i in index) for pick in picks]
            rows = [pick[0][name][i] for pick, i in zip(picks, take, strict=True)]
            return torch.stack(rows).float()

        pictures = "small" if small else "images"
        size = picks[0][0]["images"].shape[-1]
        pairs = Pairs(
            source=stacked(pictures, 2) / 255,
            driving=stacked(pictures, 1) / 255,
            origin=stacked("landmarks", 2),
            target=stacked("landmarks", 1),
            flow=stacked("flow", 1, 2),
            visible=stacked("visible", 1, 2)[:, None],
            face=stacked("face", 1)[:, None],
            inside=torch.ones(()),
            source_face=stacked("face", 2)[:, None],
        )
        # "small" is stored at twice the networks' resolution, for the affine maps.
        pixels = _taken(pairs.flow.shape[1], size) if small else coordinate_grid(size, size, pairs.flow)
        if affine is None:
            if small:
                grid = pixels.expand_as(pairs.flow)
                pairs.source, pairs.driving = sample(pairs.source, grid), sample(pairs.driving, grid)
            pairs.inside = torch.ones_like(pairs.visible)
            return pairs
        if nearness is None:
            return mapped(pairs, affine, affine, self.mirror, pixels)
        pairs = mapped(pairs, affine, affine.then(approaching(pairs, nearness)), self.mirror, pixels)
        moved = (pairs.face == 0) & (nearness > 0)[:, None, None, None]
        if small:
            return pairs.wall_standing(moved)
        pairs.inside *= ~moved
        return pairs


def approaching(pairs: Pairs, nearness: Tensor) -> Affine:
    """The maps of source places to those of the driving frame that bring its landmarks near to the source's.

    Args:
        nearness: B, from 0, which leaves it as it is, to 1, which is the affine map that brings them nearest.
    """
    middle, start = pairs.target.mean(1), pairs.origin.mean(1)
    around, there = pairs.origin - start[:, None], pairs.target - middle[:, None]
    # The least squares in closed form: what LAPACK finds depends on where in memory its numbers lie, and a training
    # that is resumed would not go on as the uninterrupted one does. The small term is for landmarks on a line.
    squares = around.mT @ around + 1e-6 * torch.eye(2)
    nearest = (torch.linalg.inv(squares) @ (around.mT @ there)).mT
    # What would flatten or mirror the head is no pose of it: that frame stays where it is.
    nearness = nearness * (torch.linalg.det(nearest) > _FLAT)
    still = torch.eye(2).expand_as(nearest)
    matrix = torch.lerp(still, nearest, nearness[:, None, None])
    shift = middle - (nearest @ start[..., None])[..., 0]
    return Affine(matrix, shift * nearness[:, None], torch.zeros(len(start), dtype=torch.bool))


def _taken(side: int, size: int) -> Tensor:
    """side x side x 2: where in a picture of `size` the pixels are that the networks look at.

    `AntiAliasedDown` takes every size/side-th from the first on, which are not the places of a grid that reaches
    from border to border: pictures sampled there would teach keypoints that lie 1.5 pixels of 256 beside the truth.
    """
    grid = coordinate_grid(side, side, torch.ones(()))
    return (grid + 1) * (side - 1) / side * size / (size - 1) - 1


def mapped(pairs: Pairs, affine: Affine, driven: Affine, mirror: list[int], pixels: Tensor) -> Pairs:
    """The pairs as they are when the sources are mapped by `affine` and the driving frames by `driven`.

    Both mirror the same pairs. The pictures' new pixels are those at the HxWx2 places `pixels`.
    """
    grid = coordinate_grid(*pairs.flow.shape[1:3], pairs.flow)
    places = driven.places(grid)
    inside = (places.abs() <= 1).all(-1)[:, None].float()

    def landmarks(points: Tensor, by: Affine) -> Tensor:
        points = by.back(points)
        return torch.where(by.mirrored[:, None, None], points[:, mirror], points)

    def picture(image: Tensor, by: Affine) -> Tensor:
        return F.grid_sample(image, by.places(pixels), padding_mode="reflection", align_corners=True)

    # Beyond its border the source is mirrored, and the sitter in it.
    source_face = F.grid_sample(
        pairs.source_face, affine.places(grid), padding_mode="reflection", align_corners=True
    )
    flow = F.grid_sample(
        pairs.flow.permute(0, 3, 1, 2), places, padding_mode="border", align_corners=True
    ).permute(0, 2, 3, 1)
    return Pairs(
        source=picture(pairs.source, affine),
        driving=picture(pairs.driving, driven),
        origin=landmarks(pairs.origin, affine),
        target=landmarks(pairs.target, driven),
        flow=affine.back(flow),
        # Not cut off: an eye is two places high, and nothing would be left of it.
        visible=sample(pairs.visible, places).clamp(0, 1),
        face=(sample(pairs.face, places) > 0.5).float(),
        inside=inside,
        source_face=source_face.clamp(0, 1),
    )


def read_clip(path: Path, num_kp: int) -> dict[str, Tensor]:
    """One clip's arrays as tensors. Raises ValueError, KeyError, OSError where it is not one."""
    with np.load(path, allow_pickle=False) as data:
        clip = {name: data[name] for name in ("images", "landmarks", "flow", "visible", "face")}
    frames, size = clip["images"].shape[:2]
    h, w = clip["face"].shape[1:]
    expected = {
        "images": (frames, size, size, 3),
        "landmarks": (frames, num_kp, 2),
        "flow": (frames, frames, h, w, 2),
        "visible": (frames, frames, h, w),
    }
    for name, shape in expected.items():
        if clip[name].shape != shape:
            raise ValueError(f"{name} has the shape {clip[name].shape} instead of {shape}")
    if frames < 2:
        raise ValueError("a pair needs two frames")
    for name in ("landmarks", "flow"):
        if not np.isfinite(clip[name]).all():
            raise ValueError(f"{name} holds values that are no numbers")
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in clip.items()}
    tensors["images"] = tensors["images"].permute(0, 3, 1, 2).contiguous()
    tensors["small"] = _blurred(tensors["images"], 2 * h)
    return tensors


def landmark_names(folder: Path) -> list[str]:
    """The landmarks' names from `dataset.json`, in the keypoints' order. Raises `UserError`."""
    path = next((p for p in (folder / "dataset.json", folder.parent / "dataset.json") if p.is_file()), None)
    if path is None:
        raise UserError(
            "arguments", f"There are no training clips in {folder}: dataset.json is missing.", _RENDER
        )
    try:
        names = json.loads(path.read_text(encoding="utf-8"))["landmarks"]
        return [str(name) for name in names]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError("arguments", f"{path} does not name the clips' landmarks.", _RENDER) from error


def mirrored_order(names: list[str]) -> list[int]:
    """For each landmark, the one that takes its name when the picture is mirrored."""
    swapped = ["_".join(_SIDES.get(word, word) for word in name.split("_")) for name in names]
    return [names.index(name) if name in names else i for i, name in enumerate(swapped)]


def _facing(names: list[str], part: str) -> list[tuple[int, int]]:
    """The landmarks that lie opposite to each other on parts of that name: (upper, lower)."""
    numbers = {name: number for number, name in enumerate(names)}
    return [
        (number, numbers[lower])
        for name, number in numbers.items()
        if name.startswith(part) and name.endswith("_upper") and (lower := name[:-5] + "lower") in numbers
    ]


def _blurred(images: Tensor, size: int) -> Tensor:
    """uint8 pictures at size x size, as soft as the networks make them before taking every fourth pixel."""
    small = F.interpolate(images.float(), size=(size, size), mode="area")
    kernel = torch.tensor(
        [0.02, 0.225, 0.51, 0.225, 0.02]
    )  # variance 0.61: with the area's, that of the blur
    for shape, padding in (((1, 1, 1, 5), [2, 2, 0, 0]), ((1, 1, 5, 1), [0, 0, 2, 2])):
        padded = F.pad(small, padding, mode="replicate")
        small = F.conv2d(padded, kernel.view(shape).expand(3, -1, -1, -1), groups=3)
    return small.round().clamp(0, 255).to(torch.uint8)


_RENDER = "Render clips first; docs/starter-model-card.md has the command."
