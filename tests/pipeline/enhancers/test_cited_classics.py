"""NPE, LDR and dynamic HE: stored outputs, plain loops, and what their definitions promise.

The stored outputs of LDR are its authors' function's. Those of NPE and dynamic HE come from implementations written
from the papers: they show that the stated procedure is implemented, not that it is what the authors ran.
"""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.enhancers.base import Enhancer
from duskbench.pipeline.enhancers.dhe import DynamicHistogramEqualization
from duskbench.pipeline.enhancers.ldr import LDR, ldr_curve, neighbour_histogram
from duskbench.pipeline.enhancers.npe import NPE, bi_log, bright_pass

EVERY = [NPE(), NPE(window=1), LDR(), LDR(alpha=0), DynamicHistogramEqualization(), DynamicHistogramEqualization(x=0)]


def noise(height: int, width: int, seed: int = 0, high: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, (height, width, 3), dtype=np.uint8)


def label(enhancer: Enhancer) -> str:
    return f"{enhancer.name}-{dict(enhancer.arguments)}"


@pytest.mark.parametrize("enhancer", EVERY, ids=label)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (7, 5), (65, 33)], ids=str)
def test_any_size_comes_back_the_same(enhancer: Enhancer, size: tuple[int, int]) -> None:
    image = noise(*size)
    assert enhancer(image).shape == image.shape
    np.testing.assert_array_equal(enhancer(image[::-1, ::-1]), enhancer(image[::-1, ::-1].copy()))


@pytest.mark.parametrize("enhancer", EVERY, ids=label)
def test_a_black_picture_stays_black(enhancer: Enhancer) -> None:
    assert not enhancer(np.zeros((20, 30, 3), np.uint8)).any()


@pytest.mark.parametrize("enhancer", EVERY[2:], ids=label)
def test_one_colour_has_nothing_to_spread(enhancer: Enhancer) -> None:
    image = np.full((20, 30, 3), (10, 40, 90), np.uint8)
    np.testing.assert_array_equal(enhancer(image), image)


@pytest.fixture
def reference_grey(shared: Path) -> np.ndarray:
    """The picture of the stored outputs whose file is still the one that they were made from."""
    index = json.loads((shared / "golden" / "classical" / "ldr.json").read_text())[5]
    return np.asarray(Image.open(shared / "data" / index["file"]).convert("RGB").convert("L"))


@pytest.mark.parametrize("alpha", ["1", "2.5", "4"])
def test_ldr_curves_are_the_authors(shared: Path, reference_grey: np.ndarray, alpha: str) -> None:
    stored = np.load(shared / "golden" / "classical" / "ldr.npz")
    curve = ldr_curve(neighbour_histogram(reference_grey), float(alpha))
    np.testing.assert_allclose(curve, stored[f"s5_alpha{alpha}"], rtol=0, atol=1e-9)


def test_ldr_curve_of_a_crop_is_the_authors(shared: Path, reference_grey: np.ndarray) -> None:
    stored = np.load(shared / "golden" / "classical" / "ldr.npz")["s5_crop_alpha2.5"]
    curve = ldr_curve(neighbour_histogram(reference_grey[40:104, 40:100]), 2.5)
    np.testing.assert_allclose(curve, stored, rtol=0, atol=1e-9)


def plain_ldr(grey: np.ndarray, alpha: float) -> list[float]:
    """The published steps, sum by sum."""
    counts: dict[tuple[int, int], int] = {}
    for (y, x), value in np.ndenumerate(grey):
        for other in (grey[y + 1, x] if y + 1 < len(grey) else None, grey[y, x + 1] if x + 1 < len(grey[0]) else None):
            if other is not None:
                pair = (max(int(value), int(other)), min(int(value), int(other)))
                counts[pair] = counts.get(pair, 0) + 1
    layers = []
    for layer in range(1, 256):
        logs = [math.log(counts.get((k + layer, k), 0) + 1) for k in range(256 - layer)]
        if not sum(logs):
            continue
        sums = [0.0, *itertools.accumulate(logs), *[sum(logs)] * layer]
        mass = [sums[k + 1] - sums[max(k - layer + 1, 0)] for k in range(255)]
        steps = [(m - min(mass)) / (min(k, 256 - layer) - max(k - layer, 0)) for k, m in enumerate(mass, start=1)]
        layers.append((sum(logs), [step / sum(steps) if sum(steps) else 0.0 for step in steps]))
    heaviest = max(mass for mass, _ in layers)
    total = [sum((mass / heaviest) ** alpha * steps[k] for mass, steps in layers) for k in range(255)]
    return [0.0, *(255 * np.cumsum(total) / sum(total))]


