"""What holds for every enhancer that is a network with published weights: the authors' outputs, sizes, tiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from duskbench.data_tools.errors import EnhancerError, UnknownNameError, WeightsError
from duskbench.data_tools.images import read_image
from duskbench.pipeline.enhancers.published import PublishedEnhancer
from duskbench.pipeline.export import export_onnx
from duskbench.pipeline.registry import ENHANCERS, describe_enhancers, load_enhancer
from tests.needs import need_module
from tests.pipeline.training.test_without_a_gpu import replace_tensors

CLASSES: dict[str, type[PublishedEnhancer]] = {
    name: code
    for name in ENHANCERS
    if isinstance(code := ENHANCERS.load(name), type) and issubclass(code, PublishedEnhancer)
}
# Parameters as counted in the authors' files, running statistics left out.
PARAMETERS = {
    "cidnet": 1_975_569,
    "clip_lit": 278_790,
    "flol": 94_518,
    "iat": 91_154,
    "lyt_net": 44_923,
    "pairlie": 341_767,
    "psenet": 15_251,
    "retinexformer": 1_605_701,
    "ruas": 1_161 + 2_277,
    "sci": 258,
    "sgz": 10_561,
    "uretinex": 340_105,
    "zero_dce_pp": 10_561,
}
# name, arguments, key of the authors' output for the crop of 61 x 83 pixels, and by how much it may differ
CROPS: list[tuple[str, dict[str, Any], str, float]] = [
    ("clip_lit", {}, "odd_output", 1e-5),
    # Rounding decides on its phases: see `FrequencyBlock`.
    ("flol", {}, "odd_output", 1e-4),
    ("flol", {"variant": "uhdll"}, "odd_output_UHDLL", 1e-4),
    ("iat", {}, "odd_output", 1e-5),
    ("iat", {"variant": "exposure"}, "odd_output_exposure", 1e-5),
    ("lyt_net", {}, "odd_output", 1e-5),
    ("pairlie", {}, "odd_output", 1e-5),
    ("pairlie", {"exponent": 0.14}, "odd_output_exponent0.14", 1e-5),
    ("psenet", {}, "odd_output", 1e-5),
    ("psenet", {"variant": "afifi"}, "odd_output_afifi", 1e-5),
    ("ruas", {}, "odd_output", 1e-5),
    ("ruas", {"variant": "upe"}, "odd_output_upe", 1e-5),
    ("ruas", {"variant": "lol"}, "odd_output_lol", 1e-5),
    ("sgz", {}, "odd_output", 1e-5),
    ("sgz", {"scale": 1}, "odd_output_scale1", 1e-5),
    ("uretinex", {}, "odd_output", 1e-5),
    ("uretinex", {"ratio": 3}, "odd_output_ratio3", 1e-5),
    ("zero_dce_pp", {}, "odd_output", 1e-5),
    ("zero_dce_pp", {"scale": 1}, "odd_output_scale1", 1e-5),
]
# By how much the crop of 96 x 128 pixels may differ where that is more.
EVEN = {"flol": 2e-2}
# Of the systems whose weights were never run here: what the authors' code gives, with the weights and the picture of
# `made_up`, at [0, :, 5, 20], [0, :, 12, 20] and [0, :, 23, 31]. That code: caiyuanhao1998/Retinexformer @ 9410f29 and
# Fediory/HVI-CIDNet @ 2a2b40f.
MADE_UP = {
    "cidnet": [[0.0099439, 0.0, 0.0074579], [0.0, 0.098499, 0.3054664], [0.8752404, 0.5940116, 0.2294601]],
    "retinexformer": [
        [-0.8837763, 4.093317, 3.6799645],
        [-3.0946641, -0.617775, 2.4925064],
        [6.0973763, 0.9732562, -4.3615935],
    ],
}
PICTURES = sorted({name for name, *_ in CROPS})


def as_batch(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def cropped(image: np.ndarray, like: tuple[int, int]) -> np.ndarray:
    """An image without the last rows and columns, where the authors' code leaves them out."""
    return image[: like[0], : like[1]]


