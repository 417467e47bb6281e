"""Measures what the canvas does to a painting: what stands still, how sharp what moves is, and what it costs.

python tools/measure_canvas.py [--painting FILE --video FILE --model NAME] [--picture docs/canvas.jpg] [--memory]

Prints a table in Markdown, what is reached beside what is aimed at. With `--picture` it also writes the face in the
frame of middling motion: the plain prediction scaled up, the canvas, and the painting. With `--memory` whole jobs
are run on the painting scaled up to 6000 x 8000, which takes minutes (Linux only). Costs are this process's time
on the processor, with one thread: what else the machine does has no say.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `python -m fomm_core` has it; read once, by NumPy

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fomm_core import driving, limits, media, models, regions, sitters, track_cache, transfer  # noqa: E402
from fomm_core.animator import Animator, Prediction, resized  # noqa: E402
from fomm_core.canvas import Canvas  # noqa: E402
from fomm_core.control import Control  # noqa: E402
from fomm_core.errors import UserError  # noqa: E402
from fomm_core.files import replacing  # noqa: E402
from fomm_core.regions import Region  # noqa: E402

# Half the Nyquist frequency of 256 values, in cycles per region's side: above it, a 256-pixel picture has little.
FINE = 64
INNER = 0.2  # of the region's side: what lies further in is looked at for its sharpness
SCREEN, LARGE = (720, 1280), (8000, 6000)  # height, width
MOVING = 1 / 128  # a frame moves whose keypoints do by more than this on average: one pixel of 256
CELL = 480  # pixels of the picture's three views
# What the memory of a job is measured in: it says how much it took at most.
JOB = """
import sys
from fomm_core.cli import main
status = main(sys.argv[1:])
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")), file=sys.stderr)
sys.exit(status)
"""


@dataclass(frozen=True)
class Subject:
    """A painting and how it moves: (N,K,2) keypoints and (N,K,2,2) Jacobians, no motion as the first of them."""

    painting: np.ndarray
    region: Region
    animator: Animator
    value: np.ndarray
    jacobian: np.ndarray

    def predictions(self) -> Iterator[tuple[Prediction, np.ndarray]]:
        """Each frame's prediction and its keypoints."""
        for i, keypoints in enumerate(self.value):
            (batch,) = self.animator.animate(self.value[i : i + 1], self.jacobian[i : i + 1])
            yield Prediction(*(part[0] for part in batch)), keypoints


def main(arguments: list[str] | None = None) -> int:
    """Run the measurement; returns the exit status."""
    options = _options(arguments)
    try:
        with track_cache.apart():
            subject = read(options)
        rows = look_rows(subject)
        if options.picture:
            with replacing(options.picture) as temporary:
                before_and_after(subject).save(temporary, format="JPEG", quality=88)
        for name in options.cost:
            rows.append(cost_row(name, options.rounds))
        if options.memory:
            rows += memory_rows(subject.painting, options)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(table(rows)))
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures what the canvas does to a painting.")
    add = parser.add_argument
    add("--painting", type=Path, default=ROOT / "examples" / "painting.jpg", help="default: our own")
    add("--video", type=Path, default=ROOT / "examples" / "driving.mp4", help="default: our own")
    add("--model", default="starter", help="default: %(default)s")
    add("--region", default="auto", help="of the painting, as for animate (default: %(default)s)")
    add("--end", type=float, metavar="S", help="of the clip, in seconds")
    add("--frames", type=int, default=8, help="that move, evenly spaced in the clip (default: %(default)s)")
    add("--picture", type=Path, metavar="FILE", help="write before and after here, as JPEG")
    add(
        "--cost", nargs="*", default=["starter", "vox-256"], metavar="MODEL",
        help="time the canvas against these; of a model that is not installed, with random weights",
    )  # fmt: skip
    add("--rounds", type=int, default=7, help="of timing (default: %(default)s)")
    add("--memory", action="store_true", help="measure jobs on 6000 x 8000 pixels too")
    return parser.parse_args(arguments)


