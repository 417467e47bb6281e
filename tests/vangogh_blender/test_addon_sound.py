"""The driving video's sound in the scene's sequencer."""

import json
import subprocess

import imageio_ffmpeg
import pytest

bpy = pytest.importorskip("bpy")

from vangogh_says_hello.vangogh_blender import versions  # noqa: E402

from tests.vangogh_blender.in_bpy import FRAMES, canvas_node, only_job  # noqa: E402

pytestmark = pytest.mark.skipif(
    not bpy.app.build_options.audaspace, reason="this Blender was built without sound; the module of 4.2 is"
)

SECONDS = 2
FIRST = 11  # the scene's first frame


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """`clip(sound)`: two seconds of video at 25 frames/s, with a tone or without."""

    def make(sound=True):
        path = tmp_path_factory.mktemp("clip") / "clip.mp4"
        picture = ["-f", "lavfi", "-i", f"color=gray:size=32x32:rate=25:duration={SECONDS}"]
        tone = ["-f", "lavfi", "-i", f"sine=duration={SECONDS}", "-shortest"] if sound else []
        program = imageio_ffmpeg.get_ffmpeg_exe()
        subprocess.run([program, "-v", "error", *picture, *tone, str(path)], check=True)
        return path

    return make


@pytest.fixture
def scene(settings, clip):
    """A scene at 24 frames/s that begins at frame `FIRST`, ready to animate with a clip that sounds."""
    chosen = settings()
    chosen.driving_video = str(clip())
    scene = bpy.context.scene
    scene.render.fps = 24
    scene.frame_start = FIRST
    return scene


def strips(scene):
    editor = scene.sequence_editor
    if editor is None:
        return []
    return list(versions.strips(editor))


def where(strip):
    """Its channel, and the frames at which its file would begin, it begins and it ends."""
    names = ("content_start", "left_handle", "right_handle")
    return strip.channel, *(versions.strip_frame(strip, name) for name in names)


def add_sound():
    return bpy.ops.vangogh.add_sound(job=only_job().name)


def test_the_sound_comes_with_the_frames_cut_as_the_motion_is(scene):
    assert bpy.ops.vangogh.animate(add_sound=True, start=0.5) == {"FINISHED"}
    (strip,) = strips(scene)
    assert strip.sound.filepath == scene.vangogh.driving_video
    assert where(strip) == (1, FIRST - 12, FIRST, FIRST + FRAMES)
    assert only_job().warnings == ""


def test_the_sound_does_not_come_unasked(scene):
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    assert strips(scene) == []


def test_the_sound_of_a_finished_job_is_added_once(scene):
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    assert add_sound() == {"FINISHED"}
    assert add_sound() == {"CANCELLED"}
    assert [where(strip) for strip in strips(scene)] == [(1, FIRST, FIRST, FIRST + FRAMES)]
    assert bpy.ops.vangogh.animate(add_sound=True) == {"FINISHED"}
    assert len(strips(scene)) == 1


def test_it_begins_where_the_picture_does_by_now(scene):
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    canvas_node(scene.objects[0]).image_user.frame_start = 40
    assert add_sound() == {"FINISHED"}
    assert where(strips(scene)[0])[1:] == (40, 40, 40 + FRAMES)


def test_it_takes_the_lowest_channel_that_is_free_there(scene, clip):
    editor = scene.sequence_editor_create()
    others = versions.strips(editor)
    others.new_sound("in the way", str(clip()), 1, FIRST + FRAMES - 1)
    others.new_sound("before it", str(clip()), 2, FIRST - SECONDS * 24)
    assert bpy.ops.vangogh.animate(add_sound=True) == {"FINISHED"}
    assert [where(strip)[0] for strip in strips(scene) if strip.name == "clip"] == [2]


