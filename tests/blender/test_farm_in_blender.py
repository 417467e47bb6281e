"""`blender --command vangogh farm`, in a real Blender with the extension installed."""

import json
import os
import subprocess

import pytest

from tests.farm.conftest import HERE, material  # noqa: F401 - a fixture


@pytest.fixture(scope="module")
def blender_in(blender, zip_file, tmp_path_factory):
    """`blender_in(…)`: the finished Blender, with these arguments; user folders of its own have the extension."""
    folder = tmp_path_factory.mktemp("user")

    def run(*arguments):
        environment = {**os.environ, "BLENDER_USER_RESOURCES": str(folder)}
        return subprocess.run(
            [blender, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=300
        )

    done = run("--command", "extension", "install-file", "-r", "user_default", "-e", zip_file)
    assert done.returncode == 0, done.stdout + done.stderr
    return run


def test_the_command_writes_what_the_operator_writes(blender_in, material, zip_file, tmp_path):  # noqa: F811
    paintings, clips = material
    values = {"zip": str(zip_file), "folder": str(tmp_path), "bundle": str(tmp_path / "by operator")}
    values |= {"paintings": paintings[:1], "clips": clips, "size": 96, "frames": 2}
    script = ["--background", "--python-exit-code", "3", "--python", HERE / "make_scene.py", "--"]
    done = blender_in(*script, json.dumps(values))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    bundle = tmp_path / "by command"
    command = (
        "--command",
        "vangogh",
        "farm",
        tmp_path / "gallery.blend",
        "--output",
        bundle,
        "--device",
        "cpu",
    )
    done = blender_in(*command)
    assert done.returncode == 0, done.stderr
    assert "2 animations by 2 clips, frames 1 to 2" in done.stdout
    for name in ("template.json", "task.py"):
        assert (bundle / name).read_text() == (tmp_path / "by operator" / name).read_text()
    again = blender_in(*command)
    assert again.returncode == 1
    assert again.stderr.strip().splitlines()[-1].endswith("Choose a new folder for the bundle.")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("farm",), 2, "the following arguments are required"),
        (("farm", "/nowhere.blend", "--output", "/tmp/never"), 2, "There is no scene at /nowhere.blend."),
    ],
)
def test_failures_are_a_status_and_a_sentence(arguments, status, words, blender_in):
    done = blender_in("--command", "vangogh", *arguments)
    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
