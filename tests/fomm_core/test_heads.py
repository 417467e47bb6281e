"""Motion of heads that turn in space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from fomm_core import heads, media, models, regions, sitters
from fomm_core.animator import Animator
from fomm_core.heads import PLACES, Head
from fomm_core.motion import MotionTrack
from fomm_core.transfer import nearest_frame, reference_frame, transfer
from tests.fomm_core.toy_motion import numbers

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = [*PLACES, "neck"]
HEAD = Head.of(NAMES)
NECK = NAMES.index("neck")


def picture(yaw=0.0, pitch=0.0, roll=0.0, size=0.3, place=(0.0, 0.0), own=0.0) -> np.ndarray:
    """(K,2): the keypoints of a head held like that; its neck does not turn."""
    rotation = Rotation.from_euler("YXZ", [yaw, pitch, roll]).as_matrix()
    seen = size * ((HEAD.shape + own) @ rotation.T)[:, :2] + place
    return np.concatenate([seen, [(place[0], place[1] - 2 * size)]]) * heads.UP


def track(*poses: np.ndarray) -> MotionTrack:
    jacobian = np.broadcast_to(np.eye(2, dtype=np.float32), (len(poses), len(NAMES), 2, 2))
    return MotionTrack(np.array(poses, np.float32), jacobian, 25.0)


def moved(driving: MotionTrack, source: np.ndarray, head: Head | None = HEAD, **settings) -> np.ndarray:
    one = np.broadcast_to(np.eye(2), (len(source), 2, 2))
    return transfer(driving, source.astype(np.float32), one, head=head, **settings)[0]


ANGLES = st.floats(-0.4, 0.4)


@given(ANGLES, ANGLES, ANGLES, st.floats(-0.7, 0.7), st.floats(0.15, 0.5))
def test_a_sitter_seen_from_any_side_turns_as_far(yaw, pitch, roll, aside, size):
    """About the axes of the sitter's own head."""
    driving = track(picture(), picture(yaw, pitch, roll))
    turned = Rotation.from_euler("Y", aside) * Rotation.from_euler("YXZ", [yaw, pitch, roll])
    wanted = picture(*turned.as_euler("YXZ"), size=size)
    found = moved(driving, picture(aside, size=size))
    assert found[1][HEAD.rows] == pytest.approx(wanted[HEAD.rows], abs=1e-5)


@given(st.floats(-0.7, 0.7), st.lists(ANGLES, min_size=3, max_size=9))
def test_a_sitter_who_looks_aside_is_at_rest_when_the_clip_begins(aside, yaws):
    """And not in the one moment in which the driving head looks there, too."""
    driving = track(picture(), picture(aside), *(picture(0.5 * yaw) for yaw in yaws))
    source = picture(aside, size=0.25)
    assert reference_frame(driving, source, HEAD) == 0
    if abs(aside) > 0.1:
        assert nearest_frame(driving, source) == reference_frame(driving, source) == 1


def test_a_clip_that_begins_with_its_head_turned_away_is_at_rest_later():
    driving = track(picture(0.6), picture(0.5, 0.2), *(picture(yaw) for yaw in (0.1, -0.05, 0.0, 0.1, 0.05)))
    assert reference_frame(driving, picture(), HEAD) in (2, 5, 6)
    assert reference_frame(driving, picture(0.6), HEAD) in (2, 5, 6)


def test_without_a_head_in_the_painting_the_nearest_frame_is_the_reference():
    driving = track(picture(0.6), picture(0.5), picture(), picture())
    rng = np.random.default_rng(0)
    no_head = picture() + rng.normal(0, 0.5, picture().shape)
    assert HEAD.poses(no_head[None]) is None
    assert reference_frame(driving, no_head, HEAD) == nearest_frame(driving, no_head)


