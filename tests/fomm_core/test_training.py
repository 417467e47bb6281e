"""Training on rendered clips, made here: a textured disc with four landmarks moves over a textured background."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fomm_core import framing, models
from fomm_core.errors import UserError
from fomm_core.network import DenseMotion, warp
from fomm_core.network.layers import coordinate_grid, sample
from fomm_core.training.course import Setting
from fomm_core.training.data import Affine, Clips, Pairs, approaching, mirrored_order
from fomm_core.training.log import LOG
from fomm_core.training.reconstruct import reconstruct
from fomm_core.training.supervised import Supervised
from fomm_core.training.trainer import MODEL, train
from fomm_core.training.transparent import make_transparent

NAMES = ["eye_l", "eye_r", "mouth", "chin"]
SIZE, SMALL, FRAMES = 64, 16, 3
LANDMARKS = torch.tensor([[0.3, -0.25], [-0.3, -0.25], [0.0, 0.2], [0.0, 0.45]])  # on the disc at rest
RADIUS = 0.6


def config(**changes) -> dict:
    params = {
        "common_params": {"num_kp": 4, "num_channels": 3, "estimate_jacobian": True},
        "kp_detector_params": {
            "temperature": 0.1,
            "block_expansion": 8,
            "max_features": 16,
            "scale_factor": 0.25,
            "num_blocks": 2,
        },
        "generator_params": {
            "block_expansion": 8,
            "max_features": 16,
            "num_down_blocks": 2,
            "num_bottleneck_blocks": 1,
            "estimate_occlusion_map": True,
            "dense_motion_params": {
                "block_expansion": 8,
                "max_features": 16,
                "num_blocks": 2,
                "scale_factor": 0.25,
            },
        },
        "discriminator_params": {"scales": [1], "block_expansion": 8, "max_features": 8, "num_blocks": 2},
    }
    training = models.read_config("starter")["train_params"]
    training["landmarks"].update(pairs=8, rate=3e-3)
    training["motion"].update(pairs=8, rate=3e-3, window=12)
    training["picture"].update(pairs=2)
    training["close_ups"].update(pairs=4, crop=32, kept=24, steps=3, adversarial_from=0.3)
    training.update(changes)
    return {
        "dataset_params": {"frame_shape": [SIZE, SIZE, 3]},
        "model_params": params,
        "train_params": training,
    }


def make_clip(seed: int) -> dict[str, np.ndarray]:
    """A disc in poses of its own over a background that stays, with the true flow and visibility."""
    rng = torch.Generator().manual_seed(seed)
    skin, wall = torch.rand(2, 1, 3, 6, 6, generator=rng)
    angle = (torch.rand(FRAMES, generator=rng) - 0.5) * 0.6
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).view(-1, 2, 2)
    shift = (torch.rand(FRAMES, 2, generator=rng) - 0.5) * 0.5

    def at_rest(size: int) -> torch.Tensor:
        places = coordinate_grid(size, size, shift) - shift[:, None, None]
        return places @ turn[:, None]  # rows times a rotation: turned back

    pixels, grid = at_rest(SIZE), coordinate_grid(SIZE, SIZE, shift)[None].expand(FRAMES, -1, -1, -1)
    front = (pixels.square().sum(-1) < RADIUS**2)[:, None]
    images = torch.where(
        front, sample(skin.expand(FRAMES, -1, -1, -1), pixels), sample(wall.expand(FRAMES, -1, -1, -1), grid)
    )
    rest, here = at_rest(SMALL), coordinate_grid(SMALL, SMALL, shift)
    on_disc = rest.square().sum(-1) < RADIUS**2
    flow = torch.empty(FRAMES, FRAMES, SMALL, SMALL, 2)
    visible = torch.empty(FRAMES, FRAMES, SMALL, SMALL)
    for d in range(FRAMES):
        for s in range(FRAMES):
            moved = rest[d] @ turn[s].T + shift[s]
            flow[d, s] = torch.where(on_disc[d][..., None], moved, here)
            visible[d, s] = torch.where(on_disc[d], (moved.abs() <= 1).all(-1), ~on_disc[s])
    return {
        "images": (images * 255).round().byte().permute(0, 2, 3, 1).numpy(),
        "landmarks": (torch.einsum("fij,kj->fki", turn, LANDMARKS) + shift[:, None]).numpy(),
        "flow": flow.half().numpy(),
        "visible": visible.byte().numpy(),
        "face": on_disc.byte().numpy(),
    }


def write_clips(folder: Path, count: int, names: list[str] = NAMES) -> Path:
    (folder / "train").mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps({"landmarks": names}))
    for i in range(count):
        np.savez(folder / "train" / f"clip_{i:05d}.npz", **make_clip(i))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_clips(tmp_path_factory.mktemp("data"), 12)


def quiet(line: str) -> None:
    pass


def log_of(output: Path) -> list[dict[str, str]]:
    with open(output / LOG, newline="") as file:
        return list(csv.DictReader(file))


def run(data: Path, output: Path, steps: int, **options) -> Path:
    options.setdefault("config", config())
    return train(options.pop("config"), data, output, steps=steps, say=quiet, device="cpu", **options)


def test_training_learns_motion_and_pictures(data, tmp_path):
    settings = config()
    settings["train_params"]["landmarks"].update(share=0.3, rate=1e-2)
    settings["train_params"]["motion"].update(share=0.45, rate=5e-3)
    # At four times this rate the picture hangs on the last bit of the first step.
    settings["train_params"]["picture"].update(share=0.2, pairs=4, rate=1e-3)
    model = run(data, tmp_path / "out", 320, config=settings)
    rows = log_of(tmp_path / "out")
    assert [int(row["step"]) for row in rows] == list(range(1, 321))

    def mean(term: str, chosen: list[dict]) -> float:
        return float(np.mean([float(row[term]) for row in chosen if row[term]]))

    found = [row for row in rows if row["keypoints"]]
    assert mean("keypoints", found[-10:]) < 0.6 * mean("keypoints", found[:10])
    assert mean("heatmap", found[-10:]) < mean("heatmap", found[:10])
    motion = [row for row in rows if row["deformation"]]
    assert mean("choice", motion[-10:]) < mean("choice", motion[:10])
    assert mean("deformation", motion[-10:]) < 0.9 * mean("deformation", motion[:10])
    painted = [row for row in rows if row["picture"]]
    assert mean("picture", painted[-20:]) < 0.8 * mean("picture", painted[:10])
    assert any(row["discriminator"] for row in painted)
    assert not painted[-1]["occlusion"], "at the end only the decoder learns"
    assert sorted(p.name for p in (tmp_path / "out").glob("pairs-*.png")) == ["pairs-0000320.png"]

    untrained = models.build(config())
    models.save(tmp_path / "untrained.safetensors", untrained, {})
    before = reconstruct(models.load(str(tmp_path / "untrained.safetensors")), data / "train").errors
    after = reconstruct(models.load(str(model)), data / "train").errors
    assert after["landmark error (px)"] < 0.65 * before["landmark error (px)"]
    assert after["L1 / copying the source"] < 0.7 * before["L1 / copying the source"]


def test_landmarks_on_a_line_bring_no_frame_nearer(data):
    """No one affine map brings them nearest; and what flattens a head is no pose of it."""
    clips = Clips(data / "train" if (data / "train").is_dir() else data, len(NAMES))
    clips.grow()
    pairs = clips.pairs([(clips.clips[0], 1, 0)], None, small=True)
    line = torch.linspace(-0.5, 0.5, len(NAMES))[None, :, None] * torch.tensor([0.6, 0.8])
    pairs.origin, pairs.target = line, line * 1.2
    affine = approaching(pairs, torch.ones(1))
    assert torch.equal(affine.matrix, torch.eye(2)[None])


@pytest.mark.parametrize("at", [3, 7, 8, 9, 10])
def test_resuming_goes_on_as_if_never_stopped(at, data, tmp_path, monkeypatch):
    """To the last bit, from any part, with two threads; close-ups are prepared for the steps 7 and 9."""
    options = config(bfloat16=False, save_minutes=1e-6)  # saves after every step
    for part, share in (("landmarks", 0.2), ("motion", 0.2), ("picture", 0.15)):
        options["train_params"][part]["share"] = share
    whole = run(data, tmp_path / "whole", 12, config=options)

    class Killed(Exception):
        pass

    terms = Supervised.terms

    def cut(self, step: int, progress: float, rng: torch.Generator):
        if step == at:
            raise Killed
        return terms(self, step, progress, rng)

    with monkeypatch.context() as patched:
        patched.setattr(Supervised, "terms", cut)
        with pytest.raises(Killed):
            run(data, tmp_path / "cut", 12, config=options)
    with pytest.raises(UserError, match="--resume"):
        run(data, tmp_path / "cut", 12, config=options)
    resumed = run(data, tmp_path / "cut", 12, config=options, resume=True)
    expected, found = log_of(tmp_path / "whole"), log_of(tmp_path / "cut")
    assert [row["step"] for row in found] == [str(step) for step in range(1, 13)]
    for one, two in zip(expected, found, strict=True):
        assert one | {"seconds": ""} == two | {"seconds": ""}
    first, second = (models.load(str(path)) for path in (whole, resumed))
    for part in models.PARTS:
        state = getattr(first, part).state_dict()
        again = getattr(second, part).state_dict()
        assert not [name for name in state if not torch.equal(state[name], again[name])]


def test_close_ups_are_of_many_pairs(data, tmp_path):
    options = config(bfloat16=False)
    options["train_params"]["close_ups"]["kept"] = 48
    course = Supervised(Setting(options, data, tmp_path, torch.device("cpu")))
    course._close_ups_seed = 5
    kept = course._prepared_close_ups()
    assert len(kept) == 48
    # Two windows of a pair may be the same; all of one pair's are 3.
    assert len({picture.numpy().tobytes() for picture in kept.driving}) >= 32
    again = course._prepared_close_ups()
    assert torch.equal(kept.features, again.features)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_weights(data, tmp_path):
    run(data, tmp_path / "out", 3)
    kept = (tmp_path / "out" / MODEL).read_bytes()
    wild = config()
    wild["train_params"]["landmarks"]["rate"] = 1e35
    wild["train_params"]["landmarks"]["share"] = 1.0
    with pytest.raises(
        UserError, match=r"stopped at step \d+: the loss is not a number\. The last good weights"
    ):
        run(data, tmp_path / "out", 400, config=wild, resume=True)
    assert (tmp_path / "out" / MODEL).read_bytes() == kept
    models.load(str(tmp_path / "out" / MODEL))


@pytest.mark.parametrize("nearness", [0.0, 0.6, 1.0])
def test_augmented_flow_still_warps_the_source_onto_the_driving_frame(data, nearness):
    clips = Clips(data / "train", 4)
    clips.grow()
    rng = torch.Generator().manual_seed(1)
    for _ in range(4):
        affine = Affine.random(6, rng)
        affine.mirrored[:] = torch.linalg.det(affine.matrix) < 0
        picks = [(clip, 1, 0) for clip in clips.clips[:6]]
        pairs = clips.pairs(picks, affine, small=False, nearness=torch.full((6,), float(nearness)))
        known = (pairs.known * pairs.inside * pairs.face) > 0
        apart = torch.nn.functional.interpolate(
            pairs.driving, size=(SMALL, SMALL), mode="bilinear", align_corners=True
        )
        moved = sample(pairs.source, pairs.flow)
        still = sample(pairs.source, coordinate_grid(SMALL, SMALL, moved).expand(6, -1, -1, -1))
        wrong, without = ((x - apart).abs().mean(1, keepdim=True)[known].mean() for x in (moved, still))
        # What moves less is known no better: sampling errors stay.
        assert wrong < (0.2 * without if not nearness else 0.03)
        # The flow at a landmark of the driving frame leads to that landmark of the source.
        there = sample(pairs.flow.permute(0, 3, 1, 2), pairs.target[:, :, None])[..., 0].permute(0, 2, 1)
        hidden = (
            sample(pairs.visible * pairs.face * pairs.inside, pairs.target[:, :, None])[:, 0, :, 0] < 0.99
        )
        assert (there - pairs.origin).abs().amax(-1)[~hidden].max() < (0.05 if nearness else 0.02)


def test_framed_heads_are_about_as_large_as_the_detector_is_shown_them(data):
    clips = Clips(data / "train", 4)
    clips.grow()
    sizes, places = [], []
    for framed in (0.0, 1.0):
        pairs = clips.draw(200, torch.Generator().manual_seed(3), small=True, framed=framed)
        square = framing.around(torch.stack([pairs.origin, pairs.target], dim=1))
        sizes.append(square[:, 2].log())
        places.append(square[:, :2])
    # A turned head's square is not its square turned; but for that, the logarithm of its half side is about 0.
    assert abs(sizes[1].mean()) < 0.1 < abs(sizes[0].mean())
    assert sizes[1].std() < 0.7 * sizes[0].std()
    assert places[1].std() < 0.7 * places[0].std()


def test_the_detector_learns_from_framed_heads_and_the_motion_from_still_ones(data, tmp_path, monkeypatch):
    settings, seen, plain = config(), set(), Clips.draw
    settings["train_params"]["landmarks"].update(share=0.5, framed=0.25)
    settings["train_params"]["motion"]["share"] = 0.3

    def draw(clips, count, rng, *, still=0.0, framed=0.0, **options):
        seen.add((still, framed))
        return plain(clips, count, rng, still=still, framed=framed, **options)

    monkeypatch.setattr(Clips, "draw", draw)
    run(data, tmp_path / "out", 6, config=settings)
    assert seen == {(0, 0.25), (0.5, 0), (0, 0)}, "landmarks, motion and close-ups, pictures"


@pytest.mark.parametrize("mapped", [False, True])
def test_small_pictures_are_those_that_the_networks_look_at(data, mapped):
    """Sampled at places of their own, they teach keypoints that lie beside the truth, by a third of a place."""
    clips = Clips(data / "train", 4)
    clips.grow()
    picks = [(clip, 1, 0) for clip in clips.clips]
    affine = Affine.random(len(picks), torch.Generator().manual_seed(4)) if mapped else None
    whole, small = (clips.pairs(picks, affine, small=small) for small in (False, True))
    down = models.build(config()).kp_detector.down
    for picture, found in ((whole.source, small.source), (whole.driving, small.driving)):
        wanted = down(picture)[..., 2:-2, 2:-2]
        found = found[..., 2:-2, 2:-2]
        wrong = (found - wanted).square().mean().sqrt()
        for axis in (2, 3):  # a shift would be told by its likeness to the slope
            slope = wanted.diff(dim=axis)
            shift = (found - wanted).narrow(axis, 0, slope.shape[axis]).mul(
                slope
            ).sum() / slope.square().sum()
            assert abs(shift) < 0.08
        assert wrong < 0.25 * wanted.std()


def test_a_driving_frame_comes_as_near_to_the_source_as_is_asked(data):
    clips = Clips(data / "train", 4)
    clips.grow()
    picks = [(clip, 1, 0) for clip in clips.clips[:6]]
    affine = Affine.random(6, torch.Generator().manual_seed(1))

    def pairs(nearness: float) -> Pairs:
        return clips.pairs(picks, affine, small=False, nearness=torch.full((6,), float(nearness)))

    plain = clips.pairs(picks, affine, small=False)
    apart = [(p.target - p.origin).norm(dim=-1).mean() for p in (plain, pairs(0), pairs(0.5), pairs(1))]
    assert apart[0] == pytest.approx(apart[1])
    assert apart[1] > 1.5 * apart[2] > 20 * apart[3]  # a disc's pose is affine: nothing of its own is left
    near = pairs(1)
    assert torch.equal(near.source, plain.source)
    # The wall behind has moved with the sitter, and stands still in truth: nothing is learnt from its picture.
    assert not (near.inside * (1 - near.face)).any()
    assert (plain.inside * (1 - plain.face)).any()


def test_the_wall_behind_a_sitter_that_is_brought_near_stands_still(data):
    """Without it nothing would say where a sitter ends that hardly moves, and the wall would move along."""
    clips = Clips(data / "train", 4)
    clips.grow()
    picks = [(clip, 1, 0) for clip in clips.clips[:6]]
    affine = Affine.random(6, torch.Generator().manual_seed(1))
    near = clips.pairs(picks, affine, small=True, nearness=torch.full((6,), 0.5))
    # The driving frame as the source, brought to itself: where the sitter is in the sources.
    sources = clips.pairs([(clip, 0, 0) for clip in clips.clips[:6]], affine, small=True)
    wall = (near.inside * (1 - near.face))[:, 0] > 0
    still = coordinate_grid(SMALL, SMALL, near.flow).expand_as(near.flow)
    assert torch.equal(near.flow[wall], still[wall])
    assert not torch.equal(near.flow[~wall], still[~wall])
    sharp = ((near.source_face == 0) | (near.source_face == 1)) & (sources.inside > 0)
    assert torch.equal(near.source_face[sharp], sources.face[sharp])
    seen = wall[:, None] & sharp
    assert torch.equal(near.visible[seen], 1 - sources.face[seen])
    assert {0.0, 1.0} == set(near.visible[seen].tolist())  # some of it the source hides


def test_what_is_shown_in_part_is_neither_known_nor_hidden(data):
    """An eye, two places high, would be hidden from everybody if all around it had to be seen."""
    clips = Clips(data / "train", 4)
    clips.grow()
    clip = {**clips.clips[0], "visible": torch.zeros(FRAMES, FRAMES, SMALL, SMALL)}
    clip["visible"][1, 0, 4:6] = 1
    half_a_place = Affine(torch.eye(2)[None], torch.tensor([[0.0, 1 / (SMALL - 1)]]), torch.tensor([False]))
    pairs = clips.pairs([(clip, 1, 0)], half_a_place, small=False)
    assert pairs.visible[0, 0, 2:7, 0].tolist() == pytest.approx([0, 0.5, 1, 0.5, 0], abs=1e-4)
    assert pairs.known[0, 0, 2:7, 0].tolist() == [0, 0, 1, 0, 0]


@pytest.mark.parametrize("part", ["eye_l", "lip"])
def test_most_sources_are_as_sitters_are_painted(tmp_path, part):
    """With open eyes and a shut mouth, that is: of two frames, the one that is more like that."""
    names = [f"{part}_upper", f"{part}_lower", "chin", "nose"]
    clips = Clips(write_clips(tmp_path / "data", 1, names) / "train", 4)
    clips.grow()
    clip = clips.clips[0]
    clip["landmarks"][:, 0, 1], clip["landmarks"][:, 1, 1] = -0.1, torch.linspace(0, 0.3, FRAMES)
    pairs = clips.draw(400, torch.Generator().manual_seed(1), small=False, augment=False)
    source, driving = (points[:, 1, 1] - points[:, 0, 1] for points in (pairs.origin, pairs.target))
    likely = source > driving if part == "eye_l" else source < driving
    assert 0.8 < likely.float().mean() < 0.95


def test_mirroring_swaps_the_sides(data):
    assert mirrored_order(NAMES) == [1, 0, 2, 3]
    assert mirrored_order(["mouth_left", "mouth_right"]) == [1, 0]
    clips = Clips(data / "train", 4)
    clips.grow()
    picks = [(clips.clips[0], 1, 0)]
    plain = clips.pairs(picks, None, small=False)
    flip = Affine(torch.tensor([[[-1.0, 0.0], [0.0, 1.0]]]), torch.zeros(1, 2), torch.tensor([True]))
    mirrored = clips.pairs(picks, flip, small=False)
    assert torch.allclose(mirrored.source, plain.source.flip(3), atol=1e-5)
    expected = plain.origin[:, [1, 0, 2, 3]] * torch.tensor([-1.0, 1.0])
    assert torch.allclose(mirrored.origin, expected, atol=1e-6)
    assert torch.allclose(
        warp(mirrored.source, mirrored.flow), warp(plain.source, plain.flow).flip(3), atol=2e-2
    )


def test_data_that_cannot_be_trained_on_is_told(data, tmp_path):
    with pytest.raises(UserError, match="no training clips in"):
        run(tmp_path, tmp_path / "out", 2)
    (tmp_path / "dataset.json").write_text(json.dumps({"landmarks": NAMES}))
    with pytest.raises(UserError, match="no training clips in"):
        run(tmp_path, tmp_path / "out", 2)
    (tmp_path / "clip_00000.npz").write_bytes(b"not a clip")
    with pytest.raises(UserError, match=r"clip_00000\.npz"):
        run(tmp_path, tmp_path / "out", 2)
    other = write_clips(tmp_path / "other", 1, NAMES[:3])
    with pytest.raises(UserError, match="3 landmarks, the model has 4 keypoints"):
        run(other, tmp_path / "out", 2)
    assert not (tmp_path / "out").exists()


def test_a_damaged_clip_among_good_ones_is_skipped_and_named(tmp_path):
    folder = write_clips(tmp_path / "data", 2)
    (folder / "train" / "clip_00009.npz").write_bytes(b"PK\x03\x04 cut off")
    lines: list[str] = []
    config_of_motion = config()
    config_of_motion["train_params"]["motion"]["share"] = 1.0
    train(config_of_motion, folder, tmp_path / "out", steps=2, say=lines.append, device="cpu")
    assert sum("clip_00009.npz" in line for line in lines) == 1
    assert "2 clips" in lines


def test_resuming_needs_the_same_configuration(data, tmp_path):
    settings = config()
    settings["train_params"]["motion"]["share"] = 1.0
    run(data, tmp_path / "out", 1, config=settings)
    settings["model_params"]["generator_params"]["num_bottleneck_blocks"] = 2
    with pytest.raises(UserError, match="another configuration"):
        run(data, tmp_path / "out", 2, config=settings, resume=True)


def test_training_begins_with_the_weights_of_another_model(data, tmp_path):
    settings = config()
    settings["train_params"]["landmarks"].update(share=1.0, rate=1e-9)
    torch.manual_seed(3)
    first = models.build(settings)
    file = tmp_path / "first.safetensors"
    models.save(file, first, {})
    begun = models.load(str(run(data, tmp_path / "out", 1, config=settings, start=str(file))))
    for name, value in first.generator.state_dict().items():
        if "running" not in name and "num_batches" not in name:
            assert torch.allclose(begun.generator.state_dict()[name], value, atol=1e-3), name
    settings["model_params"]["generator_params"]["num_bottleneck_blocks"] = 2
    with pytest.raises(UserError, match="first has another architecture"):
        run(data, tmp_path / "other", 1, config=settings, start=str(file))


def test_what_is_not_trained_again_stays_as_it_was(data, tmp_path):
    """Its batch norm statistics too: those of the first few batches would be worse than what it comes with."""
    settings = config()
    settings["train_params"]["landmarks"]["share"] = 0.0
    settings["train_params"]["motion"]["share"] = 1.0
    first = models.load(str(run(data, tmp_path / "first", 3)))
    begun = run(data, tmp_path / "out", 3, config=settings, start=str(tmp_path / "first" / MODEL))
    state = models.load(str(begun)).kp_detector.state_dict()
    for name, value in first.kp_detector.state_dict().items():
        assert torch.equal(state[name], value), name


def test_rendered_clips_have_no_epochs(data, tmp_path):
    with pytest.raises(UserError, match="no epochs"):
        train(config(), data, tmp_path / "out", epochs=2, device="cpu")


def test_which_landmarks_matter_is_told_by_their_names(tmp_path):
    data = write_clips(tmp_path / "data", 1, ["eye_l", "jaw_l", "lip_upper", "nose_tip"])
    objective = Supervised(Setting(config(), data, tmp_path, torch.device("cpu"))).objective
    assert objective.kinds == [[0], [2]], "eyes, and mouth"
    assert objective.facial == [0, 2, 3], "and the others that no pose hides"


def test_the_batch_is_divided_among_threads_and_processes(data, tmp_path):
    setting = Setting(config(), data, tmp_path, torch.device("cpu"), workers=2, world=2)
    course = Supervised(setting)
    assert course.shares == 2
    assert len(course._pairs("motion", torch.Generator().manual_seed(0)).source) == 8 // 4


def test_a_transparent_generator_shows_the_source(data):
    torch.manual_seed(0)
    clips = Clips(data / "train", 4)
    clips.grow()
    known, new = (
        torch.cat([clip["images"] for clip in part]).float() / 255
        for part in (clips.clips[:8], clips.clips[8:])
    )
    shipped = models.read_config("starter")
    generator = models.build(shipped).generator
    open_map = torch.ones(len(known), 1, 16, 16)
    make_transparent(generator, known, open_map, torch.Generator().manual_seed(0))
    still = coordinate_grid(16, 16, new).expand(len(new), -1, -1, -1)
    with torch.no_grad():
        shown = generator.decode(generator.encode(new), DenseMotion(still, open_map[: len(new)], None))
    coarse = torch.nn.functional.interpolate(
        torch.nn.functional.avg_pool2d(new, 4), size=new.shape[2:], mode="bilinear"
    )
    assert (shown - new).abs().mean() < (coarse - new).abs().mean()
