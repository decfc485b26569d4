"""LIME's illumination map against a direct sparse solve of the same matrix, on one core.

    python -m duskbench.benchmarks.speed.lime [IMAGE] [--repeats 5] [--threads 1] [--large] [--device cpu]

Every figure is taken in a fresh process, so that peak memory is that of the one method; methods take turns, so that a
busy machine is busy for both.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

SIZES = ((320, 240), (600, 400), (1200, 800))
LARGE_SIZES = ((1600, 1250), (4000, 3000), (6000, 4000))


def picture(width: int, height: int, source: Path | None) -> np.ndarray:
    """The image resized, or a dark room with a lamp, shapes and sensor noise."""
    import cv2

    if source is not None:
        from duskbench.data_tools.images import read_image

        return cv2.resize(read_image(source), (width, height), interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(0)
    light = np.full((height, width, 3), 0.1)
    for _ in range(60):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        size = int(rng.integers(width // 40 + 1, width // 8 + 2))
        colour = rng.uniform(0.05, 0.9, 3).tolist()
        if rng.random() < 0.5:
            cv2.rectangle(light, (x, y), (x + size, y + size), colour, -1)
        else:
            cv2.circle(light, (x, y), size // 2, colour, -1)
    rows, columns = np.mgrid[:height, :width] / max(width, height)
    light *= 0.03 + np.exp(-8 * ((rows - 0.3) ** 2 + (columns - 0.6) ** 2))[..., None]
    light += rng.normal(0, 0.008, light.shape)
    return np.clip(np.rint(light * 255), 0, 255).astype(np.uint8)


def run_ours(width: int, height: int, source: Path | None, threads: int, device: str) -> dict[str, Any]:
    """Seconds, memory and map of our solver."""
    import torch

    from duskbench.pipeline.enhancers.illumination import initial_illumination, refine_illumination
    from duskbench.pipeline.enhancers.lime import Lime

    torch.set_num_threads(threads)
    image = picture(width, height, source)
    lime = Lime(device=device)
    lime(image[:64, :64])
    before = _peak_bytes()
    seconds, cpu = _time(lambda: lime(image))
    extra = _peak_bytes() - before
    solution = refine_illumination(initial_illumination(image, device))
    return {
        "seconds": seconds,
        "cpu": cpu,
        "extra": extra,
        "peak": _peak_bytes(),
        "iterations": solution.iterations,
        "residual": solution.residual,
        "map": solution.x.cpu().numpy() if width * height <= 1_000_000 else None,
    }


def run_direct(width: int, height: int, source: Path | None) -> dict[str, Any]:
    """Seconds and map of scipy's SuperLU on the matrix written out; the time to write it out is not counted."""
    from scipy import sparse
    from scipy.sparse.linalg import spsolve

    from duskbench.pipeline.enhancers.illumination import illumination_operator, initial_illumination

    initial = initial_illumination(picture(width, height, source))
    grid = illumination_operator(initial, alpha=0.15, strategy=3, sigma=2, eps=1e-3)
    index = np.arange(height * width).reshape(height, width)
    first = np.concatenate([index[:, :-1].ravel(), index[:-1].ravel()])
    second = np.concatenate([index[:, 1:].ravel(), index[1:].ravel()])
    coupling = np.concatenate([grid.right.numpy().ravel(), grid.down.numpy().ravel()])
    laplacian = sparse.coo_matrix((-coupling, (first, second)), shape=(index.size, index.size))
    laplacian = laplacian + laplacian.T
    matrix = (laplacian + sparse.diags(1 - np.asarray(laplacian.sum(axis=1)).ravel())).tocsc()
    right_side = initial.numpy().ravel()
    solution: list[np.ndarray] = []
    seconds, cpu = _time(lambda: solution.append(spsolve(matrix, right_side, permc_spec="MMD_AT_PLUS_A")))
    return {"seconds": seconds, "cpu": cpu, "peak": _peak_bytes(), "map": solution[0].reshape(height, width)}


def _time(work: Any) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _fresh(function: Any, *arguments: Any) -> dict[str, Any]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("image", nargs="?", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--large", action="store_true", help="also 2, 12 and 24 megapixels, ours alone, once")
    options = parser.parse_args()
    print("size         ours s (cpu s)   direct s (cpu s)  ratio  it.  residual   map rms   extra MB  peak MB")
    for width, height in SIZES:
        ours, direct = [], []
        for _ in range(options.repeats):
            ours.append(_fresh(run_ours, width, height, options.image, options.threads, options.device))
            direct.append(_fresh(run_direct, width, height, options.image))
        seconds, cpu, other, other_cpu = (
            statistics.median(run[key] for run in runs) for runs in (ours, direct) for key in ("seconds", "cpu")
        )
        rms = float(np.sqrt(np.mean((ours[0]["map"] - direct[0]["map"]) ** 2)))
        _print_row(
            width, height, ours[0], seconds, cpu, f"{other:9.3f} ({other_cpu:6.3f})  {other / seconds:5.1f}", rms
        )
    for width, height in LARGE_SIZES if options.large else ():
        run = _fresh(run_ours, width, height, options.image, options.threads, options.device)
        _print_row(width, height, run, run["seconds"], run["cpu"], f"{'-':>9}{'-':>16}", None)


def _print_row(
    width: int, height: int, run: dict[str, Any], seconds: float, cpu: float, direct: str, rms: float | None
) -> None:
    columns = (
        f"{width:4d} x {height:4d}",
        f"{seconds:6.3f} ({cpu:6.3f})",
        direct,
        f"{run['iterations']:3d}",
        f"{run['residual']:.2e}",
        "       -" if rms is None else f"{rms:8.1e}",
        f"{run['extra'] / 1e6:8.0f}",
        f"{run['peak'] / 1e6:7.0f}",
    )
    print("  ".join(columns), flush=True)


if __name__ == "__main__":
    main()
