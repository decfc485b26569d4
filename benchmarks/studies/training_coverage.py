"""How often the interval of a mean over trainings holds the truth, where images and trainings both have luck.

    python -m duskbench.benchmarks.studies.training_coverage

A number of an image is what the image is worth, what the training is worth, and what the two do only together, each
normal. So the truth is known, and so is how much of the error of a mean over K trainings comes from training: the
settings go from none to nearly all of it. "images" are the resamples of images alone, as if the trainings at hand were
all there could be; "drawn" draws the trainings with replacement too; "Student" is what the table does (see
`benchmarks.trainings`). A 95 % interval should hold the truth 95 times of 100.

Then the same of a mAP, which is biased on few images, and of the difference of two methods with as many trainings each,
in the data sets of `studies.interval_coverage`, whose cells these are. "percentile": plain quantiles; "all": the
bias-corrected ones of images' and trainings' luck together; "images": the resamples of images are corrected, then
trainings' luck is added. The table takes "images" for a row and "percentile" for a difference.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from duskbench.benchmarks.resampling import draw_weights, resampled_mean
from duskbench.benchmarks.statistics import Draws
from duskbench.benchmarks.studies import interval_coverage as simulated
from duskbench.benchmarks.trainings import mean_with_luck, training_luck

_TAILS = (0.025, 0.975)
_IMAGES = 100
# Of a mAP over trainings, as a multiple of that over images.
_SPREADS = (0.2, 1.0)
# Hit rates that differ by so much over the root of the number of images move a mAP as far as other images do.
_SKILL_LIKE_IMAGES = 0.6


@dataclass(frozen=True)
class Setting:
    """How much of what: standard deviation of a mean over the images by the images, by a training, and by both."""

    name: str
    images: float
    training: float
    together: float


SETTINGS = (
    Setting("no luck in training", 1.0, 0.0, 0.0),
    Setting("trainings differ by image, not on the whole", 1.0, 0.0, 1.0),
    Setting("a training's luck is half the images'", 1.0, 0.5, 0.5),
    Setting("as large as the images'", 1.0, 1.0, 0.5),
    Setting("twice the images'", 1.0, 2.0, 0.5),
    Setting("five times the images'", 1.0, 5.0, 0.5),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--map-trials", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1, help="of the second table")
    arguments = parser.parse_args()
    print(f"{'':46}{'3 trainings':>27}{'5 trainings':>27}")
    print(f"{'':46}" + f"{'images':>9}{'drawn':>9}{'Student':>9}" * 2)
    for setting in SETTINGS:
        shares = [coverage(setting, k, arguments.trials, arguments.resamples) for k in (3, 5)]
        print(f"{setting.name:46}" + "".join(f"{share:9.2f}" for of in shares for share in of))
    print(f"\n{'SD over trainings / of images, trainings':62}{'mAP':>42}{'difference':>42}")
    print(f"{'':62}" + f"{'percentile':>14}{'all':>14}{'images':>14}" * 2)
    for data in simulated.SETTINGS:
        for spread, k in product(_SPREADS, (3, 5)):
            missed = coverage_of_map(data, spread, k, arguments.map_trials, arguments.resamples, arguments.seed)
            cells = "".join(f"{simulated.as_text(share):>14}" for share in missed)
            print(f"{data.name:52}{spread:6.1f}{k:4}{cells}", flush=True)


def coverage(setting: Setting, trainings: int, trials: int, resamples: int) -> list[float]:
    """Shares of the trials in which the intervals held the truth, 0: images alone, trainings drawn, Student's t."""
    rng = np.random.default_rng(1)
    scale = np.sqrt(_IMAGES)
    everywhere = np.ones(_IMAGES, bool)
    held = np.zeros(3)
    for trial in range(trials):
        numbers = (
            setting.images * scale * rng.standard_normal(_IMAGES)
            + setting.training * rng.standard_normal((trainings, 1))
            + setting.together * scale * rng.standard_normal((trainings, _IMAGES))
        )
        weights = draw_weights(_IMAGES, resamples, trial)
        drawn = [resampled_mean(each, everywhere, weights) for each in numbers]
        luck = training_luck("method", trainings, resamples, trial)
        chosen = rng.integers(0, trainings, (resamples, trainings))
        at = np.arange(1, 1 + resamples)[:, None]
        kinds = (
            np.mean(drawn, axis=0)[1:],
            np.array(drawn)[chosen, at].mean(axis=1),
            mean_with_luck(drawn, luck).total[1:],
        )
        for number, values in enumerate(kinds):
            low, high = np.quantile(values, _TAILS)
            held[number] += low <= 0 <= high
    return list(held / trials)


def coverage_of_map(
    data: simulated.Setting, spread: float, k: int, trials: int, resamples: int, seed: int
) -> np.ndarray:
    """(6, 2) shares of the trials with the truth below and above: mAP by each of three rules, difference by each.

    Args:
        data: Kind of data set, and the mean hit rates of two methods.
        spread: Standard deviation of a mAP over trainings, about as a multiple of that over images.
        k: Trainings of each method.
        trials: Number of data sets.
        resamples: Of each.
        seed: Of all.
    """
    rng = np.random.default_rng(seed)
    sd = spread * _SKILL_LIKE_IMAGES / np.sqrt(data.n_images)
    first, second = (_true_mean(data.objects, skill, sd) for skill in data.skills)
    missed = np.zeros((6, 2))
    for trial in range(trials):
        skills = np.repeat(data.skills, k) + sd * rng.standard_normal(2 * k)
        drawn = simulated.draw_maps(data, skills.tolist(), resamples, rng)
        one, two = (
            mean_with_luck(list(of), training_luck(name, k, resamples, trial))
            for name, of in (("one", drawn[:k]), ("two", drawn[k:]))
        )
        missed += [
            each
            for draws, truth in ((one, first), (two - one, second - first))
            for each in (
                simulated.misses(draws, truth),
                simulated.misses(Draws(draws.total), truth, corrected=True),
                simulated.misses(draws, truth, corrected=True),
            )
        ]
    return missed / trials


@cache
def _true_mean(objects: tuple[float, ...], skill: float, sd: float) -> float:
    """The mean mAP over trainings whose hit rates are normal."""
    at, weights = np.polynomial.hermite_e.hermegauss(5)
    return float(np.average([simulated.true_map(objects, skill + sd * each) for each in at], weights=weights))


if __name__ == "__main__":
    main()
