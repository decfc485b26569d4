"""A detector trained further: mmdet's Runner on a list of images with boxes, starting from the detector's weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from duskbench.data_tools.classes import class_key
from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.files import write_text
from duskbench.data_tools.records import ObjectAnnotation
from duskbench.data_tools.settings import is_whole
from duskbench.pipeline.mmdet_config import brought_code
from duskbench.pipeline.network_weights import load_into
from duskbench.pipeline.training.batches import count_batches
from duskbench.pipeline.training.detector import KEYS, export, train
from duskbench.pipeline.training.launch import checkpoints
from duskbench.pipeline.training.trainable import unwrapped

# Wrappers that only repeat or join data sets; an epoch is here each image once.
_LEFT_OUT = ("ConcatDataset", "RepeatDataset", "ClassBalancedDataset")
# Share of the rate that a training starts from and ends at.
_LOWEST = 0.01


@dataclass(frozen=True)
class Schedule:
    """How long, and how fast.

    Attributes:
        epochs: An epoch is every training image once, but for a last batch of one image. The rate rises over the first
            and falls as a cosine over the others.
        rate: The highest learning rate, as a share of that of the detector's configuration.
    """

    epochs: int = 12
    rate: float = 0.1

    def __post_init__(self) -> None:
        for option, right, expected, got in (
            ("--epochs", is_whole(self.epochs, 2), "2 or more", self.epochs),
            ("--rate", self.rate > 0, "above 0", self.rate),
        ):
            if not right:
                raise ConfigError("Cannot train on this schedule.", where=option, expected=expected, got=str(got))

    def __str__(self) -> str:
        return f"{self.epochs} epochs at {self.rate:g} of its configuration's learning rate"


@dataclass(frozen=True)
class TrainingImages:
    """Images to train on.

    Attributes:
        listing: Annotations in mmengine's own format, from `write_listing`.
        folder: What their paths are relative to.
        sha256: Hash of the images' bytes and of what is annotated in them.
        count: Number of images.
    """

    listing: Path
    folder: Path
    sha256: str
    count: int


@dataclass(frozen=True)
class FineTuning:
    """One training of one detector.

    Attributes:
        config: The detector's mmdet config.
        weights: Keys of its model -> tensors to start from.
        identity: Hash of the detector, for the name of the folder.
        classes: What its labels index.
        images: To train on.
        schedule: How long and how fast.
        seed: Of the order of the images and of their augmentation.
    """

    config: Config
    weights: Mapping[str, torch.Tensor]
    identity: str
    classes: Sequence[str]
    images: TrainingImages
    schedule: Schedule
    seed: int

    def runner_config(self) -> Config:
        """The config of mmengine's Runner: the detector's pipeline, batches and optimizer on these images.

        Raises:
            ConfigError: The detector's config does not say how it is trained.
        """
        config = Config(self.config.to_dict(), filename=self.config.filename)
        lacking = [key for key in KEYS if not config.get(key)]
        optimizer = config.get("optim_wrapper", {}).get("optimizer", {})
        if lacking or "lr" not in optimizer:
            raise ConfigError(
                "The detector's configuration does not say how it is trained.",
                where=config.filename,
                expected=f"{', '.join(KEYS)}, with optim_wrapper.optimizer.lr",
                got=f"no {', '.join(lacking or ['optim_wrapper.optimizer.lr'])}",
                todo="name a complete mmdet configuration: its weights are given with --checkpoint",
            )
        if isinstance(config.model.get("backbone"), dict):
            # All weights are loaded; pretrained ones would only be fetched to be overwritten.
            config.model.backbone.init_cfg = None
        config.train_dataloader = self._loader(config.train_dataloader)
        for name in ("val", "test"):
            config[f"{name}_dataloader"] = config[f"{name}_cfg"] = config[f"{name}_evaluator"] = None
        optimizer["lr"] *= self.schedule.rate
        epochs = self.schedule.epochs
        config.train_cfg = {"type": "EpochBasedTrainLoop", "max_epochs": epochs}
        config.param_scheduler = [
            {"type": "LinearLR", "start_factor": _LOWEST, "end": 1, "convert_to_iter_based": True},
            {
                "type": "CosineAnnealingLR", "begin": 1, "end": epochs, "T_max": epochs - 1,
                "eta_min": _LOWEST * optimizer["lr"], "convert_to_iter_based": True,
            },
        ]  # fmt: skip
        config.default_hooks = {
            "logger": {"type": "LoggerHook", "interval": 20},
            "checkpoint": {"type": "CheckpointHook", "interval": 1, "max_keep_ckpts": 1},
        }
        config.custom_hooks = [{"type": "EpochOfDataset"}, {"type": "LossGuard"}]
        config.randomness = {"seed": self.seed}
        config.log_level = "ERROR"
        return config

    def _loader(self, given: Mapping[str, Any]) -> dict[str, Any]:
        ours = {
            "type": "ListedBoxes",
            "seed": self.seed,
            "metainfo": {"classes": tuple(self.classes)},
            "ann_file": str(self.images.listing),
            "data_prefix": {"img_path": str(self.images.folder)},
        }
        return {
            **given,
            "dataset": _on_our_images(given["dataset"], ours),
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            # The data set learns the epoch when its workers are forked.
            "persistent_workers": False,
        }

    @property
    def steps(self) -> int:
        """Optimisation steps of a whole training."""
        batch = int(self.config.train_dataloader.get("batch_size", 1))
        return self.schedule.epochs * count_batches(self.images.count, batch)

    @property
    def name(self) -> str:
        """Twelve digits of a hash of all that the weights depend on."""
        config = self.runner_config().to_dict()
        loader = config["train_dataloader"]
        for mapping in (loader["dataset"], loader):
            for key in ("ann_file", "data_prefix", "num_workers"):
                mapping.pop(key, None)
        parts = ("model", "train_dataloader", "optim_wrapper", "param_scheduler", "train_cfg", "custom_hooks")
        described = [self.identity, self.images.sha256, asdict(self.schedule), [config[part] for part in parts]]
        brought = brought_code(self.config, self.config.model, self.config.train_dataloader)
        described += [brought] if brought else []
        return hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode()).hexdigest()[:12]

    def run(self, folder: Path, advanced: Callable[[int, int], None] = lambda *_: None) -> Path:
        """Train, or go on where a training of the same name stopped in this folder, or only say what came of it.

        Args:
            folder: Folder of the trainings; each has one of its own there.
            advanced: Called after each step with (steps done, steps in all).

        Returns:
            The trained weights, `.safetensors`.

        Raises:
            ConfigError: See `runner_config`.
            TrainingError: The loss ran away.
        """
        import duskbench.pipeline.training.hooks
        import duskbench.pipeline.training.voc_boxes  # noqa: F401 - registers ListedBoxes

        work_dir = folder / f"seed_{self.seed}-{self.name}"
        trained = work_dir / "detector.safetensors"
        if trained.is_file():
            return trained
        resume = bool(checkpoints(work_dir))
        hooks = [_Advanced(advanced), *([] if resume else [_Start(self.weights)])]
        last = train(self.runner_config(), work_dir=work_dir, resume=resume, hooks=hooks)
        export(last, trained)
        for checkpoint in checkpoints(work_dir):
            checkpoint.unlink()
        return trained


class _Start(Hook):
    """Loads the weights that a training starts from."""

    def __init__(self, weights: Mapping[str, torch.Tensor]) -> None:
        self._weights = weights

    def before_train(self, runner: Any) -> None:
        load_into(
            unwrapped(runner.model), self._weights, where="the detector to start from", ignore=["data_preprocessor."]
        )


class _Advanced(Hook):
    """Reports each step."""

    def __init__(self, advanced: Callable[[int, int], None]) -> None:
        self._advanced = advanced

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        self._advanced(runner.iter + 1, runner.max_iters)


def _on_our_images(dataset: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """A config's training data set with its pipeline, on other images."""
    inner = (dataset.get("datasets") or [None])[0] or dataset.get("dataset")
    if inner is None:
        return {**ours, "pipeline": dataset.get("pipeline", [])}
    replaced = _on_our_images(inner, ours)
    return replaced if dataset.get("type") in _LEFT_OUT else {**dataset, "dataset": replaced}


