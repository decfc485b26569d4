"""CLIP-LIT: its light map, what it is where there is no light, the pooling, and which borders are reflected."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from duskbench.pipeline.enhancers.clip_lit import CLIPLIT, CLIPLITNet, adaptive_mean


def test_the_light_map_is_the_authors(authors_crop: Any) -> None:
    batch, wanted = authors_crop("clip_lit")
    with torch.inference_mode():
        light = CLIPLIT().network.light(batch)
    torch.testing.assert_close(light, wanted["odd_light_map"], rtol=0, atol=1e-5)


def test_black_stays_black_where_there_is_no_light() -> None:
    network = CLIPLITNet().eval()
    nn.init.constant_(network.cond_add1.weight, 0)
    nn.init.constant_(network.cond_add1.bias, -1)
    batch = torch.tensor([0.0, 0.5, 0.0, 1.0, 0.0, 1e-30]).reshape(1, 3, 1, 2)
    with torch.inference_mode():
        assert network(batch).flatten().tolist() == [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("size", [(61, 83), (6, 12), (1, 5), (7, 2)])
@pytest.mark.parametrize("bins", [1, 2, 3, 6])
def test_the_pooling_is_that_of_torch(size: tuple[int, int], bins: int) -> None:
    batch = torch.rand(2, 4, *size, dtype=torch.float64)
    torch.testing.assert_close(adaptive_mean(batch, bins), F.adaptive_avg_pool2d(batch, bins))


def test_all_borders_but_one_are_reflected() -> None:
    layers = [(n, m) for n, m in CLIPLITNet().named_modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert {name for name, layer in layers if layer.padding_mode != "reflect"} == {"PPM1.fuse.0"}
    assert len(layers) == 17
