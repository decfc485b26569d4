"""Average precision of all classes in one list, with intervals: what an enhancer does to the objects as a whole.

    python -m duskbench.benchmarks.studies.pooled_ap RUN

The mean over classes gives a class of three objects the weight of one of three hundred, so on a few hundred images it
swings by several points whatever is measured. Here all detections stand in one list, best first; each still has to
name the class of the object that it hits, by the protocol's overlap. The area under the envelope of that one curve is
printed for each enhancer and detector of a finished run, and its difference to Input with a bootstrap over images.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from duskbench.benchmarks.matched import Matched, read_each_matched
from duskbench.benchmarks.matching import open_run
from duskbench.benchmarks.resampling import draw_weights, resampled_ap
from duskbench.data_tools.errors import DataError


class PooledAP(NamedTuple):
    """Of one enhancer, in percent.

    Attributes:
        value: The average precision.
        difference: To the baseline, over the images that both have; None of the baseline itself.
        low: Lower end of the difference's 95 % percentile interval.
        high: Upper end.
    """

    value: float
    difference: float | None = None
    low: float | None = None
    high: float | None = None


class Pooled(NamedTuple):
    """What a pooled average precision depends on.

    Attributes:
        mask: (images,) bool: which have a result.
        n_gt: (images,) int64, objects to find in each.
        images: (D,) int64 of the detections that count, best first.
        tp: (D,) bool: found an object.
    """

    mask: np.ndarray
    n_gt: np.ndarray
    images: np.ndarray
    tp: np.ndarray

    @classmethod
    def of(cls, matched: Matched) -> Pooled:
        """Of matched detections."""
        matches = matched.result.matches
        order = matches.order[(matches.tp | matches.fp)[matches.order]]
        n_gt = np.bincount(matched.truth.images[matched.asked], minlength=len(matched.mask))
        return cls(matched.mask, n_gt, matched.found.images[order], matches.tp[order])

    def aps(self, weights: np.ndarray) -> np.ndarray:
        """Average precision in percent in every resample, (R,); `weights` as `draw_weights` makes them."""
        return 100 * resampled_ap(self.images, self.tp, self.n_gt, weights, "area")


def pooled_aps(
    each: Mapping[str, Pooled], baseline: str, *, resamples: int = 2000, seed: int = 0
) -> dict[str, PooledAP]:
    """Pooled average precision of enhancers, and the differences to one of them.

    Args:
        each: Label of an enhancer -> its detections.
        baseline: One of the labels.
        resamples: Of images, the same for all.
        seed: Of the draws.

    Raises:
        DataError: There is nothing to compare with, or no object in the images.
    """
    if baseline not in each or not each[baseline].n_gt.any():
        raise DataError(
            "There is no pooled AP to compare with.",
            where=baseline,
            expected="a row with detections on images with objects",
            got=", ".join(each) or "no row with detections",
        )
    base = each[baseline]
    draws = draw_weights(len(base.mask), resamples, seed)
    made = {}
    for label, one in each.items():
        value = float(one.aps(draws[:, :2])[0])
        both = draws * (one.mask & base.mask)[:, None]
        if label == baseline or not both[base.n_gt > 0].any():
            made[label] = PooledAP(value)
            continue
        differences = one.aps(both) - base.aps(both)
        low, high = np.nanpercentile(differences[1:], (2.5, 97.5)).tolist()
        made[label] = PooledAP(value, float(differences[0]), low, high)
    return made


def main() -> None:
    """Print the pooled AP of a run's rows, detector by detector."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--baseline", default="Input", help="row to compare with")
    arguments = parser.parse_args()
    with open_run(arguments.run) as (store, run):
        for detector in run.record.detectors:
            each = read_each_matched(store, run, Pooled.of, detector=detector)
            print(f"{detector.label}: AP of all classes in one list, %")
            for label, one in pooled_aps(each, arguments.baseline).items():
                change = "" if one.difference is None else f"{one.difference:+8.2f} [{one.low:+.1f}, {one.high:+.1f}]"
                print(f"  {label:<40}{one.value:8.2f}{change}")


if __name__ == "__main__":
    main()
