"""In the window, the next session: open what was saved, cancel, resume, reframe, build a gallery, play, render."""

import os
import sys
from pathlib import Path

sys.path.insert(0, os.path.dirname(__file__))

import bpy
from common import (
    ARGUMENTS,
    FOLDER,
    NAME,
    addon,
    install,
    open_sidebar,
    play,
    screenshot,
    until,
    window,
    write_result,
)
from stage import render_here

result = {}


def here(operator, **keywords):
    """An operator as the window's user presses it."""
    with bpy.context.temp_override(window=window()):
        return operator(**keywords)


def cancel_and_resume():
    settings = bpy.context.scene.vangogh
    settings.output_directory, settings.end, settings.size = str(FOLDER / "again"), 0.0, 1024
    here(bpy.ops.vangogh.animate)
    job = settings.jobs[-1].name
    yield from until(lambda: settings.jobs[job].stage == "frames" and settings.jobs[job].done > 2, 180)
    here(bpy.ops.vangogh.cancel, job=job)
    yield from until(lambda: settings.jobs[job].phase == "cancelled", 60)
    result["cancelled with"] = [settings.jobs[job].frames, settings.jobs[job].total]
    screenshot("21-cancelled")
    here(bpy.ops.vangogh.resume, job=job)
    yield from until(lambda: settings.jobs[job].phase in ("done", "failed"), 180)
    result["resumed"] = [settings.jobs[job].phase, settings.jobs[job].frames]
    screenshot("22-resumed")
    here(bpy.ops.vangogh.view_picture, job=job)


def reframe():
    """Another profile and a wide mat, by the operator and by the modifier's own field."""
    frame = bpy.context.view_layer.objects.active
    here(bpy.ops.vangogh.set_frame_style, style="RIPPLE")
    modifier = addon("picture_frame").frame_modifier(frame)
    before = frame.evaluated_get(bpy.context.evaluated_depsgraph_get()).dimensions.x
    addon("versions").set_modifier_input(modifier, "Mat Board", 0.1)
    frame.update_tag()
    yield 3.0
    after = frame.evaluated_get(bpy.context.evaluated_depsgraph_get()).dimensions.x
    result["wider by"] = after - before
    screenshot("23-reframed")


def script():
    install("")
    bpy.context.preferences.addons[NAME].preferences.python = ARGUMENTS["python"]
    bpy.ops.wm.open_mainfile(filepath=str(FOLDER / "scene.blend"))
    yield 2.0
    yield from open_sidebar()
    scene = bpy.context.scene
    space = next(area for area in window().screen.areas if area.type == "VIEW_3D").spaces.active
    space.shading.type = "SOLID"  # no shaders to compile while the job is to be cancelled
    result["jobs reopened"] = [job.phase for job in scene.vangogh.jobs]
    yield from cancel_and_resume()
    yield from reframe()

    still = Path(scene.vangogh.jobs[-1].output) / "frames" / "0001.png"
    files = [{"name": str(name)} for name in (*ARGUMENTS["paintings"], still)]
    here(bpy.ops.vangogh.gallery_from_files, directory="/", files=files, style="GILDED", standard=True)
    spots = [thing for thing in bpy.data.collections["Gallery"].objects if thing.name.startswith("Spotlight")]
    result["lit"] = len([thing for thing in spots if thing.type == "LIGHT"])
    space.region_3d.view_perspective = "CAMERA"
    yield 5.0
    screenshot("24-gallery")

    first = scene.frame_current
    here(bpy.ops.screen.animation_play)
    yield from until(lambda: scene.frame_current > first + 2, 120)
    here(bpy.ops.screen.animation_cancel, restore_frame=False)
    result["played"] = scene.frame_current - first
    scene.frame_set(first)

    result["rendered"] = render_here(FOLDER / "gallery.png")
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "gallery.blend"))
    result["saved"] = Path(FOLDER / "gallery.blend").is_file()
    write_result(result)
    bpy.ops.wm.quit_blender()


bpy.context.preferences.view.show_splash = False
play(script())
