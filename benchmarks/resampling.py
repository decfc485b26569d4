"""AP and means of many resamples of the images at once; what `duskbench.benchmarks.statistics` is made of.

Only the ranks at which recall rises matter: the envelope of the precision is reached there. So the false alarms
between two hits are summed first, for all resamples at once, and what is left is as short as the list of hits.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from duskbench.benchmarks.metrics import coco_ap, voc_ap
from duskbench.benchmarks.metrics.base import Mode

# Whole numbers are exact in float32 up to here.
_EXACT_IN_FLOAT32 = 1 << 24
# Drawn images: what counting them needs stays in the cache.
_DRAWS_AT_A_TIME = 1 << 16
# Of a block of resamples.
_BYTES_AT_A_TIME = 1 << 26

# Up to so many thresholds all resamples are searched at once; of more, one by one is faster.
_FEW_THRESHOLDS = 32

# Recalls at which the envelope of the precision is read.
_RECALLS = {"11point": voc_ap.RECALL_THRESHOLDS, "101point": coco_ap.RECALL_THRESHOLDS}


def draw_weights(n: int, resamples: int, seed: int) -> np.ndarray:
    """Draw images with replacement, as many as there are.

    Args:
        n: N, number of images.
        resamples: R, number of draws.
        seed: Of `np.random.default_rng`.

    Returns:
        (N, 1 + R) uint8: how often each image was drawn. Column 0 is the images as they are, once each.
    """
    # A byte holds every count: that an image is drawn 256 times has a probability below 1 / 256!.
    weights = np.ones((n, 1 + resamples), np.uint8)
    if n == 0:
        return weights
    generator = np.random.default_rng(seed)
    # Numbers drawn at a time and at once are the same; at a time they stay in the cache.
    for first in range(0, resamples, at_a_time := max(1, _DRAWS_AT_A_TIME // n)):
        rows = min(at_a_time, resamples - first)
        drawn = generator.integers(0, n, (rows, n))
        drawn += n * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * n).astype(np.uint8)
        weights[:, 1 + first : 1 + first + rows] = counts.reshape(rows, n).T
    return weights


def in_blocks(weights: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Some columns of `draw_weights` at a time, as the uint16 that sums are made of, so that memory stays bounded.

    Yields:
        Which columns, and these: (N, B) uint16.
    """
    n, columns = weights.shape
    # Never one column alone: a reduction over a single column may add in another order.
    n_blocks = max(1, min(columns // 2, -(-2 * n * columns // _BYTES_AT_A_TIME)))
    edges = np.linspace(0, columns, n_blocks + 1).astype(int).tolist()
    for first, last in itertools.pairwise(edges):
        yield slice(first, last), weights[:, first:last].astype(np.uint16, order="C")


def resampled_ap(
    images: np.ndarray, tp: np.ndarray, objects: np.ndarray, weights: np.ndarray, mode: Mode
) -> np.ndarray:
    """AP of one class in every resample, as `average_precision(*precision_recall(...))` with these weights.

    Args:
        images: (D,) integers: the image of each counted detection, best detection first.
        tp: (D,) bool: whether it found an object; False is a false alarm.
        objects: (N,) objects to find in each image.
        weights: (N, R) how often each image was drawn, from `draw_weights`; of many images a block of `in_blocks`.
        mode: How an AP is made.

    Returns:
        (R,) float64, NaN where a resample has no object.
    """
    weights = weights.astype(np.uint16, copy=False)
    there = np.flatnonzero(objects)
    # Not `@`: the threads of BLAS cost more than they win on so little, above all where cores are busy.
    n_gt = np.einsum("n,nr->r", objects[there].astype(np.float32), weights[there].astype(np.float32)).astype(np.float64)
    hits = np.flatnonzero(tp)
    dtype: type[np.floating] = np.float32 if _bound(len(images), weights, _EXACT_IN_FLOAT32) else np.float64
    new_hits = weights[images[hits]].astype(dtype)
    made: np.ndarray = _alarms_before_each_hit(images, hits, weights).astype(dtype)
    made += new_hits
    found = new_hits.copy() if mode == "area" else new_hits
    # Row by row: a row of all resamples stays in the cache, and every column of the matrix is one resample.
    for rank in range(1, len(hits)):
        found[rank] += found[rank - 1]
        made[rank] += made[rank - 1]
    # Nothing drawn yet: 0 / 1.
    np.maximum(made, 1, out=made)
    envelope = np.zeros((len(hits) + 1, weights.shape[1]))
    np.divide(found, made, out=envelope[:-1], dtype=np.float64)
    for rank in range(len(hits) - 1, -1, -1):
        np.maximum(envelope[rank], envelope[rank + 1], out=envelope[rank])
    with np.errstate(invalid="ignore", divide="ignore"):
        if mode == "area":
            return np.where(n_gt > 0, np.einsum("kr,kr->r", new_hits, envelope[:-1]) / n_gt, np.nan)
        at = _first_reaching(_hits_needed(n_gt, _RECALLS[mode]), found)
    return np.where(n_gt > 0, np.take_along_axis(envelope, at, axis=0).mean(axis=0), np.nan)


def resampled_mean(values: np.ndarray, counted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over the images that count, in every resample: (R,) float64, NaN where none of them was drawn.

    Args:
        values: (N,) float64.
        counted: (N,) bool.
        weights: (N, R) as in `resampled_ap`.
    """
    drawn = weights[counted].astype(np.float64)
    count = drawn.sum(axis=0)
    return np.divide(
        np.einsum("n,nr->r", values[counted], drawn), count, out=np.full(len(count), np.nan), where=count > 0
    )


def _alarms_before_each_hit(images: np.ndarray, hits: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(hits, R) integers: weight of the alarms between a hit and the one before it. Those after the last do not matter.

    A sum of rows for each hit, as a product with a sparse matrix: work grows with the detections, not with hits times
    images, and on two bytes a number it is bound by memory the least.
    """
    from scipy.sparse import csr_array

    gaps = np.diff(hits, prepend=-1) - 1
    alarms = np.delete(np.arange(hits[-1] if len(hits) else 0), hits[:-1])
    if not _bound(int(gaps.max(initial=0)), weights, 1 << 16):
        weights = weights.astype(np.uint32)
    ones = np.ones(len(alarms), weights.dtype)
    bags = csr_array((ones, images[alarms], np.append(0, np.cumsum(gaps))), shape=(len(hits), len(weights)))
    return bags @ weights


def _bound(n: int, weights: np.ndarray, limit: int) -> bool:
    """Whether a sum of so many weights stays below a limit."""
    # The counts of `draw_weights` are bytes; only where that does not settle it are they looked at.
    return n * 255 < limit or n * int(weights.max(initial=0)) < limit


def _hits_needed(n_gt: np.ndarray, recalls: np.ndarray) -> np.ndarray:
    """(K, R): the least whole number of hits whose recall reaches each of K thresholds, as floats compare them."""
    needed = np.floor(recalls[:, None] * n_gt)
    return needed + (needed / n_gt < recalls[:, None])


def _first_reaching(needed: np.ndarray, reached: np.ndarray) -> np.ndarray:
    """(K, R) integers: the first row of `reached` (H, R), rising, that is at least `needed` (K, R); H where none is."""
    rows, columns = reached.shape
    if len(needed) > _FEW_THRESHOLDS:
        needed = needed.astype(reached.dtype)
        return np.stack([np.searchsorted(reached[:, r], needed[:, r]) for r in range(columns)], axis=1)
    flat, column = reached.ravel(), np.arange(columns)
    below = np.zeros(needed.shape, np.int64)
    # So many rows are known to be below; steps of halving powers of two reach every number up to H.
    for step in (1 << power for power in range(rows.bit_length() - 1, -1, -1)):
        last = below + (step - 1)
        inside = last < rows
        below += step * (inside & (flat[np.where(inside, last, 0) * columns + column] < needed))
    return below
