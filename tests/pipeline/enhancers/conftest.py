"""What the authors' code gave for the crops that their weights are compared on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor


@pytest.fixture
def authors_crop(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[Tensor, Mapping[str, Tensor]]]:
    """By name of an enhancer: the crop of 61 x 83 pixels as a batch, and the authors' outputs and values between.

    Their weights are on the search path.
    """
    monkeypatch.setenv("DUSKBENCH_WEIGHTS", str(shared / "weights"))

    def load(name: str) -> tuple[Tensor, Mapping[str, Tensor]]:
        with np.load(shared / "golden" / "llie" / name / "crops.npz") as stored:
            values = {key: torch.from_numpy(stored[key]) for key in stored.files}
        return values["odd_input"].permute(2, 0, 1)[None].float() / 255, values

    return load
