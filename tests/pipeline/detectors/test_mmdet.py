"""The mmdet adapter: configs, checkpoints, colour order, mapping back, and the errors."""

from __future__ import annotations

import copy
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config

from duskbench.data_tools.classes import COCO_CLASSES, VOC_CLASSES
from duskbench.data_tools.errors import ConfigError, DetectorError, UnknownNameError, WeightsError
from duskbench.pipeline.checkpoint import read_checkpoint
from duskbench.pipeline.detectors.base import Detector
from duskbench.pipeline.detectors.mmdet import MMDetDetector, _check_classes, build_model, config_classes
from duskbench.pipeline.mmdet_config import load_config

CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "detectors"
SSD = {300: "mmdet::pascal_voc/ssd300_voc0712.py", 512: "mmdet::pascal_voc/ssd512_voc0712.py"}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path]:
    """mmdet's SSD300 VOC config with a small backbone and mmdet's own head, and random weights as mmdet saves them."""
    config = load_config(SSD[300])
    config.model.backbone = {
        "type": "RFBVGG",
        "stage_channels": (8, 8, 8, 16, 16),
        "stage_depths": (1, 1, 1, 1, 1),
        "fc_channels": 16,
        "extra_channels": (16, 16),
        "tail_channels": (16, 16),
    }
    config.model.neck = None
    config.model.bbox_head.in_channels = (16,) * 6
    config = load_config(config)
    torch.manual_seed(0)
    import duskbench.pipeline.networks.rfbnet  # noqa: F401 - registers the backbone

    model = build_model(config)
    model.init_weights()
    for head in model.bbox_head.cls_convs:
        head[0].bias.data[20::21] = 6
    path = tmp_path_factory.mktemp("mmdet") / "small.pth"
    meta = {"dataset_meta": {"classes": VOC_CLASSES[::-1]}, "epoch": 3}
    torch.save({"state_dict": model.state_dict(), "meta": meta}, path)
    return config, path


@pytest.fixture(scope="module")
def detector(small: tuple[Config, Path]) -> MMDetDetector:
    return MMDetDetector(*small)


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_equals_mmdet_s_own_inference(small: tuple[Config, Path], detector: MMDetDetector) -> None:
    from mmdet.apis import inference_detector, init_detector
    from mmengine.registry import DefaultScope

    config, path = small
    config = copy.deepcopy(config)
    config.model.bbox_head.type = "PredictingSSDHead"
    picture = image(120, 200)
    with DefaultScope.overwrite_default_scope("mmdet"):
        model = init_detector(config, str(path), device="cpu")
        want = inference_detector(model, picture[:, :, ::-1].copy()).pred_instances
    found = detector.detect([picture])[0]
    assert len(found) == len(want) > 20
    np.testing.assert_allclose(found.scores, want.scores.numpy(), rtol=1e-4)
    np.testing.assert_allclose(found.boxes_xyxy, want.bboxes.numpy(), atol=0.02)
    assert found.boxes_xyxy[:, 2].max() > 120, "boxes are in the image given, not in the 300 x 300 input"


def test_mmdet_s_head_cannot_predict_and_ours_can(small: tuple[Config, Path]) -> None:
    from mmdet.registry import MODELS
    from mmengine.registry import DefaultScope

    config, _ = small
    with DefaultScope.overwrite_default_scope("mmdet"):
        theirs = MODELS.build(config.model)
    if hasattr(theirs.bbox_head, "loss_cls"):
        pytest.fail("mmdet's SSDHead has loss_cls now: PredictingSSDHead can go")
    ours = build_model(config)
    assert type(ours.bbox_head).__name__ == "PredictingSSDHead"
    assert isinstance(ours.bbox_head, type(theirs.bbox_head))
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_contract(detector: MMDetDetector) -> None:
    assert isinstance(detector, Detector)
    assert detector.name == "ssd300_voc0712"
    assert detector.classes == VOC_CLASSES[::-1], "the checkpoint's classes win"
    pictures = [image(60, 80), image(90, 50, 1), image(60, 80, 2)]
    together = detector.detect(pictures)
    for picture, found in zip(pictures, together, strict=True):
        alone = detector.detect([picture])[0]
        np.testing.assert_allclose(found.scores, alone.scores, rtol=1e-4)
        np.testing.assert_allclose(found.boxes_xyxy, alone.boxes_xyxy, atol=0.02)
        assert (found.boxes_xyxy.dtype, found.scores.dtype, found.labels.dtype) == (np.float32, np.float32, np.int64)
        assert (np.diff(found.scores) <= 0).all()
        height, width = picture.shape[:2]
        assert found.boxes_xyxy.min() >= 0
        assert (found.boxes_xyxy[:, 0::2] <= width + 0.01).all()
        assert (found.boxes_xyxy[:, 1::2] <= height + 0.01).all()
    assert detector.detect([]) == []


