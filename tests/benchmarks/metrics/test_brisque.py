"""BRISQUE against another implementation."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import torch

from duskbench.benchmarks.metrics.brisque import _model, brisque, features
from duskbench.benchmarks.metrics.registry import load_metric
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.images import read_image


def textured(seed: int, size: tuple[int, int]) -> np.ndarray:
    """Grey waves and noise, without a flat area: there the sign of a coefficient is rounding noise elsewhere."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(size)
    waves = 110 + 60 * np.sin(x / (7 + seed)) * np.cos(y / 11) + rng.normal(0, 9, size)
    return np.repeat(np.clip(waves, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.fixture
def piq(monkeypatch: pytest.MonkeyPatch) -> Any:
    """piq's implementation with the model that ships here; its own is a download."""
    module = importlib.import_module("piq.brisque")
    coefficients, support_vectors = _model()
    given = torch.tensor(coefficients)[:, None], torch.tensor(support_vectors)
    monkeypatch.setattr(module, "load_url", lambda *_, **__: tuple(each.clone() for each in given))
    return module


# Of odd sizes piq's half is another one than MATLAB's, which is ours.
@pytest.mark.parametrize(("seed", "size"), [(0, (96, 128)), (1, (240, 320)), (2, (64, 200))])
def test_equals_another_implementation(piq: Any, seed: int, size: tuple[int, int]) -> None:
    image = textured(seed, size)
    grey = torch.tensor(image[:, :, 0].astype(float))[None, None]
    assert brisque(image) == pytest.approx(float(piq.brisque(grey, data_range=255.0)), abs=1e-5)
    first = piq._natural_scene_statistics(grey, 7, 7 / 6).numpy().ravel()
    found = features(image)
    assert found is not None and found[:18] == pytest.approx(first, abs=1e-7)


def test_odd_sizes_are_halved_as_matlab_does() -> None:
    image = textured(3, (97, 131))
    assert brisque(image) == pytest.approx(brisque(image[:96, :130]), abs=3)
    assert brisque(np.ascontiguousarray(image[:, ::-1])) is not None


def test_worse_pictures_score_higher(shared: Any) -> None:
    rng = np.random.default_rng(0)
    for path in sorted((shared / "data/lowlight/SICE_normal").iterdir())[:3]:
        image = read_image(path)
        noisy = np.clip(image + rng.normal(0, 25, image.shape), 0, 255).astype(np.uint8)
        assert brisque(noisy) > brisque(image) + 10  # type: ignore[operator]


def test_what_has_none_has_a_reason_and_what_is_no_image_is_an_error() -> None:
    metric: Any = load_metric("brisque")
    for image in (np.full((64, 64, 3), 9, np.uint8), textured(0, (7, 40))):
        assert metric.measure(image).number is None and metric.measure(image).reason
    with pytest.raises(DataError, match="uint8"):
        brisque(np.zeros((20, 20), np.uint8))
