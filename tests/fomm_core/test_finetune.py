"""`finetune`: a painting comes out better, nothing is forgotten, and what cannot be tuned is told."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from fomm_core import cli, job, models, regions, sitters
from fomm_core.errors import UserError
from fomm_core.motion import MotionTrack
from fomm_core.network import warp
from fomm_core.network.layers import coordinate_grid
from fomm_core.regions import Region
from fomm_core.training import finetune, painting_objective, warps
from fomm_core.training import painting as course
from fomm_core.training.course import Limit
from fomm_core.training.finetune import finetune_category, finetune_painting
from fomm_core.training.warps import Reproduction, reproduction, sitter, warped

other_picture = cache(painting_objective._other_picture)


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Looking for faces in pictures, and reading large ones, takes far longer than all the rest."""
    monkeypatch.setattr(regions, "around_sitters", lambda image: [])
    monkeypatch.setattr(painting_objective, "_other_picture", other_picture)
    monkeypatch.setattr(warps, "_HELD_BACK", 3)
    monkeypatch.setenv("VANGOGH_MODELS", str(tmp_path / "models"))


@pytest.fixture
def tune(model_file, painting, tmp_path):
    """`tune(**options)`: the painting's course on the tiny model, a few steps; returns the tuned file."""

    def run(**options) -> Path:
        options = {"steps": 6, "device": "cpu", "say": lambda line: None, **options}
        return finetune_painting(
            str(options.pop("model", model_file)),
            options.pop("painting", painting),
            options.pop("output", tmp_path / "tuned"),
            **options,
        )

    return run


def weights(path: Path, part: str = "generator") -> dict[str, torch.Tensor]:
    return getattr(models.load(str(path)), part).state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """But for the sixteen bits in which a tuned model is kept."""
    return all(torch.allclose(one[name], other[name], rtol=1e-3, atol=1e-6) for name in one)


def test_pairs_are_warped_as_they_say(model, picture):
    image = sitter(picture(200, 160), 64)
    assert image.shape == (1, 3, 128, 128)
    pairs = warped(image, 24, model, torch.Generator().manual_seed(3))
    assert pairs.source.shape == pairs.driving.shape == (24, 3, 64, 64)
    still = coordinate_grid(*pairs.flow.shape[1:3], pairs.flow).expand_as(pairs.flow)
    moves = (pairs.flow - still).abs().amax((1, 2, 3)) > 1e-6
    assert 0 < (~moves).sum() < 12
    assert torch.equal(pairs.source[~moves], pairs.driving[~moves])
    # The edge stays; nothing leaves the picture.
    assert torch.allclose(pairs.flow[:, 0], still[:, 0], atol=1e-6)
    assert pairs.flow.abs().max() <= 1.01

    def off(flow: torch.Tensor) -> float:
        fine = torch.nn.functional.interpolate(
            flow.permute(0, 3, 1, 2), size=(64, 64), mode="bilinear", align_corners=True
        ).permute(0, 2, 3, 1)
        return (warp(pairs.source, fine) - pairs.driving)[moves].abs().mean().item()

    assert off(pairs.flow) < 0.15 * off(still)


def test_tuning_makes_the_painting_better_and_moves_it_as_before(tune, model, model_file, painting, tmp_path):
    lines: list[str] = []
    path = tune(say=lines.append)
    tuned = models.load(str(path))
    pictures = sitter(np.asarray(Image.open(painting)), 64)
    before, after = reproduction(model, pictures), reproduction(tuned, pictures)
    assert after.l1 < 0.9 * before.l1
    told = [float(number) for number in re.findall(r"the painting L1 ([\d.]+)", lines[-1])]
    assert told == pytest.approx([before.l1, after.l1], rel=0.02)
    other = other_picture("astronaut.png", 64)
    assert reproduction(tuned, other).l1 <= reproduction(model, other).l1 * (1 + course.TOLERANCE) + 1e-3
    assert same(weights(path, "kp_detector"), weights(model_file, "kp_detector"))
    moving = {key: v for key, v in weights(model_file).items() if key.startswith("dense_motion_network")}
    assert same(moving, weights(path))
    assert tuned.metadata["tuned_from"] == "tiny"
    assert tuned.metadata["tuned_from_sha256"] == model.metadata["sha256"]
    assert tuned.metadata["painting"] == painting.name
    assert len(tuned.metadata["painting_sha256"]) == 64


