"""What the tests of the installed extension in `bpy` say often. Timers do not fire there: they call the tick."""

import importlib
import os
import sys
import time

import pytest

bpy = pytest.importorskip("bpy")

import numpy as np  # noqa: E402
import skimage  # noqa: E402
from vangogh_says_hello.vangogh_blender import versions  # noqa: E402

FRAMES = 12  # that the fake worker makes


def worker_python():
    """A Python with torch: this one, unless VANGOGH_TEST_PYTHON names another (tools/test_versions.py does)."""
    return os.environ.get("VANGOGH_TEST_PYTHON") or sys.executable


def painting(path, save=True, **options):
    """An image of 6x4 pixels in one colour, on disk at `path`."""
    image = bpy.data.images.new("drawn", 6, 4, alpha=True, **options)
    image.pixels.foreach_set(np.tile(np.float32([0.8, 0.4, 0.2, 1.0]), 24))
    if not save:
        return image
    image.filepath_raw = str(path)
    image.file_format = "PNG"
    image.save()
    bpy.data.images.remove(image)
    return bpy.data.images.load(str(path))


def tick_until(addon, condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, addon.session.current().state
        addon.session.tick()
        time.sleep(0.01)


def module(addon, name):
    """A module of the installed `vangogh_blender`."""
    return importlib.import_module(f"{addon.name}.vangogh_blender.{name}")


def only_job():
    (job,) = bpy.context.scene.vangogh.jobs
    return job


def start(**options):
    """Animate as with a window: come back at once."""
    assert bpy.ops.vangogh.animate(wait=False, **options) == {"FINISHED"}


def finish(addon):
    tick_until(addon, lambda: all(job.over for job in addon.session.current().state.jobs))


def sequences():
    return [image for image in bpy.data.images if image.source == "SEQUENCE"]


def canvas_node(target):
    from bl_ext.user_default.vangogh_says_hello.vangogh_blender import image_sequence

    (node,) = [node for image in sequences() for node in image_sequence.nodes_showing(target, image)]
    return node


def own_object(image):
    """The user's own object with the image on its material."""
    mesh = bpy.data.meshes.new("wall")
    target = bpy.data.objects.new("wall", mesh)
    bpy.context.scene.collection.objects.link(target)
    material = bpy.data.materials.new("wall")
    mesh.materials.append(material)
    node = versions.node_tree(material).nodes.new("ShaderNodeTexImage")
    node.image = image
    bpy.context.view_layer.objects.active = target
    return target, node


def refused(**options):
    """The sentence with which `vangogh.animate` refuses."""
    with pytest.raises(RuntimeError) as caught:
        bpy.ops.vangogh.animate(**options)
    sentence = str(caught.value)
    assert "Traceback" not in sentence
    return sentence


def png_sent(tmp_path):
    return tmp_path / "out" / "painting.png"


def reread(path):
    """Height x width x RGBA in [0, 1], as any other program reads the file."""
    return skimage.util.img_as_float(skimage.io.imread(path))
