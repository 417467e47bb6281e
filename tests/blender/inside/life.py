"""The extension's life without a window: switched on, a job done, its frames shown and rendered, switched off.

Runs in a real Blender and in its Python module alike. What the extension has of Blender's is listed before, between
and after.
"""

import os
import sys
import threading
import types
import warnings

sys.path.insert(0, os.path.dirname(__file__))

import bpy
from common import ARGUMENTS, FOLDER, NAME, addon, install, write_result
from stage import look_head_on, render


def registered():
    """The names of all that can be registered with Blender: classes, properties, operators, handlers, menu entries,
    shortcuts, threads. Timers cannot be listed: ours are asked for.
    """
    found = set()
    for name in dir(bpy.types):
        cls = getattr(bpy.types, name)
        if not hasattr(cls, "bl_rna"):
            continue
        found.add(name)
        found.update(f"{name}.{prop.identifier}" for prop in cls.bl_rna.properties)
        drawn = getattr(getattr(cls, "draw", None), "_draw_funcs", ())
        # Blender's own function is on the list as soon as anybody's has been.
        drawn = [function for function in drawn if not function.__module__.startswith("bl_ui.")]
        found.update(f"{name} draws {function.__module__}.{function.__qualname__}" for function in drawn)
    found.update(
        f"bpy.ops.{module}.{name}" for module in dir(bpy.ops) for name in dir(getattr(bpy.ops, module))
    )
    for name in dir(bpy.app.handlers):
        functions = getattr(bpy.app.handlers, name)
        if isinstance(functions, list):
            found.update(
                f"{name} calls {function.__module__}.{function.__qualname__}" for function in functions
            )
    for config in (bpy.context.window_manager.keyconfigs.addon, bpy.context.window_manager.keyconfigs.user):
        for keymap in config.keymaps if config else ():
            found.update(f"{config.name}: {item.idname} in {keymap.name}" for item in keymap.keymap_items)
    found.update(f"thread {thread.name}" for thread in threading.enumerate())
    for module in [module for name, module in sys.modules.items() if name.startswith(NAME)]:
        for value in vars(module).values():
            if isinstance(value, types.FunctionType) and bpy.app.timers.is_registered(value):
                found.add(f"timer {value.__module__}.{value.__qualname__}")
    return found


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def animate():
    """The job: how it ended, and what shows its frames."""
    scene = bpy.context.scene
    scene.render.fps = 10
    settings = scene.vangogh
    settings.painting = bpy.data.images.load(ARGUMENTS["painting"])
    settings.driving_video = ARGUMENTS["video"]
    settings.output_directory = str(FOLDER / "life")
    settings.size, settings.end = 256, 0.6
    bpy.ops.vangogh.animate()
    job = scene.vangogh.jobs[0]
    return {"phase": job.phase, "frames": job.frames, "output": job.output}


def left(before):
    """What is there that was not, with the extension switched off."""
    bpy.ops.preferences.addon_disable(module=NAME)
    for thread in threading.enumerate():
        if thread.name.startswith("vangogh"):
            thread.join(5)  # its process is gone; that it sees it may take a moment
    return registered() - before


def main():
    result = {"version": list(bpy.app.version)}
    bpy.ops.wm.read_homefile(use_empty=True)
    before = registered()
    install(ARGUMENTS["python"])
    result["came"] = sorted(registered() - before)
    result.update(animate())
    worker = addon("session").current().client.pid
    frame = bpy.context.scene.objects[0]
    look_head_on(frame)
    result["pictures"] = render([1, result["frames"]])
    bpy.ops.vangogh.build_gallery()
    result["gallery"] = len(bpy.data.collections["Gallery"].objects)

    result["worker was alive"] = alive(worker)
    result["left"] = sorted(left(before))
    bpy.ops.preferences.addon_enable(module=NAME)
    result["came again"] = sorted(registered() - before)
    result["left"] += sorted(left(before))  # switched on again, it lives and dies as well
    result["worker is alive"] = alive(worker)
    result["gone of Blender's own"] = sorted(before - registered())
    return result


with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    result = main()
result["warnings"] = [
    f"{w.filename}:{w.lineno}: {w.message}" for w in caught if NAME.split(".")[-1] in w.filename
]
write_result(result)
