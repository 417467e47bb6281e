"""What the tests of the Blender side share.

The pure modules are imported as `vangogh_says_hello.…`, from the repository and without bpy. The tests on bpy build
the extension's zip and install it, as a user does, into user folders of their own.
"""

import importlib.util
import stat
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FAKE_WORKER = Path(__file__).with_name("fake_worker.py")


def _import_the_package():
    spec = importlib.util.spec_from_file_location(
        "vangogh_says_hello", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["vangogh_says_hello"] = module
    spec.loader.exec_module(module)


_import_the_package()


@pytest.fixture
def fake_python(tmp_path):
    """`fake_python(scenario)`: the path of a program that looks like a Python and is the fake worker."""

    def make(scenario):
        path = tmp_path / f"python {scenario}"
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE_WORKER}" {scenario}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return make


@pytest.fixture(scope="session")
def installed(zip_file):
    """The extension's module name, installed and switched on as a user does it."""
    bpy = pytest.importorskip("bpy")
    bpy.ops.extensions.package_install_files(
        filepath=str(zip_file), repo="user_default", enable_on_install=True
    )
    return "bl_ext.user_default.vangogh_says_hello"


@pytest.fixture
def addon(installed, tmp_path):
    """The extension's modules, on a fresh unsaved file, switched on; no worker is left after the test."""
    import bpy

    if installed not in bpy.context.preferences.addons:
        bpy.ops.preferences.addon_enable(module=installed)
    bpy.ops.wm.read_homefile(use_empty=True)
    from bl_ext.user_default.vangogh_says_hello import vangogh_blender
    from bl_ext.user_default.vangogh_says_hello.vangogh_blender import session, showing

    yield type(
        "Addon", (), {"package": vangogh_blender, "session": session, "showing": showing, "name": installed}
    )
    if hasattr(bpy.types.Scene, "vangogh"):
        session.end()
        session.begin()
    if installed in bpy.context.preferences.addons:
        bpy.context.preferences.addons[installed].preferences.python = ""


@pytest.fixture
def settings(addon, tmp_path, fake_python):
    """`settings(scenario)`: the scene's settings, ready to animate with that fake worker."""
    import bpy

    from tests.vangogh_blender.in_bpy import painting

    def make(scenario="ok"):
        bpy.context.preferences.addons[addon.name].preferences.python = fake_python(scenario)
        video = tmp_path / "a driver's vidéo.mp4"
        video.write_bytes(b"the fake worker does not look")
        chosen = bpy.context.scene.vangogh
        chosen.painting = painting(tmp_path / "Ölbild 'no. 1'.png")
        chosen.driving_video = str(video)
        chosen.output_directory = str(tmp_path / "out")
        return chosen

    return make


@pytest.fixture
def upkeep(addon):
    from bl_ext.user_default.vangogh_says_hello.vangogh_blender import upkeep

    return upkeep


@pytest.fixture
def runtime(addon, upkeep, tmp_path, fake_python, monkeypatch):
    """A stand-in for this Blender's runtime, which is not there yet; its Python is a fake worker's that works."""
    from bl_ext.user_default.vangogh_says_hello.vangogh_blender import runtime as package

    from tests.vangogh_blender.fake_runtime import FakeRuntime

    monkeypatch.delenv("VANGOGH_PYTHON", raising=False)
    fake = FakeRuntime(package, tmp_path, fake_python("ok"))
    upkeep.begin(fake)
    return fake


@pytest.fixture
def ready_to_animate(settings, addon):
    """The scene's settings, with no Python named."""
    import bpy

    chosen = settings()
    bpy.context.preferences.addons[addon.name].preferences.python = ""
    return chosen
