"""The worker as Blender sees it: a process that takes and gives JSON lines."""

from __future__ import annotations

import dataclasses
import io
import os
import queue
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from fomm_core import protocol, worker
from fomm_core.media import read_painting

PATIENCE = 60  # seconds, for what takes one or two on an idle machine


class Client:
    """A worker process, and its events as they come."""

    def __init__(self, command, environment, cwd, log: Path):
        self.log = log
        with open(log, "wb") as errors:
            self.process = subprocess.Popen(
                [*command, "worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                cwd=cwd,
            )
        self.raw: list[str] = []
        self.events: queue.Queue = queue.Queue()
        self.deaf = threading.Event()  # set: nobody reads the events any more
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.raw.append(line.decode("utf-8"))
            self.events.put(protocol.decode(self.raw[-1]))
            if self.deaf.is_set():
                break
        self.process.stdout.close()
        self.events.put(None)

    def send(self, message: object | str) -> None:
        line = message if isinstance(message, str) else protocol.encode(message)
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def until(self, cls: type, id: str | None = None) -> tuple[object, list]:
        """The next event of that kind (about that job), and those before it."""
        before = []
        while True:
            event = self.events.get(timeout=PATIENCE)
            assert event is not None, f"the worker ended: {self.log.read_text()}"
            if isinstance(event, cls) and id in (None, getattr(event, "id", None)):
                return event, before
            assert not isinstance(event, protocol.Error), event
            before.append(event)

    def end(self) -> int:
        self.process.stdin.close()
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._thread.join(PATIENCE)
        if not self.process.stdin.closed:
            self.process.stdin.close()


@pytest.fixture
def start(command, environment, tmp_path):
    """`start(**environment)`: a worker, ended with the test."""
    clients = []

    def make(**more):
        log = tmp_path / f"worker{len(clients)}.log"
        clients.append(Client(command, {**environment, **more}, tmp_path, log))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(start):
    """A worker that has said hello."""
    client = start()
    client.hello = client.until(protocol.Hello)
    return client


def test_hello_jobs_and_the_end(client, request_of, clip, tmp_path, written_frames):
    hello, before = client.hello
    assert before == []
    assert hello.protocol == protocol.PROTOCOL
    assert hello.devices[-1].name == "cpu"
    video = clip(4)
    client.send(protocol.Animate("a", request_of(video)))
    done, before = client.until(protocol.Done, "a")
    assert done.frames == 4
    assert all(event.id == "a" for event in before)
    assert [e.index for e in before if isinstance(e, protocol.Frame)] == [1, 2, 3, 4]
    assert len(written_frames(tmp_path / "out")) == 4
    track = tmp_path / "track.npz"
    client.send(protocol.Track("t", str(video), str(track), request_of(video).model, driving_region="full"))
    assert client.until(protocol.Done, "t")[0].path == str(track)
    assert track.is_file()
    client.send(protocol.ListDevices())
    assert client.until(protocol.Devices)[0].devices == hello.devices
    assert client.end() == 0


def test_what_is_no_request_is_answered(client):
    for line in (
        "hello?",
        "{}",
        '{"type": "dance"}',
        '{"type": "animate", "id": "a"}',
        "\x00\xff",
        "[" * 50_000,
    ):
        client.send(line)
        error = client.until(protocol.Error)[0]
        assert (error.id, error.kind) == ("", "arguments")
        assert len(error.sentence) < 300
    client.send(protocol.Cancelled("a"))
    assert "no request" in client.until(protocol.Error)[0].sentence
    client.send(protocol.Shutdown())
    assert client.process.wait(PATIENCE) == 0


def test_a_job_that_fails_leaves_the_worker_well(client, request_of, clip, tmp_path):
    client.send(protocol.Animate("a", request_of(tmp_path / "none.mp4")))
    error = client.until(protocol.Error)[0]
    assert (error.id, error.kind) == ("a", "video")
    assert error.hint
    client.send(protocol.Animate("b", request_of(clip(2))))
    client.until(protocol.Done, "b")


@pytest.fixture
def long_job(request_of, ffmpeg, tmp_path):
    """A job of many seconds: `long_job(name)`."""
    video = tmp_path / "long.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=32x32:r=25:d=12", "-preset", "ultrafast", video)
    return lambda name: request_of(video, output=str(tmp_path / name))


