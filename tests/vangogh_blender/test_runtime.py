"""The runtime's way from nothing to ready, and what may come between: the real uv, tiny wheels, no network."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from vangogh_says_hello.fomm_core.errors import UserError
from vangogh_says_hello.vangogh_blender import runtime as package
from vangogh_says_hello.vangogh_blender.runtime import Failed, Finished, Progress, Runtime, lock

from tests.vangogh_blender import runtime_stand_in as stand_in


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return stand_in.make_extension(tmp_path_factory.mktemp("a home"))


@pytest.fixture
def runtime(made, tmp_path):
    extension, locks = made
    return Runtime(tmp_path / "zu Hause, é 絵" / "runtime", extension, Path(sys.executable), locks)


def set_up(runtime):
    heard = stand_in.messages(runtime.set_up("auto", online=False))
    assert isinstance(heard[-1], Finished), heard[-1]
    return heard


def test_from_nothing_to_ready_and_away_again(runtime):
    assert runtime.state().kind == "none"
    assert runtime.python is None
    heard = set_up(runtime)
    assert runtime.state().kind == "ready"
    assert heard[-1].about.torch == "2.13.0+cpu"
    assert heard[-1].about.devices == ("cpu",)
    assert heard[-1].about.missing == ()
    stages = [m.stage for m in heard if isinstance(m, Progress)]
    assert list(dict.fromkeys(stages)) == ["python", "download", "install", "check"]
    assert package.examine(str(runtime.python)).version == heard[-1].about.version
    assert "$ " in runtime.log.read_text()
    assert list(runtime.python.parents[1].rglob("torch/__pycache__/*.pyc"))
    assert runtime.size() > 1000
    runtime.remove()
    assert not runtime.folder.exists()
    assert runtime.state().kind == "none"


def test_blenders_own_python_and_the_extension_stay_as_they_are(runtime, made):
    def seen(folder):
        return {p: p.stat().st_mtime_ns for p in folder.rglob("*")}

    code = Path(package.__file__).parent
    before = seen(made[0]), seen(code)
    set_up(runtime)
    assert (seen(made[0]), seen(code)) == before


def test_repair_takes_the_place_of_what_is_there(runtime):
    set_up(runtime)
    first = runtime.python
    (first.parents[1] / "pyvenv.cfg").unlink()
    assert runtime.state().kind == "broken"
    assert runtime.python is None
    set_up(runtime)
    assert runtime.state().kind == "ready"
    assert runtime.python.exists()


def test_other_requirements_make_it_outdated_and_usable(runtime, made, tmp_path):
    set_up(runtime)
    locks = tmp_path / "locks"
    shutil.copytree(made[1], locks)
    for path in locks.glob("*.txt"):
        path.write_text("# newer\n" + path.read_text())
    newer = Runtime(runtime.folder, runtime.extension, runtime.base, locks)
    assert newer.state().kind == "outdated"
    assert newer.python == runtime.python
    old = runtime.python
    set_up(newer)
    assert newer.state().kind == "ready"
    assert not old.exists()


def test_cancel_leaves_what_can_go_on_and_no_process(runtime):
    running = runtime.set_up("auto", online=False)
    while not any(getattr(m, "stage", "") == "download" for m in running.poll()):
        time.sleep(0.005)
    running.cancel()
    end = stand_in.messages(running)[-1]
    assert isinstance(end, Failed)
    assert end.error.kind == "cancelled"
    assert runtime.state().kind == "unfinished"
    set_up(runtime)
    assert runtime.state().kind == "ready"


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_kill_at_any_moment_and_the_next_set_up_finishes(runtime):
    program = [sys.executable, stand_in.__file__, runtime.folder, runtime.extension, runtime._locks]
    moments = random.Random(6)
    for _ in range(10):
        process = subprocess.Popen([str(word) for word in program], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(moments.uniform(0.0, 1.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        if runtime.state().kind == "ready":  # it was quicker than the kill
            assert package.examine(str(runtime.python)).missing == ()
            runtime.remove()
    set_up(runtime)
    assert package.examine(str(runtime.python)).missing == ()
    assert len(list(runtime.folder.glob("py3*-*"))) == 1


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the process in /proc")
def test_uv_ends_when_blender_is_killed(runtime, tmp_path, monkeypatch):
    extension = fake_uv(tmp_path, monkeypatch, "echo $$ > $0.pid\nexec sleep 100")
    program = [sys.executable, stand_in.__file__, runtime.folder, extension, runtime._locks]
    process = subprocess.Popen([str(word) for word in program], stdout=subprocess.PIPE)
    pid_file = tmp_path / "bin" / "uv.pid"
    _wait_until(lambda: pid_file.exists() and pid_file.read_text().strip())
    process.kill()
    process.wait()
    process.stdout.close()
    _wait_until(lambda: not Path("/proc", pid_file.read_text().strip()).exists())


def test_two_blenders_set_up_one_after_the_other(runtime):
    runtime.folder.mkdir(parents=True)
    other = lock.FolderLock(runtime.folder)
    with pytest.raises(UserError, match="Another Blender"):
        runtime.set_up("auto", online=False)
    with pytest.raises(UserError, match="Another Blender"):
        runtime.remove()
    other.release()
    set_up(runtime)


def test_offline_without_wheels_says_what_to_switch_on(made, tmp_path):
    extension = tmp_path / "extension"
    shutil.copytree(made[0], extension, symlinks=True, ignore=shutil.ignore_patterns("offline"))
    runtime = Runtime(tmp_path / "runtime", extension, Path(sys.executable), made[1])
    with pytest.raises(UserError) as caught:
        runtime.set_up("auto", online=False)
    assert "Allow Online Access" in caught.value.hint
    assert not runtime.folder.exists()


def test_a_disk_without_room_is_told_before_it_begins(runtime, monkeypatch):
    monkeypatch.setattr(package.requirements, "free_bytes", lambda folder: 100)
    assert runtime.needs("cpu").free == 100
    assert runtime.needs("cpu").disk == int(21000 * 1.05)
    with pytest.raises(UserError) as caught:
        runtime.set_up("cpu", online=False)
    assert caught.value.kind == "disk_full"


def test_what_it_takes_is_what_will_come(runtime, made, monkeypatch):
    sizes = {"numpy": [1000, 2000], "torch": {"cpu": [3000, 5000], "cu130": [30000, 50000]}}
    monkeypatch.setattr(package.requirements, "_has_gpu", lambda: False)
    for name in package.requirements._OWN_INDEX:
        monkeypatch.delenv(name, raising=False)
    extension = runtime.folder.parent / "extension"
    locks = extension / "locks"
    offline = extension / "wheels" / "offline"
    offline.mkdir(parents=True)
    shutil.copytree(made[1], locks)
    [lock_file] = locks.glob("*.txt")
    (locks / "sizes.json").write_text(json.dumps({lock_file.stem: sizes}))
    bare = Runtime(runtime.folder, extension, Path(sys.executable), locks)
    assert bare.needs("auto").download == 4000
    assert bare.needs("cu130").download == 31000
    monkeypatch.setenv("UV_INDEX_URL", "https://studio")  # whose torch may be any
    assert bare.needs("auto").download == 31000
    (offline / "torch-2.13.0-cp311-cp311-linux.whl").touch()
    assert (bare.needs("auto").download, bare.needs("auto").disk) == (0, int(52000 * 1.05))
    assert bare.needs("cu130").download == 31000, "that build is not carried"
    (offline / "torch-2.13.0-cp311-cp311-linux.whl").rename(
        offline / "torch-2.13.0+cpu-cp311-cp311-linux.whl"
    )
    assert (bare.needs("auto").download, bare.needs("auto").disk) == (0, int(7000 * 1.05))


def test_an_unknown_backend_is_refused(runtime):
    with pytest.raises(UserError, match="cu999"):
        runtime.set_up("cu999", online=False)


@pytest.mark.parametrize("marker", ["", "[]", "{", '{"environment": 5}', '{"environment": "gone"}'])
def test_a_damaged_marker_is_a_broken_runtime(runtime, marker):
    runtime.folder.mkdir(parents=True)
    runtime._marker.write_text(marker)
    assert runtime.state().kind == "broken"
    set_up(runtime)
    assert runtime.state().kind == "ready"


def test_a_python_that_cannot_be_started(made, tmp_path):
    runtime = Runtime(tmp_path / "runtime", made[0], tmp_path / "no python", made[1])
    end = stand_in.messages(runtime.set_up("auto", online=False))[-1]
    assert "own Python" in end.error.sentence


def test_what_uv_says_becomes_a_sentence_and_is_in_the_log(runtime, tmp_path, monkeypatch):
    extension = fake_uv(
        tmp_path, monkeypatch, "echo 'failed to write: No space left on device (os error 28)'; exit 2"
    )
    failing = Runtime(runtime.folder, extension, runtime.base, runtime._locks)
    end = stand_in.messages(failing.set_up("auto", online=False))[-1]
    assert end.error.kind == "disk_full"
    assert "os error 28" in failing.log.read_text()


def fake_uv(folder, monkeypatch, script):
    """An extension whose uv is that shell script, found on the PATH."""
    if os.name == "nt":
        pytest.skip("the stand-in for uv is a shell script")
    program = folder / "bin" / "uv"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    wheels = folder / "fake extension" / "wheels" / "offline"
    wheels.mkdir(parents=True)
    (wheels / "one.whl").touch()
    return wheels.parents[1]


def _wait_until(true, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
