"""How often the interval of a mean over trainings holds the truth, where images and trainings both have luck.

    python -m duskbench.benchmarks.studies.training_coverage

A number of an image is what the image is worth, what the training is worth, and what the two do only together, each
normal. So the truth is known, and so is how much of the error of a mean over K trainings comes from training: the
settings go from none to nearly all of it. "images" are the resamples of images alone, as if the trainings at hand were
all there could be; "drawn" draws the trainings with replacement too; "Student" is what the table does (see
`benchmarks.trainings`). A 95 % interval should hold the truth 95 times of 100.

Then the same of a mAP, which is biased on few images: 3 of 40 trainings on 120 of 6000 images, as in
`studies.interval_coverage`; "corrected" are the bias-corrected quantiles.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from duskbench.benchmarks.resampling import draw_weights, resampled_mean
from duskbench.benchmarks.studies import interval_coverage as simulated
from duskbench.benchmarks.trainings import mean_with_luck, training_luck

_TAILS = (0.025, 0.975)
_IMAGES = 100
# Of the hit rate.
_SKILL_SPREADS = (0.0, 0.02, 0.06)


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
    parser.add_argument("--resamples", type=int, default=1000)
    arguments = parser.parse_args()
    print(f"{'':46}{'3 trainings':>27}{'5 trainings':>27}")
    print(f"{'':46}" + f"{'images':>9}{'drawn':>9}{'Student':>9}" * 2)
    for setting in SETTINGS:
        shares = [coverage(setting, k, arguments.trials, arguments.resamples) for k in (3, 5)]
        print(f"{setting.name:46}" + "".join(f"{share:9.2f}" for of in shares for share in of))
    print(f"\n{'':46}{'images':>18}{'Student':>18}")
    print(f"{'mAP, 3 trainings, 120 images':46}" + f"{'percentile':>12}{'corrected':>12}" * 2)
    for spread in _SKILL_SPREADS:
        sd, shares_of_map = coverage_of_map(spread, arguments.trials // 5, arguments.resamples)
        name = f"standard deviation over trainings {100 * sd:.1f} points"
        print(f"{name:46}" + "".join(f"{share:12.2f}" for share in shares_of_map))


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
            mean_with_luck(drawn, luck)[1:],
        )
        for number, values in enumerate(kinds):
            low, high = np.quantile(values, _TAILS)
            held[number] += low <= 0 <= high
    return list(held / trials)


def coverage_of_map(spread: float, trials: int, resamples: int) -> tuple[float, list[float]]:
    """As `coverage`, of a mAP: how far trainings lie apart, and the shares by either kind of luck and quantiles."""
    rng = np.random.default_rng(1)
    name, n, n_trainings = "", 120, 40
    setting = simulated.Setting(name, n, (0.22,) * 11, tuple(0.5 + spread * rng.standard_normal(n_trainings)))
    objects, enhancers = simulated.draw_population(setting, rng)
    everything = np.arange(len(objects[0]))
    once = np.ones((len(everything), 1), np.float32)
    worth = [simulated.mean_ap(objects, ranked, everything, once)[0] for ranked in enhancers]
    held = np.zeros(4)
    for trial in range(trials):
        images = rng.choice(len(everything), n, replace=False)
        weights = draw_weights(n, resamples, trial)
        chosen = rng.choice(n_trainings, 3, replace=False)
        drawn = [simulated.mean_ap(objects, enhancers[k], images, weights) for k in chosen]
        luck = training_luck("method", 3, resamples, trial)
        kinds = (np.mean(drawn, axis=0), mean_with_luck(drawn, luck))
        held += [simulated.holds(values, float(np.mean(worth)), by) for values in kinds for by in (False, True)]
    return float(np.std(worth, ddof=1)), list(held / trials)


if __name__ == "__main__":
    main()
