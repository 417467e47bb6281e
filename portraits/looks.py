"""Who sits and how they look: identity, skin, hair, clothes, light and framing, drawn at random per clip."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .head import ANCESTRIES, Head
from .shells import Shell, Style, ruff, wrap

SKINS = {  # sRGB, light to dark
    "caucasian": [(244, 205, 184), (233, 187, 160), (222, 172, 143), (205, 150, 120), (186, 128, 98)],
    "asian": [(238, 196, 160), (224, 178, 140), (206, 156, 118), (180, 128, 94), (150, 102, 74)],
    "african": [(176, 120, 88), (146, 96, 70), (116, 74, 54), (90, 57, 43), (66, 42, 33)],
}
HAIRS = [(22, 16, 14), (38, 26, 20), (62, 40, 26), (92, 60, 36), (130, 88, 52), (172, 128, 76), (206, 172, 120),
         (120, 52, 28), (132, 127, 122), (180, 177, 172)]  # fmt: skip
IRISES = [
    (70, 42, 24),
    (92, 60, 32),
    (110, 92, 52),
    (82, 106, 78),
    (88, 120, 140),
    (112, 140, 160),
    (46, 30, 22),
]
CLOTHS = [(26, 24, 24), (52, 20, 20), (96, 22, 24), (30, 42, 58), (24, 52, 44), (70, 54, 36), (120, 92, 54),
          (150, 140, 122), (206, 198, 182), (64, 44, 72), (44, 66, 104), (160, 72, 34), (34, 34, 40)]  # fmt: skip
LIPS = [(168, 84, 78), (188, 104, 94), (150, 66, 66), (176, 48, 56), (140, 84, 72)]


def linear(colour: tuple | np.ndarray) -> np.ndarray:
    """Linear light in [0,1] from sRGB in [0,255]."""
    return (np.asarray(colour, float) / 255) ** 2.2


@dataclass
class Looks:
    """A sitter. `uniforms` go to the shader as they are; `shape` are target weights by name."""

    shape: dict[str, float]
    ancestry: np.ndarray
    uniforms: dict
    shells: list[Shell]
    male: float
    age: float
    notes: dict = field(default_factory=dict)


def _shape(
    rng: np.random.Generator, head: Head, ancestry: np.ndarray, male: float, age: float
) -> dict[str, float]:
    shape: dict[str, float] = {}
    for name, weight in zip(ANCESTRIES, ancestry):
        for sex, share in (("male", male), ("female", 1 - male)):
            for years, part in (("old", age), ("young", 1 - age)):
                value = weight * share * part
                if value > 1e-3:
                    shape[f"macrodetails/{name}-{sex}-{years}"] = value
    amount = {"head": 0.35, "nose": 0.5, "mouth": 0.4, "eyes": 0.45, "eyebrows": 0.4, "chin": 0.45, "cheek": 0.5,
              "ears": 0.5, "forehead": 0.5, "neck": 0.35, "asym": 0.35}  # fmt: skip
    skip = (
        "trans-in",
        "trans-out",
        "trans-forward",
        "trans-backward",
        "head-age",
        "head-trans",
        "breast",
        "trunk",
    )
    for name in head.target_index:
        group, _, leaf = name.partition("/")
        if group not in amount or any(s in leaf for s in skip) or leaf.startswith("r-"):
            continue
        if rng.random() < 0.22:
            value = abs(rng.normal(0, amount[group]))
            value = min(value, 1.1)
            shape[name] = value
            other = f"{group}/r-{leaf[2:]}"
            if leaf.startswith("l-") and other in head.target_index:
                shape[other] = value * rng.uniform(0.85, 1.0)  # nearly symmetric
    eyes = rng.uniform(0.0, 0.7)  # the base mesh's eyes are small
    for side in "lr":
        shape[f"eyes/{side}-eye-scale-incr"] = shape.get(f"eyes/{side}-eye-scale-incr", 0.0) + eyes
    return shape


def _tint(rng: np.random.Generator, colour: np.ndarray, amount: float) -> np.ndarray:
    return np.clip(colour * np.exp(rng.normal(0, amount) + rng.normal(0, 0.4 * amount, 3)), 0.002, 0.95)


def _hair(rng: np.random.Generator, male: float, age: float) -> tuple[dict, Style | None]:
    """The hairline's uniforms and the volume over it, None where hair lies flat."""
    man = male > 0.5
    styles = ["short", "cropped", "bald", "receding", "bob", "long", "tied", "curly"]
    odds = np.array(
        [5, 1.5, 1 + age, 1.5 + 2 * age, 1, 1.5, 0.5, 1.5] if man else [1.5, 0.2, 0.1, 0, 3, 5, 4, 2]
    )
    style = rng.choice(styles, p=odds / odds.sum())
    cut = {
        "hair_top": rng.uniform(7.92, 8.12),
        "hair_temple": rng.uniform(0.0, 0.2),
        "hair_open": rng.uniform(0.15, 0.4),
        "hair_low": rng.uniform(6.2, 6.6),
        "hair_crown": 99.0,
        "hair_ragged": rng.uniform(0.03, 0.16),
        "hair_amount": 1.0,
        "hair_strands": rng.uniform(6, 16),
        "hair_shine": rng.uniform(0.1, 0.9),
    }
    seed = int(rng.integers(1 << 30))
    volume = rng.uniform(0.5, 1.6)
    form = Style(*(volume * np.array([0.03, 0.10, 0.05, 0.10, 0.04, 0.03])), seed=seed)
    if style == "cropped":
        cut["hair_amount"] = rng.uniform(0.7, 1.0)
        return cut, None
    if style == "bald":
        cut |= {"hair_crown": rng.uniform(7.3, 7.7), "hair_amount": rng.uniform(0.3, 1)}
        return cut, None
    if style == "receding":
        cut |= {"hair_top": rng.uniform(8.15, 8.4), "hair_temple": rng.uniform(0.2, 0.35)}
    if style in ("bob", "long"):
        form.length = rng.uniform(0.4, 1.0) if style == "bob" else rng.uniform(1.1, 2.4)
        form.flare = rng.uniform(0.0, 0.45)
        cut |= {"hair_low": 2.0, "hair_open": rng.uniform(0.5, 0.85)}
        if rng.random() < 0.3:  # a fringe
            cut["hair_top"] = rng.uniform(7.72, 7.88)
    if style == "curly":
        form = Style(0.10 * volume, 0.16 * volume, 0.15 * volume, 0.15 * volume, 0.06, 0.08, seed=seed,
                     length=float(rng.choice([0.0, rng.uniform(0.4, 1.2)])), flare=rng.uniform(0, 0.3))  # fmt: skip
        cut["hair_ragged"] = rng.uniform(0.12, 0.3)
        if form.length:
            cut |= {"hair_low": 2.0, "hair_open": rng.uniform(0.4, 0.7)}
    return cut, form


