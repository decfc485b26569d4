"""LLNet: patches, network, re-assembly and costs against what the authors' code defines."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.checkpoint import safetensors_bytes
from duskbench.pipeline.enhancers.llnet import LLNet as LLNetEnhancer
from duskbench.pipeline.networks.llnet import INPUTS, PATCH, STEP, LLNet
from duskbench.pipeline.training.llnet import (
    LLNetFinetuning,
    LLNetPretraining,
    darkened,
    finetuning_losses,
    pretraining_losses,
)
from tests.pipeline.conftest import Golden

WIDTHS = (60, 52, 44, 52, 60)
SMALL: dict[str, Any] = {"type": "LLNet", "widths": (30, 20, 10, 20, 30)}


@pytest.fixture(scope="module")
def golden(golden_network: Callable[[str], Golden]) -> Golden:
    return golden_network("llnet")


@pytest.fixture(scope="module")
def network(golden: Golden) -> LLNet:
    made = LLNet(WIDTHS).double().eval()
    made.load_state_dict(golden.weights)
    return made


@pytest.fixture(scope="module")
def picture(golden: Golden) -> Tensor:
    return torch.from_numpy(golden.outputs["resized"]).permute(2, 0, 1)[None].double() / 255


@pytest.fixture(scope="module")
def patches(picture: Tensor) -> Tensor:
    return F.unfold(picture, PATCH, stride=STEP)[0].T


def test_patches_are_in_the_authors_order(golden: Golden, patches: Tensor) -> None:
    assert len(patches) == 513
    np.testing.assert_allclose(patches[:3], golden.outputs["patches_first"], atol=1e-7)
    np.testing.assert_allclose(patches[-1], golden.outputs["patches_last"], atol=1e-7)


def test_a_picture_is_put_together_as_the_authors_do(golden: Golden, network: LLNet, picture: Tensor) -> None:
    with torch.no_grad():
        result = network(picture)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(result, golden.outputs["output"], atol=1e-6)
    stretched = (result - result.min()) / (result.max() - result.min())
    np.testing.assert_array_equal(np.rint(255 * stretched), golden.outputs["saved_uint8"])


def test_costs_are_the_authors(shared: Path, network: LLNet, patches: Tensor) -> None:
    stored = json.loads((shared / "golden" / "networks" / "llnet_meta.json").read_text())
    fine = torch.stack(list(finetuning_losses(network, patches[:50], patches[50:100]).values())).sum()
    assert fine.item() == pytest.approx(stored["finetune_cost_x_patches0to49_y_patches50to99"], rel=1e-9)
    expected = stored["pretrain_layer0_cost_no_noise_zero_visible_bias"]
    layer = network.layers[0]
    losses = pretraining_losses(layer, torch.zeros(INPUTS).double(), patches[:50], patches[:50])  # type: ignore[arg-type]
    assert losses["loss_restored"].item() == pytest.approx(expected["error"], rel=1e-9)
    assert losses["loss_sparsity"].item() == pytest.approx(0.01 * expected["kl"], rel=1e-9)
    assert torch.stack(list(losses.values())).sum().item() == pytest.approx(expected["total"], rel=1e-9)


class Same(LLNet):
    """Gives patches back as they are."""

    def patches(self, patches: Tensor) -> Tensor:
        return patches


@pytest.mark.parametrize("size", [(1, 1), (16, 40), (17, 17), (18, 19), (20, 23), (25, 51)])
def test_every_pixel_is_the_mean_of_its_patches(size: tuple[int, int]) -> None:
    batch = torch.rand(2, 3, *size)
    torch.testing.assert_close(Same((4,))(batch), batch)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    made = LLNet(SMALL["widths"])
    made.initialise()
    file = tmp_path / "llnet.safetensors"
    file.write_bytes(safetensors_bytes(made.state_dict(), {"network": json.dumps(SMALL)}))
    return file


@pytest.mark.parametrize("size", [(5, 9), (80, 61), (97, 118)])
def test_tiles_equal_the_whole(weights: Path, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    whole = LLNetEnhancer(weights)(image)
    tiled = LLNetEnhancer(weights, tile_pixels=60 * 60)(image)
    assert whole.shape == image.shape
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_the_stretch_is_the_authors_and_off_by_default(weights: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    stretched = LLNetEnhancer(weights, stretch=True, tile_pixels=400)
    assert (stretched(image).min(), stretched(image).max()) == (0, 255)
    plain = LLNetEnhancer(weights)
    assert plain(image).max() < 255
    assert plain.fingerprint != stretched.fingerprint


@pytest.mark.parametrize("widths", [(4, 4), (4, 3, 5), (0,), ()])
def test_layers_that_do_not_mirror(widths: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="do not mirror"):
        LLNet(widths)


def batch(seed: int, n: int = 2) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {"normal": torch.rand(n, 3, 24, 24, generator=draw), "seed": torch.arange(n) + 100 * seed}


def optimizers(stage: LLNetPretraining | LLNetFinetuning, rate: float) -> OptimWrapperDict:
    return OptimWrapperDict(generator=OptimWrapper(torch.optim.SGD(stage.generator.parameters(), lr=rate)))


@pytest.mark.slow
def test_pretraining_goes_from_layer_to_layer_and_ties_the_way_back() -> None:
    torch.manual_seed(0)
    stage = LLNetPretraining(SMALL, patches=4, steps_a_layer=2)
    wrappers = optimizers(stage, 0.01)
    start = copy.deepcopy(stage.generator)
    for step in range(7):
        before = [layer.weight.clone() for layer in stage.generator.layers]
        stage.step(batch(step), wrappers)
        moved = [not torch.equal(a, layer.weight) for a, layer in zip(before, stage.generator.layers, strict=True)]
        number = min(step // 2, 2)
        # Bound to change: the layer, and its mirror image, which gets the transposed weights.
        assert moved == [i in (number, 5 - number) for i in range(6)]
        mirror = stage.generator.layers[5 - number]
        assert torch.equal(mirror.weight, stage.generator.layers[number].weight.T)
        assert not torch.equal(mirror.bias, start.layers[5 - number].bias)


def test_pretraining_resumes_at_its_layer() -> None:
    torch.manual_seed(0)
    stage = LLNetPretraining(SMALL, patches=4, steps_a_layer=2)
    stage.step(batch(0), optimizers(stage, 0.01))
    resumed = LLNetPretraining(SMALL, patches=4, steps_a_layer=2)
    resumed.load_state_dict(stage.state_dict())
    for step in (1, 2, 3):
        ours = resumed.step(batch(step), optimizers(resumed, 0.01))
        theirs = stage.step(batch(step), optimizers(stage, 0.01))
        assert ours["loss"].item() == theirs["loss"].item()


def test_finetuning_starts_from_what_was_pretrained(tmp_path: Path) -> None:
    torch.manual_seed(0)
    stage = LLNetPretraining(SMALL, patches=4, steps_a_layer=1)
    stage.step(batch(0), optimizers(stage, 0.01))
    file = tmp_path / "pretrained.pth"
    torch.save(stage.generator.state_dict(), file)
    tuned = LLNetFinetuning(SMALL, patches=4, pretrained=file)
    assert all(torch.equal(a, b) for a, b in zip(tuned.parameters(), stage.parameters(), strict=True))


def test_finetuning_lowers_the_error() -> None:
    torch.manual_seed(0)
    stage = LLNetFinetuning(SMALL, patches=8)
    wrappers = OptimWrapperDict(generator=OptimWrapper(torch.optim.Adam(stage.generator.parameters(), lr=1e-2)))
    colours = torch.rand(2, 3, 1, 1).expand(-1, -1, 24, 24)
    errors = [stage.step({**batch(0), "normal": colours}, wrappers)["loss_error"].item() for _ in range(120)]
    assert errors[-1] < 0.5 * errors[0]


def test_darkening_is_each_samples_own() -> None:
    clean = torch.full((6, INPUTS), 0.5)
    dark = darkened(clean, [3, 4])
    assert torch.equal(dark[3:], darkened(clean[:3], [4]))
    levels = dark.mean(1)
    assert (levels < 0.5**1.8).all(), "exponents begin at 2"
    assert len(set(levels.tolist())) == 6
    noise = (dark - levels[:, None]).std(1)
    assert noise.max() < 1.1 * 25 / 255
    assert noise.min() > 0
