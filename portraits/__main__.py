"""Command line: python -m portraits render | painting | group | driving | sitters."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

from . import VERSION

REPOSITORY = Path(__file__).resolve().parents[1]
HEADS = REPOSITORY.parent / "shared" / "heads"
EXAMPLES = REPOSITORY / "examples"
SPLITS = {"train": 0, "test": 1}  # part of a clip's seed: no identity is ever in both


class CannotRender(Exception):
    """What draws the clips cannot go on."""


def render(args: argparse.Namespace) -> None:
    """Writes the clips that are not there yet, in `args.jobs` processes of their own.

    The driver that draws them crashes now and then, and takes its process along: another goes on.
    Raises `FileNotFoundError` without heads, `CannotRender` where a process fails, or crashes having drawn none.
    """
    from .head import require_heads

    require_heads(args.heads)
    if args.jobs < 1:
        raise CannotRender(f"Clips cannot be rendered by {args.jobs} processes. Give --jobs 1 or more.")
    folder = (args.output / args.split).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    _describe(args)
    command = [sys.executable, "-m", "portraits", "draw", "--heads", args.heads.resolve()]
    command += ["--output", folder.parent, "--split", args.split, "--seed", args.seed]
    command += ["--compress"] * args.compress
    ends, step = args.first + args.clips, args.jobs * args.step

    def started(job: int) -> tuple[int, subprocess.Popen]:
        """How many of the job's clips are there already, and its process."""
        first = args.first + job * args.step
        share = ["--first", first, "--step", step, "--clips", max(0, ends - first)]
        there = sum(_clip(folder, number).exists() for number in range(first, ends, step))
        return there, subprocess.Popen([str(word) for word in command + share], cwd=REPOSITORY)

    running = {job: started(job) for job in range(args.jobs)}
    try:
        while running:
            time.sleep(0.1)
            for job, (before, process) in list(running.items()):
                if process.poll() is None:
                    continue
                del running[job]
                if process.returncode == 0:
                    continue
                if process.returncode > 0:  # it has said why
                    raise CannotRender("The clips cannot be rendered.")
                running[job] = started(job)
                name = signal.Signals(-process.returncode).name
                if running[job][0] == before:
                    raise CannotRender(f"A process that draws clips was ended by {name}, having drawn none.")
                print(f"A process that draws clips was ended by {name}; another goes on.", file=sys.stderr)
    finally:
        for _, process in running.values():
            process.terminate()
            process.wait()


def _clip(folder: Path, number: int) -> Path:
    return folder / f"clip_{number:05d}.npz"


def _describe(args: argparse.Namespace) -> None:
    from .clip import FRAMES, GRID, SIZE
    from .head import LANDMARK_NAMES

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
    part = file.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(about, indent=1))
    part.rename(file)


def draw(args: argparse.Namespace) -> None:
    """What one process of `render` does."""
    import numpy as np

    from .clip import FRAMES, random_clip
    from .head import Head
    from .raster import Rasterizer

    head = Head(args.heads)
    raster = Rasterizer(head)
    start, done = time.monotonic(), 0
    for number in range(args.first, args.first + args.clips, args.step):
        path = _clip(args.output / args.split, number)
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


def _scenes() -> ModuleType:
    from . import scenes

    return scenes


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m portraits", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("render", help="clips with ground truth, for training")
    one.add_argument("--jobs", type=int, default=1, help="processes that share the work (default: 1)")
    one.set_defaults(run=render)
    part = commands.add_parser("draw")  # one of these processes
    part.set_defaults(run=draw)
    for command in (one, part):
        command.add_argument("--output", type=Path, required=True)
        command.add_argument("--clips", type=int, required=True, help="how many numbers to go through")
        command.add_argument("--first", type=int, default=0, help="the first of them")
        command.add_argument("--step", type=int, default=1, help="take every so many, to share the work")
        command.add_argument("--split", choices=SPLITS, default="train")
        command.add_argument(
            "--compress", action="store_true", help="half the size, slower to write and read"
        )
    two = commands.add_parser("painting", help="the demo's painting")
    two.add_argument("--output", type=Path, default=EXAMPLES / "painting.jpg")
    two.set_defaults(run=lambda a: _scenes().painting(a.heads, a.output, a.seed))
    group = commands.add_parser("group", help="a group portrait of three")
    group.add_argument("--output", type=Path, default=EXAMPLES / "group.jpg")
    group.set_defaults(run=lambda a: _scenes().group(a.heads, a.output, a.seed))
    three = commands.add_parser("driving", help="the demo's driving clip")
    three.add_argument("--output", type=Path, default=EXAMPLES / "driving.mp4")
    three.set_defaults(run=lambda a: _scenes().driving(a.heads, a.output, a.seed))
    many = commands.add_parser("sitters", help="portraits of sitters drawn at random, to look at what moves")
    many.add_argument("--output", type=Path, required=True, help="a folder")
    many.add_argument("--count", type=int, default=16)
    many.set_defaults(run=lambda a: _scenes().sitters(a.heads, a.output, a.seed, a.count))
    for command in (one, part, two, group, three, many):
        command.add_argument("--heads", type=Path, default=HEADS, help="MakeHuman's base mesh and targets")
        command.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    try:
        args.run(args)
    except (FileNotFoundError, CannotRender) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
