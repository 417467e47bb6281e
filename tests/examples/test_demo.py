"""The demo's own parts: what it says when it cannot run, the landscapes, the film put together."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def demo(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    return load("demo")


def run(*arguments):
    command = [sys.executable, str(ROOT / "examples" / "demo.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_an_output_folder_that_is_a_file(tmp_path):
    (tmp_path / "demo").write_text("mine")
    done = run("--output", tmp_path / "demo")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "cannot be written" in done.stderr
    assert (tmp_path / "demo").read_text() == "mine"


def test_a_missing_example_is_named(demo, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(demo, "HERE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["demo.py", "--output", str(tmp_path / "out")])
    assert demo.main() == 1
    assert "examples/painting.png is missing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_failing_program_gives_its_last_sentence(demo, tmp_path):
    script = "import sys; print('one', flush=True); print('The disk is full.', file=sys.stderr); sys.exit(3)"
    lines = []
    with pytest.raises(demo.Failed, match=r"The disk is full\."):
        lines.extend(demo.run([sys.executable, "-c", script], tmp_path / "log"))
    lines = demo.run([sys.executable, "-c", "print('one'); print('two')"], tmp_path / "log")
    assert list(lines) == ["one", "two"]


def test_a_program_does_not_outlive_who_reads_it(demo, tmp_path):
    script = "import time; print('one', flush=True); time.sleep(60); print('two')"
    lines = demo.run([sys.executable, "-c", script], tmp_path / "log")
    assert next(lines) == "one"
    lines.close()  # waits for the program's end: the test would take a minute if it went on


def test_the_film_shows_the_canvas_over_the_last_whole_picture(demo, tmp_path):
    import imageio_ffmpeg

    whole = Image.new("RGBA", (64, 48), (200, 30, 30, 255))
    part = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
    part.paste((30, 30, 200, 255), (24, 16, 40, 32))
    for number, picture in enumerate((whole, part, part), start=1):
        picture.save(tmp_path / f"{number:04d}.png")
    film = demo.encode(tmp_path, tmp_path / "film.mp4")
    reader = imageio_ffmpeg.read_frames(str(film))
    about = next(reader)
    frames = [np.frombuffer(data, np.uint8).reshape(48, 64, 3).astype(int) for data in reader]
    assert (about["fps"], len(frames)) == (demo.FPS, 3)
    assert np.abs(frames[0][24, 32] - (200, 30, 30)).max() < 20
    assert np.abs(frames[2][24, 32] - (30, 30, 200)).max() < 20
    assert np.abs(frames[2][4, 4] - (200, 30, 30)).max() < 20


def test_no_pictures_no_film(demo, tmp_path):
    with pytest.raises(demo.Failed, match="no pictures"):
        demo.encode(tmp_path, tmp_path / "film.mp4")
    assert not (tmp_path / "film.mp4").exists()


def test_the_landscapes_are_painted_in_strokes_and_the_same_each_time(tmp_path):
    landscapes = load("landscapes")
    first = [np.asarray(Image.open(path)) for path in landscapes.paint_landscapes(tmp_path / "a")]
    again = [np.asarray(Image.open(path)) for path in landscapes.paint_landscapes(tmp_path / "b")]
    for picture, other in zip(first, again, strict=True):
        assert picture.shape == (720, 960, 3)
        assert np.array_equal(picture, other)
        assert np.abs(np.diff(picture.astype(int), axis=1)).mean() > 1.5  # strokes, not a smooth gradient
    assert np.abs(first[0].astype(int) - first[1]).mean() > 30
