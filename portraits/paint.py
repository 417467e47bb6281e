"""From a rendered picture to a painting or a photograph: filters that stay the same for all frames of a clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter


def kuwahara(image: np.ndarray, radius: int) -> np.ndarray:
    """The quietest of four neighbouring squares' means, for (H,W,3): paint in patches, edges kept."""
    size = radius + 1
    mean = np.stack([uniform_filter(image[..., c], size, mode="nearest") for c in range(3)], -1)
    grey = image.mean(-1)
    average = uniform_filter(grey, size, mode="nearest")
    spread = uniform_filter(grey * grey, size, mode="nearest") - average * average
    near, far = -(radius // 2) - radius % 2, radius // 2
    best, out = None, None
    for dy in (near, far):
        for dx in (near, far):
            s, m = np.roll(spread, (-dy, -dx), (0, 1)), np.roll(mean, (-dy, -dx), (0, 1))
            if best is None:
                best, out = s.copy(), m.copy()
            else:
                better = s < best
                best[better], out[better] = s[better], m[better]
    # np.roll wraps around; at the border the plain mean is used.
    edge = radius
    for rows in (slice(0, edge), slice(-edge, None)):
        out[rows], out[:, rows] = mean[rows], mean[:, rows]
    return out


def noise_field(rng: np.random.Generator, shape: tuple[int, int], sigma: float | tuple) -> np.ndarray:
    """Smooth noise of unit spread."""
    x = gaussian_filter(rng.standard_normal(shape, "f4"), sigma, mode="wrap")
    return x / max(x.std(), 1e-6)


def background(rng: np.random.Generator, height: int, width: int, painterly: bool) -> np.ndarray:
    """What is behind the sitter, (H,W,3) float32 in [0,1]."""
    y, x = np.mgrid[0:height, 0:width].astype("f4") / height
    kind = rng.choice(
        ["dark", "plain", "wall", "landscape", "curtain", "room"], p=[0.3, 0.2, 0.15, 0.15, 0.1, 0.1]
    )
    base = rng.dirichlet([6, 5, 4]) * 3
    if kind == "dark":
        glow = np.exp(
            -((x - rng.uniform(0, 1)) ** 2 + (y - rng.uniform(0.1, 0.7)) ** 2) / rng.uniform(0.1, 0.5)
        )
        value = rng.uniform(0.03, 0.14) + rng.uniform(0.02, 0.22) * glow
        image = value[..., None] * base
    elif kind == "plain":
        angle = rng.uniform(0, 6.3)
        slope = rng.normal(0, 0.25) * ((x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle))
        image = (rng.uniform(0.2, 0.85) + slope)[..., None] * (0.6 + 0.4 * base)
    elif kind == "wall":
        value = (
            rng.uniform(0.25, 0.75)
            + 0.05 * noise_field(rng, x.shape, 12)
            + 0.02 * noise_field(rng, x.shape, 2)
        )
        image = (value + rng.normal(0, 0.2) * (x - 0.5))[..., None] * (0.6 + 0.4 * base)
    elif kind == "landscape":
        horizon = rng.uniform(0.35, 0.7) + 0.03 * noise_field(rng, (1, width), (0, width / 12))
        sky = np.stack([0.55 + 0.25 * y, 0.62 + 0.18 * y, 0.75 - 0.05 * y], -1) * rng.uniform(0.5, 1.1)
        sky += 0.05 * noise_field(rng, x.shape, (5, 14))[..., None]
        land = rng.uniform(0.12, 0.35) + 0.06 * noise_field(rng, x.shape, (3, 8))
        land = land[..., None] * (base * [1.0, 1.1, 0.7])
        image = np.where((y > horizon)[..., None], land, sky)
    elif kind == "curtain":
        folds = np.sin(x * rng.uniform(15, 45) + 0.6 * noise_field(rng, x.shape, 20))
        image = (rng.uniform(0.12, 0.4) + 0.08 * folds)[..., None] * (
            0.3 + 0.7 * rng.dirichlet([2, 2, 2]) * 3
        )
    else:
        image = np.full((height, width, 3), rng.uniform(0.15, 0.6)) * (0.6 + 0.4 * base)
        for _ in range(rng.integers(2, 7)):
            x0, y0 = rng.uniform(-0.3, 0.9, 2)
            box = (x > x0) & (x < x0 + rng.uniform(0.1, 0.6)) & (y > y0) & (y < y0 + rng.uniform(0.1, 0.8))
            image[box] = rng.uniform(0.05, 0.9) * (0.5 + 0.5 * rng.dirichlet([3, 3, 3]) * 3)
        image = gaussian_filter(image, (rng.uniform(0.5, 5),) * 2 + (0,))
    if painterly:
        marks = noise_field(rng, x.shape, tuple(rng.permutation([1.0, 5.0])))
        image = image * (1 + rng.uniform(0.02, 0.12) * marks[..., None])
    return np.clip(image, 0, 1).astype("f4")


@dataclass
class Finish:
    """A look for all frames of a clip: `apply` takes and gives (H,W,3) float in [0,1]."""

    radius: int  # of the Kuwahara filter, 0 for none
    blur: float
    contrast: float
    saturation: float
    tint: np.ndarray  # multiplies, a varnish or a white balance
    lift: float  # of the blacks
    overlay: (
        np.ndarray
    )  # (H,W,1) multiplies: canvas, cracks, vignette; belongs to the picture, not the sitter
    grain: float  # of the sensor, new in every frame
    shade: tuple[float, float, float] | None = None  # ink colour of a monochrome
    hatching: np.ndarray | None = None  # (H,W,1): an engraving, ink where the picture is darker than this
    relief: float = 0.0  # of paint laid on with a knife: its ridges catch the light

    def apply(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if self.blur > 0:
            image = gaussian_filter(image, (self.blur, self.blur, 0))
        if self.radius:
            image = kuwahara(image, self.radius)
        grey = image.mean(-1, keepdims=True)
        if self.relief:
            slope = gaussian_filter(np.diff(grey, axis=0, prepend=grey[:1]), (1, 1, 0))
            image = image * (1 + self.relief * np.clip(8 * slope, -1, 1))
        image = grey + self.saturation * (image - grey)
        if self.shade is not None:
            if self.hatching is not None:
                lines = np.clip(0.5 + 3 * (np.sqrt(grey) - self.hatching), 0, 1)
                grey = 0.3 * grey + 0.7 * lines
            image = grey + (1 - grey) * np.asarray(self.shade) * 0.6
        image = 0.42 + self.contrast * (image - 0.42)
        image = (self.lift + (1 - self.lift) * image) * self.tint * self.overlay
        if self.grain:
            image = image + self.grain * rng.standard_normal(image.shape, "f4")
        return np.clip(image, 0, 1)


def random_finish(rng: np.random.Generator, height: int, width: int, painterly: bool) -> Finish:
    """A painting's or a photograph's finish."""
    y, x = np.mgrid[0:height, 0:width].astype("f4")
    overlay = np.ones((height, width), "f4")
    middle = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) * 2
    overlay *= 1 - rng.uniform(0, 0.45) * middle
    if not painterly:
        tint = 1 + rng.normal(0, 0.05, 3)
        return Finish(
            0,
            float(rng.choice([0, rng.uniform(0.3, 1.1)])),
            rng.uniform(0.8, 1.2),
            rng.uniform(0.6, 1.2),
            tint,
            rng.uniform(0, 0.05),
            overlay[..., None],
            rng.uniform(0, 0.025),
        )
    if rng.random() < 0.7:
        pitch = rng.uniform(2.2, 4.5)
        weave = np.sin(2 * np.pi * x / pitch) * np.sin(2 * np.pi * y / pitch) + 0.5 * noise_field(
            rng, x.shape, 0.7
        )
        overlay *= 1 + rng.uniform(0.01, 0.06) * weave
    if rng.random() < 0.25:  # craquelure: thin lines where a slow noise crosses zero
        cracks = np.minimum(*(np.abs(noise_field(rng, x.shape, s)) for s in ((5, 9), (9, 5))))
        overlay *= 1 - rng.uniform(0.1, 0.4) * np.exp(-((cracks / 0.04) ** 2))
    if rng.random() < 0.3:
        overlay *= 1 + rng.uniform(0.02, 0.06) * noise_field(rng, x.shape, 6)  # uneven varnish, plaster
    yellow = rng.uniform(0, 0.22)
    medium = rng.random()
    shade = tuple(np.array([0.35, 0.22, 0.10]) * rng.uniform(0.2, 1)) if medium < 0.10 else None
    finish = Finish(
        int(rng.choice([0, 2, 3, 4], p=[0.4, 0.35, 0.2, 0.05])),
        rng.uniform(0, 0.8),
        rng.uniform(0.75, 1.2),
        rng.uniform(0.45, 1.15),
        np.array([1 + 0.2 * yellow, 1 - 0.1 * yellow, 1 - yellow]),
        rng.uniform(0, 0.08),
        overlay[..., None],
        rng.uniform(0, 0.008),
        shade,
    )
    if medium < 0.05:
        finish.hatching, finish.radius, finish.blur = hatching(rng, height, width), 0, 0.5
    elif medium > 0.9:
        finish.radius, finish.relief = int(rng.choice([4, 5, 6])), rng.uniform(0.2, 0.6)
    elif medium > 0.82:  # a fresco: chalky colours on rough plaster, worn in places
        plaster = 0.04 * noise_field(rng, x.shape, 0.8) + 0.05 * noise_field(rng, x.shape, 4)
        finish.overlay = finish.overlay * (1 + plaster)[..., None]
        finish.lift, finish.saturation = rng.uniform(0.12, 0.3), rng.uniform(0.3, 0.75)
    return finish


def hatching(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """An engraving's lines, (H,W,1) in [0,1]: fine, a little wavy, crossed in the darkest parts."""
    y, x = np.mgrid[0:height, 0:width].astype("f4")
    pitch, angle = rng.uniform(2.4, 4.0), rng.uniform(0, np.pi)
    wave = 2 * noise_field(rng, x.shape, 25)

    def lines(angle: float) -> np.ndarray:
        across = x * np.cos(angle) + y * np.sin(angle) + wave
        return 0.5 + 0.5 * np.sin(2 * np.pi * across / pitch)

    return np.maximum(0.1 + 0.8 * lines(angle), 0.5 * lines(angle + rng.uniform(0.8, 2.0)))[..., None]
