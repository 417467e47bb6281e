"""In the window: the models in the preferences; one is imported, one refused, one removed."""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, os.path.dirname(__file__))

import bpy
from common import ARGUMENTS, FOLDER, NAME, addon, install, play, screenshot, until, window, write_result

os.environ["VANGOGH_MODELS"] = str(FOLDER / "models")
result = {}


def imports():
    return addon("models").current()


def preferences():
    """The preferences in the place of the 3D view, as large as the screen, with ours open in them."""
    area = max(window().screen.areas, key=lambda area: area.width * area.height)
    area.type = "PREFERENCES"
    bpy.context.preferences.active_section = "ADDONS"
    bpy.context.window_manager.addon_search = "Van Gogh"
    bpy.ops.preferences.addon_expand(module=NAME)
    yield 0.5
    with bpy.context.temp_override(window=window(), area=area):
        bpy.ops.screen.screen_full_area()
    yield 1.0
    return window().screen.areas[0]


def in_preferences(area):
    region = next(region for region in area.regions if region.type == "WINDOW")
    return bpy.context.temp_override(window=window(), area=area, region=region)


def shot(area, name):
    """The screen, scrolled to our end of the preferences."""
    region = next(region for region in area.regions if region.type == "WINDOW")
    x, y = region.x + region.width // 2, region.y + region.height // 2
    window().event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y)
    for _ in range(40):
        window().event_simulate(type="WHEELDOWNMOUSE", value="PRESS", x=x, y=y)
    yield 0.7
    screenshot(name)


def names():
    return sorted(path.name for path in Path(os.environ["VANGOGH_MODELS"]).glob("*"))


def script():
    install(ARGUMENTS["python"])
    area = yield from preferences()
    yield from shot(area, "01-nothing-imported")

    with in_preferences(area):
        bpy.ops.vangogh.import_model("INVOKE_DEFAULT")
    yield 2.0
    screenshot("02-choosing-a-file")
    for value in ("PRESS", "RELEASE"):
        bpy.context.window_manager.windows[-1].event_simulate(type="ESC", value=value, x=200, y=200)
    yield 1.0

    began = time.perf_counter()
    with in_preferences(area):
        bpy.ops.vangogh.import_model(filepath=ARGUMENTS["checkpoint"])
    result["seconds to begin"] = time.perf_counter() - began
    yield from until(lambda: imports().progress and imports().progress.stage == "read", 180)
    yield from shot(area, "03-under-way")
    result["running"] = imports().running
    yield from until(lambda: not imports().running, 300)
    result["error"] = str(imports().error or "")
    result["imported"] = names()
    yield from shot(area, "04-imported")

    with in_preferences(area):
        bpy.ops.vangogh.import_model(filepath=ARGUMENTS["page"])
    yield from until(lambda: not imports().running, 60)
    result["refused"] = str(imports().error)
    yield from shot(area, "05-a-web-page")

    with in_preferences(area):
        bpy.ops.vangogh.remove_model("INVOKE_DEFAULT", model=imports_name())
    yield 1.0
    screenshot("06-remove")
    result["asked first"] = names() == result["imported"]
    for value in ("PRESS", "RELEASE"):
        window().event_simulate(type="RET", value=value, x=0, y=0)
    yield 1.0
    result["after removing"] = names()

    with in_preferences(area):
        bpy.ops.vangogh.import_model(filepath=ARGUMENTS["checkpoint"])
    yield from until(lambda: imports().progress, 180)
    result["process"] = imports()._process.pid
    write_result(result)
    bpy.ops.wm.quit_blender()


def imports_name():
    return Path(result["imported"][0]).stem


bpy.context.preferences.view.show_splash = False
play(script())
