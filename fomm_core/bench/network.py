"""The network alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import torch

from .. import baseline, inference, lanes
from ..animator import BATCH, pick_device
from .measure import Measure, Settings
from .weights import model_of


def measure_network(settings: Settings) -> tuple[list[Measure], dict]:
    """The network from and to tensors on the device, batched and side by side as in a job; and its stages."""
    device = pick_device(settings.device)
    model = model_of(settings.model)
    fast = inference.build(model, device, settings.precision)
    images = driving_images(model.frame_size, settings.frames).to(device)
    batches = images.split(BATCH[device.type])
    ahead = lanes.count() if device.type == "cpu" else 0
    loop = baseline.PublishedLoop(model, device) if settings.baseline else None

    def in_lanes(stage: Callable, items: Iterable[torch.Tensor]) -> list:
        """`stage` of each, in the lanes as in a job: oneDNN lays weights out for as many threads as it finds."""
        return list(lanes.in_order(torch.inference_mode()(stage), items, ahead))

    with torch.inference_mode():
        ((source, origin),) = in_lanes(lambda image: (fast.encode(image), fast.detect(image)), [images[:1]])
        (motion,) = in_lanes(lambda image: fast.motion(source, origin, origin), [images[:1]])

        def whole(images: torch.Tensor) -> torch.Tensor:
            n = len(images)
            origins = type(origin)(*(part.expand(n, *part.shape[1:]) for part in origin))
            return fast.decode(source.expand(n), fast.motion(source.expand(n), fast.detect(images), origins))

        def published(image: torch.Tensor) -> torch.Tensor:
            return loop.frame(images[:1], image, origin)["prediction"]

        def each(stage: Callable) -> Callable:
            return lambda: in_lanes(stage, images.split(1))

        sides = {
            "network": lambda: in_lanes(whole, batches),
            "keypoints": each(fast.detect),
            "dense motion": each(lambda _: fast.motion(source, origin, origin)),
            "decoder": each(lambda _: fast.decode(source, motion)),
        }
        stages = list(sides)[1:]
        extra = {}
        if loop is not None:
            (last,) = in_lanes(whole, [images[-1:]])
            extra = _difference(last, published(images[-1:]))
            sides["published"] = lambda: [published(image) for image in images.split(1)]
        times: dict[str, list[float]] = {name: [] for name in ("published", *sides)}
        for side in sides.values():
            side()  # weights are laid out at the first call
        for _ in range(settings.rounds):
            for name, side in sides.items():
                times[name].append(_seconds(side, device) / len(images) * 1e3)
    unit = "ms per frame"
    measures = [Measure("network", unit, times["network"], times["published"])]
    return measures + [Measure(f"  {name}, alone", unit, times[name]) for name in stages], extra


def _seconds(run: Callable, device: torch.device) -> float:
    began = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def _difference(ours: torch.Tensor, published: torch.Tensor) -> dict:
    """How far two pictures are from each other, in [0, 1] and in dB."""
    difference = (ours - published).float()
    decibels = -10 * torch.log10(difference.square().mean().clamp_min(1e-20))
    return {"largest difference": float(difference.abs().max()), "PSNR": float(decibels)}


def driving_images(size: int, count: int) -> torch.Tensor:
    """`count` pictures, Bx3xSxS in [0, 1], in which smooth waves wander."""
    y, x = torch.meshgrid(torch.linspace(0, 6, size), torch.linspace(0, 6, size), indexing="ij")
    waves = [torch.sin(x * (c + 1) + i / 5) * torch.cos(y + c) for i in range(count) for c in range(3)]
    return (torch.stack(waves).view(count, 3, size, size) + 1) / 2
