"""A job on disk: `job.json`, `motion.npz`, `frames/0001.png …`, and what of an earlier run can be kept."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

from . import __version__, media
from .animator import Animator
from .errors import UserError
from .files import check_writable, remove_leftovers, replacing, sha256, writing
from .motion import MotionTrack
from .protocol import Job

# Settings that do not change what the frames look like, and paths: their files are known by their hashes.
_INCIDENTAL = ("painting", "video", "output", "model", "config", "device", "resume")
_FRAME_NAME = re.compile(r"\d{4,}\.(png|jpg|webp)")
MOVIE = "animation.mp4"
TRACK = "motion.npz"


def check_output(output: Path) -> None:
    """Raises `UserError` where frames could not be put, before any work is done for them."""
    for folder in (output, output / "frames"):
        with writing(folder):
            a_file = folder.exists() and not folder.is_dir()
        if a_file:
            raise UserError("output", f"{folder} is a file, not a folder.", "Choose another output folder.")
    check_writable(output / "frames")


def record(job: Job, animator: Animator) -> dict:
    """What `job.json` says: the whole request, and what identifies the files it names."""
    request = dataclasses.asdict(job)
    return {
        "version": __version__,
        "settings": {key: value for key, value in request.items() if key not in _INCIDENTAL},
        "painting": _identity(Path(job.painting), "image", "The painting"),
        "video": _identity(Path(job.video), "video", "The driving video"),
        "model": {"name": animator.name, "sha256": animator.metadata["sha256"]},
        "paths": {"painting": job.painting, "video": job.video},
    }


def _identity(path: Path, kind: str, what: str) -> dict:
    try:
        return {"name": path.name, "size": path.stat().st_size, "sha256": sha256(path)}
    except FileNotFoundError as error:
        raise UserError(kind, f"{what} {path} is not there.", "Choose another file.") from error
    except OSError as error:
        raise UserError(
            kind, f"{what} {path} cannot be read: {error.strerror}.", "Choose another file."
        ) from error


def _same_job(one: dict, other: dict) -> bool:
    """Whether two records ask for the same frames, wherever the files lie now."""
    return {**one, "paths": None} == {**other, "paths": None}


def complete_frames(output: Path, record: dict, job: Job) -> int:
    """How many frames from the first on need not be made again; 0 unless the same job is to be resumed."""
    if not job.resume or job.format == "mp4":
        return 0
    try:
        earlier = json.loads((output / "job.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    if not isinstance(earlier, dict) or not _same_job(earlier, record):
        return 0
    count = 0
    while media.frame_path(output / "frames", count + 1, job.format).is_file():
        count += 1
    return count


def start(output: Path, record: dict, track: MotionTrack, kept: int) -> None:
    """Now that all has been read: make room for the frames, and say what they are.

    A folder of frames that no job of ours wrote is left alone, and so are other files in a job's folder.
    """
    frames = output / "frames"
    if any(frames.iterdir()) and not (output / "job.json").is_file():
        raise UserError(
            "output", f"{frames} holds files that no job wrote.", "Choose an empty output folder."
        )
    with writing(frames):
        for folder in (output, frames):
            remove_leftovers(folder)
        if kept == 0:
            for path in frames.iterdir():
                if _FRAME_NAME.fullmatch(path.name):
                    path.unlink()
            (output / MOVIE).unlink(missing_ok=True)
    with replacing(output / "job.json") as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    track.save(output / TRACK)
