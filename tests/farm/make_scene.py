"""Builds a gallery whose paintings a farm is to animate: in `bpy` or in a real Blender, the extension installed.

Its last argument says in JSON what: `zip`, the extension; `folder`, for gallery.blend; `paintings` and `clips`,
files, each painting hung once for each clip; `size`, of the animations; `frames`, to be rendered; `bundle`.
"""

import json
import sys
from pathlib import Path

import bpy


def main(values):
    bpy.ops.extensions.package_install_files(
        filepath=values["zip"], repo="user_default", enable_on_install=True
    )
    from bl_ext.user_default.vangogh_says_hello.vangogh_blender import gallery

    bpy.ops.wm.read_homefile(use_empty=True)
    blend = Path(values["folder"]) / "gallery.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 64, 36
    scene.render.engine = "CYCLES"
    scene.render.fps = 24
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.max_bounces = 1, False, 1
    images = [bpy.data.images.load(path) for path in values["paintings"]]
    hung = [(image, clip) for image in images for clip in values["clips"]]
    before = set(bpy.data.objects)
    gallery.build_gallery(
        bpy.context, [gallery.Painting(image) for image, _ in hung], last_frame=values["frames"]
    )
    canvases = [thing for thing in bpy.data.objects if thing not in before and _image(thing)]
    for image, clip in hung:
        target = next(thing for thing in canvases if _image(thing) == image)
        canvases.remove(target)
        done = bpy.ops.vangogh.add_to_farm(
            painting=image.name,
            driving_video=clip,
            target="OBJECT",
            object=target.name,
            size=values["size"],
            use_scene_fps=False,
        )
        assert done == {"FINISHED"}
    bpy.ops.wm.save_mainfile()
    assert bpy.ops.vangogh.export_farm_job(directory=values["bundle"], device="cpu") == {"FINISHED"}


def _image(thing):
    for slot in thing.material_slots:
        for node in slot.material.node_tree.nodes if slot.material else ():
            if node.type == "TEX_IMAGE" and node.image:
                return node.image
    return None


main(json.loads(sys.argv[-1]))