def read(options: argparse.Namespace) -> Subject:
    """The painting, moved as the clip moves. Raises `UserError`."""
    if options.frames < 1 or options.rounds < 1:
        raise UserError("arguments", "Without frames and rounds nothing is measured.", "Use 1 or more.")
    painting = media.read_painting(options.painting)
    if painting.dtype != np.uint8 or painting.shape[2] != 3:
        raise UserError(
            "image", f"{options.painting} has alpha or 16 bits.", "Give one of 8 bits without alpha."
        )
    animator = Animator(models.load(options.model), "auto")
    region = regions.given(painting, options.region, "the painting")
    found = [region] if region else sitters.moving(painting, regions.around_sitters(painting), animator)
    if not found:
        raise UserError("image", f"No face was found in {options.painting}.", "Give --region.")
    region = found[0]
    source = resized(regions.crop(painting, region), animator.frame_size, antialias=True)
    origin, turned = animator.set_source(source)
    control = Control("measure", lambda event: None)
    track = driving.detect(options.video, animator, control, end=options.end)
    value, jacobian = transfer.transfer(
        track, origin, turned,
        reference=transfer.reference_frame(track, origin, animator.head), head=animator.head, adapt_face=True,
    )  # fmt: skip
    value, jacobian, _ = limits.limited(value, jacobian, origin, turned, animator.head)
    moving = np.flatnonzero(np.linalg.norm(value - origin, axis=-1).mean(-1) > MOVING)
    if not len(moving):
        raise UserError("video", f"Nothing moves in {options.video}.", "Choose another clip.")
    chosen = moving[np.linspace(0, len(moving) - 1, min(len(moving), options.frames)).round().astype(int)]
    return Subject(
        painting, region, animator,
        np.concatenate([origin[None], value[chosen]]), np.concatenate([turned[None], jacobian[chosen]]),
    )  # fmt: skip


def look_rows(subject: Subject) -> list[tuple[str, str, str]]:
    """What the frames look like, in 8 and in 16 bits: rows of what, reached, aim."""
    rng = np.random.default_rng(0)
    eight, region = subject.painting, subject.region
    # Their lower byte is noise, so that a rounding anywhere shows.
    sixteen = eight.astype(np.uint16) * 256 + rng.integers(0, 256, eight.shape, np.uint16)
    predictions = list(subject.predictions())
    outside, identity, sharp, plain, seams = [], [], [], [], []
    for painting in (eight, sixteen):
        canvas = Canvas(painting, region, subject.value[0], subject.animator.still(), subject.animator.head)
        for index, (prediction, keypoints) in enumerate(predictions):
            frame = painting.copy()
            canvas.paint(frame, prediction, keypoints)
            outside.append(changed_outside(frame, painting, region))
            if index == 0:
                identity.append(psnr(crop(frame, region), crop(painting, region)))
            elif painting is eight:
                own = fine_energy(crop(painting, region))
                sharp.append(fine_energy(crop(frame, region)) / own)
                plain.append(fine_energy(stretched(prediction.image, region)) / own)
                seams.append(seam(frame, painting, region))
    return [
        ("pixels outside the region that change, of all frames, 8 and 16 bit", f"{sum(outside)}", "0"),
        ("no motion, inside the region, PSNR, 8 bit", _decibels(identity[0]), "≥ 50 dB"),
        ("the same, 16 bit", _decibels(identity[1]), "≥ 50 dB"),
        (
            "sharpness inside, of the painting's own: median of the moving frames (least)",
            f"{np.median(sharp):.0%} ({min(sharp):.0%})", "≥ 80 %",
        ),
        ("the same, plain prediction scaled up", f"{np.median(plain):.1%}", "about nothing"),
        ("gradient across the region's border, over the painting's own", f"{max(seams):+.2%}", "≤ +1 %"),
    ]  # fmt: skip


def changed_outside(frame: np.ndarray, painting: np.ndarray, region: Region) -> int:
    """How many pixels outside the region differ."""
    changed = (frame != painting).any(-1)
    crop(changed, region)[:] = False
    return int(changed.sum())


