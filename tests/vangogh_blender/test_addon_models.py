"""Models in the installed extension: imported in the background by the real command, listed, removed."""

import subprocess
import time
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

from tests.vangogh_blender.fake_layout import drawn  # noqa: E402
from tests.vangogh_blender.in_bpy import worker_python  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]

# The bundled configuration with random weights, as the authors' checkpoints are saved. Not in this process: torch
# and bpy would have to agree on their libraries.
CHECKPOINT = """
import sys, torch
from fomm_core import models
model = models.build(models.read_config("starter"))
state = {part: getattr(model, part).state_dict() for part in models.PARTS}
torch.save(state, sys.argv[1], _use_new_zipfile_serialization=False)
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("downloads") / "my puppets (1).pth.tar"
    subprocess.run([worker_python(), "-c", CHECKPOINT, str(path)], cwd=ROOT, check=True)
    return path


@pytest.fixture
def preferences(addon, tmp_path, monkeypatch):
    """The add-on's preferences, with a Python that has torch, and no models but the bundled one."""
    monkeypatch.setenv("VANGOGH_MODELS", str(tmp_path / "models"))
    chosen = bpy.context.preferences.addons[addon.name].preferences
    chosen.python = worker_python()
    yield chosen
    imports().stop()


def module(name):
    from bl_ext.user_default.vangogh_says_hello import vangogh_blender

    return __import__(f"{vangogh_blender.__name__}.{name}", fromlist=["_"])


def imports():
    return module("models").current()


def listed(addon):
    """What the preferences draw of the models."""
    return drawn(lambda panel, context: module("model_list").draw(panel.layout, context))


def refused(path, **options):
    with pytest.raises(RuntimeError) as caught:
        bpy.ops.vangogh.import_model(filepath=str(path), **options)
    sentence = str(caught.value)
    assert "Traceback" not in sentence
    return sentence


def test_from_a_download_to_a_model_and_back(addon, preferences, checkpoint, tmp_path):
    assert bpy.ops.vangogh.import_model(filepath=str(checkpoint)) == {"FINISHED"}
    assert (tmp_path / "models" / "my-puppets-1.safetensors").is_file()
    assert "my-puppets-1" in module("properties")._search_model(None, None, "")
    shown = listed(addon)
    assert "From my puppets (1).pth.tar" in shown.labels
    assert any("Choose my-puppets-1 as the Model" in label for label in [shown.text])
    # The name is taken now.
    assert "my-puppets-1 already" in refused(checkpoint)
    assert "my-puppets-1 already" in listed(addon).text
    assert bpy.ops.vangogh.remove_model(model="my-puppets-1") == {"FINISHED"}
    assert list((tmp_path / "models").iterdir()) == []
    assert "my-puppets-1" not in module("properties")._search_model(None, None, "")
    assert "From my puppets (1).pth.tar" not in listed(addon).labels


def test_with_a_window_it_goes_on_in_the_background_and_blender_is_never_held_up(
    addon, preferences, checkpoint, tmp_path
):
    tick = module("operators.models").tick
    assert bpy.ops.vangogh.import_model(filepath=str(checkpoint), model="mine", wait=False) == {"FINISHED"}
    assert not bpy.ops.vangogh.import_model.poll()
    assert "vangogh.cancel_import" in listed(addon).buttons
    stages, longest = set(), 0.0
    deadline = time.monotonic() + 120
    while imports().running:
        assert time.monotonic() < deadline
        if imports().progress:
            stages.add(imports().progress.stage)
            ((factor, text),) = listed(addon).bars
            assert 0 <= factor <= 1
            assert " of 1" in text or " MB" in text
        began = time.thread_time()
        tick()
        longest = max(longest, time.thread_time() - began)
        time.sleep(0.002)
    assert tick() is None
    assert stages
    assert longest < 0.016
    assert (tmp_path / "models" / "mine.safetensors").is_file()
    assert imports().imported == "mine"


def test_cancelled_nothing_is_left(addon, preferences, checkpoint, tmp_path):
    bpy.ops.vangogh.import_model(filepath=str(checkpoint), wait=False)
    assert bpy.ops.vangogh.cancel_import() == {"FINISHED"}
    while imports().running:
        imports().tick()
    assert imports().error is None
    assert not (tmp_path / "models").exists() or not list((tmp_path / "models").iterdir())
    assert not bpy.ops.vangogh.cancel_import.poll()


def test_what_cannot_be_imported_is_one_sentence(addon, preferences, tmp_path):
    page = tmp_path / "vox-cpk.pth.tar"
    page.write_text("<html><title>Google Drive - Virus scan warning</title></html>")
    assert "is a web page that a browser saved" in refused(page)
    assert "is a web page that a browser saved" in listed(addon).text
    assert "There is no file" in refused(tmp_path / "gone.tar")


def test_without_a_python_it_cannot_be_pressed(addon, preferences, runtime):
    preferences.python = ""
    assert not bpy.ops.vangogh.import_model.poll()


def test_switched_off_the_add_on_ends_the_import(addon, preferences, checkpoint, tmp_path):
    bpy.ops.vangogh.import_model(filepath=str(checkpoint), wait=False)
    process = imports()._process
    bpy.ops.preferences.addon_disable(module=addon.name)
    assert process.poll() is not None


def test_the_bundled_model_stays_and_an_unknown_one_is_told(addon, preferences):
    for name in ("starter", "nobody"):
        with pytest.raises(RuntimeError, match=r"comes with the program|no model 'nobody'"):
            bpy.ops.vangogh.remove_model(model=name)


def test_the_list_has_every_model_with_its_purpose_size_licence_and_page(addon, preferences):
    catalogue = __import__(f"{addon.name}.fomm_core.catalogue", fromlist=["_"])
    shown = listed(addon)
    for published in catalogue.PUBLISHED:
        assert {published.name, published.subject} <= set(shown.labels)
        assert any(published.file in label and published.data in label for label in shown.labels)
    assert "MIT licence" in shown.text
    assert {"wm.url_open", "wm.path_open", "vangogh.import_model"} <= set(shown.buttons)
