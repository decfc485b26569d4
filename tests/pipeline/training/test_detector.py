"""Training of a detector on a tiny data set: it learns, resumes exactly, exports, and says what is missing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from duskbench.data_tools.classes import SHARED_CLASSES
from duskbench.data_tools.errors import ConfigError, DataError, WeightsError
from duskbench.data_tools.images import read_image, write_image
from duskbench.data_tools.voc import VOC
from duskbench.pipeline import load_detector
from duskbench.pipeline.checkpoint import read_checkpoint
from duskbench.pipeline.detectors.rfbnet import RFBNetDetector
from duskbench.pipeline.mmdet_config import load_config
from duskbench.pipeline.training.detector import _datasets, _read_by_one_reader, export, train
from duskbench.pipeline.training.launch import last_checkpoint
from duskbench.pipeline.weights import bundled

CONFIG = Path(__file__).resolve().parents[3] / "configs" / "detectors" / "rfb_miniature.py"

XML = """<annotation><size><width>96</width><height>64</height><depth>3</depth></size>
<object><name>{name}</name><difficult>0</difficult>
<bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object></annotation>"""


@pytest.fixture(scope="module")
def devkit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images of one bright rectangle each: a car where it is red, a bus where it is blue."""
    root = tmp_path_factory.mktemp("devkit")
    tree = root / "VOC2007"
    (tree / "ImageSets/Main").mkdir(parents=True)
    (tree / "Annotations").mkdir()
    rng = np.random.default_rng(0)
    ids = [f"{i:06d}" for i in range(12)]
    for i, image_id in enumerate(ids):
        x1, y1 = (int(v) for v in rng.integers(0, (40, 24)))
        x2, y2 = x1 + int(rng.integers(24, 50)), y1 + int(rng.integers(20, 36))
        picture = rng.integers(40, 60, (64, 96, 3)).astype(np.uint8)
        picture[y1:y2, x1:x2, 0 if i % 2 else 2] = 240
        write_image(tree / f"JPEGImages/{image_id}.jpg", picture)
        box = {"x1": x1 + 1, "y1": y1 + 1, "x2": x2, "y2": y2}
        (tree / f"Annotations/{image_id}.xml").write_text(XML.format(name="car" if i % 2 else "bus", **box))
    for name in ("trainval", "test"):
        (tree / f"ImageSets/Main/{name}.txt").write_text("\n".join(ids) + "\n")
    return root


def options(devkit: Path, **more: Any) -> dict[str, Any]:
    return {
        **{f"{part}_dataloader.dataset.data_root": f"{devkit}/" for part in ("train", "val", "test")},
        "model.backbone.stage_channels": (8, 8, 16, 16, 16),
        "model.backbone.fc_channels": 32,
        "model.backbone.extra_channels": (16, 16),
        "model.backbone.tail_channels": (16,),
        "model.bbox_head.in_channels": (16, 32, 16, 16, 16),
        "train_dataloader.batch_size": 4,
        "train_dataloader.num_workers": 0,
        "train_cfg.max_epochs": 3,
        "param_scheduler.0.end": 1,
        "param_scheduler.1.begin": 1,
        "param_scheduler.1.end": 3,
        "param_scheduler.1.T_max": 2,
        "train_cfg.val_begin": 99,
        "log_level": "WARNING",
        **more,
    }


