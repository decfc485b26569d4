"""How a score falls with the light: the curve of each enhancer, the stops it gains on Input, and the area below.

The same photos are measured at a ladder of exposures, and every level is resampled with the same draws of images, so a
curve, an area and a shift have intervals as a score has.

Stops gained are the horizontal distance of two curves: by how many stops less light an enhancer reaches the score that
Input reaches, averaged evenly over the scores that both reach on the ladder, as Bjøntegaard averages bit rates. A curve
is read so that a score counts as reached at a level if it is reached there or anywhere darker; between levels it is a
straight line. Area is the mean score over the ladder.

Source: Bjøntegaard, "Calculation of average PSNR differences between RD-curves", ITU-T VCEG-M33, 2001.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from duskbench.benchmarks.evidence import RunEvidence
from duskbench.benchmarks.record import ScoreColumn
from duskbench.benchmarks.run_differences import Change, differences, in_words
from duskbench.benchmarks.statistics import BootstrapOptions, Draws, Interval, interval_of
from duskbench.data_tools.errors import DataError

_SCORES_AVERAGED = 200


@dataclass(frozen=True)
class NightCurve:
    """One enhancer on one ladder.

    Attributes:
        label: Of the enhancer.
        points: Of each exposure, in the ladder's order.
        area: Mean score over the ladder.
        area_difference: To the baseline's; None for itself.
        stops: Stops gained on the baseline; None for itself, and where no score is reached by both.
    """

    label: str
    points: tuple[Interval, ...]
    area: Interval
    area_difference: Interval | None = None
    stops: Interval | None = None


@dataclass(frozen=True)
class NightCurves:
    """The curves of all enhancers on one ladder.

    Attributes:
        exposures: Stops, the brightest first.
        score: What is measured.
        bootstrap: How the intervals were made.
        baseline: Label of Input; None where the runs have none.
        curves: In the runs' order, of the enhancers with a result at every exposure.
        n_images: Images that every enhancer has a result of at every exposure: the curves stand on these.
        n_left_out: Images that some enhancer lacks at some exposure.
        without: Labels of the enhancers that have no curve: without a result, or without the score, at some exposure.
        cautions: As of the runs.
    """

    exposures: tuple[float, ...]
    score: ScoreColumn
    bootstrap: BootstrapOptions
    baseline: str | None
    curves: tuple[NightCurve, ...]
    n_images: int
    n_left_out: int
    without: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()


def night_curves(levels: Mapping[float, RunEvidence], score: ScoreColumn) -> NightCurves:
    """Put the runs at several exposures together.

    Args:
        levels: Exposure in stops -> the run's evidence; all of the same images. The record of the brightest says how
            to resample.
        score: Of the runs' records.

    Raises:
        DataError: Fewer than two exposures, one of them measured otherwise than another or of other images, or nothing
            measured at all of them.
    """
    exposures = tuple(sorted(levels, reverse=True))
    runs = [levels[ev] for ev in exposures]
    apart = [
        f"{ev:g} stops: {said}" for ev, run in zip(exposures, runs, strict=True) for said in apart_from(runs[0], run)
    ]
    if len(runs) < 2 or apart:
        raise DataError(
            "The exposures do not make a curve.",
            expected="two exposures or more, all measured alike and of the same images",
            got="; ".join(apart) or f"{len(runs)} exposure",
        )
    rows = [{label: row.sample for label, row in run.rows.items() if not row.is_empty} for run in runs]
    labels = [label for label in rows[0] if all(label in of for of in rows)]
    measured = [of[label].measured for of in rows for label in labels]
    within = np.all(measured, axis=0) if measured else np.zeros(len(runs[0].images), bool)
    if not within.any():
        raise DataError("No image has a result of every enhancer at every exposure.", got=f"enhancers {labels}")
    options = runs[0].record.bootstrap
    drawn: dict[str, list[Draws]] = {}
    bootstraps = [run.resampled(within, options) for run in runs]
    for label in labels:
        spreads = [each.spread(of[label]) for each, of in zip(bootstraps, rows, strict=True)]
        if all(score.key in spread.draws for spread in spreads):
            drawn[label] = [spread.draws[score.key] for spread in spreads]
    baseline = runs[0].record.input_label
    base = drawn.get(baseline) if baseline is not None else None
    curves = tuple(
        _curve(label, each, None if label == baseline else base, exposures, score, options.level)
        for label, each in drawn.items()
    )
    anywhere = np.any(measured, axis=0)
    return NightCurves(
        exposures, score, options, baseline if base is not None else None, curves, int(within.sum()),
        int(anywhere.sum() - within.sum()), tuple(label for label in runs[0].rows if label not in drawn),
        tuple(dict.fromkeys(said for run in runs for said in run.cautions)),
    )  # fmt: skip


def apart_from(lit: RunEvidence, level: RunEvidence) -> list[str]:
    """Why the numbers of a level do not belong on a curve with those of the lit photos, a line for each reason.

    Its pictures are others by their making; the ids, the ground truth, and all that measures must be the same.
    """
    photos, pictures = ([replace(each, sha256="") for each in run.images] for run in (lit, level))
    changes = differences(lit.record, level.record, photos, pictures)
    found = [change for change in changes if change.blocking or change.field.endswith(".fingerprint")]
    scores = [[column.key for column in run.record.columns()] for run in (lit, level)]
    if scores[0] != scores[1]:
        found.append(Change("scores", in_words(scores[0]), in_words(scores[1])))
    if not found and [state.id for state in lit.images] != [state.id for state in level.images]:
        return ["its images stand in another order"]
    return [str(change) for change in found]


def _curve(
    label: str,
    drawn: Sequence[Draws],
    base: Sequence[Draws] | None,
    exposures: Sequence[float],
    score: ScoreColumn,
    level: float,
) -> NightCurve:
    ev = np.array(exposures)
    points = tuple(interval_of(each, level, corrected=True) for each in drawn)
    own = _area(drawn, ev)
    whole = interval_of(own, level, corrected=True)
    if base is None:
        return NightCurve(label, points, whole)
    sign = 1.0 if score.metric.better == "higher" else -1.0
    theirs, ours = (sign * np.stack([each.total for each in of]) for of in (base, drawn))
    stops = stops_gained(theirs, ours, ev)
    return NightCurve(
        label, points, whole, interval_of(own - _area(base, ev), level),
        None if np.isnan(stops[0]) else interval_of(Draws(stops), level),
    )  # fmt: skip


def _area(drawn: Sequence[Draws], exposures: np.ndarray) -> Draws:
    keys = list(dict.fromkeys(key for each in drawn for key in each.deviations))
    return Draws(
        area(np.stack([each.images for each in drawn]), exposures),
        {
            key: area(np.stack([each.deviations.get(key, np.zeros(key[1])) for each in drawn]), exposures)
            for key in keys
        },
    )


def area(drawn: np.ndarray, exposures: np.ndarray) -> np.ndarray:
    """Mean score over a ladder, by straight lines between its levels.

    Args:
        drawn: (L, R) float64, a score at L exposures in R resamples.
        exposures: (L,) stops, falling.

    Returns:
        (R,) float64.
    """
    widths = -np.diff(exposures)[:, None]
    total: np.ndarray = (widths * (drawn[1:] + drawn[:-1]) / 2).sum(axis=0)
    return total / (exposures[0] - exposures[-1])


def stops_gained(base: np.ndarray, drawn: np.ndarray, exposures: np.ndarray) -> np.ndarray:
    """By how many stops less light a curve reaches what another reaches, on average over what both reach.

    Args:
        base: (L, R) float64, the other's score at L exposures in R resamples, higher is better.
        drawn: (L, R) float64, likewise.
        exposures: (L,) stops, falling.

    Returns:
        (R,) float64; NaN where no score is reached by both.
    """
    ev = exposures[::-1]
    # Reached here or anywhere darker.
    theirs, ours = (np.maximum.accumulate(each[::-1], axis=0) for each in (base, drawn))
    low, high = np.maximum(theirs[0], ours[0]), np.minimum(theirs[-1], ours[-1])
    middles = (np.arange(_SCORES_AVERAGED) + 0.5) / _SCORES_AVERAGED
    gained = np.full(base.shape[1], np.nan)
    for r in np.flatnonzero(high > low):
        scores = low[r] + middles * (high[r] - low[r])
        gained[r] = np.mean(np.interp(scores, theirs[:, r], ev) - np.interp(scores, ours[:, r], ev))
    return gained
