"""Running a bundle's tasks with openjd-cli, and what came of it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

OPENJD = Path(sys.executable).with_name("openjd")


def command(bundle, output, blender, *more, **parameters):
    """The command line that runs tasks of the bundle into the folder `output`."""
    values = {"Output": output, "Python": sys.executable, "Blender": blender, **parameters}
    pairs = [part for name, value in values.items() for part in ("-p", f"{name}={value}")]
    return [str(OPENJD), "run", str(bundle / "template.json"), *pairs, *more]


def chunks(step, name, *ranges):
    """The options that run these chunks of a step, and no step before it."""
    return ("--step", step, "--tasks", json.dumps([{name: r} for r in ranges]))


def start(arguments, folder):
    """Start openjd in a working directory of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    # No threads of its own for each of several processes on a few cores; the same in all that is compared.
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(folder),
        "VANGOGH_CACHE": str(folder / "c"),
    }
    return subprocess.Popen(
        arguments, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def ended(process, seconds=600):
    """Wait for its end; (exit status, all that it said)."""
    said, _ = process.communicate(timeout=seconds)
    return process.returncode, said


def kill(process):
    """What a machine that loses its power does: the process and all that it started end at once."""
    for pid in [process.pid, *_descendants(process.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate()


def _descendants(pid):
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        parent = int(text.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(stat.parent.name))
    found, waiting = [], [pid]
    while waiting:
        new = children.get(waiting.pop(), [])
        found += new
        waiting += new
    return found


def results(output):
    """The contents of all results by path; of a job's record, all but where its files lay."""
    found = {}
    for path in sorted(p for p in output.rglob("*") if p.is_file()):
        data = path.read_bytes()
        if path.name == "job.json":
            data = json.dumps({**json.loads(data), "paths": None}).encode()
        found[path.relative_to(output).as_posix()] = data
    return found


def stamps(output):
    """When each result was written, to the nanosecond."""
    return {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file()}


def copy(bundle, to):
    return Path(shutil.copytree(bundle, to))
