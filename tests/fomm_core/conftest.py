"""What the tests of the core share: a tiny model with random weights, clips and paintings made here.

The model has the published architecture at small widths, on frames of 64 pixels, so that a whole job takes a
second. What needs the reference outputs or real pictures takes them from `shared`, and is skipped without it.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch
import yaml
from hypothesis import settings
from PIL import Image

from fomm_core import job, models, protocol
from fomm_core.bench.weights import randomize
from fomm_core.control import Control
from fomm_core.models import Model
from tests.fomm_core.job_output import pixels

# How long an example takes says nothing on a busy machine; the same examples each time make a failure one of ours.
settings.register_profile("core", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("core")
torch.set_num_threads(
    1
)  # the networks are tiny, and threads that wait for a busy core cost more than they bring

ROOT = Path(__file__).resolve().parents[2]
SIZE = 64

CONFIG = {
    "dataset_params": {"frame_shape": [SIZE, SIZE, 3]},
    "model_params": {
        "common_params": {"num_kp": 10, "num_channels": 3, "estimate_jacobian": True},
        "kp_detector_params": {
            "temperature": 0.1,
            "block_expansion": 8,
            "max_features": 32,
            "scale_factor": 0.25,
            "num_blocks": 3,
        },
        "generator_params": {
            "block_expansion": 16,
            "max_features": 48,
            "num_down_blocks": 2,
            "num_bottleneck_blocks": 2,
            "estimate_occlusion_map": True,
            "dense_motion_params": {
                "block_expansion": 8,
                "max_features": 32,
                "num_blocks": 3,
                "scale_factor": 0.25,
            },
        },
    },
}


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference material beside the repository."""
    folder = ROOT.parent / "shared"
    if not (folder / "reference").is_dir():
        pytest.skip("the reference material (../shared) is not here")
    return folder


@pytest.fixture(autouse=True)
def track_cache_folder(tmp_path_factory, monkeypatch) -> Path:
    """An empty cache of tracks for each test; the user's own is never touched."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("VANGOGH_CACHE", str(folder))
    return folder


@pytest.fixture
def config() -> dict:
    """The tiny model's configuration, to be changed freely."""
    return copy.deepcopy(CONFIG)


def _lively(model: Model) -> Model:
    """Random weights under which keypoints differ, move and turn, and the mask is not flat."""
    randomize(model, 7)
    with torch.no_grad():
        model.kp_detector.kp.weight.mul_(2)
        model.kp_detector.jacobian.weight.mul_(0.5)
        model.kp_detector.jacobian.bias.copy_(torch.eye(2).flatten().repeat(10))
    return model


@pytest.fixture(scope="session")
def model_file(tmp_path_factory) -> Path:
    """The tiny model as a file of ours."""
    model = _lively(models.build(copy.deepcopy(CONFIG), "tiny"))
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    models.save(path, model, {"name": "tiny"})
    return path


@pytest.fixture
def model(model_file) -> Model:
    return models.load(str(model_file))


@pytest.fixture(scope="session")
def checkpoint(model_file, tmp_path_factory) -> tuple[Path, Path]:
    """The tiny model as the published ones come, and its configuration: (.pth.tar, .yaml)."""
    folder = tmp_path_factory.mktemp("published")
    model = models.load(str(model_file))
    state = {
        "generator": model.generator.state_dict(),
        "kp_detector": model.kp_detector.state_dict(),
        "discriminator": {},
        "optimizer_generator": {"state": {}, "param_groups": [{"lr": 2e-4, "betas": (0.5, 0.999)}]},
        "epoch": 99,
    }
    path = folder / "tiny-cpk.pth.tar"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    return path, folder / "tiny.yaml"


def ffmpeg(*arguments: object) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-nostdin", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="session", name="ffmpeg")
def _ffmpeg() -> Callable:
    return ffmpeg