@pytest.fixture(scope="module")
def trained(devkit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(CONFIG, work_dir=tmp_path_factory.mktemp("work"), cfg_options=options(devkit))


def test_boxes_are_read_end_exclusive(devkit: Path) -> None:
    from mmdet.registry import DATASETS
    from mmengine.registry import DefaultScope

    config = load_config(CONFIG, options(devkit))
    with DefaultScope.overwrite_default_scope("mmdet"):
        dataset = DATASETS.build(config.test_dataloader.dataset)
    voc = VOC(devkit)
    assert dataset.metainfo["classes"] == SHARED_CLASSES
    for i, image_id in enumerate(voc.ids):
        (instance,) = dataset.get_data_info(i)["instances"]
        (annotated,) = voc.record(image_id).objects or ()
        assert tuple(instance["bbox"]) == annotated.box_xyxy
        assert SHARED_CLASSES[instance["bbox_label"]] == annotated.name


def voc_boxes(root: Path) -> Any:
    from mmdet.registry import DATASETS
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope("mmdet"):
        return DATASETS.build(load_config(CONFIG, options(root)).train_dataloader.dataset)


def renamed(devkit: Path, root: Path, names: dict[int, str]) -> Path:
    """A copy of which some images' objects have another name."""
    shutil.copytree(devkit, root)
    for number, name in names.items():
        file = root / f"VOC2007/Annotations/{number:06d}.xml"
        file.write_text(re.sub("<name>.*</name>", f"<name>{name}</name>", file.read_text()))
    return root


def test_a_class_counts_in_any_spelling_and_what_is_left_out_is_said(devkit: Path, tmp_path: Path) -> None:
    assert voc_boxes(devkit).notes == ()
    root = renamed(devkit, tmp_path / "set", {0: "Bus", 1: " people", 2: "Dining Table", 3: "horse", 4: "Cup"})
    dataset = voc_boxes(root)
    labels = [SHARED_CLASSES[dataset.get_data_info(n)["instances"][0]["bbox_label"]] for n in range(3)]
    assert labels == ["bus", "person", "diningtable"]
    assert len(dataset) == 10
    ids = f"{root}/VOC2007/ImageSets/Main/trainval.txt"
    assert dataset.notes == (
        f"{ids}: Classes read under another name: people as person (1 image)",
        f"{ids}: 2 objects left out, of other classes than the detector's: cup (1), horse (1)",
        f"{ids}: 2 of 12 images left out, without an object of the detector's classes or too small",
    )


def test_tags_may_be_in_capitals(devkit: Path, tmp_path: Path) -> None:
    root = renamed(devkit, tmp_path / "set", {})
    file = root / "VOC2007/Annotations/000001.xml"
    file.write_text(file.read_text().replace("object>", "Object>").replace("xmin>", "Xmin>"))
    assert voc_boxes(root).get_data_info(1)["instances"] == voc_boxes(devkit).get_data_info(1)["instances"] != []


def test_a_training_sees_the_boxes_and_images_of_a_run(devkit: Path, tmp_path: Path) -> None:
    root = shutil.copytree(devkit, tmp_path / "set")
    tree = root / "VOC2007"
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.open(tree / "JPEGImages/000000.jpg").save(tree / "JPEGImages/turned.png", exif=turned)
    box = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"
    two = box.format(2, 2, 20, 20) + box.format(1.5, 3.25, 40, 50)
    (tree / "Annotations/turned.xml").write_text(
        f"<annotation><objects><object><name>car</name>{two}</object></objects></annotation>"
    )
    (tree / "ImageSets/Main/trainval.txt").write_bytes(b"\xef\xbb\xbfturned.png\r\n000001.jpg\r\n")
    dataset, voc = voc_boxes(root), VOC(root, "trainval")
    assert [dataset.get_data_info(n)["img_id"] for n in range(2)] == voc.ids == ["turned", "000001"]
    for number, image_id in enumerate(voc.ids):
        row, record = dataset.get_data_info(number), voc.record(image_id)
        assert [tuple(one["bbox"]) for one in row["instances"]] == [one.box_xyxy for one in record.objects or ()]
    first = dataset.get_data_info(0)
    assert [one["bbox"] for one in first["instances"]] == [[1, 1, 20, 20], [0.5, 2.25, 40, 50]]
    assert (first["width"], first["height"]) == (64, 96)
    from mmdet.registry import TRANSFORMS
    from mmengine.registry import DefaultScope

    image = read_image(tree / "JPEGImages/turned.png")
    for step, kind in (({}, np.uint8), ({"to_float32": True}, np.float32)):
        (loader,) = read_by_one_reader([{"type": "LoadImageFromFile", **step}])
        for scope in ("mmdet", "mmengine"):
            with DefaultScope.overwrite_default_scope(scope):
                loaded = TRANSFORMS.build(loader)(dict(first))
            assert loaded["img"].dtype == kind
        assert loaded["img_shape"] == loaded["ori_shape"] == (96, 64)
        np.testing.assert_array_equal(loaded["img"], image[:, :, ::-1])


def read_by_one_reader(pipeline: list[dict[str, Any]]) -> list[dict[str, Any]]:
    _read_by_one_reader({"pipeline": pipeline})
    return pipeline


def test_images_are_read_by_one_reader_in_every_data_set() -> None:
    from mmcv.transforms import LoadImageFromFile

    for kind in ("LoadImageFromFile", "mmdet.LoadImageFromFile", LoadImageFromFile):
        assert read_by_one_reader([{"type": kind, "backend_args": None}])[0]["type"] == "ReadImage"
    for step in ({"color_type": "grayscale"}, {"backend_args": {"backend": "petrel"}}):
        assert read_by_one_reader([{"type": "LoadImageFromFile", **step}])[0]["type"] == "LoadImageFromFile"
    inner = {"type": "VOCDataset", "ann_file": "a"}
    loader = {"dataset": {"type": "RepeatDataset", "dataset": {"type": "ConcatDataset", "datasets": [inner, inner]}}}
    assert [one["type"] for one in _datasets(loader)] == ["RepeatDataset", "ConcatDataset", "VOCDataset", "VOCDataset"]
    assert list(_datasets(None)) == []


@pytest.mark.slow
def test_a_training_says_what_it_leaves_out(devkit: Path, tmp_path: Path) -> None:
    root = renamed(devkit, tmp_path / "set", {3: "horse"})
    train(CONFIG, work_dir=tmp_path / "run", cfg_options=options(root, **{"train_cfg.max_epochs": 1}))
    said = "".join(log.read_text() for log in (tmp_path / "run").glob("*/*.log"))
    assert said.count("1 objects left out, of other classes than the detector's: horse (1)") == 1
    assert said.count("1 of 12 images left out") == 1


@pytest.mark.parametrize("processes", [0, 1])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (lambda data: None, "(?i)not there|no such|cannot"),
        (lambda data: b"none", "not an image"),
        (lambda data: b"", "(?i)empty|not an image"),
        (lambda data: data[: len(data) // 2] + b"\xff\xd9", "decode"),  # OpenCV paints the rest grey
    ],
)
def test_an_image_that_cannot_be_read_is_named(
    devkit: Path, tmp_path: Path, processes: int, content: Callable[[bytes], bytes | None], what: str
) -> None:
    image = shutil.copytree(devkit, tmp_path / "set") / "VOC2007/JPEGImages/000005.jpg"
    data = content(image.read_bytes())
    image.unlink()
    if data is not None:
        image.write_bytes(data)
    given = options(tmp_path / "set", **{"train_dataloader.num_workers": processes})
    with pytest.raises(DataError, match=what) as caught:
        train(CONFIG, work_dir=tmp_path / "run", cfg_options=given)
    assert Path(str(caught.value.where)) == image
    assert "Traceback" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {"train_dataloader.dataset.type": "VOCDataset", "train_dataloader.dataset.ann_file": "VOC2007/two.txt"},
        {"val_dataloader.dataset.ann_file": "VOC2007/two.txt", "train_cfg.val_begin": 1, "train_cfg.val_interval": 1},
    ],
)
def test_an_image_is_named_in_mmdets_data_sets_and_in_a_validation(
    devkit: Path, tmp_path: Path, given: dict[str, Any]
) -> None:
    tree = shutil.copytree(devkit, tmp_path / "set") / "VOC2007"
    shutil.copy(tree / "Annotations/000005.xml", tree / "Annotations/cut.xml")
    (tree / "two.txt").write_text("000005\ncut\n")
    data = (tree / "JPEGImages/000005.jpg").read_bytes()
    (tree / "JPEGImages/cut.jpg").write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    workers = {f"{part}_dataloader.num_workers": 1 for part in ("train", "val")}
    with pytest.raises(DataError, match="decode") as caught:
        train(CONFIG, work_dir=tmp_path / "run", cfg_options=options(tmp_path / "set", **workers, **given))
    assert Path(str(caught.value.where)) == tree / "JPEGImages/cut.jpg"
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("content", [None, "", "<annotation>", XML.format(name="car", x1="", y1=1, x2=5, y2=5)])
def test_an_annotation_that_cannot_be_read_is_named(devkit: Path, tmp_path: Path, content: str | None) -> None:
    file = shutil.copytree(devkit, tmp_path / "set") / "VOC2007/Annotations/000005.xml"
    file.unlink()
    if content is not None:
        file.write_text(content)
    with pytest.raises(DataError, match=r"000005\.xml"):
        train(CONFIG, work_dir=tmp_path / "run", cfg_options=options(tmp_path / "set"))