def test_cancel_stops_soon_and_the_second_job_waits(client, long_job, tmp_path, written_frames, soon):
    client.send(protocol.Animate("a", long_job("a")))
    client.send(protocol.Animate("b", long_job("b")))
    client.send(protocol.Animate("c", long_job("c")))
    _, before = client.until(protocol.Frame, "a")
    assert all(event.id == "a" for event in before), "the second has not begun"
    client.send(protocol.Cancel("c"))
    began = time.monotonic()
    cancelled, before = client.until(protocol.Cancelled)
    assert cancelled == protocol.Cancelled("c"), "one that waits is cancelled at once"
    assert time.monotonic() - began < soon
    began = time.monotonic()
    client.send(protocol.Cancel("a"))
    cancelled, before = client.until(protocol.Cancelled, "a")
    assert time.monotonic() - began < soon
    assert all(event.id == "a" for event in before)
    assert cancelled.frames == len(written_frames(tmp_path / "a")) >= 1
    client.until(protocol.Progress, "b")
    client.send(protocol.Cancel("b"))
    assert client.until(protocol.Cancelled, "b")[0].frames == 0
    assert not (tmp_path / "c").exists()


def test_a_name_that_was_cancelled_can_be_used_again(client, request_of, clip):
    client.send(protocol.Cancel("a"))
    client.send(protocol.Animate("a", request_of(clip(2))))
    client.until(protocol.Done, "a")


def prepare(name: str, job: protocol.Job) -> protocol.Prepare:
    return protocol.Prepare(name, dataclasses.replace(job, output=""))


def prepare_and_ask(client, job: protocol.Job) -> None:
    """Let the worker begin to prepare a job, and ask for it."""
    client.send(prepare("p", job))
    time.sleep(0.2)  # nothing is told of it, and a job that comes before it has begun is done first
    client.send(protocol.Animate("a", job))


def test_what_was_prepared_is_not_done_again(client, request_of, clip, tmp_path, written_frames):
    job = request_of(clip(6))
    client.send(prepare("p", job))
    prepared, before = client.until(protocol.Prepared)
    assert prepared == protocol.Prepared("p", ready=True)
    assert before == [], "nobody waits: nothing is told"
    assert not (tmp_path / "out").exists()
    client.send(protocol.Animate("a", job))
    _, before = client.until(protocol.Done, "a")
    assert not [e for e in before if isinstance(e, protocol.Progress) and e.stage == "motion"]
    assert len(written_frames(tmp_path / "out")) == 6


def test_a_clip_is_prepared_before_there_is_a_painting(client, request_of, clip):
    job = request_of(clip(6))
    client.send(prepare("p", dataclasses.replace(job, painting="")))
    assert client.until(protocol.Prepared)[0].ready
    client.send(protocol.Animate("a", job))
    _, before = client.until(protocol.Done, "a")
    assert not [e for e in before if isinstance(e, protocol.Progress) and e.stage == "motion"]


def test_a_job_waits_for_what_is_prepared_for_it_and_hears_how_it_goes(client, long_job):
    job = long_job("a")
    prepare_and_ask(client, job)
    prepared, before = client.until(protocol.Prepared)
    assert prepared.ready
    assert {(type(e), e.id, e.stage) for e in before} == {(protocol.Progress, "a", "motion")}
    _, before = client.until(protocol.Frame, "a")
    assert not [e for e in before if isinstance(e, protocol.Progress) and e.stage == "motion"]


def test_a_job_that_waits_for_what_is_prepared_is_cancelled_at_once(client, long_job, soon):
    prepare_and_ask(client, long_job("a"))
    client.until(protocol.Progress, "a")
    began = time.monotonic()
    client.send(protocol.Cancel("a"))
    client.until(protocol.Cancelled, "a")
    assert time.monotonic() - began < soon
    assert client.until(protocol.Prepared)[0].ready, "somebody else may want it"