def psnr(found: np.ndarray, expected: np.ndarray) -> float:
    """In dB, of the same integer type; infinite where they are equal."""
    error = np.square(found.astype(np.float64) - expected).mean()
    return float("inf") if error == 0 else 10 * float(np.log10(np.iinfo(expected.dtype).max ** 2 / error))


def fine_energy(image: np.ndarray) -> float:
    """The energy of an (h,w,3) region's inner part above `FINE` cycles per side, of its mean channel."""
    height, width = image.shape[:2]
    top, left = round(INNER * height), round(INNER * width)
    inner = image[top : height - top, left : width - left].mean(-1)
    window = np.outer(np.hanning(inner.shape[0]), np.hanning(inner.shape[1]))
    spectrum = np.abs(np.fft.fft2((inner - inner.mean()) * window)) ** 2
    down, across = (np.fft.fftfreq(n) * side for n, side in zip(inner.shape, (height, width), strict=True))
    return float(spectrum[np.hypot(down[:, None], across) > FINE].sum())


def seam(frame: np.ndarray, painting: np.ndarray, region: Region) -> float:
    """By how much the mean step across the region's border, where that lies in the painting, exceeds its own."""
    height, width = painting.shape[:2]
    rows = slice(max(0, region.y), min(height, region.y + region.h))
    columns = slice(max(0, region.x), min(width, region.x + region.w))
    steps = []
    for image in (frame, painting):
        image = image.astype(np.float64)
        across = [np.abs(image[rows, x] - image[rows, x - 1]) for x in _edges(region.x, region.w, width)]
        down = [np.abs(image[y, columns] - image[y - 1, columns]) for y in _edges(region.y, region.h, height)]
        steps.append(np.concatenate([*across, *down, np.zeros((0, 3))]))
    found, own = (step.sum() for step in steps)
    return float(found / own - 1) if own else float(found > 0)


def _edges(start: int, length: int, limit: int) -> list[int]:
    return [edge for edge in (start, start + length) if 0 < edge < limit]


def crop(image: np.ndarray, region: Region) -> np.ndarray:
    """What of the region lies on the painting: a mirror image is no part of it."""
    return image[
        max(0, region.y) : max(0, region.y + region.h), max(0, region.x) : max(0, region.x + region.w)
    ]  # fmt: skip


def stretched(prediction: np.ndarray, region: Region) -> np.ndarray:
    """The plain prediction, scaled up to the region."""
    return np.asarray(Image.fromarray(prediction).resize((region.w, region.h), Image.Resampling.BICUBIC))


