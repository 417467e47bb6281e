"""Measures on real paintings and clips how well the painted head follows the driving one.

python tools/measure_motion.py --model starter --media ../shared/media --output build/motion [--json FILE]

Every painting of the folder is animated by every clip, with the default settings of `animate` or with options of it
that are given here too (`--strength 0.8`). A face tracker follows the face in the clip and in the result. Prints a
table in Markdown: for yaw, pitch, roll, the mouth's opening and the eyes', the correlation over time (Pearson's, no
lag) and the gain, the spread of the result over that of the clip; how many frames of the result show no face; and
how alike the painting is to the first frame with the first frame as reference. A grid of moments of each is to be
looked at.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fomm_core import cli, media, protocol, regions, sitters, track_cache, warm  # noqa: E402
from fomm_core.animator import Animator  # noqa: E402
from fomm_core.control import Control  # noqa: E402
from fomm_core.errors import UserError  # noqa: E402
from fomm_core.files import check_writable, replacing  # noqa: E402
from fomm_core.protocol import Job  # noqa: E402
from fomm_core.regions import Region  # noqa: E402
from tools import face_tracker  # noqa: E402

PAINTINGS, CLIPS = (".jpg", ".jpeg", ".png", ".webp"), (".mp4", ".mov", ".webm", ".gif")
# A clip counts for a quantity whose standard deviation in it is larger: radians, shares of the face's height, of an
# eye's width.
MOVES = {"yaw": 0.03, "pitch": 0.03, "roll": 0.03, "mouth": 0.015, "eyes": 0.03}
COLUMNS, CELL = 8, 192  # of a grid of moments
LOST = (220, 30, 30)


@dataclass(frozen=True)
class Agreement:
    """How one quantity of the result follows the clip's.

    Attributes:
        spread: standard deviation in the clip.
        counts: whether the clip moves it.
        correlation, gain: none where it does not count, or where too few frames show both faces.
    """

    spread: float
    counts: bool
    correlation: float | None = None
    gain: float | None = None


@dataclass(frozen=True)
class Measurement:
    """One painting animated by one clip; `first_frame` is the structural similarity to the painting."""

    painting: str
    clip: str
    frames: int
    lost: list[int]  # numbers, from 1, of the result's frames without a face, though the clip's has one
    first_frame: float
    quantities: dict[str, Agreement]


@dataclass(frozen=True)
class Driving:
    """A clip's frames at the rate to be measured at, and how head, mouth and eyes are held in them."""

    path: Path
    fps: float
    frames: list[np.ndarray]
    pose: np.ndarray


def main(arguments: list[str] | None = None) -> int:
    """Run the measurement; returns the exit status."""
    options, request = _options(arguments)
    try:
        if request.size or request.fps:
            raise UserError(
                "arguments", "--size and --fps are chosen by this tool.", "Use --side and --frames."
            )
        with track_cache.apart():
            measurements = list(_measured_all(options, request))
        if options.json:
            _write_json(options.json, request, measurements)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(table(measurements)))
    return 0