@pytest.mark.parametrize("following", ["job", "preparation"])
def test_what_is_prepared_gives_way(client, long_job, request_of, clip, following):
    """To a job with another clip, and to the next that is to be prepared."""
    prepare_and_ask(client, long_job("a"))
    client.until(protocol.Progress, "a")
    client.send(protocol.Cancel("a"))
    other = request_of(clip(2))
    client.send(protocol.Animate("b", other) if following == "job" else prepare("q", other))
    assert client.until(protocol.Prepared)[0] == protocol.Prepared("p", ready=False)
    if following == "job":
        client.until(protocol.Done, "b")
    else:
        assert client.until(protocol.Prepared)[0] == protocol.Prepared("q", ready=True)


def test_of_what_waits_to_be_prepared_the_last_counts(client, long_job, request_of, clip):
    client.send(protocol.Animate("a", long_job("a")))
    client.until(protocol.Frame, "a")
    client.send(prepare("p", request_of(clip(2))))
    client.send(prepare("q", request_of(clip(2))))
    assert client.until(protocol.Prepared)[0] == protocol.Prepared("p", ready=False)
    client.send(protocol.Cancel("a"))
    assert client.until(protocol.Prepared)[0] == protocol.Prepared("q", ready=True)


def test_what_cannot_be_prepared_is_told_when_the_job_comes(client, request_of, tmp_path):
    job = request_of(tmp_path / "none.mp4")
    client.send(prepare("p", job))
    prepared, before = client.until(protocol.Prepared)
    assert not prepared.ready
    assert before == []
    client.send(protocol.Animate("a", job))
    assert client.until(protocol.Error)[0].kind == "video"


def test_devices_are_told_while_a_job_runs(client, long_job, soon):
    client.send(protocol.Animate("a", long_job("a")))
    client.until(protocol.Frame, "a")
    began = time.monotonic()
    client.send(protocol.ListDevices())
    client.until(protocol.Devices)
    assert time.monotonic() - began < soon


def test_the_worker_goes_when_blender_does(client, long_job, tmp_path, written_frames, soon):
    client.send(protocol.Animate("a", long_job("a")))
    client.until(protocol.Frame, "a")
    began = time.monotonic()
    assert client.end() == 0
    assert time.monotonic() - began < soon
    assert 1 <= len(written_frames(tmp_path / "a")) < 300


def test_the_worker_goes_when_its_output_is_closed(client, long_job, soon):
    """Blender was killed: the pipe that takes the events is gone."""
    client.send(protocol.Animate("a", long_job("a")))
    client.until(protocol.Frame, "a")
    client.deaf.set()
    client.send(protocol.ListDevices())  # there will be something to say
    assert client.process.wait(worker.GRACE + soon) == 0


def test_a_killed_worker_leaves_complete_frames_and_its_job_resumes(client, start, long_job, tmp_path):
    job = long_job("a")
    client.send(protocol.Animate("a", job))
    while client.until(protocol.Frame, "a")[0].index < 5:
        pass
    client.process.kill()
    assert client.process.wait(PATIENCE) == -signal.SIGKILL
    frames = tmp_path / "a" / "frames"
    names = sorted(path.name for path in frames.iterdir() if not path.name.startswith("."))
    assert names[:5] == [f"{i:04d}.png" for i in range(1, 6)]
    for name in names:
        assert read_painting(frames / name).shape == (90, 120, 3)
    again = start()
    again.send(protocol.Animate("b", dataclasses.replace(job, resume=True)))
    assert again.until(protocol.Frame, "b")[0].index > 5
    assert not [path for path in frames.iterdir() if path.name.endswith(".tmp.png") and ".0005." in path.name]


