"""Looking for faces while something else goes on."""

from __future__ import annotations

from threading import Event

import pytest

from fomm_core import driving, faces, job, models, regions, warm
from fomm_core.animator import Animator
from fomm_core.control import Cancelled
from fomm_core.errors import UserError
from fomm_core.faces import Search
from fomm_core.regions import Region


def test_a_search_begins_at_once(events):
    begun = Event()
    search = Search(lambda check: begun.set() or "there", events.control())
    assert begun.wait(10), "nobody has asked for it yet"
    assert search.found() == "there"


def test_a_search_that_nobody_needs_ends(events):
    begun, ended = Event(), Event()

    def look(check) -> None:
        begun.set()
        try:
            while True:
                check()
        finally:
            ended.set()

    search = Search(look, events.control())
    assert begun.wait(10)
    search.leave()
    assert ended.wait(10)


def test_a_search_ends_with_its_job(events):
    def look(check) -> None:
        while True:
            check()

    search = Search(look, events.control())
    events.stopped = True
    with pytest.raises(Cancelled):
        search.found()


def test_a_search_fails_where_it_is_asked(tmp_path, events):
    search = faces.in_clip(tmp_path / "none.mp4", 0, None, events.control())
    with pytest.raises(UserError, match=r"none\.mp4 is not there"):
        search.found()


def test_a_job_looks_for_faces_while_its_model_is_loaded(request_of, clip, events, monkeypatch):
    looked = {"painting": Event(), "clip": Event()}
    face = Region(20, 10, 40, 40)
    monkeypatch.setattr(regions, "around_sitters", lambda image: looked["painting"].set() or [face])
    monkeypatch.setattr(regions, "find_face", lambda image: looked["clip"].set() or face)

    def load(*arguments: object) -> Animator:
        assert all(event.wait(10) for event in looked.values())
        return warm.load(*arguments)

    request = request_of(clip(5, 96, 80), region="auto", driving_region="auto")
    assert job.run(request, events.control(), load).frames == 5


def test_the_clips_face_is_not_looked_for_once_its_motion_is_known(clip, model_file, events, monkeypatch):
    animator, video = Animator(models.load(str(model_file)), "cpu"), clip(5, 96, 80)
    driving.detect(video, animator, events.control())
    left = []
    monkeypatch.setattr(Search, "leave", lambda search: left.append(search))
    search = faces.in_clip(video, 0, None, events.control())
    driving.detect(video, animator, events.control(), looks=search)
    assert left == [search]
    search.found()  # so that it looks no more while the next test counts
