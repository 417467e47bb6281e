"""The wall behind a sitter stands still, and nothing of the sitter stays behind on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation

from fomm_core import backdrop, canvas, canvas_fields, hulls, media, regions
from fomm_core.animator import Prediction
from fomm_core.backdrop import Backdrop
from fomm_core.beyond import Edges
from fomm_core.canvas import Canvas
from fomm_core.heads import Head
from fomm_core.matte import matte
from fomm_core.regions import Region
from tests.fomm_core.toy_head import FACE, HEAD, SIDE, still

EXAMPLES = Path(__file__).parents[2] / "examples"
WHOLE = Region(0, 0, SIDE, SIDE)
ALL = Edges.of(WHOLE, SIDE, SIDE)
MIDDLE, TOP = SIDE / 2, 100  # of the head, a disc with its hair
HEAD_RADIUS, HAIR = 52, 12
SHIFT = 14  # pixels, that the head moves to the right
RED = 170  # of a sitter, more than of any wall


def disc(radius: float, x: float = MIDDLE, y: float = TOP, side: int = SIDE) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side] * (SIDE / side)
    return np.hypot(columns - x, rows - y) < radius


def sitter(shift: float = 0.0) -> np.ndarray:
    """Where head and hair are, and the body below, which does not move."""
    body = np.zeros((SIDE, SIDE), bool)
    body[TOP + HEAD_RADIUS + 40 :, 70:186] = True
    return disc(HEAD_RADIUS + HAIR, MIDDLE + shift) | body


def painting(dtype: type = np.uint8, channels: int = 3) -> np.ndarray:
    """A red sitter before a wall without red, each pixel of which is another."""
    rng = np.random.default_rng(0)
    picture = rng.integers(40, 200, (SIDE, SIDE, channels))
    picture[..., 0] = np.where(sitter(), 230, rng.integers(0, 60, (SIDE, SIDE)))
    if channels == 4:
        picture[..., 3] = 255
    return (picture * (np.iinfo(dtype).max // 255)).astype(dtype)


def moved(radius: int = HEAD_RADIUS) -> tuple[Prediction, np.ndarray]:
    """A model that moves what is so far from the head's middle to the right: not the hair, or some of the wall."""
    soft = np.zeros((64, 64), np.float32)
    for more in range(-6, 7):
        soft += disc(radius + more, MIDDLE + SHIFT, side=64) / 13
    deformation = still().deformation.copy()
    deformation[..., 0] -= soft * SHIFT * 2 / (SIDE - 1)
    keypoints = FACE + np.float32([SHIFT * 2 / (SIDE - 1), 0])
    return still()._replace(deformation=deformation, background=1 - soft), keypoints


@pytest.fixture(autouse=True)
def true_matte(monkeypatch):
    shown = torch.from_numpy(sitter().astype(np.float32))[None, None]
    monkeypatch.setattr(backdrop, "matte", lambda seen: shown.clone())


def rest() -> Prediction:
    return still()._replace(background=1 - disc(HEAD_RADIUS, side=64).astype(np.float32))


def painted(
    picture: np.ndarray, head: Head | None = HEAD, radius: int = HEAD_RADIUS, still_wall: bool = True
) -> np.ndarray:
    prediction, keypoints = moved(radius)
    frame = picture.copy()
    Canvas(picture, WHOLE, FACE, rest(), head, still_wall).paint(frame, prediction, keypoints)
    return frame


def red(frame: np.ndarray) -> np.ndarray:
    return frame[..., 0] / (np.iinfo(frame.dtype).max / 255) > RED


@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 3), (np.uint16, 3), (np.uint8, 4)])
def test_the_whole_sitter_moves_and_leaves_nothing_behind(dtype, channels):
    """Hair that the model knows nothing of goes with the head; the body stays."""
    frame = painted(painting(dtype, channels))
    wrong = (red(frame) != sitter(SHIFT)).sum() / sitter().sum()
    assert wrong < 0.04
    left = sitter() & ~disc(HEAD_RADIUS + HAIR + 2, MIDDLE + SHIFT) & disc(HEAD_RADIUS + HAIR)
    assert red(frame)[left].mean() < 0.02
    without = red(painted(painting(dtype, channels), None))
    assert without[left].mean() > 0.5


