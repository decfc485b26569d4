"""Time the paired bootstrap at the size of ExDark's test split against resampling one draw at a time.

The reference repeats `precision_recall` and `average_precision` for each resample, with the matches made once; it is
run on a few resamples and scaled up. Both give the same numbers, which is checked.

Run: python -m duskbench.benchmarks.speed.bootstrap [--enhancers 8] [--images 2563] [--per-image 200] [--repeats 3]
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count() or 1))

import time
from collections.abc import Callable
from statistics import median
from typing import TypeVar

import numpy as np

from duskbench.benchmarks.bootstrap import Bootstrap
from duskbench.benchmarks.metrics.base import Ranked, Ranking
from duskbench.benchmarks.metrics.voc_ap import average_precision, precision_recall
from duskbench.benchmarks.resampling import draw_weights, resampled_ap
from duskbench.benchmarks.statistics import BootstrapOptions, Sample

N_CLASSES = 11
OBJECTS_PER_IMAGE = 2.8
RECALL = 0.75
Result = TypeVar("Result")


def random_sample(
    label: str, n_images: int, per_image: int, objects: dict[str, np.ndarray], rng: np.random.Generator
) -> Sample:
    """Rankings in which hits get rarer with the rank, as a detector with a threshold of 0.01 makes them."""
    rankings = {}
    for name, count in objects.items():
        there = np.repeat(np.arange(n_images), count)
        hit = rng.permutation(there)[: int(RECALL * len(there))]
        size = n_images * per_image // N_CLASSES
        tp = np.zeros(size, bool)
        ranks = np.unique((rng.beta(0.6, 4, 4 * len(hit)) * size).astype(int))
        tp[np.sort(rng.permutation(ranks)[: len(hit)])] = True
        images = rng.integers(0, n_images, size)
        images[tp] = hit[: tp.sum()]
        rankings[name] = (Ranking(images, tp),)
    values = {"niqe": rng.normal(4, 1, n_images)}
    return Sample(label, np.ones(n_images, bool), values, {"map": Ranked(rankings)})


def timed(function: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds and result of one call."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def main() -> None:
    """Print the time of a whole table's intervals, and the ratio to the reference of the same run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--enhancers", type=int, default=8)
    parser.add_argument("--images", type=int, default=2563)
    parser.add_argument("--per-image", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--reference-resamples", type=int, default=20)
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    share = OBJECTS_PER_IMAGE / N_CLASSES
    objects = {f"class {c}": rng.poisson(share, options.images) for c in range(N_CLASSES)}
    samples = [
        random_sample(f"enhancer {e}", options.images, options.per_image, objects, rng)
        for e in range(options.enhancers)
    ]
    chosen = BootstrapOptions(options.resamples)
    everywhere = np.ones(options.images, bool)

    def table() -> None:
        bootstrap = Bootstrap(objects, chosen, within=everywhere)
        for sample in samples:
            bootstrap.spread(sample)
            bootstrap.difference(sample, samples[0])

    import scipy.sparse  # noqa: F401 - its import is no part of the work

    before = time.process_time()
    times = [timed(table)[0] for _ in range(options.repeats)]
    processor = (time.process_time() - before) / options.repeats
    # One class of one enhancer, a draw at a time.
    name, (ranking,) = next(iter(samples[0].ranked["map"].by_class.items()))
    weights = draw_weights(options.images, options.reference_resamples, 0)

    def one_by_one() -> list[float]:
        numbers = []
        for column in range(weights.shape[1]):
            drawn = weights[ranking.images, column].astype(np.float64)
            curve = precision_recall(drawn * ranking.tp, drawn * ~ranking.tp, float(objects[name] @ weights[:, column]))
            numbers.append(float(average_precision(*curve)))
        return numbers

    seconds, numbers = min((timed(one_by_one) for _ in range(options.repeats)), key=lambda pair: pair[0])
    ours = resampled_ap(ranking.images, ranking.tp, objects[name], weights, "11point")
    worst = float(np.abs(ours - numbers).max())
    scaled = seconds / weights.shape[1] * (options.resamples + 1) * N_CLASSES * options.enhancers
    print(
        f"{options.enhancers} enhancers, {N_CLASSES} classes, {options.images} images, {options.resamples} resamples,"
    )
    print(f"{options.per_image} detections of an image:")
    print(f"  {median(times):.2f} s ({min(times):.2f}-{max(times):.2f}), {processor:.2f} s of processor time")
    print(f"one draw at a time, scaled from {weights.shape[1]} draws of one class: {scaled:.0f} s")
    print(f"ratio {scaled / median(times):.0f}; largest difference of an AP {worst:.1e}")


if __name__ == "__main__":
    main()