def test_people_of_other_shapes_turn_as_well():
    """Nobody has the head that poses are told by, and detectors err: still far nearer than in the picture alone."""
    rng = np.random.default_rng(0)
    wrong = {"in space": [], "in the picture": []}
    for _ in range(50):
        one, other = rng.normal(0, 0.08, (2, *HEAD.shape.shape))
        aside, yaw, pitch = rng.uniform((0.4, -0.4, -0.3), (0.8, 0.4, 0.3))
        driving = track(picture(own=one), picture(yaw, pitch, own=one))
        turned = Rotation.from_euler("Y", aside) * Rotation.from_euler("YXZ", [yaw, pitch, 0])
        wanted = picture(*turned.as_euler("YXZ"), own=other)
        for way, head in (("in space", HEAD), ("in the picture", None)):
            found = moved(driving, picture(aside, own=other), head, adapt_scale=False)
            wrong[way].append(np.linalg.norm((found[1] - wanted)[HEAD.rows], axis=-1).mean())
    assert np.mean(wrong["in space"]) < 0.6 * np.mean(wrong["in the picture"])


def test_a_mouth_opens_in_a_turned_head():
    lip = np.zeros_like(HEAD.shape)
    lip[NAMES.index("lip_lower"), 1] = -0.2
    driving = track(picture(0.3), picture(0.3, own=lip))
    (still, opened) = moved(driving, picture(-0.5))
    change = np.linalg.norm(opened - still, axis=-1)
    assert change.argmax() == NAMES.index("lip_lower")
    assert change.max() == pytest.approx(0.3 * 0.2, rel=0.2)


def opened(by: float) -> np.ndarray:
    """What opens a mouth: how far each landmark is from where it is when it is shut."""
    own = np.zeros_like(HEAD.shape)
    for name, share in (("lip_upper", 0.2), ("lip_lower", -0.8), ("chin", -0.8)):
        own[NAMES.index(name), 1] = share * by
    return own


def test_a_clip_that_begins_in_the_middle_of_a_word_leaves_a_shut_mouth_shut():
    """It opens where the driving one is open, also in the first frame, and does not close where that is shut."""
    driving = track(picture(own=opened(0.3)), *[picture(0.1, own=opened(by)) for by in (0.1, 0.0, 0.2)])
    found = moved(driving, picture(-0.4), adapt_face=True)
    assert found[2][HEAD.rows] == pytest.approx(picture(-0.3)[HEAD.rows], abs=1e-5)
    assert found[0][HEAD.rows] == pytest.approx(picture(-0.4, own=opened(0.3))[HEAD.rows], abs=1e-5)
    assert moved(driving, picture(-0.4))[0] == pytest.approx(picture(-0.4), abs=1e-5)


@pytest.mark.parametrize("by", [0.04, -0.04])
def test_lips_that_are_only_thicker_than_the_sitters_are_no_open_mouth(by):
    driving = track(picture(own=opened(by)), picture(own=opened(0.3)), picture())
    found = moved(driving, picture(-0.4), adapt_face=True)
    assert found[0] == pytest.approx(picture(-0.4), abs=1e-5)
    assert (found == moved(driving, picture(-0.4))).all()


def test_a_mouth_that_is_never_shut_is_the_sitters_where_it_is_nearly():
    driving = track(*[picture(own=opened(by)) for by in (0.4, 0.5, 0.2, 0.3)])
    found = moved(driving, picture(), adapt_face=True)
    assert found[2] == pytest.approx(picture(), abs=1e-5)
    assert found[0][HEAD.rows] == pytest.approx(picture(own=opened(0.2))[HEAD.rows], abs=1e-5)


def test_a_head_without_lips_has_no_mouth_to_adapt():
    names = [name if not name.startswith("lip") else "unknown" for name in NAMES]
    driving = track(picture(own=opened(0.4)), picture())
    found = moved(driving, picture(), Head.of(names), adapt_face=True)
    assert found[0] == pytest.approx(picture(), abs=1e-5)


