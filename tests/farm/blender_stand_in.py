"""Takes the place of the program Blender where there is only its Python module: opens a file, runs a script."""

import runpy
import sys

import bpy

arguments = sys.argv[1 : sys.argv.index("--")]
file = next(argument for argument in arguments if argument.endswith(".blend"))
bpy.ops.wm.open_mainfile(filepath=file)
runpy.run_path(arguments[arguments.index("--python") + 1], run_name="__main__")