@pytest.mark.parametrize("driven", [False, True])
def test_what_is_learnt_is_what_moves(driven, tune, painting, clip, monkeypatch):
    """A clip's keypoints are in the square that a job moves: in another one they would be elsewhere."""
    square, taught = Region(12, 20, 50, 50), []
    monkeypatch.setattr(sitters, "moving", lambda *_: [square])

    class Taught(course.Painting):
        def __init__(self, setting, model, painting, poses, origin):
            taught.append((painting, poses))
            super().__init__(setting, model, painting, poses, origin)

    monkeypatch.setattr(finetune, "Painting", Taught)
    tune(driving=clip(3, 64, 64) if driven else None, steps=1)
    ((seen, poses),) = taught
    assert (seen == np.asarray(Image.open(painting).convert("RGB"))[20:70, 12:62]).all()
    assert (poses is not None) == driven


def test_descent_lowers_what_is_wrong_with_the_painting(model, painting):
    objective = painting_objective.PaintingObjective(model, np.asarray(Image.open(painting)))
    painter = list(objective.painter.parameters())

    def terms() -> dict[str, torch.Tensor]:
        return objective.terms(torch.Generator().manual_seed(5))

    before = terms()
    assert set(before) == set(course.Painting.columns)
    assert before["others"] < 1e-9  # nothing is forgotten yet
    gradients = torch.autograd.grad(before["warped"] + before["driven"], painter)
    steepness = torch.stack([gradient.norm() for gradient in gradients]).norm()
    step = 0.003
    with torch.no_grad():
        for parameter, gradient in zip(painter, gradients, strict=True):
            parameter -= step * gradient / steepness
        after = terms()
    gain = before["warped"] + before["driven"] - after["warped"] - after["driven"]
    assert gain > 0.3 * step * steepness
    assert after["others"] > before["others"]


def test_an_absurd_rate_leaves_the_model_as_it_was(tune, model_file, monkeypatch):
    monkeypatch.setattr(course, "_SHARES", ())
    monkeypatch.setattr(course, "RATE", 50.0)
    lines: list[str] = []
    path = tune(say=lines.append)
    assert "own weights are kept" in lines[-1]
    assert same(weights(model_file), weights(path))
    assert "own weights are kept" in models.load(str(path)).metadata["tuned"]


def test_what_is_learned_at_another_pictures_cost_is_not_kept(tune, model_file, monkeypatch):
    standings = iter(range(100))

    def standing(self) -> painting_objective.Standing:
        number = next(standings)  # the painting gets better every time; so does the other get worse
        return painting_objective.Standing(
            Reproduction(0.1 - 0.001 * number, 0.8), Reproduction(0.1 * (1.2 if number else 1), 0.8)
        )

    monkeypatch.setattr(painting_objective.PaintingObjective, "standing", standing)
    lines: list[str] = []
    path = tune(say=lines.append)
    assert "another picture came out more than 10% worse" in lines[-1]
    assert same(weights(model_file), weights(path))


def test_a_tuning_that_was_killed_goes_on(tune, tmp_path, monkeypatch):
    monkeypatch.setattr(course.Painting, "save_every", Limit(steps=2))
    whole = tune(output=tmp_path / "whole")

    class Killed(Exception):
        pass

    real, calls = painting_objective.PaintingObjective.terms, iter(range(100))

    def terms(self, rng: torch.Generator) -> dict[str, torch.Tensor]:
        if next(calls) == 3:
            raise Killed
        return real(self, rng)

    with monkeypatch.context() as patch:
        patch.setattr(painting_objective.PaintingObjective, "terms", terms)
        with pytest.raises(Killed):
            tune(output=tmp_path / "cut")
    with pytest.raises(UserError, match="--resume"):
        tune(output=tmp_path / "cut")
    cut = tune(output=tmp_path / "cut", resume=True)
    one, other = weights(whole), weights(cut)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_checkpoint_of_another_painting_is_not_resumed(tune, tmp_path, picture):
    tune(steps=1)
    Image.fromarray(picture(90, 90)).save(tmp_path / "other.png")
    with pytest.raises(UserError, match="of another model or painting"):
        tune(painting=tmp_path / "other.png", steps=2, resume=True)


