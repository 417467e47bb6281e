"""`reconstruct`: what is measured, on which material, and what is skipped."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fomm_core import cli
from fomm_core.animator import Animator, Prediction
from fomm_core.errors import UserError
from fomm_core.framing import Square
from fomm_core.heads import PLACES
from fomm_core.media import VideoReader
from fomm_core.network import resized
from fomm_core.network.layers import coordinate_grid
from fomm_core.training import reconstruct as module
from fomm_core.training.reconstruct import METRICS, Driven, Tally, reconstruct

SIZE, SMALL, FRAMES, K = 64, 16, 3, 10
SQUARE = Square(0.1, -0.1, 0.7)


@pytest.fixture
def videos(tmp_path, clip, picture) -> Path:
    """A movie, a GIF and a folder of pictures, four frames each."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("a.mp4", "b.gif"):
        options = ["-pix_fmt", "rgb8"] if name.endswith("gif") else []
        clip(4, 80, 64, 10, f"videos/{name}", *options)
    (folder / "c").mkdir()
    for i in range(4):
        Image.fromarray(picture(70, 70, 0.05 * i)).save(folder / "c" / f"{i}.png")
    return folder


@pytest.fixture
def rendered(tmp_path) -> Path:
    """Two clips of random pictures that say they know landmarks, flow and visibility."""
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "dataset.json").write_text(json.dumps({"landmarks": [f"p{i}" for i in range(K)]}))
    for n in range(2):
        rng = np.random.default_rng(n)
        np.savez(
            folder / f"clip_{n}.npz",
            images=rng.integers(0, 256, (FRAMES, SIZE, SIZE, 3), dtype=np.uint8),
            landmarks=rng.uniform(-1, 1, (FRAMES, K, 2)).astype(np.float32),
            flow=rng.uniform(-1, 1, (FRAMES, FRAMES, SMALL, SMALL, 2)).astype(np.float16),
            visible=rng.integers(0, 2, (FRAMES, FRAMES, SMALL, SMALL), dtype=np.uint8),
            face=np.ones((FRAMES, SMALL, SMALL), np.uint8),
        )
    return folder


def ideal(off: float = 0.0, image: int = 0):
    """Stands in for `driven`: the truth of the rendered clips, all coordinates off by `off`, colours by `image`."""

    def answer(animator, source, frames, square):
        driving = np.stack(list(frames))
        clips = [dict(np.load(path)) for path in sorted(answer.folder.glob("*.npz"))]
        clip, s = next(
            (clip, s) for clip in clips for s in range(FRAMES) if np.array_equal(clip["images"][s], source)
        )
        others = [d for d in range(FRAMES) if d != s]
        flow = clip["flow"][others, s].astype(np.float32) + np.array([off, 0], np.float32)
        wrong = np.clip(driving.astype(int) + image, 0, 255).astype(np.uint8)
        prediction = Prediction(wrong, flow, *np.ones((2, len(driving), SMALL, SMALL), np.float32))
        yield Driven(source, driving, clip["landmarks"][others] + np.float32([off, 0]), prediction)

    return answer


def test_the_truth_has_no_errors(model, rendered, monkeypatch):
    perfect = ideal()
    perfect.folder = rendered
    monkeypatch.setattr(module, "driven", perfect)
    report = reconstruct(model, rendered, device="cpu")
    assert (report.videos, report.frames, report.skipped) == (2, 2 * FRAMES * (FRAMES - 1), {})
    assert report.errors.pop("SSIM") == 1
    assert 0.05 < report.errors.pop("hidden, of the error of copying") < 0.95
    assert set(report.errors) == {
        "L1", "L1 / copying the source", "L1 / copying the source, face", "L1 / copying the source, hidden",
        "landmark error (px)", "flow error / no motion", "flow error / no motion, face",
        "flow error / no motion, between landmarks", "beyond the face, of the flow error",
        "L1 / copying the source, true flow",
    }  # fmt: skip
    assert report.errors.pop("L1 / copying the source, true flow") > 0.1, "the pictures are random"
    assert max(report.errors.values()) < 1e-6


