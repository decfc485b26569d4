"""Time `voc_ap` and `coco_ap` at the size of ExDark's test split against mmdet's `eval_map`, on one core.

Run: python -m duskbench.benchmarks.speed.voc_ap [--repeats 5] [--no-peers]
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable
from typing import Any

import numpy as np

from duskbench.benchmarks.speed.timing import table, time_in_turns

N_IMAGES, PER_IMAGE, N_CLASSES, N_OBJECTS = 2563, 200, 20, 7818


def random_set() -> tuple[Any, ...]:
    """Objects, and detections of which a fifth lie near an object: the columns of `voc_ap`."""
    rng = np.random.default_rng(0)

    def boxes(n: int) -> np.ndarray:
        corner = rng.random((n, 2)) * 400
        return np.hstack([corner, corner + 20 + rng.random((n, 2)) * 150])

    gt_box, gt_image = boxes(N_OBJECTS), rng.integers(0, N_IMAGES, N_OBJECTS)
    gt_label, difficult = rng.integers(0, N_CLASSES, N_OBJECTS), rng.random(N_OBJECTS) < 0.1
    n = N_IMAGES * PER_IMAGE
    det_box, det_image, det_label = boxes(n), np.repeat(np.arange(N_IMAGES), PER_IMAGE), rng.integers(0, N_CLASSES, n)
    near = rng.permutation(n)[: n // 5]
    source = rng.integers(0, N_OBJECTS, len(near))
    det_box[near] = gt_box[source] + rng.normal(0, 12, (len(near), 4))
    det_box[:, 2:] = np.maximum(det_box[:, 2:], det_box[:, :2] + 1)
    det_image[near], det_label[near] = gt_image[source], gt_label[source]
    order = np.argsort(det_image, kind="stable")
    scores = rng.permutation(n) / n
    return gt_box, gt_label, gt_image, difficult, det_box[order], scores, det_label[order], det_image[order]


def mmdet_eval_map(data: tuple[Any, ...]) -> Callable[[], object]:
    """The function of mmdet itself, its per-image lists made beforehand."""
    from duskbench.pipeline.mmcv_ops import provide_mmcv_ops

    provide_mmcv_ops()
    from mmdet.evaluation.functional import eval_map

    gt_box, gt_label, gt_image, difficult, det_box, score, det_label, det_image = data
    rows = np.hstack([det_box, score[:, None]]).astype(np.float32)
    found, truth = [], []
    for image in range(N_IMAGES):
        here = det_image == image
        of_image, labels = rows[here], det_label[here]
        found.append([of_image[labels == label] for label in range(N_CLASSES)])
        mine, hard = (gt_image == image) & ~difficult, (gt_image == image) & difficult
        truth.append(
            {
                "bboxes": gt_box[mine].astype(np.float32),
                "labels": gt_label[mine],
                "bboxes_ignore": gt_box[hard].astype(np.float32),
                "labels_ignore": gt_label[hard],
            }
        )
    return lambda: eval_map(found, truth, iou_thr=0.5, eval_mode="11points", logger="silent", nproc=1)


def main() -> None:
    """Print medians, and ratios to `voc_ap` of the same run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-peers", action="store_true", help="leave out mmdet, whose import takes seconds")
    options = parser.parse_args()

    from duskbench.benchmarks.metrics.coco_ap import coco_ap
    from duskbench.benchmarks.metrics.voc_ap import match, voc_ap

    columns = random_set()
    shuffled = np.random.default_rng(1).permutation(len(columns[5]))
    data: tuple[Any, ...] = (*columns, N_CLASSES)
    unsorted: tuple[Any, ...] = (*columns[:4], *(column[shuffled] for column in columns[4:]), N_CLASSES)
    calls: dict[str, Callable[[], object]] = {
        "voc_ap": lambda: voc_ap(*data),
        "voc_ap, detections shuffled": lambda: voc_ap(*unsorted),
        "match alone": lambda: match(*data),
        "coco_ap": lambda: coco_ap(*data),
    }
    if not options.no_peers:
        calls["mmdet eval_map, nproc 1"] = mmdet_eval_map(columns)
    print(f"{N_IMAGES} images x {PER_IMAGE} detections, {N_OBJECTS} objects, {N_CLASSES} classes")
    print(table(time_in_turns(calls, options.repeats)))


if __name__ == "__main__":
    main()
