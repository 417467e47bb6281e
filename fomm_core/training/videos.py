"""Training pairs from ordinary videos: movie files, GIFs, folders of numbered pictures.

A folder with `train/` and `test/` is taken as it is, else every fifth of the people in it is held out, by name.
What comes before a "#" in a name, as in VoxCeleb's and Tai-Chi-HD's, says who or what is shown.

A movie cannot be entered in the middle quickly, so it is decoded once, when it is first drawn, to a folder of
JPEG files at the training's size; drawing a pair then reads two small files, in any number of processes, and
nothing of a video is held in memory. The same seed draws the same pairs, in whichever process and from whichever
step on.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..errors import UserError
from ..files import replacing, writing
from ..media import VideoReader, as_seen, read_painting
from .augmentation import augmented

MOVIES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".gif")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
MOST_FRAMES = 1000  # of one movie: a longer one is thinned out evenly
_HELD_OUT = 0.2  # of the people
_STALE = 3600  # seconds after which nobody works on an unfinished folder any more
_HINT = "Put movies, GIFs or folders of frames there, or into train/ and test/ within."


@dataclass(frozen=True)
class Video:
    """A movie file, a GIF, or a folder of pictures."""

    path: Path

    @property
    def person(self) -> str:
        return self.path.stem.split("#")[0]


class Unusable(Exception):
    """A video of which no pair can be drawn, and why."""


def find_videos(data: Path) -> tuple[list[Video], list[Video]]:
    """The videos to train on and those held out. Raises `UserError` where there is none to train on.

    A single person's videos are all trained on; nothing is held out then.
    """
    if not data.is_dir():
        raise UserError("arguments", f"There is no folder {data}.", _HINT)
    if (data / "train").is_dir():
        train, test = videos_in(data / "train"), videos_in(data / "test")
    else:
        videos = videos_in(data)
        people = sorted({video.person for video in videos}, key=_scattered)
        held_out = people[: math.ceil(_HELD_OUT * len(people))] if len(people) > 1 else []
        train = [video for video in videos if video.person not in held_out]
        test = [video for video in videos if video.person in held_out]
    if not train:
        raise UserError("arguments", f"There is no video in {data}.", _HINT)
    return train, test


def _scattered(name: str) -> str:
    """A key that puts names into an order of its own, always the same."""
    return hashlib.sha256(name.encode()).hexdigest()


def videos_in(folder: Path) -> list[Video]:
    """The movies and folders of pictures in `folder`; itself, where it holds pictures instead."""
    if not folder.is_dir():
        return []
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    found = [Video(path) for path in entries if _is_movie(path) or (path.is_dir() and pictures_in(path))]
    return found or ([Video(folder)] if pictures_in(folder) else [])


def _is_movie(path: Path) -> bool:
    return path.suffix.lower() in MOVIES and path.is_file()


def pictures_in(folder: Path) -> list[Path]:
    """In the order of their numbers, whether or not these have leading zeros."""
    found = (p for p in folder.iterdir() if p.suffix.lower() in PICTURES and not p.name.startswith("."))
    return sorted(found, key=lambda path: (len(path.name), path.name))


class FrameCache:
    """Frames of videos as small picture files; decoding is done by whoever asks first.

    Args:
        folder: where decoded movies go; it is made. Processes may share it.
        size: side of the square frames in pixels; other shapes are stretched to it.

    Raises:
        UserError: the folder cannot be written, or its disk is full.
    """

    def __init__(self, folder: Path, size: int):
        self.folder, self.size = folder, size
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.glob(".*.tmp"):  # of processes that were killed
                if time.time() - path.stat().st_mtime > _STALE:
                    shutil.rmtree(path, ignore_errors=True)

    def frames(self, video: Video) -> list[Path]:
        """The video's frames as files, at least two. Raises `Unusable`."""
        marker = self._marker(video)
        if marker.is_file():
            raise Unusable(marker.read_text(encoding="utf-8").split("\n", 1)[1])
        folder = video.path
        if not folder.is_dir():
            folder = self.folder / self._key(video)
            if not folder.is_dir():
                self._decode(video, folder)
        found = pictures_in(folder)
        if len(found) < 2:
            raise self._condemned(video, "a pair needs two frames, and it has fewer")
        return found

    def read(self, video: Video, paths: list[Path]) -> Tensor:
        """Nx3xSxS uint8: these of the video's `frames`. Raises `Unusable`."""
        try:
            frames = [self._square(as_seen(read_painting(path))) for path in paths]
        except UserError as error:
            raise self._condemned(video, error.sentence) from error
        return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)

    def _condemned(self, video: Video, reason: str) -> Unusable:
        """Note, for all processes and later sittings, that no pair can be drawn of this video."""
        reason = reason.rstrip(".")
        with replacing(self._marker(video)) as temporary:
            temporary.write_text(f"{video.path.name}\n{reason}", encoding="utf-8")
        return Unusable(reason)

    def skipped(self) -> dict[str, str]:
        """Which videos have turned out to be unusable so far, by name, and why."""
        markers = sorted(self.folder.glob("*.skipped"))
        return dict(path.read_text(encoding="utf-8").split("\n", 1) for path in markers)

    def _key(self, video: Video) -> str:
        """A name for the decoded video, another one when the file or the size changes."""
        words = f"{video.path.resolve()} {self.size}"
        with contextlib.suppress(OSError):  # where it has been taken away, whoever reads it will say so
            about = video.path.stat()
            words += f" {about.st_size} {about.st_mtime_ns}"
        return f"{video.path.stem[:60]}-{hashlib.sha256(words.encode()).hexdigest()[:12]}"

    def _marker(self, video: Video) -> Path:
        return self.folder / f"{self._key(video)}.skipped"

    def _square(self, frame: np.ndarray) -> np.ndarray:
        if frame.shape[:2] == (self.size, self.size):
            return frame
        image = Image.fromarray(frame)
        return np.asarray(image.resize((self.size, self.size), Image.Resampling.LANCZOS))

    def _decode(self, video: Video, folder: Path) -> None:
        """Write the video's frames to `folder`, all or none."""
        unfinished = self.folder / f".{folder.name}.{hex(time.time_ns())[2:]}.tmp"
        try:
            with writing(folder):
                unfinished.mkdir()
                try:
                    reader = VideoReader(video.path)
                    step = math.ceil(max(1, reader.estimate) / MOST_FRAMES)
                    wanted = itertools.islice(reader, 0, MOST_FRAMES * step, step)
                    for index, frame in enumerate(wanted):
                        image = Image.fromarray(self._square(frame))
                        image.save(unfinished / f"{index:04d}.jpg", quality=95, subsampling=0)
                except UserError as error:
                    raise self._condemned(video, error.sentence) from error
                if not folder.is_dir():
                    unfinished.rename(folder)
        except UserError:
            if not folder.is_dir():  # else another process was quicker by a moment
                raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


