"""What the table of expressions says: of motion whose share is known, that share."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fomm_core import models
from fomm_core.network.layers import coordinate_grid
from tools import measure_expression
from tools.measure_expression import Following, followed, led_to, own, table

ORIGIN = np.random.default_rng(0).uniform(-0.6, 0.6, (12, 2))


def expression(seed: int, frames: int = 30) -> np.ndarray:
    """Motion of 12 keypoints in which no affine part is left."""
    motion = np.random.default_rng(seed).normal(0, 0.02, (frames, 12, 2))
    return own(ORIGIN, motion, motion)[0]


@given(
    share=st.floats(-1, 2), seed=st.integers(0, 100), turn=st.floats(-0.5, 0.5), shift=st.floats(-0.3, 0.3)
)
def test_a_share_is_found_whatever_the_head_does(share, seed, turn, shift):
    motion = expression(seed)
    moment = np.linspace(-1, 1, len(motion))[:, None, None]
    head = moment * (ORIGIN @ np.array([[0, turn], [-turn, 0]]) + shift)
    asked, done = own(ORIGIN, head + motion, head + share * motion)
    spread, found = followed(asked, done)
    assert found == pytest.approx(share, abs=1e-6)
    assert spread == pytest.approx(np.sqrt(np.square(motion - motion.mean(0)).mean()), rel=1e-6)


def test_what_is_the_same_all_the_time_is_no_motion():
    motion = np.broadcast_to(expression(1)[:1], (10, 12, 2))
    assert followed(motion, motion) == (pytest.approx(0, abs=1e-9), pytest.approx(0, abs=1e-6))


def test_the_deformation_is_read_at_the_keypoint():
    grid = coordinate_grid(9, 17, torch.zeros(1)).numpy()
    places = np.array([[0.1, -0.7], [-1.2, 0.3]])
    assert led_to(grid * 0.5 + 0.1, places) == pytest.approx(np.clip(places, -1, 1) * 0.5 + 0.1, abs=1e-6)


def test_the_starter_names_the_parts_that_are_measured():
    parts = measure_expression._parts(models.load("starter").metadata["landmarks"], "starter")
    assert {part: len(numbers) for part, numbers in parts.items()} == {
        "lids": 4, "brows": 4, "mouth corners": 2, "lips": 2, "chin": 1,
    }  # fmt: skip


def test_a_painting_and_a_clip_are_a_row():
    rows = table(
        [Following("girl", "talk", "lids", 1.23, 0.5), Following("girl", "talk", "lips", 4.0, 0.876)]
    )
    assert rows[0] == "| painting | clip | lids | lips |"
    assert rows[2:] == ["| girl | talk | 0.50 of 1.2 px | 0.88 of 4.0 px |"]


def test_bad_input_is_one_sentence(tmp_path, capsys):
    assert measure_expression.main(["--media", str(tmp_path)]) == 1
    assert "There is no painting in" in capsys.readouterr().err
    assert measure_expression.main(["--media", str(tmp_path / "none")]) == 1
    assert "is no folder" in capsys.readouterr().err
    assert measure_expression.main(["--media", str(tmp_path), "--model", "nobody"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_paintings_are_measured(capsys, tmp_path):
    """The example painting and clip: a line with all parts."""
    for name in ("painting.jpg", "driving.mp4"):
        (tmp_path / name).write_bytes((measure_expression.ROOT / "examples" / name).read_bytes())
    assert (
        measure_expression.main(
            ["--media", str(tmp_path), "--every", "10", "--json", str(tmp_path / "x.json")]
        )
        == 0
    )
    assert capsys.readouterr().out.count(" px") == 5
    assert (tmp_path / "x.json").read_text().count('"share"') == 5
