"""The extension as it is packed, installed, switched on and off."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")


ROOT = Path(__file__).resolve().parents[2]


def test_the_zip_holds_what_an_artist_needs_and_nothing_else(zip_file):
    names = zipfile.ZipFile(zip_file).namelist()
    top = {name.split("/")[0] for name in names}
    assert top <= {
        "__init__.py",
        "blender_manifest.toml",
        "LICENSE",
        "vangogh_blender",
        "fomm_core",
        "wheels",
    }
    assert {"vangogh_blender/panels.py", "fomm_core/worker.py", "LICENSE"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    assert zip_file.stat().st_size < 60e6


def test_the_same_tree_gives_the_same_zip(zip_file, tmp_path):
    command = [sys.executable, str(ROOT / "tools" / "package.py"), "--output", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / zip_file.name).read_bytes() == zip_file.read_bytes()


def test_switched_off_nothing_is_left(addon):
    classes = addon.package.registration.classes
    assert all(cls.is_registered for cls in classes)
    handlers = (bpy.app.handlers.load_post, bpy.app.handlers.save_post)
    assert bpy.app.timers.is_registered(addon.session.tick)
    bpy.ops.preferences.addon_disable(module=addon.name)
    assert not hasattr(bpy.types.Scene, "vangogh")
    assert not any(cls.is_registered for cls in classes)
    assert not bpy.app.timers.is_registered(addon.session.tick)
    ours = [f for handler in handlers for f in handler if "vangogh" in getattr(f, "__module__", "")]
    assert not ours
    assert "animate" not in dir(bpy.ops.vangogh)
    bpy.ops.preferences.addon_enable(module=addon.name)
    assert bpy.context.scene.vangogh.model == "starter"
