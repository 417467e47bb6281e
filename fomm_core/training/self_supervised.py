"""The paper's training: two frames of one video, and no other knowledge (section 3.3, and the supplement).

The source is animated by the driving frame's motion and has to become the driving frame, by VGG-19's judgement
on a pyramid and, in the adversarial configurations, a discriminator's. Equivariance keeps the keypoints in place.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..models import Model
from ..network import Discriminator, Keypoints
from . import losses
from .equivariance import ThinPlateSpline, equivariance_losses
from .objective import require_finite
from .perceptual import Pyramid, perceptual_loss


class SelfSupervisedObjective:
    """The networks, asked for the weighted terms of a batch.

    Args:
        model: to be trained, on `device` already, as is the discriminator.
        discriminator: judges its pictures.
        features: `perceptual_features()`.
        settings: `train_params`, checked.
    """

    def __init__(
        self,
        model: Model,
        discriminator: Discriminator,
        features: nn.Module,
        settings: dict,
        device: torch.device,
    ):
        self.model, self.discriminator, self.features = model, discriminator, features.to(device)
        self.settings, self.weights = settings, settings["loss_weights"]
        channels = model.config["model_params"]["common_params"]["num_channels"]
        self.pyramid = Pyramid([*settings["scales"], *discriminator.scales], channels).to(device)

    @property
    def adversarial(self) -> bool:
        """Whether there is an adversary at all."""
        return self.weights["generator_gan"] > 0

    def generator_terms(
        self, source: Tensor, driving: Tensor, rng: torch.Generator
    ) -> tuple[dict[str, Tensor], Tensor, Keypoints]:
        """What keypoint detector and generator minimise, for Bx3xSxS pictures in [0, 1].

        Returns the terms, each times its weight: "perceptual", "equivariance_value", "equivariance_jacobian"
        where there are Jacobians, "adversarial" and "feature_matching" where there is an adversary; the
        predictions; the driving frames' keypoints. Raises `NotFinite`.
        """
        detector, weights = self.model.kp_detector, self.weights
        origin, target = detector(source), detector(driving)
        require_finite(*(value for value in (*origin, *target) if value is not None))
        prediction, _ = self.model.generator(source, target, origin)
        shown, truth = self.pyramid(prediction), self.pyramid(driving)
        scales = self.settings["scales"]
        terms = {
            "perceptual": perceptual_loss(
                self.features,
                {scale: shown[scale] for scale in scales},
                {scale: truth[scale] for scale in scales},
                weights["perceptual"],
            )
        }
        if weights["equivariance_value"] or weights["equivariance_jacobian"]:
            transform = ThinPlateSpline.random(
                len(driving), rng, **self.settings["transform_params"], device=driving.device
            )
            found = equivariance_losses(target, detector(transform.deform(driving)), transform)
            terms |= {name: weights[name] * term for name, term in found.items()}
        if self.adversarial:
            terms |= self._against(truth, shown, target)
        return terms, prediction, target

    def discriminator_term(self, prediction: Tensor, driving: Tensor, target: Keypoints) -> Tensor:
        """What the discriminator minimises; only it gets a gradient."""
        places = target.value.detach()
        real = self.discriminator(self.pyramid(driving), places)
        fake = self.discriminator(self.pyramid(prediction.detach()), places)
        scores = [[score for _, score in answers.values()] for answers in (real, fake)]
        return self.weights["discriminator_gan"] * losses.discriminator_loss(*scores)

    def _against(
        self, truth: dict[float, Tensor], shown: dict[float, Tensor], target: Keypoints
    ) -> dict[str, Tensor]:
        """The generator's terms against the discriminator. The keypoints cannot win by moving."""
        places = target.value.detach()
        real = [self._weighted(features) for features, _ in self.discriminator(truth, places).values()]
        answers = self.discriminator(shown, places).values()
        fake = [self._weighted(features) for features, _ in answers]
        terms = losses.adversarial_losses(real, fake, [score for _, score in answers])
        # The published loss is the sum over scales and blocks, not their mean.
        terms["feature_matching"] = terms["feature_matching"] * sum(map(len, real))
        terms["adversarial"] = self.weights["generator_gan"] * terms["adversarial"]
        return terms

    def _weighted(self, features: list[Tensor]) -> list[Tensor]:
        return [w * f for w, f in zip(self.weights["feature_matching"], features, strict=True)]


def build_discriminator(config: dict) -> Discriminator:
    """The discriminator that `config` describes, for its keypoints and channels. Raises `UserError`."""
    params = config["model_params"]
    common = {name: params["common_params"][name] for name in ("num_kp", "num_channels")}
    try:
        return Discriminator(**common, **params["discriminator_params"])
    except (KeyError, TypeError) as error:
        raise UserError(
            "model",
            f"The configuration has no right discriminator_params ({error}).",
            "configs/vox-256.yaml shows them.",
        ) from error
