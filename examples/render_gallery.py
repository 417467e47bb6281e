"""Build a gallery round an animated painting with the add-on's own functions, save it and render it.

    python examples/render_gallery.py --frames DIR --stills FILE… --output FILE.blend --render DIR

Needs a Python with `bpy` and no torch. Shows how to script the add-on; `demo.py` runs it. Each line that begins
with `frame ` on standard output tells of one picture rendered: `frame DONE TOTAL`.
"""

from __future__ import annotations

import argparse
import sys
import types
from pathlib import Path

import bpy
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "vangogh_says_hello"
FPS = 24
MOVING = "Moving Portrait"
SHORTEST, LONGEST = 72, 120  # of the shot, in frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=Path, required=True, help="the animated painting: 0001.png …")
    parser.add_argument("--stills", type=Path, nargs="*", default=[], help="paintings to hang beside it")
    parser.add_argument("--output", type=Path, required=True, help="the .blend to write")
    parser.add_argument("--render", type=Path, required=True, help="folder for the rendered pictures")
    options = parser.parse_args()
    # The add-on's modules import each other relatively, as in Blender: the repository is their package.
    package = types.ModuleType(PACKAGE)
    package.__path__ = [str(ROOT)]
    sys.modules[PACKAGE] = package

    from vangogh_says_hello.fomm_core.errors import UserError

    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.filepaths.save_version = 0  # no gallery.blend1 beside it
    bpy.ops.wm.save_as_mainfile(filepath=str(options.output))  # from here on, paths are relative to it
    scene = bpy.context.scene
    try:
        collection = build(scene, options.frames, options.stills)
    except UserError as error:
        options.output.unlink()
        sys.exit(str(error))
    set_up_render(scene)
    bpy.ops.wm.save_mainfile()
    render(scene, canvas_corners(collection), options.render)


def build(scene: bpy.types.Scene, frames: Path, stills: list[Path]) -> bpy.types.Collection:
    """The gallery: the moving painting in the middle, the stills beside it."""
    from vangogh_says_hello.vangogh_blender import gallery, image_sequence

    scene.render.resolution_x, scene.render.resolution_y = 640, 360
    scene.render.fps = FPS
    count = image_sequence.count_frames(frames)
    moving = image_sequence.load_sequence(frames, MOVING)
    beside = []
    for path, style in zip(stills, ("RIPPLE", "WOOD") * len(stills), strict=False):
        image = bpy.data.images.load(bpy.path.relpath(str(path)))
        beside.append(gallery.Painting(image, height=0.75, style=style, visit=False))
    half = len(beside) // 2
    portrait = gallery.Painting(moving, count, height=1.0, title="Van Gogh says hello")
    paintings = [*beside[:half], portrait, *beside[half:]]
    return gallery.build_gallery(bpy.context, paintings, last_frame=min(max(count, SHORTEST), LONGEST))


def set_up_render(scene: bpy.types.Scene) -> None:
    """Cycles on the processor, few samples and a denoiser: about two seconds a picture on two cores."""
    scene.render.engine = "CYCLES"
    scene.render.use_persistent_data = True
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    scene.view_settings.view_transform = "Standard"  # AgX would grey the paintings
    cycles = scene.cycles
    cycles.device = "CPU"
    cycles.samples = 5
    cycles.use_adaptive_sampling = False
    cycles.use_light_tree = False  # slower here than trying each of the few lamps
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 3, 2, 2
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 3.0
    cycles.use_denoising = True
    cycles.denoiser = "OPENIMAGEDENOISE"
    cycles.denoising_prefilter = "FAST"
    if hasattr(cycles, "denoising_quality"):
        cycles.denoising_quality = "FAST"


def canvas_corners(collection: bpy.types.Collection) -> list[Vector]:
    """The corners, in the world, of the canvas that moves, which is the one that the camera walks up to."""
    frame = next(thing for thing in collection.objects if thing.name.startswith(MOVING))
    bpy.context.view_layer.update()
    canvas = next(p for p in evaluated(frame).data.polygons if p.material_index == 0)
    return [frame.matrix_world @ evaluated(frame).data.vertices[i].co for i in canvas.vertices]


def evaluated(thing: bpy.types.Object) -> bpy.types.Object:
    """The object as it is rendered, with what its modifiers make of it."""
    return thing.evaluated_get(bpy.context.evaluated_depsgraph_get())


def render(scene: bpy.types.Scene, canvas: list[Vector], folder: Path) -> None:
    """Render 0001.png … into `folder`.

    From where the camera stands still only the canvas changes: only it is rendered, transparent around.
    """
    from vangogh_says_hello.vangogh_blender import gallery

    first, last = scene.frame_start, scene.frame_end
    [(stands, _)] = gallery.stops([gallery.ENTER], first, last)
    scene.render.filepath = str(folder / "####.png")

    def tell(scene: bpy.types.Scene, *_) -> None:
        print(f"frame {scene.frame_current - first + 1} {last - first + 1}", flush=True)

    bpy.app.handlers.render_write.append(tell)
    scene.frame_end = stands
    bpy.ops.render.render(animation=True)
    scene.frame_set(stands)
    seen = [world_to_camera_view(scene, scene.camera, corner) for corner in canvas]
    settings = scene.render
    settings.use_border, settings.use_crop_to_border, settings.film_transparent = True, False, True
    settings.border_min_x, settings.border_max_x = min(p.x for p in seen), max(p.x for p in seen)
    settings.border_min_y, settings.border_max_y = min(p.y for p in seen), max(p.y for p in seen)
    scene.frame_start, scene.frame_end = stands + 1, last
    bpy.ops.render.render(animation=True)


if __name__ == "__main__":
    main()
