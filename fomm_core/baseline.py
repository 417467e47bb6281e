"""The published loop's way of working on our weights: what `bench --baseline` measures against, and nothing else.

One frame at a time in fp32; the source encoded anew for each; everything that the authors' networks return, with
what only their visualisation looks at; the video read whole and resized in floats; all frames held to the end.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from skimage.transform import resize
from torch import Tensor, nn

from . import media, models, transfer
from .animator import pick_device
from .models import Model
from .motion import MotionTrack
from .network import Keypoints, warp
from .network.layers import AntiAliasedDown, sample


class _BlurredWhole(nn.Module):
    """`AntiAliasedDown` with every pixel blurred before most are dropped."""

    def __init__(self, down: AntiAliasedDown):
        super().__init__()
        self.weight, self.stride, self.padding = down.weight, down.stride, down.padding

    def forward(self, x: Tensor) -> Tensor:
        blurred = F.conv2d(x, self.weight, padding=self.padding, groups=x.shape[1])
        return blurred[:, :, :: self.stride, :: self.stride]


class PublishedLoop:
    """The plain networks, called for every frame as the authors' demo does."""

    def __init__(self, model: Model, device: torch.device):
        self.detector = copy.deepcopy(model.kp_detector).to(device)
        self.generator = copy.deepcopy(model.generator).to(device)
        for network in (self.detector, self.generator.dense_motion_network):
            if isinstance(network.down, AntiAliasedDown):
                network.down = _BlurredWhole(network.down)

    @torch.inference_mode()
    def frame(self, source: Tensor, driving: Tensor, origin: Keypoints) -> dict[str, Tensor]:
        """All outputs for one 1x3xHxW driving image, whose keypoints drive as they are."""
        return self.outputs(source, self.detector(driving), origin)

    @torch.inference_mode()
    def outputs(self, source: Tensor, driving: Keypoints, origin: Keypoints) -> dict[str, Tensor]:
        """All outputs of the generator for the 1x3xHxW source and one driving pose."""
        motion_network = self.generator.dense_motion_network
        encoded = self.generator.encode(source)
        motion = motion_network.from_small(encoded.small, driving, origin)
        candidates = motion_network.sparse_motions(driving, origin, *motion.mask.shape[2:])[0]
        views = sample(encoded.small.expand(len(candidates), -1, -1, -1), candidates)
        return {
            "mask": motion.mask,
            "sparse_deformed": views,
            "occlusion_map": motion.occlusion_map,
            "deformed": warp(source, motion.deformation),
            "prediction": self.generator.decode(encoded, motion),
        }


def animate(
    loop: PublishedLoop, painting: np.ndarray, frames: list[np.ndarray], size: int
) -> list[np.ndarray]:
    """Predictions, (S,S,3) float in [0, 1], of relative motion with the scale adapted; all at once in memory."""
    device = next(loop.detector.parameters()).device

    def tensor(image: np.ndarray) -> Tensor:
        return torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None].to(device)

    source = tensor(resize(painting, (size, size)))
    driving = [resize(frame, (size, size)) for frame in frames]

    @torch.inference_mode()
    def detected(image: Tensor) -> tuple[np.ndarray, np.ndarray]:
        return tuple(part.cpu().numpy() for part in loop.detector(image))

    origin = detected(source)
    first = detected(tensor(driving[0]))
    predictions = []
    for frame in driving:
        pose = detected(tensor(frame))
        track = MotionTrack(*(np.concatenate(pair) for pair in zip(first, pose, strict=True)), 25.0)
        value, jacobian = transfer.transfer(track, origin[0][0], origin[1][0])
        moved = Keypoints(*(torch.from_numpy(part[1:]).to(device) for part in (value, jacobian)))
        still = Keypoints(*(torch.from_numpy(part).to(device) for part in origin))
        outputs = loop.outputs(source, moved, still)
        predictions.append(outputs["prediction"][0].permute(1, 2, 0).cpu().numpy())
    return predictions


def main(arguments: list[str] | None = None) -> int:
    """A whole job, `python -m fomm_core.baseline PAINTING VIDEO …`: what `bench` starts, and takes the time of."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("painting", type=Path)
    parser.add_argument("video", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    painting = media.as_seen(media.read_painting(options.painting))
    reader = media.VideoReader(options.video)
    frames = list(itertools.islice(reader, options.frames))
    model = models.load(options.model)
    loop = PublishedLoop(model, pick_device(options.device))
    predictions = animate(loop, painting, frames, model.frame_size)
    options.output.mkdir(parents=True)
    with media.MovieWriter(options.output / "movie.mp4", reader.fps, lambda *_: None) as writer:
        for index, image in enumerate(predictions, 1):
            writer.write(index, (image * 255).astype(np.uint8))
    return 0


if __name__ == "__main__":
    sys.exit(main())
