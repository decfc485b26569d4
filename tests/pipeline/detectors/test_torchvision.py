"""The torchvision adapter: against torchvision itself, with random weights in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch

from duskbench.data_tools.classes import COCO_CLASSES
from duskbench.data_tools.errors import ConfigError, DetectorError, UnknownNameError, WeightsError
from duskbench.pipeline.detectors.base import Detector
from duskbench.pipeline.detectors.torchvision import TorchvisionDetector
from duskbench.pipeline.registry import load_detector

NAME = "ssdlite320_mobilenet_v3_large"
PUBLISHED = "ssdlite320_mobilenet_v3_large_coco-a79551df.pth"
OPTIONS = {"score_thresh": 0.02}


def build(seed: int, outputs: int = 91) -> Any:
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    torch.manual_seed(seed)
    model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=outputs, **OPTIONS)
    # Without statistics of its own, a random network of this depth answers every image alike.
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    for level in model.head.classification_head.module_list:
        torch.nn.init.normal_(level[1].weight, std=0.3)
    with torch.no_grad():
        model.head(list(model.backbone(torch.rand(2, 3, 320, 320)).values()))
    return model.eval()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("torchvision") / "random.pth"
    torch.save(build(5).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def detector(saved: Path) -> TorchvisionDetector:
    return TorchvisionDetector(NAME, weights=saved, options=OPTIONS)


@pytest.fixture
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_equals_torchvision_s_own_inference(detector: TorchvisionDetector) -> None:
    pictures = [image(90, 130), image(70, 60, 1)]
    tensors = [torch.from_numpy(each).permute(2, 0, 1) / 255 for each in pictures]
    with torch.no_grad():
        wanted = build(5)(tensors)
    assert isinstance(detector, Detector)
    for found, want in zip(detector.detect(pictures), wanted, strict=True):
        real = torch.tensor([number not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83) for number in want["labels"]])
        assert len(found) == int(real.sum()) > 20
        np.testing.assert_allclose(found.scores, want["scores"][real], rtol=1e-5)
        np.testing.assert_allclose(found.boxes_xyxy, want["boxes"][real], atol=1e-3)
    assert detector.detect([]) == []


def test_labels_are_coco_s_own_numbers(saved: Path) -> None:
    detector = TorchvisionDetector(NAME, weights=saved)
    assert detector.classes == COCO_CLASSES
    # From instances_val2017.json; 12 is a number without a class.
    numbers = {1: "person", 12: None, 47: "cup", 62: "chair", 67: "dining table", 90: "toothbrush"}
    count = len(numbers)
    answer = {
        "boxes": torch.tensor([[0.0, 0, 5, 5]] * count),
        "scores": torch.linspace(0.9, 0.5, count),
        "labels": torch.tensor(list(numbers)),
    }
    detector.model = lambda images: [answer]  # type: ignore[assignment]
    [found] = detector.detect([image(8, 8)])
    assert [found.classes[label] for label in found.labels] == [name for name in numbers.values() if name]


def test_a_specification_names_model_and_weights(saved: Path, detector: TorchvisionDetector) -> None:
    one = load_detector(f"torchvision:{NAME}(weights={str(saved)!r}, options={OPTIONS})")
    other = load_detector(f"torchvision:{NAME}", saved)
    assert (one.name, one.fingerprint, one.identity) == (NAME, detector.fingerprint, detector.identity)
    assert len({detector.fingerprint, other.fingerprint}) == 2


@pytest.mark.slow
def test_fingerprint_follows_the_weights(detector: TorchvisionDetector, tmp_path: Path) -> None:
    torch.save(build(6).state_dict(), tmp_path / "other.pth")
    random = TorchvisionDetector(NAME, weights="random", options=OPTIONS)
    found = [detector, TorchvisionDetector(NAME, weights=tmp_path / "other.pth", options=OPTIONS), random]
    assert len({each.fingerprint for each in found}) == len({each.identity for each in found}) == 3
    again = TorchvisionDetector(NAME, weights="random", options=OPTIONS).detect([image(40, 40)])[0]
    np.testing.assert_array_equal(again.scores, random.detect([image(40, 40)])[0].scores)


def test_weights_of_other_classes(tmp_path: Path) -> None:
    path = tmp_path / "two.pth"
    torch.save(build(7, outputs=3).state_dict(), path)
    detector = TorchvisionDetector(NAME, weights=path, classes=["face", "cup"], options=OPTIONS)
    assert {*detector.detect([image(64, 64)])[0].labels.tolist()} == {0, 1}
    with pytest.raises(WeightsError, match=r"do not fit[\s\S]*of another shape"):
        TorchvisionDetector(NAME, weights=path)


def test_published_weights_are_downloaded_once(
    saved: Path, empty_hub: Path, monkeypatch: pytest.MonkeyPatch, detector: TorchvisionDetector
) -> None:
    asked = []

    def download(url: str, to: str, hash_prefix: str | None = None, progress: bool = True) -> None:
        asked.append((url, hash_prefix))
        Path(to).write_bytes(saved.read_bytes())

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    first = TorchvisionDetector(NAME, options=OPTIONS)
    assert TorchvisionDetector(NAME, options=OPTIONS).fingerprint == first.fingerprint == detector.fingerprint
    assert asked == [(f"https://download.pytorch.org/models/{PUBLISHED}", "a79551df")]
    assert [each.name for each in empty_hub.iterdir()] == [PUBLISHED]


def test_weights_that_cannot_be_had_are_an_error(
    empty_hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(WeightsError, match=rf"cannot download[\s\S]*no network[\s\S]*{PUBLISHED}"):
        TorchvisionDetector(NAME)
    with pytest.raises(WeightsError, match=r"do not exist[\s\S]*absent\.pth[\s\S]*'random'"):
        TorchvisionDetector(NAME, weights=tmp_path / "absent.pth")


def test_wrong_names_options_and_images(detector: TorchvisionDetector) -> None:
    with pytest.raises(UnknownNameError, match=rf"ssdlite320_mobilenet_v3[\s\S]*{NAME}"):
        load_detector("torchvision:ssdlite320_mobilenet_v3")
    with pytest.raises(UnknownNameError, match=r"score_tresh[\s\S]*score_thresh"):
        TorchvisionDetector(NAME, weights="random", options={"score_tresh": 0.1})
    with pytest.raises(ConfigError, match="cannot build"):
        TorchvisionDetector(NAME, weights="random", options={"norm_layer": 3})
    for key, value in (("nms_thresh", 45), ("score_thresh", "0.1"), ("detections_per_img", 0), ("topk_candidates", -1)):
        with pytest.raises(ConfigError, match=f"{key} is out of range"):
            TorchvisionDetector(NAME, weights="random", options={key: value})
    with pytest.raises(ConfigError, match="options: a dict"):
        TorchvisionDetector(NAME, weights="random", options=5)  # type: ignore[arg-type]
    for key, value in (("num_classes", 5), ("weights", "DEFAULT")):
        with pytest.raises(ConfigError, match=f"{key}[\\s\\S]*is not set among the options"):
            TorchvisionDetector(NAME, weights="random", options={key: value})
    with pytest.raises(DetectorError, match=r"\(H, W, 3\) uint8 RGB"):
        detector.detect([np.zeros((4, 4), np.uint8)])


def test_nan_is_not_nothing_found(saved: Path) -> None:
    detector = TorchvisionDetector(NAME, weights=saved, options=OPTIONS)
    assert len(detector.detect([image(40, 50)])[0])
    first = detector.model.head.classification_head.module_list[0][1]
    first.bias.data[3] = torch.nan
    with pytest.raises(DetectorError, match=rf"{NAME}' returned NaN[\s\S]*are NaN"):
        detector.detect([image(40, 50)])


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        "fasterrcnn_mobilenet_v3_large_320_fpn",
        "fcos_resnet50_fpn",
        "keypointrcnn_resnet50_fpn",
        "maskrcnn_resnet50_fpn",
        "retinanet_resnet50_fpn",
        "ssd300_vgg16",
    ],
)
def test_one_of_each_family_runs(model: str) -> None:
    small = {} if model.startswith("ssd") else {"min_size": 64, "max_size": 96}
    detector = TorchvisionDetector(model, weights="random", options=small)
    assert detector.classes == (("person",) if model.startswith("keypoint") else COCO_CLASSES)
    detector.detect([image(60, 80)])
    for weights in detector.model.backbone.parameters():
        weights.data.fill_(torch.nan)
    with pytest.raises(DetectorError, match="returned NaN"):
        detector.detect([image(60, 80)])
