"""The extension as it is switched on and off. What is packed: tests/tools/test_package.py."""

import pytest

bpy = pytest.importorskip("bpy")


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
