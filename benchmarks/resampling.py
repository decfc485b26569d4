"""AP and means of many resamples of the images at once; what `duskbench.benchmarks.statistics` is made of.

Only the ranks at which recall rises matter: the envelope of the precision is reached there. So the detections between
two hits are summed first, for all resamples at once, and what is left is as short as the list of hits.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import DTypeLike

from duskbench.benchmarks.metrics.base import Mode
from duskbench.benchmarks.metrics.voc_ap import RECALL_THRESHOLDS

# Whole numbers are exact in float32 up to here.
_EXACT_IN_FLOAT32 = 1 << 24
# Drawn images: what counting them needs stays in the cache.
_DRAWS_AT_A_TIME = 1 << 16
# Of a block of resamples.
_BYTES_AT_A_TIME = 1 << 26

# Up to so many thresholds are searched for; of more, a table of all numbers of hits is faster.
_FEW_THRESHOLDS = 32


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


def in_blocks(weights: np.ndarray, dtype: DTypeLike = np.uint16) -> Iterator[tuple[slice, np.ndarray]]:
    """Some columns of `draw_weights` at a time, as the numbers that sums are made of, so that memory stays bounded.

    Yields:
        Which columns, and these: (N, B) of that type.
    """
    n, columns = weights.shape
    # Never one column alone: a reduction over a single column may add in another order.
    n_blocks = max(1, min(columns // 2, -(-np.dtype(dtype).itemsize * n * columns // _BYTES_AT_A_TIME)))
    edges = np.linspace(0, columns, n_blocks + 1).astype(int).tolist()
    for first, last in itertools.pairwise(edges):
        yield slice(first, last), weights[:, first:last].astype(dtype, order="C")


def resampled_ap(
    images: np.ndarray, tp: np.ndarray, objects: np.ndarray, weights: np.ndarray, mode: Mode
) -> np.ndarray:
    """AP of one class in every resample, as `voc_ap.average_precision` of `precision_recall` with these weights.

    Args:
        images: (D,) integers: the image of each counted detection, best detection first.
        tp: (D,) bool: whether it found an object; False is a false alarm.
        objects: (N,) objects to find in each image.
        weights: (N, R) how often each image was drawn, from `draw_weights`; of many images a block of `in_blocks`.
        mode: How an AP is made.

    Returns:
        (R,) float64, NaN where a resample has no object.
    """
    return resampled_aps(images, [tp], objects, weights, mode)[0]


def resampled_aps(
    images: np.ndarray, tps: Sequence[np.ndarray], objects: np.ndarray, weights: np.ndarray, mode: Mode
) -> list[np.ndarray]:
    """`resampled_ap` for several overlaps, at which other detections of the same find an object."""
    weights = weights.astype(np.uint16, copy=False)
    there = np.flatnonzero(objects)
    # Not `@`: the threads of BLAS cost more than they win on so little, above all where cores are busy.
    n_gt = np.einsum("n,nr->r", objects[there].astype(np.float32), weights[there].astype(np.float32)).astype(np.float64)
    hits = [np.flatnonzero(tp) for tp in tps]
    stops, made = _made_at(np.unique(np.concatenate(hits)), images, weights)
    return [_average(made[np.searchsorted(stops, at)], weights[images[at]], n_gt, mode) for at in hits]


def _average(made: np.ndarray, new_hits: np.ndarray, n_gt: np.ndarray, mode: Mode) -> np.ndarray:
    """AP of all resamples.

    Args:
        made: (H, R) floats: weight of the detections up to each hit; overwritten.
        new_hits: (H, R) integers: weight of each hit.
        n_gt: (R,) float64: weight of the objects to find.
        mode: How an AP is made.
    """
    found = new_hits.astype(made.dtype)
    # Row by row: a row of all resamples stays in the cache, and every column of the matrix is one resample.
    for rank in range(1, len(found)):
        found[rank] += found[rank - 1]
    # Nothing drawn yet: 0 / 1.
    np.maximum(made, 1, out=made)
    precision = np.zeros((len(found) + 1, len(n_gt)))
    np.divide(found, made, out=precision[:-1], dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        if mode == "area":
            area = np.einsum("kr,kr->r", new_hits.astype(found.dtype), _envelope(precision)[:-1])
            return np.where(n_gt > 0, area / n_gt, np.nan)
        needed = _hits_needed(n_gt, RECALL_THRESHOLDS[mode])
    if len(needed) > _FEW_THRESHOLDS:
        at_recalls = _precision_by_hits(found, precision[:-1], needed)
    else:
        at_recalls = np.take_along_axis(_envelope(precision), _first_reaching(needed, found), axis=0)
    return np.where(n_gt > 0, at_recalls.mean(axis=0), np.nan)


def _envelope(precision: np.ndarray) -> np.ndarray:
    """(H, R): the most of a row and of those after it, in place."""
    for rank in range(len(precision) - 2, -1, -1):
        np.maximum(precision[rank], precision[rank + 1], out=precision[rank])
    return precision


def _precision_by_hits(found: np.ndarray, precision: np.ndarray, needed: np.ndarray) -> np.ndarray:
    """(K, R): the best precision with so many hits (`needed`, (K, R)) or more; 0 where so many are never reached."""
    rows = 1 + int(max(found[-1:].max(initial=0), needed.max(initial=0)))
    by_hits = np.zeros((rows, found.shape[1]))
    # The last one written stays: of equal numbers of hits the first, whose precision is the best.
    by_hits[found[::-1].astype(np.intp), np.arange(found.shape[1])] = precision[::-1]
    return np.take_along_axis(_envelope(by_hits), needed.astype(np.intp), axis=0)


def resampled_mean(values: np.ndarray, counted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over the images that count, in every resample: (R,) float64, NaN where none of them was drawn.

    Args:
        values: (N,) float64.
        counted: (N,) bool.
        weights: (N, R) as in `resampled_ap`.
    """
    # A copy only where it is needed: it is as large as a block of `in_blocks`.
    drawn = (weights if counted.all() else weights[counted]).astype(np.float64, copy=False)
    count = drawn.sum(axis=0)
    return np.divide(
        np.einsum("n,nr->r", values[counted], drawn), count, out=np.full(len(count), np.nan), where=count > 0
    )


