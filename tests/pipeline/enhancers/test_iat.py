"""IAT: the global branch's values, the normalisation without statistics, and the exponent that every picture has."""

from __future__ import annotations

from typing import Any

import torch

from duskbench.pipeline.enhancers.iat import IAT, ColorNorm, IATNet


def test_colours_and_exponent_are_the_authors(authors_crop: Any) -> None:
    batch, wanted = authors_crop("iat")
    gamma, color = IAT("lol_v1").network.global_net(batch)
    torch.testing.assert_close(gamma.flatten(), wanted["odd_gamma"].flatten(), rtol=0, atol=1e-5)
    torch.testing.assert_close(color.flatten(), wanted["odd_color"].flatten(), rtol=0, atol=1e-5)


def test_the_normalisation_has_no_statistics() -> None:
    norm = ColorNorm(2)
    with torch.no_grad():
        norm.color.copy_(torch.tensor([[1.0, 2.0], [0.0, 3.0]]))
        norm.alpha.copy_(torch.tensor([10.0, 100.0]).reshape(1, 1, 2))
        norm.beta.copy_(torch.tensor([5.0, 6.0]).reshape(1, 1, 2))
    batch = torch.tensor([[1.0, 7.0], [0.5, 0.0]]).reshape(1, 2, 1, 2)
    assert norm(batch).flatten().tolist() == [25, 75, 156, 6]


def test_every_picture_of_a_batch_has_its_own_colours() -> None:
    torch.manual_seed(0)
    network = IATNet().eval()
    batch = torch.rand(2, 3, 20, 24)
    with torch.inference_mode():
        together = network(batch)
        apart = torch.cat([network(each[None]) for each in batch])
    torch.testing.assert_close(together, apart)
    assert not torch.equal(*network.global_net(batch)[0])
