"""Trains the network that tells sitters from the wall behind them (`fomm_core/network/matting.py`).

python tools/train_matte.py --data data/starter --output fomm_core/matte.safetensors [--steps 2400 --seed 1]

Every picture is turned, mirrored, scaled, recoloured, relit, softened and partly hidden at random. Prints how well
the pictures of the `test` clips are told apart: of what the network or the truth calls sitter, the share that both
do (intersection over union), without the guided filter that follows.
"""

from __future__ import annotations

import argparse
import math
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fomm_core import models  # noqa: E402
from fomm_core.errors import UserError  # noqa: E402
from fomm_core.files import check_writable  # noqa: E402
from fomm_core.network.layers import coordinate_grid  # noqa: E402
from fomm_core.network.matting import FOUND, SEEN, MatteNetwork  # noqa: E402
from fomm_core.training.appearance import degraded, recoloured  # noqa: E402
from fomm_core.training.data import Affine  # noqa: E402

PICTURES = 24  # in a batch
RATE, WARM = 2e-3, 50  # of AdamW, reached after so many steps; then it falls to nothing along a cosine
EVERY = 100  # steps between two lines


def main(arguments: list[str] | None = None) -> int:
    """Train; returns the exit status."""
    parser = argparse.ArgumentParser(description="Trains the network that tells sitters from the wall.")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="with train and test clips")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE")
    parser.add_argument("--steps", type=int, default=2400, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        if options.steps < 1:
            raise UserError("arguments", "Without steps nothing is learnt.", "Use --steps 2400, say.")
        check_writable(options.output.parent)
        train, test = (read(options.data / part) for part in ("train", "test"))
        torch.manual_seed(options.seed)
        network = trained(MatteNetwork(), *train, options.steps, torch.Generator().manual_seed(options.seed))
        print(f"{len(test[0])} pictures that it has not seen: IoU {overlap(network, *test):.3f}")
        half = {
            name: (value.half() if value.is_floating_point() else value).contiguous()
            for name, value in network.state_dict().items()
        }
        models.write(options.output, save(half))
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def read(folder: Path) -> tuple[Tensor, Tensor]:
    """Nx3x128x128 bytes and Nx1x64x64 truths of the clips in a folder. Raises `UserError`."""
    pictures, truths = [], []
    for path in sorted(folder.glob("*.npz")):
        try:
            clip = np.load(path)
            images, face = torch.from_numpy(clip["images"]), torch.from_numpy(clip["face"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            print(f"{path.name} is left out: {error}", file=sys.stderr)
            continue
        pictures.append(F.interpolate(images.permute(0, 3, 1, 2).float(), (SEEN, SEEN), mode="area").byte())
        truths.append((face[:, None] > 0).float())
    if not pictures:
        raise UserError("arguments", f"No clip in {folder} can be read.", "Render some: docs/training.md.")
    return torch.cat(pictures), torch.cat(truths)


def trained(
    network: MatteNetwork, pictures: Tensor, truths: Tensor, steps: int, rng: torch.Generator
) -> MatteNetwork:
    """The network after so many steps, ready to be used."""
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / WARM) * (1 + math.cos(math.pi * step / steps)) / 2
    )
    network.train()
    for step in range(1, steps + 1):
        picture, truth = _augmented(pictures, truths, rng)
        loss = _loss(network(picture), truth)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % EVERY == 0:
            print(f"step {step} of {steps}: loss {loss.item():.3f}", flush=True)
    return network.eval()


def _augmented(pictures: Tensor, truths: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    chosen = torch.randint(len(pictures), (PICTURES,), generator=rng)
    affine = Affine.random(PICTURES, rng)

    def moved(maps: Tensor, side: int) -> Tensor:
        places = affine.places(coordinate_grid(side, side, torch.zeros(1)))
        return F.grid_sample(maps[chosen].float(), places, padding_mode="reflection", align_corners=True)

    return degraded(recoloured(moved(pictures, SEEN) / 255, rng), rng), moved(truths, FOUND)[:, 0]


def _loss(found: Tensor, truth: Tensor) -> Tensor:
    """Cross entropy, and what is missing of the intersection over the union."""
    share = found.sigmoid()
    both = (share * truth).sum((1, 2)) + 1
    either = (share + truth - share * truth).sum((1, 2)) + 1
    return F.binary_cross_entropy_with_logits(found, truth) + 0.5 * (1 - both / either).mean()


@torch.inference_mode()
def overlap(network: MatteNetwork, pictures: Tensor, truths: Tensor) -> float:
    """The mean intersection over union of Nx3x128x128 bytes and Nx1x64x64 truths."""
    found = torch.cat([network(part.float() / 255) for part in pictures.split(64)]) > 0
    truth = truths[:, 0] > 0.5
    return float(((found & truth).sum((1, 2)) / (found | truth).sum((1, 2)).clamp(min=1)).mean())


if __name__ == "__main__":
    sys.exit(main())