def _options(arguments: list[str] | None) -> tuple[argparse.Namespace, Job]:
    """This tool's options, and the job that the others, which are those of `animate`, ask for."""
    parser = argparse.ArgumentParser(
        description="Measures how well painted heads follow clips.", allow_abbrev=False,
        epilog="All other options are those of `python -m fomm_core animate`.",
    )  # fmt: skip
    parser.add_argument(
        "--media", required=True, type=Path, metavar="DIR", help="folder of paintings and clips"
    )
    parser.add_argument(
        "--output", required=True, type=Path, metavar="DIR", help="for the frames and the grids"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements here as well")
    parser.add_argument(
        "--side", type=int, default=320, help="largest side of what moves, in pixels (default: %(default)s)"
    )
    parser.add_argument(
        "--frames", type=int, default=120, help="of a clip with more, every 2nd, 3rd … (default: %(default)s)"
    )
    options, others = parser.parse_known_args(arguments)
    animate = cli.parser().parse_args(
        ["animate", "PAINTING", "VIDEO", "--output", str(options.output), *others]
    )
    return options, Job(**{field.name: getattr(animate, field.name) for field in dataclasses.fields(Job)})


def _measured_all(options: argparse.Namespace, request: Job) -> Iterator[Measurement]:
    paintings, clips = material(options.media)
    if options.json:  # said now rather than after minutes of work
        check_writable(options.json.parent)
    if options.frames < 1:
        raise UserError("arguments", f"{options.frames} frames show no motion.", "Use 100, say.")
    for clip in clips:
        driving = _driving(clip, request, options.frames)
        for painting in paintings:
            print(f"{painting.stem}, {clip.stem} …", file=sys.stderr)
            yield _measured(painting, driving, request, options)


def material(folder: Path) -> tuple[list[Path], list[Path]]:
    """The paintings and the clips of a folder. Raises `UserError` where there are none."""
    if not folder.is_dir():
        raise UserError("arguments", f"{folder} is no folder.", "Give one of paintings and clips.")
    files = sorted(folder.iterdir())
    paintings = [path for path in files if path.suffix.lower() in PAINTINGS]
    clips = [path for path in files if path.suffix.lower() in CLIPS]
    if not paintings or not clips:
        what = "clip" if paintings else "painting"
        raise UserError("arguments", f"There is no {what} in {folder}.", "Choose another folder.")
    return paintings, clips


def _driving(path: Path, request: Job, most: int) -> Driving:
    reader = media.VideoReader(path, request.start, request.end)
    every = max(1, math.ceil(reader.estimate / most))
    frames = list(islice(reader, 0, None, every))
    return Driving(path, reader.fps / every, frames, pose(frames))


def _measured(path: Path, driving: Driving, request: Job, options: argparse.Namespace) -> Measurement:
    painting = media.as_seen(media.read_painting(path))
    animator = warm.load(request.model, request.config, request.device, request.precision)
    region = _moving_region(painting, request.region, path, animator)
    name = f"{path.stem}--{driving.path.stem}"
    request = dataclasses.replace(
        request, painting=str(path), video=str(driving.path), region=",".join(map(str, region)),
        output=str(options.output / name), format="png", resume=False,
    )  # fmt: skip
    size = min(max(painting.shape), round(max(painting.shape) * options.side / max(region.w, region.h)))
    frames = _animated(dataclasses.replace(request, size=size, fps=driving.fps))
    moving = [_scaled_crop(frame, region, frame.shape[1] / painting.shape[1]) for frame in frames]
    count = min(len(moving), len(driving.frames))
    clip, result = driving.pose[:count], pose(moving[:count])
    lost = np.isnan(result).any(1) & ~np.isnan(clip).any(1)
    with replacing(options.output / f"{name}.jpg") as temporary:
        grid(driving.frames[:count], moving[:count], lost).save(temporary, format="JPEG", quality=90)
    return Measurement(
        path.stem, driving.path.stem, count,
        [int(index) + 1 for index in np.flatnonzero(lost)],
        _first_frame(painting, region, request, driving),
        {name: agreement(clip[:, k], result[:, k], least) for k, (name, least) in enumerate(MOVES.items())},
    )  # fmt: skip


def _moving_region(painting: np.ndarray, text: str, path: Path, animator: Animator) -> Region:
    """The region that `animate` would choose, known here too as it is what the tracker is shown."""
    if text == "full":
        return Region(0, 0, *painting.shape[1::-1])
    if region := regions.parse_region(text, "The region"):
        return region
    if found := sitters.moving(painting, regions.around_sitters(painting), animator):
        return found[0]
    raise UserError("image", f"No face was found in {path}.", "Leave it out, or give --region.")


def _animated(request: Job) -> list[np.ndarray]:
    """The frames of a job, done here and now."""
    from fomm_core import job

    def report(event: object) -> None:
        if isinstance(event, protocol.Warning):
            print(event.sentence, file=sys.stderr)

    done = job.run(request, Control("measure", report))
    numbers = range(1, done.frames + 1)
    return [media.read_painting(media.frame_path(Path(done.path), n, request.format)) for n in numbers]


def _scaled_crop(frame: np.ndarray, region: Region, scale: float) -> np.ndarray:
    return regions.crop(frame, Region(*(round(v * scale) for v in region)))


def _first_frame(painting: np.ndarray, region: Region, request: Job, driving: Driving) -> float:
    """SSIM in the region of the painting and the first frame with the first frame as reference, at full size."""
    from skimage.metrics import structural_similarity

    rate = media.VideoReader(driving.path).fps
    request = dataclasses.replace(
        request, output=f"{request.output}--first", motion="relative", reference_frame="first",
        end=request.start + 1 / rate,
        driving_region="full",  # no motion, wherever the face is: it need not be looked for
    )  # fmt: skip
    first = _animated(request)[0]
    return float(
        structural_similarity(regions.crop(painting, region), regions.crop(first, region), channel_axis=2)
    )


def pose(images: list[np.ndarray]) -> np.ndarray:
    """(N,5) yaw, pitch, roll, the mouth's opening and the eyes' in each image, NaN where there is no face."""
    faces = face_tracker.follow(images)
    openings = face_tracker.mouth_openings(faces), face_tracker.eye_openings(faces)
    return np.column_stack([face_tracker.head_angles(faces), *openings])


def agreement(clip: np.ndarray, result: np.ndarray, least: float) -> Agreement:
    """How the (N,) quantity of the result follows the clip's; NaN is a frame without a face.

    It counts where its standard deviation in the clip is larger than `least`.
    """
    followed = clip[np.isfinite(clip)]
    spread = float(followed.std()) if len(followed) else 0.0
    both = np.isfinite(clip) & np.isfinite(result)
    if spread <= least or both.sum() < 3:
        return Agreement(spread, spread > least)
    clip, result = clip[both], result[both]
    deviation, moved = clip.std(), result.std()
    if min(deviation, moved) < 1e-9:  # what stands still follows nothing
        return Agreement(spread, True, 0.0, 0.0)
    covariance = ((clip - clip.mean()) * (result - result.mean())).mean()
    return Agreement(spread, True, float(covariance / (deviation * moved)), float(moved / deviation))


def grid(driving: list[np.ndarray], result: list[np.ndarray], lost: np.ndarray) -> Image.Image:
    """Moments evenly spaced in time, the driving frame over the result, framed in red where the face is lost."""
    moments = np.linspace(0, len(driving) - 1, min(COLUMNS, len(driving))).round().astype(int)
    picture = Image.new("RGB", (CELL * len(moments), 2 * CELL))
    for column, moment in enumerate(moments):
        square = regions.crop(driving[moment], regions.centred_square(*driving[moment].shape[1::-1]))
        for row, image in enumerate((square, result[moment])):
            cell = Image.fromarray(image).resize((CELL, CELL), Image.Resampling.LANCZOS)
            if row == 1 and lost[moment]:
                inside = cell.resize((CELL - 8, CELL - 8))
                cell = Image.new("RGB", cell.size, LOST)
                cell.paste(inside, (4, 4))
            picture.paste(cell, (column * CELL, row * CELL))
    return picture


def table(measurements: list[Measurement]) -> list[str]:
    """The lines of a Markdown table; the last row has the least correlation and the least and largest gain."""
    lines = [
        f"| painting | clip | frames | lost | {' | '.join(f'{name}: r / gain' for name in MOVES)} | first frame |",
        "|---" * (5 + len(MOVES)) + "|",
    ]
    for m in measurements:
        cells = " | ".join(_cell(m.quantities[name]) for name in MOVES)
        lines.append(
            f"| {m.painting} | {m.clip} | {m.frames} | {len(m.lost)} | {cells} | {m.first_frame:.3f} |"
        )
    worst = " | ".join(_worst([m.quantities[name] for m in measurements]) for name in MOVES)
    frames, lost = sum(m.frames for m in measurements), sum(len(m.lost) for m in measurements)
    first = min(m.first_frame for m in measurements)
    return [*lines, f"| **worst** | | {frames} | {lost} | {worst} | {first:.3f} |"]


def _cell(a: Agreement) -> str:
    if not a.counts:
        return "still"
    return "lost" if a.correlation is None else f"{a.correlation:.2f} / {a.gain:.2f}"


def _worst(agreements: list[Agreement]) -> str:
    known = [a for a in agreements if a.correlation is not None]
    if not known:
        return "–"
    gains = [a.gain for a in known]
    return f"{min(a.correlation for a in known):.2f} / {min(gains):.2f} to {max(gains):.2f}"


def _write_json(path: Path, request: Job, measurements: list[Measurement]) -> None:
    settings = {k: v for k, v in dataclasses.asdict(request).items() if k not in ("painting", "video")}
    content = {
        "settings": settings,
        "measurements": [dataclasses.asdict(measurement) for measurement in measurements],
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
