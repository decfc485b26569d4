"""The golden networks: weights by recipe, outputs from files."""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor


@dataclass(frozen=True)
class Golden:
    """What a reference implementation gave."""

    weights: dict[str, Tensor]
    outputs: Mapping[str, np.ndarray]

    def assert_equal(self, got: Tensor, name: str) -> None:
        """Compare with a stored array, to 1e-4 of its largest absolute value."""
        want = self.outputs[name]
        assert got.shape == want.shape
        assert np.abs(got.detach().numpy() - want).max() <= 1e-4 * np.abs(want).max()


@pytest.fixture(scope="session")
def golden_network(shared: Path) -> Callable[[str], Golden]:
    """By name: the weights that the golden outputs were made with, and those outputs."""

    def load(name: str) -> Golden:
        folder = shared / "golden" / "networks"
        keys = json.loads((folder / f"{name}_keys.json").read_text())["state_dict"]
        weights = {key: recipe_weight(key, tuple(of["shape"]), keys, name) for key, of in keys.items()}
        for key, of in keys.items():
            assert float(weights[key].double().sum()) == pytest.approx(of["sum"], rel=1e-6, abs=1e-6), key
        with np.load(folder / f"{name}_out.npz") as stored:
            return Golden(weights, dict(stored))

    return load


@pytest.fixture(scope="session")
def golden_input() -> Callable[..., Tensor]:
    """By shape: the uniform input in [0, 1] that the golden outputs were made from."""

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=torch.Generator().manual_seed(1234))

    return draw


# Output layers that would otherwise drive tanh to its ends.
FAINT = re.compile(r"gen\.(decode_[AB]\.5|dec[AB]4\.0|dec[AB]5\.2)\.weight")
# What HDRNet's guide begins with: start + spread * randn.
GUIDE: dict[str, tuple[Tensor, float]] = {
    "guide.ccm": (torch.eye(3), 0.1),
    "guide.ccm_bias": (torch.zeros(3), 0.01),
    "guide.shifts": (torch.arange(16) / 16, 0.01),
    "guide.slopes": ((torch.arange(16) == 0).float(), 0.1),
    "guide.channel_mixing.weight": (torch.tensor(1 / 3), 0.05),
}


def recipe_weight(key: str, shape: tuple[int, ...], keys: Mapping[str, object], network: str = "") -> Tensor:
    """One tensor of a golden state dict, from its key and shape, and from what kind of network it belongs to."""
    draw = torch.Generator().manual_seed(zlib.crc32(key.encode()))
    if key in GUIDE and network.startswith("hdrnet"):
        start, spread = GUIDE[key]
        return start + spread * torch.randn(shape, generator=draw)
    if network.startswith("hdrnet"):
        # Its other tensors are second draws.
        torch.randn(shape, generator=draw)
    if key.endswith((".gamma", ".beta")) or (len(shape) == 3 and shape[1:] == (1, 1)):
        return key.endswith((".gamma", ".weight")) + 0.1 * torch.randn(shape, generator=draw)
    return _by_the_table(key, shape, keys, draw)


def _by_the_table(key: str, shape: tuple[int, ...], keys: Mapping[str, object], draw: torch.Generator) -> Tensor:
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if key.endswith("running_mean"):
        return 0.1 * torch.randn(shape, generator=draw)
    if key.endswith("running_var"):
        return 0.5 + torch.rand(shape, generator=draw)
    if len(shape) > 1:
        # RFBNet's first layer sees inputs of about +-128.
        scale = 1 / 256 if key == "base.0.weight" else 0.1 if FAINT.fullmatch(key) else 1.0
        return torch.randn(shape, generator=draw) * math.sqrt(2 / math.prod(shape[1:])) * scale
    if key.endswith(".weight"):
        return 1 + 0.1 * torch.randn(shape, generator=draw)
    spread = 0.1 if f"{key.removesuffix('.bias')}.running_mean" in keys else 0.01
    return spread * torch.randn(shape, generator=draw)
