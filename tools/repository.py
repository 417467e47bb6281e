"""Build the static repository that Blender subscribes to: `python tools/repository.py [--packages F] [--output F]`.

Takes the plain zips, one for each platform, that tools/package.py has built, and writes them with the listings that
Blender (index.json) and people (index.html) read. The folder is put on any web server as it is.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tools.package import MANIFEST, run_blender_ext
from tools.platforms import PLATFORMS, ROOT


def generate(packages: Path, output: Path) -> Path:
    """Write the repository of the tree's version; the path of its index.json. Exits where a zip is missing."""
    manifest = tomllib.loads((ROOT / MANIFEST).read_text(encoding="utf-8"))
    names = [f"{manifest['id']}-{manifest['version']}-{name.replace('-', '_')}.zip" for name in PLATFORMS]
    if missing := [name for name in names if not (packages / name).exists()]:
        sys.exit(f"{packages} has no {', '.join(missing)}. Build the packages first: make package")
    # Only this version: two of one platform would stand side by side in the listing.
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    for name in names:
        shutil.copyfile(packages / name, output / name)
    run_blender_ext("server-generate", "--repo-dir", str(output), "--html")
    return output / "index.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", type=Path, default=ROOT / "dist", help="folder with the zips")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "dist" / "repository", help="replaced as a whole"
    )
    options = parser.parse_args()
    print(f"{generate(options.packages, options.output)}: what Blender subscribes to, once it is on a server")


if __name__ == "__main__":
    main()
