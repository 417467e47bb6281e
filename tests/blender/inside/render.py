"""Without a window: load the saved scene, look at the canvas head-on in even light, render frames of it."""

import math
import os
import sys

sys.path.insert(0, os.path.dirname(__file__))

import bpy
from common import ARGUMENTS, FOLDER, addon, install, write_result

install("")
bpy.ops.wm.open_mainfile(filepath=str(FOLDER / "scene.blend"))
scene = bpy.context.scene
image_sequence = addon("image_sequence")
target, node = next(
    (target, node)
    for target in scene.objects
    for image in bpy.data.images
    if image.source == "SEQUENCE"
    for node in image_sequence.nodes_showing(target, image)
)
canvas = max(
    (polygon for polygon in target.data.polygons if polygon.material_index == 0),
    key=lambda polygon: polygon.area,
)
corners = [target.matrix_world @ target.data.vertices[index].co for index in canvas.vertices]
width = max(c.x for c in corners) - min(c.x for c in corners)
height = max(c.z for c in corners) - min(c.z for c in corners)
middle = sum(corners, corners[0] * 0) / len(corners)

camera = bpy.data.objects.new("Head-on", bpy.data.cameras.new("Head-on"))
camera.data.type = "ORTHO"
camera.data.ortho_scale = max(width, height)
camera.location = (middle.x, middle.y - 2.0, middle.z)
camera.rotation_euler = (math.radians(90), 0, 0)
sun = bpy.data.objects.new("Even light", bpy.data.lights.new("Even light", "SUN"))
sun.data.energy = math.pi  # a white surface facing it is exactly white
sun.rotation_euler = camera.rotation_euler
sun.visible_glossy = False  # the colour alone, without the canvas's slight gloss
for thing in list(scene.objects):
    if thing.type in {"LIGHT", "CAMERA"}:
        bpy.data.objects.remove(thing)
for thing in (camera, sun):
    scene.collection.objects.link(thing)
scene.camera = camera
scene.world = None
scene.render.engine = "CYCLES"
scene.cycles.device = "CPU"
scene.cycles.samples = 8
scene.cycles.use_denoising = False
scene.view_settings.view_transform = "Standard"
scene.render.resolution_x = round(256 * width / max(width, height))
scene.render.resolution_y = round(256 * height / max(width, height))
scene.render.resolution_percentage = 100
scene.render.image_settings.file_format = "PNG"

pictures = {}
for number in ARGUMENTS["frames"]:
    scene.frame_set(number)
    scene.render.filepath = str(FOLDER / f"render-{number}.png")
    bpy.ops.render.render(write_still=True)
    pictures[number] = scene.render.filepath
write_result({"pictures": pictures, "missing": image_sequence.missing_frames(node)})
