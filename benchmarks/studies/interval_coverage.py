"""How often the intervals of a mAP and of a difference miss the truth, in simulated data sets whose truth is known.

    python -m duskbench.benchmarks.studies.interval_coverage

Every trial draws the objects, hits and false alarms of so many images again; the truth is the mAP of endlessly many, by
integration. "percentile" are the plain quantiles of the resamples, "corrected" the bias-corrected ones (see
`benchmarks.statistics`). A cell is the share of the trials, in percent, in which the truth lay below the interval, and
above it: of a 95 % interval both should be 2.5.

On thousands of images the truth of 11-point AP jumps, where the share of a class's objects that can be found passes a
recall that AP is read at, by more than other images move it; so there are no such settings.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from duskbench.benchmarks.metrics.base import Ranking
from duskbench.benchmarks.metrics.voc_ap import RECALL_THRESHOLDS
from duskbench.benchmarks.resampling import draw_weights, resampled_ap
from duskbench.benchmarks.statistics import Draws, interval_of

# Of hardness and of scores, in the integrals of the truth.
_STEPS = 500
LEVEL = 0.95


@dataclass(frozen=True)
class Setting:
    """A kind of data set, and how it is resampled.

    Attributes:
        name: Of the row.
        n_images: In a draw.
        objects: An image, of each class.
        skills: Hit rates of two enhancers.
        nights: Images of the same photo: an object is found in all of them or in none; how surely, and what else is
            found, differs.
        cluster: Whether the images of a photo are drawn together.
    """

    name: str
    n_images: int
    objects: tuple[float, ...]
    skills: tuple[float, float] = (0.52, 0.59)
    nights: int = 1
    cluster: bool = True


SETTINGS = (
    Setting("100 images, 20 classes, 16 of them with 3 objects", 100, (0.4,) * 4 + (0.03,) * 16),
    Setting("90 images, 20 classes, 19 of them with 7 objects", 90, (0.9,) + (0.08,) * 19),
    Setting("240 images, 20 classes, 20 objects each", 240, (1 / 12,) * 20),
    Setting("120 images, 11 classes, 26 objects each", 120, (0.22,) * 11),
    Setting("478 images, 20 classes, 19 of them with 38 objects", 478, (0.9,) + (0.08,) * 19),
    Setting("120 photos, 5 nights of each, images drawn", 600, (0.22,) * 11, nights=5, cluster=False),
    Setting("120 photos, 5 nights of each, photos drawn", 600, (0.22,) * 11, nights=5),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print(f"{'':50}{'mAP':>28}{'difference':>28}")
    print(f"{'':50}" + f"{'percentile':>14}{'corrected':>14}" * 2)
    for setting in SETTINGS:
        missed = coverage(setting, arguments.trials, arguments.resamples, arguments.seed)
        print(f"{setting.name:50}" + "".join(f"{as_text(share):>14}" for share in missed))


def coverage(setting: Setting, trials: int, resamples: int, seed: int) -> np.ndarray:
    """(4, 3), see `misses`, on average: mAP by either rule, difference by either rule."""
    rng = np.random.default_rng(seed)
    first, second = (true_map(setting.objects, skill) for skill in setting.skills)
    missed = np.zeros((4, 3))
    for _ in range(trials):
        one, two = draw_maps(setting, setting.skills, resamples, rng)
        truths = ((one, first), (two - one, second - first))
        missed += [misses(Draws(values), truth, corrected=by) for values, truth in truths for by in (False, True)]
    return missed / trials


def draw_maps(setting: Setting, skills: Sequence[float], resamples: int, rng: np.random.Generator) -> np.ndarray:
    """(skills, 1 + resamples) mAP of each on images of one draw, as they are and in each resample."""
    photos = setting.n_images // setting.nights
    objects, rankings = draw_images(setting.objects, photos, skills, rng, nights=setting.nights)
    drawn = photos if setting.cluster else setting.n_images
    weights = draw_weights(drawn, resamples, int(rng.integers(1 << 32)))[np.arange(setting.n_images) % drawn]
    return np.stack([mean_ap(objects, ranked, weights) for ranked in rankings])


def true_map(objects: Sequence[float], skill: float) -> float:
    """The mAP on endlessly many images of `draw_images`, from shares of hits and alarms above each score."""
    hardness, scores = (np.arange(_STEPS) + 0.5) / _STEPS, np.linspace(1, 0, _STEPS + 1)[1:]
    above = np.clip(((1 - hardness) * 0.6 + 0.4 - scores[:, None]) / 0.4, 0, 1)
    ease = np.array([_ease(label, objects) for label in range(len(objects))])
    recall = above @ np.clip((skill * ease - hardness[:, None]) / 0.3 + 0.5, 0, 1) / _STEPS
    alarms = np.clip(1 - scores[:, None] / 0.75, 0, 1) * (1 + 0.05 / np.array(objects))
    precision = recall / (recall + alarms)
    return float(np.mean([np.where(recall >= r, precision, 0).max(axis=0) for r in RECALL_THRESHOLDS["11point"]]))


def draw_images(
    objects: Sequence[float], n_photos: int, skills: Sequence[float], rng: np.random.Generator, *, nights: int = 1
) -> tuple[list[np.ndarray], list[list[Ranking]]]:
    """Objects per image of each class, and the detections of each enhancer; a hard object is hard for all.

    The first images are of all photos, then come those of the second night.
    """
    n_images = n_photos * nights
    drawn: list[np.ndarray] = []
    rankings: list[list[Ranking]] = [[] for _ in skills]
    for label, rate in enumerate(objects):
        count = rng.poisson(rate, n_photos)
        drawn.append(np.tile(count, nights))
        at = np.repeat(np.arange(n_images), drawn[-1])
        hardness = np.tile(rng.random(count.sum()), nights)
        for ranked, skill in zip(rankings, skills, strict=True):
            luck = np.tile(rng.random(count.sum()) - 0.5, nights)
            found = hardness < skill * _ease(label, objects) + luck * 0.3
            sure = (1 - hardness) * 0.6 + rng.random(len(at)) * 0.4
            alarms = np.repeat(np.arange(n_images), rng.poisson(rate + 0.05, n_images))
            scores = np.concatenate([sure[found], rng.random(len(alarms)) * 0.75])
            order = np.argsort(-scores, kind="stable")
            ranked.append(Ranking(np.concatenate([at[found], alarms])[order], order < np.count_nonzero(found)))
    return drawn, rankings


def _ease(label: int, objects: Sequence[float]) -> float:
    # Half a step off: no class of a setting finds a share of its objects that is one of the recalls AP is read at.
    return 0.5 + (label + 0.5) / len(objects)


def mean_ap(objects: Sequence[np.ndarray], ranked: Sequence[Ranking], weights: np.ndarray) -> np.ndarray:
    """The mAP in every resample, (R,)."""
    there = [(count, one) for count, one in zip(objects, ranked, strict=True) if count.any()]
    return np.nanmean([resampled_ap(one.images, one.tp, count, weights, "11point") for count, one in there], axis=0)


def misses(draws: Draws, truth: float, *, corrected: bool = False) -> tuple[bool, bool, float]:
    """Whether the truth is below, and above, the interval, and its width."""
    interval = interval_of(draws, LEVEL, corrected=corrected)
    assert interval.low is not None and interval.high is not None  # noqa: S101 - there are resamples
    return truth < interval.low, truth > interval.high, interval.high - interval.low


def as_text(missed: np.ndarray) -> str:
    """Shares below and above, in percent."""
    return f"{100 * missed[0]:.1f} + {100 * missed[1]:.1f}"


if __name__ == "__main__":
    main()
