"""The canvas's measures on pictures whose answers are known, and a whole measurement of our own painting."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fomm_core.regions import Region
from tools import measure_canvas as tool

ROOT = Path(__file__).resolve().parents[2]
REGION = Region(30, 20, 100, 90)


@pytest.fixture
def painting() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (150, 180, 3), np.uint8)


@given(st.integers(-60, 170), st.integers(-60, 140), st.integers(16, 120), st.integers(16, 120))
def test_changes_are_counted_outside_the_region_alone(x, y, w, h):
    painting = np.zeros((150, 180, 3), np.uint16)
    found = painting.copy()
    found[max(0, y) : max(0, y + h), max(0, x) : max(0, x + w)] = 9
    assert tool.changed_outside(found, painting, Region(x, y, w, h)) == 0
    inside = int((found != 0).any(-1).sum())
    assert tool.changed_outside(found + np.uint16(1), painting, Region(x, y, w, h)) == 150 * 180 - inside


@pytest.mark.parametrize(("dtype", "expected"), [(np.uint8, 48.13), (np.uint16, 96.33)])
def test_psnr_of_an_error_of_one(dtype, expected):
    image = np.full((8, 8, 3), 100, dtype)
    assert tool.psnr(image + dtype(1), image) == pytest.approx(expected, abs=0.01)
    assert tool.psnr(image, image) == np.inf


def wave(cycles: float, side: int = 300) -> np.ndarray:
    line = 120 + 100 * np.sin(2 * np.pi * cycles * np.arange(side) / side)
    return np.repeat(np.broadcast_to(line, (side, side))[..., None], 3, 2)


def test_fine_energy_is_what_lies_above_half_the_model_s_nyquist_frequency():
    fine, coarse = tool.fine_energy(wave(90)), tool.fine_energy(wave(40))
    assert coarse < 1e-3 * fine
    assert tool.fine_energy(np.swapaxes(wave(90), 0, 1)) == pytest.approx(fine)
    assert tool.fine_energy(0.5 * wave(90)) == pytest.approx(fine / 4, rel=0.01)


def test_a_seam_is_seen_at_the_border_and_nowhere_else(painting):
    frame = painting.astype(np.float64)
    frame[60:70, 60:70] += 99
    assert tool.seam(frame, painting, REGION) == 0
    frame[20:110, 30:130] += 20
    assert tool.seam(frame, painting, REGION) > 0.01
    assert tool.seam(frame, painting, Region(-10, -10, 300, 300)) == 0, "the picture's own edge is no seam"


def test_a_crop_is_what_lies_on_the_painting(painting):
    assert (tool.crop(painting, REGION) == painting[20:110, 30:130]).all()
    assert (tool.crop(painting, Region(-20, 100, 60, 200)) == painting[100:, :40]).all()


def test_the_table():
    assert tool.table([("seam", "+0.1 %", "≤ +1 %")])[1:] == ["|---|---|---|", "| seam | +0.1 % | ≤ +1 % |"]


def test_our_own_painting_and_clip(tmp_path, capsys):
    """The shipped model on two frames, all the way to the table and the picture, and two rounds of timing."""
    picture = tmp_path / "canvas.jpg"
    arguments = [
        "--frames",
        "2",
        "--picture",
        str(picture),
        "--cost",
        "starter",
        "--rounds",
        "2",
        "--end",
        "0.5",
    ]
    assert tool.main([*arguments, "--region", "190,0,500,500"]) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert len(cells) == 2 + 7
    assert cells[2][1] == "0"
    assert cells[3][1] == "bit-equal"
    sharp, plain = (float(cells[row][1].split("%")[0]) for row in (5, 6))
    assert sharp > 70
    assert plain < sharp / 5  # how sharp a bare prediction is depends on the model; the painting outdoes any
    assert float(cells[7][1].rstrip("%")) <= 1
    assert "canvas" in cells[8][1]
    with Image.open(picture) as found:
        assert found.size == (3 * tool.CELL, tool.CELL)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--frames", "0"], "Without frames"),
        (["--rounds", "0"], "Without frames"),
        (["--painting", "missing.png"], "is not there"),
        (["--painting", "grey.png"], "No face was found"),
        (["--region", "9000,0,100,100"], "lies outside the picture"),
        (["--video", "missing.mp4"], "is not there"),
        (["--cost", "nothing"], "nothing"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_sentence(arguments, sentence, tmp_path, capsys, monkeypatch):
    Image.fromarray(np.full((100, 100, 3), 99, np.uint8)).save(tmp_path / "grey.png")
    shutil.copy(ROOT / "examples" / "painting.jpg", tmp_path)
    monkeypatch.chdir(tmp_path)
    if "--cost" in arguments:  # all before is measured elsewhere
        monkeypatch.setattr(tool, "read", lambda options: None)
        monkeypatch.setattr(tool, "look_rows", lambda subject: [])
    assert tool.main(arguments) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert sentence in line


def test_memory_is_measured_on_8_and_16_bit_files_of_the_size(painting, monkeypatch):
    from fomm_core import media

    seen = []

    def peak(path: Path, options: object, frames: int, output: Path) -> float:
        seen.append((media.read_painting(path).shape, media.read_painting(path).dtype.name, frames))
        assert not output.exists()
        return 1e9 * frames

    monkeypatch.setattr(tool, "peak", peak)
    monkeypatch.setattr(tool, "LARGE", (80, 60))
    rows = tool.memory_rows(painting, None)
    assert seen == [((80, 60, 3), kind, frames) for kind in ("uint8", "uint16") for frames in (4, 12)]
    assert [row[1] for row in rows] == ["4.00 GB, 12.00 GB"] * 2


def test_the_peak_of_a_job_that_fails_is_said(tmp_path):
    options = tool._options([])
    with pytest.raises(tool.UserError, match="failed"):
        tool.peak(tmp_path / "missing.png", options, 2, tmp_path / "out")
