"""Who moves in a whole job: the sitter, all sitters, or the square in the middle."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fomm_core import fitting, inference, job, job_folder, media, models, motion, protocol, regions, sitters
from fomm_core.animator import Animator
from fomm_core.regions import Region
from tests.fomm_core.job_output import pixels, same

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_without_a_face_the_middle_moves_and_that_is_said(
    request_of, clip, events, written_frames, monkeypatch
):
    monkeypatch.setattr(regions, "find_faces", lambda image: [])
    request = request_of(clip(5, 64, 48), region="auto", driving_region="auto")
    job.run(request, events.control())
    warnings = [event.sentence for event in events.of(protocol.Warning)]
    assert len(warnings) == 2
    assert any("the painting" in warning for warning in warnings)
    assert any("clip.mp4" in warning for warning in warnings)
    painting = media.read_painting(Path(request.painting))
    frames = pixels(written_frames(Path(request.output)))
    assert any((frame != painting).any() for frame in frames)
    for frame in frames:
        assert (frame[:, :15] == painting[:, :15]).all()
        assert (frame[:, 105:] == painting[:, 105:]).all()
    track = motion.MotionTrack.load(Path(request.output) / "motion.npz")
    assert track.provenance["region"] == "8,0,48,48"


@pytest.fixture(scope="module")
def starter():
    return Animator(models.load("starter"), "cpu")


@pytest.fixture(scope="module")
def portrait():
    return media.as_seen(media.read_painting(EXAMPLES / "painting.jpg"))


@pytest.mark.parametrize(("larger", "right", "down"), [(0.55, 0, 0), (1, 0.1, 0), (1.6, -0.1, 0.1)])
def test_a_square_is_fitted_to_the_head(larger, right, down, starter, portrait):
    """However the face was framed: the boxes that faces are found by differ by up to a half."""
    best = sitters.moving(portrait, [regions.around_sitter(portrait)], starter)[0]
    x, y, w, h = best
    side = larger * w
    middle = x + w * (0.5 + right), y + h * (0.5 + down)
    other = regions.square_of(*middle, side, *portrait.shape[1::-1])
    (fitted,) = sitters.moving(portrait, [other], starter)
    assert fitted.w == pytest.approx(w, rel=0.01)
    assert fitted[:2] == pytest.approx(best[:2], abs=0.01 * w)
    assert fitted.w == fitted.h


def test_the_fitted_square_shows_hair_and_neck(starter, portrait):
    (square,) = sitters.moving(portrait, [regions.around_sitter(portrait)], starter)
    picture = np.asarray(Image.fromarray(regions.crop(portrait, square)).resize((256, 256)))
    value, _ = starter.detect(picture[None], starter.look(picture[None]))
    assert starter.head.poses(value).scale[0] == pytest.approx(fitting.FILLS, rel=0.05)
    assert value[0, :, 1].max() < 0.75
    assert np.abs(value[0]).max() < 0.75


def test_a_face_that_is_none_gives_way_to_the_head(starter, portrait):
    cloth = Region(100, 900, 200, 200)
    assert sitters.moving(portrait, [cloth], starter) == sitters.moving(portrait, [], starter)
    grey = np.full((300, 300, 3), 128, np.uint8)
    assert sitters.moving(grey, [Region(20, 20, 100, 100)], starter) == [Region(20, 20, 100, 100)]
    assert sitters.moving(grey, [], starter) == []


@pytest.fixture(scope="module")
def three_sitters():
    return media.as_seen(media.read_painting(EXAMPLES / "group.jpg"))


def test_beside_another_sitter_a_square_is_fitted_as_far_as_there_is_room(starter, three_sitters):
    squares = regions.around_sitters(three_sitters)
    assert len(squares) == 3
    fitted = sitters.moving(three_sitters, squares, starter)
    found = sitters.moving(three_sitters, squares, starter, everyone=True)
    assert np.array(found) == pytest.approx(np.array(fitted), abs=15)
    for x, y, w, h in regions.find_faces(three_sitters):
        inner = Region(x + w // 5, y + h // 5, w - w // 5 * 2, h - h // 5 * 2)
        assert [bool(regions.common(square, inner)) for square in fitted].count(True) == 1
    for face, square in zip(squares, fitted, strict=True):
        (alone,) = sitters.moving(three_sitters, [face], starter)
        assert 0.6 * alone.w < square.w < alone.w


def test_heads_move_and_nothing_else_does(starter, three_sitters, portrait):
    """Patterns in clothes and on walls look like faces."""
    one, other, _ = regions.around_sitters(three_sitters)
    pattern, cloth = Region(0, 800, 200, 200), Region(100, 900, 200, 200)
    assert len(sitters.moving(three_sitters, [pattern, one, other], starter)) == 2
    square = regions.around_sitter(portrait)
    alone = sitters.moving(portrait, [square], starter)
    assert sitters.moving(portrait, [cloth, square], starter) == alone
    assert sitters.moving(portrait, [cloth, Region(0, 0, 100, 100)], starter)[0] == pytest.approx(
        alone[0], rel=0.01, abs=5
    )
    assert len(sitters.moving(portrait, [cloth, square], starter, everyone=True)) == 1


def test_a_model_that_knows_no_heads_takes_the_squares_as_they_are(starter, portrait, monkeypatch):
    monkeypatch.setattr(starter, "head", None)
    square = regions.around_sitter(portrait)
    assert sitters.moving(portrait, [square], starter) == [square]
    assert sitters.moving(portrait, [], starter) == []


def test_a_job_moves_the_fitted_square(starter, portrait, request_of, clip, events):
    request = request_of(clip(1), painting=str(EXAMPLES / "painting.jpg"), model="starter", region="auto")
    control = events.control()
    scene = job.prepare(request, media.read_painting(Path(request.painting)), starter.beside(), control)
    fitted = sitters.moving(portrait, [regions.around_sitter(portrait)], starter)
    assert [sitter.region for sitter in scene.sitters] == fitted
    assert not events.of(protocol.Warning)


def test_our_own_clip_begins_with_the_sitter_as_painted(starter, request_of, events):
    request = request_of(
        EXAMPLES / "driving.mp4",
        painting=str(EXAMPLES / "painting.jpg"),
        model="starter",
        region="auto",
        smooth=0.0,
    )
    painting = media.read_painting(Path(request.painting))
    (sitter,) = job.prepare(request, painting, starter.beside(), events.control()).sitters
    assert np.abs(sitter.value[0] - sitter.origin).max() < 0.02


def test_a_picture_without_a_face_really_gives_that_warning(request_of, clip, events):
    request = request_of(clip(2, 64, 64), region="auto")
    Image.new("RGB", (120, 90), "grey").save(request.painting)
    job.run(request, events.control())
    assert len(events.of(protocol.Warning)) == 1


@pytest.mark.parametrize("size", [(400, 40), (40, 400)])
def test_without_a_face_a_long_picture_moves_in_its_middle(size, request_of, clip, events, written_frames):
    request = request_of(clip(2, 64, 64), region="auto")
    width, height = size
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)).save(
        request.painting
    )
    job.run(request, events.control())
    (warning,) = events.of(protocol.Warning)
    assert "the painting" in warning.sentence
    painting = media.read_painting(Path(request.painting))
    moved = np.zeros(painting.shape[:2], bool)
    for frame in pixels(written_frames(Path(request.output))):
        moved |= (frame != painting).any(-1)
    rows, columns = np.nonzero(moved)
    assert (height - 40) // 2 <= rows.min() <= rows.max() < (height + 40) // 2
    assert (width - 40) // 2 <= columns.min() <= columns.max() < (width + 40) // 2


def test_a_sitter_moves_by_the_real_clip(shared, request_of, events, written_frames):
    """The bundled media: the face is found in both, no warning."""
    media_folder = shared / "media"
    request = request_of(
        media_folder / "driving-calm.mp4",
        painting=str(media_folder / "girl-with-a-pearl-earring.jpg"),
        region="auto",
        driving_region="auto",
        end=0.2,
        size=400,
    )
    job.run(request, events.control())
    with Image.open(request.painting) as painting:
        proportions = painting.width / painting.height
    shapes = {image.shape for image in pixels(written_frames(Path(request.output)))}
    assert len(shapes) == 1
    height, width, _ = shapes.pop()
    assert max(width, height) == 400
    assert width / height == pytest.approx(proportions, rel=0.005)
    assert not events.of(protocol.Warning)


FACES = [Region(30, 30, 30, 30), Region(150, 30, 26, 26), Region(230, 24, 28, 28)]


@pytest.fixture
def group(tmp_path, picture, monkeypatch) -> Path:
    """A painting of 300 x 90 pixels, in which three faces are found: `FACES`."""
    path = tmp_path / "group.png"
    Image.fromarray(picture(300, 90)).save(path)
    monkeypatch.setattr(regions, "find_faces", lambda image: FACES)
    return path


def moving(painting: Path, frames: list[Path]) -> np.ndarray:
    """(H,W), where any of the frames is not the painting."""
    still = media.read_painting(painting)
    return np.any([(frame != still).any(-1) for frame in pixels(frames)], axis=0)


def inside(shape: tuple[int, ...], squares: list[Region]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    for x, y, w, h in squares:
        mask[max(y, 0) : y + h, max(x, 0) : x + w] = True
    return mask


def test_all_faces_move_and_nothing_else_does(group, request_of, clip, events, written_frames):
    request = request_of(clip(6), painting=str(group), region="auto", all_faces=True)
    done = job.run(request, events.control())
    assert done.frames == 6
    assert [e.index for e in events.of(protocol.Frame)] == list(range(1, 7)), "each comes out once"
    moved = moving(group, written_frames(Path(request.output)))
    squares = regions.around_sitters(media.read_painting(group))
    assert len(squares) == 3
    for square in squares:
        assert (moved & inside(moved.shape, [square])).any()
    assert not (moved & ~inside(moved.shape, squares)).any()


def test_without_all_faces_it_is_the_largest(group, request_of, clip, events, written_frames):
    request = request_of(clip(4), painting=str(group), region="auto")
    job.run(request, events.control())
    moved = moving(group, written_frames(Path(request.output)))
    first = regions.around_sitters(media.read_painting(group))[:1]
    assert moved.any()
    assert not (moved & ~inside(moved.shape, first)).any()


def test_each_sitter_moves_as_alone(group, request_of, clip, events, written_frames, tmp_path, monkeypatch):
    """Each has a source, a transfer and a reference frame of their own; where none overlaps, it shows."""
    video = clip(4)
    request = request_of(video, painting=str(group), region="auto", all_faces=True)
    job.run(request, events.control())
    together = pixels(written_frames(Path(request.output)))
    for number, (x, y, w, h) in enumerate(regions.around_sitters(media.read_painting(group))):
        alone = request_of(
            video, painting=str(group), region=f"{x},{y},{w},{h}", output=str(tmp_path / f"{number}")
        )
        job.run(alone, events.control())
        inner = slice(y + h // 4, y + 3 * h // 4), slice(x + w // 4, x + 3 * w // 4)
        for one, all_of_them in zip(pixels(written_frames(tmp_path / f"{number}")), together, strict=True):
            assert (one[inner] == all_of_them[inner]).all()


def test_sitters_share_one_network(group, request_of, clip, events, monkeypatch):
    built = []
    build = inference.build
    monkeypatch.setattr(inference, "build", lambda *rest: built.append(rest) or build(*rest))
    request = request_of(clip(2), painting=str(group), region="auto", all_faces=True)
    job.run(request, events.control())
    assert len(built) == 1


def test_all_faces_resume_with_equal_frames(group, request_of, clip, events, written_frames, tmp_path):
    request = request_of(clip(8), painting=str(group), region="auto", all_faces=True)
    job.run(request, events.control())
    expected = pixels(written_frames(Path(request.output)))
    for path in written_frames(Path(request.output))[3:]:
        path.unlink()
    events.clear()
    job.run(dataclasses.replace(request, resume=True), events.control())
    assert events.of(protocol.Frame)[0].index == 4
    assert same(pixels(written_frames(Path(request.output))), expected)


def test_all_faces_made_smaller(group, request_of, clip, events, written_frames):
    request = request_of(clip(3), painting=str(group), region="auto", all_faces=True, size=150)
    job.run(request, events.control())
    frames = pixels(written_frames(Path(request.output)))
    assert {frame.shape for frame in frames} == {(45, 150, 3)}
    still = media.scaled(media.read_painting(group), 150)
    moved = np.any([(frame != still).any(-1) for frame in frames], axis=0)
    halves = [Region(*(v // 2 for v in s)) for s in regions.around_sitters(media.read_painting(group))]
    for half in halves:
        assert (moved & inside(moved.shape, [half])).any()
    grown = [Region(x - 1, y - 1, w + 3, h + 3) for x, y, w, h in halves]
    assert not (moved & ~inside(moved.shape, grown)).any()


def test_without_any_face_all_faces_is_the_middle(request_of, clip, events, monkeypatch):
    monkeypatch.setattr(regions, "find_faces", lambda image: [])
    request = request_of(clip(2, 64, 64), region="auto", all_faces=True)
    job.run(request, events.control())
    (warning,) = events.of(protocol.Warning)
    assert "the painting" in warning.sentence


# Motion that is limited.


@pytest.fixture
def wild(monkeypatch, request_of, clip, events, tmp_path) -> Path:
    """A motion track of 8 frames whose face leaves the picture after the second."""
    path = tmp_path / "wild.npz"
    job.run(request_of(clip(8), output=str(tmp_path / "calm")), events.control())
    track = motion.MotionTrack.load(tmp_path / "calm" / job_folder.TRACK)
    value = np.repeat(track.value[:1], 8, axis=0)
    value[2:] += 1.5
    jacobian = np.repeat(track.jacobian[:1], 8, axis=0)
    dataclasses.replace(track, value=value, jacobian=jacobian).save(path)
    events.clear()
    return path


def test_motion_that_would_tear_is_limited_and_that_is_said_once(wild, request_of, events, group):
    request = request_of(
        wild, painting=str(group), region="auto", all_faces=True, smooth=0.0, reference_frame="first"
    )
    job.run(request, events.control())
    (warning,) = events.of(protocol.Warning)
    assert "limited in 6 of 8 frames" in warning.sentence


@pytest.mark.parametrize("changes", [{"size": 64}, {"motion": "absolute"}, {"strength": 0.0}])
def test_what_is_not_limited(changes, wild, request_of, events):
    """The published way, the driving pose as it is, and what does not move."""
    job.run(request_of(wild, smooth=0.0, reference_frame="first", **changes), events.control())
    assert not events.of(protocol.Warning)


def test_a_frame_now_and_then_is_no_news(wild, request_of, events):
    track = motion.MotionTrack.load(wild)
    order = [0, 0, 0, 0, 0, 0, 0, 7]
    dataclasses.replace(track, value=track.value[order], jacobian=track.jacobian[order]).save(wild)
    job.run(request_of(wild, smooth=0.0, reference_frame="first"), events.control())
    assert not events.of(protocol.Warning)
