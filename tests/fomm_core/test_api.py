"""The core from Python: the same as the command line's, frame for frame, and errors as errors."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fomm_core import api, job, media, protocol
from tests.fomm_core.job_output import pixels


@pytest.fixture
def settings(model_file):
    """The tiny model on the CPU, both regions whole, not at the model's own size."""
    return {"model": str(model_file), "device": "cpu", "region": "full", "driving_region": "full"}


def test_animate_is_the_job(painting, clip, settings, request_of, events, tmp_path):
    video = clip(6)
    job.run(request_of(video, output=str(tmp_path / "job")), events.control())
    done = api.animate(painting, video, tmp_path / "api", **settings)
    assert (done.frames, done.path) == (6, str(tmp_path / "api" / "frames"))
    for one, other in zip(
        pixels(sorted((tmp_path / "api" / "frames").iterdir())),
        pixels(sorted((tmp_path / "job" / "frames").iterdir())),
        strict=True,
    ):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("size", [None, 64, 100])  # 64 is the model's own: the plain published way
def test_frames_in_memory_are_those_on_disk(painting, clip, settings, tmp_path, size):
    video = clip(6)
    api.animate(painting, video, tmp_path / "out", size=size, **settings)
    animation = api.prepare(painting, video, size=size, **settings)
    written = pixels(sorted((tmp_path / "out" / "frames").iterdir()))
    frames = list(animation.frames())
    assert (len(animation), animation.fps) == (6, 25)
    assert all(np.array_equal(one, other) for one, other in zip(frames, written, strict=True))
    assert np.array_equal(next(animation.frames(4)), written[4])


def test_predictions_of_some_frames_are_those_of_all(painting, clip, settings):
    animation = api.prepare(painting, clip(6), **settings)
    every = list(animation.predictions())
    some = list(animation.predictions([1, 5]))
    assert len(every) == 6
    assert every[0].image.shape == (64, 64, 3)
    for one, number in zip(some, (1, 5), strict=True):
        assert np.abs(one.image.astype(int) - every[number].image).max() <= 1
        assert np.allclose(one.occlusion, every[number].occlusion, atol=1e-4)


@pytest.mark.parametrize("name", ["hello.mp4", "hello.gif"])
def test_save_writes_every_frame(painting, clip, settings, tmp_path, name):
    animation = api.prepare(painting, clip(6), **settings)
    animation.save(tmp_path / name)
    assert len(list(media.VideoReader(tmp_path / name))) == 6


def test_a_name_that_is_no_movie_is_refused(painting, clip, settings, tmp_path):
    animation = api.prepare(painting, clip(3), **settings)
    with pytest.raises(api.UserError, match="does not name a movie"):
        animation.save(tmp_path / "hello.png")
    assert not (tmp_path / "hello.png").exists()


def test_a_track_stands_for_the_video(painting, clip, settings, tmp_path):
    video = clip(5)
    about = {key: settings[key] for key in ("model", "device", "driving_region")}
    track = api.track(video, tmp_path / "hello.npz", **about)
    animation = api.prepare(painting, tmp_path / "hello.npz", smooth=0, **settings)
    assert np.array_equal(animation.track.value, track.value)
    assert len(track) == 5


def test_explain_draws(painting, clip, settings, tmp_path):
    done = api.explain(painting, clip(4), tmp_path / "e.png", frame=2, **settings)
    with Image.open(tmp_path / "e.png") as sheet:
        assert sheet.width > sheet.height
    assert done.frames == 1


def test_a_kept_model_is_loaded_once(painting, clip, settings, tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr(
        "fomm_core.warm.models.load", lambda *args, load=api.warm.models.load: loaded.append(1) or load(*args)
    )
    kept, video = api.WarmModel(), clip(3)
    for name in ("a", "b"):
        api.animate(painting, video, tmp_path / name, load=kept.load, **settings)
    assert len(loaded) == 1


def test_what_a_person_should_know_is_logged_or_an_event(painting, clip, settings, caplog):
    changed = {**settings, "region": "auto"}  # there is no face in a pattern
    for _ in range(2):  # the second painting's is no less worth telling
        caplog.clear()
        api.prepare(painting, clip(3), **changed)
        assert "No face was found in the painting" in caplog.text
    caplog.clear()
    events = []
    api.prepare(painting, clip(3), report=events.append, **changed)
    assert [event.sentence for event in events if isinstance(event, protocol.Warning)]
    assert not caplog.text


def test_stopped_from_outside(painting, clip, settings, tmp_path):
    events = []

    def stop():
        return any(isinstance(event, protocol.Frame) for event in events)

    with pytest.raises(api.Cancelled):
        api.animate(painting, clip(30), tmp_path / "out", report=events.append, stop=stop, **settings)
    assert list((tmp_path / "out" / "frames").iterdir())
    done = api.animate(painting, clip(30), tmp_path / "out", resume=True, **settings)
    assert done.frames == 30


def test_what_cannot_be_done(painting, clip, settings, tmp_path):
    with pytest.raises(api.UserError) as failure:
        api.prepare(tmp_path / "none.png", clip(3), **settings)
    assert failure.value.kind == "image"
    with pytest.raises(api.UserError, match="strength"):
        api.prepare(painting, clip(3), strength=9, **settings)
    with pytest.raises(TypeError):
        api.prepare(painting, clip(3), power=9, **settings)


def test_the_settings_are_all_of_a_job_s(painting, clip, settings):
    chosen = {
        f.name: f.default
        for f in dataclasses.fields(protocol.Job)
        if f.name not in ("painting", "video", "output")
    }
    animation = api.prepare(painting, clip(3), **{**chosen, **settings})
    assert animation.job == protocol.Job(
        **{**chosen, **settings}, painting=str(painting), video=animation.job.video, output=""
    )
    assert Path(animation.job.video).is_file()
