"""Batch normalisation over two processes equals torch's over both batches in one."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from duskbench.pipeline.networks.sync_batch_norm import SyncBatchNorm2d, synchronise_batch_norm


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.LeakyReLU(), nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2))


def batch() -> torch.Tensor:
    return torch.rand(4, 3, 9, 7, generator=torch.Generator().manual_seed(1)) * torch.arange(1.0, 5).view(4, 1, 1, 1)


def one_of_two(rank: int, port: int, out: Path) -> None:
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    model = synchronise_batch_norm(network())
    for _ in range(2):
        result = model(batch()[rank::2])
    result.square().mean().backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    for gradient in gradients:
        dist.all_reduce(gradient)
    if rank == 0:
        torch.save({"gradients": [g / 2 for g in gradients], "state": model.state_dict(), "result": result}, out)
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(one_of_two, args=(port, tmp_path / "two.pt"), nprocs=2)
    found = torch.load(tmp_path / "two.pt")
    model = network()
    for _ in range(2):
        result = model(batch())
    result.square().mean().backward()
    torch.testing.assert_close(found["result"], result[::2], atol=1e-5, rtol=1e-4)
    for ours, theirs in zip(found["gradients"], model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs.grad, atol=1e-5, rtol=1e-3)
    for key, value in model.state_dict().items():
        torch.testing.assert_close(found["state"][key], value, atol=1e-5, rtol=1e-4)


def test_one_process_and_evaluation_are_torchs_own() -> None:
    model = synchronise_batch_norm(network())
    assert isinstance(model[1], SyncBatchNorm2d)
    assert torch.equal(model(batch()), network()(batch()))
    assert list(model.state_dict()) == list(network().state_dict())
