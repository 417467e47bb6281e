from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fomm_core import __version__, cli, job, protocol
from fomm_core.errors import UserError

PATIENCE = 60


@pytest.fixture(autouse=True)
def user_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VANGOGH_MODELS", str(tmp_path / "models"))


@pytest.fixture
def arguments(painting, model_file, tmp_path):
    """`arguments(video, …)`: the command line of a job with both regions whole."""

    def make(video: Path, *more: str, output: str = "out") -> list[str]:
        return [
            "animate", str(painting), str(video), "--output", str(tmp_path / output), "--model", str(model_file),
            "--region", "full", "--driving-region", "full", "--device", "cpu", *more,
        ]  # fmt: skip

    return make


def status(arguments) -> int:
    """The exit status, also where argparse ends the program itself."""
    try:
        return cli.main(arguments)
    except SystemExit as ended:
        return ended.code


def test_animate(arguments, clip, tmp_path, capsys, written_frames):
    assert cli.main(arguments(clip(3))) == 0
    out, err = capsys.readouterr()
    assert out == f"3 frames at 25 per second: {tmp_path / 'out' / 'frames'}\n"
    assert err == ""
    assert len(written_frames(tmp_path / "out")) == 3


def test_animate_tells_a_farm(arguments, clip, capsys):
    assert cli.main(arguments(clip(3), "--progress", "openjd")) == 0
    *said, last = capsys.readouterr().out.splitlines()
    assert last.startswith("3 frames at 25 per second")
    assert "openjd_status: cli: 3 frames of 120 x 90" in said
    assert said[-1] == "openjd_progress: 100"
    assert all(line.startswith(("openjd_progress: ", "openjd_status: ")) for line in said)


def test_a_failure_is_told_to_a_farm_in_one_line(arguments, tmp_path, capsys):
    (tmp_path / "no.mp4").write_bytes(b"no video")
    assert cli.main(arguments(tmp_path / "no.mp4", "--progress", "openjd")) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == f"openjd_fail: {err.strip()}"
    assert out.count("openjd_fail") == 1


def test_animate_with_json(arguments, clip, capsys, lines):
    assert cli.main(arguments(clip(3), "--json")) == 0
    out, err = capsys.readouterr()
    events = lines(out)
    assert isinstance(events[-1], protocol.Done)
    assert len([e for e in events if isinstance(e, protocol.Frame)]) == 3
    assert err == ""


def test_every_option_reaches_the_job(arguments, monkeypatch):
    seen = []
    monkeypatch.setattr(
        job, "run", lambda request, control: seen.append(request) or protocol.Done("cli", "", 1, 1.0, 1.0)
    )
    options = (
        "--config c --precision fp32 --motion absolute --no-adapt-scale --reference-frame 7 --strength 1.5 "
        "--region 1,2,30,40 --driving-region 5,6,70,80 --size 300 --fps 12 --start 1 --end 2 --format webp "
        "--resume --no-still-wall"
    )
    command = arguments(Path("v.mp4"), *options.split())
    assert cli.main(command) == 0
    assert seen[0] == protocol.Job(
        command[1], "v.mp4", command[4], model=command[6], config="c", device="cpu", precision="fp32",
        motion="absolute", adapt_scale=False, reference_frame="7", strength=1.5, region="1,2,30,40",
        driving_region="5,6,70,80", size=300, fps=12.0, start=1.0, end=2.0, format="webp", resume=True,
        still_wall=False,
    )  # fmt: skip
    cli.main(["animate", "p", "v", "--output", "o"])
    assert seen[1] == protocol.Job("p", "v", "o")


