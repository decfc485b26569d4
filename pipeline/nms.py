"""Greedy and soft non-maximum suppression, on any device, through torchvision."""

from __future__ import annotations

import torch
from torch import Tensor

from duskbench.pipeline.lazy_imports import import_when_used

# torchvision imports torch's compiler to ask whether it is compiling; that takes twice as long as torch itself.
with import_when_used("torch._dynamo"):
    from torchvision.ops import nms as torchvision_nms

SOFT_NMS_METHODS: tuple[str, ...] = ("naive", "linear", "gaussian")


def nms(boxes_xyxy: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """Greedy non-maximum suppression: a box goes when its IoU with a better one that stays is above the threshold.

    Args:
        boxes_xyxy: (N, 4) float x1 y1 x2 y2.
        scores: (N,) float. Of equal scores the earlier one counts as better.
        iou_threshold: Strict: an IoU equal to it does not suppress.
        offset: Added to every width and height. 1 for boxes whose x2, y2 are the last pixel inside.

    Returns:
        (K,) int64 indices of the boxes that stay, best score first.
    """
    if offset:
        # Moving x2, y2 outwards adds the offset to boxes and to their intersections alike.
        boxes_xyxy = boxes_xyxy + boxes_xyxy.new_tensor([0, 0, offset, offset])
    return torchvision_nms(boxes_xyxy, scores, iou_threshold)


def nms_per_class(boxes_xyxy: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """Greedy non-maximum suppression within each class.

    Classes are done one by one: the usual trick of moving each class's boxes apart rounds coordinates, and lets boxes
    with negative coordinates meet another class's.

    Args:
        boxes_xyxy: (N, 4) float x1 y1 x2 y2.
        scores: (N,) float.
        labels: (N,) int64.
        iou_threshold: See `nms`.
        offset: See `nms`.

    Returns:
        (K,) int64 indices of the boxes that stay, best score first over all classes; of equal scores the lower index.
    """
    kept = [labels.new_zeros(0)]
    for label in labels.unique():
        of_class = (labels == label).nonzero().flatten()
        kept.append(of_class[nms(boxes_xyxy[of_class], scores[of_class], iou_threshold, offset)])
    keep = torch.cat(kept).sort().values
    return keep[scores[keep].argsort(descending=True, stable=True)]


def soft_nms(
    boxes_xyxy: Tensor,
    scores: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: str,
    offset: int = 0,
) -> tuple[Tensor, Tensor]:
    """Soft non-maximum suppression: overlapping boxes lose score instead of going.

    Args:
        boxes_xyxy: (N, 4) float x1 y1 x2 y2.
        scores: (N,) float.
        iou_threshold: From which IoU on `linear` lowers a score by its share and `naive` sets it to zero.
        sigma: Width of `gaussian`, which lowers every score by exp(-IoU^2 / sigma).
        min_score: A box whose score falls below it goes.
        method: One of `SOFT_NMS_METHODS`.
        offset: See `nms`.

    Returns:
        (K, 5) boxes with their new scores in the order of picking, and (K,) int64 indices.

    Source:
        Bodla et al. 2017, "Soft-NMS", figure 2; boundary cases as in mmcv's `softnms` operator.
    """
    boxes = boxes_xyxy + boxes_xyxy.new_tensor([0, 0, offset, offset])
    scores = scores.clone()
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left = torch.arange(len(boxes), device=boxes.device)
    picked, picked_scores = [], []
    while len(left):
        best = left[scores[left].argmax()]
        picked.append(best)
        picked_scores.append(scores[best].clone())
        left = left[left != best]
        sides = torch.minimum(boxes[left, 2:], boxes[best, 2:]) - torch.maximum(boxes[left, :2], boxes[best, :2])
        inter = sides.clamp(min=0).prod(dim=1)
        iou = inter / (areas[left] + areas[best] - inter)
        scores[left] *= _soft_weight(iou, iou_threshold, sigma, method)
        left = left[scores[left] >= min_score]
    if not picked:
        return boxes_xyxy.new_zeros(0, 5), torch.zeros(0, dtype=torch.int64, device=boxes.device)
    order = torch.stack(picked)
    return torch.cat([boxes_xyxy[order], torch.stack(picked_scores)[:, None]], dim=1), order


def _soft_weight(iou: Tensor, iou_threshold: float, sigma: float, method: str) -> Tensor:
    one = torch.ones_like(iou)
    if method == "gaussian":
        return torch.exp(-(iou * iou) / sigma)
    return torch.where(iou >= iou_threshold, 1 - iou if method == "linear" else torch.zeros_like(iou), one)
