"""Whole jobs, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imageio_ffmpeg
from PIL import Image

from .. import media, models, protocol, track_cache
from ..errors import UserError
from .measure import Measure, Settings
from .weights import model_of


def measure_jobs(settings: Settings, folder: Path) -> list[Measure]:
    """Whole jobs in processes of their own, starting them included: seconds, and the most memory they held."""
    model, size = _saved_model(settings, folder)
    video, end = _long_enough(settings.video, settings.frames, folder)
    common = [str(settings.painting), str(video), "--model", str(model), "--device", settings.device]
    # The published way's own result, so that both do the same: regions whole, one small movie.
    plain = ["--region", "full", "--driving-region", "full", "--size", str(size), "--format", "mp4"]
    ours = ["-m", "fomm_core", "animate", *common, *plain, "--precision", settings.precision]
    sides = {"ours": [*ours, "--end", f"{end:.4f}"]}
    if settings.baseline:
        sides["baseline"] = ["-m", "fomm_core.baseline", *common, "--frames", str(settings.frames)]
    seconds: dict[str, list[float]] = {"ours": [], "baseline": []}
    memory: dict[str, list[float]] = {"ours": [], "baseline": []}
    for i in range(settings.rounds):
        for side, arguments in sides.items():
            with track_cache.apart():
                taken, held = _process([*arguments, "--output", str(folder / f"{side}{i}")])
            seconds[side].append(taken)
            memory[side].append(held)
    found = {
        "job": Measure(f"whole job, {settings.frames} frames", "s", **seconds),
        "memory": Measure(f"peak memory, {settings.frames} frames", "MB", **memory),
    }
    return [found[name] for name in ("job", "memory") if name in settings.what]


def measure_first_frames(settings: Settings, folder: Path) -> list[Measure]:
    """Seconds until the first frame is on disk, at the painting's own size and with its sitter looked for."""
    model, _ = _saved_model(settings, folder)
    video, end = _long_enough(settings.video, settings.frames, folder)
    another = folder / "another.png"
    with Image.open(settings.painting) as painting:
        painting.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(another, compress_level=1)

    def job(painting: Path, end: float) -> protocol.Job:
        return protocol.Job(
            str(painting), str(video), tempfile.mkdtemp(dir=folder),
            model=str(model), device=settings.device, precision=settings.precision, end=end,
        )  # fmt: skip

    names = (
        "a new process",
        "a warm worker",
        "a warm worker, another painting, a clip that it knows",
        "a worker that has prepared it",
    )
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(settings.rounds):
        with track_cache.apart():
            began = time.perf_counter()
            with _Worker() as worker:
                worker.first_frame(job(settings.painting, end))
                times[names[0]].append(time.perf_counter() - began)
        with track_cache.apart(), _Worker() as worker:
            worker.first_frame(job(settings.painting, end / 2))  # it is warm then, and knows another clip
            times[names[1]].append(worker.first_frame(job(settings.painting, end)))
            times[names[2]].append(worker.first_frame(job(another, end)))
        with track_cache.apart(), _Worker() as worker:
            worker.prepare(job(settings.painting, end))
            times[names[3]].append(worker.first_frame(job(settings.painting, end)))
    return [Measure(f"first frame of {settings.frames}, {name}", "s", times[name]) for name in names]


class _Worker:
    """A worker process. A context manager."""

    def __enter__(self) -> _Worker:
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "fomm_core", "worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8",
        )  # fmt: skip
        return self

    def __exit__(self, *_) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def first_frame(self, job: protocol.Job) -> float:
        """Start the job and stop it at its first frame; how long that took. Raises `UserError` if it failed."""
        began, seconds = time.perf_counter(), None
        self._ask(protocol.Animate(job.output, job))
        for line in self._process.stdout:
            event = protocol.decode(line)
            if isinstance(event, protocol.Frame) and seconds is None:
                seconds = time.perf_counter() - began
                self._ask(protocol.Cancel(job.output))
            elif isinstance(event, protocol.Error):
                raise UserError(event.kind, event.sentence, event.hint)
            elif isinstance(event, protocol.Done | protocol.Cancelled):
                return seconds
        raise UserError("internal", "The measured worker ended before its job.")

    def prepare(self, job: protocol.Job) -> None:
        """Tell it of the job, and wait until it is ready for it. Raises `UserError` if it could not be."""
        self._ask(protocol.Prepare(job.output, job))
        for line in self._process.stdout:
            event = protocol.decode(line)
            if isinstance(event, protocol.Prepared):
                if event.ready:
                    return
                break
        raise UserError("internal", "The measured worker could not prepare its job.")

    def _ask(self, request: object) -> None:
        self._process.stdin.write(protocol.encode(request) + "\n")
        self._process.stdin.flush()


def _saved_model(settings: Settings, folder: Path) -> tuple[Path, int]:
    """The model as a file in `folder`, and its frame size."""
    path = folder / "model.safetensors"
    loaded = model_of(settings.model)
    if not path.exists():
        models.save(path, loaded, {"name": loaded.name})
    return path, loaded.frame_size


def _long_enough(video: Path, frames: int, folder: Path) -> tuple[Path, float]:
    """The video, or a copy in `folder` that repeats it, and the second at which so many frames end."""
    reader = media.VideoReader(video)
    if reader.estimate >= frames:
        return video, (frames - 0.5) / reader.fps
    repeated = folder / f"repeated{video.suffix}"
    times = str(frames // max(1, reader.estimate))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-stream_loop", times]
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
