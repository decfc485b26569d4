"""Time NIQE on one core, and one at a time against a batch; peers where they are installed.

Run: python -m duskbench.benchmarks.speed.niqe [--image FILE] [--repeats 9] [--device cuda]
"""

from __future__ import annotations

import argparse
import importlib.util
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import resource
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

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
    print(f"{'':30}{'median ms':>10}{'min ms':>9}{'CPU ms':>9}{'ratio':>7}")
    for width, height in SIZES:
        image = picture(options.image, width, height)
        calls: dict[str, tuple[Callable[[], object], int]] = {
            "duskbench": (lambda image=image: niqe_batch([image], options.device), 1),  # type: ignore[misc]
            f"duskbench, batch of {BATCH}": (lambda image=image: niqe_batch([image] * BATCH, options.device), BATCH),  # type: ignore[misc]
        }
        for name, peer in peers().items():
            calls[name] = (lambda peer=peer, image=image: peer(image), 1)  # type: ignore[misc]
        reference = 0.0
        for name, (call, n) in calls.items():
            call()
            wall, cpu = [], []
            for _ in range(options.repeats):
                start, start_cpu = time.perf_counter(), time.process_time()
                call()
                wall.append((time.perf_counter() - start) * 1e3 / n)
                cpu.append((time.process_time() - start_cpu) * 1e3 / n)
            reference = reference or median(wall)
            label = f"{width}x{height} {name}"
            print(f"{label:30}{median(wall):10.1f}{min(wall):9.1f}{median(cpu):9.1f}{median(wall) / reference:7.2f}")
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
