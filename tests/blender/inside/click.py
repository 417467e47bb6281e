"""In the window: install, choose, click Animate, watch, undo, save, load anew, and quit in the middle of a job."""

import os
import statistics
import sys
from pathlib import Path

sys.path.insert(0, os.path.dirname(__file__))

import bpy
from common import (
    ARGUMENTS,
    FOLDER,
    addon,
    click,
    install,
    largest_button,
    play,
    screenshot,
    times_of_ticks,
    until,
    until_drawn,
    view,
    window,
    write_result,
)

result = {}


def job():
    return bpy.context.scene.vangogh.jobs[-1]


def frames_in_scene():
    return [o for o in bpy.context.scene.objects if o.type == "MESH" and o.name != "Cube"]


def canvas_node():
    image_sequence = addon("image_sequence")
    images = [image for image in bpy.data.images if image.source == "SEQUENCE"]
    nodes = [node for image in images for node in image_sequence.nodes_showing(frames_in_scene()[0], image)]
    return nodes[0]


def tracks():
    """The motion that is known, of whatever clip."""
    return sorted(path.name for path in Path(os.environ["VANGOGH_CACHE"]).glob("*.npz"))


def script():
    scene = bpy.context.scene
    install("")
    area, sidebar = view()
    area.spaces.active.show_region_ui = True
    yield 1.0
    sidebar.active_panel_category = "Van Gogh"
    yield 1.0
    screenshot("01-nothing-chosen")

    bpy.context.preferences.addons["bl_ext.user_default.vangogh_says_hello"].preferences.python = ARGUMENTS[
        "python"
    ]
    scene.vangogh.painting = bpy.data.images.load(ARGUMENTS["painting"])
    scene.vangogh.driving_video = ARGUMENTS["video"]
    scene.vangogh.end, scene.vangogh.size = 3.0, 480
    sidebar.tag_redraw()
    yield 1.0
    yield from until(lambda: not addon("upkeep").current().answers.pending, 60)  # the look at the video
    sidebar.tag_redraw()
    yield 1.0
    screenshot("02-chosen")
    times = times_of_ticks()
    yield from until(tracks, 120)  # the worker prepares what was chosen
    result["prepared"] = [addon("session").current().client.pid, *tracks()]
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "scene.blend"))

    at = yield from largest_button(sidebar.x + sidebar.width // 4)
    yield from click(*at)
    result["clicked"] = len(scene.vangogh.jobs) == 1
    screenshot("03-clicked")
    yield from until(lambda: job().stage == "frames" and job().done > 0, 180)
    first = job().done
    screenshot("04-progress")
    yield from until(lambda: job().done > first, 60)
    result["plays while it runs"] = canvas_node().image_user.frame_duration
    screenshot("05-more-progress")
    result["progress"] = [first, job().done, job().total]
    yield from until(lambda: job().phase not in ("starting", "running"), 300)
    result["phase"] = f"{job().phase} {job().sentence} {job().hint}".strip()
    yield 1.0
    result["frames in scene"] = len(frames_in_scene())
    result["image user"] = canvas_node().image_user.frame_duration
    result["frames on disk"] = job().frames
    result["output"] = job().output
    result["used"] = [addon("session").current().client.pid, *tracks()]
    times.sort()
    result["tick median"], result["ticks"] = statistics.median(times), len(times)
    result["slowest ticks"] = times[-5:]
    scene.view_settings.view_transform = "Standard"
    # Blender's first cube stands at the cursor, and the view is solid: the picture is to be seen all the same.
    with bpy.context.temp_override(window=window()):
        bpy.ops.vangogh.view_picture(job=job().name)
    yield from until_drawn()
    screenshot("06-frame-1")
    scene.frame_set(20)
    yield 2.0
    screenshot("07-frame-20")

    # The user's own work before and after is theirs to undo; the frame is a step of its own.
    with bpy.context.temp_override(window=window()):
        bpy.ops.ed.undo()
    # At once: the list of jobs went with the undone step, and the frame that comes back was shorter in its own.
    result["frames after undo"] = len(frames_in_scene())
    result["job after undo"] = job().phase
    yield 1.0
    with bpy.context.temp_override(window=window()):
        bpy.ops.ed.redo()
    result["frames after redo"] = len(frames_in_scene())
    result["image user after redo"] = canvas_node().image_user.frame_duration
    yield 1.0

    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(FOLDER / "scene.blend"))
    yield 2.0
    result["missing after load"] = addon("image_sequence").missing_frames(canvas_node())
    result["job after load"] = job().phase
    bpy.context.scene.frame_set(12)
    yield from until_drawn()
    screenshot("08-loaded-anew")

    # A Python without torch, and a job that is cancelled.
    preferences = bpy.context.preferences.addons["bl_ext.user_default.vangogh_says_hello"].preferences
    preferences.python = ARGUMENTS["python without torch"]
    bpy.ops.vangogh.animate()
    yield from until(lambda: job().phase == "failed", 60)
    result["without torch"] = f"{job().sentence} {job().hint}"
    yield 1.0
    screenshot("09-without-torch")
    preferences.python = ARGUMENTS["slow python"]
    bpy.ops.vangogh.animate()
    bpy.ops.vangogh.animate()
    yield from until(lambda: scene_jobs()[-2].phase == "running", 60)
    result["second job"] = job().phase
    yield 0.5
    screenshot("10-two-jobs")
    bpy.ops.vangogh.cancel(job=scene_jobs()[-2].name)
    yield from until(lambda: job().phase == "running", 60)
    result["cancelled job"] = scene_jobs()[-2].phase
    yield 0.5
    screenshot("11-cancelled")
    result["worker"] = addon("session").current().client.pid
    write_result(result)
    bpy.ops.wm.quit_blender()


def scene_jobs():
    return bpy.context.scene.vangogh.jobs


bpy.context.preferences.view.show_splash = False
play(script())
