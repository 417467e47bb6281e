"""The models in a real Blender's preferences, imported by the real command. Look at build/screenshots-models."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots-models"

# A published model's networks with random weights, and an optimizer's state as large again.
CHECKPOINT = """
import sys, torch
from fomm_core import models
model = models.build(models.read_config("taichi-256"))
state = {part: getattr(model, part).state_dict() for part in models.PARTS}
state["optimizer_generator"] = {"state": {0: torch.zeros(60_000_000)}}
torch.save(state, sys.argv[1], _use_new_zipfile_serialization=False)
"""


@pytest.fixture(scope="module")
def pressed(run):
    """What happened in the window."""
    for old in SCREENSHOTS.glob("*.png"):
        old.unlink()
    checkpoint = run.folder / "taichi-cpk.pth (1).tar"
    subprocess.run([sys.executable, "-c", CHECKPOINT, str(checkpoint)], cwd=ROOT, check=True)
    page = run.folder / "vox-cpk.pth.tar"
    page.write_text("<!DOCTYPE html><title>Google Drive - Virus scan warning</title>")
    values = {"checkpoint": str(checkpoint), "page": str(page), "python": sys.executable}
    return run.run("models.py", seconds=900, window=True, screenshots=str(SCREENSHOTS), **values)


def test_it_is_imported_in_the_background_under_its_published_name(pressed):
    assert pressed["running"]
    assert pressed["seconds to begin"] < 1
    assert (pressed["imported"], pressed["error"]) == (["taichi.safetensors"], "")


def test_a_web_page_is_told(pressed):
    assert "is a web page that a browser saved" in pressed["refused"]


def test_it_is_removed_after_asking(pressed):
    assert pressed["asked first"]
    assert pressed["after removing"] == []


def test_blender_closed_in_the_middle_ends_the_import_and_leaves_nothing(pressed, run):
    for _ in range(80):
        if not os.path.exists(f"/proc/{pressed['process']}"):
            break
        time.sleep(0.1)
    else:
        pytest.fail("the import goes on")
    assert list((run.folder / "models").iterdir()) == []


def test_there_is_a_screenshot_of_every_step(pressed):
    names = sorted(path.stem for path in SCREENSHOTS.glob("*.png"))
    assert [name.split("-")[0] for name in names] == [f"{step:02d}" for step in range(1, 7)]
