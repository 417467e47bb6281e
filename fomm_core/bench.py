"""`python -m fomm_core bench`: how fast animating is, beside the published loop's way of working.

A shared machine changes its pace from minute to minute, so both sides are measured in turn, round after round, and
compared within a round; the median of the rounds' ratios is what counts.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import torch

from . import baseline, inference, media, models, registry
from .animator import pick_device
from .errors import UserError
from .models import Model

ROUNDS = 7
WHAT = ("network", "job", "memory")
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@dataclass(frozen=True)
class Measure:
    """One thing measured in every round.

    Attributes:
        name: of what.
        unit: ms per frame, s, MB.
        ours, baseline: one number a round; `baseline` is empty where there is none.
    """

    name: str
    unit: str
    ours: list[float]
    baseline: list[float] = dataclasses.field(default_factory=list)

    def summary(self) -> dict:
        """Medians, spreads (the lower and the upper quartile) and the ratio baseline / ours."""
        found = {"name": self.name, "unit": self.unit, "ours": _spread(self.ours)}
        if self.baseline:
            found["baseline"] = _spread(self.baseline)
            found["ratio"] = _spread([b / a for a, b in zip(self.ours, self.baseline, strict=True)])
        return found


def _spread(values: list[float]) -> dict:
    low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"median": statistics.median(values), "quartiles": [low, high]}


@dataclass(frozen=True)
class Settings:
    """What to measure, and how often.

    Attributes:
        model: a registered model or a file, or a configuration's name: that one with random weights.
        device, precision: as for a job.
        frames: in a round.
        rounds: each of them all things in turn.
        what: some of `WHAT`.
        baseline: measure the published way of working too.
        painting, video: for the whole job; by default those of examples/.
    """

    model: str = "vox-256"
    device: str = "auto"
    precision: str = "auto"
    frames: int = 4
    rounds: int = ROUNDS
    what: tuple[str, ...] = ("network",)
    baseline: bool = False
    painting: Path = EXAMPLES / "painting.jpg"
    video: Path = EXAMPLES / "driving.mp4"


def run(settings: Settings) -> dict:
    """Measure; the result is plain data, for `table` and for JSON. Raises `UserError`."""
    for name, value in (("frames", settings.frames), ("rounds", settings.rounds)):
        if value < 1:
            raise UserError("arguments", f"{value} {name} cannot be measured.", "Use 1 or more.")
    measures: list[Measure] = []
    extra: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        if "network" in settings.what:
            found, extra = network(settings)
            measures += found
        if "job" in settings.what or "memory" in settings.what:
            measures += jobs(settings, Path(folder))
    device = pick_device(settings.device)
    return {
        "model": settings.model,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "torch": torch.__version__,
        "precision": inference.choose(device, settings.precision).precision,
        "frames": settings.frames,
        "rounds": settings.rounds,
        "measures": [measure.summary() for measure in measures],
        **extra,
    }


def network(settings: Settings) -> tuple[list[Measure], dict]:
    """The network alone, frames one after another from and to tensors on the device, and its stages."""
    device = pick_device(settings.device)
    model = model_of(settings.model)
    fast = inference.build(model, device, settings.precision)
    images = driving_images(model.frame_size, settings.frames).to(device)
    loop = baseline.PublishedLoop(model, device) if settings.baseline else None

    with torch.inference_mode():
        source, origin = fast.encode(images[:1]), fast.detect(images[:1])
        motion = fast.motion(source, origin, origin)
        stages = {
            "keypoints": lambda image: fast.detect(image),
            "dense motion": lambda image: fast.motion(source, origin, origin),
            "decoder": lambda image: fast.decode(source, motion),
        }

        def whole(image: torch.Tensor) -> torch.Tensor:
            return fast.decode(source, fast.motion(source, fast.detect(image), origin))

        def published(image: torch.Tensor) -> torch.Tensor:
            return loop.frame(images[:1], image, origin)["prediction"]

        extra = {}
        if loop is not None:
            extra = _difference(whole, published, images)
        sides = {"network": whole, **stages}
        times: dict[str, list[float]] = {name: [] for name in (*sides, "published")}
        for name in sides:
            sides[name](images[:1])  # weights are laid out at the first call
        for _ in range(settings.rounds):
            for name, side in sides.items():
                times[name].append(_milliseconds(side, images, device))
            if loop is not None:
                times["published"].append(_milliseconds(published, images, device))
    unit = "ms per frame"
    measures = [Measure("network", unit, times["network"], times["published"])]
    return measures + [Measure(f"  {name}", unit, times[name]) for name in stages], extra


def _milliseconds(run: Callable, images: torch.Tensor, device: torch.device) -> float:
    """Of one frame, on average over the images."""
    began = time.perf_counter()
    for i in range(len(images)):
        run(images[i : i + 1])
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - began) / len(images) * 1e3


def _difference(ours: Callable, published: Callable, images: torch.Tensor) -> dict:
    """How far the two pictures of the last image are from each other, in [0, 1] and in dB."""
    difference = (ours(images[-1:]) - published(images[-1:])).float()
    decibels = -10 * torch.log10(difference.square().mean().clamp_min(1e-20))
    return {"largest difference": float(difference.abs().max()), "PSNR": float(decibels)}


def jobs(settings: Settings, folder: Path) -> list[Measure]:
    """Whole jobs in processes of their own, starting them included: seconds, and the most memory they held."""
    model = folder / "model.safetensors"
    loaded = model_of(settings.model)
    models.save(model, loaded, {"name": loaded.name})
    video, end = _long_enough(settings.video, settings.frames, folder)
    common = [str(settings.painting), str(video), "--model", str(model), "--device", settings.device]
    # The published way's own result, so that both do the same: regions whole, one small movie.
    plain = [
        "--region",
        "full",
        "--driving-region",
        "full",
        "--size",
        str(loaded.frame_size),
        "--format",
        "mp4",
    ]
    ours = ["-m", "fomm_core", "animate", *common, *plain, "--precision", settings.precision]
    sides = {"ours": [*ours, "--end", f"{end:.4f}"]}
    if settings.baseline:
        sides["baseline"] = ["-m", "fomm_core.baseline", *common, "--frames", str(settings.frames)]
    seconds: dict[str, list[float]] = {"ours": [], "baseline": []}
    memory: dict[str, list[float]] = {"ours": [], "baseline": []}
    for i in range(settings.rounds):
        for side, arguments in sides.items():
            taken, held = _process([*arguments, "--output", str(folder / f"{side}{i}")])
            seconds[side].append(taken)
            memory[side].append(held)
    found = {
        "job": Measure(f"whole job, {settings.frames} frames", "s", **seconds),
        "memory": Measure(f"peak memory, {settings.frames} frames", "MB", **memory),
    }
    return [found[name] for name in ("job", "memory") if name in settings.what]


def _long_enough(video: Path, frames: int, folder: Path) -> tuple[Path, float]:
    """The video, or a copy in `folder` that repeats it, and the second at which so many frames end."""
    reader = media.VideoReader(video)
    if reader.estimate >= frames:
        return video, (frames - 0.5) / reader.fps
    repeated = folder / f"repeated{video.suffix}"
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-stream_loop",
        str(frames // max(1, reader.estimate)),
    ]
    subprocess.run([*command, "-i", video, "-c", "copy", "-an", repeated], check=True, capture_output=True)
    return repeated, (frames - 0.5) / reader.fps


# A process is born with the memory peak of the one that starts it, so a small one stands between.
_STARTER = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
_, status, usage = os.wait4(child.pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def _process(arguments: list[str]) -> tuple[float, float]:
    """Seconds, and the peak of resident memory in MB, of a Python process. Raises `UserError` where it fails."""
    began = time.perf_counter()
    command = [sys.executable, "-c", _STARTER, sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        words = done.stderr.strip().splitlines() or ["it said nothing"]
        raise UserError("internal", f"A measured job failed: {words[-1]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, int(done.stdout) * unit / 1e6


def model_of(name: str) -> Model:
    """A registered model or a file; a configuration's name gives it with random weights. Raises `UserError`."""
    if name in registry.registered() or Path(name).is_file():
        return models.load(name)
    return with_random_weights(models.build(models.read_config(name), name))


