"""A run in a few sentences, from the numbers of its table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from duskbench.benchmarks.evaluate import EnhancerResult
from duskbench.benchmarks.record import RunRecord, ScoreColumn
from duskbench.benchmarks.report.content import best_first
from duskbench.benchmarks.report.figures import standing_of
from duskbench.benchmarks.report.wording import behind_comma, interval_text, number_text, unit
from duskbench.benchmarks.stored_run import fewest_lacking

_SENTENCES = {
    "better": "Better than",
    "worse": "Worse than",
    "unsettled": "Neither clearly better nor clearly worse than",
}


def summary_lines(
    record: RunRecord, scores: Sequence[ScoreColumn], results: Sequence[EnhancerResult], baseline: str | None
) -> Iterator[str]:
    """Who is best by the headline and how the others compare with the baseline, then who is best by each other score.

    Args:
        record: The run's record.
        scores: The headline first.
        results: A result per enhancer.
        baseline: Label of the row compared with; None where there is none.
    """
    for score in scores:
        ranked = best_first(record, results, score)
        if len(ranked) > 1 or (ranked and score is scores[0]):
            yield _best(score, ranked, baseline)
        if baseline is not None and score is scores[0]:
            yield from _compared(record, score, ranked, baseline)


def _best(score: ScoreColumn, ranked: Sequence[EnhancerResult], baseline: str | None) -> str:
    lacks = fewest_lacking(result.lacks for result in ranked)
    ranked = [result for result in ranked if result.lacks == lacks]
    metric, best = score.metric, ranked[0]
    which = {"higher": "Highest", "lower": "Lowest"}[metric.better]
    equal = [result.label for result in ranked if result.number(score.key) == best.number(score.key)]
    line = f"{which} {score.heading}: {', '.join(equal)} with {_number(score, best)}"
    base = next((result for result in ranked if result.label == baseline), None)
    change = best.against[baseline].scores.get(score.key) if baseline in best.against else None
    if base is not None and change is not None and len(equal) == 1:
        moved = behind_comma(interval_text(metric, change, sign=True))
        points = unit(metric, difference=True)
        difference = f"{number_text(metric, change.value, sign=True)}{points}{moved}"
        line += f", against {_number(score, base)} of {baseline} ({difference})"
    return f"{line}{'' if metric.better == 'higher' else '; lower is better'}."


def _number(score: ScoreColumn, result: EnhancerResult) -> str:
    return number_text(score.metric, result.spread.scores[score.key].value) + unit(score.metric)


def _compared(record: RunRecord, score: ScoreColumn, ranked: Sequence[EnhancerResult], baseline: str) -> Iterator[str]:
    labels: dict[str, list[str]] = {standing: [] for standing in _SENTENCES}
    for result in ranked:
        if baseline in result.against:
            change = result.against[baseline].scores.get(score.key)
            labels[standing_of(result.label, score, change, baseline, record.bounds)].append(result.label)
    for standing, sentence in _SENTENCES.items():
        if labels[standing]:
            yield f"{sentence} {baseline} by {score.heading}: {', '.join(labels[standing])}."
