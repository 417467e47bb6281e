"""In the window: from nothing to a moving painting by clicks, and what can fail; a stand-in fetches nothing."""

import os
import sys
from pathlib import Path

sys.path.insert(0, os.path.dirname(__file__))
sys.path.insert(0, str(Path(__file__).parents[2] / "vangogh_blender"))

import bpy
from common import (
    ARGUMENTS,
    FOLDER,
    NAME,
    addon,
    install,
    open_sidebar,
    play,
    press_largest,
    screenshot,
    until,
    view,
    window,
    write_result,
)
from fake_runtime import FakeRuntime

result = {}


def upkeep():
    return addon("upkeep").current()


def shot(name):
    view()[1].tag_redraw()
    yield 0.7
    screenshot(name)


def stages(set_up):
    set_up.progress("python", "CPython 3.11.13 (Blender's own is left alone)")
    yield from shot("03-python")
    set_up.progress("download", "torch 2.13.0, numpy 2.4.1, av 16.0.1", 58_600_000, 210_400_000)
    yield from shot("04-download")


def preferences_shot(name):
    """The preferences in a window of their own, scrolled to ours."""
    bpy.ops.preferences.addon_show(module=NAME)
    yield 2.0
    yield from until(lambda: not upkeep().answers.pending, 60)
    yield 2.0
    screenshot(name)
    other = bpy.context.window_manager.windows[-1]
    with bpy.context.temp_override(window=other):
        bpy.ops.wm.window_close()
    yield 0.5


def script():
    install("")
    runtime = FakeRuntime(addon("runtime"), FOLDER, ARGUMENTS["python"])
    addon("upkeep").begin(runtime)
    yield from open_sidebar()
    yield from shot("01-online-access-off")
    result["allowed before"] = bpy.app.online_access
    yield from press_largest()
    result["allowed after"] = bpy.app.online_access
    yield from shot("02-before")

    yield from press_largest()
    result["asked"] = list(runtime.asked)
    yield from stages(runtime.under_way)
    bpy.ops.wm.read_homefile(use_empty=False)  # another file: it goes on
    yield 1.0
    yield from open_sidebar()
    runtime.under_way.progress("install", "torch 2.13.0", 400_000_000, 812_000_000)
    yield from shot("05-another-file-opened")
    result["stage in another file"] = upkeep().progress.stage
    runtime.under_way.fail(
        "disk_full",
        "The disk of /home/van gogh is full: 812 MB are needed, 300 MB are free.",
        "Make room and press Try Again; what was fetched is kept.",
    )
    yield from until(lambda: not upkeep().running, 5)
    yield from shot("06-failed")
    bpy.ops.vangogh.show_set_up_log()
    yield 1.5
    screenshot("07-log")
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[-1]):
        bpy.ops.wm.window_close()
    yield 0.5

    yield from press_largest()
    result["tries"] = len(runtime.asked)
    bpy.ops.vangogh.cancel_set_up()
    yield from until(lambda: not upkeep().running, 5)
    yield from shot("08-cancelled")
    yield from press_largest()
    runtime.under_way.finish()
    yield from until(lambda: not upkeep().running, 5)
    yield from shot("09-ready")

    settings = bpy.context.scene.vangogh
    settings.painting = bpy.data.images.load(ARGUMENTS["painting"])
    settings.driving_video = ARGUMENTS["video"]
    settings.output_directory = str(FOLDER / "out")
    settings.end, settings.size = 0.4, 256
    yield from shot("10-chosen")
    yield from press_largest()
    yield from until(lambda: settings.jobs and settings.jobs[0].phase in ("done", "failed"), 300)
    result["job"] = f"{settings.jobs[0].phase} {settings.jobs[0].sentence}".strip()
    yield from shot("11-animated")

    runtime.kind = "outdated"
    yield from shot("12-outdated")
    yield from preferences_shot("13-preferences-outdated")
    runtime.kind = "broken"
    yield from preferences_shot("14-preferences-broken")
    bpy.context.preferences.addons[NAME].preferences.python = "/nowhere/python"
    yield from preferences_shot("15-preferences-named-python")
    bpy.context.preferences.addons[NAME].preferences.python = ""

    area, _ = view()
    region = next(region for region in area.regions if region.type == "WINDOW")
    window().event_simulate(type="MOUSEMOVE", value="NOTHING", x=500, y=500)
    with bpy.context.temp_override(window=window(), area=area, region=region):
        bpy.ops.vangogh.remove_runtime("INVOKE_DEFAULT")
    yield from shot("16-remove")
    result["removed before it was confirmed"] = runtime.kind == "none"
    for value in ("PRESS", "RELEASE"):
        window().event_simulate(type="ESC", value=value, x=500, y=500)
        yield 0.3

    # Blender is closed in the middle of a set-up.
    (FOLDER / "cancelled").unlink()
    bpy.ops.vangogh.repair_runtime()
    runtime.under_way.progress("download", "torch 2.13.0", 1, 2)
    yield 0.5
    result["running at the end"] = upkeep().running
    write_result(result)
    bpy.ops.wm.quit_blender()


bpy.context.preferences.view.show_splash = False
play(script())
