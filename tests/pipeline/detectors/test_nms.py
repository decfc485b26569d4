"""Non-maximum suppression, also through mmcv on the stand-in for its operators, against a plain O(n^2) reference."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from duskbench.data_tools.errors import DetectorError
from duskbench.pipeline import mmcv_ops
from duskbench.pipeline.mmcv_ops import EXTENSION, TorchvisionOps, provide_mmcv_ops
from duskbench.pipeline.nms import nms, nms_per_class, soft_nms


def iou(a: np.ndarray, b: np.ndarray, offset: int) -> float:
    width = max(np.float32(0), min(a[2], b[2]) - max(a[0], b[0]) + offset)
    height = max(np.float32(0), min(a[3], b[3]) - max(a[1], b[1]) + offset)
    area_a = (a[2] - a[0] + offset) * (a[3] - a[1] + offset)
    area_b = (b[2] - b[0] + offset) * (b[3] - b[1] + offset)
    return float(width * height / (area_a + area_b - width * height))


def reference_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float, offset: int) -> list[int]:
    """Go through the boxes by score, ties by index; keep one unless a kept one overlaps it by more."""
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(iou(boxes[i], boxes[j], offset) <= threshold for j in kept):
            kept.append(i)
    return kept


def random_boxes(seed: int, n: int, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    corner = rng.integers(-20, 100, (n, 2))
    boxes = np.concatenate([corner, corner + rng.integers(1, 60, (n, 2))], axis=1).astype(np.float32)
    scores = rng.integers(1, 8, n) / 8 if ties else rng.permutation(n) / n
    return boxes, scores.astype(np.float32)


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_nms_equals_reference(seed: int, threshold: float, ties: bool, offset: int) -> None:
    boxes, scores = random_boxes(seed, 120, ties)
    got = nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold, offset).tolist()
    assert got == reference_nms(boxes, scores, threshold, offset)
    assert 0 < len(got) <= 120


def test_nms_of_nothing_is_nothing() -> None:
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5).shape == (0,)
    assert nms_per_class(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64), 0.5).shape == (0,)


def test_overlap_equal_to_the_threshold_does_not_suppress() -> None:
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 2]])
    scores = torch.tensor([0.9, 0.8])
    assert nms(boxes, scores, 0.5).tolist() == [0, 1]
    assert nms(boxes, scores, 0.499).tolist() == [0]
    # With widths + 1 the same boxes are 5x5 and 5x3: 0.6.
    assert nms(boxes, scores, 0.5, offset=1).tolist() == [0]


@pytest.mark.parametrize("seed", range(4))
def test_nms_per_class_equals_reference_on_each_class(seed: int) -> None:
    boxes, scores = random_boxes(seed, 150, ties=True)
    labels = np.random.default_rng(seed).integers(0, 5, 150)
    want = []
    for label in range(5):
        of_class = np.flatnonzero(labels == label)
        want += [int(of_class[i]) for i in reference_nms(boxes[of_class], scores[of_class], 0.4, 0)]
    want.sort(key=lambda i: (-scores[i], i))
    got = nms_per_class(*(torch.from_numpy(each) for each in (boxes, scores, labels)), 0.4)
    assert got.tolist() == want


def reference_soft_nms(
    boxes: np.ndarray, scores: np.ndarray, threshold: float, sigma: float, least: float, method: str, offset: int
) -> list[tuple[int, float]]:
    scores, left, picked = scores.copy(), list(range(len(boxes))), []
    while left:
        best = max(left, key=lambda i: scores[i])
        left.remove(best)
        picked.append((best, float(scores[best])))
        for i in left:
            overlap = iou(boxes[best], boxes[i], offset)
            if method == "gaussian":
                scores[i] *= np.exp(-(overlap**2) / sigma)
            elif overlap >= threshold:
                scores[i] *= 1 - overlap if method == "linear" else 0
        left = [i for i in left if scores[i] >= least]
    return picked


@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
@pytest.mark.parametrize("offset", [0, 1])
def test_soft_nms_equals_reference(method: str, offset: int) -> None:
    boxes, scores = random_boxes(7, 60)
    dets, order = soft_nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.3, 0.5, 0.05, method, offset)
    want = reference_soft_nms(boxes, scores, 0.3, 0.5, 0.05, method, offset)
    assert order.tolist() == [i for i, _ in want]
    np.testing.assert_allclose(dets[:, 4].numpy(), [score for _, score in want], rtol=1e-5)
    np.testing.assert_array_equal(dets[:, :4].numpy(), boxes[order.numpy()])


def test_soft_nms_of_nothing_is_nothing() -> None:
    dets, order = soft_nms(torch.zeros(0, 4), torch.zeros(0), 0.3, 0.5, 0.05, "linear")
    assert dets.shape == (0, 5)
    assert order.shape == (0,)


@pytest.fixture
def stand_in() -> TorchvisionOps:
    """The stand-in, also where mmcv is compiled."""
    return TorchvisionOps()


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("ties", [False, True])
def test_mmcv_nms_equals_reference(offset: int, ties: bool) -> None:
    provide_mmcv_ops()
    from mmcv.ops import nms

    boxes, scores = random_boxes(3, 100, ties)
    dets, kept = nms(boxes, scores, 0.4, offset=offset)
    assert kept.tolist() == reference_nms(boxes, scores, 0.4, offset)
    np.testing.assert_array_equal(dets[:, :4], boxes[kept])
    np.testing.assert_array_equal(dets[:, 4], scores[kept])


@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_mmcv_soft_nms_equals_reference(method: str) -> None:
    provide_mmcv_ops()
    from mmcv.ops import soft_nms

    boxes, scores = random_boxes(5, 50)
    dets, kept = soft_nms(boxes, scores, 0.3, 0.5, 0.05, method)
    want = reference_soft_nms(boxes, scores, 0.3, 0.5, 0.05, method, 0)
    assert kept.tolist() == [i for i, _ in want]
    np.testing.assert_allclose(dets[:, 4], [score for _, score in want], rtol=1e-5)


def test_mmcv_nms_of_nothing_is_nothing() -> None:
    provide_mmcv_ops()
    from mmcv.ops import nms

    dets, kept = nms(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.5)
    assert dets.shape == (0, 5)
    assert kept.shape == (0,)


def test_other_operators_say_their_name_and_what_to_do(stand_in: TorchvisionOps) -> None:
    # mmcv checks at import that every operator is there, so looking one up must work.
    operator = stand_in.roi_align_forward
    with pytest.raises(DetectorError, match=r"roi_align_forward") as caught:
        operator(1, 2, aligned=True)
    assert "onedl-mmcv" in str(caught.value)


@pytest.mark.parametrize("name", ["__wrapped__", "__path__", "__file__", "__all__"])
def test_dunder_names_are_not_operators(stand_in: TorchvisionOps, name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        getattr(stand_in, name)


def test_a_compiled_extension_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = ModuleType(EXTENSION)
    monkeypatch.setitem(sys.modules, EXTENSION, compiled)
    assert provide_mmcv_ops() is True
    assert sys.modules[EXTENSION] is compiled


def test_an_extension_that_cannot_be_loaded_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    import mmcv

    def broken(name: str) -> ModuleType:
        if name == EXTENSION:
            raise ImportError("undefined symbol: _ZN2at4_ops")
        return importlib.import_module(name)

    monkeypatch.setattr(mmcv_ops, "importlib", type("Broken", (), {"import_module": staticmethod(broken)}))
    monkeypatch.setitem(sys.modules, EXTENSION, ModuleType(EXTENSION))
    monkeypatch.setattr(mmcv, "_ext", None, raising=False)
    assert provide_mmcv_ops() is False
    assert isinstance(sys.modules[EXTENSION], TorchvisionOps)
    # The spec lets importlib.util.find_spec look at the module.
    assert importlib.util.find_spec(EXTENSION) is not None
