"""`python -m fomm_core models …`, in this process and as one that is cancelled and killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
import torch

from fomm_core import catalogue, cli, importing, models, protocol, registry

PATIENCE = 60


@pytest.fixture(autouse=True)
def user_folder(tmp_path, monkeypatch):
    folder = tmp_path / "models"
    monkeypatch.setenv("VANGOGH_MODELS", str(folder))
    return folder


def run(capsys, *arguments: object, status: int = 0) -> str:
    """What the command prints; where it fails, the sentence."""
    assert cli.main(["models", *map(str, arguments)]) == status
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert err.count("\n") == (status != 0)
    return err if status else out


def test_from_import_to_removal(checkpoint, capsys, user_folder):
    path, config = checkpoint
    imported = run(capsys, "import", path, "--config", config, "--name", "mine")
    assert str(user_folder / "mine.safetensors") in imported
    assert "mine already" in run(capsys, "import", path, "--config", config, "--name", "mine", status=2)
    run(capsys, "import", path, "--config", config, "--name", "mine", "--replace")
    for command in ([], ["list"]):
        lines = run(capsys, *command).splitlines()
        assert next(line for line in lines if line.startswith("mine ")).split()[1] == "imported"
    assert "keypoints        10" in run(capsys, "info", "mine")
    assert "mine" in run(capsys, "remove", "mine")
    assert "mine" not in run(capsys, "list").replace(str(user_folder), "")
    assert "no model 'mine'" in run(capsys, "remove", "mine", status=2)
    assert "nobody" in run(capsys, "info", "nobody", status=1)


def test_the_list_has_every_published_model(capsys):
    listed = run(capsys, "list")
    for published in catalogue.PUBLISHED:
        assert f"\n{published.name} " in listed
    assert catalogue.PAGE in listed


@pytest.mark.parametrize("published", catalogue.PUBLISHED, ids=lambda published: published.name)
def test_info_tells_of_one_that_is_not_imported(published, capsys):
    info = run(capsys, "info", published.name)
    for words in (published.subject, published.file, published.licence, catalogue.PAGE, "to import"):
        assert words in info
    assert published.sha256 is None or published.sha256 in info


def test_a_web_page_is_refused_before_torch_is_there(tmp_path, environment):
    page = tmp_path / "vox-cpk.pth.tar"
    page.write_text("<!DOCTYPE html><title>Google Drive - Virus scan warning</title>")
    code = "import sys; from fomm_core import cli; print(cli.main(sys.argv[1:]), 'torch' in sys.modules)"
    command = [sys.executable, "-c", code, "models", "import", str(page)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout == "1 False\n"
    assert "web page" in result.stderr


def test_with_json_it_says_how_far_it_is_and_where_the_model_is(checkpoint, capsys, lines, user_folder):
    path, config = checkpoint
    events = lines(run(capsys, "import", path, "--config", config, "--json"))
    assert {event.stage for event in events[:-1]} == set(importing.STAGES)
    assert events[-1].path == str(user_folder / "tiny.safetensors")
    assert cli.main(["models", "import", str(path), "--config", str(config), "--json"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["sentence"] in err


# As a process that is stopped in the middle: a checkpoint large enough for that, most of it the optimizer's.


@pytest.fixture(scope="module")
def large(checkpoint, tmp_path_factory):
    data = torch.load(checkpoint[0], weights_only=True)
    data["optimizer_generator"]["state"] = {i: torch.zeros(1_000_000) for i in range(24)}
    path = tmp_path_factory.mktemp("large") / "large.pth.tar"
    torch.save(data, path, _use_new_zipfile_serialization=False)
    return path


# Writes in small steps with pauses, so that a test can meet it there.
SLOW = """
import sys, time
from fomm_core import cli, importing, models
models._CHUNK = 20_000
before = importing._Progress.__call__
def slowly(self, done, total):
    before(self, done, total)
    time.sleep(0.02)
importing._Progress.__call__ = slowly
importing.TELL_SECONDS = 0
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.fixture
def under_way(large, checkpoint, environment):
    """`under_way(stage)`: an import as a process of its own, that has come to that stage."""
    started = []

    def start(stage):
        command = [
            sys.executable,
            "-c",
            SLOW,
            "models",
            "import",
            str(large),
            "--config",
            str(checkpoint[1]),
            "--json",
        ]
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        for line in process.stdout:
            if getattr(protocol.decode(line), "stage", None) == stage:
                return process
        raise AssertionError(process.stderr.read())

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("stage", importing.STAGES)
def test_killed_it_leaves_no_model(stage, under_way, user_folder, capsys):
    process = under_way(stage)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if stage == "write":
        assert list(user_folder.iterdir()), "it was to be killed while it writes"
    assert not registry.registered().keys() - {"starter"}
    assert "large" not in run(capsys, "list")
    assert not user_folder.exists() or not list(user_folder.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
@pytest.mark.parametrize("stage", ["read", "write"])
def test_terminated_it_cleans_up_itself(stage, under_way, user_folder, lines):
    process = under_way(stage)
    process.terminate()
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (130, "")
    assert lines(out)[-1] == protocol.Cancelled("cli", 0)
    assert not user_folder.exists() or not list(user_folder.iterdir())


def test_with_nobody_listening_it_stops(under_way, user_folder):
    process = under_way("read")
    process.stdout.close()
    assert process.wait(PATIENCE) == 1
    assert not user_folder.exists() or not list(user_folder.iterdir())


def test_two_imports_do_not_harm_each_other(under_way, checkpoint, user_folder, large):
    process = under_way("write")
    other = importing.run(checkpoint[0], importing.Control("test", print), str(checkpoint[1]), name="other")
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert {path.name for path in user_folder.iterdir()} == {"large.safetensors", "other.safetensors"}
    assert models.load("large").num_kp == models.load(other.path).num_kp == 10
