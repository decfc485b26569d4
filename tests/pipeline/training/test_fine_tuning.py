"""A detector trained further: from its weights, on a list of images, the same each time, also when interrupted."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from safetensors.torch import load_file

from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.images import write_image
from duskbench.data_tools.records import ObjectAnnotation
from duskbench.pipeline.checkpoint import read_checkpoint
from duskbench.pipeline.detectors.mmdet import build_model
from duskbench.pipeline.mmdet_config import load_config
from duskbench.pipeline.registry import detector_configs
from duskbench.pipeline.training.fine_tuning import FineTuning, Schedule, TrainingImages, _on_our_images, write_listing

CLASSES = ("car", "bus")
SMALL: dict[str, Any] = {
    "model.backbone.stage_channels": (8, 8, 16, 16, 16),
    "model.backbone.fc_channels": 32,
    "model.backbone.extra_channels": (16, 16),
    "model.backbone.tail_channels": (16,),
    "model.bbox_head.in_channels": (16, 32, 16, 16, 16),
    "model.bbox_head.num_classes": 2,
    "train_dataloader.batch_size": 4,
    "train_dataloader.num_workers": 0,
}


@pytest.fixture(scope="module")
def tuning(tmp_path_factory: pytest.TempPathFactory) -> FineTuning:
    """Six images of one rectangle each."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    images = []
    for number in range(6):
        picture = rng.integers(0, 60, (64, 96, 3)).astype(np.uint8)
        picture[10:50, 20:70, number % 2] = 240
        write_image(root / f"{number}.png", picture)
        images.append((f"{number}.png", (96, 64), [ObjectAnnotation(CLASSES[number % 2], (20, 10, 70, 50))]))
    count = write_listing(root / "boxes.json", images, {"car": 0, "bus": 1})
    config = load_config(detector_configs()["rfb_miniature"], SMALL)
    torch.manual_seed(0)
    model = build_model(config)
    model.init_weights()  # type: ignore[operator]
    weights = {k: v.clone() for k, v in model.state_dict().items() if not k.startswith("data_preprocessor.")}
    listed = TrainingImages(root / "boxes.json", root, "hash", count)
    return FineTuning(config, weights, "identity", CLASSES, listed, Schedule(2), 0)


@pytest.fixture(scope="module")
def trained(tuning: FineTuning, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tuning.run(tmp_path_factory.mktemp("trained"))


def equal(one: Path, other: Path | Mapping[str, torch.Tensor]) -> bool:
    a, b = load_file(one), load_file(other) if isinstance(other, Path) else other
    assert a.keys() == b.keys()
    return all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    tuning: FineTuning, trained: Path, tmp_path: Path
) -> None:
    assert not equal(trained, tuning.weights)
    assert equal(trained, tuning.run(tmp_path))
    assert not equal(trained, replace(tuning, seed=1).run(tmp_path))


@pytest.mark.slow
def test_an_interrupted_training_goes_on_and_a_finished_one_is_not_done_again(
    tuning: FineTuning, trained: Path, tmp_path: Path
) -> None:
    steps: list[tuple[int, int]] = []

    def stop(step: int, total: int) -> None:
        steps.append((step, total))
        if len(steps) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuning.run(tmp_path, stop)
    assert not list(tmp_path.glob("*/detector.safetensors"))
    again = tuning.run(tmp_path, lambda step, total: steps.append((step, total)))
    # The epoch that was interrupted is begun again.
    assert steps == [(n, tuning.steps) for n in (1, 2, 3, 3, 4)] and tuning.steps == 4
    assert equal(trained, again)
    assert not list(again.parent.glob("*.pth"))
    assert tuning.run(tmp_path, stop) == again and len(steps) == 5


@pytest.mark.slow
def test_one_image_too_many_for_whole_batches_is_left_out(tuning: FineTuning, tmp_path: Path) -> None:
    content = json.loads(tuning.images.listing.read_text())
    listing = tmp_path / "five.json"
    listing.write_text(json.dumps({**content, "data_list": content["data_list"][:5]}))
    five = replace(tuning, images=TrainingImages(listing, tuning.images.folder, "five", 5))
    steps: list[tuple[int, int]] = []
    assert five.run(tmp_path, lambda *step: steps.append(step)).is_file()
    assert steps == [(1, 2), (2, 2)] and five.steps == 2


@pytest.mark.slow
def test_the_file_says_the_classes_it_was_trained_on(trained: Path) -> None:
    assert read_checkpoint(trained)[1] == CLASSES


