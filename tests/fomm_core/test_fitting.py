"""Heads are found by their keypoints, wherever they are in a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fomm_core import driving, fitting, media, models, protocol, regions, sitters
from fomm_core.animator import Animator
from fomm_core.control import Cancelled
from fomm_core.fitting import Framed, Seen
from fomm_core.regions import Region

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def starter() -> Animator:
    return Animator(models.load("starter"), "cpu")


@pytest.fixture(scope="module")
def portrait() -> Image.Image:
    """The example, of 400 pixels' height."""
    picture = Image.fromarray(media.as_seen(media.read_painting(EXAMPLES / "painting.jpg")))
    return picture.resize((round(picture.width * 400 / picture.height), 400))


@pytest.fixture(scope="module")
def three_sitters() -> np.ndarray:
    return media.as_seen(media.read_painting(EXAMPLES / "group.jpg"))


def go_on() -> None:
    pass


def landscape(width: int, height: int) -> Image.Image:
    """Clouds, of all sizes."""
    rng = np.random.default_rng(1)
    clouds = np.zeros((height, width))
    for side in (4, 16, 64):
        noise = Image.fromarray(rng.uniform(0, 85, (side, side)).astype(np.float32))
        clouds += np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC))
    return Image.fromarray(np.stack([clouds.clip(0, 255)] * 3, -1).astype(np.uint8))


@pytest.mark.parametrize("place", [(0, 0), (560, 0), (300, 180)])
@pytest.mark.parametrize("tilt", [0, 30])
def test_a_head_is_found_wherever_it_is_and_however_it_is_inclined(place, tilt, starter, portrait):
    picture = landscape(900, 600)
    square = fitting.head_in(
        np.asarray(portrait), regions.around_sitter(np.asarray(portrait)), starter
    ).square
    turned = portrait.convert("RGBA").rotate(tilt, Image.Resampling.BICUBIC, center=square[:2])
    picture.paste(turned, place, turned)
    (head,) = fitting.everywhere(np.asarray(picture), starter, go_on)
    assert head.square[:2] == pytest.approx(np.add(place, square[:2]), abs=0.1 * square.side)
    assert head.square.side == pytest.approx(square.side, rel=0.1)


def test_a_small_head_is_found_in_a_large_picture(starter, portrait):
    picture = landscape(900, 900)
    picture.paste(portrait.resize((portrait.width // 2, 200)), (500, 600))
    (head,) = fitting.everywhere(np.asarray(picture), starter, go_on)
    assert head.square.x == pytest.approx(500 + portrait.width / 4, abs=40)
    assert 600 < head.square.y < 750


def test_in_a_huge_picture_a_head_is_found_as_in_a_small_one(starter, three_sitters):
    small, large = (
        np.asarray(Image.fromarray(three_sitters).resize((1600 * n, 1000 * n), Image.Resampling.BICUBIC))
        for n in (1, 3)
    )
    found = [fitting.everywhere(picture, starter, go_on) for picture in (small, large)]
    assert len(found[0]) == 3
    for one, other in zip(*found, strict=True):
        assert np.array(other.square) == pytest.approx(3 * np.array(one.square), rel=0.02)
        assert other.keypoints == pytest.approx(3 * one.keypoints, abs=30)


def test_where_there_is_no_head_none_is_found(starter):
    assert fitting.everywhere(np.asarray(landscape(500, 400)), starter, go_on) == []
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    assert fitting.everywhere(noise, starter, go_on) == []
    assert fitting.everywhere(np.full((40, 400, 3), 90, np.uint8), starter, go_on) == []


def test_what_a_last_look_shows_to_be_no_head_is_none(starter, three_sitters, monkeypatch):
    strange = np.random.default_rng(0).uniform(0, 300, (len(starter.head.rows), 2))
    monkeypatch.setattr(fitting, "head_in", lambda *given: Seen(Framed(150, 150, 300), strange))
    assert fitting.everywhere(three_sitters, starter, go_on) == []


def test_each_of_several_is_found_once_the_largest_first(starter, three_sitters):
    heads = fitting.everywhere(three_sitters, starter, go_on)
    boxes = regions.find_faces(three_sitters)
    assert len(heads) == len(boxes) == 3
    assert all(sum(regions.overlap(head.face, box) for head in heads) == 1 for box in boxes)
    assert [head.square.side for head in heads] == sorted((h.square.side for h in heads), reverse=True)
    assert fitting.each_once([*heads, *heads[::-1]]) == heads
    assert fitting.each_once(heads[::-1]) == heads


def test_the_search_can_be_ended(starter, three_sitters):
    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        fitting.everywhere(three_sitters, starter, stop)


def test_a_model_that_knows_no_heads_finds_none(starter, three_sitters, monkeypatch):
    monkeypatch.setattr(starter, "head", None)
    assert fitting.everywhere(three_sitters, starter, go_on) == []


def head(x: float, y: float, side: float) -> Seen:
    return Seen(Framed(x, y, side), np.zeros((1, 2)))


def test_squares_keep_clear_of_other_faces_down_to_a_least():
    one, far, near, upon = head(200, 200, 200), head(700, 200, 200), head(330, 200, 200), head(230, 200, 200)
    assert fitting.apart([one, far], 1000, 400) == [Region(100, 100, 200, 200), Region(600, 100, 200, 200)]
    square, _ = fitting.apart([one, near], 1000, 400)
    assert not regions.common(square, near.face)
    assert 0.6 * 200 < square.w < 200
    assert square.x + square.w / 2 == pytest.approx(200, abs=1)
    square, _ = fitting.apart([one, upon], 1000, 400)
    assert square.w == pytest.approx(fitting.LEAST * 200, abs=1)


def test_a_sitter_whom_the_cascade_does_not_see_moves(starter, portrait):
    picture = landscape(900, 600)
    picture.paste(portrait, (560, 100))
    (region,) = sitters.moving(np.asarray(picture), [], starter)
    assert region.x > 500
    assert 560 < region.x + region.w / 2 < 560 + portrait.width


def test_everyone_moves_whom_the_cascade_does_not_see(starter, three_sitters):
    one, *rest = regions.around_sitters(three_sitters)
    assert len(rest) == 2
    assert len(sitters.moving(three_sitters, [one], starter)) == 1
    assert len(sitters.moving(three_sitters, [one], starter, everyone=True)) == 3


@pytest.mark.parametrize("boxes", [[], [Region(88, 107, 40, 40)]], ids=["no face", "a wrong one"])
def test_a_driving_head_is_found_where_the_cascade_is_wrong(boxes, starter, events, monkeypatch):
    clip = EXAMPLES / "driving.mp4"
    truth = driving.detect(clip, starter, events.control(), end=1)
    monkeypatch.setattr(regions, "find_face", lambda frame: boxes[0] if boxes else None)
    monkeypatch.setattr(driving, "DETECTION", f"of {boxes}")  # not the track that is kept
    track = driving.detect(clip, starter, events.control(), end=1)
    assert not events.of(protocol.Warning)
    assert np.abs(track.value - truth.value).mean() < 0.02
