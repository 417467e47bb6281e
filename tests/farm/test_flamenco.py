"""Flamenco's job type, compiled under Node with a stand-in for the Manager's `author`; no Flamenco is at hand."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.farm.conftest import FRAMES, HERE, PAINTINGS, ROOT

SCRIPT = ROOT / "vangogh_blender" / "farm" / "vangogh.js"


@pytest.fixture
def compiled(bundle, tmp_path):
    """`compiled(**settings)`: what the job type makes of the bundle: its settings' definitions, and the tasks."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node.js")

    def run(**changes):
        chosen = {
            "bundle": str(bundle),
            "output": str(tmp_path / "out"),
            "frames": f"1-{FRAMES}",
            "frames_per_task": 4,
            "animations_per_task": 5,
            "device": "auto",
            "python": "python3",
            **changes,
        }
        first = json.loads(_node(node, {**chosen, "clips": 0, "animations": 0, "film": False, "scene": "a"}))
        for setting in first["settings"]:
            if setting.get("visible") == "hidden":
                chosen.setdefault(setting["key"], _evaluated(setting["eval"], chosen))
        return first["settings"], json.loads(_node(node, chosen))["tasks"]

    return run


def _node(node, settings):
    arguments = [node, str(HERE / "flamenco.mjs"), str(SCRIPT), json.dumps(settings)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _evaluated(expression, settings):
    """A setting's value, by the names that Flamenco's add-on gives to such expressions."""
    names = {
        "settings": type("Settings", (), settings),
        "Path": Path,
        "abspath": lambda path: Path(path).absolute(),
    }
    return eval(expression, names)


def test_the_same_steps_as_tasks_that_wait_for_each_other(compiled, bundle):
    _, tasks = compiled()
    names = {}
    for task in tasks:
        names.setdefault(task["name"].split("-")[0], []).append(task)
    assert list(names) == ["track", "animate", "render", "encode"]
    assert [len(group) for group in names.values()] == [2, 3, 3, 1]
    for before, after in (("track", "animate"), ("animate", "render"), ("render", "encode")):
        for task in names[after]:
            assert task["dependencies"] == [other["name"] for other in names[before]]
    ranges = [task["commands"][0]["parameters"]["args"] for task in names["animate"]]
    assert [args[args.index("--tasks") + 1] for args in ranges] == ["1-5", "6-10", "11,12"]
    assert PAINTINGS * 2 == 12
    blend = names["render"][0]["commands"][0]["parameters"]["blendfile"]
    assert Path(blend).is_file()


def test_its_commands_do_the_work(compiled, bundle, tmp_path):
    """As the worker's `exec` runs them: no shell, no environment of ours."""
    _, tasks = compiled(python=sys.executable, device="cpu")
    track = next(task for task in tasks if task["name"] == "track-2")
    command = track["commands"][0]
    assert command["name"] == "exec"
    done = subprocess.run(
        [command["parameters"]["exe"], *command["parameters"]["args"]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "tracks" / "laugh.npz").is_file()


def test_settings_are_of_types_that_flamenco_has(compiled):
    settings, _ = compiled()
    for setting in settings:
        assert setting["type"] in {"string", "int32", "float", "bool"}
        assert setting.get("subtype") in {None, "dir_path", "file_path", "hashed_file_path"}
        assert setting.get("visible") in {"submission", "web", "hidden"}
