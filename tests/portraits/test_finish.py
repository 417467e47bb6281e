"""The looks: every medium occurs, keeps the picture's range, and leaves a face that can be told from its ground."""

from __future__ import annotations

import numpy as np

from portraits.paint import Finish, random_finish

SIZE = 64


def medium(finish: Finish) -> str:
    if finish.hatching is not None:
        return "engraving"
    if finish.relief:
        return "palette knife"
    if finish.lift > 0.12:
        return "fresco"
    return "other"


def test_every_medium_occurs_and_keeps_the_range():
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE - 0.5
    disc = x**2 + y**2 < 0.09
    picture = np.where(disc[..., None], [0.85, 0.7, 0.6], [0.12, 0.1, 0.1]).astype("f4")
    seen = set()
    for seed in range(120):
        rng = np.random.default_rng(seed)
        finish = random_finish(rng, SIZE, SIZE, painterly=True)
        out = finish.apply(picture, rng)
        seen.add(medium(finish))
        assert out.shape == picture.shape
        assert 0 <= out.min() <= out.max() <= 1
        assert out[disc].mean() > out[~disc].mean() + 0.1
    assert seen == {"engraving", "palette knife", "fresco", "other"}


def test_an_engraving_is_lines():
    rng = np.random.default_rng(0)
    grey = np.full((SIZE, SIZE, 3), 0.25, "f4")
    finishes = (random_finish(np.random.default_rng(seed), SIZE, SIZE, painterly=True) for seed in range(200))
    engraving = next(finish for finish in finishes if finish.hatching is not None)
    assert engraving.apply(grey, rng).std() > 0.05
