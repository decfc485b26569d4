"""Detections that can hardly be meant as they are."""

from __future__ import annotations

import numpy as np
import pytest

from duskbench.benchmarks.doubts import doubts
from duskbench.benchmarks.metrics.boxes import Boxes

CORNERS = np.array([[60, 40, 150, 120], [20, 30, 50, 90], [100, 10, 130, 60], [5, 5, 45, 35]], float)
X, Y, RIGHT, BOTTOM = CORNERS.T
WIDTH, HEIGHT = RIGHT - X, BOTTOM - Y


def boxes(corners: np.ndarray, labels: list[int] | None = None) -> Boxes:
    n = len(corners)
    return Boxes(
        boxes_xyxy=corners,
        labels=np.array(labels if labels is not None else [0, 1, 2, 0][:n]),
        images=np.arange(n),
        scores=np.linspace(0.9, 0.5, n),
        difficult=np.zeros(n, bool),
        ordinals=np.zeros(n, int),
    )


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (boxes(CORNERS / [160, 160, 160, 160]), "shares of its width and height"),
        (boxes(CORNERS[:1] / 160), "shares of its width and height"),
        (boxes(CORNERS, [1, 2, 3, 1]), "4 detections lie on objects, but only 0 on objects of their class"),
        (boxes(np.stack([X + WIDTH / 2, Y + HEIGHT / 2, WIDTH, HEIGHT], 1)), "centre x, centre y, width, height"),
        (boxes(np.stack([X, Y, X + RIGHT, Y + BOTTOM], 1)), "1 detection lies on an object, but 4 of 4 would if"),
        (boxes(np.stack([X, Y, X + RIGHT, Y + BOTTOM], 1)), "corners x1 y1 x2 y2, where width and height belong"),
        (boxes(CORNERS), None),
        (boxes(CORNERS[:0]), "found nothing, and there are 4 objects"),
        (boxes(CORNERS[:2] + 500), None),
    ],
)
def test_what_looks_as_if_it_was_not_meant_so(found: Boxes, says: str | None) -> None:
    said = doubts(boxes(CORNERS), found)
    assert said == [] if says is None else says in said[0]
    assert doubts(boxes(CORNERS[:0]), found) == []