# 256 x 256 is the size that the authors' function takes for a histogram.
@pytest.mark.parametrize(("size", "high"), [((6, 9), 200), ((30, 20), 256), ((256, 256), 40)])
def test_ldr_is_the_published_procedure(size: tuple[int, int], high: int) -> None:
    grey = noise(*size, high=high)[..., 0]
    np.testing.assert_allclose(ldr_curve(neighbour_histogram(grey), 2.5), plain_ldr(grey, 2.5), rtol=0, atol=1e-9)


def test_ldr_pairs_are_counted_once_across_the_bands_of_a_large_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    grey = noise(50, 40)[..., 0]
    whole = neighbour_histogram(grey)
    monkeypatch.setattr("duskbench.pipeline.enhancers.ldr._BAND_PIXELS", 7 * 40)
    np.testing.assert_array_equal(neighbour_histogram(grey), whole)
    assert whole.sum() == 49 * 40 + 50 * 39


def test_ldr_keeps_hue_and_brightens_a_dark_picture() -> None:
    image = np.stack([noise(40, 40, high=40)[..., 0]] * 3, axis=2) * np.array([4, 2, 1], np.uint8) // 4
    result = LDR()(image)
    assert result.mean() > 2 * image.mean()
    assert (result[..., 0] >= result[..., 1]).all()
    assert (result[..., 1] >= result[..., 2]).all()


@pytest.mark.parametrize("x", [0, 1, 2])
def test_dhe_is_the_stated_procedure(shared: Path, reference_grey: np.ndarray, x: int) -> None:
    folder = shared / "golden" / "classical"
    histogram = np.bincount(reference_grey.ravel(), minlength=256)
    enhancer = DynamicHistogramEqualization(x=x)
    parts = json.loads((folder / "dhe_helper.json").read_text())[5]["parts"]
    assert enhancer.parts(histogram) == [tuple(part) for part in parts]
    np.testing.assert_allclose(
        enhancer.curve(histogram), np.load(folder / "dhe_helper.npz")[f"5_x{x}"], rtol=0, atol=1e-9
    )


def histogram(counts: dict[int, int]) -> np.ndarray:
    result = np.zeros(256, np.int64)
    result[list(counts)] = list(counts.values())
    return result


VALLEY = {10: 9, 11: 9, 12: 5, 13: 5, 14: 5, 15: 9, 16: 9}


@pytest.mark.parametrize(
    ("arguments", "counts", "parts"),
    [
        ({"smoothing": 1}, VALLEY, [(10, 12), (13, 16)]),
        ({"smoothing": 1, "plateau": "middle"}, VALLEY, [(10, 13), (14, 16)]),
        ({"smoothing": 1, "plateau": "last"}, VALLEY, [(10, 14), (15, 16)]),
        ({}, {7: 3}, [(7, 7)]),
        # Two separate levels are less like a normal distribution than any: one deviation holds both.
        ({"smoothing": 1}, {0: 5, 1: 5}, [(0, 1)]),
    ],
)
def test_dhe_parts(arguments: dict[str, object], counts: dict[int, int], parts: list[tuple[int, int]]) -> None:
    assert DynamicHistogramEqualization(**arguments).parts(histogram(counts)) == parts  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments", [{}, {"x": 0}, {"smoothing": 1}, {"split": "smoothed"}, {"span": "difference"}])
def test_dhe_parts_tile_the_used_levels_and_the_curve_never_falls(arguments: dict[str, object]) -> None:
    enhancer = DynamicHistogramEqualization(**arguments)  # type: ignore[arg-type]
    for seed in range(15):
        random = np.random.default_rng(seed)
        counts = random.integers(0, 1 + seed, 256) * (random.random(256) < random.random())
        if not counts.any():
            continue
        used = np.flatnonzero(counts)
        parts = enhancer.parts(counts)
        assert [level for first, last in parts for level in range(first, last + 1)] == list(
            range(used[0], used[-1] + 1)
        )
        curve = enhancer.curve(counts)
        assert (np.diff(curve) >= -1e-9).all()
        assert 0 <= curve.min() <= curve.max() <= 255 + 1e-9


def test_dhe_with_a_larger_x_gives_the_populated_part_more_range() -> None:
    counts = histogram({**dict.fromkeys(range(20, 40), 1000), 40: 1, **dict.fromkeys(range(41, 200), 2)})
    extents = [
        DynamicHistogramEqualization(x=x).curve(counts)[39]
        for x in (0.0, 1.0, 3.0)  # type: ignore[arg-type]
    ]
    assert extents == sorted(extents)
    assert extents[0] < extents[-1] - 10


