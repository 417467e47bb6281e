"""Build and check the extension's zips: `python tools/package.py [--output FOLDER] [--platform NAME …]`.

One zip a platform, with uv's wheel for it; `--offline` adds the wheels of the platform's lock, so that it sets
itself up with no network. `bpy`'s own packager (`blender_ext.py`) does the packing and the checking. The same tree
and the same wheels give the same bytes.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tools import wheels
from tools.platforms import PLATFORMS, ROOT, TARGETS, Target, here

EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can tell
MANIFEST = "blender_manifest.toml"


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


def run_blender_ext(*arguments: str) -> str:
    """Run Blender's packager; what it said. Exits with it where it fails."""
    done = subprocess.run([sys.executable, str(blender_ext()), *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"blender_ext.py {arguments[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def build(output: Path, platforms: list[str], offline: list[Path] | None = None) -> list[Path]:
    """Build a zip for each platform into the folder `output` and validate it; their paths.

    `offline`: the wheels that go into wheels/offline/. Raises FetchError where uv's wheels are not to be had.
    """
    uv = wheels.fetch_uv(platforms)
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain"
        _stage(plain)
        return [_pack(plain, platform, wheel, offline or [], output) for platform, wheel in uv.items()]


def build_offline(output: Path, target: Target, torch: str) -> Path:
    """Build the zip that carries every wheel of the target's locks; `torch` is "cpu" or "pypi".

    Raises FetchError."""
    cache = wheels.CACHE / target.name
    files = wheels.fetch(target.lock, target, cache)
    if not any(file.name.startswith("torch-") for file in files):
        files += _torch(target, torch, cache)
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output) as folder:
        [zip] = build(Path(folder), [target.platform.name], files)
        return zip.replace(output / f"{zip.stem}-py{target.python}-offline.zip")


def _torch(target: Target, choice: str, cache: Path) -> list[Path]:
    if choice in ("pypi", target.platform.pypi_torch) and target.torch_lock.exists():
        return wheels.fetch(target.torch_lock, target, cache)
    wheel = wheels.fetch_cpu_torch(target, wheels.torch_version(target.lock), cache)
    print(f"{wheel.name}: no lock has its hash; compare it yourself. sha256 {wheels.sha256(wheel)}")
    return [wheel]


def _stage(tree: Path) -> None:
    """What belongs into the extension, as the manifest's own patterns have it, without any wheel."""
    with tempfile.TemporaryDirectory() as folder:
        rough = Path(folder) / "extension.zip"
        run_blender_ext("build", "--source-dir", str(ROOT), "--output-filepath", str(rough))
        zipfile.ZipFile(rough).extractall(tree)


def _pack(plain: Path, platform: str, uv: Path, offline: list[Path], output: Path) -> Path:
    with tempfile.TemporaryDirectory(dir=plain.parent) as folder:
        tree, packed = Path(folder) / "tree", Path(folder) / "packed"
        shutil.copytree(plain, tree)
        packed.mkdir()
        _add_wheels(tree, platform, uv, offline)
        run_blender_ext("build", "--split-platforms", "--source-dir", str(tree), "--output-dir", str(packed))
        [zip] = packed.glob("*.zip")
        run_blender_ext("validate", str(zip))
        return _normalise(zip, output / zip.name)


def _add_wheels(tree: Path, platform: str, uv: Path, offline: list[Path]) -> None:
    """uv's wheel, which the manifest lists, and offline ones, which it must not: Blender would install them."""
    (tree / "wheels" / "offline").mkdir(parents=True)
    shutil.copyfile(uv, tree / "wheels" / uv.name)
    for wheel in offline:
        shutil.copyfile(wheel, tree / "wheels" / "offline" / wheel.name)
    manifest = tree / MANIFEST
    lines = f'platforms = ["{platform}"]\nwheels = ["./wheels/{uv.name}"]\n'
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(re.sub(r"^\[", f"{lines}\n[", text, count=1, flags=re.MULTILINE), encoding="utf-8")


def _normalise(rough: Path, target: Path) -> Path:
    """The same entries in the order of their names, all of one moment: what is packed decides the bytes alone."""
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    with zipfile.ZipFile(rough) as source, zipfile.ZipFile(temporary, "w", compresslevel=9) as zip:
        for packed in sorted(source.infolist(), key=lambda packed: packed.filename):
            entry = zipfile.ZipInfo(packed.filename, EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type, entry.file_size = packed.compress_type, packed.file_size
            with source.open(packed) as content, zip.open(entry, "w") as written:
                shutil.copyfileobj(content, written, 1 << 20)
    return temporary.replace(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder for the zips")
    parser.add_argument(
        "--platform",
        nargs="+",
        choices=[*PLATFORMS, "this"],
        help="all where none is named; `this`: this machine's",
    )
    parser.add_argument("--offline", action="store_true", help="carry the wheels for one platform and Python")
    parser.add_argument(
        "--python",
        choices=sorted({target.python for target in TARGETS}),
        help="with --offline: Blender's Python",
    )
    parser.add_argument(
        "--torch",
        choices=["cpu", "pypi"],
        default="cpu",
        help="with --offline: PyPI's, which is CUDA's on Linux",
    )
    options = parser.parse_args()
    platforms = [here() if name == "this" else name for name in options.platform or PLATFORMS]
    targets = [t for t in TARGETS if t.platform.name in platforms and t.python == options.python]
    if options.offline and len(targets) != 1:
        known = ", ".join(f"--platform {t.platform.name} --python {t.python}" for t in TARGETS)
        parser.error(f"an offline zip is for one platform and one Python: {known}")
    if unknown := set(platforms) - set(PLATFORMS):
        parser.error(f"there is no zip for {', '.join(unknown)}")
    try:
        if options.offline:
            zips = [build_offline(options.output, targets[0], options.torch)]
        else:
            zips = build(options.output, platforms)
    except wheels.FetchError as error:
        sys.exit(str(error))
    for zip in zips:
        print(f"{zip} ({zip.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
