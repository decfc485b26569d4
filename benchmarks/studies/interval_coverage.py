"""How often the intervals of a mAP and of a difference hold the truth, in simulated data sets whose truth is known.

    python -m duskbench.benchmarks.studies.interval_coverage

Images are drawn from a large population of objects, hits and false alarms; its mAP is the truth. "percentile" are the
plain quantiles of the resamples, "corrected" the bias-corrected ones (see `benchmarks.statistics`). A 95 % interval
should hold the truth 95 times of 100.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from duskbench.benchmarks.resampling import draw_weights, resampled_ap
from duskbench.benchmarks.statistics import corrected_tails

_POPULATION = 6000
_TAIL = 0.025


@dataclass(frozen=True)
class Setting:
    """A kind of data set: images in a draw, objects an image of each class, hit rates of two enhancers."""

    name: str
    n_images: int
    objects: tuple[float, ...]
    skills: tuple[float, float]


SETTINGS = (
    Setting("120 images, 11 classes, 26 objects each", 120, (0.22,) * 11, (0.5, 0.58)),
    Setting("100 images, 20 classes, 16 of them with 3 objects", 100, (0.4,) * 4 + (0.03,) * 16, (0.5, 0.58)),
    Setting("800 images, 11 classes, 200 objects each", 800, (0.25,) * 11, (0.5, 0.53)),
)


@dataclass(frozen=True)
class Scored:
    """Detections of one class and enhancer in the population."""

    images: np.ndarray
    tp: np.ndarray
    scores: np.ndarray


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=400)
    arguments = parser.parse_args()
    print(f"{'':52}{'mAP':>24}{'difference':>24}")
    print(f"{'':52}{'percentile':>12}{'corrected':>12}{'percentile':>12}{'corrected':>12}")
    for setting in SETTINGS:
        shares = coverage(setting, arguments.trials, arguments.resamples)
        print(f"{setting.name:52}" + "".join(f"{share:12.2f}" for share in shares))


def coverage(setting: Setting, trials: int, resamples: int) -> list[float]:
    """Shares of the trials in which the intervals held the truth: mAP by either rule, difference by either rule."""
    rng = np.random.default_rng(1)
    objects, enhancers = draw_population(setting, rng)
    everything = np.ones((_POPULATION, 1), np.float32)
    whole = [mean_ap(objects, ranked, np.arange(_POPULATION), everything)[0] for ranked in enhancers]
    held = np.zeros(4)
    for trial in range(trials):
        chosen = rng.choice(_POPULATION, setting.n_images, replace=False)
        weights = draw_weights(setting.n_images, resamples, trial)
        one, two = (mean_ap(objects, ranked, chosen, weights) for ranked in enhancers)
        truths = ((one, whole[0]), (two - one, whole[1] - whole[0]))
        held += [holds(values, truth, corrected) for values, truth in truths for corrected in (False, True)]
    return list(held / trials)


def draw_population(setting: Setting, rng: np.random.Generator) -> tuple[list[np.ndarray], list[list[Scored]]]:
    """Objects per image of each class, and the detections of each enhancer; a hard object is hard for both."""
    objects: list[np.ndarray] = []
    enhancers: list[list[Scored]] = [[] for _ in setting.skills]
    for label, rate in enumerate(setting.objects):
        count = rng.poisson(rate, _POPULATION)
        objects.append(count)
        at = np.repeat(np.arange(_POPULATION), count)
        hardness = rng.random(len(at))
        ease = 0.5 + label / len(setting.objects)
        for ranked, skill in zip(enhancers, setting.skills, strict=True):
            found = hardness < skill * ease + (rng.random(len(at)) - 0.5) * 0.3
            scores = (1 - hardness) * 0.6 + rng.random(len(at)) * 0.4
            alarms = np.repeat(np.arange(_POPULATION), rng.poisson(rate + 0.05, _POPULATION))
            images = np.concatenate([at[found], alarms])
            tp = np.arange(len(images)) < found.sum()
            ranked.append(Scored(images, tp, np.concatenate([scores[found], rng.random(len(alarms)) * 0.75])))
    return objects, enhancers


def mean_ap(objects: list[np.ndarray], ranked: list[Scored], chosen: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The mAP of some images of the population in every resample, (R,)."""
    position = np.full(_POPULATION, -1)
    position[chosen] = np.arange(len(chosen))
    aps = []
    for count, one in zip(objects, ranked, strict=True):
        kept = np.flatnonzero(position[one.images] >= 0)
        kept = kept[np.argsort(-one.scores[kept], kind="stable")]
        if count[chosen].any():
            aps.append(resampled_ap(position[one.images[kept]], one.tp[kept], count[chosen], weights, "11point"))
    return np.nanmean(aps, axis=0)


def holds(values: np.ndarray, truth: float, corrected: bool) -> bool:
    """Whether the interval made of resamples (the first is the draw itself) holds the truth."""
    tails = corrected_tails(values[1:], values[0], _TAIL) if corrected else (_TAIL, 1 - _TAIL)
    low, high = np.quantile(values[1:], tails)
    return bool(low <= truth <= high)


if __name__ == "__main__":
    main()