class VideoPairs(Dataset):
    """Pairs of two frames of the same video, without end: `pairs[number]` for any number from 0.

    An epoch shows every video `num_repeats` times, or with `id_sampling` every person, a random one of their
    videos each time, in random order. A video that turns out to be unusable is replaced by another one.

    Args:
        videos: to draw from, at least one.
        cache: of their frames.
        augmentation: `augmentation_params`, or empty.

    Raises:
        UserError: no pair can be drawn of any of the videos.
    """

    def __init__(
        self,
        videos: list[Video],
        cache: FrameCache,
        *,
        num_repeats: int = 1,
        id_sampling: bool = False,
        augmentation: dict | None = None,
        seed: int = 0,
    ):
        self.videos, self.cache, self.seed = videos, cache, seed
        self.num_repeats, self.augmentation = num_repeats, augmentation or {}
        groups: dict[object, list[Video]] = {}
        for video in videos:
            groups.setdefault(video.person if id_sampling else video, []).append(video)
        self.groups = list(groups.values())
        self._require_one()

    def __len__(self) -> int:
        """Pairs in an epoch."""
        return len(self.groups) * self.num_repeats

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        """Source and driving frame, 3xSxS uint8. Raises `UserError` where none can be read any more."""
        group = self._turn(*divmod(number, len(self.groups)))
        rng = np.random.default_rng([self.seed, number])
        chosen = group[rng.integers(len(group))]
        for video in itertools.chain([chosen], self._others(rng)):
            try:
                frames = self._pair(video, np.random.default_rng([self.seed, number, 1]))
            except Unusable:
                continue
            return frames[0], frames[1]
        raise self._none()

    def _pair(self, video: Video, rng: np.random.Generator) -> Tensor:
        paths = self.cache.frames(video)
        first, second = sorted(rng.choice(len(paths), 2, replace=False).tolist())
        frames = self.cache.read(video, [paths[first], paths[second]])
        if self.augmentation:
            frames = (augmented(frames / 255, self.augmentation, rng) * 255).round().byte()
        return frames

    def _turn(self, round_: int, place: int) -> list[Video]:
        """Whose turn it is: in every round each comes once."""
        return self.groups[np.random.default_rng([self.seed, round_, 2]).permutation(len(self.groups))[place]]

    def _others(self, rng: np.random.Generator) -> Iterator[Video]:
        yield from (self.videos[i] for i in rng.permutation(len(self.videos)))

    def _require_one(self) -> None:
        for video in self.videos:
            try:
                self.cache.frames(video)
            except Unusable:
                continue
            return
        raise self._none()

    def _none(self) -> UserError:
        name, reason = next(iter(self.cache.skipped().items()), (self.videos[0].path.name, "gone"))
        return UserError(
            "arguments",
            f"No pair of frames can be drawn of any video in {self.videos[0].path.parent}; {name}: {reason}.",
            _HINT,
        )

    def shown(self, count: int) -> tuple[Tensor, Tensor]:
        """Sources and driving frames, Nx3xSxS in [0, 1], unvaried, of the first `count` usable videos."""
        pairs: list[Tensor] = []
        for video in self.videos:
            if len(pairs) == count:
                break
            try:
                paths = self.cache.frames(video)
                pairs.append(self.cache.read(video, [paths[0], paths[len(paths) // 2]]))
            except Unusable:
                continue
        frames = torch.stack(pairs) / 255
        return frames[:, 0], frames[:, 1]


def batches(
    pairs: VideoPairs, size: int, *, first: int = 0, workers: int = 0, rank: int = 0, world: int = 1
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of sources and driving frames, Bx3xSxS uint8, without end.

    Args:
        size: pairs in a batch, over all of `world` processes; each gets its share.
        first: the batch to begin with: those before it need not be drawn to go on from there.
        workers: processes that read ahead, two batches each; without any, reading waits for training.

    Raises:
        UserError: as `VideoPairs`, and what `FrameCache` raises.
    """
    share = size // world
    loader = DataLoader(
        _Drawn(pairs),
        batch_sampler=_Numbers(pairs, size, first, slice(rank * share, (rank + 1) * share)),
        num_workers=workers,
        collate_fn=_collated,
    )
    for batch in loader:
        if isinstance(batch[0], str):
            raise UserError(*batch)
        yield batch


def epoch_length(pairs: VideoPairs, size: int) -> int:
    """Batches of `size` pairs in an epoch, at least one; pairs that fill no batch are left out."""
    return max(1, len(pairs) // size)


@dataclass
class _Numbers:
    """The numbers of the pairs of each batch, from the batch `first` on without end."""

    pairs: VideoPairs
    size: int
    first: int
    share: slice

    def __iter__(self) -> Iterator[list[int]]:
        length, per_epoch = len(self.pairs), epoch_length(self.pairs, self.size)
        for batch in itertools.count(self.first):
            epoch, place = divmod(batch, per_epoch)
            within = range(place * self.size, (place + 1) * self.size)[self.share]
            yield [epoch * length + place % length for place in within]


@dataclass
class _Drawn(Dataset):
    """The pairs; instead of one that fails, the words of its `UserError`, which cannot leave a process whole."""

    pairs: VideoPairs

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor] | tuple[str, str, str]:
        try:
            return self.pairs[number]
        except UserError as error:
            return error.kind, error.sentence, error.hint


def _collated(samples: list[tuple]) -> tuple:
    failure = next((sample for sample in samples if isinstance(sample[0], str)), None)
    return failure or tuple(torch.stack(part) for part in zip(*samples, strict=True))