@pytest.fixture
def authors(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the authors' outputs, with their weights on the search path."""
    monkeypatch.setenv("DUSKBENCH_WEIGHTS", str(shared / "weights"))
    return shared / "golden" / "llie"


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """By name: a file of random weights under the network's own keys."""
    folder = tmp_path_factory.mktemp("weights")

    def save(name: str) -> Path:
        path = folder / f"{name}.pt"
        if not path.exists():
            torch.manual_seed(0)
            torch.save(CLASSES[name].network_class().state_dict(), path)
        return path

    return save


@pytest.mark.parametrize(("name", "arguments", "key", "tolerance"), CROPS)
def test_a_crop_equals_the_authors_output(
    authors: Path, name: str, arguments: dict[str, Any], key: str, tolerance: float
) -> None:
    with np.load(authors / name / "crops.npz") as stored:
        odd, wanted = stored["odd_input"], stored[key]
        even, wanted_even = stored["even_input"], stored["even_output"]
    enhancer = load_enhancer({"type": name, **arguments})
    assert isinstance(enhancer, PublishedEnhancer)
    with torch.inference_mode():
        got = enhancer.forward(as_batch(cropped(odd, wanted.shape[2:])))
        assert np.abs(got.numpy() - wanted).max() <= tolerance
        if not arguments:
            got = enhancer.forward(as_batch(cropped(even, wanted_even.shape[2:])))
            assert np.abs(got.numpy() - wanted_even).max() <= max(tolerance, EVEN.get(name, 0))


def made_up(shape: Sequence[int], number: int, scale: float) -> Tensor:
    """Waves of another length for each tensor; of convolutions about as large as fresh ones are."""
    places = torch.arange(math.prod(shape), dtype=torch.float64)
    return ((places * (1 + number % 7) * 0.37 + number).sin() * scale).reshape(tuple(shape))


@pytest.mark.parametrize("name", MADE_UP)
def test_networks_with_made_up_weights_equal_the_authors_code(name: str) -> None:
    network = CLASSES[name].network_class().eval().double()
    state = {
        key: made_up(value.shape, number, 2 * value[0].numel() ** -0.5)
        if value.dim() > 1
        else 1 + made_up(value.shape, number, 0.1)
        for number, (key, value) in enumerate(sorted(network.state_dict().items()))
    }
    network.load_state_dict(state)
    with torch.no_grad():
        result = network(made_up((1, 3, 24, 32), 3, 0.5) + 0.5)
    found = [result[0, :, y, x].tolist() for y, x in ((5, 20), (12, 20), (23, 31))]
    assert np.allclose(found, MADE_UP[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize(
    ("photo", "window", "golden"),
    [
        ("Bicycle/2015_00002.png", None, "2015_00002.png"),
        ("Bus/2015_01881.png", (slice(60, 311), slice(20, 207)), "2015_01881_crop.png"),
    ],
)
@pytest.mark.slow
def test_a_picture_equals_the_authors_output(
    authors: Path, shared: Path, name: str, photo: str, window: tuple[slice, slice] | None, golden: str
) -> None:
    image = read_image(shared / "data" / "exdark" / "ExDark" / photo)
    image = image if window is None else image[window]
    wanted = read_image(authors / name / golden)
    got = load_enhancer(name)(cropped(image, wanted.shape[:2]))
    assert (np.abs(got.astype(int) - wanted) <= 1).mean() >= 0.999


@pytest.mark.parametrize("name", [name for name in CLASSES if name not in MADE_UP])
def test_every_variant_is_a_file_of_its_own(authors: Path, name: str) -> None:
    enhancers = [load_enhancer({"type": name, "variant": variant}) for variant in CLASSES[name].files]
    image = picture(24, 36) // 8
    assert len({enhancer(image).tobytes() for enhancer in enhancers}) == len(enhancers)
    assert len({enhancer.fingerprint for enhancer in enhancers}) == len(enhancers)
    for enhancer, file in zip(enhancers, CLASSES[name].files.values(), strict=True):
        assert enhancer.weights == {file.name: file.sha256}
        assert enhancer.origin is not None and file.name in enhancer.origin and file.licence in enhancer.origin


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (37, 1), (2, 3), (5, 7), (41, 30)])
@pytest.mark.parametrize("name", CLASSES)
def test_any_size(random_weights: Callable[[str], Path], name: str, size: tuple[int, int]) -> None:
    enhancer = CLASSES[name](weights=random_weights(name))
    assert enhancer(picture(*size)).shape == (*size, 3)
    assert enhancer(np.zeros((*size, 3), np.uint8)).shape == (*size, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, code in CLASSES.items() if code.overlap is not None])
@pytest.mark.parametrize("size", [(1, 700), (251, 330), (700, 1)])
def test_tiles_equal_the_whole(random_weights: Callable[[str], Path], name: str, size: tuple[int, int]) -> None:
    image = picture(*size)
    whole = CLASSES[name](weights=random_weights(name), tile_pixels=10**9)(image)
    tiled = CLASSES[name](weights=random_weights(name), tile_pixels=251 * 330 // 2)(image)
    assert np.abs(tiled.astype(int) - whole).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSES)
def test_nothing_is_left_on_the_cpu(random_weights: Callable[[str], Path], name: str) -> None:
    enhancer = CLASSES[name](weights=random_weights(name))
    with FakeTensorMode(allow_non_fake_inputs=True):
        replace_tensors(enhancer.network, "cuda")
        result = enhancer.forward(torch.empty(2, 3, 61, 83, device="cuda"))
    assert (result.device.type, result.dtype, result.shape) == ("cuda", torch.float32, (2, 3, 61, 83))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CLASSES if name != "flol"])
def test_it_can_be_exported(random_weights: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    need_module("onnxscript")
    made = export_onnx(CLASSES[name](weights=random_weights(name)), tmp_path / f"{name}.onnx")
    assert made.largest_difference <= 1e-4


@pytest.mark.slow
def test_what_onnxruntime_cannot_run_is_said(random_weights: Callable[[str], Path], tmp_path: Path) -> None:
    need_module("onnxscript")
    with pytest.raises(EnhancerError, match="onnxruntime cannot run the exported 'flol'"):
        export_onnx(CLASSES["flol"](weights=random_weights("flol")), tmp_path / "flol.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", CLASSES)
def test_parameters_are_the_published_number(name: str) -> None:
    assert CLASSES[name].parameters() == PARAMETERS[name]


def test_an_unknown_variant_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean difficult"):
        load_enhancer("sci(variant='dificult')")


def test_weights_of_another_network(random_weights: Callable[[str], Path]) -> None:
    with pytest.raises(WeightsError, match="do not fit"):
        CLASSES["sgz"](weights=random_weights("sci"))


def test_the_documentation_lists_them_all() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "enhancers.md").read_text()
    for each in describe_enhancers():
        parameters = "" if each.parameters is None else f"{each.parameters:,}"
        row = f"| `{each.name}` | {each.paper} | {parameters} | {each.weights} | {each.licence} |"
        assert " ".join(row.split()) in text