def test_nothing_found_is_empty(small: tuple[Config, Path]) -> None:
    detector = MMDetDetector(*small, cfg_options={"model.test_cfg.score_thr": 1.0})
    found = detector.detect([image(40, 40)])[0]
    assert len(found) == 0
    assert found.boxes_xyxy.shape == (0, 4)


def test_fingerprint_follows_weights_and_settings_only(small: tuple[Config, Path], tmp_path: Path) -> None:
    config, path = small
    base = MMDetDetector(config, path).fingerprint
    elsewhere = tmp_path / "copy.pth"
    elsewhere.write_bytes(path.read_bytes())
    assert (
        MMDetDetector(config, elsewhere, cfg_options={"test_dataloader.dataset.data_root": "other/"}).fingerprint
        == base
    )
    assert MMDetDetector(config, path, cfg_options={"model.test_cfg.score_thr": 0.5}).fingerprint != base
    retrained = torch.load(path, weights_only=True)
    retrained["state_dict"]["bbox_head.reg_convs.0.0.bias"] += 0.01
    torch.save(retrained, elsewhere)
    assert MMDetDetector(config, elsewhere).fingerprint != base


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_image_is_an_error(detector: MMDetDetector, bad: np.ndarray) -> None:
    with pytest.raises(DetectorError, match=r"\(H, W, 3\) uint8 RGB"):
        detector.detect([bad])


@pytest.mark.parametrize("size", [300, 512])
def test_packaged_ssd_configs(size: int) -> None:
    config = load_config(CONFIGS / f"ssd{size}_voc.py")
    assert {**config.model, "_scope_": None} == {**load_config(SSD[size]).model, "_scope_": None}
    assert config.detector.ends_on_last_pixel
    assert config_classes(config) == VOC_CLASSES
    model = build_model(config)
    names = {300: 6, 512: 7}
    assert len(model.bbox_head.cls_convs) == names[size]
    x = torch.zeros(1, 3, 64, 64)
    assert model.backbone(x)[0].shape == (1, 512, 8, 8)


def test_class_names_must_fit(small: tuple[Config, Path], tmp_path: Path) -> None:
    config, path = small
    with pytest.raises(ConfigError, match=r"(?s)20 names.*2: cat, dog"):
        MMDetDetector(config, path, classes=["cat", "dog"])
    cascade = Config({"model": {"roi_head": {"bbox_head": [{"num_classes": 20}] * 3}}})
    assert _check_classes(VOC_CLASSES, cascade, path) == VOC_CLASSES
    with pytest.raises(ConfigError, match=r"(?s)20 names.*2: cat, dog"):
        _check_classes(["cat", "dog"], cascade, path)
    bare = tmp_path / "bare.pth"
    torch.save(torch.load(path, weights_only=True)["state_dict"], bare)
    assert MMDetDetector(config, bare).classes == VOC_CLASSES, "a bare state dict: the config's test data set says"


def test_errors_name_the_file(small: tuple[Config, Path], tmp_path: Path) -> None:
    config, path = small
    with pytest.raises(ConfigError, match=r"absent\.py"):
        MMDetDetector(tmp_path / "absent.py", path)
    with pytest.raises(ConfigError, match="brings no such config"):
        MMDetDetector("mmdet::pascal_voc/ssd301.py", path)
    (tmp_path / "other.py").write_text("epochs = 3\n")
    with pytest.raises(ConfigError, match="no mmdet config"):
        MMDetDetector(tmp_path / "other.py", path)
    with pytest.raises(WeightsError, match=r"absent\.pth"):
        MMDetDetector(config, tmp_path / "absent.pth")
    with pytest.raises(UnknownNameError, match="ssd300"):
        MMDetDetector(config, "mmdet/ssd300_voc.pth")
    with pytest.raises(ConfigError, match=r"(?s)cannot build.*NoSuchBackbone"):
        MMDetDetector(config, path, cfg_options={"model.backbone.type": "NoSuchBackbone"})