def before_and_after(subject: Subject) -> Image.Image:
    """The face in the frame of middling motion: the plain prediction scaled up, ours, and the painting."""
    painting, region, origin = subject.painting, subject.region, subject.value[0]
    number = np.linalg.norm(subject.value - origin, axis=-1).mean(-1).argsort()[len(subject.value) // 2]
    prediction, keypoints = list(subject.predictions())[number]
    frame = painting.copy()
    canvas = Canvas(painting, region, origin, subject.animator.still(), subject.animator.head)
    canvas.paint(frame, prediction, keypoints)
    whole = Region(region.x, region.y, min(region.w, CELL), min(region.h, CELL))
    middle = keypoints.mean(0) / 2 + 0.5
    x, y = (
        int(np.clip(share * side - size / 2, 0, side - size))
        for share, side, size in zip(middle, region[2:], whole[2:], strict=True)
    )
    plain = stretched(prediction.image, region)[y : y + whole.h, x : x + whole.w]
    whole = whole._replace(x=region.x + x, y=region.y + y)
    views = [plain, regions.crop(frame, whole), regions.crop(painting, whole)]
    return Image.fromarray(np.hstack(views))


def cost_row(name: str, rounds: int) -> tuple[str, str, str]:
    """The canvas's time per frame at 1280 x 720 over the network's, with a square of 720 that moves."""
    try:
        model, weights = models.load(name), ""
    except UserError:  # it is not installed: how long it takes depends on its configuration alone
        model, weights = models.build(models.read_config(name), name), ", random weights"
    ratios, network, own = timed(Animator(model, "cpu"), rounds)
    spread = f"{min(ratios):+.1%} to {max(ratios):+.1%}"
    times = f"canvas {1000 * np.median(own):.0f} ms, network {1000 * np.median(network):.0f} ms"
    what = f"cost at {SCREEN[1]} x {SCREEN[0]} over the plain output, {name}{weights}"
    return what, f"{np.median(ratios):+.1%} ({spread}; {times})", "≤ +25 %"


def timed(animator: Animator, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """Ratios, and seconds of network and canvas, of `rounds` frames, the one after the other in each."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    painting = rng.integers(0, 256, (*SCREEN, 3), np.uint8)
    region = Region((SCREEN[1] - SCREEN[0]) // 2, 0, SCREEN[0], SCREEN[0])
    if animator.head:  # a sitter, who has lips and a wall behind
        sitter = media.as_seen(media.read_painting(ROOT / "examples" / "painting.jpg"))
        (square,) = sitters.moving(sitter, regions.around_sitters(sitter), animator)
        face = Image.fromarray(regions.crop(sitter, square))
        painting[:, region.x : region.x + region.w] = face.resize((region.w, region.h))
    origin, turned = animator.set_source(resized(regions.crop(painting, region), animator.frame_size, True))
    keypoints = origin
    if not animator.head:  # random weights have their keypoints anywhere; a sitter's fill the region
        spread = np.linspace(-0.7, 0.7, len(origin), dtype=np.float32)
        keypoints = np.stack([spread, spread[rng.permutation(len(spread))]], -1)
    canvas = Canvas(painting, region, keypoints, animator.still(), animator.head)
    network, own = [], []
    for number in range(rounds + 1):
        began = time.process_time()
        (batch,) = animator.animate((origin + 0.05)[None], turned[None])
        predicted = time.process_time()
        frame = painting.copy()
        canvas.paint(frame, Prediction(*(part[0] for part in batch)), keypoints + 0.05)
        if number:  # the first warms up
            network.append(predicted - began)
            own.append(time.process_time() - predicted)
    return [b / a for a, b in zip(network, own, strict=True)], network, own


def memory_rows(painting: np.ndarray, options: argparse.Namespace) -> list[tuple[str, str, str]]:
    """Peak memory of whole jobs on the painting, stretched to `LARGE`, 8 and 16 bit."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        large = np.asarray(Image.fromarray(painting).resize(LARGE[::-1], Image.Resampling.BILINEAR))
        for name, image in (("8 bit", large), ("16 bit", large.astype(np.uint16) * 257)):
            (Path(folder) / name).mkdir()
            with media.FrameWriter(Path(folder) / name, "png", lambda *_: None) as writer:
                writer.write(1, image)
            path = media.frame_path(Path(folder) / name, 1, "png")
            few, many = (peak(path, options, frames, Path(folder) / f"{name} {frames}") for frames in (4, 12))
            what = f"memory of a job on {LARGE[1]} x {LARGE[0]}, {name}: 4 frames, 12 frames"
            rows.append((what, f"{few / 1e9:.2f} GB, {many / 1e9:.2f} GB", "< 3 GB, flat"))
    return rows


def peak(painting: Path, options: argparse.Namespace, frames: int, output: Path) -> float:
    """Bytes that a job of so many frames had in memory at most. Raises `UserError`."""
    end = (frames - 0.5) / media.VideoReader(options.video).fps
    command = [
        sys.executable, "-c", JOB, "animate", painting, options.video, "--output", output,
        "--model", options.model, "--end", f"{end:.4f}",
    ]  # fmt: skip
    done = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True, check=False)
    *_, last = done.stderr.strip().splitlines() or [""]
    if done.returncode != 0 or not last.startswith("VmHWM"):
        raise UserError("internal", f"The job on {painting} failed: {done.stderr[-300:]}", "Run it by hand.")
    return float(last.split()[1]) * 1024


def table(rows: list[tuple[str, str, str]]) -> list[str]:
    """The lines of a Markdown table."""
    return ["| | reached | aim |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]


def _decibels(value: float) -> str:
    return "bit-equal" if value == float("inf") else f"{value:.1f} dB"


if __name__ == "__main__":
    sys.exit(main())