def _hat(rng: np.random.Generator) -> tuple[dict, Style]:
    seed = int(rng.integers(1 << 30))
    kind = rng.choice(["cap", "turban", "scarf", "hood"])
    colours = {
        "hat_colour": linear(CLOTHS[rng.integers(len(CLOTHS))]),
        "hat_trim": linear(CLOTHS[rng.integers(len(CLOTHS))]),
        "hat_bands": float(rng.random() < 0.15) * rng.uniform(0.2, 1),
    }
    if kind == "cap":
        cut = {"hat_brim": rng.uniform(7.45, 7.65), "hat_slope": rng.uniform(0.2, 0.42)}
        return cut | colours, Style(0.10, rng.uniform(0.05, 0.5), 0.12, 0.12, 0.10, 0.03, seed=seed)
    if kind == "turban":
        cut = {"hat_brim": rng.uniform(7.35, 7.55), "hat_slope": rng.uniform(0.25, 0.42)}
        return cut | colours, Style(0.22, rng.uniform(0.1, 0.4), 0.2, 0.3, 0.15, 0.08, seed=seed)
    cut = {"hat_scarf": 1.0, "hat_face": rng.uniform(0.92, 1.15)}
    wide = rng.uniform(0.08, 0.16) if kind == "scarf" else rng.uniform(0.15, 0.3)
    form = Style(
        wide, 0.05, 0.05, 0.1, 0.02, 0.03, seed=seed, length=rng.uniform(0.8, 2.0), flare=rng.uniform(0, 0.3)
    )
    return cut | colours, form


def _light(rng: np.random.Generator) -> dict:
    side, height = rng.choice([-1, 1]) * rng.uniform(0.1, 1.2), rng.uniform(-0.05, 0.9)
    key = np.array([np.sin(side) * np.cos(height), np.sin(height), np.cos(side) * np.cos(height)])
    warm = rng.normal(0.04, 0.07)
    strength, ambient = rng.uniform(0.6, 1.25), rng.uniform(0.06, 0.42)
    return {
        "key_direction": key,
        "key_colour": strength * np.array([1 + warm, 1.0, 1 - 1.4 * warm]),
        "fill_direction": np.array([-np.sin(side), 0.1, 0.7]) / np.linalg.norm([np.sin(side), 0.1, 0.7]),
        "fill_colour": rng.uniform(0.02, 0.4) * np.exp(rng.normal(0, 0.12, 3)),
        "sky_colour": ambient * np.exp(rng.normal(0, 0.08, 3)),
        "ground_colour": ambient * rng.uniform(0.3, 0.7) * np.array([1.08, 1.0, 0.9]),
        "shadow_strength": rng.uniform(0.25, 0.95),
        "exposure": rng.uniform(0.85, 1.2),
    }


