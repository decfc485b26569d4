"""AP and means of many resamples of the images at once; what `duskbench.benchmarks.statistics` is made of.

Only the ranks at which recall rises matter: the envelope of the precision is reached there. So the false alarms
between two hits are summed first, for all resamples at once, and what is left is as short as the list of hits.
"""

from __future__ import annotations

import numpy as np

from duskbench.benchmarks.metrics.base import Mode
from duskbench.benchmarks.metrics.voc_ap import RECALL_THRESHOLDS

# Sums of whole numbers are exact in float32 up to here.
_EXACT_IN_FLOAT32 = 1 << 24
# Up to so many false alarms adding row by row is over before torch is imported, and wakes no thread.
_FEW_ENOUGH_TO_ADD = 4096


# Recalls at which the envelope of the precision is read. Source of COCO's: pycocotools cocoeval.py, Params.recThrs.
_RECALLS = {"11point": RECALL_THRESHOLDS, "101point": np.linspace(0.0, 1.0, 101)}


def draw_weights(within: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Draw images with replacement, as many as there are.

    Args:
        within: (N,) bool: which images to draw from.
        resamples: R, number of draws.
        seed: Of `np.random.default_rng`.

    Returns:
        (N, 1 + R) float32: how often each image was drawn. Column 0 is the images as they are, once each.
    """
    chosen = np.flatnonzero(within)
    n = len(chosen)
    weights = np.zeros((len(within), 1 + resamples), np.float32)
    weights[chosen, 0] = 1
    if n and resamples:
        drawn = np.random.default_rng(seed).integers(0, n, (resamples, n))
        counts = np.bincount((drawn + n * np.arange(resamples)[:, None]).ravel(), minlength=resamples * n)
        weights[chosen, 1:] = counts.reshape(resamples, n).T
    return weights


def resampled_ap(
    images: np.ndarray, tp: np.ndarray, objects: np.ndarray, weights: np.ndarray, mode: Mode
) -> np.ndarray:
    """AP of one class in every resample, as `average_precision(*precision_recall(...))` with these weights.

    Args:
        images: (D,) integers: the image of each counted detection, best detection first.
        tp: (D,) bool: whether it found an object; False is a false alarm.
        objects: (N,) objects to find in each image.
        weights: (N, R) float32, how often each image was drawn, see `draw_weights`.
        mode: How an AP is made.

    Returns:
        (R,) float64, NaN where a resample has no object.
    """
    # Not `@`: the threads of BLAS cost more than they win on so little, above all where cores are busy.
    n_gt = np.einsum("n,nr->r", objects.astype(weights.dtype), weights).astype(np.float64)
    hits = np.flatnonzero(tp)
    new_hits = weights[images[hits]]
    new_alarms = _alarms_before_each_hit(images, hits, weights)
    found, alarms = np.zeros((2, weights.shape[1]), new_alarms.dtype)
    reached = np.empty_like(new_hits)
    envelope = np.empty((len(hits) + 1, weights.shape[1]))
    # Row by row: a row of all resamples stays in the cache, and every column of the matrix is one resample.
    for rank in range(len(hits)):
        found += new_hits[rank]
        alarms += new_alarms[rank]
        reached[rank] = found
        # Nothing drawn yet: 0 / 1.
        np.divide(found, np.maximum(found + alarms, 1), out=envelope[rank], dtype=np.float64)
    envelope[-1] = 0
    for rank in range(len(hits) - 1, -1, -1):
        np.maximum(envelope[rank], envelope[rank + 1], out=envelope[rank])
    with np.errstate(invalid="ignore", divide="ignore"):
        if mode == "area":
            return np.where(n_gt > 0, np.einsum("kr,kr->r", new_hits, envelope[:-1]) / n_gt, np.nan)
        at = _first_reaching(_hits_needed(n_gt, _RECALLS[mode]), reached)
    return np.where(n_gt > 0, np.take_along_axis(envelope, at, axis=0).mean(axis=0), np.nan)


def resampled_mean(values: np.ndarray, counted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over the images that count, in every resample: (R,) float64, NaN where none of them was drawn."""
    drawn = weights[counted].astype(np.float64)
    count = drawn.sum(axis=0)
    return np.divide(
        np.einsum("n,nr->r", values[counted], drawn), count, out=np.full(len(count), np.nan), where=count > 0
    )


def _alarms_before_each_hit(images: np.ndarray, hits: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(hits, R): weight of the false alarms between a hit and the one before it. Those after the last do not matter."""
    gaps = np.diff(hits, prepend=-1) - 1
    alarms = np.delete(np.arange(hits[-1] if len(hits) else 0), hits[:-1])
    if len(alarms) * float(weights.max(initial=1)) >= _EXACT_IN_FLOAT32:
        weights = weights.astype(np.float64)
    if len(alarms) <= _FEW_ENOUGH_TO_ADD:
        sums = np.zeros((len(hits), weights.shape[1]), weights.dtype)
        for gap, image in zip(np.repeat(np.arange(len(hits)), gaps).tolist(), images[alarms].tolist(), strict=True):
            sums[gap] += weights[image]
        return sums
    import torch

    # Sums rows of the weights, bag by bag: work grows with the detections, not with hits times images.
    summed = torch.nn.functional.embedding_bag(
        torch.from_numpy(images[alarms].astype(np.int64)),
        torch.from_numpy(weights),
        torch.from_numpy(np.cumsum(gaps) - gaps),
        mode="sum",
    )
    return summed.numpy()


def _hits_needed(n_gt: np.ndarray, recalls: np.ndarray) -> np.ndarray:
    """(K, R): the least whole number of hits whose recall reaches each of K thresholds, as floats compare them."""
    needed = np.floor(recalls[:, None] * n_gt)
    return needed + (needed / n_gt < recalls[:, None])


def _first_reaching(needed: np.ndarray, reached: np.ndarray) -> np.ndarray:
    """(K, R) integers: the first row of `reached` (K, R), rising, that is at least `needed`; K where none is."""
    low = np.zeros(needed.shape, np.int64)
    high = np.full(needed.shape, len(reached))
    while (low < high).any():
        middle = (low + high) // 2
        below = np.take_along_axis(reached, np.minimum(middle, len(reached) - 1), axis=0) < needed
        going = low < high
        low = np.where(going & below, middle + 1, low)
        high = np.where(going & ~below, middle, high)
    return low
