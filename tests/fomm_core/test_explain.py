"""The explanation of an animation: what stands on its sheets, and what files they become."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fomm_core import cli, driving, explain, job, media, models, protocol, sheet
from fomm_core.animator import Animator
from fomm_core.control import Cancelled
from fomm_core.drawing import keypoint_colours
from fomm_core.errors import UserError

SOURCE, DRIVING, TRANSFERRED, DEFORMED, PREDICTION, OCCLUSION, MASKS = range(7)
# The tiny model's own size: its pictures are then on the sheet as they are.
TILE = 64


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(sheet, "TILE", TILE)
    monkeypatch.setattr(sheet, "MASK", 32)


@pytest.fixture
def explained(request_of, events, tmp_path):
    """`explained(video, name, frame, …)`: the finished file."""

    def make(video: Path, name: str = "e.png", frame: int | None = None, **changes) -> Path:
        request = request_of(video, output=str(tmp_path / name), **changes)
        done = explain.run(request, events.control(), frame)
        assert done.path == request.output
        return Path(done.path)

    return make


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def tile(picture: np.ndarray, column: int) -> np.ndarray:
    """One of the pictures of a sheet's first row."""
    x, y = sheet.MARGIN + column * (TILE + sheet.GAP), sheet.MARGIN + 2 * sheet.LINE
    return picture[y : y + TILE, x : x + TILE]


def frames_of(movie: Path) -> list[np.ndarray]:
    return list(media.VideoReader(movie))


def test_the_sheet_shows_what_the_networks_say(request_of, clip, events, explained, model_file):
    video = clip(8)
    picture = pixels(explained(video, frame=5))
    request = request_of(video)
    animator = Animator(models.load(str(model_file)), "cpu")
    scene = job.prepare(request, media.read_painting(Path(request.painting)), animator, events.control())
    (sitter,) = scene.sitters
    (prediction,) = animator.animate(sitter.value[5:6], sitter.jacobian[5:6])
    assert (tile(picture, PREDICTION) == prediction.image[0]).all()
    occlusion = np.asarray(
        Image.fromarray(np.rint(prediction.occlusion[0] * 255).astype(np.uint8)).resize(
            (TILE, TILE), Image.Resampling.BILINEAR
        )
    )
    assert np.abs(tile(picture, OCCLUSION).astype(int) - occlusion[..., None]).max() <= 1
    (mask,) = animator.masks(sitter.value[5:6], sitter.jacobian[5:6])
    colours = np.concatenate([sheet.GREY, keypoint_colours(10)]).astype(float)
    mixed = (mask[0][..., None] * colours[:, None, None]).sum(0)
    assert np.abs(tile(picture, MASKS).mean((0, 1)) - mixed.mean((0, 1))).max() < 2
    # Without the few pixels of their dots, source and driving are the pictures the model saw.
    dots = (tile(picture, SOURCE) != sitter.source).any(-1)
    assert 0.02 < dots.mean() < 0.35
    driving = list(media.VideoReader(video))[5]
    assert (np.abs(tile(picture, DRIVING).astype(int) - driving).max(-1) == 0).mean() > 0.6


