"""The extension's whole life in `bpy`, in a process of its own, with the real worker."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("bpy")

from tests.blender.life import ROOT, arguments, check
from tests.vangogh_blender.in_bpy import worker_python

SCRIPT = Path(__file__).resolve().parents[1] / "blender" / "inside" / "life.py"


def test_a_job_is_done_and_seen_and_nothing_is_left(zip_file, tmp_path):
    if not (ROOT / "fomm_core" / "weights" / "starter.safetensors").is_file():
        pytest.skip("the bundled model is not there")
    values = {"zip": str(zip_file), "folder": str(tmp_path), **arguments(worker_python())}
    (tmp_path / "user").mkdir()
    done = subprocess.run(
        [sys.executable, str(SCRIPT), json.dumps(values)],
        env={**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path / "user")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    check(json.loads((tmp_path / "result.json").read_text()))
    assert "Traceback" not in done.stdout
