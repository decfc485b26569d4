"""URetinex-Net: its illumination before and after the adjustment, the ratio, and the file of four networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.enhancers.uretinex import URetinex
from duskbench.pipeline.network_weights import load_state_dict
from duskbench.pipeline.registry import load_enhancer


def test_values_between_are_the_authors(authors_crop: Any) -> None:
    batch, wanted = authors_crop("uretinex")
    network = URetinex().network
    with torch.inference_mode():
        _, illumination = network.decompose(batch)
        torch.testing.assert_close(illumination, wanted["odd_L"], rtol=0, atol=1e-5)
        torch.testing.assert_close(network.model_A(illumination, 5.0), wanted["odd_high_L"], rtol=0, atol=1e-5)


def test_it_is_clipped_at_the_end_only(authors_crop: Any) -> None:
    batch, _ = authors_crop("uretinex")
    with torch.inference_mode():
        reflectance, _ = URetinex().network.decompose(batch)
    assert reflectance.min() < 0 or reflectance.max() > 1


def test_one_file_has_all_networks(shared: Path) -> None:
    names = {key.partition(".")[0] for key in load_state_dict(shared / "weights" / "uretinex" / "L_adjust.pth")}
    assert names == {"model_decom", "model_R", "model_L", "model_A"}


@pytest.mark.parametrize("ratio", [0, -1.0, float("nan"), float("inf")])
def test_a_ratio_out_of_range(ratio: float) -> None:
    with pytest.raises(ConfigError, match="ratio"):
        load_enhancer({"type": "uretinex", "ratio": ratio})
