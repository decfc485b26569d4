"""How often the interval of a mean over trainings holds the truth, where images and trainings both have luck.

    python -m duskbench.benchmarks.studies.training_coverage

A number of an image is what the image is worth, what the training is worth, and what the two do only together, each
normal. So the truth is known, and so is how much of the error of a mean over K trainings comes from training: the
settings go from none to nearly all of it. "images" are the resamples of images alone, as if the trainings at hand were
all there could be; "drawn" draws the trainings with replacement too; "Student" adds Student's t to each resample and
takes percentiles; "Welch" is what the table does (see `benchmarks.trainings`). A 95 % interval should hold the truth 95
times of 100.

Then the same of a mAP, which is biased on few images, and of the difference of two methods with as many trainings each,
in the data sets of `studies.interval_coverage`: the share of trials, in percent, with the truth below and above the
interval, and its mean width in points. "moved" are Student's, but the resamples of images are moved down by twice as
much as their median is above the number.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np

from duskbench.benchmarks.resampling import draw_weights, resampled_mean
from duskbench.benchmarks.statistics import Draws
from duskbench.benchmarks.studies import interval_coverage as simulated
from duskbench.benchmarks.trainings import mean_with_luck, training_luck

_IMAGES = 100
_TRAININGS = (3, 5)
# Whose mAP makes the truth.
_SKILLS = 41
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
    parser.add_argument("--map-trials", type=int, default=400)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    kinds = ("images", "drawn", "Student", "Welch")
    print(f"{'':46}" + "".join(f"{f'{k} trainings':>{9 * len(kinds)}}" for k in _TRAININGS))
    print(f"{'':46}" + "".join(f"{kind:>9}" for kind in kinds) * len(_TRAININGS))
    for setting in SETTINGS:
        shares = [coverage(setting, k, arguments.trials, arguments.resamples, arguments.seed) for k in _TRAININGS]
        print(f"{setting.name:46}" + "".join(f"{share:9.2f}" for of in shares for share in of), flush=True)
    print(f"\n{'spread over trainings / of images, trainings':62}{'mAP':>54}{'difference':>36}")
    print(f"{'':62}" + "".join(f"{kind:>18}" for kind in ("Student", "moved", "Welch", "Student", "Welch")))
    for data in simulated.SETTINGS:
        for spread in _SPREADS:
            made = coverage_of_map(data, spread, arguments.map_trials, arguments.resamples, arguments.seed)
            for k, missed in made.items():
                cells = "".join(f"{f'{simulated.as_text(each)} ({100 * each[2]:.1f})':>18}" for each in missed)
                print(f"{data.name:52}{spread:6.1f}{k:4}{cells}", flush=True)


def coverage(setting: Setting, trainings: int, trials: int, resamples: int, seed: int) -> list[float]:
    """Shares of the trials in which the intervals held the truth, 0: those of images alone, drawn, Student, Welch."""
    rng = np.random.default_rng(seed)
    scale = np.sqrt(_IMAGES)
    everywhere = np.ones(_IMAGES, bool)
    held = np.zeros(4)
    for trial in range(trials):
        numbers = (
            setting.images * scale * rng.standard_normal(_IMAGES)
            + setting.training * rng.standard_normal((trainings, 1))
            + setting.together * scale * rng.standard_normal((trainings, _IMAGES))
        )
        weights = draw_weights(_IMAGES, resamples, trial)
        drawn = [resampled_mean(each, everywhere, weights) for each in numbers]
        chosen = rng.integers(0, trainings, (resamples, trainings))
        picked = np.array(drawn)[chosen, np.arange(1, 1 + resamples)[:, None]].mean(axis=1)
        mean = mean_with_luck(drawn, "method", training_luck("method", trainings, resamples, trial))
        kinds = (Draws(mean.images), Draws(np.append(0.0, picked)), Draws(mean.total), mean)
        held += [not any(simulated.misses(draws, 0.0)[:2]) for draws in kinds]
    return list(held / trials)


def coverage_of_map(
    data: simulated.Setting, spread: float, trials: int, resamples: int, seed: int
) -> dict[int, np.ndarray]:
    """Trainings of each method -> (5, 3): of a mAP by three rules and of a difference by two, see `simulated.misses`.

    Args:
        data: Kind of data set, and the mean hit rates of two methods.
        spread: Standard deviation of a mAP over trainings, about as a multiple of that over images.
        trials: Number of data sets.
        resamples: Of each.
        seed: Of all.
    """
    rng = np.random.default_rng(seed)
    sd = spread * _SKILL_LIKE_IMAGES / np.sqrt(data.n_images)
    first, second = (_true_mean(data.objects, skill, sd) for skill in data.skills)
    most = max(_TRAININGS)
    missed = {k: np.zeros((5, 3)) for k in _TRAININGS}
    for trial in range(trials):
        skills = np.repeat(data.skills, most) + sd * rng.standard_normal(2 * most)
        drawn = simulated.draw_maps(data, skills.tolist(), resamples, rng)
        for k in _TRAININGS:
            one, two = (
                mean_with_luck(list(of[:k]), name, training_luck(name, k, resamples, trial))
                for name, of in (("one", drawn[:most]), ("two", drawn[most:]))
            )
            difference, bias = two - one, np.median(one.images[1:]) - one.images[0]
            moved = np.append(one.total[0], one.total[1:] - 2 * bias)
            missed[k] += [
                simulated.misses(Draws(one.total), first),
                simulated.misses(Draws(moved), first),
                simulated.misses(one, first, corrected=True),
                simulated.misses(Draws(difference.total), second - first),
                simulated.misses(difference, second - first),
            ]
    return {k: each / trials for k, each in missed.items()}


@cache
def _true_mean(objects: tuple[float, ...], skill: float, sd: float) -> float:
    """The mean mAP over trainings whose hit rates are normal."""
    shares = (np.arange(_SKILLS) + 0.5) / _SKILLS
    return float(np.mean([simulated.true_map(objects, skill + sd * NormalDist().inv_cdf(share)) for share in shares]))


if __name__ == "__main__":
    main()
