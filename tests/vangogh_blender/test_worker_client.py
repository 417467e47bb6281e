"""The client against real processes: a fake worker that behaves, and ones that do not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from vangogh_says_hello.fomm_core import protocol
from vangogh_says_hello.fomm_core.errors import UserError
from vangogh_says_hello.vangogh_blender import worker_client
from vangogh_says_hello.vangogh_blender.worker_client import Exited, WorkerClient

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def client(tmp_path, fake_python):
    """`client(scenario, …)`: a client of that fake worker, which ends with the test."""
    clients = []

    def make(scenario, **options):
        clients.append(WorkerClient(fake_python(scenario), ROOT, tmp_path, **options))
        return clients[-1]

    yield make
    for made in clients:
        made.stop(wait=True)


def collect(client, until, seconds=20):
    """The client's events up to the first of type `until`."""
    messages, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        message = client.poll()
        if message is None:
            time.sleep(0.005)
            continue
        messages.append(message)
        if isinstance(message, until):
            return messages
    raise AssertionError(f"no {until.__name__} in {seconds} s, but {messages}")


@pytest.fixture
def job(tmp_path):
    painting = tmp_path / "painting.png"
    painting.write_bytes(b"a picture")
    return protocol.Job(painting=str(painting), video="v.mp4", output=str(tmp_path / "out"))


def gone(pid):
    """Whether the process is gone; waits two seconds for it."""
    for _ in range(40):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").exists() and ") Z " in Path(f"/proc/{pid}/stat").read_text():
            return True
        time.sleep(0.05)
    return False


def test_a_job_from_hello_to_done(client, job):
    worker = client("ok")
    assert isinstance(collect(worker, protocol.Hello)[0], protocol.Hello)
    worker.send(protocol.Animate("a", job))
    messages = collect(worker, protocol.Done)
    assert [m.index for m in messages if isinstance(m, protocol.Frame)] == list(range(1, 13))
    assert all(Path(m.path).is_file() for m in messages if isinstance(m, protocol.Frame))


def test_poll_never_waits(client):
    worker = client("hello-late")
    start = time.perf_counter()
    assert worker.poll() is None
    assert time.perf_counter() - start < 0.05
    collect(worker, protocol.Hello)


def test_noise_on_stdout_is_passed_over(client, job):
    worker = client("garbage")
    worker.send(protocol.Animate("a", job))
    messages = collect(worker, protocol.Done)
    assert len([m for m in messages if isinstance(m, protocol.Frame)]) == 12


def test_cancel(client, job):
    worker = client("slow")
    worker.send(protocol.Animate("a", job))
    collect(worker, protocol.Frame)
    worker.send(protocol.Cancel("a"))
    assert collect(worker, protocol.Cancelled)[-1].frames < 12


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("killed", "was killed, perhaps because the computer ran out of memory"),
        ("crash", "crashed (SIGSEGV)"),
        ("exit", "ended with status 3"),
    ],
)
def test_each_death_has_its_sentence(client, job, scenario, words):
    worker = client(scenario)
    worker.send(protocol.Animate("a", job))
    exited = collect(worker, Exited)[-1]
    assert words in exited.sentence
    assert "worker.log" in exited.hint
    assert worker.poll() is None  # nothing after the end
    worker.send(protocol.Cancel("a"))  # to a worker that is gone: no exception


def test_a_python_without_torch_says_so_itself(client):
    messages = collect(client("no-torch"), Exited)
    assert messages[0] == protocol.Error("", "runtime", "This Python has no torch.", "Install torch.")


def test_a_python_without_the_package_is_told_with_its_last_words(tmp_path):
    worker = WorkerClient(sys.executable, tmp_path, tmp_path)
    exited = collect(worker, Exited)[-1]
    assert "ended before it could work" in exited.sentence
    assert "No module named fomm_core" in exited.hint


def test_a_silent_python_is_given_up(client):
    worker = client("silent", hello_seconds=0.3)
    exited = collect(worker, Exited)[-1]
    assert "did not answer" in exited.sentence
    assert gone(worker.pid)


@pytest.mark.parametrize("name", ["", "nowhere/python", "text.txt"])
def test_a_python_that_cannot_start_is_one_sentence(tmp_path, name):
    (tmp_path / "text.txt").write_text("no program")
    python = str(tmp_path / name) if name else ""
    with pytest.raises(UserError) as caught:
        WorkerClient(python, ROOT, tmp_path)
    assert caught.value.kind == "runtime"
    assert "\n" not in str(caught.value)


def test_a_program_of_no_known_format_is_one_sentence(tmp_path):
    program = tmp_path / "python"
    program.write_bytes(b"\0\1\2\3")
    program.chmod(0o755)
    with pytest.raises(UserError, match="cannot be started"):
        WorkerClient(str(program), ROOT, tmp_path)


def test_stop_ends_even_a_deaf_worker(client, job):
    worker = client("deaf")
    worker.send(protocol.Animate("a", job))
    collect(worker, protocol.Frame)
    start = time.monotonic()
    worker.stop()
    assert time.monotonic() - start < 0.1
    worker.stop(wait=True)
    assert time.monotonic() - start < 3
    assert gone(worker.pid)


def test_the_environment_of_blenders_python_does_not_reach_the_worker(monkeypatch):
    for name in ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__"):
        monkeypatch.setenv(name, "/of/blender")
    environment = worker_client.core_environment(ROOT)
    assert "/of/blender" not in environment.values()
    assert environment["PYTHONPATH"] == str(ROOT)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_the_worker_goes_when_its_parent_is_killed(tmp_path, fake_python, job):
    script = (
        "import sys, time, test_worker_client as t\n"
        "w = t.WorkerClient(sys.argv[1], t.ROOT, t.Path(sys.argv[2]))\n"
        "t.collect(w, t.protocol.Hello); print(w.pid, flush=True); time.sleep(60)\n"
    )
    here = str(Path(__file__).parent)
    parent = subprocess.Popen(
        [sys.executable, "-c", "import conftest\n" + script, fake_python("slow"), str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": here},
        text=True,
    )
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert gone(pid)
