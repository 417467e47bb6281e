"""Without a window: `vangogh.animate` waits and comes back; or is in the middle of a job when Blender is killed."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))

import bpy
from common import ARGUMENTS, FOLDER, addon, install, write_result

install(ARGUMENTS["python"])
settings = {
    "painting": ARGUMENTS["painting"],
    "driving_video": ARGUMENTS["video"],
    "output_directory": str(FOLDER / "background"),
}
if ARGUMENTS["wait"]:
    returned = bpy.ops.vangogh.animate(**settings)
    job = bpy.context.scene.vangogh.jobs[0]
    write_result({"returned": sorted(returned), "phase": job.phase, "frames": job.frames})
else:
    bpy.ops.vangogh.animate(wait=False, **settings)
    while bpy.context.scene.vangogh.jobs[0].phase != "running":
        addon("session").tick()
        time.sleep(0.05)
    write_result({"worker": addon("session").current().client.pid})
    time.sleep(600)
