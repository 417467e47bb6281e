"""The command line, and what needs neither heads nor OpenGL."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from portraits.__main__ import HEADS, main
from portraits.head import LANDMARKS
from portraits.motion import LIMITS, random_poses
from portraits.paint import kuwahara
from portraits.scenes import CLIP_SECONDS, SITTER_SIZE, hello


def test_missing_heads_are_told_in_one_sentence(tmp_path, capsys):
    assert main(["render", "--heads", str(tmp_path), "--output", str(tmp_path / "out"), "--clips", "1"]) == 1
    error = capsys.readouterr().err
    assert str(tmp_path) in error
    assert "makehumancommunity" in error


def test_rendering_resumes(head, raster, tmp_path):
    arguments = [
        "render",
        "--heads",
        str(HEADS),
        "--output",
        str(tmp_path),
        "--clips",
        "2",
        "--split",
        "test",
    ]
    assert main([*arguments[:-4], "--clips", "1", "--split", "test"]) == 0
    first = tmp_path / "test" / "clip_00000.npz"
    before = first.stat().st_mtime_ns
    assert main(arguments) == 0
    assert first.stat().st_mtime_ns == before
    assert sorted(p.name for p in first.parent.iterdir()) == ["clip_00000.npz", "clip_00001.npz"]
    assert json.loads((tmp_path / "dataset.json").read_text())["landmarks"] == list(LANDMARKS)
    with np.load(first) as clip:
        assert clip["images"].std() > 10


def test_sitters_are_drawn_at_random_and_the_same_again(head, raster, tmp_path):
    arguments = ["sitters", "--heads", str(HEADS), "--count", "2"]
    for folder, seed in (("one", 3), ("again", 3), ("other", 4)):
        assert main([*arguments, "--output", str(tmp_path / folder), "--seed", str(seed)]) == 0
    names = ["sitter_01.jpg", "sitter_02.jpg"]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == names
    one, again, other = (
        [(tmp_path / folder / name).read_bytes() for name in names] for folder in ("one", "again", "other")
    )
    assert one == again
    assert len({*one, *other}) == 4
    with Image.open(tmp_path / "one" / names[0]) as picture:
        assert picture.size == SITTER_SIZE
        assert np.asarray(picture).std() > 10


def drawing(tmp_path, monkeypatch, script: str) -> list[str]:
    """The command that renders three clips, with another program in the place of what draws them."""
    program = tmp_path / "program"
    program.write_text(f"#!{sys.executable}\nimport os, pathlib, signal, sys\n{script}")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    (tmp_path / "heads").mkdir()
    (tmp_path / "heads" / "base.obj.gz").touch()
    return ["render", "--heads", str(tmp_path / "heads"), "--output", str(tmp_path / "data"), "--clips", "3"]


def test_rendering_goes_on_after_a_crash(tmp_path, monkeypatch, capfd):
    """Which writes a clip each time before it crashes, until all are there."""
    command = drawing(tmp_path, monkeypatch, """
folder = pathlib.Path(sys.argv[sys.argv.index("--output") + 1]) / "train"
there = len(list(folder.iterdir()))
if there < 3:
    (folder / f"clip_{there:05d}.npz").touch()
    os.kill(os.getpid(), signal.SIGSEGV)
""")  # fmt: skip
    assert main(command) == 0
    assert len(list((tmp_path / "data" / "train").iterdir())) == 3
    assert capfd.readouterr().err.count("another goes on") == 3


def test_what_crashes_at_once_is_told_in_one_sentence(tmp_path, monkeypatch, capfd):
    assert main(drawing(tmp_path, monkeypatch, "os.kill(os.getpid(), signal.SIGSEGV)")) == 1
    assert "SIGSEGV, having drawn none" in capfd.readouterr().err


def test_what_fails_is_not_tried_again(tmp_path, monkeypatch, capfd):
    assert main(drawing(tmp_path, monkeypatch, 'sys.exit("No OpenGL here.")')) == 1
    assert capfd.readouterr().err == "No OpenGL here.\nThe clips cannot be rendered.\n"
    assert (
        main(["render", "--heads", str(tmp_path / "heads"), "--output", "x", "--clips", "1", "--jobs", "0"])
        == 1
    )
    assert "--jobs 1" in capfd.readouterr().err
    assert not Path("x").exists()


def test_folders_are_those_of_whoever_calls(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = drawing(tmp_path, monkeypatch, """
for name in ("--heads", "--output"):
    assert pathlib.Path(sys.argv[sys.argv.index(name) + 1]).is_dir(), name
""")  # fmt: skip
    assert main([command[0], "--heads", "heads", "--output", "data", "--clips", "3"]) == 0


def test_jobs_share_the_clips(tmp_path, monkeypatch):
    command = drawing(tmp_path, monkeypatch, """
value = {name: int(sys.argv[sys.argv.index(name) + 1]) for name in ("--first", "--step", "--clips")}
folder = pathlib.Path(sys.argv[sys.argv.index("--output") + 1]) / "train"
for number in range(value["--first"], value["--first"] + value["--clips"], value["--step"]):
    (folder / f"clip_{number:05d}.npz").touch(exist_ok=False)
""")  # fmt: skip
    assert main([*command, "--jobs", "5", "--first", "7", "--step", "2", "--clips", "9"]) == 0
    names = sorted(path.name for path in (tmp_path / "data" / "train").iterdir())
    assert names == [f"clip_{number:05d}.npz" for number in range(7, 16, 2)]


def test_the_driving_clip_ends_where_it_began():
    start, end = hello(0.0), hello(float(CLIP_SECONDS))
    assert (start.yaw, start.pitch, start.roll) == (end.yaw, end.pitch, end.roll) == (0, 0, 0)
    assert start.expression == pytest.approx(end.expression, abs=1e-3)


def test_poses_stay_within_their_limits():
    poses = random_poses(np.random.default_rng(0), 300)
    turns = np.array([(p.yaw, p.pitch, p.roll) for p in poses])
    assert (np.abs(turns) <= LIMITS + 1e-9).all()
    assert (turns.std(0) > LIMITS / 5).all()


def test_kuwahara_keeps_an_edge_and_quiets_the_rest():
    rng = np.random.default_rng(0)
    image = np.zeros((40, 40, 3), "f4")
    image[:, 20:] = 0.8
    noisy = image + rng.normal(0, 0.05, image.shape).astype("f4")
    painted = kuwahara(noisy, 3)
    flat = np.s_[8:-8, 26:-8]
    assert painted[flat].std() < 0.6 * noisy[flat].std()
    assert np.abs(painted[20, 21] - painted[20, 18]).mean() > 0.6