@pytest.mark.slow
def test_a_training_that_runs_away_is_stopped(tuning: FineTuning, tmp_path: Path) -> None:
    from duskbench.data_tools.errors import TrainingError

    with pytest.raises(TrainingError, match="lower learning rate"):
        replace(tuning, schedule=Schedule(2, rate=1e30)).run(tmp_path)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"seed": 1}, False),
        ({"schedule": Schedule(4)}, False),
        ({"schedule": Schedule(2, 0.2)}, False),
        ({"identity": "other"}, False),
        ({"classes": ("bus", "car")}, False),
        ({"images": TrainingImages(Path("else/where.json"), Path("elsewhere"), "hash", 6)}, True),
        ({"images": TrainingImages(Path("boxes.json"), Path(), "other", 6)}, False),
    ],
)
def test_a_training_is_named_by_all_that_its_weights_depend_on(
    tuning: FineTuning, change: dict[str, Any], same: bool
) -> None:
    assert (replace(tuning, **change).name == tuning.name) is same


def test_a_training_is_named_by_code_that_the_config_brings_too(
    tuning: FineTuning, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "brought_head.py").write_text("WEIGHT = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("brought_head")
    config = load_config(tuning.config)
    config.custom_imports = {"imports": [*config.custom_imports.imports, "brought_head"]}
    own = replace(tuning, config=config)
    before = own.name
    assert own.name == before
    (tmp_path / "brought_head.py").write_text("WEIGHT = 2\n")
    assert own.name != before


def test_boxes_are_listed_in_the_detectors_frame(tmp_path: Path) -> None:
    objects = [
        ObjectAnnotation("bus", (0.5, 1, 10, 20), difficult=True),
        ObjectAnnotation("cup", (0, 0, 5, 5)),
        ObjectAnnotation("car", (3, 4, 5, 6)),
    ]
    images = [("a/b.png", (30, 40), objects), ("none.png", (30, 40), objects[1:2])]
    for last, shift in ((False, 0), (True, 1)):
        path = tmp_path / f"{last}.json"
        assert write_listing(path, images, {"car": 0, "bus": 7}, ends_on_last_pixel=last) == 1
        (row,) = json.loads(path.read_text())["data_list"]
        assert row == {
            "img_path": "a/b.png", "img_id": "a/b.png", "width": 30, "height": 40,
            "instances": [
                {"bbox": [0.5, 1, 10 - shift, 20 - shift], "bbox_label": 7, "ignore_flag": 1},
                {"bbox": [3, 4, 5 - shift, 6 - shift], "bbox_label": 0, "ignore_flag": 0},
            ],
        }  # fmt: skip


LEAF = {"type": "VOCDataset", "ann_file": "a.txt", "pipeline": ["load", "flip"]}
OURS = {"type": "ListedBoxes", "pipeline": ["load", "flip"]}
MIXED = {"type": "MultiImageMixDataset", "pipeline": ["mosaic"]}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (LEAF, OURS),
        ({"type": "ConcatDataset", "datasets": [LEAF, {"type": "Other"}]}, OURS),
        ({"type": "RepeatDataset", "times": 10, "dataset": {"type": "ConcatDataset", "datasets": [LEAF]}}, OURS),
        ({**MIXED, "dataset": LEAF}, {**MIXED, "dataset": OURS}),
    ],
)
def test_a_configs_pipeline_is_kept_and_its_images_are_not(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert _on_our_images(given, {"type": "ListedBoxes"}) == expected


@pytest.mark.parametrize("name", sorted(detector_configs()))
def test_every_shipped_detector_says_how_it_is_trained(tuning: FineTuning, name: str) -> None:
    config = load_config(detector_configs()[name])
    made = replace(tuning, config=config, schedule=Schedule(5, 0.1)).runner_config()
    assert made.optim_wrapper.optimizer.lr == pytest.approx(0.1 * config.optim_wrapper.optimizer.lr)
    assert made.train_cfg.max_epochs == 5 and made.val_cfg is None
    assert made.train_dataloader.dataset.type == "ListedBoxes"
    assert made.train_dataloader.dataset.pipeline[-1].type == "PackDetInputs"
    assert made.model.backbone.init_cfg is None and config.model.backbone.init_cfg is not None


def test_what_a_config_lacks_is_said(tuning: FineTuning) -> None:
    values = tuning.config.to_dict()
    without = {key: value for key, value in values.items() if key != "train_dataloader"}
    for config, lacking in (
        (Config(without), "train_dataloader"),
        (Config({**values, "optim_wrapper": {"a": 1}}), "lr"),
    ):
        with pytest.raises(ConfigError, match=rf"(?s)how it is trained.*no .*{lacking}"):
            replace(tuning, config=config).runner_config()
    for wrong in ({"epochs": 1}, {"rate": 0.0}):
        with pytest.raises(ConfigError, match="schedule"):
            Schedule(**wrong)  # type: ignore[arg-type]
