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
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from .. import inference
from ..animator import pick_device
from ..errors import UserError
from .jobs import measure_first_frames, measure_jobs
from .measure import Measure, Settings
from .network import measure_network


def run(settings: Settings) -> dict:
    """Measure; the result is plain data, for `table` and for JSON. Raises `UserError`."""
    for name, value in (("frames", settings.frames), ("rounds", settings.rounds)):
        if value < 1:
            raise UserError("arguments", f"{value} {name} cannot be measured.", "Use 1 or more.")
    measures: list[Measure] = []
    extra: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        if "network" in settings.what:
            found, extra = measure_network(settings)
            measures += found
        if "job" in settings.what or "memory" in settings.what:
            measures += measure_jobs(settings, Path(folder))
        if "first" in settings.what:
            measures += measure_first_frames(settings, Path(folder))
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
