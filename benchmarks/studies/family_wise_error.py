"""How often a run of equal enhancers has a false winner, and whether the smallest difference is as large as predicted.

    python -m duskbench.benchmarks.studies.family_wise_error RUN

Runs are simulated from the stored rows of a real one. Images are drawn from its images with replacement. In a null run
what the enhancers, Input among them, made of an image is dealt out at random among them, image by image: none is better
than another, and all that is real stays, how images differ and how a hard image is hard for all. A false winner (or
loser) is an enhancer whose difference to Input is settled: by its own interval, or by the simultaneous one.

For power two rows of the run are dealt out with odds that favour the better one, and the odds go up until nearly all
runs settle the difference. A probit curve through the shares gives the difference that 80 % of runs settle; beside it
stands what `benchmarks.power` predicts from a null run of the two, on average.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np

from duskbench.benchmarks.bootstrap import Bootstrap
from duskbench.benchmarks.matched import Matched, read_each_matched
from duskbench.benchmarks.metrics.base import Mode, Ranked, Ranking
from duskbench.benchmarks.power import DEFAULT_POWER, smallest_difference
from duskbench.benchmarks.simultaneous import Family, simultaneous
from duskbench.benchmarks.statistics import BootstrapOptions, Sample
from duskbench.benchmarks.stored_run import RunImages, open_run

# Odds for the better of two rows, as what is added to one half.
_ODDS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)


@dataclass(frozen=True)
class Pool:
    """The counted detections of several rows, to be drawn from; place = row * images + image.

    Attributes:
        classes: Names.
        objects: (classes, N) objects to find.
        start: Of each place, and the end of the last, in the arrays behind, which are sorted by place.
        label: Class.
        tp: Found an object.
        score: Of the detector.
        mode: How an AP is made.
    """

    classes: tuple[str, ...]
    objects: np.ndarray
    start: np.ndarray
    label: np.ndarray
    tp: np.ndarray
    score: np.ndarray
    mode: Mode

    @property
    def n_images(self) -> int:
        """N."""
        return self.objects.shape[1]

    def sample(self, name: str, images: np.ndarray, rows: np.ndarray) -> Sample:
        """An enhancer that makes of each of some images what one of the rows made of it."""
        places = rows * self.n_images + images
        counts = self.start[places + 1] - self.start[places]
        at = np.repeat(self.start[places] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        image, label, tp = np.repeat(np.arange(len(images)), counts), self.label[at], self.tp[at]
        order = np.lexsort((image, -self.score[at]))
        by_class = {
            of: (Ranking(image[chosen], tp[chosen]),)
            for number, of in enumerate(self.classes)
            for chosen in (order[label[order] == number],)
        }
        return Sample(name, np.ones(len(images), bool), ranked={"map": Ranked(by_class, self.mode)})


def make_pool(run: RunImages, rows: Sequence[Matched]) -> Pool:
    """The detections of some rows of a run, over the images that all of them have."""
    kept = np.flatnonzero(np.all([row.mask for row in rows], axis=0))
    position = np.full(len(run.images), -1)
    position[kept] = np.arange(len(kept))
    columns: list[tuple[np.ndarray, ...]] = []
    for number, row in enumerate(rows):
        matches, found = row.result.matches, row.found
        chosen = np.flatnonzero((matches.tp | matches.fp) & (position[found.images] >= 0))
        place = number * len(kept) + position[found.images[chosen]]
        columns.append((place, found.labels[chosen], matches.tp[chosen], found.scores[chosen]))
    place, label, tp, score = (np.concatenate(column) for column in zip(*columns, strict=True))
    order = np.argsort(place, kind="stable")
    start = np.searchsorted(place[order], np.arange(len(rows) * len(kept) + 1))
    objects = np.stack([count[kept] for count in run.objects().values()])
    protocol = run.protocol
    return Pool(protocol.classes, objects, start, label[order], tp[order], score[order], protocol.ap)


def null_runs(pool: Pool, k: int, n: int, runs: int, options: BootstrapOptions) -> Iterator[Family]:
    """Runs of equal enhancers, k rows with Input: the differences to it."""
    rng = np.random.default_rng(1)
    for _ in range(runs):
        images = rng.integers(0, pool.n_images, n)
        dealt = rng.permuted(np.tile(np.arange(k), (n, 1)), axis=1)
        yield _differences(pool, images, dealt, options)


def favouring_runs(pool: Pool, odds: float, n: int, runs: int, options: BootstrapOptions) -> Iterator[Family]:
    """Runs of two rows, the first of which is favoured."""
    rng = np.random.default_rng(2)
    for _ in range(runs):
        images = rng.integers(0, pool.n_images, n)
        favoured = (rng.random(n) >= 0.5 + odds).astype(np.int64)
        yield _differences(pool, images, np.stack([1 - favoured, favoured], axis=1), options)


def _differences(pool: Pool, images: np.ndarray, dealt: np.ndarray, options: BootstrapOptions) -> Family:
    base, *others = (pool.sample(str(row), images, dealt[:, row]) for row in range(dealt.shape[1]))
    objects = dict(zip(pool.classes, pool.objects[:, images], strict=True))
    bootstrap = Bootstrap(objects, options, within=np.ones(len(images), bool))
    differences = {one.label: bootstrap.difference(one, base) for one in others}
    family = simultaneous({label: each.draws["map"].total for label, each in differences.items()}, options.level)
    assert family is not None  # noqa: S101 - there are resamples
    return family


def settles(family: Family, critical: float) -> bool:
    """Whether a difference is settled, at so many standard errors."""
    return any(abs(each.value) > critical * family.standard_errors[label] for label, each in family.intervals.items())


def difference_settled_by(share: float, settled: Mapping[float, tuple[int, int]]) -> float:
    """The difference at which a probit curve through the shares reaches one.

    Args:
        share: Of the runs.
        settled: True difference -> runs that settled it, and runs.
    """
    from scipy.optimize import minimize
    from scipy.stats import norm

    at = np.array(list(settled))
    hits, runs = np.array(list(settled.values())).T

    def loss(parameters: np.ndarray) -> float:
        # Settled to either side, as a test of no difference settles it.
        shares = norm.cdf((at - parameters[0]) / parameters[1]) + norm.cdf((-at - parameters[0]) / parameters[1])
        shares = np.clip(shares, 1e-9, 1 - 1e-9)
        return float(-(hits * np.log(shares) + (runs - hits) * np.log(1 - shares)).sum())

    scale = at.max() / 3
    place, spread = minimize(loss, [scale, scale / 2], method="Nelder-Mead").x
    return float(place + NormalDist().inv_cdf(share) * spread)


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--power-runs", type=int, default=200, help="at each of the odds")
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--images", type=int, help="of a simulated run; as many as the real one has")
    parser.add_argument("--pair", nargs=2, metavar=("BETTER", "WORSE"), help="rows for power")
    arguments = parser.parse_args()
    options = BootstrapOptions(arguments.resamples)
    with open_run(arguments.run) as (store, run):
        record = run.record
        matched = read_each_matched(store, run, lambda one: one)
    labels = tuple(label for label in matched if label not in record.bounds)
    pool = make_pool(run, [matched[label] for label in labels])
    n = arguments.images or pool.n_images
    if arguments.runs:
        alone = together = own = 0
        for family in null_runs(pool, len(labels), n, arguments.runs, options):
            alone += settles(family, family.alone)
            together += settles(family, family.critical)
            own += sum(abs(i.value) > family.alone * family.standard_errors[k] for k, i in family.intervals.items())
        print(
            f"{arguments.runs} null runs of {n} images, {len(labels) - 1} enhancers and Input, level {options.level:g}"
        )
        print(f"a difference by its own interval   {own / (arguments.runs * (len(labels) - 1)):.3f}")
        print(f"a run by intervals of their own    {alone / arguments.runs:.3f}")
        print(f"a run by simultaneous intervals    {together / arguments.runs:.3f}")
    if arguments.pair:
        _print_power(make_pool(run, [matched[label] for label in arguments.pair]), n, arguments.power_runs, options)


def _print_power(pool: Pool, n: int, runs: int, options: BootstrapOptions) -> None:
    settled: dict[float, tuple[int, int]] = {}
    predicted = 0.0
    for odds in _ODDS:
        families = list(favouring_runs(pool, odds, n, runs, options))
        # Row 1 minus row 0 is minus what is favoured; and equal odds are no difference, whatever these runs had.
        difference = float(np.mean([-family.intervals["1"].value for family in families])) if odds else 0.0
        difference = abs(difference)
        settled[difference] = sum(settles(family, family.alone) for family in families), runs
        print(
            f"odds {0.5 + odds:.1f}: difference {100 * difference:6.2f}, settled in {settled[difference][0] / runs:.3f}"
        )
        if not odds:
            errors = [family.standard_errors["1"] for family in families]
            predicted = float(np.mean([smallest_difference(e, families[0].alone) for e in errors]))
    simulated = difference_settled_by(DEFAULT_POWER, settled)
    print(f"smallest difference: simulated {100 * simulated:.2f}, predicted {100 * predicted:.2f}")


if __name__ == "__main__":
    main()