def test_errors_are_in_the_units_they_say(model, rendered, monkeypatch):
    wrong = ideal(off=0.1, image=16)
    wrong.folder = rendered
    monkeypatch.setattr(module, "driven", wrong)
    errors = reconstruct(model, rendered, device="cpu").errors
    assert errors["landmark error (px)"] == pytest.approx(0.1 * (SIZE - 1) / 2, rel=1e-4)
    clips = [dict(np.load(path)) for path in sorted(rendered.glob("*.npz"))]
    driving = np.stack([clip["images"] for clip in clips]).astype(int)
    off = np.abs(np.clip(driving + 16, 0, 255) - driving).mean() / 255
    assert errors["L1"] == pytest.approx(off, rel=1e-4)
    pairs = [(d, s) for d in range(FRAMES) for s in range(FRAMES) if d != s]
    copying = np.mean([np.abs(images[d] - images[s]).mean() for images in driving for d, s in pairs]) / 255
    assert errors["L1 / copying the source"] == pytest.approx(off / copying, rel=1e-4)
    unseen = [
        (1 - resized(torch.from_numpy(clip["visible"][d, s]).float()[None, None], (SIZE, SIZE))[0, 0]).numpy()
        for clip in clips
        for d, s in pairs
    ]
    brighter = [np.clip(images[d] + 16, 0, 255) - images[d] for images in driving for d, s in pairs]
    copied = [np.abs(images[s] - images[d]) for images in driving for d, s in pairs]
    wrong, copied = ((np.mean(part, axis=-1) / 255 * unseen).mean() for part in (brighter, copied))
    assert errors["L1 / copying the source, hidden"] == pytest.approx(wrong / copied, rel=1e-3)
    assert errors["hidden, of the error of copying"] == pytest.approx(copied / copying, rel=1e-3)
    still = coordinate_grid(SMALL, SMALL, torch.ones(())).numpy()
    shown = [
        (clip["flow"][d, s].astype(float), clip["visible"][d, s] > 0) for clip in clips for d, s in pairs
    ]
    moved = np.concatenate([np.linalg.norm(still - flow, axis=-1)[seen] for flow, seen in shown])
    assert errors["flow error / no motion"] == pytest.approx(0.1 / moved.mean(), rel=1e-3)
    assert errors["SSIM"] < 1


def test_the_flow_error_is_told_apart_by_where_it_is():
    """Of a square of landmarks in a frame whose left half is the sitter's."""
    grid = coordinate_grid(SMALL, SMALL, torch.zeros(()))
    face = (grid[..., 0] < 0).float()[None]
    flow = (grid + torch.tensor([0.0, 0.4]) * face[0, ..., None])[None]
    inside = (grid.abs().amax(-1) < 0.5).float()[None]
    wrong = 0.1 * inside + 0.2 * (1 - inside)
    prediction = Prediction(None, (flow + torch.stack([wrong, 0 * wrong], -1)).numpy(), None, None)
    landmarks = torch.tensor([[[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5], [0.0, 0.1]]])
    pictures = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    tally = Tally()
    tally.add_motion(
        Driven(pictures[0], pictures, landmarks.numpy(), prediction),
        landmarks,
        flow,
        torch.ones_like(face),
        face,
    )
    found = tally.means()
    assert found["flow error / no motion, between landmarks"] == pytest.approx(0.1 / 0.4, rel=1e-3)
    everywhere = (wrong * face).sum() / (0.4 * face.sum())
    assert found["flow error / no motion, face"] == pytest.approx(float(everywhere), rel=1e-3)
    assert found["beyond the face, of the flow error"] == pytest.approx(
        float((wrong * (1 - face)).sum() / wrong.sum()), rel=1e-3
    )


@pytest.mark.parametrize("count", [1, 2, 4])
def test_landmarks_on_a_line_have_nothing_between_them(count):
    grid = coordinate_grid(SMALL, SMALL, torch.zeros(()))
    line = torch.linspace(-0.5, 0.5, count)[:, None].expand(-1, 2)
    assert not module._between(line, grid).any()


def test_a_video_is_driven_by_itself_from_its_first_frame(model, tmp_path, picture):
    frames = [picture(SIZE, SIZE, 0.1 * i) for i in range(3)]
    (tmp_path / "one").mkdir()
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / "one" / f"{i}.png")
    report = reconstruct(model, tmp_path, device="cpu")
    pictures = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        found = model.kp_detector(pictures)
        source = pictures[:1].expand(3, -1, -1, -1)
        origin = type(found)(*(part[:1].expand(3, *part.shape[1:]) for part in found))
        prediction, _ = model.generator(source, found, origin)
    expected = (prediction - pictures).abs().mean().item()
    assert report.errors["L1"] == pytest.approx(expected, abs=1 / 255)
    assert (report.videos, report.frames) == (1, 3)


