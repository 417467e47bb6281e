"""The extension in a folder that nobody may write to, as a studio installs it: switched on, it animates."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("bpy")

ROOT = Path(__file__).resolve().parents[2]
MOUNTED = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
SCRIPT = """
import os, sys
import bpy

extension, painting, video, output = sys.argv[1:]
try:
    open(os.path.join(extension, "written"), "w")
except OSError:
    pass
else:
    sys.exit("the folder is not read-only")
name = "bl_ext.user_default.vangogh_says_hello"
bpy.ops.preferences.addon_enable(module=name)
bpy.context.preferences.addons[name].preferences.python = sys.executable
bpy.ops.wm.read_homefile(use_empty=True)
bpy.ops.vangogh.animate(painting=painting, driving_video=video, output_directory=output, end=0.2, size=128)
bpy.ops.preferences.addon_disable(module=name)
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="a mount needs Linux and root")
@pytest.mark.skipif(not shutil.which("unshare"), reason="there is no unshare")
def test_it_animates_from_a_folder_that_is_read_only(zip_file, tmp_path):
    extension = tmp_path / "user" / "extensions" / "user_default" / "vangogh_says_hello"
    with zipfile.ZipFile(zip_file) as archive:
        archive.extractall(extension)
    media = [str(ROOT / "examples" / name) for name in ("painting.jpg", "driving.mp4")]
    done = subprocess.run(
        [
            *("unshare", "--mount", "sh", "-c", MOUNTED, "sh", str(extension)),
            *(sys.executable, "-c", SCRIPT, str(extension), *media, str(tmp_path / "out")),
        ],
        env={**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path / "user")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "out" / "frames").glob("*.png"))) > 2
    with zipfile.ZipFile(zip_file) as archive:
        packed = {name for name in archive.namelist() if not name.endswith("/")}
    there = {str(path.relative_to(extension)) for path in extension.rglob("*") if path.is_file()}
    assert there == packed
