"""Several processes that train one model (torchrun): their gradients, and batch norm over all their batches.

The gradients are summed here rather than by DistributedDataParallel, which needs every pass to go through one
module's `forward`; keypoint detector, generator and discriminator are called several times in a step.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

# An optimizer imports this. Imported with a group at work, it keeps the group as a default argument of its
# functions, and the threads of a group that is kept abort the process now and then as the interpreter ends.
import torch.distributed.nn.functional
from torch import Tensor, nn

from ..animator import pick_device


@dataclass(frozen=True)
class Group:
    """The processes of a training; `rank` of `world` is this one. One alone needs no torch.distributed."""

    rank: int
    world: int
    device: torch.device

    def sum(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its sum over all processes; float32 all of them."""
        if self.world == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))

    def first(self, value: float) -> float:
        """The value of process 0."""
        if self.world == 1:
            return value
        sent = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.broadcast(sent, 0)
        return sent.item()

    def equalise(self, networks: Iterable[nn.Module]) -> None:
        """Give every process the weights and buffers of process 0."""
        if self.world == 1:
            return
        for network in networks:
            for tensor in network.state_dict().values():
                sent = tensor.contiguous()
                dist.broadcast(sent, 0)
                tensor.copy_(sent)


@contextmanager
def joined(device: str) -> Iterator[Group]:
    """Join the processes that torchrun started, on `device` ("auto", "cpu", "cuda" …), or stand alone.

    On CUDA each process of a machine takes a graphics card of its own. Raises `UserError`.
    """
    world = int(os.environ.get("WORLD_SIZE", 1))
    chosen = pick_device(device)
    if world == 1:
        yield Group(0, 1, chosen)
        return
    if chosen.type == "cuda":
        chosen = pick_device(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    yield Group(dist.get_rank(), world, chosen)
    dist.destroy_process_group()  # not after a failure: it would wait for the others


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes; the gradient is the sum over all that use it."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


class WholeBatchNorm2d(nn.BatchNorm2d):
    """Batch norm that takes mean and variance over the batches of all processes, on any device."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        wide = x.float()
        count = x.numel() // x.shape[1] * dist.get_world_size()  # the processes' batches are of one size
        mean = _Sum.apply(wide.sum((0, 2, 3))) / count
        centred = wide - mean[:, None, None]
        variance = _Sum.apply(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


def share_statistics(network: nn.Module) -> None:
    """Turn every batch norm of `network` into one over the batches of all processes.

    The modules stay the same objects: optimizers and courses hold on to them.
    """
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = WholeBatchNorm2d
