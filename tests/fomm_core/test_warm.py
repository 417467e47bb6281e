"""A model that stays loaded between jobs: when it is taken again, and when it is let go."""

from __future__ import annotations

import gc
import io
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
import weakref

import pytest

from fomm_core import animator, inference, job, models, protocol, warm, worker
from fomm_core.errors import UserError
from tests.fomm_core.job_output import pixels, same

PATIENCE = 30  # seconds, for what takes one on an idle machine


@pytest.fixture
def built(monkeypatch) -> list:
    """The networks that were built so far, as weak references."""
    build, found = inference.build, []

    def noted(*arguments):
        network = build(*arguments)
        found.append(weakref.ref(network))
        return network

    monkeypatch.setattr(inference, "build", noted)
    return found


@pytest.fixture
def kept() -> warm.WarmModel:
    return warm.WarmModel()


def test_a_second_job_has_the_network_of_the_first(built, kept, request_of, clip, events, tmp_path):
    video = clip(3)
    jobs = [request_of(video, output=str(tmp_path / name)) for name in ("first", "second", "cold")]
    for request in jobs[:2]:
        job.run(request, events.control(), kept.load)
    assert len(built) == 1
    job.run(jobs[2], events.control())
    assert len(built) == 2
    first, second, cold = (
        pixels(sorted((tmp_path / name / "frames").iterdir())) for name in ("first", "second", "cold")
    )
    assert same(first, second)
    assert same(second, cold)


def test_a_source_and_a_batch_size_are_a_jobs_own(kept, model_file, picture):
    first = kept.load(str(model_file), None, "cpu", "fp32")
    first.set_source(picture(64, 64))
    first.batch_size = 7
    second = kept.load(str(model_file), None, "cpu", "fp32")
    assert second.batch_size != 7
    with pytest.raises(RuntimeError, match="before set_source"):
        second.still()


def test_what_was_prepared_is_not_worked_out_again(kept, request_of, clip, events, monkeypatch):
    request = request_of(clip(3))
    job.get_ready(request, events.control(), kept.load)

    def again(*_arguments):
        raise AssertionError("this was prepared")

    monkeypatch.setattr(kept._animator._network, "encode", again)
    monkeypatch.setattr(kept._animator._network, "detect", again)
    monkeypatch.setattr(inference.convolution.Direct, "__init__", again)  # a layer's weights are laid out
    assert job.run(request, events.control(), kept.load).frames == 3


def test_a_painting_of_before_is_not_encoded_again(kept, model_file, picture, monkeypatch):
    encoded = []
    first = kept.load(str(model_file), None, "cpu", "fp32")
    plain = first._network.encode
    monkeypatch.setattr(first._network, "encode", lambda image: encoded.append(image) or plain(image))
    pictures = [picture(64, 64, i / 10) for i in range(animator.KNOWN + 1)]
    found = first.set_source(pictures[0])
    still = first.still()
    again = kept.load(str(model_file), None, "cpu", "fp32")
    assert same(found, again.set_source(pictures[0].copy()))
    assert same(still, again.still())
    assert len(encoded) == 1
    for painting in pictures[1:]:
        again.set_source(painting)
    again.set_source(pictures[0])
    assert len(encoded) == len(pictures) + 1, "few are kept"