def test_forward_and_backward_it_is_heard_once(scene):
    assert bpy.ops.vangogh.animate(add_sound=True, loop="pingpong") == {"FINISHED"}
    assert where(strips(scene)[0]) == (1, FIRST, FIRST, FIRST + FRAMES // 2 + 1)


def test_it_ends_with_the_video(scene):
    assert bpy.ops.vangogh.animate(add_sound=True, start=SECONDS - 0.25) == {"FINISHED"}
    assert where(strips(scene)[0])[2:] == (FIRST, FIRST + 6)


def test_at_another_frame_rate_it_keeps_its_own_speed_and_says_so(scene):
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    scene.render.fps = 48
    assert add_sound() == {"FINISHED"}
    assert where(strips(scene)[0])[2:] == (FIRST, FIRST + 2 * FRAMES)
    assert bpy.ops.vangogh.animate(add_sound=True, use_scene_fps=False, start=0.5) == {"FINISHED"}
    assert "not retimed" in bpy.context.scene.vangogh.jobs[-1].warnings


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("silent", "has no sound"),
        ("track", "is a motion track, which has no sound"),
        ("gone", "There is no driving video at"),
        ("too late", "has no sound from 5 s on"),
    ],
)
def test_where_there_is_nothing_to_hear_it_is_said(scene, clip, tmp_path, case, words):
    chosen, video = scene.vangogh, clip(sound=case != "silent")
    if case == "track":
        video = video.rename(tmp_path / "nod.NPZ")
    chosen.driving_video = str(video)
    assert bpy.ops.vangogh.animate(add_sound=case != "gone", start=5.0 if case == "too late" else 0.0) == {
        "FINISHED"
    }
    if case == "gone":
        video.unlink()
    else:
        assert words in only_job().warnings
    with pytest.raises(RuntimeError, match=words):
        add_sound()
    assert strips(scene) == []
    assert not bpy.data.sounds


def test_saved_and_loaded_the_job_still_knows_its_sound(addon, scene, tmp_path):
    assert bpy.ops.vangogh.animate(start=0.25) == {"FINISHED"}
    assert json.loads(only_job().order)["sound"] is False
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    addon.session.current().stop()
    addon.session.begin()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert add_sound() == {"FINISHED"}
    assert where(strips(bpy.context.scene)[0]) == (1, FIRST - 6, FIRST, FIRST + FRAMES)
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert add_sound() == {"CANCELLED"}


class TestASpeaker:
    """In place of a strip: the sound comes from the picture."""

    def add(self):
        return bpy.ops.vangogh.add_sound(job=only_job().name, output="SPEAKER")

    def test_it_plays_at_the_picture_while_the_picture_moves(self, scene):
        assert bpy.ops.vangogh.animate(start=0.5) == {"FINISHED"}
        frame = scene.objects[0]
        frame.select_set(True)
        assert self.add() == {"FINISHED"}
        [speaker] = [thing for thing in scene.objects if thing.type == "SPEAKER"]
        assert speaker.parent == frame
        frame.location = (3, 2, 1)
        bpy.context.view_layer.update()
        assert (speaker.matrix_world.translation - frame.location).length < 0.2
        assert speaker.data.sound.filepath == scene.vangogh.driving_video
        [track] = speaker.animation_data.nla_tracks
        [strip] = track.strips
        assert strip.type == "SOUND"
        assert strip.frame_start == FIRST - 12  # half a second of the video is cut off
        heard = []
        for number in range(FIRST - 14, FIRST + FRAMES + 3):
            scene.frame_set(number)
            if speaker.data.volume > 0:
                heard.append(number)
        assert heard == list(range(FIRST, FIRST + FRAMES))
        assert strips(scene) == []
        # What was selected is.
        assert list(bpy.context.selected_objects) == [frame]

    def test_it_is_added_once(self, scene):
        assert bpy.ops.vangogh.animate() == {"FINISHED"}
        assert self.add() == {"FINISHED"}
        assert self.add() == {"CANCELLED"}
        assert sum(thing.type == "SPEAKER" for thing in scene.objects) == 1

    def test_frames_that_nothing_shows_have_no_place_for_it(self, scene):
        assert bpy.ops.vangogh.animate() == {"FINISHED"}
        bpy.data.objects.remove(scene.objects[0])
        with pytest.raises(RuntimeError, match="No object of this scene shows these frames"):
            self.add()
