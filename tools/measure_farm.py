"""Measure what a farm job costs and how it scales: `python tools/measure_farm.py [--rounds N] [--paintings N] …`.

A bundle of paintings made from the example, one clip, the included model. A task's processor time hardly depends on
what else the machine does; the time that passes does, so both sides of a comparison are measured in turn.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from fomm_core import __version__, bundle, protocol, registry
from fomm_core.files import sha256

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--paintings", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=1.0, help="of the driving video (default: 1)")
    parser.add_argument("--size", type=int, default=1024, help="longest side of the frames (default: 1024)")
    parser.add_argument("--format", default="png", choices=("png", "jpg", "webp"))
    parser.add_argument("--what", nargs="+", default=["cost", "scaling"], choices=("cost", "scaling"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = make_bundle(folder / "bundle", options)
        base = folder / "base"
        run(made, base, "track", "1")
        print(
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.rounds} rounds, medians (all)"
        )
        if "cost" in options.what:
            cost(made, base, folder, options)
        if "scaling" in options.what:
            scaling(made, base, folder, options)


def make_bundle(folder: Path, options: argparse.Namespace) -> Path:
    """A bundle without a scene: the same painting in several brightnesses."""
    for name in ("paintings", "clips", "models"):
        (folder / name).mkdir(parents=True)
    shutil.copyfile(registry.registered()["starter"], folder / "models" / "starter.safetensors")
    shutil.copyfile(ROOT / "examples" / "driving.mp4", folder / "clips" / "clip.mp4")
    painting = Image.open(ROOT / "examples" / "painting.jpg").convert("RGB")
    painting = painting.resize([round(side * options.size / max(painting.size)) for side in painting.size])
    animations = []
    for number in range(options.paintings):
        path = f"paintings/{number}.png"
        painting.point(lambda value, k=number: value * (100 - k % 50) // 100).save(folder / path)
        job = protocol.Job(
            path,
            "clips/clip.mp4",
            "",
            "models/starter.safetensors",
            end=options.seconds,
            format=options.format,
        )
        animations.append(bundle.Animation(f"a{number}", job, "clip"))
    paths = [path for path in folder.rglob("*") if path.is_file()]
    files = {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": sha256(path)}
        for path in paths
    }
    manifest = bundle.Manifest(
        __version__,
        (bundle.Clip("clip", "clips/clip.mp4", "models/starter.safetensors"),),
        tuple(animations),
        bundle.Scene("scene/scene.blend", "Scene", 1, 1, 24.0),
        files,
    )
    (folder / bundle.MANIFEST).write_text(manifest.json(), encoding="utf-8")
    return folder


def run(made: Path, output: Path, action: str, tasks: str, device: str = "cpu", threads: int = 0) -> tuple:
    """Run a task; the seconds that passed, and the processor's seconds of it and its children."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "VANGOGH_CACHE": str(output / "cache")}
    environment.pop("OMP_NUM_THREADS", None)
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    command = [sys.executable, "-m", "fomm_core", "farm", action, str(made), "--output", str(output)]
    before, began = os.times(), time.perf_counter()
    subprocess.run(
        [*command, "--tasks", tasks, "--device", device],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, used


def fresh(base: Path, folder: Path) -> Path:
    """An output folder with the track and nothing else."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    return Path(shutil.copytree(base, folder / "out"))


def cost(made: Path, base: Path, folder: Path, options: argparse.Namespace) -> None:
    """A task's start, and what each painting and each frame adds, in seconds of one core."""
    alone, many, nothing = [], [], []
    for _ in range(options.rounds):
        output = fresh(base, folder)
        alone.append(run(made, output, "animate", "1")[1])
        nothing.append(run(made, output, "animate", "1")[1])
        many.append(run(made, fresh(base, folder), "animate", f"1-{options.paintings}")[1])
    frames = sorted((folder / "out" / "animations" / "a0" / "frames").iterdir())
    size = statistics.mean(path.stat().st_size for path in frames)
    each = [(m - a) / (options.paintings - 1) for m, a in zip(many, alone, strict=True)]
    width, height = Image.open(frames[0]).size
    print(f"{len(frames)} frames of {width} x {height} {options.format}, {size / 1e6:.2f} MB each")
    print(f"a task that is done already: {spread(nothing)} core seconds")
    print(f"a task of one painting:      {spread(alone)}")
    print(
        f"each further painting:       {spread(each)}, per frame {statistics.median(each) / len(frames):.3f}"
    )
    start = [a - e for a, e in zip(alone, each, strict=True)]
    print(f"so its start:                {spread(start)}")


def scaling(made: Path, base: Path, folder: Path, options: argparse.Namespace) -> None:
    """Two processes against one, on the same paintings."""
    sides = {
        "one process, one thread": ("cpu", 1),
        "one process": ("cpu", 0),
        "two processes": ("cpu,cpu", 0),
    }
    passed: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(options.rounds):
        for name, (device, threads) in sides.items():
            seconds, _ = run(made, fresh(base, folder), "animate", f"1-{options.paintings}", device, threads)
            passed[name].append(seconds)
    for name, times in passed.items():
        print(f"{name + ':':26} {spread(times)} s")
    for name in list(sides)[:2]:
        ratios = [a / b for a, b in zip(passed[name], passed["two processes"], strict=True)]
        print(f"two processes against {name}: {spread(ratios)} x")


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({', '.join(f'{value:.2f}' for value in sorted(values))})"


if __name__ == "__main__":
    main()
