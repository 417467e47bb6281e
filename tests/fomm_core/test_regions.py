# ruff: noqa: PT017 - what is drawn may be a region

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fomm_core import regions
from fomm_core.errors import UserError
from fomm_core.regions import Region, centred_square, check_inside, crop, parse_region, square_around

SIDES = st.integers(16, 3000)
EXAMPLES = Path(__file__).parents[2] / "examples"


def test_regions_in_words():
    assert parse_region("auto", "It") is None
    assert parse_region("full", "It") is None
    assert parse_region("1, 2,30,40", "It") == Region(1, 2, 30, 40)
    assert parse_region("-5,-6,30,40", "It") == Region(-5, -6, 30, 40)


@given(
    st.text()
    | st.sampled_from(
        ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1.5,2,30,40", "0,0,0,0", "0,0,1,90", "0,0,-20,20"]
    )
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


@pytest.fixture(scope="module")
def sitter() -> Image.Image:
    """A square with one face in it, 0.49 of its side wide and a little above its middle."""
    with Image.open(EXAMPLES / "painting.jpg") as file:
        return file.convert("RGB").crop((30, 50, 730, 750))


def is_face(face: Region, x: int, y: int, side: int) -> bool:
    """Whether `face` is that of a sitter pasted at (x, y), so many pixels large."""
    off = max(abs(face.x + face.w / 2 - x - 0.49 * side), abs(face.y + face.h / 2 - y - 0.44 * side))
    return off < 0.1 * side and 0.35 * side < face.w < 0.65 * side


def test_no_face_where_there_is_none(picture):
    for nothing in (
        np.full((200, 150, 3), 128, np.uint8),
        np.zeros((16, 900, 3), np.uint8),
        np.zeros((900, 16, 3), np.uint8),
        np.zeros((200, 4000, 3), np.uint8),
        picture(16, 16),
    ):
        assert regions.find_faces(nothing) == []
        assert regions.find_face(nothing) is None
        assert regions.around_sitters(nothing) == []


def test_a_pattern_that_the_cascade_takes_for_a_face_once_is_none(sitter):
    """In the demo's painting it also hits a corner of the hair, and the face several times."""
    image = np.asarray(Image.open(EXAMPLES / "painting.jpg"))
    size = [round(side * regions.SEARCH_SIDE / 1200) for side in (900, 1200)]
    small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    assert len(regions._hits(small, 48, min(size), 1.15)) > 1
    (face,) = regions.find_faces(image)
    assert is_face(face, 30, 50, 700)


def test_ten_faces_largest_first(sitter):
    group = Image.new("RGB", (1600, 400), (90, 80, 70))
    sides = [200, 192, 184, 176, 196, 188, 180, 172, 168, 164]
    places = [(i % 5 * 320 + 40, i // 5 * 200) for i in range(10)]
    for side, place in zip(sides, places, strict=True):
        group.paste(sitter.resize((side, side)), place)
    faces = regions.find_faces(np.asarray(group))
    assert len(faces) == 10
    assert [face.w for face in faces] == sorted((face.w for face in faces), reverse=True)
    for side, place in zip(sides, places, strict=True):
        assert sum(is_face(face, *place, side) for face in faces) == 1


def test_small_faces_in_a_large_picture(sitter):
    picture = Image.new("RGB", (3000, 2000), (70, 60, 50))
    for place in ((500, 700), (1800, 600)):
        picture.paste(sitter.resize((280, 280)), place)
    faces = regions.find_faces(np.asarray(picture))
    assert len(faces) == 2
    assert all(any(is_face(face, *place, 280) for face in faces) for place in ((500, 700), (1800, 600)))


@pytest.mark.parametrize("side", [110, 400])
def test_the_largest_face_alone(side, sitter, monkeypatch):
    """A small one is found, too; where there is a large one, nobody looks for those that are smaller still."""
    sizes, hits = [], regions._hits
    monkeypatch.setattr(regions, "_hits", lambda image, *about: sizes.append(about[0]) or hits(image, *about))
    picture = Image.new("RGB", (640, 640), (70, 60, 50))
    picture.paste(sitter.resize((side, side)), (100, 150))
    assert is_face(regions.find_face(np.asarray(picture)), 100, 150, side)
    assert (regions.LEAST_FACE in sizes) == (side == 110)


@pytest.mark.parametrize("size", [(6000, 300), (300, 6000)])
def test_a_panorama_of_20_to_1(size, sitter):
    """At a long side of 640 its face would be of ten pixels."""
    panorama = Image.new("RGB", size, (120, 110, 90))
    place = (4000, 60) if size[0] > size[1] else (60, 4000)
    panorama.paste(sitter.resize((200, 200)), place)
    (face,) = regions.find_faces(np.asarray(panorama))
    assert is_face(face, *place, 200)
    square = regions.around_sitter(np.asarray(panorama))
    assert square.w == square.h <= 300
    assert min(square.x, square.y) >= 0


def test_a_face_cut_by_the_edge():
    """What is left of it moves, in a square that does not leave the picture."""
    with Image.open(EXAMPLES / "painting.jpg") as file:
        cut = np.asarray(file.convert("RGB"))[200:]  # the hair is gone, and some of the forehead
    (square,) = regions.around_sitters(cut)
    assert 0 <= square.y <= square.y + square.h <= 1000
    assert 300 < square.x + square.w / 2 < 450


def test_what_is_far_smaller_than_the_largest_is_no_sitter(sitter):
    picture = Image.new("RGB", (1200, 700), (70, 60, 50))
    picture.paste(sitter, (0, 0))
    picture.paste(sitter.resize((220, 220)), (900, 100))
    (face,) = regions.find_faces(np.asarray(picture))
    assert is_face(face, 0, 0, 700)


def test_a_sitters_square_keeps_clear_of_its_neighbours_face(monkeypatch):
    image = np.zeros((600, 1000, 3), np.uint8)
    left, right = Region(300, 200, 100, 100), Region(430, 200, 100, 100)
    monkeypatch.setattr(regions, "find_faces", lambda image: [left, right])
    one, other = regions.around_sitters(image)
    for square, face, neighbour in ((one, left, right), (other, right, left)):
        assert square.x <= face.x
        assert square.x + square.w >= face.x + face.w
        assert square.x + square.w <= neighbour.x or square.x >= neighbour.x + neighbour.w
        assert 150 <= square.w < 210
    far = Region(800, 200, 100, 100)
    monkeypatch.setattr(regions, "find_faces", lambda image: [left, far])
    assert {square.w for square in regions.around_sitters(image)} == {210}
    near = Region(380, 200, 100, 100)  # they touch, nearly: each square is as small as it may be
    monkeypatch.setattr(regions, "find_faces", lambda image: [left, near])
    assert {square.w for square in regions.around_sitters(image)} == {150}


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
