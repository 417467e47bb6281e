"""What a model reaches on material it has not seen: `python -m fomm_core reconstruct MODEL --data DIR`.

A video is driven by itself from its first frame, with absolute motion (the paper's protocol, section 4.1). Of a
rendered clip, which has a few poses and knows the truth, every frame drives every other one.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain, count, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import Delaunay, QhullError
from skimage.metrics import structural_similarity
from torch import Tensor

from ..animator import Animator, Prediction
from ..animator import resized as resized_image
from ..driving import LOOKS
from ..errors import UserError
from ..files import replacing, writing
from ..framing import WHOLE, Square
from ..media import MovieWriter, VideoReader, as_seen, read_painting
from ..models import Model
from ..network import resized
from ..network.layers import coordinate_grid, sample
from .data import Clips
from .videos import Video, pictures_in, videos_in

METRICS = "metrics.json"
FILMS = 8  # of the videos measured, at most, are shown
_POSES_FPS = 2  # a rendered clip is a few poses, no motion
_PICTURES_FPS = 25  # nobody says how fast a folder of pictures is


@dataclass
class Report:
    """What `reconstruct` found.

    Attributes:
        errors: means over all frames of all videos, by name.
        videos, frames: how many were measured.
        skipped: the videos that were not, and why.
    """

    errors: dict[str, float]
    videos: int
    frames: int
    skipped: dict[str, str]


# What a video is called, and what measures it; given a path, that also writes a film.
Subject = tuple[str, Callable[[Path | None], "Tally"]]


class Driven(NamedTuple):
    """A source and N driving frames, (S,S,3) and (N,S,S,3) uint8, and what the model made of them."""

    source: np.ndarray
    driving: np.ndarray
    keypoints: np.ndarray  # (N,K,2), of the driving frames
    prediction: Prediction


class Tally:
    """Sums of errors, each with the sum that it is divided by in the end."""

    def __init__(self):
        self.sums: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(2))
        self.frames = 0

    def add(self, name: str, error: Tensor, of: Tensor) -> None:
        self.sums[name] += [float(error.double().sum()), float(of.double().sum())]

    def add_pictures(self, batch: Driven, face: Tensor | None = None, visible: Tensor | None = None) -> None:
        """What is wrong with the predictions; also by the Nxhxw `face` and `visible`, where these are known."""
        prediction, driving = _colours(batch.prediction.image), _colours(batch.driving)
        self.frames += len(driving)
        wrong = (prediction - driving).abs().mean(-1)
        copying = (_colours(batch.source) - driving).abs().mean(-1)
        alike = [
            structural_similarity(one, other, channel_axis=-1, data_range=255)
            for one, other in zip(batch.prediction.image, batch.driving, strict=True)
        ]
        self.add("L1", wrong, torch.ones_like(wrong))
        self.add("SSIM", torch.tensor(alike), torch.ones(len(alike)))
        self.add("L1 / copying the source", wrong, copying)
        if face is not None:
            shown = resized(face[:, None], wrong.shape[1:])[:, 0]
            self.add("L1 / copying the source, face", wrong * shown, copying * shown)
        if visible is not None:
            hidden = 1 - resized(visible[:, None], wrong.shape[1:])[:, 0]
            self.add("L1 / copying the source, hidden", wrong * hidden, copying * hidden)
            self.add("hidden, of the error of copying", copying * hidden, copying)

    def add_motion(
        self, batch: Driven, landmarks: Tensor, flow: Tensor, visible: Tensor, face: Tensor
    ) -> None:
        """What is wrong with keypoints and deformation, for the truth of N pairs (see `data.Pairs`)."""
        apart = (torch.from_numpy(batch.keypoints) - landmarks).norm(dim=-1)
        pixels = apart * (batch.driving.shape[1] - 1) / 2
        self.add("landmark error (px)", pixels, torch.ones_like(pixels))
        flow = flow.float()
        self._add_bound(batch, flow, visible)
        found = torch.from_numpy(batch.prediction.deformation).permute(0, 3, 1, 2)
        found = resized(found, flow.shape[1:3]).permute(0, 2, 3, 1)
        wrong = (found - flow).norm(dim=-1)
        grid = coordinate_grid(*flow.shape[1:3], flow)
        still = (grid - flow).norm(dim=-1)
        between = torch.stack([_between(one, grid) for one in landmarks])
        for where, name in (
            (visible, ""),
            (visible * face, ", face"),
            (visible * face * between, ", between landmarks"),
        ):
            self.add(f"flow error / no motion{name}", wrong * where, still * where)
        self.add("beyond the face, of the flow error", wrong * visible * (1 - face), wrong * visible)

    def _add_bound(self, batch: Driven, flow: Tensor, visible: Tensor) -> None:
        """What is wrong with N driving frames that are the source warped by the true flow, where it shows them."""
        source, driving = _colours(batch.source), _colours(batch.driving)
        size = driving.shape[1:3]
        places = coordinate_grid(*size, flow).expand(len(driving), -1, -1, -1)
        flow = sample(flow.permute(0, 3, 1, 2), places).permute(0, 2, 3, 1)
        sources = source.permute(2, 0, 1).expand(len(driving), -1, -1, -1)
        wrong = (sample(sources, flow).permute(0, 2, 3, 1) - driving).abs().mean(-1)
        shown = resized(visible[:, None], size)[:, 0]
        self.add("L1 / copying the source, true flow", wrong * shown, (source - driving).abs().mean(-1))

    def merge(self, other: Tally) -> None:
        self.frames += other.frames
        for name, sums in other.sums.items():
            self.sums[name] += sums

    def means(self) -> dict[str, float]:
        return {name: float(error / max(of, 1e-9)) for name, (error, of) in self.sums.items()}


def reconstruct(
    model: Model,
    data: Path,
    output: Path | None = None,
    device: str = "auto",
    warn: Callable[[str], None] = print,
) -> Report:
    """Measure `model` on the videos or the rendered clips of `data` (of `data`/test, where that is).

    The errors of every kind of data, in the model's frames with colours in [0, 1]:

    - "L1": of the prediction from the driving frame.
    - "SSIM": of the two; 1 where they are equal.
    - "L1 / copying the source": the error, against that of the source itself.

    Of rendered clips also:

    - "landmark error (px)": distance of keypoints from their landmarks.
    - "flow error / no motion": distance of the deformation from the true flow where the source shows the
      surface, against that of no motion at all.
    - the same, and the L1, ", face": within the sitter only.
    - the same, ", between landmarks": within the sitter, and the convex hull of the driving frame's landmarks.
    - "beyond the face, of the flow error": which share of it is motion that the wall does not make.
    - the L1, ", hidden": where the source does not show the surface, and it has to be invented.
    - "hidden, of the error of copying": which share of the error of copying lies there.
    - "L1 / copying the source, true flow": what a warp of the source by the true flow gets wrong where the source
      shows the surface: light and looks change from frame to frame, and the flow's grid is coarse. What is hidden
      comes on top, so that no prediction is likely to come below it.

    Args:
        output: where `metrics.json` goes, and films of a few videos: source, driving, prediction.
        warn: takes a sentence for each video that is skipped.

    Raises:
        UserError: nothing in `data` can be measured, or `output` cannot be written.
    """
    folder = data / "test" if (data / "test").is_dir() else data
    animator = Animator(model, device)
    if any(folder.glob("*.npz")):
        subjects, skipped = _clips(animator, model.num_kp, folder)
    else:
        subjects, skipped = _videos(animator, folder), {}
    if output is not None:
        with writing(output):
            output.mkdir(parents=True, exist_ok=True)
    total, videos = Tally(), 0
    every = math.ceil(len(subjects) / FILMS)
    for number, (name, measure) in enumerate(subjects):
        film = None if output is None or number % every else output / f"{name}.mp4"
        try:
            total.merge(measure(film))
            videos += 1
        except UserError as error:
            if error.kind not in ("video", "image"):
                raise
            skipped[name] = str(error)
    for name, why in skipped.items():
        warn(f"skipped {name}: {why}")
    if not videos:
        raise UserError("arguments", f"No video in {folder} can be measured.", "Check the files named above.")
    report = Report(total.means(), videos, total.frames, skipped)
    if output is not None:
        with replacing(output / METRICS) as temporary:
            temporary.write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")
    return report


def driven(
    animator: Animator, source: np.ndarray, frames: Iterable[np.ndarray], square: Square
) -> Iterator[Driven]:
    """The (S,S,3) uint8 `source` driven by `frames` of the same size, batch by batch, absolutely.

    Keypoints are looked for in the `square` of these.
    """
    animator.set_source(source)
    frames = iter(frames)
    while batch := list(islice(frames, animator.batch_size)):
        driving = np.stack(batch)
        value, jacobian = animator.detect(driving, square)
        done = 0
        for prediction in animator.animate(value, jacobian):
            part = slice(done, done + len(prediction.image))
            yield Driven(source, driving[part], value[part], prediction)
            done = part.stop


def _between(landmarks: Tensor, grid: Tensor) -> Tensor:
    """(h,w), 1 where a place of the (h,w,2) grid lies within the convex hull of (K,2) landmarks."""
    try:
        within = Delaunay(landmarks.numpy()).find_simplex(grid.numpy()) >= 0
    except (QhullError, ValueError):  # fewer than three, or all on a line
        return torch.zeros(grid.shape[:-1])
    return torch.from_numpy(within.astype(np.float32))


def _clips(animator: Animator, num_kp: int, folder: Path) -> tuple[list[Subject], dict[str, str]]:
    """The rendered clips of `folder`, to be measured, and the damaged ones. Raises `UserError`."""
    clips = Clips(folder, num_kp)
    clips.grow()
    clips.require()
    paths = [path for path in sorted(folder.glob("*.npz")) if path.name not in clips.skipped]
    subjects = [
        (path.stem, partial(_of_clip, animator, clip)) for path, clip in zip(paths, clips.clips, strict=True)
    ]
    return subjects, clips.skipped


def _videos(animator: Animator, folder: Path) -> list[Subject]:
    """The videos of `folder`, to be measured. Raises `UserError` where there is none."""
    videos = videos_in(folder)
    if not videos:
        missing = "video in" if folder.is_dir() else "folder"
        raise UserError(
            "arguments",
            f"There is no {missing} {folder}.",
            "Name one with movies, GIFs, folders of frames, or rendered clips.",
        )
    return [(video.path.name, partial(_of_video, animator, video)) for video in videos]


def _of_video(animator: Animator, video: Video, film: Path | None) -> Tally:
    """The errors of one video, driven by itself. Raises `UserError` (video, image) where it cannot be."""
    size = animator.frame_size
    if video.path.is_dir():
        paths = pictures_in(video.path)
        frames, some = (map(_picture, chosen) for chosen in (paths, paths[:: math.ceil(len(paths) / LOOKS)]))
        fps = _PICTURES_FPS
    else:
        reader = VideoReader(video.path)
        frames, some, fps = iter(reader), reader.sparse(LOOKS), reader.fps

    def seen(frame: np.ndarray) -> np.ndarray:
        # Copied, for torch warns of the reader's frames, which nobody may write to.
        return resized_image(frame.copy(), size, antialias=True)

    tally = Tally()
    frames = (seen(frame) for frame in frames)
    with closing(frames), _film(film, fps) as show:
        first = next(frames)
        square = animator.look(np.stack([first, *map(seen, some)])) if animator.head else WHOLE
        for batch in driven(animator, first, chain([first], frames), square):
            tally.add_pictures(batch)
            show(batch)
        if tally.frames < 2:
            raise UserError("video", f"{video.path} has one frame only.", "Choose a longer video.")
    return tally


def _picture(path: Path) -> np.ndarray:
    return as_seen(read_painting(path))


def _of_clip(animator: Animator, clip: dict[str, Tensor], film: Path | None) -> Tally:
    """The errors of one rendered clip: every frame driven by every other."""
    size = animator.frame_size
    frames = [resized_image(image.permute(1, 2, 0).numpy(), size, antialias=True) for image in clip["images"]]
    square, tally = animator.look(np.stack(frames)), Tally()
    with _film(film, _POSES_FPS) as show:
        for s, source in enumerate(frames):
            others = [d for d in range(len(frames)) if d != s]
            for batch in driven(animator, source, (frames[d] for d in others), square):
                d, others = others[: len(batch.driving)], others[len(batch.driving) :]
                face, visible = clip["face"][d].float(), clip["visible"][d, s].float()
                tally.add_pictures(batch, face, visible)
                tally.add_motion(batch, clip["landmarks"][d], clip["flow"][d, s], visible, face)
                show(batch)
    return tally


@contextmanager
def _film(path: Path | None, fps: float) -> Iterator[Callable[[Driven], None]]:
    """Takes what is to be seen in the film `path`: source, driving and prediction side by side."""
    if path is None:
        yield lambda batch: None
        return
    index = count(1)
    with MovieWriter(path, fps, lambda *_: None) as writer:

        def show(batch: Driven) -> None:
            for driving, prediction in zip(batch.driving, batch.prediction.image, strict=True):
                writer.write(next(index), np.concatenate([batch.source, driving, prediction], axis=1))

        yield show


def _colours(images: np.ndarray) -> Tensor:
    """(…,S,S,3) uint8 as …xSxSx3 in [0, 1]."""
    return torch.from_numpy(images).float() / 255
