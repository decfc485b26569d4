"""PSENet: its exponents, the weights of channels that no sigmoid limits, and its checkpoint of Lightning."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from duskbench.data_tools.errors import WeightsError
from duskbench.pipeline.enhancers.psenet import PSENet, SqueezeExcite
from duskbench.pipeline.network_weights import load_state_dict


def test_the_exponents_are_the_authors(authors_crop: Any) -> None:
    batch, wanted = authors_crop("psenet")
    with torch.inference_mode():
        exponents = PSENet("sice").network.exponents(batch)
    torch.testing.assert_close(exponents, wanted["odd_gamma"], rtol=0, atol=1e-5)


def test_channels_are_weighed_without_a_sigmoid() -> None:
    layer = SqueezeExcite(1)
    for each in (layer.fc[0], layer.fc[2]):
        torch.nn.init.constant_(each.weight, 3)
        torch.nn.init.constant_(each.bias, 0)
    assert layer(torch.tensor([1.0, 3.0]).reshape(1, 1, 1, 2)).flatten().tolist() == [18, 54]


def test_the_checkpoint_is_read_without_lightning(shared: Path) -> None:
    state = load_state_dict(shared / "weights" / "psenet" / "sice.pth")
    assert len(state) == 62
    assert all(key.startswith("model.") for key in state)


class Reached:
    """What runs code when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("reached", "w"))


@pytest.mark.parametrize("where", ["hyper_parameters", "callbacks"])
def test_code_in_such_a_checkpoint_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"a": torch.zeros(1)}, where: Reached()}, "w.ckpt", pickle_module=pickle)
    with pytest.raises(WeightsError, match="Cannot read"):
        load_state_dict("w.ckpt")
    assert not Path("reached").exists()
