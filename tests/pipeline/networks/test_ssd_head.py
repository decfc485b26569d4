"""Suppression without mmcv's wrappers, against mmdet's own post-processing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from duskbench.pipeline.networks import ssd_head
from duskbench.pipeline.networks.ssd_head import PredictingSSDHead, SSDHead

NMS = {"type": "nms", "iou_threshold": 0.45, "split_thr": 0}


def candidates(n: int, *, low: float = 0.0, ties: bool = False) -> InstanceData:
    draw = torch.Generator().manual_seed(n)
    corner = torch.rand(n, 2, generator=draw) * 100 + low
    scores = torch.rand(n, generator=draw)
    return InstanceData(
        bboxes=torch.cat([corner, corner + torch.rand(n, 2, generator=draw) * 40], dim=1),
        scores=(scores * 8).round() / 8 if ties else scores,
        labels=torch.randint(0, 5, (n,), generator=draw),
    )


@pytest.mark.parametrize(
    ("given", "settings", "is_ours"),
    [
        ({"n": 400}, {}, True),
        ({"n": 400, "ties": True}, {}, True),
        ({"n": 400, "low": -60.0}, {"nms": {**NMS, "offset": 1}}, True),
        ({"n": 400}, {"min_bbox_size": 5}, True),
        ({"n": 400}, {"max_per_img": 7}, True),
        ({"n": 1}, {}, True),
        ({"n": 0}, {}, True),
        ({"n": 40}, {"min_bbox_size": 1000}, True),
        ({"n": 400}, {"nms": {**NMS, "split_thr": 10000}}, False),
        ({"n": 400}, {"nms": {**NMS, "max_num": 9}}, False),
        ({"n": 60}, {"nms": {**NMS, "type": "soft_nms", "min_score": 0.1}}, False),
    ],
)
def test_the_boxes_are_mmdet_s_to_the_last_bit(
    given: dict[str, Any], settings: dict[str, Any], is_ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    ours = ssd_head.nms_per_class
    monkeypatch.setattr(ssd_head, "nms_per_class", lambda *given: calls.append(1) or ours(*given))
    config = ConfigDict({"nms": NMS, "min_bbox_size": 0, "max_per_img": 200, **settings})
    asked: dict[str, Any] = {"cfg": config, "rescale": True, "img_meta": {"scale_factor": (0.6, 0.7)}}
    head = PredictingSSDHead.__new__(PredictingSSDHead)
    got = head._bbox_post_process(candidates(**given), **asked)
    want = SSDHead._bbox_post_process(head, candidates(**given), **asked)
    for name in ("bboxes", "scores", "labels"):
        assert torch.equal(got[name], want[name]), name
    assert bool(calls) == (is_ours and len(got) > 0)
