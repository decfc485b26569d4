"""KinD: networks, pictures and TensorFlow files against the authors' code, and what the pipeline does with them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

from duskbench.data_tools.errors import ConfigError, WeightsError
from duskbench.data_tools.images import read_image
from duskbench.pipeline.enhancers.kind import KinD, _blurred, _trust
from duskbench.pipeline.kind_weights import CONVERTED, read_tensorflow_data
from duskbench.pipeline.networks.kind import KinDAdjustment, KinDDecomposition, KinDNetwork, KinDRestoration, stretch
from duskbench.pipeline.weight_catalogue import CATALOGUE
from tests.pipeline.conftest import Golden

NETWORKS: list[type[KinDNetwork]] = [KinDDecomposition, KinDRestoration, KinDAdjustment]


@pytest.fixture(scope="module")
def golden(golden_network: Callable[[str], Golden]) -> Golden:
    return golden_network("kind")


def loaded(golden: Golden, kind: type[KinDNetwork]) -> KinDNetwork:
    network = kind().eval()
    scope = f"{kind.scope}."
    state = {key.removeprefix(scope): value for key, value in golden.weights.items() if key.startswith(scope)}
    network.load_state_dict(state)
    return network


# The odd one shows the rounding up of poolings and the crop of enlargements.
@pytest.mark.parametrize(("name", "size"), [("even", (96, 128)), ("odd", (90, 117))])
def test_networks_are_the_authors(
    golden: Golden, golden_input: Callable[..., Tensor], name: str, size: tuple[int, int]
) -> None:
    with torch.no_grad():
        reflectance, light = loaded(golden, KinDDecomposition)(0.3 * golden_input(1, 3, *size))
        golden.assert_equal(reflectance, f"R_{name}")
        golden.assert_equal(light, f"I_{name}")
        golden.assert_equal(loaded(golden, KinDRestoration)(reflectance, light), f"restored_{name}")
        adjust = loaded(golden, KinDAdjustment)
        for ratio in (0.5, 5.0):
            golden.assert_equal(adjust(light, torch.tensor([ratio])), f"adjusted_{name}_ratio{ratio}")


@pytest.mark.parametrize(("network", "weights"), list(zip(NETWORKS, [235_876, 7_760_739, 19_393], strict=True)))
def test_the_size_is_the_authors(network: type[KinDNetwork], weights: int) -> None:
    assert sum(parameter.numel() for parameter in network().parameters()) == weights


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (3, 2), (5, 9)])
def test_small_pictures_pass(size: tuple[int, int]) -> None:
    reflectance, light = KinDDecomposition()(torch.rand(1, 3, *size))
    assert KinDRestoration(4)(reflectance, light).shape == reflectance.shape == (1, 3, *size)


def test_the_adjustment_is_damped_below_one_half() -> None:
    """Its last leaky ReLU comes before the sigmoid: from -10 the sigmoid sees -2."""
    network = KinDAdjustment()
    torch.nn.init.zeros_(network.en_conv_4.weight)
    torch.nn.init.constant_(network.en_conv_4.bias, -10.0)  # type: ignore[arg-type]
    result = network(torch.rand(1, 1, 4, 4), torch.tensor([5.0]))
    torch.testing.assert_close(result, torch.full_like(result, torch.sigmoid(torch.tensor(-2.0)).item()))


@pytest.mark.slow
@pytest.mark.parametrize("image", ["Bicycle/2015_00002", "Bus/2015_01880", "Bus/2015_01881"])
def test_pictures_are_the_authors(shared: Path, image: str) -> None:
    file = shared / "weights" / CONVERTED
    enhance = KinD(restoration=False, decomposition=file, adjustment=file)
    result = enhance(read_image(shared / "data" / "exdark" / "ExDark" / f"{image}.png"))
    stored = f"{image.partition('/')[2]}_final_with_R_unrestored.png"
    expected = read_image(shared / "golden" / "llie" / "kind" / stored)
    assert (np.abs(result.astype(int) - expected) <= 1).mean() >= 0.999


def tensorflow_bytes(state: dict[str, Tensor], scope: str) -> bytes:
    """What TensorFlow's saver writes: variables by name, kernels as (height, width, in, out)."""
    variables = {}
    for key, value in state.items():
        layer, _, kind = key.rpartition(".")
        array = value.numpy()
        variables[f"{scope}/{layer}/{kind.replace('weight', 'weights').replace('bias', 'biases')}"] = (
            np.moveaxis(array, (2, 3, 1, 0), (0, 1, 2, 3)) if array.ndim == 4 else array
        )
    return b"".join(np.ascontiguousarray(variables[name], "<f4").tobytes() for name in sorted(variables))


