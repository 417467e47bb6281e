"""Measures how much of a face's own motion a model carries out: what lips, lids and brows do besides the head.

python tools/measure_expression.py --model starter --media ../shared/media [--every 3] [--json FILE]

Every painting of the folder is driven by every clip. At the place of each keypoint the deformation should lead to
where it is in the painting; here both, what the keypoints ask for and what the deformation does there, are taken
apart from the affine motion of all of them. Prints a table in Markdown: for each part of the face, how far it
moves on its own (standard deviation over time, in pixels of 256), and which share of that the deformation follows
(the slope of the regression: 1 is all of it, 0 none). It needs a model that names its landmarks, as those trained
on rendered clips do.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fomm_core import api, models, track_cache  # noqa: E402
from fomm_core.errors import UserError  # noqa: E402
from fomm_core.files import check_writable, replacing  # noqa: E402
from fomm_core.network.layers import sample  # noqa: E402
from tools.measure_motion import material  # noqa: E402

# A part, and how the names of its landmarks begin and end.
PARTS = {
    "lids": ("eye", ("upper", "lower")),
    "brows": ("brow", ("inner", "outer")),
    "mouth corners": ("mouth", ("l", "r")),
    "lips": ("lip", ("upper", "lower")),
    "chin": ("chin", ("chin",)),
}


@dataclass(frozen=True)
class Following:
    """How far a part moves on its own, in pixels of 256, and which share of that the deformation follows."""

    painting: str
    clip: str
    part: str
    spread: float
    share: float


def main(arguments: list[str] | None = None) -> int:
    """Run the measurement; returns the exit status."""
    options = _options(arguments)
    try:
        if options.json:  # said now rather than after a minute of work
            check_writable(options.json.parent)
        parts = _parts(models.load(options.model).metadata.get("landmarks", ""), options.model)
        with track_cache.apart():
            found = list(_measured(options, parts))
        if options.json:
            with replacing(options.json) as temporary:
                content = json.dumps([asdict(one) for one in found], indent=2)
                temporary.write_text(content + "\n", encoding="utf-8")
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(table(found)))
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures how much of a face's own motion is carried out.")
    parser.add_argument("--model", default="starter", metavar="NAME|FILE", help="default: %(default)s")
    parser.add_argument(
        "--media", required=True, type=Path, metavar="DIR", help="folder of paintings and clips"
    )
    parser.add_argument("--every", type=int, default=3, help="frame of a clip (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements here as well")
    options = parser.parse_args(arguments)
    if options.every < 1:
        parser.error(f"--every {options.every}: it has to be at least 1")
    return options


def _parts(landmarks: str, model: str) -> dict[str, list[int]]:
    """The numbers of each part's keypoints. Raises `UserError` where none has a name that tells."""
    names = landmarks.split(",")
    parts = {
        part: [n for n, name in enumerate(names) if name.startswith(begin) and name.endswith(ends)]
        for part, (begin, ends) in PARTS.items()
    }
    if not any(parts.values()):
        raise UserError(
            "model", f"{model} does not say what its keypoints are.", "Use starter, for instance."
        )
    return {part: numbers for part, numbers in parts.items() if numbers}


def _measured(options: argparse.Namespace, parts: dict[str, list[int]]) -> Iterator[Following]:
    for painting, clip in product(*material(options.media)):
        animation = api.prepare(painting, clip, model=options.model, report=lambda event: None)
        sitter = animation.sitters[0]
        numbers = range(0, len(animation), options.every)
        value = sitter.value[numbers]
        done = [
            moved - led_to(prediction.deformation, moved)
            for moved, prediction in zip(value, animation.predictions(numbers), strict=True)
        ]
        asked, done = own(sitter.origin, value - sitter.origin, np.stack(done))
        for part, keypoints in parts.items():
            spread, share = followed(asked[:, keypoints], done[:, keypoints])
            yield Following(painting.stem, clip.stem, part, spread * 128, share)


def led_to(deformation: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Where in the source the (h,w,2) `deformation` leads from (K,2) `places`; all in [-1, 1]."""
    field = torch.from_numpy(deformation).float().permute(2, 0, 1)[None]
    at = torch.from_numpy(places).float().clamp(-1, 1)[None, None]
    return sample(field, at)[0, :, 0].T.numpy()


def own(origin: np.ndarray, asked: np.ndarray, done: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is left of (N,K,2) motions of (K,2) keypoints after taking off the affine motion that is asked for."""
    basis = np.column_stack([origin, np.ones(len(origin))]).astype(np.float64)
    common = basis @ np.linalg.pinv(basis) @ asked
    return asked - common, done - common


def followed(asked: np.ndarray, done: np.ndarray) -> tuple[float, float]:
    """The spread over time of (N,K,2) motion that is asked for, and the share of it that is done."""
    asked, done = asked - asked.mean(0), done - done.mean(0)
    moved = np.square(asked).mean()
    return float(np.sqrt(moved)), float((asked * done).mean() / max(moved, 1e-12))


def table(found: list[Following]) -> list[str]:
    """The lines of a Markdown table: a row for each painting and clip, in a cell the share, and the spread."""
    parts = list(dict.fromkeys(one.part for one in found))
    rows: dict[tuple[str, str], dict[str, Following]] = {}
    for one in found:
        rows.setdefault((one.painting, one.clip), {})[one.part] = one
    lines = [f"| painting | clip | {' | '.join(parts)} |", "|---" * (2 + len(parts)) + "|"]
    for (painting, clip), cells in rows.items():
        shown = " | ".join(f"{cells[part].share:.2f} of {cells[part].spread:.1f} px" for part in parts)
        lines.append(f"| {painting} | {clip} | {shown} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
