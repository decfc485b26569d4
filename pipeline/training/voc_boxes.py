"""Data sets of mmdet with the boxes and the randomness that training here needs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from duskbench.data_tools.classes import SHARED_CLASSES, class_key
from duskbench.data_tools.image_sets import read_image_set
from duskbench.data_tools.images import image_size, read_image
from duskbench.data_tools.records import ImageRecord
from duskbench.data_tools.voc import VOC
from duskbench.pipeline.mmcv_ops import provide_mmcv_ops

# mmdet.datasets imports mmcv.ops, so the operators must be there first.
provide_mmcv_ops()

from mmcv.transforms import BaseTransform, LoadImageFromFile  # noqa: E402
from mmdet.datasets import BaseDetDataset  # noqa: E402
from mmdet.registry import DATASETS, HOOKS  # noqa: E402
from mmengine.hooks import Hook  # noqa: E402
from mmengine.registry import TRANSFORMS  # noqa: E402


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
        return super().prepare_data(idx)  # type: ignore[misc]


@DATASETS.register_module()
class VOCBoxes(RepeatableAugmentation, BaseDetDataset):
    """A VOC tree as `duskbench.data_tools.voc` reads it: a training sees the images and boxes that a run measures.

    Args:
        seed: Of the augmentation.
        kwargs: See mmdet's BaseDetDataset. `ann_file` lists the images, `data_prefix.sub_data_root` is the tree;
            `filter_cfg` may have `filter_empty_gt`, `min_size` (of an image) and `bbox_min_size` (of a box, smaller
            ones are ignored).

    Raises:
        DataError: The tree, its list or an annotation is broken or not there.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"classes": SHARED_CLASSES}

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the annotations."""
        tree = VOC(self.data_prefix.get("sub_data_root", ""), "all")
        tree.select(read_image_set(self.ann_file, tree.selectable))
        labels = {class_key(name): number for number, name in enumerate(self._metainfo["classes"])}
        records = [tree.record(image_id) for image_id in tree.ids]
        self._others = Counter(o.name for r in records for o in r.objects or () if class_key(o.name) not in labels)
        self._read = tree.notes
        return [self._row(record, labels) for record in records]

    def _row(self, record: ImageRecord, labels: Mapping[str, int]) -> dict[str, Any]:
        """An image in mmengine's own format."""
        least = (self.filter_cfg or {}).get("bbox_min_size", 0)
        width, height = record.size or image_size(record.path)
        instances = [
            {
                "bbox": list(o.box_xyxy),
                "bbox_label": labels[class_key(o.name)],
                "ignore_flag": int(o.difficult or min(x2 - x1, y2 - y1) < least),
            }
            for o in record.objects or ()
            if class_key(o.name) in labels
            for x1, y1, x2, y2 in [o.box_xyxy]
        ]
        row = {"img_path": str(record.path), "img_id": record.id, "width": width, "height": height}
        return {**row, "instances": instances}

    def filter_data(self) -> list[dict[str, Any]]:
        """Leave out what `filter_cfg` says, and keep how much that was."""
        asked = {} if self.test_mode else self.filter_cfg or {}
        rows = [
            row
            for row in self.data_list
            if (row["instances"] or not asked.get("filter_empty_gt"))
            and min(row["width"], row["height"]) >= asked.get("min_size", 0)
        ]
        self._images = (len(self.data_list), len(rows))
        return rows

    @property
    def notes(self) -> tuple[str, ...]:
        """What is left out of the training or read otherwise than it is written, in sentences for the log."""
        listed, kept = self._images
        others = ", ".join(f"{name} ({count})" for name, count in sorted(self._others.items()))
        sentences = (
            f"{self._others.total()} objects left out, of other classes than the detector's: {others}",
            f"{listed - kept} of {listed} images left out, without an object of the detector's classes or too small",
        )
        left_out = [one for one, is_so in zip(sentences, (self._others, listed > kept), strict=True) if is_so]
        return tuple(f"{self.ann_file}: {sentence}" for sentence in (*self._read, *left_out))


@DATASETS.register_module()
class ListedBoxes(RepeatableAugmentation, BaseDetDataset):
    """Images and boxes of an annotation file in mmengine's own format, as `fine_tuning` writes it.

    Args:
        seed: Of the augmentation.
        kwargs: See mmdet's BaseDetDataset.
    """


# In mmengine's registry, where every scope finds it: which one is the default depends on what ran before.
@TRANSFORMS.register_module()
class ReadImage(LoadImageFromFile):
    """mmcv's step that loads an image, by the reader that everything else here has.

    It turns an image upright in every format, and what is damaged is an error that names the file: OpenCV, which mmcv
    takes, gives a whole image with a grey rest.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Set `img`, (H, W, 3) uint8 or float32 BGR, and its sizes.

        Raises:
            DataError: See `read_image`.
        """
        image_bgr = read_image(results["img_path"])[:, :, ::-1]
        results["img"] = np.ascontiguousarray(image_bgr, np.float32 if self.to_float32 else np.uint8)
        results["img_shape"] = results["ori_shape"] = image_bgr.shape[:2]
        return results


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
