"""A test of the method: a colour shift that punishes the frozen detector, and that fine-tuning repairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from duskbench.benchmarks.cli import app
from duskbench.data_tools.files import write_text
from duskbench.data_tools.image_sets import write_image_sets
from duskbench.data_tools.images import write_image
from duskbench.data_tools.records import ObjectAnnotation
from duskbench.data_tools.voc_xml import VOCAnnotation, format_annotation
from duskbench.pipeline.detectors.mmdet import build_model
from duskbench.pipeline.mmdet_config import load_config
from duskbench.pipeline.registry import detector_configs
from duskbench.pipeline.training.fine_tuning import FineTuning, Schedule, TrainingImages, write_listing
from tests.benchmarks.fabricate import results_of

CLASSES = ("car", "bus")
SWAP = "def swap(image_rgb):\n    return image_rgb[:, :, ::-1].copy()\n"
DETECTOR = """_base_ = [{base!r}]
detector = dict(checkpoint={weights!r}, name="small")
classes = ("car", "bus")
model = dict(
    backbone=dict(
        stage_channels=(8, 8, 16, 16, 16), fc_channels=32, extra_channels=(16, 16), tail_channels=(16,),
    ),
    bbox_head=dict(num_classes=2, in_channels=(16, 32, 16, 16, 16)),
)
train_dataloader = dict(batch_size=8, num_workers=0)
test_dataloader = dict(dataset=dict(metainfo=dict(classes=classes)))
"""
BENCHMARK = """title = "Colours"
data = dict(root={root!r}, layout="voc", split="test")
detector = {detector!r}
enhancers = ["input", dict(type={swap!r}, label="Swap")]
metrics = ["voc_ap"]
protocol = dict(classes=["car", "bus"])
"""


def make_scenes(root: Path, n: int) -> list[tuple[str, tuple[int, int], list[ObjectAnnotation]]]:
    """A VOC tree of grey noise with one rectangle each: a car where it is red, a bus where it is blue."""
    rng = np.random.default_rng(0)
    boxes = {}
    for number in range(n):
        picture = np.repeat(rng.integers(60, 120, (96, 96, 1)), 3, axis=2).astype(np.uint8)
        x, y, width, height = (int(v) for v in rng.integers((4, 4, 36, 36), (40, 40, 52, 52)))
        picture[y : y + height, x : x + width] = (40, 40, 220) if number % 2 else (220, 40, 40)
        name = f"{number:04d}"
        write_image(root / "JPEGImages" / f"{name}.png", picture)
        boxes[name] = [ObjectAnnotation(CLASSES[number % 2], (x, y, x + width, y + height))]
        text = format_annotation(VOCAnnotation(f"{name}.png", (96, 96), tuple(boxes[name])))
        write_text(root / "Annotations" / f"{name}.xml", text)
    ids = list(boxes)
    write_image_sets(root, {"test": ids[: n // 4], "train": ids[n // 4 :]}, boxes, ())
    return [(f"{name}.png", (96, 96), boxes[name]) for name in ids[n // 4 :]]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark with a detector that was trained on the colours as they are."""
    root = tmp_path_factory.mktemp("colours")
    count = write_listing(root / "boxes.json", make_scenes(root / "voc", 64), {"car": 0, "bus": 1})
    base = str(detector_configs()["rfb_miniature"])
    (root / "small.py").write_text(DETECTOR.format(base=base, weights=""))
    small = load_config(root / "small.py")
    torch.manual_seed(0)
    model = build_model(small)
    model.init_weights()  # type: ignore[operator]
    weights = {k: v for k, v in model.state_dict().items() if not k.startswith("data_preprocessor.")}
    images = TrainingImages(root / "boxes.json", root / "voc" / "JPEGImages", "", count)
    trained = FineTuning(small, weights, "", CLASSES, images, Schedule(10, 2.0), 0).run(root)
    (root / "small.py").write_text(DETECTOR.format(base=base, weights=str(trained)))
    (root / "swap.py").write_text(SWAP)
    benchmark = {"root": str(root / "voc"), "detector": str(root / "small.py"), "swap": f"{root / 'swap.py'}:swap"}
    (root / "colours.py").write_text(BENCHMARK.format(**benchmark))
    return root / "colours.py"


@pytest.mark.slow
def test_fine_tuning_repairs_what_punishes_the_frozen_detector(config: Path) -> None:
    out = config.parent / "out"
    arguments = ["finetune", str(config), "--seeds", "1", "--epochs", "5", "--rate", "1", "--workers", "1"]
    ran = CliRunner().invoke(app, [*arguments, "--out", str(out)])
    assert ran.exit_code == 0, ran.output
    assert "mAP frozen" in ran.output and "mAP fine-tuned" in ran.output
    got = results_of(out)
    swap = got["Swap"]
    punished, repaired = (swap.against["Input"].scores[f"map {protocol}"] for protocol in ("frozen", "fine-tuned"))
    assert punished.settled and punished.value < -0.4
    assert swap.to_frozen["map fine-tuned"].settled and swap.to_frozen["map fine-tuned"].value > 0.4
    assert repaired.value > punished.value + 0.4
