"""Time of one image through each detector, and of the NMS stand-in against a plain loop.

Usage: python benchmarks/speed/detectors.py [--threads N] [--runs N] [MODEL.onnx ...]

The reference of the same run is mmdet's SSD300 (VOC): a batch of one, preprocessing and NMS included. Large networks
have random weights that say mostly background, so that the number of candidates is like that of trained ones. Runs are
interleaved: on a shared machine only ratios within one run are safe.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from duskbench.benchmarks.speed.timing import table, time_in_turns

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="*", help="ONNX detectors to time too")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=9)
    arguments = parser.parse_args()
    import cv2
    import torch

    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    image = np.random.default_rng(0).integers(0, 256, (375, 500, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        detectors: Any = build(Path(folder), arguments.models)
        stages: dict[str, Callable[[], object]] = {
            name: partial(detector.detect, [image]) for name, detector in detectors.items()
        }
        print(f"500x375, batch 1, {arguments.threads} threads, {arguments.runs} runs")
        print(table(time_in_turns(stages, arguments.runs), "SSD300 (mmdet's config)"))
    boxes, scores = random_boxes(1000)
    suppressions: dict[str, Callable[[], object]] = {
        "NMS of 1000 boxes, NumPy loop": lambda: plain_nms(boxes, scores),
        "NMS of 1000 boxes, torchvision": lambda: suppress(boxes, scores),
    }
    print(table(time_in_turns(suppressions, arguments.runs)))


def build(folder: Path, models: list[Path]) -> dict[str, object]:
    """The detectors, by the name in the table."""
    import torch

    from duskbench.pipeline.detectors.mmdet import MMDetDetector, build_model
    from duskbench.pipeline.detectors.onnx import OnnxDetector
    from duskbench.pipeline.detectors.rfbnet import RFBNetDetector
    from duskbench.pipeline.mmdet_config import load_config

    def untrained(config: str) -> str:
        torch.manual_seed(0)
        model: Any = build_model(load_config(config))
        for head in model.bbox_head.cls_convs:
            head[-1].weight.data *= 0.01
            head[-1].bias.data[20::21] = 9
        path = folder / f"{Path(config).stem}.pth"
        torch.save(model.state_dict(), path)
        return str(path)

    ssd = "mmdet::pascal_voc/ssd300_voc0712.py"
    rfb = str(ROOT / "configs/detectors/rfbnet300_voc.py")
    small = str(ROOT / "configs/detectors/rfb_miniature.py")
    return {
        "SSD300 (mmdet's config)": MMDetDetector(ssd, untrained(ssd)),
        "RFBNet300": RFBNetDetector(rfb, untrained(rfb)),
        "rfb_miniature": RFBNetDetector(small, "rfb_miniature"),
        **{path.stem: OnnxDetector(path) for path in models},
    }


def random_boxes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping boxes with scores."""
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 400, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 120, (count, 2))], axis=1).astype(np.float32)
    return boxes, rng.random(count).astype(np.float32)


def suppress(boxes: np.ndarray, scores: np.ndarray) -> object:
    """Ours."""
    import torch

    from duskbench.pipeline.nms import nms

    return nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.45)


def plain_nms(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
    """One box after the other, each against all that are left."""
    order, kept = np.argsort(-scores, kind="stable"), []
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        sides = np.minimum(boxes[order, 2:], boxes[best, 2:]) - np.maximum(boxes[order, :2], boxes[best, :2])
        inter = np.maximum(sides, 0).prod(axis=1)
        order = order[inter / (areas[order] + areas[best] - inter) <= 0.45]
    return kept


if __name__ == "__main__":
    main()
