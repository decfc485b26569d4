"""Data sets of mmdet with the boxes and the randomness that training here needs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar
from xml.etree.ElementTree import Element, ElementTree, ParseError

import numpy as np
import torch

from duskbench.data_tools.classes import SHARED_CLASSES, class_key
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.images import read_image
from duskbench.data_tools.voc_xml import lower_tags
from duskbench.pipeline.mmcv_ops import provide_mmcv_ops
from duskbench.pipeline.training.samples import samples_or_error

# mmdet.datasets imports mmcv.ops, so the operators must be there first.
provide_mmcv_ops()

from mmcv.transforms import BaseTransform  # noqa: E402
from mmdet.datasets import BaseDetDataset, XMLDataset  # noqa: E402
from mmdet.registry import DATASETS, HOOKS, TRANSFORMS  # noqa: E402
from mmengine.hooks import Hook  # noqa: E402


class RepeatableAugmentation:
    """Lets augmentation depend on `seed`, the epoch and the image alone.

    So it depends neither on the number of workers nor on whether training was interrupted.

    Args:
        seed: Of the augmentation.
        kwargs: Of the data set.
    """

    test_mode: bool

    def __init__(self, *, seed: int = 0, **kwargs: Any) -> None:
        self.seed, self.epoch = seed, 0
        super().__init__(**kwargs)

    def prepare_data(self, idx: int) -> Any:
        """Load and augment one image; see mmengine's BaseDataset."""
        if not self.test_mode:
            state = int(np.random.SeedSequence((self.seed, self.epoch, idx)).generate_state(1)[0])
            random.seed(state)
            np.random.seed(state)
            torch.manual_seed(state)
        try:
            return super().prepare_data(idx)  # type: ignore[misc]
        except Exception:
            # What mmcv says of an image that it cannot read, or does not find, does not name it as the fault.
            read_image(self.get_data_info(idx)["img_path"])  # type: ignore[attr-defined]
            raise

    def __getitems__(self, numbers: Sequence[int]) -> list[Any] | DataError:
        """Make the samples of a batch; the DataLoader calls it."""
        return [self[number] for number in numbers] if self.test_mode else samples_or_error(self, numbers)  # type: ignore[index]


@DATASETS.register_module()
class VOCBoxes(RepeatableAugmentation, XMLDataset):
    """A VOC tree whose boxes are 0-based and end-exclusive, like those of `Detections`.

    mmdet's own reader subtracts 1 from all four coordinates of VOC's 1-based inclusive boxes, which leaves x2 and y2 on
    the last pixel inside. It also leaves out a class in another spelling than its own.

    Args:
        seed: Of the augmentation.
        kwargs: See mmdet's XMLDataset.

    Raises:
        DataError: An annotation is missing or damaged.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"classes": SHARED_CLASSES}

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the annotations."""
        self._spellings = {class_key(name): name for name in self._metainfo["classes"]}
        self._others: Counter[str] = Counter()
        rows: list[dict[str, Any]] = super().load_data_list()
        return rows

    def filter_data(self) -> list[dict[str, Any]]:
        """Leave out what `filter_cfg` says, and keep how much that was."""
        rows: list[dict[str, Any]] = super().filter_data()
        self._images = (len(self.data_list), len(rows))
        return rows

    @property
    def notes(self) -> tuple[str, ...]:
        """What is left out of the training, in sentences for the log."""
        listed, kept = self._images
        others = ", ".join(f"{name} ({count})" for name, count in sorted(self._others.items()))
        sentences = (
            f"{self._others.total()} objects left out, of other classes than the detector's: {others}",
            f"{listed - kept} of {listed} images left out, without an object of the detector's classes or too small",
        )
        return tuple(
            f"{self.ann_file}: {sentence}"
            for sentence, is_so in zip(sentences, (self._others, listed > kept), strict=True)
            if is_so
        )

    def parse_data_info(self, img_info: dict[str, Any]) -> dict[str, Any]:
        """Read an annotation; see mmdet's XMLDataset."""
        try:
            row: dict[str, Any] = super().parse_data_info(img_info)
        except (OSError, ParseError, AttributeError, TypeError, ValueError) as error:
            raise DataError(
                "Cannot read the annotation of a training image.",
                where=img_info["xml_path"],
                expected="VOC's XML, with a name and four numbers for each object",
                got=f"{type(error).__name__}: {error}",
                todo=f"repair it, or take {img_info['img_id']} out of {self.ann_file}",
            ) from error
        return row

    def _parse_instance_info(self, raw_ann_info: ElementTree[Element], minus_one: bool = True) -> list[dict[str, Any]]:
        lower_tags(raw_ann_info.iter())
        for name in raw_ann_info.iterfind("object/name"):
            given = name.text or ""
            if given not in self._metainfo["classes"]:
                name.text = self._spellings.get(class_key(given), given)
                self._others.update([] if class_key(given) in self._spellings else [given.strip()])
        instances: list[dict[str, Any]] = super()._parse_instance_info(raw_ann_info, minus_one)
        for instance in instances:
            x1, y1, x2, y2 = instance["bbox"]
            instance["bbox"] = [x1, y1, x2 + 1, y2 + 1]
        return instances


@DATASETS.register_module()
class ListedBoxes(RepeatableAugmentation, BaseDetDataset):
    """Images and boxes of an annotation file in mmengine's own format, as `fine_tuning` writes it.

    Args:
        seed: Of the augmentation.
        kwargs: See mmdet's BaseDetDataset.
    """


@TRANSFORMS.register_module()
class RandomWindow(BaseTransform):
    """Crop to a random window, keeping the boxes whose centre is in it.

    SSD's crop, mmdet's MinIoURandomCrop, also asks for a least overlap and tries up to fifty windows for it, which
    takes 27 ms an image: nine tenths of the pipeline at this image size.

    Args:
        least: Smallest width and height of the window, as a share of the image's.
        prob: How often to crop at all.

    A window without any box's centre is not used; the image stays whole.
    """

    def __init__(self, least: float = 0.5, prob: float = 0.6) -> None:
        self.least, self.prob = least, prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop `img` and `gt_bboxes` and what belongs to the boxes."""
        height, width = results["img"].shape[:2]
        chance, *shares = np.random.uniform(size=5)
        window_w = round(width * (self.least + (1 - self.least) * shares[0]))
        window_h = round(height * (self.least + (1 - self.least) * shares[1]))
        left, top = int((width - window_w) * shares[2]), int((height - window_h) * shares[3])
        x, y = results["gt_bboxes"].centers.unbind(dim=1)
        inside = (x > left) & (x < left + window_w) & (y > top) & (y < top + window_h)
        if chance >= self.prob or not inside.any():
            return results
        boxes = results["gt_bboxes"][inside]
        boxes.translate_([-left, -top])
        boxes.clip_([window_h, window_w])
        results["img"] = np.ascontiguousarray(results["img"][top : top + window_h, left : left + window_w])
        results["img_shape"] = (window_h, window_w)
        results["gt_bboxes"] = boxes
        for key in ("gt_bboxes_labels", "gt_ignore_flags"):
            results[key] = results[key][inside.numpy()]
        return results


@HOOKS.register_module()
class EpochOfDataset(Hook):
    """Tells the training data set the epoch, for `RepeatableAugmentation`; its workers must be new in each epoch."""

    def before_train_epoch(self, runner: Any) -> None:
        """Set the epoch before the workers are forked."""
        dataset = runner.train_dataloader.dataset
        while not isinstance(dataset, RepeatableAugmentation) and hasattr(dataset, "dataset"):
            dataset = dataset.dataset
        dataset.epoch = runner.epoch
