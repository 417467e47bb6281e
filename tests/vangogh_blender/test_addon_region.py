"""The region in the installed extension; tests/blender drags one with the mouse."""

import json

import pytest

bpy = pytest.importorskip("bpy")


def test_a_cleared_region_is_auto(settings, tmp_path):
    settings().region = ""
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    assert json.loads((tmp_path / "out" / "job.json").read_text())["region"] == "auto"


def test_there_is_nothing_to_pick_without_a_painting_or_a_window(settings):
    chosen = settings()
    with pytest.raises(RuntimeError, match="picked in a window"):
        bpy.ops.vangogh.pick_region("INVOKE_DEFAULT")
    chosen.painting = None
    with pytest.raises(RuntimeError, match="Choose a painting"):
        bpy.ops.vangogh.pick_region("INVOKE_DEFAULT")
