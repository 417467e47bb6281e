"""The paper's training, on tiny networks and clips in which a spot wanders, from the configurations that ship."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from fomm_core import models
from fomm_core.errors import UserError
from fomm_core.training import perceptual
from fomm_core.training.course import Limit, Setting, Terms
from fomm_core.training.from_videos import FromVideos
from fomm_core.training.perceptual import RandomFeatures
from fomm_core.training.self_supervised import SelfSupervisedObjective, build_discriminator
from fomm_core.training.trainer import train

SIZE = 64
PUBLISHED = ["bair", "fashion", "mgif", "nemo", "taichi", "taichi-adv", "vox", "vox-adv"]


def shrunk(name: str) -> dict:
    """A published configuration with narrow networks on small pictures; all else is as it is."""
    config = models.read_config(f"{name}-256")
    config["dataset_params"]["frame_shape"] = [SIZE, SIZE, 3]
    if crop := config["dataset_params"]["augmentation_params"].get("crop_param"):
        crop["size"] = [SIZE, SIZE]
    config["train_params"] |= {"scales": [1, 0.5, 0.25], "batch_size": 2}
    params = config["model_params"]
    narrow = {"block_expansion": 4, "max_features": 8}
    for part in (params["kp_detector_params"], params["generator_params"]["dense_motion_params"]):
        part |= narrow | {"num_blocks": 2}
    params["generator_params"] |= {"block_expansion": 8, "max_features": 16, "num_bottleneck_blocks": 1}
    params["discriminator_params"] |= narrow
    return config


def objective_of(config: dict) -> SelfSupervisedObjective:
    torch.manual_seed(0)
    model, discriminator = models.build(config), build_discriminator(config)
    for network in (model.generator, model.kp_detector):
        network.train()
    settings = config["train_params"]
    return SelfSupervisedObjective(model, discriminator, RandomFeatures(), settings, torch.device("cpu"))


# --- the objective ----------------------------------------------------------------------------------


@pytest.fixture
def frames(picture) -> tuple[torch.Tensor, torch.Tensor]:
    """Two sources and two driving frames."""
    pictures = torch.stack([torch.from_numpy(picture(SIZE, SIZE, shift)) for shift in (0, 0.1, 0.2, 0.3)])
    return (pictures.permute(0, 3, 1, 2).float() / 255).split(2)


def terms_of(objective: SelfSupervisedObjective, frames) -> dict[str, torch.Tensor]:
    return objective.generator_terms(*frames, torch.Generator().manual_seed(1))[0]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_configuration_has_its_terms(name, frames):
    objective = objective_of(shrunk(name))
    terms = terms_of(objective, frames)
    expected = {"perceptual", "equivariance_value", "equivariance_jacobian"}
    if name not in ("vox", "taichi"):
        expected |= {"adversarial", "feature_matching"}
    assert set(terms) == expected
    assert all(torch.isfinite(term) and term > 0 for term in terms.values())
    sum(terms.values()).backward()
    for network in (objective.model.kp_detector, objective.model.generator):
        gradients = [parameter.grad for parameter in network.parameters()]
        assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)


def test_the_weights_of_the_configuration_count(frames):
    config = shrunk("vox-adv")
    before = terms_of(objective_of(config), frames)
    weights = config["train_params"]["loss_weights"]
    weights |= {"generator_gan": 3, "feature_matching": [20] * 4, "perceptual": [5] * 5}
    weights |= {"equivariance_value": 1, "equivariance_jacobian": 40}
    after = terms_of(objective_of(config), frames)
    ratios = {name: (after[name] / before[name]).item() for name in before}
    assert ratios == pytest.approx(
        {
            "adversarial": 3,
            "feature_matching": 2,
            "perceptual": 0.5,
            "equivariance_value": 0.1,
            "equivariance_jacobian": 4,
        }
    )


def test_feature_matching_is_the_sum_over_blocks_each_with_its_weight(frames):
    config = shrunk("nemo")
    config["train_params"]["loss_weights"]["feature_matching"] = [1, 0, 0, 5]
    objective = objective_of(config)
    objective.discriminator.eval()  # spectral norm moves on with every call while it trains
    terms, prediction, _ = objective.generator_terms(*frames, torch.Generator().manual_seed(1))
    features = [objective.discriminator({1: images})[1][0] for images in (frames[1], prediction)]
    distances = [(a - b).abs().mean().item() for a, b in zip(*features, strict=True)]
    assert terms["feature_matching"].item() == pytest.approx(distances[0] + 5 * distances[3], rel=1e-4)


def test_the_discriminator_learns_from_its_own_term_alone_and_sees_the_keypoints(frames):
    objective = objective_of(shrunk("vox-adv"))
    _, prediction, target = objective.generator_terms(*frames, torch.Generator().manual_seed(1))
    term = objective.discriminator_term(prediction, frames[1], target)
    term.backward()
    assert all(p.grad is not None for p in objective.discriminator.parameters())
    assert all(p.grad is None for p in objective.model.generator.parameters())
    assert all(p.grad is None for p in objective.model.kp_detector.parameters())
    elsewhere = target._replace(value=target.value.detach() * 0.5 + 0.4)
    assert objective.discriminator_term(prediction, frames[1], elsewhere).item() != term.item()


def test_the_discriminator_learns_to_tell_pictures_apart(frames):
    config = shrunk("vox-adv")
    config["model_params"]["discriminator_params"] |= {"block_expansion": 16, "max_features": 32}
    objective = objective_of(config)
    _, prediction, target = objective.generator_terms(*frames, torch.Generator().manual_seed(1))
    optimizer = torch.optim.Adam(objective.discriminator.parameters(), lr=2e-3)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        term = objective.discriminator_term(prediction, frames[1], target)
        term.backward()
        optimizer.step()
        losses.append(term.item())
    assert losses[-1] < 0.5 * losses[0]


def test_a_model_without_jacobians_has_no_term_for_them(frames):
    config = shrunk("vox-adv")
    config["model_params"]["common_params"]["estimate_jacobian"] = False
    terms = terms_of(objective_of(config), frames)
    assert "equivariance_jacobian" not in terms
    assert "equivariance_value" in terms


def test_without_weights_for_it_nothing_is_deformed(frames):
    config = shrunk("vox")
    config["train_params"]["loss_weights"] |= {"equivariance_value": 0, "equivariance_jacobian": 0}
    assert set(terms_of(objective_of(config), frames)) == {"perceptual"}


# --- the course -------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    """Neither the weights of VGG-19 nor the network they would come from."""
    monkeypatch.setenv(perceptual.VARIABLE, "none")


@pytest.fixture(scope="module")
def data(tmp_path_factory, picture) -> Path:
    """Four clips of a wandering spot, as folders of pictures, one of them held out."""
    folder = tmp_path_factory.mktemp("data")
    for clip in range(4):
        frames = folder / ("test" if clip == 3 else "train") / f"{clip}#a"
        frames.mkdir(parents=True)
        for i in range(5):
            Image.fromarray(picture(SIZE, SIZE, 0.08 * i - 0.1 * clip)).save(frames / f"{i}.png")
    return folder


@pytest.fixture
def course_of(data, tmp_path) -> Callable:
    """`course_of(config, model, **setting)`: a course on `data`, closed at the end."""
    made = []

    def make(config: dict, model: models.Model | None = None, **changes) -> FromVideos:
        values = {"data": data, "output": tmp_path / "out", "device": torch.device("cpu"), "workers": 0}
        made.append(FromVideos(Setting(config=config, **(values | changes)), model))
        return made[-1]

    yield make
    for course in made:
        course.close()


def descend(course: FromVideos, step: int) -> Terms:
    """One step as the loop makes it."""
    rng = torch.Generator().manual_seed(step)
    course.begin(step, 0.0, rng)
    rates = course.rates(step, 0.0)
    for optimizer in course.optimizers.values():
        optimizer.zero_grad()
    terms = course.terms(step, 0.0, rng)
    parameters = {name: course.optimizers[name].param_groups[0]["params"] for name in rates}
    if terms.judged is not None:
        terms.judged.backward(inputs=parameters["discriminator"], retain_graph=True)
    terms.loss.backward(
        inputs=[p for name, own in parameters.items() if name != "discriminator" for p in own]
    )
    for name, rate in rates.items():
        course.optimizers[name].param_groups[0]["lr"] = rate
        course.optimizers[name].step()
    return terms


def weights_of(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([value.detach().flatten().float().clone() for value in network.state_dict().values()])


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_configuration_makes_a_step(name, course_of):
    course = course_of(shrunk(name))
    before = {part: weights_of(network) for part, network in course.networks.items()}
    terms = descend(course, 0)
    changed = {
        part
        for part, network in course.networks.items()
        if not torch.equal(before[part], weights_of(network))
    }
    assert changed == set(course.rates(0, 0.0))
    assert ("discriminator" in changed) == (name not in ("vox", "taichi"))
    assert ("kp_detector" in changed) == (name != "taichi-adv")
    assert set(terms.values) <= set(course.columns)
    assert terms.loss.item() == pytest.approx(
        sum(value.item() for part, value in terms.values.items() if part != "discriminator"), rel=1e-5
    )


def test_a_few_steps_lower_the_reconstruction(course_of):
    config = shrunk("vox")
    config["train_params"] |= {"lr_generator": 5e-3, "lr_kp_detector": 5e-4, "scales": [1, 0.5]}
    course = course_of(config)
    losses = [descend(course, step).values["perceptual"].item() for step in range(24)]
    assert sum(losses[-5:]) < 0.75 * sum(losses[:5])


def test_a_model_without_jacobians_trains_too(course_of):
    config = shrunk("vox")
    config["model_params"]["common_params"]["estimate_jacobian"] = False
    course = course_of(config)
    before = weights_of(course.model.kp_detector)
    assert torch.isfinite(descend(course, 0).loss)
    assert not torch.equal(before, weights_of(course.model.kp_detector))


def test_half_precision_says_nearly_the_same(course_of):
    losses = [
        descend(course_of(shrunk("vox-adv"), precision=name), 0).loss.item() for name in ("fp32", "bf16")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert losses[1] != losses[0]


def test_a_resumed_training_goes_on_as_if_it_had_never_stopped(data, tmp_path):
    config = shrunk("vox-adv")

    def run(output: Path, steps: int, resume: bool = False) -> None:
        options = {"device": "cpu", "precision": "fp32", "workers": 0, "say": said.append}
        train(config, data, output, steps=steps, resume=resume, **options)

    def logged(output: Path) -> list[dict[str, str]]:
        with open(output / "log.csv", newline="") as file:
            return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]

    said: list[str] = []
    run(tmp_path / "whole", 4)
    run(tmp_path / "halves", 2)
    run(tmp_path / "halves", 4, resume=True)
    assert [row["step"] for row in logged(tmp_path / "whole")] == ["1", "2", "3", "4"]
    assert logged(tmp_path / "halves") == logged(tmp_path / "whole")
    whole, halves = (models.load(str(tmp_path / name / "model.safetensors")) for name in ("whole", "halves"))
    assert torch.equal(weights_of(whole.generator), weights_of(halves.generator))
    assert whole.metadata["perceptual_loss"] == "random filters"
    assert any("VGG-19's weights are not here" in line for line in said)


def test_rates_fall_at_the_milestones_and_rise_at_the_start(course_of):
    config = shrunk("bair")  # 3 clips, each once an epoch, two in a batch: one step an epoch
    config["train_params"]["warm_up"] = 4
    course = course_of(config)
    assert course.epoch == 1
    assert course.limit == Limit(steps=20)
    assert (
        course.save_every.reached(9, 599)
        < 1
        <= min(course.save_every.reached(*m) for m in ((10, 0), (0, 600)))
    )
    rates = [course.rates(step, 0.0)["generator"] for step in range(20)]
    expected = [2e-4] * 12 + [2e-5] * 6 + [2e-6] * 2
    expected[:4] = [0.5e-4, 1e-4, 1.5e-4, 2e-4]
    assert rates == pytest.approx(expected)


def test_the_same_seed_trains_the_same_and_a_late_start_draws_the_same_pairs(course_of):
    config = shrunk("vox-adv")
    first, second = course_of(config), course_of(config)
    losses = [[descend(course, step).loss.item() for step in range(3)] for course in (first, second)]
    assert losses[0] == losses[1]
    late = course_of(config)
    assert all(torch.equal(a, b) for a, b in zip(late._batch(7), list(map(first._batch, range(3, 8)))[-1]))


def test_processes_share_a_batch(course_of):
    config = shrunk("vox")
    whole = course_of(config)._batch(1)
    halves = [course_of(config, rank=rank, world=2)._batch(1) for rank in range(2)]
    for frames, first, second in zip(whole, *halves):
        assert torch.equal(frames, torch.cat([first, second]))
    with pytest.raises(UserError, match="batch of 2 pairs cannot be shared by 3"):
        course_of(config, world=3)


def test_a_given_model_is_trained_on_and_another_architecture_is_refused(course_of):
    config = shrunk("taichi-adv")
    model = models.build(shrunk("taichi"), "taichi")
    course = course_of(config, model)
    assert course.model is model
    assert not any("random weights" in line for line in course.news())
    assert any("random weights" in line for line in course_of(config).news())
    with pytest.raises(UserError, match="taichi has another architecture"):
        course_of(shrunk("mgif"), model)


def test_held_out_clips_are_shown_and_what_was_skipped_is_told_once(data, course_of, tmp_path):
    course = course_of(shrunk("vox"))
    shown = course.shown()
    assert shown.source.shape == shown.driving.shape == (1, 3, SIZE, SIZE)
    assert shown is course.shown()
    assert "not here" in course.news()[0]
    assert course.about() == {"data": "3 videos", "perceptual_loss": "random filters"}

    mixed = tmp_path / "mixed"
    mixed.mkdir()
    (mixed / "good").symlink_to(data / "train" / "0#a")
    (mixed / "torn.mp4").write_bytes(b"\0" * 100)
    (mixed / "train").mkdir()
    for path in (mixed / "good", mixed / "torn.mp4"):
        path.rename(mixed / "train" / path.name)
    course = course_of(shrunk("vox"), data=mixed, output=tmp_path / "other")
    for step in range(4):
        course._batch(step)
    assert [line for line in course.news() if line.startswith("skipped torn.mp4: ")]
    assert not course.news()
    assert len(course.shown().source) == 1


def test_a_training_is_not_resumed_with_another_perceptual_loss(course_of):
    course = course_of(shrunk("vox"))
    course.load_state(course.state())
    with pytest.raises(UserError, match="begun with VGG-19"):
        course.load_state({"perceptual_loss": "VGG-19"})


def test_a_folder_without_videos_and_a_wrong_setting_are_refused(course_of, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="no video in"):
        course_of(shrunk("vox"), data=empty)
    config = shrunk("vox")
    config["train_params"]["bach_size"] = 3
    with pytest.raises(UserError, match="Did you mean 'batch_size'"):
        course_of(config)
    config = shrunk("vox")
    del config["model_params"]["discriminator_params"]
    with pytest.raises(UserError, match="discriminator_params"):
        course_of(config)