def test_a_motion_track_of_the_first_model_fits(tune, model, request_of, events, tmp_path):
    value = np.zeros((1, model.num_kp, 2), np.float32)
    still = np.broadcast_to(np.eye(2, dtype=np.float32), (*value.shape, 2))
    provenance = {"model_sha256": model.metadata["sha256"]}
    MotionTrack(value, still, 25.0, provenance).save(tmp_path / "track.npz")
    path = tune(steps=1)
    assert job.run(request_of(tmp_path / "track.npz", model=str(path)), events.control()).frames == 1
    twice = tune(model=path, steps=1, output=tmp_path / "twice")
    request = request_of(tmp_path / "track.npz", model=str(twice), output=str(tmp_path / "out2"))
    assert job.run(request, events.control()).frames == 1


def test_a_clip_can_drive_the_painting(tune, clip):
    lines: list[str] = []
    path = tune(driving=clip(3), steps=1, say=lines.append)
    models.load(str(path))
    assert any("driving video" in line for line in lines)  # that no face was found in it


@pytest.fixture
def category(tmp_path, config, clip, monkeypatch) -> Path:
    """A configuration for the tiny model, and beside it a folder of videos."""
    monkeypatch.setenv("FOMM_VGG19", "none")
    published = models.read_config("vox-256")
    config["model_params"]["discriminator_params"] = published["model_params"]["discriminator_params"]
    config["train_params"] = {**published["train_params"], "scales": [1, 0.5], "batch_size": 2}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "videos").mkdir()
    for name in ("a", "b"):
        clip(3, 64, 64, 25, f"videos/{name}.mp4")
    return tmp_path / "config.yaml"


def test_a_model_is_tuned_to_a_category(category, model_file, tmp_path):
    path = finetune_category(
        str(model_file), tmp_path / "videos", tmp_path / "out", config=str(category), steps=2, device="cpu",
        say=lambda line: None,
    )  # fmt: skip
    tuned = models.load(str(path))
    assert tuned.metadata["tuned_from"] == "tiny"
    one, other = weights(model_file), tuned.generator.state_dict()
    assert not same(one, other)
    far = max((one[name] - other[name]).abs().max() for name in one if name.endswith("weight"))
    assert far < 0.01  # it began from the model


def test_a_model_of_another_architecture_is_refused(category, model_file, tmp_path, capsys):
    command = [
        "finetune",
        str(model_file),
        "--data",
        str(tmp_path / "videos"),
        "--output",
        str(tmp_path / "o"),
    ]
    assert cli.main([*command, "--config", "vox-256"]) == 1
    assert "another architecture" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"painting": Path("nowhere.png")}, "is not there"),
        ({"model": "nowhere"}, "no model"),
        ({"steps": None, "minutes": 0.0}, "above 0"),
        ({"driving": Path("nowhere.mp4")}, "is not there"),
        ({"resume": True}, "no checkpoint"),
        ({"config": "vox-256"}, "another architecture"),
    ],
)
def test_what_cannot_be_tuned_is_told(tune, tmp_path, changes, words):
    with pytest.raises(UserError, match=words):
        tune(**changes)
    assert not (tmp_path / "tuned").exists()


def test_the_command_tunes_and_says_where(model_file, painting, tmp_path, capsys):
    output = tmp_path / "out"
    command = ["finetune", str(model_file), "--output", str(output), "--steps", "1", "--device", "cpu"]
    assert cli.main([*command, "--painting", str(painting)]) == 0
    out = capsys.readouterr().out
    assert "before: the painting L1" in out
    assert out.splitlines()[-1] == f"Tuned: {output / 'model.safetensors'}"
    assert cli.main([*command, "--data", str(tmp_path), "--driving", "x.mp4"]) == 2
    assert "--driving" in capsys.readouterr().err
