"""Training data from ordinary videos: what is found, how pairs are drawn, and what bad files do."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fomm_core.errors import UserError
from fomm_core.training import videos
from fomm_core.training.augmentation import augmented
from fomm_core.training.videos import (
    FrameCache,
    Video,
    VideoPairs,
    batches,
    epoch_length,
    find_videos,
)

SIZE = 32


@pytest.fixture
def write_movie(ffmpeg, tmp_path):
    """`write_movie(path, colour, frames, size, fps)`: a movie whose frames get brighter, of one colour channel."""

    def write(path: Path, channel: int, frames: int = 6, size: str = "48x32", fps: int = 10) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        width, height = map(int, size.split("x"))
        raw = tmp_path / "raw.rgb"
        with open(raw, "wb") as file:
            for i in range(frames):
                picture = np.full((height, width, 3), 20, np.uint8)
                picture[..., channel] = 60 + 30 * i
                file.write(picture.tobytes())
        ffmpeg("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", fps, "-i", raw, path)
        return path

    return write


@pytest.fixture
def write_sequence():
    """The same as a folder of pictures, numbered without leading zeros."""

    def write(folder: Path, channel: int, frames: int = 6, side: int = 24) -> Path:
        folder.mkdir(parents=True)
        for i in range(frames):
            picture = np.full((side, side, 3), 20, np.uint8)
            picture[..., channel] = min(255, 60 + 15 * i)
            Image.fromarray(picture).save(folder / f"{i + 1}.png")
        return folder

    return write


@pytest.fixture
def cache(tmp_path) -> FrameCache:
    return FrameCache(tmp_path / "cache", SIZE)


def channel_of(frames: torch.Tensor) -> int:
    """Which colour channel the 3xSxS frame is of."""
    return int(frames.float().mean((1, 2)).argmax())


def names(found: list[Video]) -> list[str]:
    return [video.path.name for video in found]


# --- what is found ----------------------------------------------------------------------------------


def test_movies_gifs_and_folders_of_pictures_are_found_and_other_files_are_not(
    tmp_path, write_movie, write_sequence
):
    data = tmp_path / "data"
    write_movie(data / "train" / "a.mp4", 0)
    write_movie(data / "train" / "B.MOV", 1)
    write_movie(data / "train" / "c.gif", 2)
    write_sequence(data / "train" / "d.mp4", 0)  # the published folders of frames have such names
    write_sequence(data / "test" / "held out", 1)
    (data / "train" / "notes.txt").write_text("no video")
    (data / "train" / "empty").mkdir()
    (data / "train" / ".hidden.mp4").write_bytes(b"")
    train, test = find_videos(data)
    assert names(train) == ["B.MOV", "a.mp4", "c.gif", "d.mp4"]
    assert names(test) == ["held out"]


def test_without_train_and_test_people_are_held_out_by_name(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for person, take in itertools.product(range(10), range(3)):
        (data / f"id{person}#take{take}.mp4").touch()
    train, test = find_videos(data)
    assert len(train) == 24
    assert len(test) == 6
    assert not {video.person for video in train} & {video.person for video in test}
    (data / "id3#another.mp4").touch()
    again = find_videos(data)
    assert set(names(train)) <= set(names(again[0]))
    assert set(names(test)) <= set(names(again[1]))


def test_pictures_right_in_the_folder_are_one_video(tmp_path, write_sequence):
    data = write_sequence(tmp_path / "data", 0)
    assert find_videos(data) == ([Video(data)], [])


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_without_videos_is_refused(tmp_path, there):
    data = tmp_path / "data"
    if there:
        (data / "train").mkdir(parents=True)
        (data / "notes.txt").touch()
    with pytest.raises(UserError, match="data") as failure:
        find_videos(data)
    assert failure.value.kind == "arguments"


# --- pairs ------------------------------------------------------------------------------------------


def test_a_pair_is_two_frames_of_one_video_whatever_their_sizes_and_rates(
    tmp_path, cache, write_movie, write_sequence
):
    data = tmp_path / "data"
    write_movie(data / "a.mp4", 0, size="48x32", fps=10)
    write_movie(data / "b.webm", 1, size="64x96", fps=30)
    write_sequence(data / "c", 2, frames=11)
    pairs = VideoPairs(videos.videos_in(data), cache, num_repeats=4)
    assert len(pairs) == 12
    seen = []
    for number in range(12):
        source, driving = pairs[number]
        assert source.shape == driving.shape == (3, SIZE, SIZE)
        assert source.dtype == torch.uint8
        assert channel_of(source) == channel_of(driving)
        # Without time flip the source comes first: these videos brighten.
        assert driving.float().mean() > source.float().mean() + 2
        seen.append(channel_of(source))
    assert sorted(seen) == [0] * 4 + [1] * 4 + [2] * 4


def test_with_id_sampling_every_person_counts_once(tmp_path, cache, write_sequence):
    data = tmp_path / "data"
    for take in range(4):
        write_sequence(data / f"anna#{take}", 0)
    write_sequence(data / "ben#0", 1)
    found = videos.videos_in(data)
    every = VideoPairs(found, cache)
    people = VideoPairs(found, cache, id_sampling=True, num_repeats=6)
    assert (len(every), len(people)) == (5, 12)
    assert [channel_of(people[n][0]) for n in range(12)].count(1) == 6


def test_the_same_seed_draws_the_same_and_another_epoch_something_else(tmp_path, cache, write_movie):
    found = [Video(write_movie(tmp_path / "data" / f"{c}.mp4", c)) for c in range(3)]
    flips = {"flip_param": {"horizontal_flip": True, "time_flip": True}, "jitter_param": {"hue": 0.1}}

    def drawn(numbers, **options) -> torch.Tensor:
        pairs = VideoPairs(found, cache, num_repeats=2, augmentation=flips, **options)
        return torch.stack([torch.stack(pairs[n]) for n in numbers])

    epoch = drawn(range(6))
    assert torch.equal(epoch, drawn(reversed(range(6))).flip(0))
    assert not torch.equal(epoch, drawn(range(6), seed=1))
    assert not torch.equal(epoch, drawn(range(6, 12)))


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_go_on_from_any_step_and_are_shared_between_processes(
    tmp_path, cache, write_sequence, workers
):
    found = [Video(write_sequence(tmp_path / "data" / str(c), c)) for c in range(3)]
    pairs = VideoPairs(found, cache, num_repeats=3)
    assert epoch_length(pairs, 4) == 2

    def drawn(count: int, **options) -> list[torch.Tensor]:
        taken = itertools.islice(batches(pairs, 4, workers=workers, **options), count)
        return [torch.stack(batch, 1) for batch in taken]

    whole = drawn(5)
    assert all(batch.shape == (4, 2, 3, SIZE, SIZE) for batch in whole)
    late = drawn(2, first=3)
    assert all(torch.equal(a, b) for a, b in zip(whole[3:], late, strict=True))
    halves = [drawn(2, rank=rank, world=2) for rank in range(2)]
    for batch, first, second in zip(whole, *halves):
        assert torch.equal(batch, torch.cat([first, second]))


def test_a_batch_may_be_larger_than_an_epoch(tmp_path, cache, write_sequence):
    pairs = VideoPairs([Video(write_sequence(tmp_path / "only", 1))], cache)
    source, driving = next(batches(pairs, 5))
    assert source.shape == driving.shape == (5, 3, SIZE, SIZE)


# --- bounded memory and disk ------------------------------------------------------------------------


def test_a_movie_is_decoded_once_and_only_when_it_is_drawn(tmp_path, cache, write_movie, monkeypatch):
    found = [Video(write_movie(tmp_path / "data" / f"{c}.mp4", c)) for c in range(3)]
    opened = []
    reader = videos.VideoReader
    monkeypatch.setattr(videos, "VideoReader", lambda path: opened.append(path.name) or reader(path))
    pairs = VideoPairs(found, cache, num_repeats=4)
    assert len(opened) == 1  # that there is one at all
    for number in range(24):
        pairs[number]
    assert sorted(opened) == ["0.mp4", "1.mp4", "2.mp4"]
    assert not [path.name for path in cache.folder.iterdir() if path.name.startswith(".")]


def test_a_long_movie_is_thinned_out_evenly(tmp_path, cache, write_movie, monkeypatch):
    monkeypatch.setattr(videos, "MOST_FRAMES", 5)
    video = Video(write_movie(tmp_path / "data" / "long.mp4", 0, frames=7, fps=7))
    paths = cache.frames(video)
    levels = [float(cache.read(video, [path]).float()[:, 0].mean()) for path in paths]
    assert len(paths) == 4  # every second of seven
    assert np.diff(levels).min() > 40  # two steps of 30 each, but for what compression takes


def test_drawing_keeps_nothing_of_thevideos_in_memory(tmp_path, cache, write_sequence):
    import tracemalloc

    found = [Video(write_sequence(tmp_path / "data" / str(c), c % 3, frames=8)) for c in range(6)]
    pairs = VideoPairs(found, cache, num_repeats=50)
    for number in range(12):  # what is made once and kept: codecs, modules
        pairs[number]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(12, 112):
            pairs[number]
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 3 * SIZE * SIZE * 10  # ten frames, of two hundred that were read


# --- bad data ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["corrupt", "one frame", "sound", "damaged picture"])
def test_a_video_that_cannot_be_used_is_skipped_and_named(
    tmp_path, cache, write_movie, write_sequence, ffmpeg, fault
):
    data = tmp_path / "data"
    write_movie(data / "good.mp4", 1)
    if fault == "corrupt":
        (data / "bad.mp4").write_bytes(b"\0" * 500)
    elif fault == "one frame":
        write_movie(data / "bad.mp4", 0, frames=1)
    elif fault == "sound":
        ffmpeg("-f", "lavfi", "-i", "sine=d=0.2", "-c:a", "aac", data / "bad.mp4")
    else:
        for path in write_sequence(data / "bad.mp4", 0, frames=2).iterdir():
            path.write_bytes(path.read_bytes()[:60])
    pairs = VideoPairs(videos.videos_in(data), cache, num_repeats=3)
    assert {channel_of(pairs[number][0]) for number in range(6)} == {1}
    skipped = cache.skipped()
    assert set(skipped) == {"bad.mp4"}
    assert len(skipped["bad.mp4"]) > 20
    source, _ = pairs.shown(4)
    assert len(source) == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_where_no_video_can_be_used_one_is_named(tmp_path, cache, write_sequence, workers):
    data = tmp_path / "data"
    write_sequence(data / "short", 0, frames=1)
    (data / "torn.mp4").write_bytes(b"\0" * 500)
    with pytest.raises(UserError, match=r"short: .*two frames[^.]*\. Put movies") as failure:
        VideoPairs(videos.videos_in(data), cache)
    assert failure.value.kind == "arguments"

    # The last good one may be taken away while one trains.
    good = write_sequence(data / "good", 1)
    pairs = VideoPairs(videos.videos_in(data), cache, num_repeats=5)
    for path in good.iterdir():
        path.unlink()
    with pytest.raises(UserError, match="No pair of frames"):
        next(batches(pairs, 2, workers=workers))


def test_a_full_disk_is_told_of_and_leaves_no_half_decoded_movie(tmp_path, cache, write_movie, monkeypatch):
    video = Video(write_movie(tmp_path / "data" / "a.mp4", 0))
    save = Image.Image.save

    def full(image, path, **options):
        if Path(path).stem == "0003":
            raise OSError(28, "No space left on device")
        save(image, path, **options)

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(UserError) as failure:
        cache.frames(video)
    assert failure.value.kind == "disk_full"
    assert list(cache.folder.iterdir()) == []
    monkeypatch.undo()
    assert len(cache.frames(video)) == 6


# --- augmentation -----------------------------------------------------------------------------------


@pytest.fixture
def frames() -> torch.Tensor:
    rough = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(4))
    return torch.nn.functional.interpolate(rough, size=(24, 24), mode="bilinear")


def varied(frames: torch.Tensor, params: dict, count: int = 24) -> list[torch.Tensor]:
    return [augmented(frames, params, np.random.default_rng(seed)) for seed in range(count)]


@pytest.mark.parametrize("name", ["horizontal_flip", "time_flip"])
def test_flips_happen_half_of_the_time(frames, name):
    mirrored = frames.flip(3 if name == "horizontal_flip" else 0)
    found = varied(frames, {"flip_param": {name: True}}, 40)
    flipped = [torch.equal(pair, mirrored) for pair in found]
    assert all(is_flipped or torch.equal(pair, frames) for pair, is_flipped in zip(found, flipped))
    assert 10 < sum(flipped) < 30


@pytest.mark.parametrize(
    "params",
    [
        {"jitter_param": {"brightness": 0.1, "contrast": 0.1, "saturation": 0.1, "hue": 0.1}},
        {"jitter_param": {"hue": 0.5}},
        {"resize_param": {"ratio": [0.9, 1.1]}, "crop_param": {"size": [24, 24]}},
        {"resize_param": {"ratio": [0.5, 0.6]}},
        {"rotation_param": {"degrees": 20}},
    ],
    ids=["colours", "hue", "resize and crop", "resize", "rotation"],
)
def test_both_frames_are_varied_alike_and_keep_their_size(frames, params):
    same = frames[:1].expand(2, -1, -1, -1)
    found = varied(same, params)
    for pair in found:
        assert pair.shape == same.shape
        assert pair.min() >= 0
        assert pair.max() <= 1
        torch.testing.assert_close(pair[0], pair[1])
    changes = [(pair - same).abs().mean().item() for pair in found]
    assert np.median(changes) > 0.005
    assert len({round(change, 6) for change in changes}) >= 3  # not always by the same


def test_colour_jitter_does_what_its_name_says(frames):
    frames = 0.3 + 0.4 * frames  # far enough from black and white

    def spread(pair: torch.Tensor) -> torch.Tensor:  # of the colours around their grey
        return (pair - pair.mean(1, keepdim=True)).abs().mean()

    for pair in varied(frames, {"jitter_param": {"brightness": 0.2}}):
        ratio = pair / frames
        torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio))
        assert 0.8 <= ratio.mean() <= 1.2
    for pair in varied(frames, {"jitter_param": {"contrast": 0.2}}):
        assert 0.8 <= pair.std() / frames.std() <= 1.2
    for pair in varied(frames, {"jitter_param": {"saturation": 0.2}}):
        assert 0.79 <= spread(pair) / spread(frames) <= 1.21
    luma = torch.tensor([0.299, 0.587, 0.114])
    for pair in varied(frames, {"jitter_param": {"hue": 0.05}}):
        wanted = torch.einsum("c,bchw->bhw", luma, frames)
        torch.testing.assert_close(torch.einsum("c,bchw->bhw", luma, pair), wanted, atol=0.02, rtol=0)


def test_a_rotation_turns_around_the_middle(frames):
    spot = torch.zeros(2, 3, 33, 33)
    spot[:, :, 16, 26] = 1
    turned = augmented(spot, {"rotation_param": {"degrees": [90, 90]}}, np.random.default_rng(0))
    y, x = divmod(int(turned[0, 0].argmax()), 33)
    assert x == 16
    assert abs(y - 16) == 10
