"""What a run's images can settle, laid out: differences with simultaneous intervals, and how small one may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from duskbench.benchmarks.evaluate import EnhancerResult, baseline_labels, evaluate_run
from duskbench.benchmarks.notes import mark_note
from duskbench.benchmarks.power import DEFAULT_POWER, images_needed, smallest_difference
from duskbench.benchmarks.record import RunRecord, ScoreColumn
from duskbench.benchmarks.simultaneous import Family, family_of, is_the_same
from duskbench.benchmarks.statistics import BootstrapOptions
from duskbench.benchmarks.stored_run import open_run
from duskbench.benchmarks.table import Cell, Column, ColumnKey, Table, TableRow, cell_of, score_column
from duskbench.data_tools.errors import DataError, UnknownNameError
from duskbench.data_tools.settings import check_setting, is_number, is_whole


@dataclass(frozen=True)
class PowerOptions:
    """What is asked.

    Attributes:
        score: Key or heading of a score; None for the first of detections, or else of images.
        baseline: Label that differences are taken to; None for Input.
        power: Share of runs that should settle a difference.
        within: Differences below it are none to speak of, in the shown unit; None for the metric's tolerance.
        difference: A true difference, in the shown unit, to ask for the images it needs; None for none.
        images: How many images like these the smallest difference is asked for; None for as many as there are.
    """

    score: str | None = None
    baseline: str | None = None
    power: float = DEFAULT_POWER
    within: float | None = None
    difference: float | None = None
    images: int | None = None

    def __post_init__(self) -> None:
        power, within, difference, images = self.power, self.within, self.difference, self.images
        for option, value, fits, expected in (
            ("power", power, is_number(power) and 0.5 <= power < 1, "0.5 or more, and below 1"),
            ("within", within, within is None or (is_number(within) and within > 0), "above 0"),
            ("difference", difference, difference is None or (is_number(difference) and difference > 0), "above 0"),
            ("images", images, images is None or is_whole(images, 2), "2 or more"),
        ):
            check_setting("The power table", f"--{option}", value, fits, expected)


def read_power_table(run_dir: Path, options: PowerOptions | None = None) -> Table:
    """Say what the images of a run's newest record can settle.

    Raises:
        DataError: There are no results in the folder, or no difference with an interval.
        UnknownNameError: There is no such score or baseline.
    """
    options = options or PowerOptions()
    with open_run(run_dir) as (store, run):
        record = run.record
        results = evaluate_run(store, run, baseline=options.baseline)
    baselines = baseline_labels(record, options.baseline)
    score = chosen_score(record, options.score)
    made = build_power_table(record, results, score, baselines[-1], options) if baselines else None
    if made is None:
        raise DataError(
            "There is no difference to speak of.",
            where=run_dir,
            expected=f"{score.heading} of {(baselines or ['Input'])[-1]} and of another enhancer, with intervals",
            got="; ".join(run.cautions) or None,
            todo="run `input` and another enhancer, or choose another --baseline or --score",
        )
    return made.with_cautions(run.cautions)


def chosen_score(record: RunRecord, name: str | None) -> ScoreColumn:
    """A score by its key or heading.

    Raises:
        UnknownNameError: There is none of that name.
    """
    columns = record.headline_first()
    found = next((c for c in columns if name is None or name.lower() in (c.key.lower(), c.heading.lower())), None)
    if found is None:
        raise UnknownNameError("score", str(name), [column.heading for column in columns])
    return found


def build_power_table(
    record: RunRecord,
    results: Sequence[EnhancerResult],
    score: ScoreColumn,
    baseline: str,
    options: PowerOptions,
) -> Table | None:
    """Lay out what images can settle.

    Args:
        record: The run's record.
        results: From `benchmarks.evaluate.evaluate`.
        score: Of what.
        baseline: Label that differences are taken to.
        options: What is asked.

    Returns:
        A row for each enhancer that competes; None where no difference has an interval.
    """
    family = family_of(record, results, score, baseline)
    if family is None:
        return None
    margin = score.metric.tolerance if options.within is None else options.within
    number = score_column(score, better=None, bounds=None)
    columns = [
        Column("label", "Enhancer"),
        score_column(score, heading=f"Δ {score.heading} to {baseline}", better=None, signed=True),
        Column("finding", "finding"),
        *(
            Column(key, heading, None, number.digits, number.factor)
            for key, heading in (("alone", "smallest, alone"), ("among", "smallest, of all"))
        ),
        Column("images for it", "for Δ", part="Images needed"),
    ]
    if options.difference is not None:
        columns.append(Column("images for", f"for {options.difference:g}", part="Images needed"))
    by_label = {result.label: result for result in results}
    rows = tuple(_row(by_label[label], family, score, baseline, margin, options) for label in family.intervals)
    title = f"{record.title}: what its images can settle"
    notes = _notes(family, score, margin, options, record.bootstrap, results, baseline)
    return Table(title, tuple(columns), rows, tuple(notes))


def _row(
    result: EnhancerResult,
    family: Family,
    score: ScoreColumn,
    baseline: str,
    margin: float | None,
    options: PowerOptions,
) -> TableRow:
    interval, error = family.intervals[result.label], family.standard_errors[result.label]
    difference = result.against[baseline]
    finding: str = interval.verdict(score.metric.better)
    if margin is not None and is_the_same(interval, margin / score.metric.factor):
        same = f"the same within {margin:g}"
        finding = same if finding == "not settled" else f"{finding}, {same}"
    cells: dict[ColumnKey, Cell] = {"finding": Cell(finding), (score.key,): cell_of(interval, interval)}
    # More images leave the variance between trainings as it is.
    trainings = score.key in difference.trainings
    if not trainings or options.images is None:
        shrink = (difference.n_images / (options.images or difference.n_images)) ** 0.5
        own, alone = difference.scores[score.key], error
        if trainings and own.low is not None and own.high is not None:
            # Narrower than the resamples lie apart.
            alone = (own.high - own.low) / (2 * family.alone)
        cells["alone"] = Cell(smallest_difference(alone * shrink, family.alone, options.power))
        cells["among"] = Cell(smallest_difference(error * shrink, family.critical, options.power))
    if not trainings:
        given = None if options.difference is None else options.difference / score.metric.factor
        for key, true in (("images for it", interval.value), ("images for", given)):
            if true is not None:
                n = difference.n_images
                cells[key] = Cell(images_needed(n, true, error, family.critical, options.power))
    # As a bound no row competes: the smallest of these is not the best enhancer.
    return TableRow(result.label, cells, bound=True)


def _notes(
    family: Family,
    score: ScoreColumn,
    margin: float | None,
    options: PowerOptions,
    bootstrap: BootstrapOptions,
    results: Sequence[EnhancerResult],
    baseline: str,
) -> Iterator[str]:
    n, level, power = len(family.intervals), f"{100 * bootstrap.level:g} %", f"{100 * options.power:g} %"
    images = [result.against[baseline].n_images for result in results if result.label in family.intervals]
    some = f"{min(images)}" if min(images) == max(images) else f"{min(images)} to {max(images)}"
    yield (
        f"[low, high]: {level} simultaneous intervals over {some} images: in {level} of runs all {n} hold the true "
        f"difference at once (max-t, {bootstrap.resamples} resamples, seed {bootstrap.seed}; {family.critical:.2f} "
        f"standard errors to each side, {family.alone:.2f} for one alone)."
    )
    yield mark_note("the difference")
    if margin is not None:
        yield f"The same within {margin:g}: the whole interval lies between -{margin:g} and +{margin:g}."
    yield (
        f"smallest: the true difference that {power} of runs on {options.images or some} images like these settle, by "
        "the interval of that difference alone, or of all at once."
    )
    yield (
        f"Images needed: how many like these settle the difference in {power} of runs, among all at once. Δ is what "
        "was found here, and the true difference is often smaller: take that number as the least."
    )
    if any(score.key in result.against[baseline].trainings for result in results if baseline in result.against):
        yield "A dash for several trainings: more images leave the variance between trainings as it is."