def test_the_wall_stands_still():
    """Bit for bit, beyond a few pixels of the outline, before and after."""
    picture = painting()
    wall = ~binary_dilation(sitter() | sitter(SHIFT), iterations=backdrop.WIDER + 3)
    radius = HEAD_RADIUS + HAIR + 4
    assert (painted(picture, radius=radius) == picture)[wall].all()
    assert not (painted(picture, None, radius) == picture)[wall].all()


def test_what_the_sitter_has_left_is_made_of_wall():
    """Each of its pixels is one of the painting's own."""
    picture, frame = painting(), painted(painting())
    left = sitter() & ~disc(HEAD_RADIUS + HAIR + 4, MIDDLE + SHIFT) & disc(HEAD_RADIUS + HAIR)
    known = {tuple(pixel) for pixel in picture[~sitter()]}
    assert np.mean([tuple(pixel) in known for pixel in frame[left]]) > 0.95
    assert len({tuple(pixel) for pixel in frame[left]}) > 0.5 * left.sum()  # no colour is drawn out


def test_what_the_model_guesses_around_the_sitter_is_not_shown():
    """A side of the head that the painting does not show would be a second outline."""
    more = HEAD_RADIUS + HAIR + 14
    prediction, keypoints = moved(more)
    guessed, hidden = (
        disc(more, MIDDLE + SHIFT, side=side) & ~disc(HEAD_RADIUS, MIDDLE + SHIFT, side=side)
        for side in (SIDE, 64)
    )
    picture = painting()
    image = np.where(guessed[..., None], np.uint8([250, 20, 20]), picture)
    prediction = prediction._replace(image=image, occlusion=1 - hidden.astype(np.float32))
    frame = picture.copy()
    Canvas(picture, WHOLE, FACE, rest(), HEAD).paint(frame, prediction, keypoints)
    around = disc(more - 3, MIDDLE + SHIFT) & ~disc(HEAD_RADIUS + HAIR + 3, MIDDLE + SHIFT)
    assert red(frame)[around & ~sitter(SHIFT)].mean() < 0.01
    without = picture.copy()
    Canvas(picture, WHOLE, FACE, rest(), HEAD, still_wall=False).paint(without, prediction, keypoints)
    assert red(without)[around & ~sitter(SHIFT)].mean() > 0.5


@pytest.mark.parametrize(("smaller", "shown"), [(1.0, False), (0.45, True)])
def test_what_the_model_paints_is_shown_where_the_painting_shows_nothing(smaller, shown):
    """Before a known wall that is where the painting is drawn out, not all that the model calls hidden."""
    picture = painting()
    prediction, keypoints = moved()
    middle = coordinate(MIDDLE + SHIFT, TOP)
    drawn_out = middle + smaller * (prediction.deformation - middle)
    inside = disc(HEAD_RADIUS, MIDDLE + SHIFT, side=64)[..., None]
    prediction = prediction._replace(
        occlusion=np.zeros((64, 64), np.float32),
        deformation=np.where(inside, drawn_out, prediction.deformation).astype(np.float32),
    )
    frame = picture.copy()
    Canvas(picture, WHOLE, FACE, rest(), HEAD).paint(frame, prediction, keypoints)
    inside = disc(HEAD_RADIUS / 3, MIDDLE + SHIFT)
    grain = frame[inside].std(0)[2] / picture[inside].std(0)[2]
    assert grain < 0.15 if shown else grain > 0.7, "the painting's noise is seen, or the model's even colour"


def coordinate(x: float, y: float) -> np.ndarray:
    return np.array([x, y]) * 2 / (SIDE - 1) - 1


