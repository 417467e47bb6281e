"""In the window, in an empty user folder: install the zip, press Set Up, wait, press Animate. Nothing stands in."""

import hashlib
import os
import statistics
import sys
import sysconfig
import time

sys.path.insert(0, os.path.dirname(__file__))

import bpy
from common import (
    ARGUMENTS,
    FOLDER,
    addon,
    install,
    open_sidebar,
    play,
    press_largest,
    screenshot,
    times_of_ticks,
    until,
    until_drawn,
    view,
    write_result,
)

result = {"stages": [], "error": ""}


def blenders_own():
    """Where Blender and its Python are, whatever installed them."""
    folders = {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {bpy.utils.resource_path("LOCAL"), bpy.utils.resource_path("SYSTEM")}
    return sorted(os.path.realpath(folder) for folder in folders if os.path.isdir(folder))


def fingerprint():
    """The bytes of Blender's own Python and scripts, by file; and when what is around them was last written."""
    digests, around = {}, {}
    for folder in blenders_own():
        for path in files(folder):
            with open(path, "rb") as file:
                digests[path] = hashlib.file_digest(file, "sha256").hexdigest()
    for folder in ARGUMENTS["watched"]:
        for path in files(folder):
            status = os.lstat(path)
            around[path] = (status.st_size, status.st_mtime_ns)
    return digests, around


def files(folder):
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if os.path.join(parent, name) not in ARGUMENTS["busy"]]
        for name in names:
            path = os.path.join(parent, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def differences(before, after):
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def upkeep():
    return addon("upkeep").current()


def shot(name):
    view()[1].tag_redraw()
    yield 1.0
    screenshot(name)


def set_up():
    """Press Set Up and watch until it is over, a screenshot of every stage."""
    yield from press_largest()
    began, taken = time.monotonic(), {}
    while upkeep().running:
        progress = upkeep().progress
        if progress:
            seen = [progress.stage, progress.what, progress.done, progress.total]
            if not result["stages"] or result["stages"][-1] != seen:
                result["stages"].append(seen)
            # The first moment of a stage shows little: another some seconds into it.
            taken.setdefault(progress.stage, []).append(time.monotonic())
            moments = taken[progress.stage]
            if len(moments) == 1 or (moments[-1] - moments[0] > 8 and moments[0] >= 0):
                step = 3 + 2 * list(addon("runtime_words").STAGES).index(progress.stage)
                late = len(moments) > 1
                yield from shot(f"{step + late:02d}-{progress.stage}{'-later' if late else ''}")
                if late:
                    moments[0] = float("inf")
        yield 0.1
    result["seconds"] = time.monotonic() - began
    if upkeep().error:
        result["error"] = str(upkeep().error)
        screenshot("99-failed")
        print(addon("runtime_words").details(), flush=True)


def animate():
    settings = bpy.context.scene.vangogh
    settings.painting = bpy.data.images.load(ARGUMENTS["painting"])
    settings.driving_video = ARGUMENTS["video"]
    settings.output_directory = str(FOLDER / "out")
    settings.end, settings.size = 0.4, 256
    view()[1].tag_redraw()
    yield 1.0
    yield from until(lambda: not upkeep().answers.pending, 60)  # the look at the video
    yield from shot("12-chosen")
    yield from press_largest()
    deadline = time.monotonic() + 300
    while not settings.jobs or settings.jobs[0].phase not in ("done", "failed", "cancelled"):
        assert time.monotonic() < deadline, "the job takes too long"
        yield 0.2
    job = settings.jobs[0]
    result["job"] = f"{job.phase} {job.sentence} {job.hint}".strip()
    result["frames"] = job.frames
    yield from shot("13-animated")
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        bpy.ops.vangogh.view_picture(job=job.name)
    bpy.context.scene.frame_set(4)
    yield from until_drawn()
    yield from shot("14-viewed")


def script():
    before = fingerprint()
    install("")
    yield from open_sidebar()
    yield from shot("01-installed")
    if not bpy.app.online_access and not addon("installation").carries_wheels():
        yield from press_largest()
    while upkeep().answers.pending:
        yield 0.1
    result["needs"] = vars(upkeep().runtime.needs("auto"))
    yield from shot("02-before")
    times = times_of_ticks()
    yield from set_up()
    if not result["error"]:
        about = upkeep().about
        result["about"] = {"version": about.version, "torch": about.torch, "devices": list(about.devices)}
        result["size"] = upkeep().runtime.size()
        yield from shot("11-ready")
        yield from animate()
    result["tick median"], result["slowest ticks"] = statistics.median(times), sorted(times)[-5:]
    after = fingerprint()
    result["blender changed"] = differences(before[0], after[0])
    result["written around"] = differences(before[1], after[1])
    result["compared"] = [len(before[0]), len(before[1])]
    write_result(result)
    bpy.ops.wm.quit_blender()


bpy.context.preferences.view.show_splash = False
play(script())
