"""The ground truth against the pictures: what the flow says must be what is seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import grid_sample

from portraits.clip import GRID, SIZE, GroundTruth, frame_sitter, random_clip
from portraits.figure import Figure, Pose
from portraits.head import LANDMARK_NAMES
from portraits.looks import random_looks

LINE = torch.linspace(-1, 1, GRID)
IDENTITY = torch.stack(torch.meshgrid(LINE, LINE, indexing="xy"), -1)

POSES = [
    Pose(),
    Pose(),
    Pose(yaw=0.45, pitch=0.1, expression={"mouth-open": 0.8}),
    Pose(yaw=-0.5, roll=0.3, shift=(0.15, -0.1), scale=1.05),
    Pose(
        pitch=-0.35,
        expression={"mouth-corner-puller": 1.0, "eye-left-closure": 1.0, "eye-right-closure": 1.0},
    ),
]


@pytest.fixture(scope="module")
def known(head, raster):
    """A sitter in even light, whose colours therefore stick to the surface, on black: pictures and truth."""
    rng = np.random.default_rng(4)
    looks = random_looks(rng, head, painterly=False)
    even = {
        "key_colour": np.zeros(3),
        "fill_colour": np.zeros(3),
        "sky_colour": np.ones(3),
        "ground_colour": np.ones(3),
    }
    figure = Figure(head, looks.shape, looks.ancestry, looks.shells)
    raster.load(figure, looks.uniforms | even)
    camera = frame_sitter(rng, figure)
    truth, images = GroundTruth(raster, figure, camera), []
    for pose in POSES:
        points, normals = figure.posed(pose)
        raster.pose(points, normals)
        images.append(raster.colour(camera)[..., :3])
        truth.add(points)
    return torch.tensor(np.stack(images)).permute(0, 3, 1, 2), truth.solve()


def at(image: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    return grid_sample(image[None], where[None], align_corners=True)[0]


def test_warping_by_the_flow_gives_the_other_picture(known):
    images, truth = known
    for d in range(len(POSES)):
        for s in range(len(POSES)):
            mask = torch.tensor(truth.visible[d, s] & truth.face[d]).bool()
            assert mask.float().mean() > 0.08
            target = at(images[d], IDENTITY)
            warped = (at(images[s], torch.tensor(truth.flow[d, s]).float()) - target).abs().mean(0)[mask]
            copied = (at(images[s], IDENTITY) - target).abs().mean(0)[mask]
            assert warped.median() < 0.006
            assert warped.mean() < 0.03  # silhouettes are antialiased in the pictures, not in the flow
            if d > 1 and s != d:
                assert warped.mean() < 0.35 * copied.mean()


def test_equal_poses_have_identity_flow_and_see_the_same(known):
    _, truth = known
    assert np.abs(truth.flow[0, 1].astype("f4") - IDENTITY.numpy()).max() < 2e-3
    assert truth.visible[0, 1].mean() > 0.97


def test_background_stands_still(known):
    images, truth = known
    for d in range(len(POSES)):
        empty = (at(images[d], IDENTITY).sum(0) == 0).numpy() & (truth.face[d] == 0)
        for s in range(len(POSES)):
            error = np.abs(truth.flow[d, s].astype("f4") - IDENTITY.numpy()).max(-1)[empty]
            assert (error < 1e-3).mean() > 0.98  # the rest: dark cloth


def test_flow_takes_landmarks_to_landmarks(known):
    _, truth = known
    errors = []
    for d in range(len(POSES)):
        for s in range(len(POSES)):
            where = torch.tensor(truth.landmarks[d])[None]
            flow = at(torch.tensor(truth.flow[d, s]).float().permute(2, 0, 1), where)[:, 0].T
            seen = at(torch.tensor(truth.visible[d, s] & truth.face[d]).float()[None], where)[0, 0] > 0.99
            errors.append((flow - torch.tensor(truth.landmarks[s])).norm(dim=-1)[seen])
    # Hidden landmarks (under hair, behind the head) flow with what covers them, hence not the largest error.
    assert torch.cat(errors).median() * (SIZE / 2) < 0.5


def test_a_turn_to_the_left_and_a_look_down_are_just_that(head, raster):
    figure = Figure(head, {"macrodetails/caucasian-female-young": 1.0}, np.eye(3)[2], [])
    row = {n: head.landmarks[i] for i, n in enumerate(LANDMARK_NAMES)}
    rest, turned, down = (figure.posed(p)[0] for p in (Pose(), Pose(yaw=0.4), Pose(pitch=0.3)))
    assert rest[row["eye_l_outer"], 0] > 0 > rest[row["eye_r_outer"], 0]
    assert turned[row["nose_tip"], 0] > rest[row["nose_tip"], 0] + 0.2
    assert down[row["nose_tip"], 1] < rest[row["nose_tip"], 1] - 0.2
    assert np.abs(turned[row["eye_l_upper"]] - turned[row["eye_l_lower"]]).max() > 0.02


def test_a_clip_is_as_the_readme_says_and_repeats(head, raster):
    clip, again = random_clip(head, raster, (1, 0, 5)), random_clip(head, raster, (1, 0, 5))
    shapes = {name: (array.shape, array.dtype.name) for name, array in clip.items()}
    assert shapes == {
        "images": ((6, 256, 256, 3), "uint8"),
        "landmarks": ((6, len(LANDMARK_NAMES), 2), "float32"),
        "flow": ((6, 6, 64, 64, 2), "float16"),
        "visible": ((6, 6, 64, 64), "uint8"),
        "face": ((6, 64, 64), "uint8"),
    }
    assert all(np.isfinite(array).all() for array in clip.values())
    assert all(np.array_equal(clip[name], again[name]) for name in clip)
    inside = np.abs(clip["flow"].astype("f4")).max(-1) <= 1.001
    assert inside[clip["visible"] == 1].all()
    assert not np.array_equal(clip["images"], random_clip(head, raster, (1, 0, 6))["images"])