@pytest.mark.parametrize("name", ["nose_tip", "forehead", "ear_l", "ear_r", "jaw_l", "jaw_r"])
def test_bone_moves_with_the_head_alone(name):
    """A trembling keypoint of it moves nothing but, a little, the pose that it helps to tell."""
    own, row = np.zeros_like(HEAD.shape), NAMES.index(name)
    own[row, 1] = 0.1
    driving = track(picture(), picture(0.1, own=own))
    pose = HEAD.poses(driving.value.astype(np.float64))
    rigid = heads.Poses(pose.rotation, pose.scale, pose.place, np.broadcast_to(pose.own[:1], pose.own.shape))
    assert moved(driving, picture())[1, row] == pytest.approx(HEAD.seen(rigid)[1, row], abs=1e-3)
    assert np.linalg.norm(HEAD.seen(pose)[1, row] - HEAD.seen(rigid)[1, row]) > 0.01


def blinking(share: float) -> np.ndarray:
    """What brings the lids of both eyes that share of the way together."""
    own = np.zeros_like(HEAD.shape)
    for side in "lr":
        upper, lower = (NAMES.index(f"eye_{side}_{lid}") for lid in ("upper", "lower"))
        own[upper, 1] = -share * (HEAD.shape[upper] - HEAD.shape[lower])[1]
    return own


def apart(keypoints: np.ndarray) -> np.ndarray:
    """How far the lids of both eyes are from each other."""
    upper, lower = ([NAMES.index(f"eye_{side}_{lid}") for side in "lr"] for lid in ("upper", "lower"))
    return keypoints[..., lower, 1] - keypoints[..., upper, 1]


def test_a_clip_that_begins_in_a_blink_leaves_open_eyes_open():
    """They shut where the driving ones do, also in the first frame."""
    driving = track(*[picture(own=blinking(share)) for share in (0.7, 0.0, 0.05, 0.0, 0.6)])
    open_eyes = apart(picture(-0.4))
    found = apart(moved(driving, picture(-0.4), adapt_face=True)) / open_eyes
    assert found[1] == pytest.approx(1, abs=0.1)
    assert (found[[0, 4]] < 0.6).all()
    widened = apart(moved(driving, picture(-0.4))) / open_eyes
    assert (widened[1] > 1.4).all()


def test_eyes_that_are_open_in_the_first_frame_are_the_sitters_there():
    driving = track(*[picture(own=blinking(share)) for share in (0.1, 0.0, 0.0, 0.8)])
    assert (moved(driving, picture(-0.4), adapt_face=True) == moved(driving, picture(-0.4))).all()


def test_a_head_without_lids_has_no_eyes_to_adapt():
    names = [name if name != "eye_l_upper" else "unknown" for name in NAMES]
    driving = track(*[picture(own=blinking(share)) for share in (0.7, 0.0, 0.0)])
    found = moved(driving, picture(), Head.of(names), adapt_face=True)
    assert found[0] == pytest.approx(picture(), abs=1e-5)


def test_the_neck_stays_when_the_head_turns():
    found = moved(track(picture(), picture(0.5)), picture(0.3))
    assert found[:, NECK] == pytest.approx(picture(0.3)[None, NECK].repeat(2, 0), abs=1e-6)


def test_a_head_comes_nearer_and_goes_across_as_the_driving_one_does():
    """By its own size, where scales are adapted."""
    driving = track(picture(size=0.2), picture(size=0.22, place=(0.1, 0.05)))
    for adapt, way in ((True, 2.0), (False, 1.0)):
        found = moved(driving, picture(size=0.4), adapt_scale=adapt)
        wanted = picture(size=0.44, place=(0.1 * way, 0.05 * way))
        assert found[1][HEAD.rows] == pytest.approx(wanted[HEAD.rows], abs=1e-5)


def test_half_the_strength_turns_half_as_far():
    driving, source = track(picture(), picture(0.6)), picture(0.2)
    assert moved(driving, source, strength=0.5)[1] == pytest.approx(picture(0.5), abs=1e-5)
    assert moved(driving, source, strength=0.0)[1] == pytest.approx(source, abs=1e-5)


