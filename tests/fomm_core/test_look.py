"""The first look at a driving video."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fomm_core import cli
from fomm_core.errors import UserError
from fomm_core.look import Look, look
from fomm_core.motion import MotionTrack

DRIVING = Path(__file__).resolve().parents[2] / "examples" / "driving.mp4"


def test_our_own_clip(tmp_path):
    found = look(DRIVING, tmp_path / "first.png", 100)
    assert found.frames == pytest.approx(found.fps * 4, abs=found.fps * 2)
    with Image.open(tmp_path / "first.png") as picture:
        assert max(picture.size) == 100
        assert picture.width / picture.height == pytest.approx(found.width / found.height, rel=0.02)
        assert np.asarray(picture).std() > 20


def test_a_motion_track_has_no_picture(tmp_path):
    track = MotionTrack(
        np.zeros((5, 3, 2), np.float32), np.tile(np.eye(2, dtype=np.float32), (5, 3, 1, 1)), 24.0
    )
    track.save(tmp_path / "hello.npz")
    assert look(tmp_path / "hello.npz", tmp_path / "first.png") == Look(5, 24.0)
    assert not (tmp_path / "first.png").exists()


def test_the_command_prints_it_and_needs_no_torch(tmp_path, capsys):
    assert cli.main(["look", str(DRIVING)]) == 0
    assert "frames at 25 per second" in capsys.readouterr().out
    program = (
        "import sys; from fomm_core import cli; "
        f"cli.main(['look', {str(DRIVING)!r}, '--json', '--output', {str(tmp_path / 'a.png')!r}]); "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["fps"] == 25.0


def test_what_is_no_video_is_one_sentence(tmp_path, capsys):
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(UserError, match="nothing that can be played"):
        look(tmp_path / "text.mp4")
    assert cli.main(["look", str(tmp_path / "text.mp4")]) == 1
    assert "Choose a video file" in capsys.readouterr().err
