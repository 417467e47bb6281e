"""A real Blender, named by the environment variable BLENDER: `make test BLENDER=path`."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
SCREENSHOTS = ROOT / "build" / "screenshots"


@pytest.fixture(scope="session")
def blender():
    path = os.environ.get("BLENDER")
    if not path:
        pytest.skip("BLENDER does not name a Blender")
    assert shutil.which(path), f"BLENDER={path} is not a program"
    return path


class Run:
    """Blender with user folders of its own, running one of the scripts in `inside/`."""

    def __init__(self, blender, folder, zip_file):
        self.blender, self.folder, self.zip_file = blender, folder, zip_file

    def start(self, script, *, window=False, **values):
        """Start the script, which reads `values` as JSON from its last argument."""
        values = {"zip": str(self.zip_file), "folder": str(self.folder), **values}
        options = ["--enable-event-simulate", "--no-window-focus"] if window else ["--background"]
        # A cache of its own too: two Blenders that share Mesa's mapped shader cache can end in SIGBUS.
        environment = {
            **os.environ,
            "BLENDER_USER_RESOURCES": str(self.folder / "user"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }
        for name in ("user", "cache"):
            (self.folder / name).mkdir(exist_ok=True)
        if window:
            environment["BLENDER_XVFB"] = "1"
        return subprocess.Popen(
            [
                *(self.blender, "--factory-startup", *options, "--python-exit-code", "3"),
                *("--python", str(HERE / "inside" / script), "--", json.dumps(values)),
            ],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, script, seconds=300, **values):
        """Run the script to its end; what it wrote to `result.json`."""
        process = self.start(script, **values)
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            pytest.fail(f"{script} did not end in {seconds} s:\n{output[-4000:]}")
        assert process.returncode == 0, output[-4000:]
        return json.loads((self.folder / "result.json").read_text())


@pytest.fixture(scope="module")
def run(blender, zip_file, tmp_path_factory):
    return Run(blender, tmp_path_factory.mktemp("blender"), zip_file)