class Bomb:
    """Pickles to a call."""

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (Path, "unlink")


@pytest.mark.parametrize("content", [{"state_dict": {}, "meta": {"x": Bomb()}}, {"weights": 3}, [1, 2]])
def test_other_content_is_refused(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "odd.pth"
    torch.save(content, path)
    with pytest.raises(WeightsError, match=r"odd\.pth"):
        read_checkpoint(path)


def test_loss_curves_of_the_runner_are_read(tmp_path: Path) -> None:
    from mmengine.logging import MessageHub

    hub = MessageHub.get_instance("test_loss_curves")
    hub.update_scalar("train/loss", 0.5)
    path = tmp_path / "epoch_1.pth"
    weights = {"module._orig_mod.a": torch.ones(2), "_orig_mod.b.module.c": torch.ones(2)}
    torch.save({"state_dict": weights, "message_hub": hub.state_dict(), "meta": {"CLASSES": ["cat"]}}, path)
    state_dict, classes = read_checkpoint(path)
    assert list(state_dict) == ["a", "b.module.c"]
    assert classes == ("cat",)


def test_boxes_that_end_on_their_last_pixel_are_moved_to_exclusive_ends(small: tuple[Config, Path]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (70, 90, 3)).astype(np.uint8)
    as_is, moved = (MMDetDetector(*small, ends_on_last_pixel=flag) for flag in (False, True))
    [one], [other] = as_is.detect([image]), moved.detect([image])
    assert len(one) and np.array_equal(other.boxes_xyxy, one.boxes_xyxy + np.float32([0, 0, 1, 1]))
    assert as_is.fingerprint != moved.fingerprint


def test_nan_is_not_nothing_found(small: tuple[Config, Path]) -> None:
    detector = MMDetDetector(*small)
    assert len(detector.detect([image(60, 80)])[0])
    detector.model.bbox_head.cls_convs[0][0].bias.data[3] = torch.nan
    with pytest.raises(DetectorError, match=r"ssd300_voc0712' returned NaN[\s\S]*are NaN"):
        detector.detect([image(60, 80)])


def with_pipeline(config: Config, *steps: dict[str, Any]) -> Config:
    """A copy of a config, with these steps behind the one that loads."""
    changed = copy.deepcopy(config)
    load, *others = changed.test_dataloader.dataset.pipeline
    changed.test_dataloader.dataset.pipeline = [load, *steps, *others]
    return changed


def test_settings_of_the_load_step_hold(small: tuple[Config, Path]) -> None:
    config, path = with_pipeline(small[0]), small[1]
    config.test_dataloader.dataset.pipeline[0].to_float32 = True
    assert MMDetDetector(config, path)._prepare(image(60, 80))["inputs"].dtype == torch.float32
    assert MMDetDetector(*small)._prepare(image(60, 80))["inputs"].dtype == torch.uint8


def test_a_head_that_takes_views_of_its_maps(small: tuple[Config, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    picture = image(60, 80)
    [want] = MMDetDetector(*small).detect([picture])
    detector = MMDetDetector(*small)
    forward = detector.model.bbox_head.forward

    def with_views(maps: Any) -> Any:
        scores, boxes = forward(maps)
        return [each.view(-1).view(each.shape) for each in scores], boxes

    monkeypatch.setattr(detector.model.bbox_head, "forward", with_views)
    [found] = detector.detect([picture])
    assert len(found) == len(want)
    np.testing.assert_allclose(found.boxes_xyxy, want.boxes_xyxy, atol=0.02)


def test_a_config_in_pure_python_names_classes_themselves(small: tuple[Config, Path]) -> None:
    from mmdet.datasets import VOCDataset
    from mmdet.models import SSDHead

    config, path = with_pipeline(small[0]), small[1]
    config.model.bbox_head["type"] = SSDHead
    config.test_dataloader.dataset["type"] = VOCDataset
    assert config_classes(config) == VOC_CLASSES
    picture = image(60, 80)
    [found], [want] = MMDetDetector(config, path).detect([picture]), MMDetDetector(*small).detect([picture])
    assert np.array_equal(found.boxes_xyxy, want.boxes_xyxy)


def test_classes_are_what_mmdet_s_data_set_makes_of_its_metainfo(small: tuple[Config, Path], tmp_path: Path) -> None:
    config = with_pipeline(small[0])
    dataset = config.test_dataloader.dataset
    dataset["metainfo"] = {"palette": [(0, 0, 0)]}
    assert config_classes(config) == VOC_CLASSES
    (tmp_path / "names.txt").write_text("cat\nhot dog\n")
    dataset["metainfo"] = {"classes": str(tmp_path / "names.txt")}
    assert config_classes(config) == ("cat", "hot dog")


def test_a_test_pipeline_that_cannot_be_had_is_told(small: tuple[Config, Path]) -> None:
    config, path = small
    with pytest.raises(ConfigError, match=r"(?s)cannot be built.*Resise is not in"):
        MMDetDetector(with_pipeline(config, {"type": "Resise"}), path)
    several = {"type": "TestTimeAug", "transforms": [[{"type": "RandomFlip", "prob": prob} for prob in (0.0, 1.0)]]}
    with pytest.raises(ConfigError, match=r"(?s)several pictures of one.*TestTimeAug"):
        MMDetDetector(with_pipeline(config, several), path)
    for nothing in (None, {}, {"dataset": {}}, {"dataset": {"pipeline": []}}):
        bare = copy.deepcopy(config)
        bare.test_dataloader = nothing
        with pytest.raises(ConfigError, match=r"(?s)how a picture is prepared.*test_dataloader\.dataset\.pipeline"):
            MMDetDetector(bare, path)
        assert config_classes(bare) == ()


STEP = """
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS

@TRANSFORMS.register_module(force=True)
class Darken(BaseTransform):
    def transform(self, results):
        results["img"] = results["img"] // 2
        return results
"""


def test_fingerprint_follows_code_that_the_config_brings(
    small: tuple[Config, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "brought_steps.py"
    file.write_text(STEP)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("brought_steps")
    config, path = small
    imported = with_pipeline(config, {"type": "Darken"})
    imported.custom_imports = {"imports": ["brought_steps"]}
    named = with_pipeline(config, {"type": module.Darken})
    before = [MMDetDetector(each, path).fingerprint for each in (imported, named)]
    assert before == [MMDetDetector(each, path).fingerprint for each in (imported, named)]
    file.write_text(STEP.replace("// 2", "// 3"))
    after = [MMDetDetector(each, path).fingerprint for each in (imported, named)]
    assert not set(before) & set(after)


def test_fingerprint_follows_an_enhancer_in_the_pipeline(
    small: tuple[Config, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from duskbench.pipeline.transforms.mmdet import EnhanceImage

    config, path = with_pipeline(small[0], {"type": "EnhanceImage", "enhancer": "gamma"}), small[1]
    before = MMDetDetector(config, path).fingerprint
    assert before == MMDetDetector(config, path).fingerprint
    monkeypatch.setattr(EnhanceImage, "fingerprint", "of other weights")
    assert MMDetDetector(config, path).fingerprint != before


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py", "centernet/centernet_r18_8xb16-crop512-140e_coco.py"],
)
def test_a_config_of_mmdet_s_zoo_with_coco_s_classes(tmp_path: Path, name: str) -> None:
    from mmdet.apis import inference_detector, init_detector

    name = f"mmdet::{name}"
    config, path = load_config(name), tmp_path / "random.pth"
    torch.manual_seed(0)
    torch.save(build_model(config).state_dict(), path)
    detector = MMDetDetector(name, path)
    assert detector.classes == COCO_CLASSES
    picture = image(60, 80)
    model = init_detector(config, str(path), device="cpu")
    want = inference_detector(model, picture[:, :, ::-1].copy()).pred_instances
    [found] = detector.detect([picture])
    assert len(found) == len(want) > 50
    np.testing.assert_allclose(found.scores, want.scores.numpy(), rtol=1e-4)
    np.testing.assert_allclose(found.boxes_xyxy, want.bboxes.numpy(), atol=0.02)
