"""Several processes train the model that one would train."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from fomm_core.training import parallel
from tests.fomm_core.toy_training import Quiet, log_of, trainer, weights

ROOT = Path(__file__).resolve().parents[2]
STEPS = 3


def test_two_processes_train_as_one(tmp_path):
    """The same batch of four pairs, whole in one process or two pairs in each."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = ["-m", "tests.fomm_core.toy_training", tmp_path / "two", str(STEPS)]
    done = subprocess.run([*torchrun, *script], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    alone = trainer(tmp_path / "one", STEPS, course=Quiet)
    alone.run()
    rows = [log_of(tmp_path / name) for name in ("one", "two")]
    assert [row["step"] for row in rows[1]] == ["1", "2", "3"], "process 0 alone writes"
    for one, two in zip(*rows, strict=True):
        for term in Quiet.columns:
            # Rounding now and then moves a choice between alike candidates; other pairs would differ by percents.
            assert float(two[term]) == pytest.approx(float(one[term]), rel=1e-3)
    begun, one = (
        {name: value.clone().double() for name, value in weights(made).items()}
        for made in (trainer(tmp_path / "none", STEPS, course=Quiet), alone)
    )
    two = weights(trainer(tmp_path / "two", STEPS, course=Quiet, resume=True))

    def apart(these: dict[str, torch.Tensor]) -> float:
        return sum((these[name] - value).square().sum() for name, value in one.items()).sqrt().item()

    assert apart(two) < 1e-3 * apart(begun), "as far as the same number rounded in another order"


@pytest.fixture
def single(tmp_path):
    """A group of one process."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_batch_norm_over_all_processes_is_batch_norm(single):
    torch.manual_seed(0)
    plain = nn.BatchNorm2d(3)
    nn.init.normal_(plain.weight)
    whole = nn.Sequential(nn.BatchNorm2d(3))
    whole[0].load_state_dict(plain.state_dict())
    parallel.share_statistics(whole)
    x, weight = torch.randn(4, 3, 5, 6) * 2 + 1, torch.randn(4, 3, 5, 6)
    gradients = []
    for network in (plain, whole):
        image = x.clone().requires_grad_()
        out = network(image)
        (out * weight).sum().backward()
        gradients.append((out, image.grad, *(p.grad for p in network.parameters())))
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    for one, other in zip(plain.buffers(), whole.buffers(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    assert torch.allclose(plain.eval()(x), whole.eval()(x), atol=1e-5)