def test_track_and_animate_by_it(arguments, clip, model_file, tmp_path, capsys, lines, written_frames):
    track = str(tmp_path / "t.npz")
    model = ["--model", str(model_file)]
    assert cli.main(["track", str(clip(4)), "--output", track, *model, "--driving-region", "full"]) == 0
    assert capsys.readouterr().out == f"4 frames of motion: {track}\n"
    assert cli.main(arguments(Path(track))) == 0
    assert len(written_frames(tmp_path / "out")) == 4
    assert cli.main(["track", str(clip(2)), "--output", track, *model, "--json"]) == 0


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["dance"],
        ["animate"],
        ["animate", "p", "v"],
        ["animate", "p", "v", "--output", "o", "--strength", "much"],
        ["animate", "p", "v", "--output", "o", "--format", "tiff"],
        ["animate", "p", "v", "--output", "o", "--strength", "9"],
        ["animate", "p", "v", "--output", "o", "--region", "1,2"],
        ["animate", "p", "v", "--output", "o", "--fps", "nan"],
        ["track", "v", "--output", "o.txt"],
        ["models", "import"],
    ],
)
def test_wrong_arguments_end_with_2(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert status(command) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_failed_job_ends_with_1_and_a_sentence(arguments, tmp_path, capsys, lines):
    for more in ([], ["--json"]):
        assert cli.main(arguments(tmp_path / "none.mp4", *more)) == 1
        out, err = capsys.readouterr()
        assert err.count("\n") == 1
        assert "none.mp4" in err
    assert lines(out)[-1] == protocol.Error(
        "cli", "video", f"The driving video {tmp_path / 'none.mp4'} is not there.", "Choose another file."
    )


def test_the_reason_is_shown_to_those_who_ask(arguments, tmp_path):
    with pytest.raises(UserError):
        cli.main(arguments(tmp_path / "none.mp4", "--debug"))


def test_a_fault_of_ours_shows_no_traceback(arguments, clip, capsys, monkeypatch):
    def broken(request, control):
        raise ValueError("one\ntwo")

    monkeypatch.setattr(job, "run", broken)
    assert cli.main(arguments(clip(1))) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "ValueError: one" in err
    assert "report" in err


def test_a_failing_device_is_told_as_json(arguments, clip, capsys, lines, monkeypatch):
    failure = type("AcceleratorError", (RuntimeError,), {})("CUDA error: unspecified launch failure\nmore")

    def fails(*_):
        raise failure

    monkeypatch.setattr(job, "run", fails)
    assert cli.main(arguments(clip(3), "--json")) == 1
    out, err = capsys.readouterr()
    (event,) = lines(out)
    assert (event.kind, event.sentence.count("\n")) == ("device", 0)
    assert "unspecified launch failure" in err
    assert "Traceback" not in err


def test_handlers_are_given_back(arguments, clip):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    cli.main(arguments(clip(1)))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


# As a process.


def test_version_and_help(command, environment, tmp_path):
    def run(*arguments):
        return subprocess.run(
            [*command, *arguments], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    assert run("--version").stdout == f"{__version__}\n"
    assert "animate" in run("--help").stdout
    failed = run("animate", "gone.png", "gone.mp4", "--output", "out")
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert "gone.png" in failed.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
@pytest.mark.parametrize("to", ["process", "group"])
def test_an_interrupted_job_stops_soon_and_resumes(
    to, arguments, clip, command, environment, tmp_path, lines, written_frames, soon
):
    """A Ctrl-C at the terminal goes to the whole group, the decoder included."""
    job_of = arguments(clip(60, 32, 32), "--json")
    process = subprocess.Popen(
        [*command, *job_of], env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    stage = protocol.Frame if to == "process" else protocol.Progress
    for line in process.stdout:
        event = protocol.decode(line)
        if isinstance(event, stage) and getattr(event, "stage", "motion") == "motion":
            break
    began = time.monotonic()
    (os.kill if to == "process" else os.killpg)(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert time.monotonic() - began < soon
    assert err == ""
    cancelled = lines(out)[-1]
    if to == "process":
        assert cancelled.frames == len(written_frames(tmp_path / "out")) < 60
    else:
        assert cancelled == protocol.Cancelled("cli", 0)
        assert not (tmp_path / "out" / "motion.npz").exists(), "half a motion is none"
    assert cli.main([*job_of, "--resume"]) == 0
    assert len(written_frames(tmp_path / "out")) == 60


def test_a_python_without_torch_is_told_in_a_sentence(arguments, clip, command, environment, tmp_path):
    stub = tmp_path / "stub" / "torch"
    stub.mkdir(parents=True)
    (stub / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    environment["PYTHONPATH"] = f"{stub.parent}{os.pathsep}{environment['PYTHONPATH']}"
    result = subprocess.run(
        [*command, *arguments(clip(1))], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "has no torch" in result.stderr


def test_a_reader_that_goes_away(arguments, clip, command, environment):
    process = subprocess.Popen(
        [*command, *arguments(clip(20), "--json")], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )  # fmt: skip
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(PATIENCE) == 1
    process.stderr.close()


@pytest.mark.skipif(not hasattr(resource, "getrusage"), reason="needs getrusage")
def test_memory_does_not_grow_with_the_length(arguments, ffmpeg, environment, tmp_path):
    """Peak memory of a whole job, on 30 and on 300 frames of 415 kB each."""
    code = (
        "import resource, sys; from fomm_core import cli; status = cli.main(sys.argv[1:]);"
        "print(status, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    peaks = []
    for path, frames in ((tmp_path / "short.mp4", 30), (tmp_path / "long.mp4", 300)):
        ffmpeg("-f", "lavfi", "-i", "testsrc2=s=480x288", "-frames:v", frames, "-preset", "ultrafast", path)
        command = arguments(path, "--size", "64", "--format", "jpg", output=path.stem)
        result = subprocess.run(
            [sys.executable, "-c", code, *command],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        ended, peak = map(int, result.stderr.split()[-2:])
        assert ended == 0
        assert len(list((tmp_path / path.stem / "frames").iterdir())) == frames
        peaks.append(peak * (1 if sys.platform == "darwin" else 1024) / 1e6)
    assert peaks[1] - peaks[0] < 25, f"{peaks} MB; the frames alone are 112 MB more"
    assert json.loads((tmp_path / "long" / "job.json").read_text())["settings"]["size"] == 64