@pytest.mark.parametrize(
    "arguments",
    [
        {"x": -1},
        {"x": float("nan")},
        {"smoothing": 2},
        {"smoothing": 3.0},
        {"x": True},
        {"plateau": "mean"},
        {"split": ""},
        {"span": 1},
    ],
)
def test_dhe_refuses(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        DynamicHistogramEqualization(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("alpha", [-1, True, "1", float("nan"), float("inf")])
def test_ldr_refuses(alpha: float) -> None:
    with pytest.raises(ConfigError, match="alpha"):
        LDR(alpha)


@pytest.mark.parametrize("window", [0, -3, 4, 2.5, 3.0, True, "3"])
def test_npe_refuses(window: int) -> None:
    with pytest.raises(ConfigError, match="window"):
        NPE(window)


def test_npe_is_the_stated_procedure(shared: Path) -> None:
    """The stored picture was made from a file that is gone; dividing its output by the stored gain gives it back."""
    with np.load(shared / "golden" / "classical" / "npe_helper.npz") as stored:
        illumination, table, output = (stored[f"2_{name}"].astype(float) for name in ("Lr", "lut", "out"))
    half = np.abs(illumination % 1 - 0.5) < 1e-5
    levels = np.floor(illumination + 0.5).astype(int) - half
    hidden = table[levels] == 0
    gain = np.where(hidden, 1, table[levels]) / illumination
    image = output / gain[..., None]
    assert np.abs(image - np.rint(image)).max() < 1e-4
    # One pixel was multiplied by 0. Its channels sum to 2, and only 1, 1, 0 explains its neighbourhood.
    assert hidden.sum() == 1
    image[hidden] = (1, 1, 0)
    image_rgb = np.rint(image).astype(np.uint8)
    mean = json.loads((shared / "golden" / "classical" / "npe_helper.json").read_text())[2]["mean_in"]
    assert image_rgb.mean() == pytest.approx(mean, rel=1e-12)

    got = bright_pass(image_rgb.max(axis=2), 15)
    np.testing.assert_allclose(got, illumination, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(bi_log(np.bincount(np.floor(got + 0.5).astype(int).ravel(), minlength=256)), table)
    difference = np.abs(NPE()(image_rgb) - output)[~half]
    assert difference.max() <= 0.5 + 1e-3


def plain_bright_pass(lightness: np.ndarray, window: int) -> np.ndarray:
    """Pixel by pixel, neighbour by neighbour."""
    height, width = lightness.shape
    counts = np.zeros((256, 256))
    for (y, x), value in np.ndenumerate(lightness):
        for v in range(max(y - 1, 0), min(y + 2, height)):
            for u in range(max(x - 1, 0), min(x + 2, width)):
                if (v, u) != (y, x):
                    counts[value, lightness[v, u]] += 1
    reach = (int(lightness.max()) - int(lightness.min())) // 32
    smooth = np.array([counts[:, max(k - reach, 0) : k + reach + 1].sum(axis=1) for k in range(256)]).T
    result = np.empty(lightness.shape)
    for (y, x), value in np.ndenumerate(lightness):
        half = window // 2
        near = lightness[max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1].ravel()
        near = near[near >= value]
        weights = smooth[value, near]
        result[y, x] = (weights * near).sum() / weights.sum() if weights.any() else value
    return result


@pytest.mark.parametrize(("size", "high", "window"), [((1, 1), 256, 15), ((9, 13), 256, 5), ((20, 17), 60, 15)])
def test_the_bright_pass_filter_by_loops(size: tuple[int, int], high: int, window: int) -> None:
    lightness = noise(*size, high=high)[..., 0]
    got = bright_pass(lightness, window)
    np.testing.assert_allclose(got, plain_bright_pass(lightness, window), rtol=0, atol=1e-4)
    assert (got >= lightness).all()


def test_npe_keeps_the_ratios_of_channels() -> None:
    image = noise(30, 40, high=25)
    image[..., 0] = 2 * image[..., 1]
    image[..., 2] = 0
    result = NPE()(image).astype(int)
    assert (np.abs(result[..., 0] - 2 * result[..., 1]) <= 1).all()
    assert not result[..., 2].any()


def test_npe_is_not_the_identity_on_one_colour() -> None:
    # All of the histogram is at one level, which therefore goes to the end of the target: 255.
    assert NPE()(np.full((8, 8, 3), (60, 30, 0), np.uint8))[4, 4].tolist() == [255, 128, 0]


def test_bi_log_never_falls() -> None:
    table = bi_log(np.random.default_rng(0).integers(0, 50, 256))
    assert (np.diff(table) >= 0).all()
    assert table[-1] == 255
