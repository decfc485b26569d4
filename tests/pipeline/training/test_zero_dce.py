"""Training of Zero-DCE: weights of the losses, one step against plain torch, and that it learns to brighten."""

from __future__ import annotations

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import MODELS
from torch import Tensor

from duskbench.pipeline.networks.zero_dce import apply_curves
from duskbench.pipeline.training.zero_dce import ZeroDCE
from duskbench.pipeline.training.zero_dce_losses import exposure_loss


def model(seed: int = 0, **arguments: float) -> ZeroDCE:
    torch.manual_seed(seed)
    return MODELS.build(dict(type="ZeroDCEModel", generator={"type": "DCENet", "width": 4}, **arguments))


def optimizers(trained: ZeroDCE, lr: float = 1e-4) -> OptimWrapperDict:
    adam = torch.optim.Adam(trained.generator.parameters(), lr=lr, weight_decay=1e-4)
    return OptimWrapperDict(generator=OptimWrapper(adam, clip_grad={"max_norm": 0.1}))


def batch(n: int = 2, size: int = 32, seed: int = 0) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {"low": torch.rand(n, 3, size, size, generator=draw) * 0.2, "seed": torch.arange(n)}


def test_initial_weights_are_the_official_ones() -> None:
    deviation = model().generator.e_conv5.weight.std().item()
    assert deviation == pytest.approx(0.02, rel=0.1)


def test_the_total_is_the_weighted_sum() -> None:
    plain = model(spatial_weight=1, exposure_weight=1, colour_weight=1, smoothness_weight=1)
    single = plain.losses(batch()["low"])
    weighted = model().losses(batch()["low"])
    assert list(weighted) == ["loss_spatial", "loss_exposure", "loss_colour", "loss_smoothness"]
    for name, weight in zip(weighted, (1, 10, 5, 200), strict=True):
        assert weighted[name].item() == pytest.approx(weight * single[name].item(), rel=1e-6)
    trained = model()
    logged = trained.step(batch(), optimizers(trained))
    assert logged["loss"].item() == pytest.approx(sum(value.item() for value in weighted.values()), rel=1e-6)


def test_one_step_equals_plain_torch() -> None:
    trained, plain = model(), model()
    trained.step(batch(), optimizers(trained))
    adam = torch.optim.Adam(plain.generator.parameters(), lr=1e-4, weight_decay=1e-4)
    sum(plain.losses(batch()["low"]).values()).backward()
    torch.nn.utils.clip_grad_norm_(plain.generator.parameters(), 0.1)
    adam.step()
    for key, value in trained.generator.state_dict().items():
        assert torch.equal(value, plain.generator.state_dict()[key]), key
        assert not torch.equal(value, model().generator.state_dict()[key]), key


def test_a_normal_light_batch_is_not_needed_and_of_no_effect() -> None:
    alone, beside = model(), model()
    alone.step(batch(), optimizers(alone))
    beside.step({**batch(), "normal": torch.rand(2, 3, 32, 32)}, optimizers(beside))
    assert torch.equal(alone.generator.e_conv1.weight, beside.generator.e_conv1.weight)


def test_training_moves_dark_patches_towards_good_exposure() -> None:
    trained = model()
    wrappers = optimizers(trained, lr=1e-2)
    low = batch()["low"]
    before = exposure_loss(trained.enhance(low)).item()
    for _ in range(40):
        losses = trained.step(batch(), wrappers)
    with torch.no_grad():
        after = trained.enhance(low)
    assert exposure_loss(after).item() < before / 2
    assert after.mean() > 2 * low.mean()
    assert all(torch.isfinite(value) for value in losses.values())


def test_black_and_grey_batches_train() -> None:
    trained = model()
    for value in (0.0, 0.5):
        trained.step({"low": torch.full((1, 3, 32, 32), value)}, optimizers(trained))
    assert all(torch.isfinite(parameter).all() for parameter in trained.parameters())


def test_what_is_exported_rebuilds_the_enhancer() -> None:
    trained = model()
    network, config = trained.exported
    rebuilt = MODELS.build(dict(config))
    rebuilt.load_state_dict(network.state_dict())
    assert torch.equal(rebuilt(batch()["low"]), trained.enhance(batch()["low"]))
    assert config == {"type": "DCENet", "width": 4}


@pytest.mark.parametrize("picture_learns", [False, True])
def test_the_gradient_of_the_curves_is_torchs_to_the_last_bit(picture_learns: bool) -> None:
    def plain(batch: Tensor, curves: Tensor) -> Tensor:
        for alpha in curves.split(3, dim=1):
            batch = torch.addcmul(batch, alpha, batch * batch - batch)
        return batch

    draw = torch.Generator().manual_seed(0)
    picture = torch.rand(2, 3, 9, 7, generator=draw).requires_grad_(picture_learns)
    curves = (torch.rand(2, 24, 9, 7, generator=draw) * 2 - 1).requires_grad_()
    weights = torch.rand(2, 3, 9, 7, generator=draw)
    found = []
    for apply in (apply_curves, plain):
        result = apply(picture, curves)
        inputs = [curves, *([picture] if picture_learns else [])]
        found.append([result, *torch.autograd.grad((result * weights).sum(), inputs)])
    assert all(torch.equal(ours, torchs) for ours, torchs in zip(*found, strict=True))
    with torch.no_grad():
        assert torch.equal(apply_curves(picture, curves), found[0][0])
