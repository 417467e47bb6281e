"""Command line: python -m portraits render | painting | group | driving."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from types import ModuleType

from . import VERSION

REPOSITORY = Path(__file__).resolve().parents[1]
HEADS = REPOSITORY.parent / "shared" / "heads"
EXAMPLES = REPOSITORY / "examples"
SPLITS = {"train": 0, "test": 1}  # part of a clip's seed: no identity is ever in both


def render(args: argparse.Namespace) -> None:
    """Writes the clips that are not there yet."""
    import numpy as np

    from .clip import FRAMES, GRID, SIZE, random_clip
    from .head import LANDMARK_NAMES, Head
    from .raster import Rasterizer

    folder = args.output / args.split
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "generator": VERSION,
        "frames": FRAMES,
        "size": SIZE,
        "grid": GRID,
        "landmarks": LANDMARK_NAMES,
        "splits": {},
    }
    file = args.output / "dataset.json"
    if file.is_file():
        about["splits"] = json.loads(file.read_text()).get("splits", {})
    about["splits"][args.split] = {"heads": str(args.heads), "clips": args.clips, "seed": args.seed}
    _write(file, json.dumps(about, indent=1).encode())
    head = Head(args.heads)
    raster = Rasterizer(head)
    start, done = time.monotonic(), 0
    for number in range(args.first, args.first + args.clips, args.step):
        path = folder / f"clip_{number:05d}.npz"
        if path.exists():
            continue
        clip = random_clip(head, raster, (args.seed, SPLITS[args.split], number))
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            np.savez_compressed(file, **clip) if args.compress else np.savez(file, **clip)
        part.rename(path)
        done += 1
        if done % 20 == 0:
            spent = (time.monotonic() - start) / done
            print(f"{number}: {done} clips, {1000 * spent / FRAMES:.0f} ms a frame", flush=True)


def _write(path: Path, content: bytes) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(content)
    part.rename(path)


def _scenes() -> ModuleType:
    from . import scenes

    return scenes


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m portraits", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("render", help="clips with ground truth, for training")
    one.add_argument("--output", type=Path, required=True)
    one.add_argument("--clips", type=int, required=True, help="how many numbers to go through, from --first")
    one.add_argument("--first", type=int, default=0)
    one.add_argument(
        "--step", type=int, default=1, help="take every so many, to share the work among processes"
    )
    one.add_argument("--split", choices=SPLITS, default="train")
    one.add_argument("--compress", action="store_true", help="half the size, slower to write and read")
    one.set_defaults(run=render)
    two = commands.add_parser("painting", help="the demo's painting")
    two.add_argument("--output", type=Path, default=EXAMPLES / "painting.jpg")
    two.set_defaults(run=lambda a: _scenes().painting(a.heads, a.output, a.seed))
    group = commands.add_parser("group", help="a group portrait of three")
    group.add_argument("--output", type=Path, default=EXAMPLES / "group.jpg")
    group.set_defaults(run=lambda a: _scenes().group(a.heads, a.output, a.seed))
    three = commands.add_parser("driving", help="the demo's driving clip")
    three.add_argument("--output", type=Path, default=EXAMPLES / "driving.mp4")
    three.set_defaults(run=lambda a: _scenes().driving(a.heads, a.output, a.seed))
    for command in (one, two, group, three):
        command.add_argument("--heads", type=Path, default=HEADS, help="MakeHuman's base mesh and targets")
        command.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    try:
        args.run(args)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
