"""The command line: `python -m fomm_core …`.

Exit status: 0 done, 1 it failed (one plain sentence on standard error), 2 wrong arguments, 130 interrupted.
Nothing heavy is imported before the arguments are understood.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

from . import __version__, farm_command, models_command, protocol
from .errors import UserError, in_words
from .protocol import Job
from .supervision import INTERRUPTED, PROGRESS, supervised


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):  # a path that the terminal cannot show must not end a job
        stream.reconfigure(errors="backslashreplace")
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has gone
        sys.stderr.close()
        return 1
    except Exception as error:
        if options.debug:
            raise
        failure = in_words(error)
        print(failure, file=sys.stderr)
        return 2 if failure.kind == "arguments" else 1


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    main = argparse.ArgumentParser(prog="python -m fomm_core", description="Makes portraits move.")
    main.add_argument("--version", action="version", version=__version__)
    main.set_defaults(debug=False)
    commands = main.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable, about: str, parent=commands) -> argparse.ArgumentParser:
        sub = parent.add_parser(name, help=about, description=about)
        sub.set_defaults(run=run)
        sub.add_argument("--debug", action="store_true", help="show the traceback of a failure")
        return sub

    _add_animate(command("animate", _animate, "Animate a painting by a driving video."))

    explain = command(
        "explain",
        _explain,
        "Show what the model does: keypoints, deformation, occlusion and masks, side by side.",
    )
    _add_what_moves(explain)
    explain.add_argument(
        "--output",
        required=True,
        metavar="FILE",
        help="a picture (.png, .jpg) or a movie (.mp4, .gif) of all frames",
    )
    explain.add_argument(
        "--frame",
        type=int,
        metavar="N",
        help="the frame in the picture, from 0 (default: a few telling ones)",
    )

    track = command(
        "track", _track, "Save a driving video's motion, for animate to take in place of the video."
    )
    track.add_argument("video", metavar="VIDEO")
    track.add_argument("--output", required=True, metavar="TRACK", help="the motion track to write (.npz)")
    _add_model(track)
    track.add_argument("--driving-region", default="auto", metavar="auto|full|X,Y,W,H")
    add_progress(track)

    look = command("look", _look, "Say how long a driving video is, and show its first frame.")
    look.add_argument("video", metavar="VIDEO", help="a driving video, or a motion track (.npz)")
    look.add_argument("--output", type=Path, metavar="FILE", help="a .png for the first frame")
    look.add_argument(
        "--size", type=int, default=256, metavar="N", help="its longest side (default: %(default)s)"
    )
    look.add_argument("--json", action="store_true", help="print what it holds as one line of JSON")

    models_command.add(commands, command)
    farm_command.add(commands, command, add_progress)

    _add_train(command("train", _train, "Train a model, on videos or on rendered clips with known motion."))

    _add_finetune(
        command("finetune", _finetune, "Adapt a model to one painting, or to a category of videos.")
    )

    reconstruct = command("reconstruct", _reconstruct, "Measure a model on videos it has not seen.")
    reconstruct.add_argument("model", metavar="MODEL", help="a registered model, or a file")
    reconstruct.add_argument(
        "--data",
        required=True,
        type=Path,
        metavar="DIR",
        help="movies, GIFs, folders of frames, or rendered clips; DIR/test is taken where there is one",
    )
    reconstruct.add_argument("--config", metavar="NAME|FILE", help="for a published checkpoint file")
    reconstruct.add_argument("--output", type=Path, metavar="DIR", help="for metrics.json and a few films")
    reconstruct.add_argument("--device", default="auto", metavar="auto|cpu|cuda|cuda:N|mps")
    reconstruct.add_argument("--json", action="store_true", help="print the result as one line of JSON")

    _add_bench(command("bench", _bench, "Measure how fast animating is, and how much memory it takes."))

    command("worker", _worker, "The background process: JSON lines in and out (see fomm_core/protocol.py).")
    return main


def add_progress(sub: argparse.ArgumentParser) -> None:
    """How the command tells how far it is: `options.progress` is one of `PROGRESS`."""
    sub.add_argument(
        "--progress", choices=PROGRESS, default="bar", help="openjd: the lines that a farm's workers read"
    )
    sub.add_argument(
        "--json", dest="progress", action="store_const", const="json", help="report progress as JSON lines"
    )


def _add_model(sub: argparse.ArgumentParser) -> None:
    default = Job("", "", "")
    sub.add_argument("--model", default=default.model, metavar="NAME|FILE", help="default: %(default)s")
    sub.add_argument("--config", metavar="NAME|FILE", help="configuration, for a published checkpoint file")
    sub.add_argument("--device", default=default.device, metavar="auto|cpu|cuda|cuda:N|mps")


def _add_what_moves(sub: argparse.ArgumentParser) -> None:
    """The painting, the driving video, and what brings them together, whatever comes of it."""
    default = Job("", "", "")
    sub.add_argument("painting", metavar="PAINTING", help="an image file")
    sub.add_argument("video", metavar="VIDEO", help="a driving video, or a motion track (.npz)")
    _add_model(sub)
    sub.add_argument("--motion", default=default.motion, choices=protocol.MOTIONS)
    sub.add_argument("--adapt-scale", default=default.adapt_scale, action=argparse.BooleanOptionalAction)
    sub.add_argument("--reference-frame", default=default.reference_frame, metavar="N|auto|first")
    sub.add_argument("--strength", default=default.strength, type=float, metavar="0..2")
    sub.add_argument("--region", default=default.region, metavar="auto|full|X,Y,W,H", help="what moves")
    sub.add_argument("--driving-region", default=default.driving_region, metavar="auto|full|X,Y,W,H")
    sub.add_argument(
        "--smooth",
        default=default.smooth,
        type=float,
        metavar="0..5",
        help="how strongly the motion is smoothed (default: 1)",
    )
    sub.add_argument("--start", default=default.start, type=float, metavar="S", help="seconds into the video")
    sub.add_argument("--end", type=float, metavar="S")


def _add_animate(sub: argparse.ArgumentParser) -> None:
    default = Job("", "", "")
    _add_what_moves(sub)
    sub.add_argument("--output", required=True, metavar="DIR", help="the job's folder: DIR/frames/0001.png …")
    sub.add_argument("--precision", default=default.precision, choices=protocol.PRECISIONS)
    sub.add_argument(
        "--size", type=int, metavar="N", help="longest side of the frames (default: the painting's)"
    )
    sub.add_argument(
        "--still-wall", default=default.still_wall, action=argparse.BooleanOptionalAction,
        help="what is behind the sitter stays as it is painted (default: it does)",
    )  # fmt: skip
    sub.add_argument("--all-faces", action="store_true", help="animate every sitter that is found")
    sub.add_argument("--loop", default=default.loop, choices=protocol.LOOPS, help="default: %(default)s")
    sub.add_argument("--fps", type=float, help="frames per second (default: the video's)")
    sub.add_argument("--format", default=default.format, choices=protocol.FORMATS)
    sub.add_argument("--resume", action="store_true", help="keep the frames of the same job cut off earlier")
    add_progress(sub)


def _add_train(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("config", metavar="CONFIG", help="a configuration's name, or a YAML file")
    sub.add_argument(
        "--data",
        required=True,
        type=Path,
        metavar="DIR",
        help="movies, GIFs, folders of frames, or rendered clips; DIR/train and DIR/test where there are such",
    )
    sub.add_argument("--output", required=True, type=Path, metavar="DIR", help="new, or with --resume")
    length = sub.add_mutually_exclusive_group()
    length.add_argument(
        "--minutes", type=float, metavar="M", help="how long in all (default: as CONFIG says)"
    )
    length.add_argument("--steps", type=int, metavar="N")
    length.add_argument("--epochs", type=int, metavar="N", help="on videos")
    sub.add_argument("--workers", type=int, metavar="N", help="threads or processes that help")
    sub.add_argument("--start", metavar="MODEL", help="begin with this model's weights, not with random ones")
    _add_training(sub)


def _add_training(sub: argparse.ArgumentParser) -> None:
    """What every training is asked."""
    sub.add_argument("--device", default="auto", metavar="auto|cpu|cuda|cuda:N|mps")
    sub.add_argument(
        "--precision", default="auto", choices=("auto", "fp32", "bf16", "fp16"), help="default: %(default)s"
    )
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--resume", action="store_true", help="go on from the last checkpoint in the output")


def _add_finetune(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("model", metavar="MODEL", help="the model to begin with: a registered one, or a file")
    material = sub.add_mutually_exclusive_group(required=True)
    material.add_argument("--painting", type=Path, metavar="IMAGE", help="adapt it to this painting")
    material.add_argument("--data", type=Path, metavar="DIR", help="adapt it to what these videos show")
    sub.add_argument("--output", required=True, type=Path, metavar="DIR", help="for model.safetensors")
    sub.add_argument(
        "--config", metavar="NAME|FILE", help="the model's configuration; with --data, how to train"
    )
    sub.add_argument(
        "--driving", type=Path, metavar="VIDEO", help="with --painting: show it in the motion of this clip"
    )
    length = sub.add_mutually_exclusive_group()
    length.add_argument(
        "--minutes", type=float, metavar="M", help="how long (default: 5 for a painting, 60 for videos)"
    )
    length.add_argument("--steps", type=int, metavar="N")
    _add_training(sub)


def _add_bench(sub: argparse.ArgumentParser) -> None:
    examples = Path(__file__).resolve().parents[1] / "examples"
    sub.add_argument(
        "--model",
        default="vox-256",
        metavar="NAME|FILE|CONFIG",
        help="a configuration's name: with random weights (default: %(default)s)",
    )
    sub.add_argument("--device", default="auto", metavar="auto|cpu|cuda|cuda:N|mps")
    sub.add_argument("--precision", default="auto", choices=protocol.PRECISIONS)
    sub.add_argument("--frames", type=int, default=4, metavar="N", help="a round (default: %(default)s)")
    sub.add_argument("--rounds", type=int, default=7, metavar="N", help="default: %(default)s")
    sub.add_argument("--what", nargs="+", default=["network"], choices=("network", "job", "memory", "first"))
    sub.add_argument(
        "--baseline", action="store_true", help="beside the published loop's way of working, in turns"
    )
    sub.add_argument("--painting", type=Path, default=examples / "painting.jpg", metavar="IMAGE")
    sub.add_argument("--video", type=Path, default=examples / "driving.mp4", metavar="VIDEO")
    sub.add_argument("--json", action="store_true", help="print the result as one line of JSON")


def _animate(options: argparse.Namespace) -> int:
    request = _job(options)
    from . import job

    done = supervised(options.progress, lambda control: job.run(request, control))
    if done is None:
        return INTERRUPTED
    if options.progress != "json":
        print(f"{done.frames} frames at {done.fps:g} per second: {done.path}")
    return 0


def _explain(options: argparse.Namespace) -> int:
    request = _job(options)
    from . import explain

    done = supervised("bar", lambda control: explain.run(request, control, options.frame))
    if done is None:
        return INTERRUPTED
    print(f"Explained: {done.path}")
    return 0


def _job(options: argparse.Namespace) -> Job:
    """The job that the options describe; settings that the command does not offer keep their defaults."""
    names = {field.name for field in dataclasses.fields(Job)}
    return Job(**{name: value for name, value in vars(options).items() if name in names})


def _track(options: argparse.Namespace) -> int:
    from . import driving

    request = protocol.Track(
        "cli",
        options.video,
        options.output,
        options.model,
        options.config,
        options.device,
        options.driving_region,
    )
    done = supervised(options.progress, lambda control: driving.run(request, control))
    if done is None:
        return INTERRUPTED
    if options.progress != "json":
        print(f"{done.frames} frames of motion: {done.path}")
    return 0


def _look(options: argparse.Namespace) -> int:
    from .look import look

    found = look(Path(options.video), options.output, options.size)
    if options.json:
        print(json.dumps(dataclasses.asdict(found)))
        return 0
    size = f", {found.width} x {found.height} pixels" if found.width else ""
    print(f"{found.frames} frames at {found.fps:g} per second{size}{', with sound' if found.sound else ''}")
    return 0


def _train(options: argparse.Namespace) -> int:
    from . import models
    from .training import trainer

    trainer.train(
        models.read_config(options.config),
        options.data,
        options.output,
        minutes=options.minutes,
        steps=options.steps,
        epochs=options.epochs,
        device=options.device,
        precision=options.precision,
        seed=options.seed,
        workers=options.workers,
        start=options.start,
        resume=options.resume,
    )
    return 0


def _finetune(options: argparse.Namespace) -> int:
    from .training import finetune

    names = ("config", "minutes", "steps", "device", "precision", "seed", "resume")
    common = {name: getattr(options, name) for name in names}
    if options.driving is not None and options.painting is None:
        raise UserError("arguments", "--driving shows a painting in motion.", "Use it with --painting.")
    if options.painting is not None:
        path = finetune.finetune_painting(
            options.model, options.painting, options.output, driving=options.driving, **common
        )
    else:
        path = finetune.finetune_category(options.model, options.data, options.output, **common)
    print(f"Tuned: {path}")
    return 0


def _reconstruct(options: argparse.Namespace) -> int:
    from . import models
    from .training.reconstruct import reconstruct

    model = models.load(options.model, options.config)
    report = reconstruct(
        model, options.data, options.output, options.device, warn=lambda line: print(line, file=sys.stderr)
    )
    if options.json:
        print(json.dumps(dataclasses.asdict(report)))
        return 0
    print(f"{report.videos} videos, {report.frames} frames")
    longest = max(map(len, report.errors))
    for name, value in report.errors.items():
        print(f"{name:{longest}}  {value:.4f}")
    return 0


def _bench(options: argparse.Namespace) -> int:
    from . import bench

    return bench.command(options)


def _worker(options: argparse.Namespace) -> int:
    from . import worker

    return worker.main()
