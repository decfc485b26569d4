"""RFBNet against outputs of the official code, and as an mmdet model of any width."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch import Tensor

from duskbench.data_tools.classes import VOC_CLASSES
from duskbench.data_tools.errors import WeightsError
from duskbench.pipeline.detectors.base import Detector
from duskbench.pipeline.detectors.mmdet import build_model
from duskbench.pipeline.detectors.rfbnet import RFBNetDetector, from_official
from duskbench.pipeline.mmdet_config import load_config

CONFIG = Path(__file__).resolve().parents[3] / "configs" / "detectors" / "rfbnet300_voc.py"
MAPS = [(38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (1, 1)]
BRANCHES = (pytest.param(2, marks=pytest.mark.slow), 3)


@pytest.fixture(scope="module", params=BRANCHES)
def golden(
    request: pytest.FixtureRequest,
    golden_network: Callable[..., Any],
    golden_input: Callable[..., Tensor],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """A detector with the golden weights, saved as the official files are, and what it must give."""
    name = f"rfbnet300_voc_{request.param}branch"
    reference = golden_network(name)
    path = tmp_path_factory.mktemp("rfb") / f"{name}.pth"
    torch.save({f"module.{key}": value for key, value in reference.weights.items()}, path)
    x = golden_input(1, 3, 300, 300) * 255 - torch.tensor([104.0, 117, 123]).view(1, 3, 1, 1)
    detector = RFBNetDetector(CONFIG, path)
    with torch.inference_mode():
        scores, deltas = detector.model(x, mode="tensor")
    return {
        "branches": request.param,
        "detector": detector,
        "loc": torch.cat([each.permute(0, 2, 3, 1).reshape(1, -1, 4) for each in deltas], dim=1),
        "conf": torch.cat([each.permute(0, 2, 3, 1).reshape(1, -1, 21) for each in scores], dim=1),
        "out": reference.outputs,
    }


def assert_close(got: Tensor, want: np.ndarray) -> None:
    assert got.shape == want.shape
    assert np.abs(got.numpy() - want).max() <= 1e-4 * np.abs(want).max()


@pytest.mark.slow
def test_raw_outputs_equal_the_official_ones(golden: dict[str, Any]) -> None:
    assert golden["detector"].config.model.backbone.branches == golden["branches"]
    assert golden["detector"].classes == VOC_CLASSES
    assert_close(golden["loc"], golden["out"]["loc"])
    # mmdet's background is the last class, the official one the first.
    conf = golden["conf"].roll(1, dims=-1)
    assert_close(conf, golden["out"]["conf_logits"])
    assert_close(conf.softmax(-1)[:, ::97], golden["out"]["scores_sample"])


def test_priors_and_decoded_boxes_equal_the_official_ones(golden: dict[str, Any], shared: Path) -> None:
    head = golden["detector"].model.bbox_head
    priors = torch.cat(head.prior_generator.grid_priors(MAPS, device="cpu"))
    centred = torch.cat([(priors[:, :2] + priors[:, 2:]) / 2, priors[:, 2:] - priors[:, :2]], dim=1) / 300
    want = np.load(shared / "golden/networks/rfbnet300_voc_priors.npz")["priors"]
    np.testing.assert_allclose(centred.numpy(), want, atol=1e-6)
    boxes = head.bbox_coder.decode(priors, golden["loc"][0], max_shape=(300, 300)) / 300
    assert_close(boxes[None], golden["out"]["boxes"])


def official_postprocess(boxes: np.ndarray, scores: np.ndarray, width: int, height: int) -> list[tuple[float, ...]]:
    """test_RFB.py, retyped: (class, score, box), best first."""
    boxes = boxes * np.array([width, height, width, height], np.float32)
    found: list[tuple[float, ...]] = []
    for label in range(1, scores.shape[1]):
        rows = np.flatnonzero(scores[:, label] > 0.01)
        rows = rows[np.argsort(-scores[rows, label], kind="stable")]
        while len(rows):
            best, rows = rows[0], rows[1:]
            found.append((label - 1, float(scores[best, label]), *boxes[best].tolist()))
            low = np.maximum(boxes[rows, :2], boxes[best, :2])
            high = np.minimum(boxes[rows, 2:], boxes[best, 2:])
            inter = np.maximum(0, high - low + 1).prod(axis=1)
            areas = (boxes[rows, 2:] - boxes[rows, :2] + 1).prod(axis=1)
            rows = rows[inter / (areas + (boxes[best, 2:] - boxes[best, :2] + 1).prod() - inter) <= 0.45]
    return sorted(found, key=lambda row: -row[1])[:200]


@pytest.mark.slow
def test_detect_does_what_the_official_test_script_does(golden: dict[str, Any]) -> None:
    detector = golden["detector"]
    image = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
    x = cv2.resize(image[:, :, ::-1], (300, 300), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    x -= (104, 117, 123)
    with torch.inference_mode():
        maps, deltas = detector.model(torch.from_numpy(x.transpose(2, 0, 1)[None]), mode="tensor")
    conf = torch.cat([each.permute(0, 2, 3, 1).reshape(-1, 21) for each in maps]).roll(1, dims=-1)
    # So flat a distribution makes few candidates, as trained weights do.
    conf[:, 0] += 7
    loc = torch.cat([each.permute(0, 2, 3, 1).reshape(-1, 4) for each in deltas])
    head = detector.model.bbox_head
    priors = torch.cat(head.prior_generator.grid_priors(MAPS, device="cpu")) / 300
    centre = (priors[:, :2] + priors[:, 2:]) / 2 + loc[:, :2] * 0.1 * (priors[:, 2:] - priors[:, :2])
    size = (priors[:, 2:] - priors[:, :2]) * torch.exp(loc[:, 2:] * 0.2)
    boxes = torch.cat([centre - size / 2, centre + size / 2], dim=1).numpy()
    want = official_postprocess(boxes, conf.softmax(-1).numpy(), 200, 150)

    plain = head.forward

    def flattened(features: tuple[Tensor, ...]) -> Any:
        scores, deltas = plain(features)
        for each in scores:
            each[:, 20::21] += 7
        return scores, deltas

    head.forward = flattened
    try:
        found = detector.detect([image])[0]
    finally:
        del head.forward
    assert len(found) == len(want) == 200
    np.testing.assert_allclose(found.scores, [row[1] for row in want], atol=1e-5)
    assert (found.labels == [row[0] for row in want]).mean() > 0.98
    same = found.labels == np.array([row[0] for row in want])
    np.testing.assert_allclose(found.boxes_xyxy[same], np.array([row[2:] for row in want])[same], atol=0.05)
    assert found.boxes_xyxy.min() < 0, "the official code does not clip"


@pytest.fixture(scope="module")
def small_config() -> Config:
    """The same modules, small."""
    return load_config(CONFIG.with_name("rfb_miniature.py"))


@pytest.fixture(scope="module")
def small_weights(small_config: Config) -> dict[str, Tensor]:
    torch.manual_seed(0)
    model = build_model(small_config)
    model.init_weights()
    # Mostly background, as trained weights say; untrained ones make every box a candidate of every class.
    for head in model.bbox_head.cls_convs:
        head[0].bias.data[11::12] = 5
    return dict(model.state_dict())


def test_small_one_loads_what_mmdet_saves(
    small_config: Config, small_weights: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "small.pth"
    torch.save({"state_dict": small_weights, "meta": {"dataset_meta": {"classes": ("x",) * 11}}}, path)
    detector = RFBNetDetector(small_config, path)
    assert isinstance(detector, Detector)
    assert detector.classes == ("x",) * 11
    images = [np.full((30, 50, 3), 90, np.uint8), np.full((64, 48, 3), 200, np.uint8)]
    found = detector.detect(images)
    for image, each in zip(images, found, strict=True):
        alone = detector.detect([image])[0]
        np.testing.assert_allclose(each.scores, alone.scores, atol=1e-5)
        assert (np.diff(each.scores) <= 0).all()
        assert each.boxes_xyxy.shape == (len(each), 4)
    assert detector.detect([]) == []


def test_merging_normalisation_does_not_change_outputs(
    small_config: Config, small_weights: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "small.pth"
    weights = {key: value.clone() for key, value in small_weights.items()}
    for i, key in enumerate(weights):
        if "running" in key:
            weights[key] += 0.2 * torch.rand(weights[key].shape, generator=torch.Generator().manual_seed(i))
    torch.save(weights, path)
    plain = build_model(small_config).eval()
    plain.load_state_dict(weights)
    x = torch.randn(1, 3, 192, 192, generator=torch.Generator().manual_seed(0)) * 60
    with torch.inference_mode():
        want = plain(x, mode="tensor")
        got = RFBNetDetector(small_config, path).model(x, mode="tensor")
    for one, other in zip((*want[0], *want[1]), (*got[0], *got[1]), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-3 * float(one.abs().max()))


def test_a_file_with_other_keys_says_which_are_missing(
    small_config: Config, small_weights: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "cut.pth"
    gone = "backbone.norm.branch1.1.conv.weight"
    torch.save({key: value for key, value in small_weights.items() if key != gone}, path)
    with pytest.raises(WeightsError, match=rf"(?s)cut\.pth.*1 missing: {gone}"):
        RFBNetDetector(small_config, path)
    with pytest.raises(WeightsError, match=r"(?s)of another shape.*backbone\.features\.0\.weight"):
        RFBNetDetector(CONFIG, _saved(small_weights, tmp_path / "small.pth"))


def _saved(state: dict[str, Tensor], path: Path) -> Path:
    torch.save(state, path)
    return path


def test_background_moves_from_first_to_last() -> None:
    head = torch.arange(8.0).view(8, 1, 1, 1)
    official = {
        "module.conf.1.weight": head,
        "module.conf.1.bias": torch.arange(8.0),
        "module.Norm.ConvLinear.bn.bias": head,
    }
    converted = from_official(official, 3, "file")
    assert list(converted) == [
        "bbox_head.cls_convs.1.0.weight",
        "bbox_head.cls_convs.1.0.bias",
        "backbone.norm.conv_linear.bn.bias",
    ]
    assert converted["bbox_head.cls_convs.1.0.bias"].tolist() == [1, 2, 3, 0, 5, 6, 7, 4]
    assert converted["bbox_head.cls_convs.1.0.weight"].flatten().tolist() == [1, 2, 3, 0, 5, 6, 7, 4]


def test_a_class_head_of_other_size_is_an_error() -> None:
    with pytest.raises(WeightsError, match=r"(?s)official\.pth.*multiple of 21"):
        from_official({"conf.0.bias": torch.zeros(50)}, 20, "official.pth")