@pytest.mark.parametrize("network", [KinDDecomposition, KinDAdjustment])
def test_the_authors_file_is_read_as_it_is(shared: Path, tmp_path: Path, network: type[KinDNetwork]) -> None:
    """The bytes are rebuilt from the converted weights; their hash is that of the published file."""
    scope = f"{network.scope}."
    with np.load(shared / "weights" / CONVERTED) as arrays:
        state = {key.removeprefix(scope): torch.from_numpy(arrays[key]) for key in arrays if key.startswith(scope)}
    data = tensorflow_bytes(state, network.scope)
    assert network.published is not None
    assert hashlib.sha256(data).hexdigest() == CATALOGUE[network.published].sha256
    file = tmp_path / "model.ckpt.data-00000-of-00001"
    file.write_bytes(data)
    read = read_tensorflow_data(file, {key: value.shape for key, value in network().state_dict().items()})
    assert set(read) == set(state)
    assert all(torch.equal(read[key], state[key]) for key in state)


def test_a_file_of_another_network_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "net.data"
    file.write_bytes(tensorflow_bytes(KinDAdjustment().state_dict(), "Illumination_adjust_net"))
    with pytest.raises(WeightsError, match="not the data of these") as caught:
        read_tensorflow_data(file, {key: value.shape for key, value in KinDDecomposition().state_dict().items()})
    assert "943504" in str(caught.value)
    assert "77572" in str(caught.value)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    torch.manual_seed(0)
    made = {}
    for network in (KinDDecomposition(), KinDRestoration(4), KinDAdjustment()):
        made[network.part] = tmp_path / f"kind_{network.part}.pth"
        torch.save(network.state_dict(), made[network.part])
    return made


def picture(height: int, width: int, high: int = 60) -> np.ndarray:
    return np.random.default_rng(0).integers(10, high, (height, width, 3), dtype=np.uint8)


def test_the_pipeline_is_the_one_of_the_authors_script(files: dict[str, Path]) -> None:
    enhance = KinD(**files)
    image = picture(33, 46)
    x = image / np.float32(255)
    x = (x - x.min()) / max(x.max() - x.min(), 0.001)
    batch = torch.from_numpy(x.transpose(2, 0, 1)[None])
    assert enhance.restore is not None
    with torch.no_grad():
        reflectance, light = enhance.decompose(batch)
        restored = enhance.restore(reflectance, light)
        adjusted = enhance.adjust(light, torch.tensor([5.0]))
    r, i, restored_r, adjusted_i = (
        each[0].permute(1, 2, 0).numpy() for each in (reflectance, light, restored, adjusted)
    )
    grey = r @ np.array([0.2125, 0.7154, 0.0721])
    weight = np.minimum((2 * scipy.ndimage.gaussian_filter(grey, 3, mode="nearest", truncate=4)) ** 0.5, 1)
    expected = i * x + (1 - i) * (restored_r * weight[..., None] * adjusted_i)
    assert np.abs(enhance(image) - 255 * expected.clip(0, 1)).max() <= 0.51


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (30, 30)])
def test_the_blur_repeats_the_border(size: tuple[int, int]) -> None:
    grey = torch.rand(1, 1, *size)
    expected = scipy.ndimage.gaussian_filter(grey[0, 0].double().numpy(), 3, mode="nearest", truncate=4)
    np.testing.assert_allclose(_blurred(grey)[0, 0].numpy(), expected, atol=1e-6)
    assert (_trust(torch.ones(1, 3, *size)) == 1).all()


def test_a_picture_is_stretched_by_its_own_extremes(files: dict[str, Path]) -> None:
    batch = torch.stack([torch.full((3, 4, 4), 0.2), torch.linspace(0.1, 0.3, 48).view(3, 4, 4)])
    stretched = stretch(batch)
    assert not stretched[0].any()
    assert stretched[1].min() == 0
    assert stretched[1].max() == pytest.approx(1, abs=1e-6)
    darker = picture(20, 20) // 2 * 2
    enhance = KinD(**files)
    np.testing.assert_array_equal(enhance(darker), enhance(darker // 2))


def test_the_ratio_brightens(shared: Path) -> None:
    file = shared / "weights" / CONVERTED
    image = read_image(shared / "data" / "exdark" / "ExDark" / "Bus" / "2015_01881.png")[:120, :120]
    means = [KinD(ratio, False, file, file)(image).mean() for ratio in (0.5, 2.0, 5.0)]
    assert means == sorted(means)
    assert means[2] > means[0] + 5


def test_without_restoration_weights_it_says_how_to_train_them(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DUSKBENCH_WEIGHTS", raising=False)
    with pytest.raises(WeightsError, match="kind_restoration") as caught:
        KinD(decomposition=files["decomposition"], adjustment=files["adjustment"])
    assert "configs/training/kind_restoration.py" in str(caught.value)


def test_weights_are_found_in_the_search_folders(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import save_file

    monkeypatch.setenv("DUSKBENCH_WEIGHTS", str(tmp_path))
    for part, file in files.items():
        save_file(torch.load(file), tmp_path / f"kind_{part}.safetensors")
    np.testing.assert_array_equal(KinD()(picture(9, 9)), KinD(**files)(picture(9, 9)))
    assert KinD().fingerprint != KinD(restoration=False).fingerprint != KinD(3.0, False).fingerprint


@pytest.mark.parametrize("arguments", [{"ratio": -1.0}, {"ratio": float("nan")}, {"restoration": True}])
def test_arguments_out_of_range(files: dict[str, Path], arguments: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        KinD(**{**files, **arguments})  # type: ignore[arg-type]
