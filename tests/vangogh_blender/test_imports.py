"""The import of a model as Blender sees its process: without bpy, and with a stand-in for the process."""

import json
import os
import stat
import sys
import time

import pytest
from vangogh_says_hello.fomm_core.errors import UserError
from vangogh_says_hello.vangogh_blender.models import Imports, Wanted

PROGRESS = {"type": "progress", "id": "cli", "stage": "hash", "done": 3, "total": 9}
DONE = {
    "type": "done",
    "id": "cli",
    "path": "/models/vox.v2.safetensors",
    "frames": 0,
    "fps": 0.0,
    "seconds": 1.0,
}
ERROR = {"type": "error", "id": "cli", "kind": "model", "sentence": "It is a web page.", "hint": "Again."}


@pytest.fixture(autouse=True)
def user_folder(tmp_path, monkeypatch):
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("VANGOGH_MODELS", str(folder))
    return folder


@pytest.fixture
def imports():
    imports = Imports()
    yield imports
    imports.stop()


@pytest.fixture
def start(imports, tmp_path):
    """`start(*messages, then)`: an import whose process says these, then runs the Python `then`."""

    def begin(*messages, then="", wanted=None):
        script = tmp_path / "process.py"
        lines = "".join(f"print({json.dumps(json.dumps(m))}, flush=True)\n" for m in messages)
        script.write_text(f"import json, os, sys, time\n{lines}{then}\n")
        python = tmp_path / "a python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
        python.chmod(python.stat().st_mode | stat.S_IXUSR)
        imports.start(wanted or Wanted("/a file.tar"), str(python), tmp_path, tmp_path, "Set it up.")
        return imports

    return begin


def until(imports, condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        imports.tick()
        time.sleep(0.01)


def ended(imports):
    until(imports, lambda: not imports.running)
    return imports


def test_progress_and_the_models_name(start):
    imports = start(PROGRESS, DONE, then="")
    assert imports.running
    ended(imports)
    assert (imports.imported, imports.error, imports.progress) == ("vox.v2", None, None)


def test_progress_is_seen_while_it_runs(start):
    imports = start(PROGRESS, then="time.sleep(1000)")
    until(imports, lambda: imports.progress)
    assert (imports.progress.done, imports.progress.total, imports.running) == (3, 9, True)
    assert imports.tick() is False


def test_what_was_asked_reaches_the_command_line_whatever_it_looks_like(start, tmp_path):
    wanted = Wanted("-a file's name", "my config.yaml", "--name", True)
    ended(start(DONE, then="json.dump(sys.argv[1:], open('arguments', 'w'))", wanted=wanted))
    assert json.loads((tmp_path / "arguments").read_text()) == [
        *("-u", "-m", "fomm_core", "models", "import", "--config=my config.yaml", "--name=--name"),
        *("--replace", "--json", "--", "-a file's name"),
    ]


def test_its_sentence_is_kept_until_the_next_begins(start):
    imports = ended(start(ERROR, then="sys.exit(1)"))
    assert (str(imports.error), imports.error.kind, imports.imported) == (
        "It is a web page. Again.",
        "model",
        "",
    )
    assert start(then="time.sleep(1000)").error is None


def test_a_python_without_torch_has_the_hint_of_blenders_own(start):
    lacking = {**ERROR, "kind": "runtime", "sentence": "It has no torch."}
    assert str(ended(start(lacking, then="sys.exit(1)")).error) == "It has no torch. Set it up."


def test_cancelled_it_leaves_nothing_and_is_no_error(start, user_folder):
    half = "open(os.path.join(os.environ['VANGOGH_MODELS'], f'.vox.{os.getpid()}.tmp.safetensors'), 'w')"
    imports = start(then=f"{half}\nprint({json.dumps(json.dumps(PROGRESS))}, flush=True)\ntime.sleep(1000)")
    until(imports, lambda: imports.progress)
    assert list(user_folder.iterdir())
    imports.cancel()
    ended(imports)
    assert (imports.error, imports.imported) == (None, "")
    assert not list(user_folder.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize(
    ("then", "words"), [("os.kill(os.getpid(), 9)", "was killed"), ("sys.exit(3)", "status 3")]
)
def test_a_process_that_dies_is_one_sentence(then, words, start, tmp_path):
    error = ended(start(PROGRESS, then=then)).error
    assert words in error.sentence
    assert str(tmp_path / "import.log") in error.hint


def test_noise_among_the_messages_is_passed_over(start):
    assert ended(
        start(PROGRESS, then=f"print('{{')\nprint('hello')\nprint({json.dumps(json.dumps(DONE))})")
    ).imported


def test_a_second_import_waits_for_nobody_it_is_not_begun(start):
    imports = start(PROGRESS, then="time.sleep(1000)")
    process = imports._process
    start(DONE)
    assert imports._process is process


@pytest.mark.parametrize("python", ["", "/nowhere/python", __file__])
def test_no_python_is_told_at_once_with_what_to_do(python, imports, tmp_path):
    with pytest.raises(UserError) as caught:
        imports.start(Wanted("/file"), python, tmp_path, tmp_path, "Set it up.")
    assert (caught.value.kind, caught.value.hint) == ("runtime", "Set it up.")
    assert not imports.running


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs /proc")
def test_stopping_waits_for_its_end(start):
    imports = start(PROGRESS, then="time.sleep(1000)")
    number = imports._process.pid
    imports.stop()
    assert not imports.running
    assert not os.path.exists(f"/proc/{number}")
