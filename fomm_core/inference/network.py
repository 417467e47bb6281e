"""The networks in their inference form: the same results, within rounding, as those that they are made from."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..network import DenseMotion, DenseMotionNetwork, Generator, KeypointDetector, Keypoints, Source
from ..network.generator import warp
from ..network.layers import coordinate_grid, resized
from . import layers
from .form import Form


class Detector:
    """A `KeypointDetector`: the `Keypoints` of Bx3xHxW images in [0, 1], in fp32."""

    def __init__(self, detector: KeypointDetector, form: Form):
        form = dataclasses.replace(
            form, minimal=False
        )  # little to gain here, and every error moves a whole part
        self._down = layers.copied(detector.down, form)
        self._hourglass = layers.Hourglass(detector.predictor, form)
        self._num_kp, self._temperature = detector.kp.out_channels, detector.temperature
        self._with_jacobian = detector.jacobian is not None
        self._heads = layers.heads([detector.kp, detector.jacobian], form)

    def __call__(self, image: Tensor) -> Keypoints:
        maps = self._heads(self._hourglass(self._down(image)))
        b, _, h, w = maps.shape
        maps = maps.flatten(2)
        heatmaps = (maps[:, : self._num_kp] / self._temperature).softmax(-1)
        # Sums, not matrix products: over so many places those round ten times as much.
        value = (heatmaps[..., None] * coordinate_grid(h, w, heatmaps).view(-1, 2)).sum(2)
        if not self._with_jacobian:
            return Keypoints(value, None)
        jacobian = (maps[:, self._num_kp :].unflatten(1, (-1, 4)) * heatmaps[:, :, None]).sum(-1)
        return Keypoints(value, jacobian.view(b, self._num_kp, 2, 2))


class Motion:
    """A `DenseMotionNetwork` on sources as they are `seen`, in fp32."""

    def __init__(self, network: DenseMotionNetwork, form: Form):
        self._down = layers.copied(network.down, form)
        without_weights = copy.copy(network)
        without_weights._modules = {}
        self._key: Callable[[Tensor], Tensor] = without_weights.key
        self._views: Callable[..., tuple[Tensor, Tensor]] = without_weights.views
        self._hourglass = layers.Hourglass(network.hourglass, form)
        self._heads = layers.heads([network.mask, network.occlusion], form)
        self._num_masks = network.mask.out_channels

    def seen(self, image: Tensor) -> Tensor:
        return self._key(self._down(image))

    def __call__(self, small: Tensor, driving: Keypoints, origin: Keypoints) -> DenseMotion:
        motions, views = self._views(small, driving, origin)
        masks, occlusion = self._heads(self._hourglass(views)).tensor_split([self._num_masks], dim=1)
        mask = masks.softmax(1)
        deformation = (motions * mask[..., None]).sum(1)
        return DenseMotion(deformation, occlusion.sigmoid() if occlusion.shape[1] else None, mask)


class Network:
    """A model's networks, in a form that is made for animating.

    `detect`, `encode`, `motion` and `decode` take and give what `KeypointDetector` and the methods of `Generator`
    do, on the form's device. Only the features in between have another precision and layout.
    """

    def __init__(self, generator: Generator, detector: KeypointDetector, form: Form):
        self.form = form
        self.detect = Detector(detector, form)
        self._motion = Motion(generator.dense_motion_network, form)
        # Once for a source, so in fp32: it costs nothing, and no error of it goes into every frame.
        self._encoder = [layers.same(generator.first, form)]
        self._encoder += [layers.Down(block, form) for block in generator.down_blocks]
        self._decoder = [layers.Residual(block, form) for block in generator.bottleneck]
        for block in generator.up_blocks:
            self._decoder.append(layers.Up(block, form, form.products(block.conv.out_channels)))
        self._final = layers.Separated(generator.final, form)

    def encode(self, image: Tensor) -> Source:
        """What is needed of Bx3xHxW images in [0, 1] to animate them."""
        features = image
        for block in self._encoder:
            features = block(features)
        return Source(image, features.to(self.form.features), self._motion.seen(image))

    def motion(self, source: Source, driving: Keypoints, origin: Keypoints) -> DenseMotion:
        """The motion from the poses `driving` to the source, whose keypoints are `origin`."""
        return self._motion(source.small, driving, origin)

    def decode(self, source: Source, motion: DenseMotion) -> Tensor:
        """Bx3xHxW predictions in [0, 1], float32."""
        out = self._warped(source.features, motion)
        for block in self._decoder:
            out = block(out)
        return self._final(out.float()).sigmoid_()

    def _warped(self, features: Tensor, motion: DenseMotion) -> Tensor:
        """The features as the motion sees them, less what the source hides (equation 7)."""
        occlusion = motion.occlusion_map
        if occlusion is not None:
            occlusion = resized(occlusion, features.shape[2:])
        if self.form.device.type == "cpu":
            deformation = motion.deformation
            if deformation.shape[1:3] != features.shape[2:]:
                deformation = resized(deformation.permute(0, 3, 1, 2), features.shape[2:]).permute(0, 2, 3, 1)
            return gathered(features, deformation, occlusion)
        out = warp(features, motion.deformation.to(features.dtype))
        return out if occlusion is None else out * occlusion.to(features.dtype)


def gathered(features: Tensor, grid: Tensor, weight: Tensor | None = None) -> Tensor:
    """`network.layers.sample` of BxCxHxW features by a BxhxwX2 grid, times a Bx1xhxw `weight`, on the CPU.

    Each pixel of the result is a weighted sum of four rows of a table, the features in channels_last: that is
    what `embedding_bag` computes, in a tenth of `grid_sample`'s time.
    """
    b, channels, rows, columns = features.shape
    size = torch.tensor([columns, rows])
    # What lies further outside than a pixel sees nothing either.
    place = ((grid + 1) * (size - 1) / 2).clamp(size.new_tensor(-1), size)
    first = place.floor()
    corners = torch.stack([first, first + 1], -1)  # Bxhxw, (x, y), (before, after)
    shares = torch.stack([first + 1 - place, place - first], -1)
    shares = shares * ((corners >= 0) & (corners < size[:, None]))
    corners = corners.long().clamp(torch.zeros_like(size)[:, None], size[:, None] - 1)
    index = (corners[..., 1, :, None] * columns + corners[..., 0, None, :]).flatten(3)
    share = (shares[..., 1, :, None] * shares[..., 0, None, :]).flatten(3)
    if weight is not None:
        share = share * weight.permute(0, 2, 3, 1)
    if features.stride(0) == 0:  # one source for the whole batch
        features = features[:1]
    else:
        index = index + torch.arange(b)[:, None, None, None] * (rows * columns)
    table = features.permute(0, 2, 3, 1).reshape(-1, channels)
    out = F.embedding_bag(
        index.view(-1, 4), table, mode="sum", per_sample_weights=share.view(-1, 4).to(table.dtype)
    )
    return out.view(*grid.shape[:3], channels).permute(0, 3, 1, 2)
