"""What of a picture the keypoint detector looks at, and where in the whole its keypoints then are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fomm_core import driving, framing, heads
from fomm_core.animator import Animator
from fomm_core.framing import WHOLE, Square
from fomm_core.media import VideoReader
from fomm_core.network import Keypoints
from fomm_core.network.layers import coordinate_grid

NAMES = list(heads.PLACES)[-10:]  # nose, mouth, lips, chin, jaw, ears and forehead
SQUARE = Square(-0.2, 0.1, 0.6)


@st.composite
def squares(draw) -> Square:
    half = draw(st.floats(0.2, 0.95))
    x, y = (draw(st.floats(half - 1, 1 - half)) for _ in range(2))
    return Square(x, y, half)


@given(squares())
def test_what_is_found_in_a_square_is_placed_where_it_is_in_the_whole(square):
    size = 33
    image = coordinate_grid(size, size, torch.ones(())).permute(2, 0, 1)[
        None
    ]  # tells of each pixel where it is
    inner = coordinate_grid(size, size, image).reshape(1, -1, 2)
    turn = torch.tensor([[1.0, 0.5], [0.0, 2.0]]).expand(1, size * size, 2, 2)
    found = framing.placed(Keypoints(inner, turn), square)
    shown = framing.cut(image, square).flatten(2).mT
    assert (shown - found.value).abs().max() < 1e-5
    # Where a keypoint's surroundings are shown larger, its Jacobian is larger by as much.
    assert torch.allclose(found.jacobian, turn * square.half)


def test_the_whole_is_left_as_it_is():
    image = torch.rand(1, 3, 8, 8)
    found = Keypoints(torch.rand(1, 2, 2), None)
    assert framing.cut(image, WHOLE) is image
    assert framing.placed(found, WHOLE) is found
    assert framing.placed(found, SQUARE).jacobian is None


@given(st.integers(1, 5), st.floats(0.05, 0.6), st.floats(0, 0.4), st.integers(0, 10_000))
def test_a_square_holds_the_head_of_all_frames(frames, size, way, seed):
    rng = np.random.default_rng(seed)
    head = rng.normal(0, size, (1, 1, 12, 2))
    points = torch.from_numpy(head + rng.uniform(-way, way, (1, frames, 1, 2)))
    x, y, half = framing.around(points)[0].tolist()
    assert (points - torch.tensor([x, y])).abs().max() <= half + 1e-6
    # As long as the head hardly moves, all squares show it at one size.
    spread = float((points - points.mean(2, keepdim=True)).square().sum(-1).mean().sqrt())
    assert half >= framing.REACH * spread - 1e-6
    square = framing.within_picture(torch.tensor([x, y, half]))
    if half > framing.WORTHWHILE:
        assert square == WHOLE
    else:
        assert square.half == pytest.approx(half)
        assert max(abs(square.x), abs(square.y)) <= 1 - square.half + 1e-6


@given(squares())
def test_the_detector_looks_twice_about_the_square(square):
    looks = framing.looks(square)
    assert np.mean(looks, axis=0) == pytest.approx(square)
    assert {look.half for look in looks} == {square.half}
    (first, second) = (np.array(look[:2]) for look in looks)
    assert second - first == pytest.approx([2 * framing.APART * square.half] * 2)
    assert framing.looks(WHOLE) == [WHOLE]


def test_keypoints_are_the_mean_of_what_each_look_finds(named, picture):
    images = picture(64, 64)[None]
    shown = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    value, jacobian = named.detect(images, SQUARE)
    with torch.inference_mode():
        each = [
            framing.placed(named._network.detect(framing.cut(shown, look)), look)
            for look in framing.looks(SQUARE)
        ]
    assert np.abs(np.array(each[0].value - each[1].value)).max() > 1e-3
    assert np.abs(value - np.mean([one.value.numpy() for one in each], axis=0)).max() < 1e-5
    assert np.abs(jacobian - np.mean([one.jacobian.numpy() for one in each], axis=0)).max() < 1e-5


def test_a_mean_of_motions_that_do_not_turn_does_not_turn():
    assert framing.mean([Keypoints(torch.rand(1, 2, 2), None)] * 2).jacobian is None


@pytest.fixture
def named(model):
    """An animator whose keypoints have names, and lie where those of a head do once that is asked for."""
    model.metadata["landmarks"] = ",".join(NAMES)
    return Animator(model, "cpu")


def head_at(x: float, y: float) -> np.ndarray:
    """(K,2) keypoints of a head that looks at us, in the middle of the picture's part around x, y."""
    places = np.array([heads.PLACES[name][:2] for name in NAMES]) - [0, 7]
    return (places * [0.3, -0.3] + [x, y]).astype(np.float32)


