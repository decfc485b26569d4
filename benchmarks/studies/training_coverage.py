"""How often the interval of a mean over trainings holds the truth, where images and trainings both have luck.

    python -m duskbench.benchmarks.studies.training_coverage

A number of an image is what the image is worth, what the training is worth, and what the two do only together, each
normal. So the truth is known, and so is how much of the error of a mean over K trainings comes from training: the
settings go from none to nearly all of it. "images" are the resamples of images alone, as if the trainings at hand were
all there could be; "drawn" draws the trainings with replacement too; "Student" is what the table does (see
`benchmarks.trainings`). A 95 % interval should hold the truth 95 times of 100.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from duskbench.benchmarks.resampling import draw_weights, resampled_mean
from duskbench.benchmarks.trainings import mean_with_luck, training_luck

_TAILS = (0.025, 0.975)
_IMAGES = 100


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
        weights = draw_weights(everywhere, resamples, trial)
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


if __name__ == "__main__":
    main()
