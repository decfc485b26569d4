"""What it does to inference that freed memory is kept: CPU seconds and peak memory, on images of mixed sizes.

    python -m duskbench.benchmarks.speed.freed_memory guided enlightengan --images 24

Each round runs every enhancer twice, in a process of its own each time: with freed memory kept, as a run does, and
given back to the system, as the C library does by default. The peak is also taken after half of the images: it must not
go on growing.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

_SMALLEST, _LARGEST = 96, 320


def main() -> None:
    """Print a line for each enhancer and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("enhancers", nargs="*", default=["guided"])
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--child", choices=["kept", "given back"], help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(_enhance(asked.enhancers[0], asked.images, keep=asked.child == "kept")))
        return
    for _ in range(asked.rounds):
        for name in asked.enhancers:
            for way in ("kept", "given back"):
                command = [sys.executable, "-m", "duskbench.benchmarks.speed.freed_memory", name]
                command += ["--images", str(asked.images), "--child", way]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                ms, half, whole = json.loads(done.stdout)
                print(
                    f"{name:14} {way:10}  {ms:7.1f} ms of CPU an image  peak {half:5.0f} MiB after half of them, "
                    f"{whole:5.0f} MiB after all",
                    flush=True,
                )


def _enhance(name: str, images: int, *, keep: bool) -> tuple[float, float, float]:
    import torch

    from duskbench import load_enhancer
    from duskbench.pipeline.allocator import keep_freed_memory

    torch.set_num_threads(1)
    if keep:
        keep_freed_memory()
    enhancer, rng = load_enhancer(name), np.random.default_rng(0)
    pictures = [rng.integers(0, 80, (*rng.integers(_SMALLEST, _LARGEST, 2), 3), np.uint8) for _ in range(images)]
    enhancer(np.zeros((_LARGEST, _LARGEST, 3), np.uint8))
    start, peaks = time.process_time(), []
    for number, picture in enumerate(pictures, start=1):
        enhancer(picture)
        if number in (images // 2, images):
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)
    return (time.process_time() - start) / images * 1000, peaks[0], peaks[-1]


if __name__ == "__main__":
    main()
