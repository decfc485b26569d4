"""Training of EnlightenGAN: one step against the losses written out, what learns when, and what it depends on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.networks.build import build_network
from duskbench.pipeline.training.degradations import add_noise, darken, underexpose
from duskbench.pipeline.training.losses import chromaticity_loss, normalised_feature_distance
from duskbench.pipeline.training.random_patches import draw_patches, random_patches

NETWORKS = ("generator", "discriminator", "patch_discriminator")


class TinyFeatures(nn.Module):
    """Stands for VGG-16: one frozen convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, stride=2).requires_grad_(False)

    def forward(self, batch: Tensor) -> Tensor:
        return self.conv(batch).relu()


MODELS.register_module("TinyFeatures", module=TinyFeatures, force=True)


def model(**arguments: Any) -> Any:
    torch.manual_seed(0)
    config = {
        "type": "EnlightenGAN",
        "generator": {"type": "EnlightenGANGenerator", "width": 4},
        "discriminator": {"type": "EnlightenGANDiscriminator", "width": 4, "layers": 2},
        "patch_discriminator": {"type": "EnlightenGANDiscriminator", "width": 4, "layers": 1},
        "features": {"type": "TinyFeatures"},
        "patches": 3,
        "patch_size": 16,
    }
    return build_network({**config, **arguments}).train()


def optimizers(trained: Any) -> OptimWrapperDict:
    return OptimWrapperDict(
        **{name: OptimWrapper(torch.optim.Adam(getattr(trained, name).parameters(), lr=1e-3)) for name in NETWORKS}
    )


def batch(n: int = 2, size: int = 48) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(1)
    low, normal = (torch.rand(n, 3, size, size, generator=draw) for _ in range(2))
    return {"low": low * 0.2, "normal": normal, "seed": torch.arange(7, 7 + n)}


def state(trained: Any, name: str) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in getattr(trained, name).state_dict().items()}


def test_one_step_is_the_official_one() -> None:
    """optimize_parameters of single_model.py with the options of script.py, written out patch by patch."""
    trained, official = model(), model()
    given = batch()
    losses = trained.step(given, optimizers(trained))

    low, real = given["low"], given["normal"] * 2 - 1
    corners = draw_patches([7, 8], 3, 16, (48, 48))
    fake = official.generator(darken(low, [7, 8], 0.5, (2.0, 4.0)) * 2 - 1)
    criterion = nn.MSELoss()

    def gan(scores: Tensor, real_is_meant: bool) -> Tensor:
        return criterion(scores, torch.full_like(scores, float(real_is_meant)))

    def feature(result: Tensor, source: Tensor) -> Tensor:
        maps = (F.instance_norm(official.features(each)) for each in ((result + 1) / 2, source))
        return criterion(*maps)

    def patches(of: Tensor) -> list[Tensor]:
        return [of[i : i + 1, :, y : y + 16, x : x + 16] for i, places in enumerate(corners) for y, x in places]

    d, p = official.discriminator, official.patch_discriminator
    adversarial = (gan(d(real) - d(fake).mean(), False) + gan(d(fake) - d(real).mean(), True)) / 2
    patch_adversarial = sum(gan(p(each), True) for each in patches(fake)) / 6
    features = feature(fake, low)
    patch_features = sum(feature(*pair) for pair in zip(patches(fake), patches(low), strict=True)) / 6
    loss_d = (gan(d(real) - d(fake.detach()).mean(), True) + gan(d(fake.detach()) - d(real).mean(), False)) / 2
    pairs = list(zip(patches(real), patches(fake.detach()), strict=True))
    loss_p = sum((gan(p(one), True) + gan(p(other), False)) * 0.5 for one, other in pairs) / 6
    expected = {
        "loss": adversarial + patch_adversarial + features + patch_features,
        "adversarial": adversarial,
        "patch_adversarial": patch_adversarial,
        "features": features,
        "patch_features": patch_features,
        "loss_discriminator": loss_d,
        "loss_patch_discriminator": loss_p,
    }
    assert {key: value.item() for key, value in losses.items()} == pytest.approx(
        {key: value.item() for key, value in expected.items()}, rel=1e-4
    )

    for name, loss in zip(NETWORKS, (expected["loss"], loss_d, loss_p), strict=True):
        gradients = torch.autograd.grad(loss, list(getattr(official, name).parameters()), retain_graph=True)
        for parameter, gradient in zip(getattr(official, name).parameters(), gradients, strict=True):
            parameter.grad = gradient
        for key, parameter in getattr(trained, name).named_parameters():
            wanted = getattr(official, name).get_parameter(key).grad
            # The relativistic loss does not see the last bias: what is left of its gradient is rounding.
            assert torch.allclose(parameter.grad, wanted, rtol=1e-3, atol=1e-5), f"{name}.{key}"


