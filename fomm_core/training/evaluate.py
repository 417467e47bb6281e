"""What a model reaches on clips it has not seen: `python -m fomm_core.training.evaluate MODEL CLIPS`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from .. import models
from ..errors import UserError
from ..network.layers import coordinate_grid
from .data import Clips


def evaluate(model: models.Model, folder: Path) -> dict[str, float]:
    """Errors over all clips in `folder`, each frame driven by every other of its clip. Raises `UserError`.

    - "landmark error (px)": mean distance of keypoints from their landmarks, in pixels of the model's frame.
    - "flow error / no motion": distance of the deformation from the true flow where the source shows the
      surface, against that of no motion at all.
    - "L1 / copying the source": of the prediction from the driving frame, against that of the source.
    - The same, within the face only.
    """
    clips = Clips(folder, model.num_kp)
    clips.grow()
    clips.require()
    totals = torch.zeros(11, dtype=torch.float64)
    with torch.inference_mode():
        for clip in clips.clips:
            frames = len(clip["images"])
            for s in range(frames):
                picks = [(clip, d, s) for d in range(frames) if d != s]
                pairs = clips.pairs(picks, None, small=False)
                origin = model.kp_detector(pairs.source)
                target = model.kp_detector(pairs.driving)
                prediction, motion = model.generator(pairs.source, target, origin)
                still = coordinate_grid(*pairs.flow.shape[1:3], pairs.flow)
                visible, face = pairs.visible[:, 0], pairs.visible[:, 0] * pairs.face[:, 0]
                wrong = (motion.deformation - pairs.flow).norm(dim=-1)
                moved = (still - pairs.flow).norm(dim=-1)
                l1 = (prediction - pairs.driving).abs().mean(1)
                copy = (pairs.source - pairs.driving).abs().mean(1)
                shown = torch.nn.functional.interpolate(pairs.face, size=l1.shape[1:])[:, 0]
                pixels = (target.value - pairs.target).norm(dim=-1) * (model.frame_size - 1) / 2
                sums = [pixels.sum(), pixels.numel()]
                sums += [(wrong * visible).sum(), (moved * visible).sum()]
                sums += [(wrong * face).sum(), (moved * face).sum()]
                sums += [l1.sum(), copy.sum(), l1.numel()]
                sums += [(l1 * shown).sum(), (copy * shown).sum()]
                totals += torch.tensor([float(x) for x in sums], dtype=torch.float64)
    t = totals.tolist()
    return {
        "landmark error (px)": t[0] / t[1],
        "flow error / no motion": t[2] / t[3],
        "flow error / no motion, face": t[4] / t[5],
        "L1": t[6] / t[8],
        "L1 / copying the source": t[6] / t[7],
        "L1 / copying the source, face": t[9] / t[10],
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fomm_core.training.evaluate", description=__doc__)
    parser.add_argument("model", help="a registered model or a model file")
    parser.add_argument("clips", type=Path, help="a folder of clips")
    arguments = parser.parse_args()
    try:
        for name, value in evaluate(models.load(arguments.model), arguments.clips).items():
            print(f"{name:32} {value:.4f}")
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