def picture(width: int, height: int, shift: float = 0.0) -> np.ndarray:
    """A colourful (H,W,3) uint8 picture: smooth waves and a bright spot that `shift` moves to the right."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    spot = np.exp(-((x - 0.4 - shift) ** 2 + (y - 0.4) ** 2) / 0.01)
    waves = [np.sin(9 * x + k + 2 * shift) * np.cos(7 * y + 2 * k) for k in range(3)]
    return np.stack([110 + 60 * wave + 80 * spot for wave in waves], -1).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session", name="picture")
def _picture() -> Callable:
    return picture


@pytest.fixture
def painting(tmp_path) -> Path:
    """A painting of 120 x 90 pixels."""
    path = tmp_path / "painting.png"
    Image.fromarray(picture(120, 90)).save(path)
    return path


@pytest.fixture
def clip(tmp_path) -> Callable:
    """`clip(frames, width, height, fps, name, *options)`: a driving video, in which a spot wanders."""

    def make(frames: int = 8, width: int = 64, height: int = 64, fps: object = 25, name="clip.mp4", *options):
        raw = tmp_path / "raw.rgb"
        with open(raw, "wb") as file:
            for i in range(frames):
                file.write(picture(width, height, 0.3 * np.sin(i / 5)).tobytes())
        path = tmp_path / name
        ffmpeg(
            "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", fps, "-i", raw,
            "-pix_fmt", "yuv444p", *options, path,
        )  # fmt: skip
        raw.unlink()
        return path

    return make


@pytest.fixture
def request_of(painting, model_file, tmp_path) -> Callable:
    """`request_of(video, **changes)`: a job on the painting, both regions whole."""

    def make(video: Path, **changes) -> protocol.Job:
        values = {
            "painting": str(painting),
            "video": str(video),
            "output": str(tmp_path / "out"),
            "model": str(model_file),
            "device": "cpu",
            "region": "full",
            "driving_region": "full",
        }
        return protocol.Job(**{**values, **changes})

    return make


@pytest.fixture
def soon() -> float:
    """Seconds within which a wish to stop is to be followed: two, and more where others want the processors too."""
    return 2.0 * max(1.0, os.getloadavg()[0] / os.cpu_count())


class Events(list):
    """A control's events, and when to stop."""

    def __init__(self):
        self.stop_at: Callable[[object], bool] = lambda event: False
        self.stopped = False

    def __call__(self, event: object) -> None:
        protocol.encode(event)
        self.append(event)
        self.stopped = self.stopped or self.stop_at(event)

    def of(self, cls: type) -> list:
        return [event for event in self if isinstance(event, cls)]

    def control(self) -> Control:
        return Control("test", self, lambda: self.stopped)


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """For processes of the core: the repository is importable, models go to a folder of the test's."""
    found = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return {
        **found,
        "PYTHONPATH": str(ROOT),
        "VANGOGH_MODELS": str(tmp_path / "models"),
        "OMP_NUM_THREADS": "1",
        "COVERAGE_PROCESS_START": "",
    }


@pytest.fixture
def command() -> list[str]:
    return [sys.executable, "-u", "-m", "fomm_core"]


@pytest.fixture
def lines() -> Callable:
    """JSON lines, decoded as messages of the protocol: each must be one."""
    return lambda text: [protocol.decode(line) for line in text.splitlines()]


def written_frames(output: Path) -> list[Path]:
    """A job's frames, each of which must open as a whole picture; nothing else may be there."""
    files = sorted((output / "frames").iterdir())
    for path in files:
        with Image.open(path) as image:
            image.load()
    assert [path.stem for path in files] == [f"{i:04d}" for i in range(1, len(files) + 1)]
    return files


@pytest.fixture(name="written_frames")
def _written_frames() -> Callable:
    return written_frames


@pytest.fixture
def whole(request_of, clip, events, tmp_path):
    """A video, and the frames of its uninterrupted job."""
    video = clip(12)
    request = request_of(video, output=str(tmp_path / "whole"))
    job.run(request, events.control())
    events.clear()
    return video, pixels(sorted((tmp_path / "whole" / "frames").iterdir()))


@pytest.fixture(scope="session")
def reference(shared) -> Callable:
    """`reference(name)`: a reference model's loaded networks, its inputs and the authors' outputs."""

    def load(name: str):
        folder = shared / "reference"
        loaded = models.load(str(folder / f"{name}.pth.tar"), str(folder / f"{name}.yaml"))
        return loaded, np.load(folder / "inputs.npz"), np.load(folder / f"{name}-outputs.npz")

    return load


@pytest.fixture
def shapes(shared) -> dict:
    return json.loads((shared / "reference" / "state_dict_shapes.json").read_text())


@pytest.fixture
def small_disk(tmp_path, request) -> Iterator[Path]:
    """A disk of 256 kB, or of as much as a test's parameter for it says; or a reason why there is none."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    size = f"size={getattr(request, 'param', '256k')}"
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], capture_output=True, check=False
    ) if shutil.which("mount") else None  # fmt: skip
    if made is None or made.returncode != 0:
        pytest.skip("mounting a disk is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
