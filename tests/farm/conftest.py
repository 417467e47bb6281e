"""A small farm job, made once: six paintings, two clips, a gallery of twelve frames."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import pytest
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
PAINTINGS, CLIP_FRAMES, SIZE, FRAMES = 6, 4, 96, 12


@pytest.fixture(scope="session")
def blender(tmp_path_factory):
    """The Blender that renders: the one named by BLENDER, or a stand-in with the module."""
    if named := os.environ.get("BLENDER"):
        return named
    path = tmp_path_factory.mktemp("program") / "blender"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "blender_stand_in.py"}" "$@"\n')
    path.chmod(0o755)
    return str(path)


@pytest.fixture(scope="session")
def material(tmp_path_factory):
    """Paintings and clips: (files, files)."""
    folder = tmp_path_factory.mktemp("material")
    portrait = Image.open(ROOT / "examples" / "painting.jpg").convert("RGB")
    portrait.thumbnail((160, 160))
    paintings = []
    for number in range(PAINTINGS):
        path = folder / f"lady {number}.png"
        turned = ImageOps.mirror(portrait) if number % 2 else portrait
        turned.point(lambda value, k=number: value * (10 - k) // 10).save(path)
        paintings.append(str(path))
    clips = []
    for name, start in (("nod", 0), ("laugh", 1)):
        path = folder / f"{name}.mp4"
        ffmpeg(
            "-ss", start, "-i", ROOT / "examples" / "driving.mp4", "-frames:v", CLIP_FRAMES, "-an",
            "-vf", "scale=128:-2", path,
        )  # fmt: skip
        clips.append(str(path))
    return paintings, clips


def ffmpeg(*arguments):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-nostdin", *map(str, arguments)]
    subprocess.run(command, check=True)


@pytest.fixture(scope="session")
def exported(zip_file, material, tmp_path_factory):
    """The scene's folder with `gallery.blend`, and in it the `bundle`, exported by the operator."""
    folder = tmp_path_factory.mktemp("farm")
    paintings, clips = material
    values = {
        "zip": str(zip_file),
        "folder": str(folder),
        "bundle": str(folder / "bundle"),
        "paintings": paintings,
        "clips": clips,
        "frames": FRAMES,
        "size": SIZE,
    }
    (folder / "user").mkdir()
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(folder / "user")}
    done = subprocess.run(
        [sys.executable, str(HERE / "make_scene.py"), json.dumps(values)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


@pytest.fixture
def bundle(exported, tmp_path):
    """A copy of the bundle, to be changed."""
    return Path(shutil.copytree(exported / "bundle", tmp_path / "bundle"))


@pytest.fixture(scope="session")
def elsewhere(exported, tmp_path_factory):
    """The bundle moved to where it was not made, and the place that it was made in gone: (bundle, output)."""
    folder = tmp_path_factory.mktemp("another machine")
    return Path(shutil.copytree(exported / "bundle", folder / "a bundle")), folder