def test_discriminators_get_no_gradient_from_the_generators_step(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = model()
    seen: list[set[str]] = []

    def descend(optimizer: OptimWrapper, loss: Tensor) -> None:
        trained.zero_grad(set_to_none=True)
        loss.backward()
        seen.append(
            {
                name
                for name in (*NETWORKS, "features")
                if any(each.grad is not None for each in getattr(trained, name).parameters())
            }
        )

    monkeypatch.setattr(trained, "descend", descend)
    trained.step(batch(), optimizers(trained))
    assert seen == [{"generator"}, {"discriminator"}, {"patch_discriminator"}]


def test_every_network_learns_but_the_features() -> None:
    trained = model()
    before = {name: state(trained, name) for name in (*NETWORKS, "features")}
    losses = trained.train_step(batch(), optimizers(trained))
    assert all(torch.isfinite(value) for value in losses.values())
    for name in NETWORKS:
        changed = {key for key, value in state(trained, name).items() if not torch.equal(value, before[name][key])}
        assert changed == set(before[name]), name
    assert all(torch.equal(value, before["features"][key]) for key, value in state(trained, "features").items())


def test_the_same_weights_batch_and_seeds_give_the_same_losses() -> None:
    first, second = model(), model()
    one = first.step(batch(), optimizers(first))
    torch.rand(100)
    other = second.step(batch(), optimizers(second))
    assert {key: value.item() for key, value in one.items()} == {key: value.item() for key, value in other.items()}
    third = model()
    elsewhere = third.step({**batch(), "seed": torch.tensor([70, 80])}, optimizers(third))
    assert elsewhere["patch_features"].item() != one["patch_features"].item()


def test_without_features_the_loss_is_adversarial_alone() -> None:
    trained = model(feature_weight=0.0)
    losses = trained.step(batch(), optimizers(trained))
    assert "features" not in losses
    assert losses["loss"].item() == pytest.approx(losses["adversarial"].item() + losses["patch_adversarial"].item())


def test_chromaticity_is_of_the_picture_and_noise_of_the_networks_input_alone() -> None:
    trained, expected, given = model(chromaticity=20.0, noise=(0.1, 0.01)), model(), batch()
    losses = trained.step(given, optimizers(trained))
    seen = add_noise(darken(given["low"], [7, 8], 0.5, (2.0, 4.0)), [7, 8], 0.1, 0.01)
    enhanced = expected.generator(seen * 2 - 1) * 0.5 + 0.5
    chromaticity = 20 * chromaticity_loss(enhanced, given["low"]).item()
    assert losses["chromaticity"].item() == pytest.approx(chromaticity, rel=1e-4)
    parts = ("adversarial", "patch_adversarial", "features", "patch_features", "chromaticity")
    assert losses["loss"].item() == pytest.approx(sum(losses[part].item() for part in parts), rel=1e-5)


def test_lit_pictures_are_brought_back_from_the_dark() -> None:
    back = {"pixels": 3.0, "features": 2.0, "stops": (1.0, 2.0)}
    trained, expected, given = model(reconstruction=back), model(), batch()
    losses = trained.step(given, optimizers(trained))
    normal = given["normal"]
    restored = expected.generator(underexpose(normal, [7, 8], (1.0, 2.0)) * 2 - 1) * 0.5 + 0.5
    assert losses["reconstruction"].item() == pytest.approx(3 * (restored - normal).abs().mean().item(), rel=1e-4)
    distance = normalised_feature_distance(*(expected.features(each) for each in (restored, normal)))
    assert losses["reconstruction_features"].item() == pytest.approx(2 * distance.item(), rel=1e-3)
    assert losses["loss"].item() == pytest.approx(
        sum(value.item() for name, value in losses.items() if not name.startswith("loss")), rel=1e-5
    )


def test_what_is_exported_rebuilds_the_enhancer() -> None:
    trained = model()
    trained.step(batch(), optimizers(trained))
    network, config = trained.eval().exported
    rebuilt = build_network(dict(config)).eval()
    rebuilt.load_state_dict(network.state_dict())
    low = batch()["low"]
    with torch.inference_mode():
        enhanced = trained.enhance(low)
        torch.testing.assert_close(enhanced, (rebuilt(low * 2 - 1) / 2 + 0.5).clamp(0, 1))
    assert 0 <= enhanced.min() <= enhanced.max() <= 1


def test_patches_are_where_the_seed_says() -> None:
    pictures = torch.arange(2 * 3 * 20 * 30.0).view(2, 3, 20, 30)
    corners = draw_patches([5, 6], 4, 8, (20, 30))
    cut = random_patches(pictures, corners, 8)
    assert cut.shape == (8, 3, 8, 8)
    (top, left), place = corners[1][2], cut[4 + 2]
    assert torch.equal(place, pictures[1, :, top : top + 8, left : left + 8])
    # A sample's places do not depend on who is beside it.
    assert draw_patches([6], 4, 8, (20, 30)) == corners[1:]
    assert draw_patches([5], 4, 8, (20, 30)) != corners[1:]
    assert draw_patches([2**62 - 1], 1, 8, (8, 8)) == [[(0, 0)]]


def test_all_places_occur() -> None:
    places = {corner for places in draw_patches(range(200), 6, 8, (10, 9)) for corner in places}
    assert places == {(top, left) for top in range(3) for left in range(2)}


@pytest.mark.parametrize("arguments", [{"patches": 0}, {"patch_size": 0}, {"darken_range": (0.5, 2.0)}])
def test_impossible_arguments_are_errors(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="not possible"):
        model(**arguments)


def test_patches_larger_than_the_crop_are_an_error() -> None:
    model(patches=1)
    trained = model(patch_size=64)
    with pytest.raises(ConfigError, match=r"(?s)crops of at least 64 pixels.*48 x 48"):
        trained.step(batch(), optimizers(trained))