ERRORS = arrays(np.float32, (2, len(NAMES), 2), elements=numbers(2.0**-5))


@settings(deadline=None)
@given(arrays(np.float32, (len(NAMES), 2), elements=numbers(1)), ERRORS, st.floats(0, 2), st.booleans())
def test_where_a_face_is_lost_the_other_frames_turn_and_the_reference_gives_the_source(
    lost, wrong, strength, adapt
):
    source, heads_seen = picture(0.4, 0.1), np.stack([picture(-0.3), picture(0.3)]) + wrong
    driving = track(lost, *heads_seen)
    found = moved(driving, source, strength=strength, adapt_scale=adapt, reference=1)
    assert np.isfinite(found).all()
    assert found[1] == pytest.approx(source, abs=1e-4)


def test_a_lost_face_is_no_reference():
    rng = np.random.default_rng(0)
    driving = track(rng.uniform(-1, 1, (len(NAMES), 2)), picture(), picture(0.3), picture(-0.3))
    source = picture(0.4)
    assert (moved(driving, source) == moved(driving, source, None)).all()
    turned = moved(driving, source, reference=1)
    assert turned[2] == pytest.approx(picture(0.7), abs=1e-5)
    assert np.isfinite(turned).all()


@pytest.mark.parametrize("what", ["driving", "source"])
def test_what_is_no_head_moves_in_the_picture(what):
    rng = np.random.default_rng(0)
    places = rng.uniform(-1, 1, (len(NAMES), 2)), picture(0.4)
    one, source = places if what == "driving" else places[::-1]
    driving = track(one, one + rng.normal(0, 0.02, one.shape))
    assert (moved(driving, source) == moved(driving, source, None)).all()


def test_a_head_is_known_where_its_landmarks_tell_its_pose():
    assert Head.of([]) is None
    assert Head.of([f"point_{i}" for i in range(24)]) is None
    assert Head.of([name for name in PLACES if name.startswith("eye")]) is None  # nearly in a plane
    some = Head.of(["thumb", "nose_tip", "ear_l", "ear_r", "chin", "forehead", "eye_l_outer", "eye_r_outer"])
    assert some.rows == [1, 2, 3, 4, 5, 6, 7]


def test_starter_knows_its_head_and_a_model_without_names_has_none():
    model = models.load("starter")
    head = Animator(model, "cpu").head
    names = model.metadata["landmarks"].split(",")
    assert [names[row] for row in head.rows] == [name for name in names if name != "neck"]
    model.metadata.pop("landmarks")
    assert Animator(model, "cpu").head is None


def test_a_job_turns_heads_and_opens_shut_mouths(request_of, clip, events):
    """By itself; held to the first frame, it begins with the painting; in the published way it does neither."""
    animator = Animator(models.load("starter"), "cpu")
    painting = media.read_painting(EXAMPLES / "painting.jpg")
    driving = track(picture(own=opened(0.4)), picture(0.4), picture())
    region = ",".join(map(str, regions.around_sitter(painting)))

    def value(plain: bool = False, **settings) -> tuple[np.ndarray, np.ndarray]:
        job = request_of(clip(2, 64, 64), region=region, **settings)
        (sitter,) = sitters.prepare(painting, job, driving, animator, events.control(), plain, None)
        return sitter.value, sitter.origin

    found, origin = value()
    lip = NAMES.index("lip_lower")
    assert found[0, lip, 1] > origin[lip, 1] + 0.02
    first, _ = value(reference_frame="first")
    assert first[0] == pytest.approx(origin, abs=1e-5)
    # A head that turns: the nose goes far, the ear that comes into view hardly.
    nose, ear = np.abs(first[1] - first[0])[[NAMES.index("nose_tip"), NAMES.index("ear_r")], 0]
    assert nose > 2 * ear
    plain, _ = value(plain=True)
    one = np.broadcast_to(np.eye(2), (len(NAMES), 2, 2))
    assert plain == pytest.approx(transfer(driving, origin, one)[0], abs=1e-6)
