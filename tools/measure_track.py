"""Measures what smoothing, retiming and looping do to motion.

python tools/measure_track.py --model starter [--frames 75] [--json FILE]

Prints a table in Markdown: what was reached, and what is aimed at. Keypoints are in pixels of 256. The still clips
are the first frame of examples/driving.mp4 and examples/painting.jpg, with a sensor's noise on each frame anew; the
curves are made up, so that the truth between two frames is known.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fomm_core import media, models, regions  # noqa: E402
from fomm_core.animator import Animator, resized  # noqa: E402
from fomm_core.errors import UserError  # noqa: E402
from fomm_core.files import check_writable, replacing  # noqa: E402
from fomm_core.motion import MotionTrack  # noqa: E402

# Standard deviation of the noise, in levels of 255: a phone's video in a room.
NOISE = 4.0
PIXEL = 2 / 256
RATES = (24.0, 30.0, 60.0)


@dataclass(frozen=True)
class Row:
    """One line of the table; `reached` is to be no larger than `aim`, where there is one."""

    what: str
    reached: float
    unit: str
    aim: float | None = None


def main(arguments: list[str] | None = None) -> int:
    """Run the measurement; returns the exit status."""
    options = _options(arguments)
    try:
        if options.json:  # said now rather than after a minute of work
            check_writable(options.json.parent)
        rows = measured(Animator(models.load(options.model, None), options.device), options.frames)
        if options.json:
            with replacing(options.json) as temporary:
                content = json.dumps([asdict(row) for row in rows], indent=2)
                temporary.write_text(content + "\n", encoding="utf-8")
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(table(rows)))
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures what is done to motion.", allow_abbrev=False)
    parser.add_argument("--model", default="starter", help="default: %(default)s")
    parser.add_argument("--device", default="auto", help="default: %(default)s")
    parser.add_argument("--frames", type=int, default=75, help="of the still clips (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements here as well")
    options = parser.parse_args(arguments)
    if options.frames < 10:
        parser.error("at least 10 frames tell of jitter")
    return options


def measured(animator: Animator, frames: int) -> list[Row]:
    """All rows of the table."""
    rows = []
    for name, picture in _pictures():
        still = _still_clip(animator, picture, frames)
        smooth = still.smoothed(1)
        rows += [
            Row(f"jitter, still clip of {name}, as detected", jitter(still), "px"),
            Row(f"jitter, still clip of {name}, smoothed", jitter(smooth), "px", 0.2),
        ]
    rows.append(Row("lag on a step of 10 px with noise, smoothed", float(lag(25.0)), "frames", 2))
    for fps in RATES:
        rows.append(Row(f"retiming 25 to {fps:g} fps, error of the curve", retiming(fps), "%", 1))
    for fps in RATES:
        rows.append(Row(f"retiming 25 to {fps:g} fps, unevenness of the steps", evenness(fps), "%", 1))
    track = _track(_curve(np.arange(100) / 25), 25)
    rows += [
        Row("last to first over the largest step, as it is", loop(track), ""),
        Row("last to first over the largest step, seamless", loop(track.looped("seamless")), "", 1),
        Row("last to first over the largest step, pingpong", loop(track.looped("pingpong")), "", 1),
    ]
    return rows


def jitter(track: MotionTrack) -> float:
    """How far keypoints of a clip that stands still are from where they are on average: RMS, pixels of 256."""
    away = track.value.astype(np.float64) - track.value.mean(0)
    return float(np.sqrt(np.square(away).sum(-1).mean()) / PIXEL)


def lag(fps: float) -> int:
    """How many frames late, or early, a smoothed step of 10 pixels passes its half, at worst of 20 noises."""
    rng = np.random.default_rng(0)
    late = []
    for _ in range(20):
        step = 10 * PIXEL * (np.arange(80) >= 40) + rng.normal(0, 0.3 * PIXEL, 80)
        smooth = _track(step, fps).smoothed(1).value[:, 0, 0]
        late.append(abs(int(np.flatnonzero(smooth > 5 * PIXEL)[0]) - 40))
    return max(late)


def retiming(fps: float) -> float:
    """The largest error of a retimed curve between its first and last frame, in percent of its range."""
    track = _track(_curve(np.arange(100) / 25), 25).retimed(fps)
    times = np.arange(len(track)) / fps
    inside = times <= 99 / 25
    truth = _curve(times[inside])
    return float(100 * np.abs(track.value[inside, 0, 0] - truth).max() / np.ptp(truth))


def evenness(fps: float) -> float:
    """By how many percent a step of an even motion, retimed, differs from the others: 100 is a frame repeated."""
    steps = np.diff(_track(np.arange(100) / 100, 25).retimed(fps).value[:, 0, 0].astype(np.float64))
    return float(100 * np.abs(steps / steps.mean() - 1).max())


def loop(track: MotionTrack) -> float:
    """The step from the last frame to the first, over the largest one between frames."""
    around = np.concatenate([track.value, track.value[:1]]).astype(np.float64)
    *steps, closing = np.linalg.norm(np.diff(around, axis=0), axis=-1).max(1)
    return float(closing / max(steps))


def table(rows: list[Row]) -> list[str]:
    """The lines of a Markdown table."""
    lines = ["| | reached | aim |", "|---|---|---|"]
    for row in rows:
        aim = "" if row.aim is None else f"≤ {row.aim:g} {row.unit}".strip()
        lines.append(f"| {row.what} | {f'{row.reached:.2f} {row.unit}'.strip()} | {aim} |")
    return lines


def _pictures() -> list[tuple[str, np.ndarray]]:
    """What the still clips show, around the face."""
    video = media.VideoReader(ROOT / "examples" / "driving.mp4")
    painting = media.as_seen(media.read_painting(ROOT / "examples" / "painting.jpg"))
    found = []
    for name, picture in (("driving.mp4", next(iter(video))), ("painting.jpg", painting)):
        region = regions.around_sitter(picture) or regions.centred_square(*picture.shape[1::-1])
        found.append((name, regions.crop(picture, region)))
    return found


def _still_clip(animator: Animator, picture: np.ndarray, frames: int) -> MotionTrack:
    rng = np.random.default_rng(0)
    square = animator.look(resized(picture, animator.frame_size, antialias=True)[None])
    parts = []
    for _ in range(frames):
        noisy = (picture + rng.normal(0, NOISE, picture.shape)).round().clip(0, 255).astype(np.uint8)
        parts.append(animator.detect(resized(noisy, animator.frame_size, antialias=True)[None], square))
    return MotionTrack(*(np.concatenate(part) for part in zip(*parts, strict=True)), 25.0)


def _curve(times: np.ndarray) -> np.ndarray:
    """A head that sways about once a second and shakes three times, and does not end where it began."""
    return 0.3 * np.sin(2 * np.pi * 1.1 * times) + 0.08 * np.sin(2 * np.pi * 3 * times + 1) + 0.05 * times


def _track(values: np.ndarray, fps: float) -> MotionTrack:
    """Two keypoints: one goes along the (N,) values, one stands still."""
    value = np.zeros((len(values), 2, 2), np.float32)
    value[:, 0, 0] = values
    return MotionTrack(value, np.broadcast_to(np.eye(2, dtype=np.float32), (len(values), 2, 2, 2)), fps)


if __name__ == "__main__":
    sys.exit(main())
