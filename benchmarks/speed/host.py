"""Time what a plug-in's process of its own costs: an image there and back, a start, and one that follows a crash.

Run: python -m duskbench.benchmarks.speed.host [--repeats 200]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from duskbench.data_tools.errors import EnhancerError
from duskbench.pipeline.enhancers.base import Enhancer
from duskbench.pipeline.registry import load_enhancer

SIZES = ((640, 480), (1920, 1080))
PLUGIN = """
import os

def copy(image):
    return image.copy()

def dies(image):
    os._exit(1)
"""


def milliseconds(enhancer: Enhancer, image: np.ndarray) -> float:
    """Time of one call."""
    start = time.perf_counter()
    enhancer(image)
    return (time.perf_counter() - start) * 1e3


def children_seconds() -> float:
    """CPU time of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print medians in milliseconds; the two ways are measured in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        plugin = Path(folder) / "plugin.py"
        plugin.write_text(PLUGIN)
        own, here = load_enhancer(f"{plugin}:copy"), load_enhancer(f"{plugin}:copy", isolate=False)
        print(f"{'a copy of the image, ms':24}{'own process':>14}{'this process':>14}{'difference':>12}")
        for width, height in SIZES:
            image = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
            times = [(milliseconds(own, image), milliseconds(here, image)) for _ in range(repeats)][2:]
            for name, pick in (("median", median), ("least", min)):
                there, this = pick([each[0] for each in times]), pick([each[1] for each in times])
                print(f"{f'{width}x{height}, {name}':24}{there:14.2f}{this:14.2f}{there - this:12.2f}")
        own.close()
        image, starts, cpu = np.zeros((480, 640, 3), np.uint8), [], children_seconds()
        for _ in range(5):
            start = time.perf_counter()
            load_enhancer(f"{plugin}:copy").close()
            starts.append((time.perf_counter() - start) * 1e3)
        print(f"a start and an end: {median(starts):.0f} ms, of CPU {(children_seconds() - cpu) / 5 * 1e3:.0f} ms")
        dying = load_enhancer(f"{plugin}:dies")
        deaths = []
        for _ in range(4):
            start = time.perf_counter()
            try:
                dying(image)
            except EnhancerError:
                deaths.append((time.perf_counter() - start) * 1e3)
        print(f"an image on which it dies, with the start that this makes necessary: {median(deaths[1:]):.0f} ms")


if __name__ == "__main__":
    main()
