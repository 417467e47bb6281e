"""Without a window: load the saved scene, look at the canvas head-on in even light, render frames of it."""

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))

import bpy
from common import ARGUMENTS, FOLDER, addon, install, write_result
from stage import look_head_on, render

install("")
bpy.ops.wm.open_mainfile(filepath=str(FOLDER / "scene.blend"))
image_sequence = addon("image_sequence")
target, node = next(
    (target, node)
    for target in bpy.context.scene.objects
    for image in bpy.data.images
    if image.source == "SEQUENCE"
    for node in image_sequence.nodes_showing(target, image)
)
look_head_on(target)
pictures = render(ARGUMENTS["frames"])
write_result({"pictures": pictures, "missing": image_sequence.missing_frames(node)})