def with_random_weights(model: Model, seed: int = 0) -> Model:
    """The model, changed: its pictures show every part of it."""
    randomize(model, seed)
    with torch.no_grad():
        model.generator.final.weight.mul_(0.3)  # a painting's contrast, not black and white alone
    return model


def randomize(model: Model, seed: int) -> None:
    """Give all layers random weights and statistics under which signals keep their size."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for network in (model.generator, model.kp_detector):
            for name, value in network.state_dict().items():
                if name.endswith("running_var"):
                    value.uniform_(0.5, 1.5, generator=generator)
                elif name.endswith("running_mean"):
                    value.normal_(0, 0.2, generator=generator)
                elif value.is_floating_point() and not name.endswith("down.weight"):
                    inputs = value[0].numel() if value.ndim > 1 else 25
                    value.normal_(1.0 if "norm" in name else 0.0, inputs**-0.5, generator=generator)


def driving_images(size: int, count: int) -> torch.Tensor:
    """`count` pictures, Bx3xSxS in [0, 1], in which smooth waves wander."""
    y, x = torch.meshgrid(torch.linspace(0, 6, size), torch.linspace(0, 6, size), indexing="ij")
    waves = [torch.sin(x * (c + 1) + i / 5) * torch.cos(y + c) for i in range(count) for c in range(3)]
    return (torch.stack(waves).view(count, 3, size, size) + 1) / 2


def _processor() -> str:
    cores = os.cpu_count()
    return f"{platform.processor() or platform.machine()}, {cores} cores"


def lines(result: dict) -> Iterator[str]:
    """The result as a Markdown table, after a line that says where it was measured."""
    yield (
        f"{result['model']}, {result['precision']}, {result['device']}, {result['threads']} threads, "
        f"torch {result['torch']}; load before it {result['load']}; medians of {result['rounds']} rounds "
        "(quartiles)"
    )
    yield ""
    yield "| | ours | published way | ratio |"
    yield "|---|---|---|---|"
    for measure in result["measures"]:
        cells = [_cell(measure.get(side), measure["unit"]) for side in ("ours", "baseline")]
        yield f"| {measure['name'].strip()} | {' | '.join(cells)} | {_cell(measure.get('ratio'), 'x')} |"
    if "PSNR" in result:
        yield ""
        yield (
            f"Against the published way's picture: {result['PSNR']:.1f} dB, "
            f"at most {result['largest difference']:.1e} of [0, 1]."
        )


def _cell(spread: dict | None, unit: str) -> str:
    if spread is None:
        return ""
    low, high = spread["quartiles"]
    digits = 0 if spread["median"] >= 100 else 2
    return f"{spread['median']:.{digits}f} {unit} ({low:.{digits}f} to {high:.{digits}f})"


def command(options: argparse.Namespace) -> int:
    """`bench` with its arguments, which are named as the `Settings` are. Raises `UserError`."""
    names = [field.name for field in dataclasses.fields(Settings)]
    return main(Settings(**{name: getattr(options, name) for name in names}), options.json)


def main(settings: Settings, as_json: bool) -> int:
    """Measure and print. Raises `UserError`."""
    result = run(settings)
    print(json.dumps(result) if as_json else "\n".join(lines(result)))
    return 0
