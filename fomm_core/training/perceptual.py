"""The multi-scale perceptual loss: pictures compared by a network's features, on a pyramid (paper, section 3.3).

The features are those of VGG-19 as torchvision publishes it. Only its convolutions are needed, so they are
defined here and torchvision itself need not be installed: it has to match the build of torch exactly, and often
does not. Where the weights cannot be had, `RandomFeatures` stand in.
"""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import UserError
from ..network.layers import AntiAliasedDown

LEVELS = 5  # relu1_1 to relu5_1
SMALLEST = 2 ** (LEVELS - 1)  # pixels a side: the features' first four poolings leave one of them
VARIABLE = "FOMM_VGG19"  # environment: the file with the weights, or "none"
URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"  # its name ends with its SHA-256's beginning
_MEGABYTES = 548
_PATIENCE = 10  # seconds for an answer from there
_WIDTHS = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,))  # up to conv5_1
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pictures


class Vgg19Features(nn.Module):
    """VGG-19 (Simonyan and Zisserman, 2015) up to relu5_1. Its parameters have torchvision's names and are fixed.

    `forward` takes Bx3xHxW pictures in [0, 1], at least `SMALLEST` pixels a side, and returns what follows the
    first ReLU of each of the five levels.
    """

    def __init__(self):
        super().__init__()
        layers: list[nn.Module] = []
        self._taps = []
        inputs = 3
        for level in _WIDTHS:
            if layers:
                layers.append(nn.MaxPool2d(2))
            self._taps.append(len(layers) + 1)
            for width in level:
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
                inputs = width
        self.features = nn.Sequential(*layers).requires_grad_(False)
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        out = (images - self.mean) / self.deviation
        levels = []
        for index, layer in enumerate(self.features):
            out = layer(out)
            if index in self._taps:
                levels.append(out)
        return levels


class RandomFeatures(nn.Module):
    """What stands in for VGG-19: the picture and its gradients, and five levels of fixed random filters.

    Filters drawn at random respond to edges and textures of every orientation, and the statistics they see are
    known to do for comparing and synthesising pictures (He et al., 2016; Ustyuzhaninov et al., 2016). Rows of an
    orthogonal matrix lose and prefer nothing, so that a level's distance stays in proportion to the picture's;
    pooling makes the deeper ones indifferent to small shifts, as VGG's are. They know nothing of faces: what
    matters to a person counts no more than the wallpaper, and results are softer than with VGG-19. The picture
    and its gradients keep colours and edges honest. The filters depend on nothing but this code, so a training
    can be resumed and repeated.

    `forward` is like that of `Vgg19Features`.
    """

    WIDTHS = (32, 64, 96, 96, 96)

    def __init__(self):
        super().__init__()
        rng = torch.Generator().manual_seed(19)
        inputs = 3
        for level, width in enumerate(self.WIDTHS):
            matrix = torch.empty(width, inputs * 9)
            # Half of what a ReLU is given passes: the root of two makes up for it.
            nn.init.orthogonal_(matrix, gain=2**0.5, generator=rng)
            self.register_buffer(f"filters{level}", matrix.view(width, inputs, 3, 3), persistent=False)
            inputs = width

    def forward(self, images: Tensor) -> list[Tensor]:
        down = F.pad(images.diff(dim=2), (0, 0, 0, 1))
        across = F.pad(images.diff(dim=3), (0, 1))
        levels, out = [], images * 2 - 1
        for level in range(LEVELS):
            out = F.relu(F.conv2d(out, getattr(self, f"filters{level}"), padding=1))
            levels.append(out)
            out = F.avg_pool2d(out, 2) if level < LEVELS - 1 else out
        return [torch.cat([levels[0], images, down, across], dim=1), *levels[1:]]


class Pyramid(nn.Module):
    """Pictures at several scales of their size: `forward` takes BxCxHxW and returns a dictionary by scale."""

    def __init__(self, scales: list[float], channels: int = 3):
        super().__init__()
        self.scales = tuple(dict.fromkeys(scales))
        self.downs = nn.ModuleList(
            nn.Identity() if scale == 1 else AntiAliasedDown(channels, scale) for scale in self.scales
        )

    def forward(self, images: Tensor) -> dict[float, Tensor]:
        return {scale: down(images) for scale, down in zip(self.scales, self.downs, strict=True)}


def perceptual_loss(
    features: nn.Module,
    prediction: dict[float, Tensor],
    truth: dict[float, Tensor],
    weights: list[float],
) -> Tensor:
    """Mean absolute difference of the features, times each level's weight, summed over levels and scales.

    Args:
        features: `Vgg19Features` or `RandomFeatures`.
        prediction, truth: pictures by scale, from `Pyramid`; the truth gets no gradient.
        weights: `LEVELS` of them.
    """
    total = next(iter(prediction.values())).new_zeros(())
    for scale, picture in prediction.items():
        with torch.no_grad():
            wanted = features(truth[scale])
        for weight, found, goal in zip(weights, features(picture), wanted, strict=True):
            if weight:
                total = total + weight * (found - goal).abs().mean()
    return total


def perceptual_features(say: Callable[[str], None] = print) -> nn.Module:
    """VGG-19's features if the weights are there or can be fetched; else, said plainly, the stand-in.

    `VARIABLE` may name the file, .pth or .safetensors, or say "none" for the stand-in; else the weights are
    looked for where torch keeps downloads, and fetched. `say` takes a line about which features there are.

    Raises:
        UserError: a file that was named, or found, does not hold VGG-19's weights.
    """
    named = os.environ.get(VARIABLE, "")
    path = None
    if named.lower() != "none":
        path = Path(named) if named else _downloaded(say)
    if path is None:
        say(
            "VGG-19's weights are not here: the perceptual loss uses fixed random filters instead, which gives "
            f"softer pictures. To use VGG-19, save {URL} and set {VARIABLE} to the file."
        )
        return RandomFeatures()
    features = Vgg19Features()
    _fill(features, path)
    say(f"The perceptual loss uses VGG-19 from {path}.")
    return features


def _downloaded(say: Callable[[str], None]) -> Path | None:
    """Where torch keeps VGG-19's weights, fetched into there if need be; None where that fails."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(URL).name
    if path.is_file():
        return path
    try:
        with urllib.request.urlopen(urllib.request.Request(URL, method="HEAD"), timeout=_PATIENCE):
            say(f"Fetching VGG-19's weights ({_MEGABYTES} MB) to {path}.")
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = path.stem.rpartition("-")[2]
        torch.hub.download_url_to_file(URL, str(path), hash_prefix=digest, progress=False)
    except (OSError, RuntimeError):  # no network, no room, or not the file that was expected
        return None
    return path


def _fill(features: Vgg19Features, path: Path) -> None:
    """Load the weights of `path`, as torchvision names them; what else it holds does not matter."""
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        state = {key: state[key] for key in features.state_dict()}
        features.load_state_dict(state)
        complete = all(torch.isfinite(value).all() for value in state.values())
    except FileNotFoundError:
        raise UserError(
            "model", f"There is no file {path} with VGG-19's weights.", f"Save {URL} there."
        ) from None
    except Exception as error:  # damaged pickles fail in as many ways as there are bytes
        raise UserError(
            "model",
            f"{path} does not hold the weights of torchvision's VGG-19, or it is damaged.",
            f"Save {URL} anew, or set {VARIABLE}=none to do without.",
        ) from error
    if not complete:
        raise UserError("model", f"{path} holds values that are no numbers.", f"Save {URL} anew.")
