"""A job in words: for the sidebar, the status bar, and a message to somebody who can help."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from . import installation, runtime_words
from .words import duration

if TYPE_CHECKING:
    from .properties import VANGOGH_PG_job

STAGES = {"model": "Loading the model", "motion": "Reading the motion", "frames": "Painting frames"}
PHASES = {
    "waiting": "Waiting for the job before it",
    "starting": "Starting",
    "running": "Running",
    "cancelling": "Cancelling",
    "done": "Done",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
OVER = ("done", "failed", "cancelled")
LOG_LINES = 40  # of the log's end


def phase(job: VANGOGH_PG_job) -> str:
    """What it is doing."""
    return STAGES.get(job.stage, "Running") if job.phase == "running" else PHASES.get(job.phase, job.phase)


def progress(job: VANGOGH_PG_job) -> str:
    """How far it is within its stage; only what it is doing where that is not known."""
    return f"{phase(job)}: {job.done} of {job.total}" if job.total else phase(job)


def speed(job: VANGOGH_PG_job) -> str:
    """Frames a second, and the time that is left; empty while neither is known."""
    parts = [f"{job.fps:.1f} frames/s"] if job.fps else []
    if job.eta:
        parts.append(f"{duration(job.eta)} left")
    return ", ".join(parts)


def details(job: VANGOGH_PG_job) -> str:
    """What somebody who is to help needs to know: what went wrong, what was asked, the versions, the log's end."""
    try:
        request = json.dumps(json.loads(job.order)["request"], indent=1, ensure_ascii=False)
    except (ValueError, KeyError, TypeError):
        request = job.order
    return "\n".join(
        [
            f"{job.label}: {phase(job)}, {job.frames} frames of {job.total}",
            *filter(None, (job.sentence, job.hint, *job.warnings.splitlines())),
            "",
            *runtime_words.versions(),
            "",
            request,
            "",
            runtime_words.end_of(installation.user_folder("logs") / "worker.log", LOG_LINES),
        ]
    )