def test_light_falls_on_the_face_alone():
    """Beside it, where a model's outline is another than the painting's, what it changes is no light."""
    change = brightened(1.0)
    assert change[int(SIDE / 2), int(MIDDLE)] > 15
    away = hulls.distance(FACE[HEAD.rows]) > canvas_fields.BESIDE + 0.1
    far = np.kron(away, np.ones((SIDE // hulls.SIDE,) * 2, bool))
    assert np.abs(change[far]).max() <= 1


def test_no_light_falls_where_the_model_guesses():
    assert np.abs(brightened(0.0)).max() <= 1


def brightened(occlusion: float) -> np.ndarray:
    """(S,S): what becomes of a grey painting at rest, by a prediction that is brighter."""
    picture = np.full((SIDE, SIDE, 3), 100, np.uint8)
    image = np.clip(rest().image + 30.0, 0, 255).astype(np.uint8)
    brighter = rest()._replace(image=image, occlusion=np.full((64, 64), occlusion, np.float32))
    frame = picture.copy()
    Canvas(picture, WHOLE, FACE, rest(), HEAD).paint(frame, brighter, FACE)
    return frame.max(-1).astype(int) - 100


def outlined(lowest: float) -> tuple[torch.Tensor, np.ndarray]:
    """The carried motion across the head, where the model's stops short in the outline, half of it background.

    The chin lies at `lowest` of the frame's height.
    """
    _, keypoints = moved()
    inner = disc(HEAD_RADIUS - 10, MIDDLE + SHIFT, side=64)
    band = disc(HEAD_RADIUS + 8, MIDDLE + SHIFT, side=64) & ~inner
    background = np.where(inner, 0, np.where(band, 0.5, 1)).astype(np.float32)
    shares = torch.zeros(2, 64, 64)
    shares[0] = -SHIFT / SIDE * torch.from_numpy(np.where(inner, 1, np.where(band, 0.1, 0)))
    keypoints[HEAD.rows_of("chin")[0], 1] = 2 * lowest - 1
    shown = torch.from_numpy(sitter().astype(np.float32))[None, None]
    carried = Backdrop(shown, HEAD, ALL).carried(shares, background, keypoints)
    return carried[0] / (-SHIFT / SIDE), band


def test_the_outline_of_a_head_moves_as_the_head_within():
    """However little the model moves it: it mixes in an ear that is hidden. A neck bends as the model says."""
    head, band = outlined(lowest=0.95)
    assert head[torch.from_numpy(band)].min() > 0.8
    neck, _ = outlined(lowest=0.0)
    assert neck[torch.from_numpy(band)].min() < 0.7


def test_what_cannot_be_told_far_from_the_sitter_is_shown_as_painted(monkeypatch):
    """Of hair in deep shade, wall mirrored from beyond would be a hole."""
    shade = np.zeros((SIDE, SIDE), bool)
    shade[150:200, 30:110] = True
    told = np.where(sitter(), 1, 0.3 * shade).astype(np.float32)
    monkeypatch.setattr(backdrop, "matte", lambda seen: torch.from_numpy(told)[None, None])
    picture = painting()
    picture[..., 0][shade] = 230
    far = shade & ~binary_dilation(sitter(), iterations=backdrop.OUTLINE + backdrop.WIDER + 2)
    assert far.sum() > 1000
    assert red(painted(picture))[far].mean() > 0.99


def test_what_cannot_be_told_with_no_wall_near_is_the_sitters(monkeypatch):
    """No wall shows through a collar."""
    collar = disc(backdrop.OUTLINE - 2)
    told = np.where(collar, 0.4, sitter()).astype(np.float32)
    monkeypatch.setattr(backdrop, "OWN", (-2.0, -1.0))  # the model cannot tell it either
    monkeypatch.setattr(backdrop, "matte", lambda seen: torch.from_numpy(told)[None, None])
    inside = disc(backdrop.OUTLINE - 6, MIDDLE + SHIFT)
    assert red(painted(painting()))[inside].mean() > 0.99


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("off", [0, 40])
def test_without_motion_every_pixel_stays(scale, off):
    """At any resolution, and where the region reaches beyond the painting."""
    picture = painting().repeat(scale, 0).repeat(scale, 1)
    frame = picture.copy()
    canvas = Canvas(picture, Region(-off, off, SIDE * scale, SIDE * scale), FACE, rest(), HEAD)
    canvas.paint(frame, rest(), FACE)
    assert (frame == picture).all()
    canvas.paint(frame, *moved())
    assert (frame != picture).any()


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("still_wall", [True, False])
def test_what_the_canvas_leaves_out_would_not_have_changed(scale, still_wall, monkeypatch):
    """Bit for bit as if every row and column of the region were painted."""
    picture = painting().repeat(scale, 0).repeat(scale, 1)
    region = Region(0, 0, SIDE * scale, SIDE * scale)
    monkeypatch.setattr(canvas, "BAND", region.w * 20)  # many bands
    sparing = Canvas(picture, region, FACE, rest(), HEAD, still_wall)
    frames = [picture.copy(), picture.copy()]
    sparing.paint(frames[0], *moved())
    monkeypatch.setattr(Canvas, "_reach", lambda self, changes, axis: slice(0, region.w))
    sparing.paint(frames[1], *moved())
    assert (frames[0] == frames[1]).all()
    assert (frames[0] != picture).any()


def test_another_sitter_who_moves_behind_is_not_undone():
    picture, (prediction, keypoints) = painting(), moved()
    frame = picture.copy()
    frame[20:60, 20:60] = (10, 250, 250)  # what has become of that part of the wall
    Canvas(picture, WHOLE, FACE, rest(), HEAD).paint(frame, prediction, keypoints)
    assert (frame[20:60, 20:60] == (10, 250, 250)).all()


@pytest.mark.parametrize("shown", [0.0, 1.0])
def test_a_matte_that_cannot_be_is_not_used(shown, monkeypatch):
    monkeypatch.setattr(backdrop, "matte", lambda seen: torch.full((1, 1, SIDE, SIDE), shown))
    seen = torch.zeros(1, 3, SIDE, SIDE)
    assert Backdrop.of(HEAD, FACE, seen, rest(), ALL) is None
    assert (painted(painting()) == painted(painting(), still_wall=False)).all()


def test_a_model_whose_keypoints_nobody_has_named_has_none():
    assert Backdrop.of(None, FACE, torch.zeros(1, 3, SIDE, SIDE), rest(), ALL) is None


@given(seed=st.integers(0, 10**6), count=st.integers(1, 4))
def test_the_wall_behind_comes_from_the_wall(seed, count):
    rng = np.random.default_rng(seed)
    shown = np.zeros((SIDE, SIDE), bool)
    for x, y, radius in zip(*rng.uniform(0, SIDE, (2, count)), rng.uniform(8, 60, count)):
        shown |= disc(radius, x, y)
    places = (
        Backdrop(torch.from_numpy(shown.astype(np.float32))[None, None], HEAD, ALL).behind().numpy() * SIDE
    )
    rows, columns = np.indices(shown.shape)
    x = (columns + places[0]).round().astype(int).clip(0, SIDE - 1)
    y = (rows + places[1]).round().astype(int).clip(0, SIDE - 1)
    assert not shown[y, x][shown].any()
    assert (places[:, ~binary_dilation(shown, iterations=backdrop.WIDER)] == 0).all()


def behind(shown: np.ndarray) -> np.ndarray:
    """(2,S,S), in pixels: (x, y)."""
    return Backdrop(torch.from_numpy(shown.astype(np.float32))[None, None], HEAD, ALL).behind().numpy() * SIDE


def column(edges: np.ndarray) -> np.ndarray:
    """A sitter below a quarter of the height, as wide on both sides of the middle as `edges` (S,) say."""
    shown = np.abs(np.arange(SIDE) - MIDDLE) < edges[:, None]
    shown[: SIDE // 4] = False
    return shown


def test_beside_an_upright_outline_the_wall_goes_on_along_the_row():
    """A horizon does, then, and a wall's brush strokes lie as they lie beside the sitter."""
    leaning = column(np.linspace(60, 75, SIDE))
    near = leaning & ~binary_dilation(~leaning, iterations=5) & binary_dilation(~leaning, iterations=20)
    near[: SIDE // 4 + 30] = near[-40:] = False
    x, y = behind(leaning)
    assert np.abs(y[near]).max() < 0.5
    assert np.abs(x[near]).min() > 10
    top = np.zeros_like(leaning)
    top[SIDE // 4 + 5 : SIDE // 4 + 20, 110:146] = True
    x, y = behind(leaning)
    assert np.abs(x[top]).max() < 0.5
    assert (y[top] < -10).all()


def test_a_narrow_wall_is_taken_more_than_once_and_never_beyond_it():
    shown = column(np.full(SIDE, 60))
    beyond = shown.copy()
    shown[SIDE // 4 :, :58] = True  # ten pixels of wall are left on this side
    x, _ = behind(shown)
    wall = np.arange(SIDE) + x[SIDE // 2].round().astype(int)
    inside = slice(int(MIDDLE) - 56, int(MIDDLE) - 20)
    assert set(wall[inside]) <= set(range(58 + backdrop.WIDER, 69 - backdrop.WIDER))
    assert len(set(wall[inside])) > 1
    assert not beyond[SIDE // 2, wall[inside]].any()


def test_neighbours_on_the_wall_behind_come_from_neighbours(monkeypatch):
    """More so than a ragged outline would have them."""
    ragged = column(60 + np.random.default_rng(0).integers(-3, 4, SIDE))

    def torn() -> float:
        x, _ = behind(ragged)
        return float(np.abs(np.diff(x[100:200, 75:100], axis=0)).mean())

    smooth = torn()
    monkeypatch.setattr(backdrop, "SOFT", 0.01)
    assert smooth < 0.6 * torn()


def test_no_trace_of_the_sitter_is_in_the_wall():
    """Where the wall comes from the left and, beside that, from the right, what lies between is the sitter."""
    large = np.kron(painting(), np.ones((3, 3, 1), np.uint8))
    wall = Canvas(large, Region(0, 0, *large.shape[1::-1]), FACE, rest(), HEAD)._wall
    assert not red(wall)[np.kron(sitter(), np.ones((3, 3), bool))].any()


def test_beyond_the_face_motion_bends_but_does_not_tear():
    """Half of a veil beside the head moves in the model's answer, and half of it stays."""
    prediction, keypoints = moved()
    rows, columns = np.mgrid[:64, :64]
    veil = (columns > 52) & (rows > 10) & (rows < 40)
    background = np.where(veil, 0, prediction.background).astype(np.float32)
    shares = torch.zeros(2, 64, 64)
    shares[0] = -SHIFT / SIDE * torch.from_numpy(np.where(veil, rows < 25, 1 - background).astype(np.float32))
    shown = torch.from_numpy((sitter() | np.kron(veil, np.ones((4, 4), bool))).astype(np.float32))[None, None]
    carried = Backdrop(shown, HEAD, ALL).carried(shares, background, keypoints)[0] / (-SHIFT / SIDE)
    steps = carried[:, 58].diff().abs()
    assert carried[14, 58] > 0.8
    assert carried[36, 58] < 0.3
    assert steps.max() < 0.2
    assert carried[20:30, 28:36].min() > 0.95  # the face's own motion is the model's


@pytest.mark.parametrize(("below", "goes_on"), [(30, True), (60, False)])
@pytest.mark.parametrize("above", [0, 50])
@pytest.mark.parametrize("turns", range(4))
def test_a_head_that_the_picture_cuts_off_goes_on_as_a_dome(below, goes_on, above, turns):
    """One that only touches the edge is at an end there: brought down, it grows no column, nor a second head.

    Above the painting's edge the region shows the painting mirrored.
    """
    shown = disc(HEAD_RADIUS + HAIR, y=below)
    shown = np.concatenate([shown[:above][::-1], shown])[:SIDE]
    motion = np.zeros((SIDE, SIDE, 2))
    motion[..., 1] = -12 / SIDE
    for _ in range(turns):
        shown, motion = np.rot90(shown), np.rot90(motion)
        motion = np.stack([motion[..., 1], -motion[..., 0]], -1)
    edge = above / SIDE
    edges = Edges(*[(None, edge, None, None), (edge, None, None, None), (None, None, None, 1 - edge),
                    (None, None, 1 - edge, None)][turns])  # fmt: skip
    backdrop = Backdrop(torch.from_numpy(shown.astype(np.float32))[None, None], HEAD, edges)
    wall = backdrop.bared(torch.from_numpy(motion.astype(np.float32)).permute(2, 0, 1))[0].numpy()
    wall = np.rot90(wall, -turns)[above:]
    assert wall[0, int(MIDDLE)] == pytest.approx(1 - goes_on, abs=0.1)
    # As much as of a disc that is not cut off, nearly.
    whole = disc(HEAD_RADIUS + HAIR, y=below + 12)[: len(wall)]
    assert ((wall > 0.5) == whole).sum() < 0.01 * whole.sum()


def test_what_is_upright_on_one_side_makes_no_tower():
    """A strip of wall beside the head that is taken for the sitter's."""
    shown = disc(HEAD_RADIUS + HAIR, y=58)
    shown[:100, int(MIDDLE) : int(MIDDLE) + 45] = True
    down = torch.zeros(2, SIDE, SIDE)
    down[1] = -20 / SIDE
    wall = Backdrop(torch.from_numpy(shown.astype(np.float32))[None, None], HEAD, ALL).bared(down)[0].numpy()
    assert (wall[:10] > 0.9).all()
    assert (wall[19, int(MIDDLE) - 10 : int(MIDDLE) + 20] < 0.1).all()


def test_where_the_edge_is_hardly_the_sitters_nothing_goes_on():
    shown = disc(HEAD_RADIUS + HAIR, y=30).astype(np.float32)
    shown[:20, 40] = 0.4
    down = torch.zeros(2, SIDE, SIDE)
    down[1] = -20 / SIDE
    wall = Backdrop(torch.from_numpy(shown)[None, None], HEAD, ALL).bared(down)[0].numpy()
    assert wall[:18, 40].min() > 0.99
    assert wall[25, 40] == pytest.approx(0.6, abs=0.05)


def test_what_goes_around_a_corner_of_the_picture_goes_on():
    shown = torch.zeros(1, 1, SIDE, SIDE)
    shown[..., :90, :90] = 1
    moved = torch.full((2, SIDE, SIDE), -12 / SIDE)
    assert Backdrop(shown, HEAD, ALL).bared(moved)[0, :80, :80].max() < 0.1


def test_no_wall_is_taken_from_beyond_the_painting():
    """Where the region reaches past it, what it shows there is the painting mirrored."""
    shown = np.roll(sitter(), 60, axis=1)
    edges = Edges(None, None, 0.9, None)
    places = (
        Backdrop(torch.from_numpy(shown.astype(np.float32))[None, None], HEAD, edges).behind().numpy() * SIDE
    )
    inside = slice(0, round(0.9 * SIDE))
    reached = (np.arange(SIDE) + places[0])[:, inside]
    assert reached.max() <= inside.stop - 0.5
    assert np.abs(places[:, :, inside]).max() > 0


def test_the_network_tells_a_painted_sitter_from_the_wall():
    picture = media.as_seen(media.read_painting(EXAMPLES / "painting.jpg"))
    region = regions.around_sitter(picture)
    seen = torch.from_numpy(regions.crop(picture, region).copy()).permute(2, 0, 1)[None].float()
    shown = matte(torch.nn.functional.interpolate(seen, (SIDE, SIDE), mode="area"))[0, 0]
    assert shown[100:160, 100:160].mean() > 0.98
    assert shown[:100, :30].mean() < 0.02
    assert shown[:100, -30:].mean() < 0.02
    assert shown[-10:, 100:150].mean() > 0.9  # the body is the sitter's, too
