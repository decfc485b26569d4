"""Time NIQE on one core, and one at a time against a batch; peers where they are installed.

Run: python -m duskbench.benchmarks.speed.niqe [--image FILE] [--repeats 9] [--device cuda]
"""

from __future__ import annotations

import argparse
import importlib.util
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from duskbench.benchmarks.speed.timing import table, time_in_turns

SIZES = ((320, 240), (640, 480), (1600, 1200))
BATCH = 8


def picture(source: Path | None, width: int, height: int) -> np.ndarray:
    """The given file resized, or noise with a natural-looking spectrum; (H, W, 3) uint8 RGB."""
    import cv2

    from duskbench.data_tools.images import read_image

    if source is not None:
        return cv2.resize(read_image(source), (width, height), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(0).standard_normal((height, width, 3))
    smooth = sum(cv2.GaussianBlur(noise, (0, 0), sigma) * sigma for sigma in (0.7, 2, 5, 12))
    return np.clip(128 + 45 * smooth, 0, 255).astype(np.uint8)


def peers() -> dict[str, Callable[[np.ndarray], object]]:
    """Other implementations that happen to be installed; none of them is a dependency."""
    found: dict[str, Callable[[np.ndarray], object]] = {}
    if importlib.util.find_spec("basicsr"):
        calculate = importlib.import_module("basicsr.metrics.niqe").calculate_niqe
        found["BasicSR"] = lambda image: calculate(image[:, :, ::-1], 0, convert_to="gray")
    if importlib.util.find_spec("pyiqa"):
        import torch

        metric = importlib.import_module("pyiqa").create_metric("niqe", device="cpu", color_space="yiq")
        found["pyiqa"] = lambda image: metric(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)
    return found


def main() -> None:
    """Print medians in milliseconds per image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()

    import torch

    from duskbench.benchmarks.metrics.niqe import niqe_batch

    torch.set_num_threads(1)
    for width, height in SIZES:
        image = picture(options.image, width, height)
        batch = f"duskbench, each of {BATCH}"
        calls: dict[str, Callable[[], object]] = {
            "duskbench": partial(niqe_batch, [image], options.device),
            batch: partial(niqe_batch, [image] * BATCH, options.device),
            **{name: partial(peer, image) for name, peer in peers().items()},
        }
        print(f"{width}x{height}")
        print(table(time_in_turns(calls, options.repeats), images={batch: BATCH}), flush=True)
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
