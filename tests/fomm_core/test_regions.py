# ruff: noqa: PT017 - what is drawn may be a region

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fomm_core import regions
from fomm_core.errors import UserError
from fomm_core.regions import Region, centred_square, check_inside, crop, parse_region, square_around

SIDES = st.integers(16, 3000)


def test_regions_in_words():
    assert parse_region("auto", "It") is None
    assert parse_region("full", "It") is None
    assert parse_region("1, 2,30,40", "It") == Region(1, 2, 30, 40)
    assert parse_region("-5,-6,30,40", "It") == Region(-5, -6, 30, 40)


@given(
    st.text() | st.sampled_from(["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1.5,2,30,40", "0,0,0,0", "0,0,-20,20"])
)
def test_what_is_no_region_gets_a_sentence(text):
    try:
        region = parse_region(text, "The region")
    except UserError as error:
        assert error.kind == "arguments"
        assert str(error).startswith("The region")
    else:
        assert region is None or min(region.w, region.h) >= 16


def test_a_region_must_show_something_and_not_be_endless():
    check_inside(Region(-10, -10, 20, 20), 100, 50, "It")
    check_inside(Region(0, -25, 100, 100), 100, 50, "It")
    for wrong in (
        Region(100, 0, 20, 20),
        Region(0, 50, 20, 20),
        Region(-20, 0, 20, 20),
        Region(0, -20, 20, 20),
        Region(0, 0, 10**9, 10**9),
        Region(0, 0, 16, 10**6),
    ):
        with pytest.raises(UserError, match="100 x 50"):
            check_inside(wrong, 100, 50, "It")


@given(SIDES, SIDES)
def test_the_centred_square_is_the_largest(width, height):
    x, y, w, h = centred_square(width, height)
    assert w == h == min(width, height)
    assert x >= 0
    assert y >= 0
    assert abs((width - w) - 2 * x) <= 1
    assert abs((height - h) - 2 * y) <= 1


@given(SIDES, SIDES, st.data())
def test_the_square_around_a_face_contains_it(width, height, data):
    side = data.draw(st.integers(8, min(width, height)))
    face = Region(
        data.draw(st.integers(0, width - side)), data.draw(st.integers(0, height - side)), side, side
    )
    x, y, w, h = square_around(face, width, height)
    assert w == h > face.w
    assert x <= face.x
    assert y <= face.y
    assert x + w >= face.x + face.w
    assert y + h >= face.y + face.h
    if w <= min(width, height):
        assert (x >= 0, y >= 0, x + w <= width, y + h <= height) == (True,) * 4
    within = square_around(face, width, height, within=True)
    assert 0 <= within.x <= within.x + within.w <= width
    assert 0 <= within.y <= within.y + within.h <= height


@given(st.integers(-60, 60), st.integers(-60, 60), st.integers(1, 80), st.integers(1, 80))
def test_crop_is_the_picture_and_its_mirror_image(x, y, w, h):
    image = np.arange(20 * 30 * 3).reshape(20, 30, 3)
    padded = np.pad(image, ((140, 140), (140, 140), (0, 0)), "symmetric")
    assert (crop(image, Region(x, y, w, h)) == padded[140 + y : 140 + y + h, 140 + x : 140 + x + w]).all()


def test_no_face_where_there_is_none(picture):
    assert regions.find_face(np.full((200, 150, 3), 128, np.uint8)) is None
    assert regions.find_face(np.zeros((16, 900, 3), np.uint8)) is None
    assert regions.find_face(picture(16, 16)) is None


@pytest.mark.parametrize(
    ("name", "box"),
    [("mona-lisa.jpg", (0.27, 0.08, 0.7, 0.5)), ("girl-with-a-pearl-earring.jpg", (0.1, 0.15, 0.8, 0.75))],
)
def test_the_sitters_face_is_found(name, box, shared):
    """`box`: in which part of the picture its middle lies."""
    with Image.open(shared / "media" / name) as file:
        image = np.asarray(file.convert("RGB"))
    face = regions.find_face(image)
    height, width = image.shape[:2]
    assert box[0] < (face.x + face.w / 2) / width < box[2]
    assert box[1] < (face.y + face.h / 2) / height < box[3]
    assert 0.15 < face.w / width < 0.8


def test_a_face_that_shows_now_and_then_is_found(monkeypatch):
    """The cascade misses faces in some frames, and sees false ones in others."""
    seen = iter([None, Region(10, 10, 50, 50), None, Region(300, 0, 20, 20), Region(12, 10, 54, 54)])
    looked = []
    monkeypatch.setattr(regions, "find_face", lambda frame: looked.append(int(frame[0])) or next(seen))
    frames = (np.array([i]) for i in range(1000))
    assert regions.find_moving_face(frames) == Region(12, 10, 50, 50)
    assert looked == [0, 8, 16, 24, 32]
    monkeypatch.setattr(regions, "find_face", lambda frame: None)
    assert regions.find_moving_face(np.array([i]) for i in range(1000)) is None
