"""The sheet of many paintings, each moved by one clip."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tools import look_at_many


def sheet(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["look_at_many.py", *map(str, arguments)])
    return look_at_many.main()


def test_every_painting_has_a_row_and_moves_in_it(tmp_path, monkeypatch):
    paintings = tmp_path / "paintings"
    paintings.mkdir()
    portrait = Image.open(look_at_many.ROOT / "examples" / "painting.jpg")
    portrait.save(paintings / "upright.png")
    portrait.crop((0, 100, 900, 900)).save(paintings / "wide.jpg")
    (paintings / "notes.txt").write_text("not a painting")
    output = tmp_path / "out" / "sheet.png"
    assert sheet(monkeypatch, paintings, "--output", output, "--moments", 3, "--side", 96) == 0
    picture = np.asarray(Image.open(output)).astype(int)
    assert picture.shape == (96 + 4 + 85 + 4, 4 * 96, 3)
    still, first, middle, _ = np.moveaxis(picture[:96, : 4 * 72].reshape(96, 4, 72, 3), 1, 0)
    assert np.abs(first - still).mean() < 1, "it begins with the painting"
    assert np.abs(middle - still).max() > 40


def test_without_a_painting_that_is_said(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="no painting"):
        sheet(monkeypatch, tmp_path, "--output", tmp_path / "sheet.png")
