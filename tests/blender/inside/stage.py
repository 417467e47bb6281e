"""A canvas seen head-on in even light, and rendered: the picture has the frame's own colours."""

import math

import bpy
from common import FOLDER


def look_head_on(target):
    """Aim an orthographic camera at the canvas of the picture frame `target`, and let nothing but a sun shine."""
    scene = bpy.context.scene
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
    scene.render.resolution_x = round(256 * width / max(width, height))
    scene.render.resolution_y = round(256 * height / max(width, height))
    scene.render.resolution_percentage = 100


def render(numbers):
    """Render the scene's frames of these numbers with Cycles; the path of each picture by its number."""
    scene = bpy.context.scene
    _cycles(scene)
    scene.view_settings.view_transform = "Standard"
    pictures = {}
    for number in numbers:
        scene.frame_set(number)
        scene.render.filepath = pictures[number] = str(FOLDER / f"render-{number}.png")
        bpy.ops.render.render(write_still=True)
    return pictures


def render_here(path):
    """Render the scene as it is, small and quickly, with Cycles; the picture's path."""
    scene = bpy.context.scene
    _cycles(scene)
    scene.render.resolution_x, scene.render.resolution_y = 480, 270
    scene.render.resolution_percentage = 100
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    return str(path)


def _cycles(scene):
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = 8
    scene.cycles.use_denoising = False  # some distributions build Blender without it
    scene.render.image_settings.file_format = "PNG"