def test_each_mask_is_seen_in_its_keypoints_colour(monkeypatch, clip, explained):
    """Masks in which the background has the left half, and keypoint 3 the right."""

    def halves(self, value, jacobian):
        masks = np.zeros((len(value), 11, 16, 16), np.float32)
        masks[:, 0, :, :8] = masks[:, 4, :, 8:] = 1
        yield masks

    monkeypatch.setattr(Animator, "masks", halves)
    picture = pixels(explained(clip(2), frame=1))
    mixed = tile(picture, MASKS)
    assert (mixed[:, : TILE // 2 - 3] == sheet.GREY[0]).all()
    assert (mixed[:, TILE // 2 + 3 :] == keypoint_colours(10)[3]).all()
    below = picture[sheet.MARGIN + 2 * sheet.LINE + TILE + sheet.GAP :]
    for colour, present in (
        (sheet.GREY[0], True),
        (keypoint_colours(10)[3], True),
        (keypoint_colours(10)[7], False),
    ):
        count = (below == colour).all(-1).sum()
        assert (count > 300) == present, "the other masks are empty: no more than a dot has their colour"


def test_a_picture_has_a_row_for_each_of_a_few_frames(clip, explained):
    one = pixels(explained(clip(9), "one.png", frame=0))
    few = pixels(explained(clip(9), "few.png"))
    assert few.shape == (explain.ROWS * one.shape[0], *one.shape[1:])
    rows = np.split(few, explain.ROWS)
    assert len({row.tobytes() for row in rows}) == explain.ROWS
    jpeg = explained(clip(9), "few.JPG")
    assert Image.open(jpeg).format == "JPEG"
    assert np.abs(pixels(jpeg).astype(int) - few).mean() < 3


@pytest.mark.parametrize("suffix", ["mp4", "gif"])
def test_a_movie_has_all_frames(suffix, clip, explained):
    video = clip(7, 64, 48, 20)
    movie = frames_of(explained(video, f"e.{suffix}"))
    assert len(movie) == 7
    for number in (0, 6):
        still = pixels(explained(video, frame=number))
        found = movie[number][: still.shape[0], : still.shape[1]]
        assert np.abs(found.astype(int) - still).mean() < 6
        # Of all frames it is this one: the picture of the driving frame tells them apart.
        off = [np.abs(tile(frame, DRIVING).astype(int) - tile(still, DRIVING)).mean() for frame in movie]
        assert int(np.argmin(off)) == number


def test_a_gif_keeps_the_pace_and_repeats(clip, explained):
    with Image.open(explained(clip(6, 32, 32, 20), "e.gif")) as gif:
        assert (gif.n_frames, gif.info["duration"], gif.info["loop"]) == (6, 50, 0)


def test_absolute_motion_has_no_step_to_show(clip, explained):
    relative, absolute = (pixels(explained(clip(3), f"{m}.png", 1, motion=m)) for m in protocol.MOTIONS)
    assert relative.shape[1] - absolute.shape[1] == TILE + sheet.GAP
    assert (tile(relative, DRIVING) == tile(absolute, DRIVING)).all()


def test_a_track_in_place_of_the_video(clip, explained, request_of, model_file, events, tmp_path):
    video = clip(4)
    track = tmp_path / "t.npz"
    driving.run(
        protocol.Track("t", str(video), str(track), str(model_file), device="cpu", driving_region="full"),
        events.control(),
    )
    of_track, of_video = pixels(explained(track, "t.png", 2)), pixels(explained(video, "v.png", 2))
    assert (tile(of_track, DRIVING) == sheet.PLAIN).all(-1).mean() > 0.5
    differing = (of_track != of_video).any(-1)
    tile(differing, DRIVING)[:] = False
    assert not differing.any()


def test_settings_of_the_motion_are_heeded(clip, explained):
    """Without strength the transferred keypoints are the source's own: every frame is like the first."""
    assert pixels(explained(clip(5), strength=0.0)).shape == pixels(explained(clip(5), frame=0)).shape
    settings = {"reference_frame": "first", "smooth": 0.0}  # what is cut off has no part in smoothing
    part = pixels(explained(clip(20, fps=20), "part.png", 0, start=0.5, **settings))
    whole = pixels(explained(clip(20, fps=20), "whole.png", 10, **settings))
    assert (tile(part, DRIVING) == tile(whole, DRIVING)).all()


@pytest.mark.parametrize("name", ["e.webp", "e", "folder.png", "e.mp4/"])
def test_what_names_no_picture_or_movie_is_refused_before_anything_is_read(
    name, request_of, events, tmp_path
):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "e.mp4").mkdir()
    request = request_of(tmp_path / "none.mp4", painting="none.png", output=str(tmp_path / name))
    with pytest.raises(UserError, match=Path(name).name) as refused:
        explain.run(request, events.control())
    assert refused.value.kind == "arguments"
    assert events == []


@pytest.mark.parametrize(("name", "frame"), [("e.mp4", 0), ("e.gif", 3), ("e.png", 5), ("e.png", -1)])
def test_a_frame_that_cannot_be_shown(name, frame, clip, explained, tmp_path):
    with pytest.raises(UserError, match="frame") as refused:
        explained(clip(5), name, frame)
    assert refused.value.kind == "arguments"
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("missing", ["none.mp4", "none.npz"])
def test_a_video_that_is_not_there(missing, explained, tmp_path):
    with pytest.raises(UserError, match=f"{missing} is not there"):
        explained(tmp_path / missing)
    assert not (tmp_path / "e.png").exists()


@pytest.mark.parametrize("name", ["e.mp4", "e.gif", "e.png"])
def test_a_stopped_explanation_leaves_nothing(name, request_of, clip, events, tmp_path):
    video = clip(6)
    request = request_of(video, output=str(tmp_path / "to" / name))
    events.stop_at = lambda event: getattr(event, "stage", "") == "frames" and event.done == 2
    with pytest.raises(Cancelled):
        explain.run(request, events.control())
    assert list((tmp_path / "to").iterdir()) == []


@pytest.mark.parametrize("name", ["e.mp4", "e.gif"])
def test_a_movie_keeps_no_frame_that_is_written(name, clip, explained, monkeypatch):
    """Of the driving frames and the sheets made so far, but the last few are still in memory."""
    made, alive = [], []
    plain = sheet.Sheet.filled

    def counted(self, title, driving, *more):
        filled = plain(self, title, driving, *more)
        made.extend(map(weakref.ref, (driving, filled)))
        alive.append(sum(reference() is not None for reference in made))
        return filled

    monkeypatch.setattr(sheet.Sheet, "filled", counted)
    explained(clip(12), name)
    assert len(made) == 24
    assert max(alive) <= 5


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 5))
def test_representative_frames(seed, length, count):
    random = np.random.default_rng(seed)
    value = random.integers(-2, 3, (length, 2, 2)).astype(np.float32)  # coarse, so that frames repeat
    origin = random.normal(size=(2, 2))
    chosen = explain.representative(value, origin, count)
    different = len(np.unique(value.reshape(length, -1), axis=0))
    assert len(chosen) == min(count, different)
    assert len(np.unique(value[chosen].reshape(len(chosen), -1), axis=0)) == len(chosen)
    assert chosen == sorted(chosen)
    off = np.square(value - origin).sum((1, 2))
    assert int(off.argmin()) in chosen


def test_the_extremes_of_a_motion_are_shown():
    value = np.zeros((30, 1, 2))
    value[:, 0, 0] = np.sin(np.linspace(0, 2 * np.pi, 30))
    chosen = explain.representative(value, np.zeros((1, 2)), 3)
    assert {int(value[:, 0, 0].argmin()), int(value[:, 0, 0].argmax())} <= set(chosen)


# The command.


def test_the_command(painting, clip, model_file, tmp_path, capsys):
    output = str(tmp_path / "e.png")
    regions = ["--region", "full", "--driving-region", "full", "--device", "cpu", "--model", str(model_file)]
    assert (
        cli.main(["explain", str(painting), str(clip(3)), "--output", output, "--frame", "1", *regions]) == 0
    )
    assert capsys.readouterr() == (f"Explained: {output}\n", "")
    assert pixels(Path(output)).ndim == 3


def test_every_option_reaches_the_job(monkeypatch):
    seen = []
    monkeypatch.setattr(
        explain,
        "run",
        lambda *given: seen.append((given[0], given[2])) or protocol.Done("cli", "", 1, 1.0, 1.0),
    )
    options = (
        "--model m --config c --device cpu --motion absolute --no-adapt-scale --reference-frame 7 --strength 1.5 "
        "--region 1,2,30,40 --driving-region 5,6,70,80 --start 1 --end 2 --frame 3"
    )
    assert cli.main(["explain", "p", "v", "--output", "o.png", *options.split()]) == 0
    assert cli.main(["explain", "p", "v", "--output", "o.png"]) == 0
    expected = protocol.Job(
        "p", "v", "o.png", model="m", config="c", device="cpu", motion="absolute", adapt_scale=False,
        reference_frame="7", strength=1.5, region="1,2,30,40", driving_region="5,6,70,80", start=1.0, end=2.0,
    )  # fmt: skip
    assert seen == [(expected, 3), (protocol.Job("p", "v", "o.png"), None)]


@pytest.mark.parametrize(
    ("more", "ends", "said"),
    [
        (["--output", "o.webp"], 2, "o.webp"),
        (["--output", "o.png", "--strength", "9"], 2, "strength"),
        (["--output", "o.png"], 1, "gone.png"),
    ],
)
def test_a_failure_is_one_sentence(more, ends, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["explain", "gone.png", "gone.mp4", *more]) == ends
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err
    assert list(tmp_path.iterdir()) == []
