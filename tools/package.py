"""Build and check the extension's zip: `python tools/package.py [--output FOLDER]`.

Needs `bpy` in this Python, whose `blender_ext.py` (Blender's own packager) does the packing and the checking.
The same tree gives the same bytes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can tell


def blender_ext() -> Path:
    """Blender's packager. Found without importing bpy, which takes seconds and a user's folder."""
    spec = find_spec("bpy")
    found = (
        sorted(Path(spec.origin).parent.glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py"))
        if spec
        else []
    )
    if not found:
        sys.exit("tools/package.py: this Python has no bpy. Install the development requirements first.")
    return found[-1]


def build(output: Path) -> Path:
    """Build the zip into the folder `output` and validate it; its path."""
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    target = output / f"{manifest['id']}-{manifest['version']}.zip"
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        rough = Path(folder) / "extension.zip"
        _run("build", "--source-dir", str(ROOT), "--output-filepath", str(rough))
        _run("validate", str(rough))
        _normalise(rough, target)
    return target


def _run(*arguments: str) -> None:
    done = subprocess.run([sys.executable, str(blender_ext()), *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"blender_ext.py {arguments[0]} failed:\n{done.stdout}{done.stderr}")


def _normalise(rough: Path, target: Path) -> None:
    """The same entries in the order of their names, all of one moment: what is packed decides the bytes alone."""
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    with (
        zipfile.ZipFile(rough) as source,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zip,
    ):
        for name in sorted(source.namelist()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            zip.writestr(entry, source.read(name))
    os.replace(temporary, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder for the zip")
    zip_file = build(parser.parse_args().output)
    print(f"{zip_file} ({zip_file.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
