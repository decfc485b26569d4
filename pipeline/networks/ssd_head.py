"""SSD's head and default boxes, with what mmdet's own lack for prediction and for RFBNet."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from duskbench.pipeline.mmcv_ops import provide_mmcv_ops
from duskbench.pipeline.nms import nms_per_class

# mmdet.models imports mmcv.ops, so the operators must be there first.
provide_mmcv_ops()

from mmdet.models.dense_heads import SSDHead  # noqa: E402
from mmdet.models.task_modules.prior_generators import SSDAnchorGenerator  # noqa: E402
from mmdet.registry import MODELS, TASK_UTILS  # noqa: E402
from mmengine.structures import InstanceData  # noqa: E402


@MODELS.register_module()
class PredictingSSDHead(SSDHead):
    """mmdet's SSDHead, able to predict.

    mmdet 3.3.0 and onedl-mmdetection 3.5.1 ask every dense head for `loss_cls` at prediction, and SSDHead has none.
    Greedy suppression class by class (`split_thr=0`) is done by torchvision without mmcv's wrappers, which take longer
    than the work on a small picture: the same boxes to the last bit.
    """

    loss_cls = None

    def _bbox_post_process(
        self,
        results: InstanceData,
        cfg: Any,
        rescale: bool = False,
        with_nms: bool = True,
        img_meta: dict[str, Any] | None = None,
    ) -> InstanceData:
        """Scale, leave out small boxes, suppress, and keep the best; arguments and result as in mmdet."""
        settings = {"offset": 0, **cfg.nms} if with_nms and cfg.get("nms") else {}
        threshold, offset = settings.pop("iou_threshold", None), settings.pop("offset", 0)
        if threshold is None or settings != {"type": "nms", "split_thr": 0}:
            return super()._bbox_post_process(results, cfg, rescale, with_nms, img_meta)
        results = super()._bbox_post_process(results, cfg, rescale, with_nms=False, img_meta=img_meta)
        boxes = results.bboxes
        if boxes.numel() == 0:
            return results
        # mmcv moves classes apart even where it does them one by one, and that rounds the coordinates.
        moved = boxes + (results.labels.to(boxes) * (boxes.max() + 1))[:, None]
        keep = nms_per_class(moved, results.scores, results.labels, threshold, offset).sort().values
        # mmcv's order of equal scores, which is torch's.
        keep = keep[results.scores[keep].sort(descending=True).indices]
        return results[keep[: cfg.max_per_img]]


@TASK_UTILS.register_module()
class ClippedSSDAnchorGenerator(SSDAnchorGenerator):
    """SSD's default boxes with centre, width and height clipped to the input, in the order SSDHead expects.

    Args:
        input_size: Side of the square input, in pixels.
        kwargs: See mmdet's SSDAnchorGenerator.

    Source: official layers/functions/prior_box.py, which clamps cx, cy, w and h to 0..1 (RFBNet's `clip: True`).
    """

    def __init__(self, *, input_size: int, **kwargs: Any) -> None:
        super().__init__(input_size=input_size, scale_major=False, **kwargs)
        self.side = float(input_size)

    def single_level_grid_priors(
        self,
        featmap_size: tuple[int, int],
        level_idx: int,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> Tensor:
        """Default boxes of one map, row by row: (H * W * A, 4) x1 y1 x2 y2 in pixels of the input."""
        boxes = super().single_level_grid_priors(featmap_size, level_idx, dtype, device)
        centres = ((boxes[:, :2] + boxes[:, 2:]) / 2).clamp(0, self.side)
        halves = (boxes[:, 2:] - boxes[:, :2]).clamp(0, self.side) / 2
        return torch.cat([centres - halves, centres + halves], dim=1)