def _made_at(hits: np.ndarray, images: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many detections were made up to each hit, and to some stops between.

    A sum of rows from each stop to the next, as a product with a sparse matrix: work grows with the detections, those
    of one image between two stops taken together, and on two bytes a number it is bound by memory the least. Stops
    are so near that no sum exceeds two bytes.

    Args:
        hits: (H,) rising positions among the detections.
        images: (D,) see `resampled_ap`.
        weights: (N, R) uint16.

    Returns:
        Rising positions, the hits among them, and for each (S, R) floats.
    """
    from scipy.sparse import csr_array

    heaviest, last = max(1, int(weights.max(initial=0))), int(hits[-1]) if len(hits) else -1
    most = np.iinfo(np.uint16).max // heaviest
    stops = np.union1d(hits, np.arange(most - 1, last, most))
    stop = np.repeat(np.arange(len(stops)), np.diff(stops, prepend=-1))
    bags, counts = np.unique(stop * len(weights) + images[: last + 1], return_counts=True)
    begins = np.searchsorted(bags, len(weights) * np.arange(len(stops) + 1))
    shape = (len(stops), len(weights))
    between = csr_array((counts.astype(np.uint16), bags % len(weights), begins), shape=shape) @ weights
    made: np.ndarray = between.astype(np.float32 if len(images) * heaviest < _EXACT_IN_FLOAT32 else np.float64)
    for rank in range(1, len(made)):
        made[rank] += made[rank - 1]
    return stops, made


def _hits_needed(n_gt: np.ndarray, recalls: np.ndarray) -> np.ndarray:
    """(K, R): the least whole number of hits whose recall reaches each of K thresholds, as floats compare them."""
    needed = np.floor(recalls[:, None] * n_gt)
    return needed + (needed / n_gt < recalls[:, None])


def _first_reaching(needed: np.ndarray, reached: np.ndarray) -> np.ndarray:
    """(K, R) integers: the first row of `reached` (H, R), rising, that is at least `needed` (K, R); H where none is."""
    rows, columns = reached.shape
    flat = reached.ravel()
    # Places in `flat`; what is searched is halved, in all columns alike.
    at = np.repeat(np.arange(columns)[None], len(needed), axis=0)
    while rows > 1:
        half = rows // 2
        at += half * columns * (flat[at + (half - 1) * columns] < needed)
        rows -= half
    if rows:
        at += columns * (flat[at] < needed)
    return at // columns