def test_nothing_but_messages_reaches_standard_output(start, request_of, clip, tmp_path):
    """Even when a library prints, from Python or from C, from any process."""
    noisy = tmp_path / "noisy"
    noisy.mkdir()
    (noisy / "sitecustomize.py").write_text(
        "import atexit, os, sys, threading\n"
        "def noise():\n"
        "    print('a library says hello')\n"
        "    os.write(1, b'from C\\n')\n"
        "    os.system('echo from a child')\n"
        "class Finder:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name in ('fomm_core.job', 'skimage.feature', 'fomm_core.canvas'): noise()\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    client = start(PYTHONPATH=f"{noisy}{os.pathsep}{Path(__file__).parents[2]}")
    client.until(protocol.Hello)
    client.send(protocol.Animate("a", request_of(clip(2), region="auto")))
    client.until(protocol.Done, "a")
    assert client.end() == 0
    for line in client.raw:
        protocol.decode(line)
    log = client.log.read_text()
    assert all(words in log for words in ("a library says hello", "from C", "from a child"))


BROKEN = {
    "no torch": (
        "torch",
        "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')",
        "has no torch",
    ),
    "a broken torch": ("torch", "raise ImportError('libcudart.so.12: cannot open\\nmore\\n')", "libcudart"),
    "a torch that fails otherwise": ("torch", "raise OSError('[WinError 126] c10.dll')", "c10.dll"),
    "no scipy": (
        "scipy",
        "raise ModuleNotFoundError(\"No module named 'scipy'\", name='scipy')",
        "has no scipy",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_python_that_lacks_something(case, start, tmp_path):
    package, code, words = BROKEN[case]
    stub = tmp_path / "stub" / package
    stub.mkdir(parents=True)
    (stub / "__init__.py").write_text(code)
    client = start(PYTHONPATH=f"{stub.parent}{os.pathsep}{Path(__file__).parents[2]}")
    error = client.until(protocol.Error)[0]
    assert (error.id, error.kind) == ("", "runtime")
    assert words in error.sentence
    assert "\n" not in error.sentence
    assert error.hint
    client.process.wait(PATIENCE)
    assert len(client.raw) == 1


def test_a_package_that_is_missed_late_is_a_runtime_error_too(monkeypatch, request_of, clip):
    """scikit-image, say, is loaded when the first face is looked for."""
    from fomm_core import job

    def missing(request, control, load):
        raise ModuleNotFoundError("No module named 'skimage'", name="skimage")

    monkeypatch.setattr(job, "run", missing)
    assert [e.kind for e in served(protocol.Animate("a", request_of(clip(1))))] == ["runtime"]


def test_a_fault_of_ours_is_told_and_the_next_job_runs(monkeypatch, request_of, clip, capfd):
    from fomm_core import job

    faults = iter([KeyError("frame\nnumber"), None])
    done = protocol.Done("b", "p", 1, 25.0, 0.1)

    def run(request, control, load):
        if fault := next(faults):
            raise fault
        return done

    monkeypatch.setattr(job, "run", run)
    request = request_of(clip(1))
    error, last = served(protocol.Animate("a", request), protocol.Animate("b", request))
    assert (error.id, error.kind) == ("a", "internal")
    assert "KeyError" in error.sentence
    assert "\n" not in error.sentence
    assert last == done
    assert "Traceback" in capfd.readouterr().err, "the log has it all"


def served(*requests) -> list:
    """What a worker in this process answers to requests, hello left out."""
    events = io.StringIO()
    answered = threading.Event()

    class Requests:
        """The input stays open until all is answered."""

        def __iter__(self):
            yield from map(protocol.encode, requests)
            answered.wait(PATIENCE)

    class Counting(worker.Worker):
        def report(self, event):
            super().report(event)
            if events.getvalue().count("\n") > len(requests):
                answered.set()

    exits = []
    timer, worker.threading.Timer = worker.threading.Timer, lambda *a: exits.append(a) or threading.Thread()
    try:
        Counting(Requests(), events).run()
    finally:
        worker.threading.Timer = timer
    return [protocol.decode(line) for line in events.getvalue().splitlines()[1:]]