def write_listing(
    path: Path,
    images: Sequence[tuple[str, tuple[int, int], Sequence[ObjectAnnotation]]],
    labels: Mapping[str, int],
    *,
    ends_on_last_pixel: bool = False,
) -> int:
    """Write boxes of images in mmengine's own format; an image without an object that the detector knows is left out.

    Args:
        path: The file, `.json`.
        images: Path below a folder, width and height, and objects of each.
        labels: `class_key` of a class -> its number. Objects of others are left out.
        ends_on_last_pixel: Whether boxes end on their last pixel, see `MMDetDetector`.

    Returns:
        Number of images in it.
    """
    last = 1.0 if ends_on_last_pixel else 0.0
    rows = []
    for file, (width, height), objects in images:
        instances = [
            {
                "bbox": [o.box_xyxy[0], o.box_xyxy[1], o.box_xyxy[2] - last, o.box_xyxy[3] - last],
                "bbox_label": labels[class_key(o.name)],
                "ignore_flag": int(o.difficult),
            }
            for o in objects
            if class_key(o.name) in labels
        ]
        if instances:
            rows.append({"img_path": file, "img_id": file, "width": width, "height": height, "instances": instances})
    write_text(path, json.dumps({"metainfo": {}, "data_list": rows}))
    return len(rows)