def test_augmentation_depends_on_epoch_and_image_alone(devkit: Path) -> None:
    from mmdet.registry import DATASETS
    from mmengine.registry import DefaultScope

    config = load_config(CONFIG, options(devkit))
    with DefaultScope.overwrite_default_scope("mmdet"):
        dataset = DATASETS.build(config.train_dataloader.dataset)
    first = dataset[3]["inputs"]
    dataset[5]
    assert torch.equal(dataset[3]["inputs"], first)
    dataset.epoch = 1
    assert not torch.equal(dataset[3]["inputs"], first)


def test_window_keeps_boxes_whose_centre_is_inside() -> None:
    from mmdet.structures.bbox import HorizontalBoxes

    from duskbench.pipeline.training.voc_boxes import RandomWindow

    picture = np.arange(40 * 60 * 3).reshape(40, 60, 3)
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 10, 40, 30], [50, 30, 60, 40]])
    seen = set()
    for seed in range(60):
        np.random.seed(seed)
        results = {
            "img": picture,
            "gt_bboxes": HorizontalBoxes(boxes.clone()),
            "gt_bboxes_labels": np.array([0, 1, 2]),
            "gt_ignore_flags": np.zeros(3, bool),
        }
        out = RandomWindow(least=0.5, prob=0.9).transform(results)
        height, width = out["img"].shape[:2]
        top, left = divmod(int(out["img"][0, 0, 0]) // 3, 60)
        np.testing.assert_array_equal(out["img"], picture[top : top + height, left : left + width])
        assert 20 <= height <= 40
        assert 30 <= width <= 60
        want = []
        for label, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
            if left < (x1 + x2) / 2 < left + width and top < (y1 + y2) / 2 < top + height:
                want.append((label, max(x1 - left, 0), max(y1 - top, 0), min(x2 - left, width), min(y2 - top, height)))
        got = zip(out["gt_bboxes_labels"].tolist(), out["gt_bboxes"].tensor.tolist(), strict=True)
        assert [(label, *box) for label, box in got] == want
        assert len(out["gt_ignore_flags"]) == len(want) > 0
        seen.add(len(want))
    assert seen == {1, 2, 3}


@pytest.mark.slow
def test_the_loss_falls(trained: Path) -> None:
    curves = torch.load(trained, weights_only=False)["message_hub"]["log_scalars"]
    losses = curves["train/loss"].data[0]
    assert len(losses) == 9
    assert losses[-3:].mean() < 0.8 * losses[:3].mean()


@pytest.mark.slow
def test_resumed_training_ends_with_the_same_weights(devkit: Path, trained: Path, tmp_path: Path) -> None:
    stopped = train(CONFIG, work_dir=tmp_path, cfg_options=options(devkit, **{"train_cfg.max_epochs": 1}))
    assert stopped.name == "epoch_1.pth"
    halfway = torch.load(stopped, weights_only=False)["state_dict"]
    resumed = train(CONFIG, work_dir=tmp_path, resume=True, cfg_options=options(devkit))
    assert resumed.name == trained.name == "epoch_3.pth"
    straight, with_stop = (torch.load(path, weights_only=False)["state_dict"] for path in (trained, resumed))
    assert straight.keys() == with_stop.keys()
    for key, value in straight.items():
        torch.testing.assert_close(with_stop[key], value, rtol=1e-6, atol=1e-7, msg=key)
    assert not torch.equal(halfway["backbone.features.0.weight"], straight["backbone.features.0.weight"])
    for folder in (trained.parent, tmp_path):
        logs = [log.read_text() for log in folder.glob("*/vis_data/scalars.json")]
        assert any('"loss"' in log for log in logs), "each run of this process logs into its own folder"


@pytest.mark.slow
def test_export_loads_and_detects_the_same(devkit: Path, trained: Path, tmp_path: Path) -> None:
    exported = export(trained, tmp_path / "small.safetensors")
    assert exported.stat().st_size < trained.stat().st_size / 2
    config = load_config(CONFIG, options(devkit))
    one, other = RFBNetDetector(config, trained), RFBNetDetector(config, exported)
    assert one.classes == other.classes == SHARED_CLASSES
    picture = np.full((64, 96, 3), 100, np.uint8)
    (a,), (b,) = one.detect([picture]), other.detect([picture])
    np.testing.assert_array_equal(a.scores, b.scores)
    np.testing.assert_array_equal(a.boxes_xyxy, b.boxes_xyxy)


def test_what_is_missing_is_said(devkit: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"(?s)absent.*duskbench data miniature"):
        train(CONFIG, work_dir=tmp_path, cfg_options={"train_dataloader.dataset.data_root": f"{tmp_path}/absent/"})
    given = {"train_dataloader.dataset.data_root": f"{devkit}/", "val_dataloader.dataset.data_root": f"{tmp_path}/no/"}
    with pytest.raises(DataError, match=r"(?s)/no/.*val_dataloader\.dataset\.data_root=DIR"):
        train(CONFIG, work_dir=tmp_path, cfg_options=given)
    without = {key: value for key, value in load_config(CONFIG).to_dict().items() if key != "optim_wrapper"}
    with pytest.raises(ConfigError, match="optim_wrapper"):
        train(Config(without), work_dir=tmp_path)
    with pytest.raises(WeightsError, match="no checkpoint"):
        last_checkpoint(tmp_path)


def test_a_variable_of_the_file_is_no_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train_dataloader\.dataset\.data_root, "):
        train(CONFIG, work_dir=tmp_path, cfg_options={"data_root": "elsewhere/"})
    own = tmp_path / "own.py"
    own.write_text(f"_base_ = [{str(CONFIG)!r}]\ndata_root = 'elsewhere/'\n")
    with pytest.raises(ConfigError, match=r"(?s)'data_root'.*own\.py.*train_dataloader\.dataset\.data_root"):
        train(own, work_dir=tmp_path)


def test_bundled_weights_are_those_of_the_config() -> None:
    detector = load_detector("rfb_miniature")
    assert detector.classes == SHARED_CLASSES
    assert detector.name == "rfb_miniature"
    weights, _ = read_checkpoint(bundled("rfb_miniature"))
    assert sum(value.numel() for value in weights.values()) < 1_500_000