def test_all_kinds_of_videos_are_measured_and_a_damaged_one_is_named(model, videos, tmp_path):
    (videos / "damaged.mp4").write_bytes((videos / "a.mp4").read_bytes()[:400])
    (videos / "single").mkdir()
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(videos / "single" / "1.png")
    lines: list[str] = []
    report = reconstruct(model, videos, tmp_path / "out", device="cpu", warn=lines.append)
    assert (report.videos, report.frames) == (3, 12)
    assert set(report.skipped) == {"damaged.mp4", "single"}
    assert len(lines) == 2
    assert any("damaged.mp4" in line for line in lines)
    assert any("single has one frame only" in line for line in lines)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a.mp4.mp4", "b.gif.mp4", "c.mp4", METRICS]
    shown = list(islice(VideoReader(tmp_path / "out" / "c.mp4"), 9))
    assert [frame.shape for frame in shown] == [(SIZE, 3 * SIZE, 3)] * 4
    assert json.loads((tmp_path / "out" / METRICS).read_text())["errors"] == report.errors


def test_what_the_true_flow_leaves_is_known(model, rendered):
    """A sitter that is mirrored in one frame, and brighter by 10; the upper half hides another picture."""
    axis = np.linspace(-1, 1, SMALL)
    grid = np.stack(np.meshgrid(axis, axis), -1)
    for path in rendered.glob("*.npz"):
        clip = dict(np.load(path))
        other = clip["images"][1].copy()
        clip["images"][:] = clip["images"][0] // 2
        clip["images"][1] = clip["images"][0][:, ::-1] + 10
        clip["images"][1, : SIZE // 2] = other[: SIZE // 2]
        clip["flow"][:], clip["visible"][:] = grid, 1
        clip["flow"][1, ::2] = clip["flow"][::2, 1] = grid * [-1, 1]
        clip["visible"][1, ::2, : SMALL // 2] = clip["visible"][::2, 1, : SMALL // 2] = 0
        np.savez(path, **clip)
    clips = [np.load(path)["images"].astype(float) for path in rendered.glob("*.npz")]
    copied = sum(np.abs(a - b).mean() for images in clips for a in images for b in images)
    left = len(clips) * 4 * 10 / 2  # of the four pairs of a clip that show both, in one half of the picture
    found = reconstruct(model, rendered, device="cpu").errors["L1 / copying the source, true flow"]
    assert found == pytest.approx(left / copied, rel=0.2)  # the pictures are noise, sampled at 16-bit places


@pytest.mark.parametrize("data", ["rendered", "videos"])
def test_keypoints_are_looked_for_where_the_head_is(data, model, request, monkeypatch):
    """As in a job; of a clip's frames, or of some that are spread over a video."""
    model.metadata["landmarks"] = ",".join(list(PLACES)[-K:])
    folder = request.getfixturevalue(data)
    looked, taken = [], []
    monkeypatch.setattr(Animator, "look", lambda animator, images: looked.append(images) or SQUARE)
    plain = module.driven

    def driven(animator, source, frames, square):
        taken.append(square)
        return plain(animator, source, frames, square)

    monkeypatch.setattr(module, "driven", driven)
    reconstruct(model, folder, device="cpu")
    of_clips = [len(images) for images in looked if len(images) > 1]  # a source is looked at, too
    assert of_clips == {"rendered": [FRAMES] * 2, "videos": [1 + 4] * 3}[data]
    assert set(taken) == {SQUARE}


def test_held_out_videos_are_taken_where_the_folder_has_some(model, videos):
    (videos / "test").mkdir()
    (videos / "a.mp4").rename(videos / "test" / "a.mp4")
    assert reconstruct(model, videos, device="cpu").videos == 1


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda folder: None, "There is no folder"),
        (lambda folder: folder.mkdir(), "There is no video in"),
        (lambda folder: (folder.mkdir(), (folder / "x.mp4").write_bytes(b"no")), "No video in"),
    ],
)
def test_material_that_cannot_be_measured_is_told(model, tmp_path, prepare, words):
    prepare(tmp_path / "data")
    with pytest.raises(UserError, match=words):
        reconstruct(model, tmp_path / "data", tmp_path / "out", device="cpu", warn=lambda line: None)
    assert not (tmp_path / "out" / METRICS).exists()


def test_the_command_prints_what_was_found(model_file, videos, capsys):
    for name in ("b.gif", "c"):
        (videos / name).rename(videos.parent / name)
    (videos / "bad.mp4").write_bytes(b"no video")
    command = ["reconstruct", str(model_file), "--data", str(videos), "--device", "cpu"]
    assert cli.main([*command, "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["videos"] == 1
    assert set(found["errors"]) == {"L1", "SSIM", "L1 / copying the source"}
    assert "bad.mp4" in err
    assert cli.main(command) == 0
    out, _ = capsys.readouterr()
    assert ["SSIM", f"{found['errors']['SSIM']:.4f}"] in [line.split() for line in out.splitlines()]
    assert out.startswith("1 videos, 4 frames\n")