def test_a_model_is_loaded_without_the_compiler():
    """That would take a second, and it is loaded by the first sum of tensors without memory."""
    code = """
import sys
from fomm_core import warm
warm.load("starter", None, "cpu", "auto")
print("sympy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_another_model_device_or_precision_is_loaded(built, kept, model_file, tmp_path):
    other = shutil.copy(model_file, tmp_path / "other.safetensors")
    for name, precision in ((model_file, "fp32"), (other, "fp32"), (other, "fp32"), (other, "auto")):
        kept.load(str(name), None, "cpu", precision)
    usual = inference.choose(kept.load(str(other), None, "cpu", "auto").device, "auto").precision
    assert len(built) == (2 if usual == "fp32" else 3)
    kept.load(str(other), None, "auto", usual)
    assert len(built) == (2 if usual == "fp32" else 3), "other words for the same"
    gc.collect()
    assert [network() is None for network in built] == [True] * (len(built) - 1) + [False], "one is kept"


def test_a_model_file_that_changed_is_loaded_anew(built, kept, model, model_file, tmp_path):
    path = tmp_path / "model.safetensors"
    shutil.copy(model_file, path)
    before = kept.load(str(path), None, "cpu", "fp32").metadata["sha256"]
    about = path.stat()
    model.generator.final.bias.data += 0.1
    models.save(path, model, {"name": "model"})  # of the same size
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns + 1))
    assert kept.load(str(path), None, "cpu", "fp32").metadata["sha256"] != before
    path.unlink()
    with pytest.raises(UserError, match="no model"):
        kept.load(str(path), None, "cpu", "fp32")
    gc.collect()
    assert [network() for network in built] == [None, None]


def test_a_configuration_that_changed_counts_too(built, kept, checkpoint, tmp_path):
    config = tmp_path / "tiny.yaml"
    shutil.copy(checkpoint[1], config)
    for _ in range(2):
        kept.load(str(checkpoint[0]), str(config), "cpu", "fp32")
    assert len(built) == 1
    config.write_text(config.read_text() + "\n# changed\n")
    kept.load(str(checkpoint[0]), str(config), "cpu", "fp32")
    assert len(built) == 2


class Conversation:
    """A worker in this process; `ask` sends it a request, `until` waits for something to become true."""

    def __init__(self):
        self.output = io.StringIO()
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._worker = worker.Worker(self, self.output)
        self._thread = threading.Thread(target=self._worker.run, daemon=True)
        self._thread.start()

    def __iter__(self):
        while True:
            yield self._lines.get()

    def ask(self, request: object) -> None:
        self._lines.put(protocol.encode(request))

    def answer(self, id: str) -> object:
        """The last event of that job."""
        ends = protocol.Done | protocol.Error | protocol.Cancelled

        def found() -> list:
            events = [
                protocol.decode(line)
                for line in self.output.getvalue().splitlines(keepends=True)
                if line.endswith("\n")
            ]
            return [event for event in events if isinstance(event, ends) and event.id == id]

        self.until(found)
        return found()[0]

    @staticmethod
    def until(happened) -> None:
        end = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.02)

    def close(self) -> None:
        self._worker._stop()  # a shutdown would end this process, too, if it took long
        self._thread.join(PATIENCE)


@pytest.fixture
def conversation():
    conversation = Conversation()
    yield conversation
    conversation.close()


def gone(network) -> bool:
    gc.collect()
    return network() is None


def test_the_worker_keeps_the_model_until_it_is_asked_to_free_it(
    built, conversation, request_of, clip, tmp_path
):
    video = clip(2)
    request = request_of(video, precision="auto")
    conversation.ask(protocol.Animate("a", request))
    conversation.ask(protocol.Track("t", str(video), str(tmp_path / "track.npz"), request.model, None, "cpu"))
    conversation.ask(protocol.Animate("missing", request_of(tmp_path / "none.mp4", precision="auto")))
    for id, kind in (("a", protocol.Done), ("t", protocol.Done), ("missing", protocol.Error)):
        assert isinstance(conversation.answer(id), kind)
    assert len(built) == 1
    assert not gone(built[0]), "a file that is not there is no reason to forget"
    conversation.ask(protocol.FreeMemory())
    conversation.until(lambda: gone(built[0]))
    conversation.ask(protocol.Animate("b", request))
    assert isinstance(conversation.answer("b"), protocol.Done)
    assert len(built) == 2


def test_the_worker_frees_the_model_after_a_while(built, monkeypatch, conversation, request_of, clip):
    monkeypatch.setattr(worker, "IDLE", 0.2)
    conversation.ask(protocol.Animate("a", request_of(clip(2))))
    conversation.answer("a")
    conversation.until(lambda: gone(built[0]))


FAULTS = {
    "a fault": KeyError,
    "too little memory": lambda: UserError("out_of_memory", "There is too little."),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_in_the_works_frees_the_model(built, monkeypatch, conversation, request_of, clip, fault):
    request = request_of(clip(2))
    conversation.ask(protocol.Animate("a", request))
    conversation.answer("a")

    def fail(*_):
        raise FAULTS[fault]()

    monkeypatch.setattr(job, "prepare", fail)
    conversation.ask(protocol.Animate("b", request))
    assert conversation.answer("b").kind == {"a fault": "internal"}.get(fault, "out_of_memory")
    conversation.until(lambda: gone(built[0]))
