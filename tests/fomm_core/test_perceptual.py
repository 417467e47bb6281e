"""The perceptual loss: where its features come from, and what it asks of pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fomm_core.errors import UserError
from fomm_core.training import perceptual
from fomm_core.training.perceptual import (
    Pyramid,
    RandomFeatures,
    Vgg19Features,
    perceptual_features,
    perceptual_loss,
)

WEIGHTS = [10.0] * 5


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """Weights under torchvision's names, with a classifier that nobody needs."""
    torch.manual_seed(0)
    return {**Vgg19Features().state_dict(), "classifier.0.weight": torch.zeros(2, 2)}


@pytest.fixture(scope="module")
def vgg_file(state, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save(state, path)
    return path


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    """Neither this machine's downloads nor its network decide what a test sees."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv(perceptual.VARIABLE, raising=False)

    def refused(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(perceptual.urllib.request, "urlopen", refused)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def pictures() -> torch.Tensor:
    rng = torch.Generator().manual_seed(1)
    rough = torch.rand(2, 3, 8, 8, generator=rng)
    return torch.nn.functional.interpolate(rough, size=(32, 32), mode="bilinear")


def test_the_layers_are_those_of_torchvision(state, pictures):
    # torchvision's documentation of vgg19 counts them so: convolutions, ReLUs and poolings up to relu5_1.
    convolutions = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28)
    names = {f"features.{i}.{what}" for i in convolutions for what in ("weight", "bias")}
    assert set(state) - {"classifier.0.weight"} == names
    shapes = [tuple(level.shape[1:]) for level in Vgg19Features()(pictures)]
    assert shapes == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 2, 2)]


def test_each_level_is_what_follows_its_first_relu(pictures):
    features = Vgg19Features()
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    out = (pictures - mean[:, None, None]) / deviation[:, None, None]
    found = features(pictures)
    for level, last in enumerate((1, 6, 11, 20, 29)):
        torch.testing.assert_close(found[level], features.features[: last + 1](out))
        assert found[level].min() >= 0


@pytest.mark.parametrize("way", ["variable", "hub", "safetensors"])
def test_the_weights_are_found(way, state, vgg_file, tmp_path, monkeypatch, said):
    if way == "variable":
        monkeypatch.setenv(perceptual.VARIABLE, str(vgg_file))
    elif way == "hub":
        kept = Path(torch.hub.get_dir()) / "checkpoints" / "vgg19-dcbb9e9d.pth"
        kept.parent.mkdir(parents=True)
        kept.symlink_to(vgg_file)
    else:
        save_file(state, tmp_path / "vgg19.safetensors")
        monkeypatch.setenv(perceptual.VARIABLE, str(tmp_path / "vgg19.safetensors"))
    features = perceptual_features(said.append)
    assert isinstance(features, Vgg19Features)
    assert torch.equal(features.state_dict()["features.28.weight"], state["features.28.weight"])
    assert not any(parameter.requires_grad for parameter in features.parameters())
    assert "VGG-19 from" in said[-1]


@pytest.mark.parametrize("asked", ["", "none"])
def test_without_the_weights_the_stand_in_is_told_of(asked, monkeypatch, said):
    if asked:
        monkeypatch.setenv(perceptual.VARIABLE, asked)
    assert isinstance(perceptual_features(said.append), RandomFeatures)
    assert "not here" in said[0]
    assert perceptual.VARIABLE in said[0]


def test_where_there_is_a_network_they_are_fetched(vgg_file, monkeypatch, said):
    class Answer:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    def download(url, path, **_):
        Path(path).write_bytes(vgg_file.read_bytes())

    monkeypatch.setattr(perceptual.urllib.request, "urlopen", lambda *_, **__: Answer())
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert isinstance(perceptual_features(said.append), Vgg19Features)
    assert "548 MB" in said[0]


@pytest.mark.parametrize("fault", ["missing", "text", "other network", "no numbers"])
def test_a_file_that_is_none_is_named(fault, state, tmp_path, monkeypatch, said):
    path = tmp_path / "weights.pth"
    monkeypatch.setenv(perceptual.VARIABLE, str(path))
    if fault == "text":
        path.write_text("not weights")
    elif fault == "other network":
        torch.save({"layer.weight": torch.zeros(3)}, path)
    elif fault == "no numbers":
        torch.save({**state, "features.0.bias": torch.full((64,), float("nan"))}, path)
    with pytest.raises(UserError, match=r"weights\.pth") as failure:
        perceptual_features(said.append)
    assert failure.value.kind == "model"
    assert perceptual.URL in failure.value.hint


def test_the_loss_grows_with_the_difference_and_has_a_gradient(pictures):
    features, pyramid = RandomFeatures(), Pyramid([1, 0.5])
    truth = pyramid(pictures)
    noise = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(2))

    def loss(images: torch.Tensor) -> torch.Tensor:
        return perceptual_loss(features, pyramid(images), truth, WEIGHTS)

    values = [loss(pictures + amount * noise).item() for amount in (0.0, 0.02, 0.1)]
    assert values[0] == 0
    assert values[1] < 0.5 * values[2]
    off = (pictures + 0.1 * noise).requires_grad_()
    loss(off).backward()
    downhill = loss(off.detach() - 1e-2 * off.grad / off.grad.norm())
    assert downhill < loss(off.detach())


def test_every_level_and_every_scale_counts(pictures):
    features, pyramid = RandomFeatures(), Pyramid([1, 0.5])
    prediction, truth = pyramid(pictures.flip(3)), pyramid(pictures)

    def loss(weights: list[float], *scales: float) -> float:
        chosen = ({s: p[s] for s in scales} for p in (prediction, truth))
        return perceptual_loss(features, *chosen, weights).item()

    levels = [loss([float(i == level) for i in range(5)], 1, 0.5) for level in range(5)]
    assert all(value > 0 for value in levels)
    assert loss([1.0] * 5, 1, 0.5) == pytest.approx(sum(levels), rel=1e-5)
    assert loss(WEIGHTS, 1, 0.5) == pytest.approx(loss(WEIGHTS, 1) + loss(WEIGHTS, 0.5), rel=1e-5)


def test_the_stand_in_is_the_same_every_time_and_deep_levels_forgive_small_shifts(pictures):
    torch.manual_seed(5)
    first = RandomFeatures()(pictures)
    torch.manual_seed(6)
    assert all(torch.equal(a, b) for a, b in zip(first, RandomFeatures()(pictures), strict=True))
    assert [tuple(level.shape[2:]) for level in first] == [(side, side) for side in (32, 16, 8, 4, 2)]

    textured = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    moved, other = textured.roll(1, 3), textured.flip(0)
    levels = [RandomFeatures()(images) for images in (textured, moved, other)]
    ratio = [((m - t).abs().mean() / (o - t).abs().mean()).item() for t, m, o in zip(*levels, strict=True)]
    assert ratio[4] < 0.7 * ratio[0]


def test_the_pyramid_is_as_large_as_its_scales_say(pictures):
    shapes = {scale: tuple(p.shape[2:]) for scale, p in Pyramid([1, 0.5, 0.25, 0.125])(pictures).items()}
    assert shapes == {1: (32, 32), 0.5: (16, 16), 0.25: (8, 8), 0.125: (4, 4)}