def random_looks(rng: np.random.Generator, head: Head, painterly: bool) -> Looks:
    """A sitter drawn at random. Painterly ones get brush marks on their surfaces."""
    main = rng.choice(3, p=[0.25, 0.22, 0.53])
    ancestry = np.eye(3)[main] * rng.uniform(0.6, 1.0)
    ancestry += (1 - ancestry.sum()) * rng.dirichlet([1, 1, 1])
    male = float(np.clip(rng.choice([0.1, 0.9]) + rng.normal(0, 0.15), 0, 1))
    age = float(rng.beta(0.8, 1.5))
    tones = SKINS[ANCESTRIES[main]]
    skin = _tint(rng, linear(tones[rng.integers(len(tones))]), 0.12)
    grey = rng.random() < age * 0.7
    hair = _tint(
        rng, linear(HAIRS[rng.integers(8, 10) if grey else rng.integers(0, 3 if main < 2 else 8)]), 0.2
    )
    brow = hair * rng.uniform(0.35, 0.9) if rng.random() < 0.8 else _tint(rng, linear(HAIRS[1]), 0.3)
    lip = _tint(rng, linear(LIPS[rng.integers(len(LIPS))]), 0.12) * (0.35 + 0.65 * min(1.0, skin[0] / 0.55))
    iris = _tint(rng, linear(IRISES[rng.integers(len(IRISES)) if main == 2 else rng.choice([0, 1, 6])]), 0.2)
    shape = _shape(rng, head, ancestry, male, age)

    cut, form = _hair(rng, male, age)
    shells = []
    hat = rng.random() < 0.2
    covered = {}
    if hat:
        covered, hat_form = _hat(rng)
        shells.append(wrap(head, "hat", hat_form))
        if form is not None:  # what shows from under a hat lies flat
            form.thickness, form.top, form.side, form.back, form.front, form.wave = (
                0.02,
                0,
                0.02,
                0.03,
                0.0,
                0.01,
            )
            if covered.get("hat_scarf"):
                form = None
    if form is not None:
        shells.append(wrap(head, "hair", form, cut))
    collar = rng.random() < 0.12
    if collar:
        size = rng.uniform((5.5, 0.35, 0.05), (5.75, 0.8, 0.12))
        shells.append(ruff(head, *size, folds=int(rng.integers(14, 30))))

    bearded = male > 0.6 and rng.random() < 0.45
    cloth = _tint(rng, linear(CLOTHS[rng.integers(len(CLOTHS))]), 0.25)
    uniforms = {
        "skin_colour": skin,
        "blush_colour": np.clip(skin * np.array([1.02, 0.62, 0.58]), 0, 1),
        "blush": rng.uniform(0.05, 0.75),
        "mottle": rng.uniform(0.08, 0.35),
        "age": age,
        "freckles": rng.uniform(0.1, 0.4) * (rng.random() < 0.12),
        "shine": rng.uniform(0.2, 1.6),
        "lip_colour": lip,
        "lip_amount": rng.uniform(0.45, 0.95),
        "lid_colour": skin * rng.uniform(0.45, 0.9),
        "lid_amount": rng.uniform(0.1, 0.6),
        "iris_colour": iris,
        "iris_inner": iris * rng.uniform(0.8, 1.8),
        "pupil": rng.uniform(0.15, 0.26),
        "brow_colour": brow,
        "brow_arch": rng.uniform(0.3, 1.5),
        "brow_thickness": rng.uniform(0.018, 0.052),
        "brow_amount": rng.uniform(0.35, 1.0),
        "brow_length": rng.uniform(0.9, 1.2),
        "brow_height": rng.uniform(-0.09, 0.01),
        "hair_colour": hair,
        "hair_tint": np.clip(hair * rng.uniform(1.3, 3.0), 0, 0.9),
        "beard_colour": hair * rng.uniform(0.6, 1.0),
        "beard": bearded * float(rng.choice([0, rng.uniform(0.6, 1)])),
        "moustache": bearded * float(rng.choice([0, rng.uniform(0.6, 1)], p=[0.3, 0.7])),
        "goatee": bearded * float(rng.choice([0, rng.uniform(0.6, 1)])),
        "stubble": (male > 0.6) * rng.uniform(0, 0.8),
        "tooth_colour": np.array([0.72, 0.66, 0.54]) * rng.uniform(0.75, 1.1),
        "cloth_colour": cloth,
        "cloth_trim": linear(CLOTHS[rng.integers(len(CLOTHS))]) if rng.random() < 0.5 else cloth,
        "trim_width": rng.uniform(0.02, 0.16),
        "cloth_folds": rng.uniform(0.2, 1.2),
        "neck_height": rng.uniform(5.25, 6.0),
        "neck_vee": rng.uniform(0, 0.9) * (rng.random() < 0.5),
        "collar_colour": linear((226, 220, 206)) * rng.uniform(0.7, 1.05),
        "noise_offset": rng.random(2),
        "stroke": rng.uniform(0.15, 0.7) * painterly,
        "stroke_scale": rng.uniform(0.7, 2.5),
        "hat_colour": np.zeros(3),
        "hat_trim": np.zeros(3),
        "hat_bands": 0.0,
    }
    return Looks(shape, ancestry, uniforms | cut | covered | _light(rng), shells, male, age)
