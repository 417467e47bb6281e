"""What must be true of the extension's life, as `inside/life.py` tells it, in whatever Blender."""

from pathlib import Path

import numpy as np
import skimage.io
import skimage.transform

ROOT = Path(__file__).resolve().parents[2]


def arguments(python):
    """For `inside/life.py`; `python` has torch."""
    return {
        "python": python,
        "painting": str(ROOT / "examples" / "painting.jpg"),
        "video": str(ROOT / "examples" / "driving.mp4"),
    }


def check(result):
    """The job was done and can be seen, Blender had nothing to warn of, and nothing is left."""
    assert (result["phase"], result["frames"]) == ("done", 6)
    check_pictures(result["pictures"], Path(result["output"]) / "frames")
    assert result["gallery"] > 10
    assert not result["warnings"], result["warnings"]
    # The list sees what there is to see.
    came = set(result["came"])
    assert {"VANGOGH_PT_animate", "VANGOGH_OT_animate", "Scene.vangogh", "bpy.ops.vangogh.animate"} <= came
    assert any(name.startswith("load_post calls ") for name in came)
    assert any(name.startswith("timer ") for name in came)
    assert came <= set(result["came again"])
    assert result["worker was alive"]
    assert not result["left"], result["left"]
    assert not result["gone of Blender's own"], result["gone of Blender's own"]
    assert not result["worker is alive"]


def check_pictures(pictures, frames_folder):
    """Each of the two rendered `pictures`, paths by the frame's number, is its own frame and not the other."""
    shown, frames = [], []
    for number, path in sorted(pictures.items(), key=lambda item: int(item[0])):
        picture = _read(path)
        frame = _read(Path(frames_folder) / f"{int(number):04d}.png")
        inner = np.s_[4:-4, 4:-4]  # without the sight edge's own shadow line
        shown.append(picture[inner])
        frames.append(skimage.transform.resize(frame, picture.shape, anti_aliasing=True)[inner])
    (first, last), (first_frame, last_frame) = shown, frames
    assert _difference(first, first_frame) < 0.015
    assert _difference(last, last_frame) < 0.015
    moved = _difference(first_frame, last_frame)
    assert moved > 0.0005
    assert _difference(first, last) > moved / 2
    assert _difference(first, first_frame) < _difference(first, last_frame)
    assert _difference(last, last_frame) < _difference(last, first_frame)


def _read(path):
    return skimage.io.imread(path)[..., :3] / 255.0


def _difference(picture, other):
    return float(np.abs(picture - other).mean())
