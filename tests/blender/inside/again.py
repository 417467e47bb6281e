"""Without a window and without the add-on's worker: open the gallery that was saved, and render it again."""

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))

import bpy
from common import FOLDER, install, write_result
from stage import render_here

install("")
bpy.ops.wm.open_mainfile(filepath=str(FOLDER / "gallery.blend"))
write_result({"rendered": render_here(FOLDER / "gallery again.png")})
