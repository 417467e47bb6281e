"""`python -m fomm_core farm …`: the tasks of a bundle that Blender's *Export Farm Job* wrote."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from .bundle import Bundle, numbers
from .supervision import INTERRUPTED, supervised


def add(commands: argparse._SubParsersAction, command: Callable, add_progress: Callable) -> None:
    """Add `farm` to the commands; `command(name, run, about, parent)` makes one of its actions."""
    farm = commands.add_parser("farm", help="The tasks of a farm job's bundle.")
    actions = farm.add_subparsers(required=True, metavar="ACTION")

    def action(name: str, run: Callable, about: str) -> argparse.ArgumentParser:
        sub = command(name, run, about, actions)
        sub.add_argument("bundle", metavar="BUNDLE", type=Path, help="the folder with bundle.json")
        return sub

    def task(name: str, run: Callable, about: str) -> argparse.ArgumentParser:
        sub = action(name, run, about)
        sub.add_argument("--output", required=True, metavar="DIR", type=Path, help="for all results")
        sub.add_argument(
            "--models", metavar="DIR", type=Path, help="where the models are (default: the bundle's)"
        )
        add_progress(sub)
        return sub

    several = "auto|cpu|cuda:N|…; several, as in cuda:0,cuda:1: a process for each"
    tracking = task("track", _track, "Detect the motion of driving clips.")
    tracking.add_argument("--tasks", default="1", metavar="1-4,7", help="the clips' numbers")
    tracking.add_argument("--device", default="auto", metavar="DEVICE", help="of several, the first")
    animating = task("animate", _animate, "Animate paintings.")
    animating.add_argument("--tasks", default="1", metavar="1-4,7", help="the animations' numbers")
    animating.add_argument("--device", default="auto", metavar="DEVICES", help=several)
    encoding = task("encode", _encode, "Make a film of the rendered frames.")
    encoding.add_argument("--frames", metavar="1-96", help="default: all of the scene's")
    all_here = task("run", _run, "Track and animate all of it on this machine, without a farm.")
    all_here.add_argument("--device", default="auto", metavar="DEVICES", help=several)
    action("check", _check, "Say whether a bundle is whole.")


def _track(options: argparse.Namespace) -> int:
    def run(control):
        from . import farm

        wanted, device = numbers(options.tasks, "clips"), options.device.split(",")[0]
        return farm.track(_bundle(options), wanted, options.output, device, control)

    return _supervised(options, run, "Tracked")


def _animate(options: argparse.Namespace) -> int:
    def run(control):
        from . import farm

        wanted, devices = numbers(options.tasks, "animations"), options.device.split(",")
        return farm.animate(_bundle(options), wanted, options.output, devices, control)

    return _supervised(options, run, "Animated")


def _encode(options: argparse.Namespace) -> int:
    def run(control):
        from . import film

        bundle = _bundle(options)
        scene = bundle.manifest.scene
        frames = options.frames or f"{scene.first}-{scene.last}"
        return film.encode(bundle, frames, options.output, control)

    return _supervised(options, run, "Encoded")


def _run(options: argparse.Namespace) -> int:
    def run(control):
        from . import farm

        bundle, devices = _bundle(options), options.device.split(",")
        clips, animations = len(bundle.manifest.clips), len(bundle.manifest.animations)
        if clips:
            farm.track(bundle, list(range(1, clips + 1)), options.output, devices[0], control)
        return farm.animate(bundle, list(range(1, animations + 1)), options.output, devices, control)

    return _supervised(options, run, "Animated")


def _check(options: argparse.Namespace) -> int:
    from . import farm

    print(f"{farm.check(Bundle(options.bundle))} files, as they were exported.")
    return 0


def _bundle(options: argparse.Namespace) -> Bundle:
    return Bundle(options.bundle, options.models)


def _supervised(options: argparse.Namespace, run: Callable, what: str) -> int:
    done = supervised(options.progress, run)
    if done is None:
        return INTERRUPTED
    if options.progress == "bar":
        print(f"{what}: {done.path}, {done.frames} frames in {done.seconds:g} s")
    return 0
