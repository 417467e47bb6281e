"""The network that tells sitters from the wall can be trained again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fomm_core.network.matting import MatteNetwork
from tools import train_matte


def clip(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Two pictures of a bright disc before a dark wall, and where it is."""
    rows, columns = np.mgrid[:128, :128]
    x, y = rng.uniform(40, 88, (2, 2, 1, 1))
    there = np.hypot(columns - x, rows - y) < 30
    pictures = np.where(there[..., None], rng.integers(180, 250, 3), rng.integers(0, 70, 3))
    return {"images": pictures.astype(np.uint8), "face": there[:, ::2, ::2].astype(np.uint8) * 255}


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        for number in range(12 if part == "train" else 2):
            np.savez(tmp_path / part / f"clip_{number:05d}.npz", **clip(rng))
    return tmp_path


def test_it_learns_what_a_sitter_is(data):
    torch.manual_seed(0)
    network, test = MatteNetwork(), train_matte.read(data / "test")
    assert train_matte.overlap(network.eval(), *test) < 0.3
    train_matte.trained(network, *train_matte.read(data / "train"), 30, torch.Generator().manual_seed(0))
    assert train_matte.overlap(network, *test) > 0.6


def test_the_file_is_what_the_canvas_reads_and_a_damaged_clip_is_named(data, tmp_path, capsys):
    (data / "train" / "clip_00099.npz").write_bytes(b"PK no clip")
    output = tmp_path / "matte.safetensors"
    assert train_matte.main(["--data", str(data), "--output", str(output), "--steps", "1"]) == 0
    said = capsys.readouterr()
    assert "clip_00099.npz is left out" in said.err
    assert "4 pictures that it has not seen: IoU 0." in said.out
    MatteNetwork().load_state_dict(load_file(output))


def test_the_same_seed_gives_the_same_weights(data, tmp_path):
    for name in ("one", "two"):
        train_matte.main(["--data", str(data), "--output", str(tmp_path / name), "--steps", "2"])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_no_steps_train_nothing(data, tmp_path, capsys):
    output = tmp_path / "matte.safetensors"
    assert train_matte.main(["--data", str(data), "--output", str(output), "--steps", "0"]) == 1
    assert "--steps" in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize("missing", ["train", "test"])
def test_without_clips_it_says_so_and_writes_nothing(missing, data, tmp_path, capsys):
    for path in (data / missing).iterdir():
        path.unlink()
    output = tmp_path / "matte.safetensors"
    assert train_matte.main(["--data", str(data), "--output", str(output)]) == 1
    assert str(data / missing) in capsys.readouterr().err
    assert not output.exists()
