"""Starting a real Blender on one of the scripts in `inside/`."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent


class Run:
    """Blender with user folders of its own, running one of the scripts in `inside/`.

    `before` comes before Blender on its command line; `environment` is added to ours.
    """

    def __init__(self, blender, folder, zip_file, before=(), environment=None):
        self.blender, self.folder, self.zip_file = blender, folder, zip_file
        self.before, self.environment = before, environment or {}

    def start(self, script, *, window=False, **values):
        """Start the script, which reads `values` as JSON from its last argument."""
        values = {"zip": str(self.zip_file), "folder": str(self.folder), **values}
        options = ["--enable-event-simulate", "--no-window-focus"] if window else ["--background"]
        # A cache of its own too: two Blenders that share Mesa's mapped shader cache can end in SIGBUS.
        environment = {
            **os.environ,
            **self.environment,
            "BLENDER_USER_RESOURCES": str(self.folder / "user"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "VANGOGH_CACHE": str(self.folder / "tracks"),
        }
        for name in ("user", "cache"):
            (self.folder / name).mkdir(exist_ok=True)
        if window:
            environment["BLENDER_XVFB"] = "1"
        return subprocess.Popen(
            [
                *(*self.before, self.blender, "--factory-startup", *options, "--python-exit-code", "3"),
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