def test_an_animator_looks_where_the_head_is_in_all_images(named, picture, monkeypatch):
    images = np.stack([picture(64, 64), picture(64, 64, 0.1)])
    value = np.stack([head_at(-0.3, 0.1), head_at(-0.1, 0.1)])
    jacobian = np.broadcast_to(np.eye(2, dtype=np.float32), (2, 10, 2, 2))
    monkeypatch.setattr(named, "detect", lambda images: (value, jacobian))
    square = named.look(images)
    assert square.half < 0.8
    assert (np.abs(value - [square.x, square.y]) <= square.half + 1e-6).all()
    # What does not lie as on a head does not tell where one is.
    monkeypatch.setattr(named, "detect", lambda images: (value[:, ::-1].copy(), jacobian))
    assert named.look(images) == WHOLE


def test_keypoints_that_nobody_has_named_are_looked_for_in_the_whole(model, picture):
    animator = Animator(model, "cpu")
    assert animator.look(picture(64, 64)[None]) == WHOLE
    value, jacobian = animator.set_source(picture(64, 64))
    wanted = animator.detect(picture(64, 64)[None])
    assert np.array_equal(value, wanted[0][0])
    assert np.array_equal(jacobian, wanted[1][0])


def test_images_in_which_the_head_is_lost_do_not_tell_where_to_look(named):
    value = np.stack([head_at(-0.3, 0.1), head_at(0.9, 0.1)[::-1], head_at(-0.2, 0.1)])
    assert named.around(value) == named.around(value[[0, 2]])


def test_a_source_is_looked_at_where_its_head_is(named, picture, monkeypatch):
    monkeypatch.setattr(named, "look", lambda images: SQUARE)
    value, jacobian = named.set_source(picture(64, 64))
    wanted = named.detect(picture(64, 64)[None], SQUARE)
    assert np.array_equal(value, wanted[0][0])
    assert np.array_equal(jacobian, wanted[1][0])
    assert np.abs(value - named.detect(picture(64, 64)[None])[0][0]).max() > 0.01, (
        "another look, another answer"
    )


def looked(animator: Animator, monkeypatch) -> list[np.ndarray]:
    """The images of each look at the whole from here on, of which the square always is `SQUARE`."""
    seen: list[np.ndarray] = []
    plain = animator.detect
    monkeypatch.setattr(animator, "detect", lambda images: seen.append(images) or plain(images))
    monkeypatch.setattr(animator, "around", lambda value: SQUARE)
    return seen


def test_a_clip_is_looked_at_in_one_square(named, clip, events, monkeypatch):
    seen = looked(named, monkeypatch)
    video = clip(60, 64, 64)
    track = driving.detect(video, named, events.control(), "0,0,64,64")
    frames = np.stack(list(VideoReader(video)))
    monkeypatch.undo()
    value, jacobian = named.detect(frames, SQUARE)
    assert np.abs(track.value - value).max() < 1e-5
    assert np.abs(track.jacobian - jacobian).max() < 1e-5
    # That square is told by frames from all of the clip.
    (some,) = seen
    assert driving.LOOKS - 1 <= len(some) <= driving.LOOKS + 1
    nearest = [int(np.abs(frames.astype(int) - image).mean((1, 2, 3)).argmin()) for image in some]
    assert nearest == sorted(nearest)
    assert nearest[0] < 4
    assert nearest[-1] > 55


def test_the_published_way_is_to_look_at_all_of_a_frame(named, clip, events, monkeypatch):
    seen = looked(named, monkeypatch)
    driving.detect(clip(5, 64, 64), named, events.control(), "full")
    assert not seen


def test_a_model_without_names_needs_no_look(model, clip, events, monkeypatch):
    animator = Animator(model, "cpu")
    seen = looked(animator, monkeypatch)
    driving.detect(clip(5, 64, 64), animator, events.control(), "0,0,64,64")
    assert not seen


@pytest.mark.parametrize(("frames", "count"), [(5, 24), (24, 24), (100, 24), (100, 3)])
def test_a_few_frames_are_spread_over_a_video(frames, count, clip):
    reader = VideoReader(clip(frames))
    some = list(reader.sparse(count))
    assert min(frames, count) - 1 <= len(some) <= min(frames, count)
    assert len({frame.tobytes() for frame in some}) > 1
    assert len(list(reader)) == frames, "the reader itself stays as it was"


def test_a_video_that_ends_long_before_it_says_is_looked_at_in_its_first_frame(
    named, clip, events, monkeypatch
):
    video, plain = clip(3, 64, 64), VideoReader.__init__

    def long(reader, *arguments):
        plain(reader, *arguments)
        reader.estimate = 100_000

    monkeypatch.setattr(VideoReader, "__init__", long)
    reader = VideoReader(video)
    assert len(list(reader.sparse(24))) <= 1
    seen = looked(named, monkeypatch)
    assert len(driving.detect(video, named, events.control(), "0,0,64,64")) == 3
    assert np.array_equal(seen[0][0], next(iter(reader)))


def test_a_few_frames_of_a_video_of_unknown_length(clip, monkeypatch):
    reader = VideoReader(clip(50))
    monkeypatch.setattr(reader, "estimate", 0)
    assert 10 <= len(list(reader.sparse(24))) <= 24
