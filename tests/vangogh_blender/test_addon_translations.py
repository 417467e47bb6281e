"""The add-on speaks the user's language where there is a file for it."""

import json

import pytest

bpy = pytest.importorskip("bpy")

from tests.vangogh_blender.in_bpy import module  # noqa: E402


@pytest.fixture
def german(addon):
    """Blender in German; skips in a Blender without languages."""
    view = bpy.context.preferences.view
    try:
        view.language = "de_DE"
    except TypeError:
        pytest.skip("this Blender has no languages")
    view.use_translate_interface = view.use_translate_tooltips = True
    yield
    view.language = "en_US"


def asked_for(addon):
    """What Blender asks a translation for: names and tooltips of all settings, panels, and operators on jobs."""
    properties, panels = module(addon, "properties"), module(addon, "panels")
    for name in (*properties.SETTINGS, "painting"):
        about = properties.VANGOGH_PG_settings.bl_rna.properties[name]
        yield from (about.name, about.description)
    yield from (panel.bl_label for panel in panels.classes)
    for part in ("jobs", "painting", "region", "sound"):
        for operator in module(addon, f"operators.{part}").classes:
            yield from (operator.bl_label, operator.__doc__)


def test_german_is_whole(addon):
    file = module(addon, "translations").__path__[0] + "/de_DE.json"
    with open(file, encoding="utf-8") as text:
        german = json.load(text)
    assert set(asked_for(addon)) - {"Van Gogh Says Hello"} <= german.keys()
    assert all(german.values())


def test_blender_speaks_german(addon, german):
    assert bpy.app.translations.pgettext_iface("Driving Video") == "Steuervideo"
    assert bpy.app.translations.pgettext_iface("Animate", "Operator") == "Animieren"
    words = module(addon, "job_words")
    assert (
        words.phase(type("Job", (), {"phase": "running", "stage": "frames"})) == "Einzelbilder werden gemalt"
    )


def test_switched_off_it_is_english_again(addon, german):
    bpy.ops.preferences.addon_disable(module=addon.name)
    assert bpy.app.translations.pgettext_iface("Driving Video") == "Driving Video"
