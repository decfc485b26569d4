"""Two runs side by side: what moved, by how much, whether the images settle it, and what else changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from duskbench.benchmarks.evaluate import bootstrap_options
from duskbench.benchmarks.evidence import RunImages, read_measured, read_run_images
from duskbench.benchmarks.judge import judge, sample_of
from duskbench.benchmarks.notes import bracket_note, mark_note, pairing_note
from duskbench.benchmarks.statistics import Bootstrap, BootstrapOptions, Difference, Sample, Spread
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.table import Column, Table, ends
from duskbench.data_tools.errors import ConfigError

# Key of a spread, heading, which way is better, digits, factor, block of the terminal.
_METRICS: tuple[tuple[str, str, Literal["lower", "higher"], int, float, str], ...] = (
    ("niqe", "NIQE", "lower", 3, 1, ""),
    ("map", "mAP", "higher", 2, 100, "mAP, %"),
)


class IncomparableError(ConfigError):
    """Two runs do not answer the same question."""


@dataclass(frozen=True)
class Change:
    """Something that is not the same in two runs.

    Attributes:
        field: Where: `protocol.ap`, `environment.packages.torch`, `enhancers.Ours.fingerprint`.
        before: Its value in the first run, in words.
        after: In the second.
    """

    field: str
    before: str
    after: str


@dataclass(frozen=True)
class EnhancerComparison:
    """One enhancer in two runs.

    Attributes:
        label: The enhancer's, the same in both.
        before: Its mAP, AP and NIQE in the first run, with their intervals.
        after: In the second.
        difference: Second minus first, over the images that both have.
    """

    label: str
    before: Spread
    after: Spread
    difference: Difference


@dataclass(frozen=True)
class RunComparison:
    """Two comparable runs.

    Attributes:
        titles: Of the two runs: folder and time.
        enhancers: Those with a result in both, in the second run's order.
        only_before: Labels that only the first has a result of.
        only_after: Likewise the second.
        changes: Fingerprints, versions, commit, device and whatever else of the record changed.
        bootstrap: How the intervals were made.
    """

    titles: tuple[str, str]
    enhancers: tuple[EnhancerComparison, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    changes: tuple[Change, ...]
    bootstrap: BootstrapOptions


def compare_runs(before: Path, after: Path, *, bootstrap: BootstrapOptions | None = None) -> RunComparison:
    """Compare the newest runs of two folders.

    Args:
        before: Folder of the first run.
        after: Folder of the second.
        bootstrap: How to resample; None for the second record's options.

    Raises:
        IncomparableError: Protocol, data or detector differ; the message has every field that does, with both values.
        DataError: There are no results in a folder.
    """
    with (
        ResultStore(before / "results.sqlite", must_exist=True) as first,
        ResultStore(after / "results.sqlite", must_exist=True) as second,
    ):
        records = first.last_run(), second.last_run()
        runs = read_run_images(first, records[0]), read_run_images(second, records[1])
        check_comparable((before, after), records, runs)
        options = bootstrap or bootstrap_options(records[1])
        # Rows of both are read onto the second run's list of images, so that one draw serves both.
        samples = [
            dict(_samples(store, record, runs[1])) for store, record in zip((first, second), records, strict=True)
        ]
    shared = [label for label in samples[1] if label in samples[0]]
    anywhere = np.any(
        [samples[i][label].measured for i in (0, 1) for label in shared] or [np.zeros(len(runs[1].images), bool)],
        axis=0,
    )
    drawn = Bootstrap(runs[1].objects(), options, runs[1].protocol.ap, within=anywhere)
    return RunComparison(
        titles=(_title(before, records[0]), _title(after, records[1])),
        enhancers=tuple(
            EnhancerComparison(
                label,
                drawn.spread(samples[0][label]),
                drawn.spread(samples[1][label]),
                drawn.difference(samples[1][label], samples[0][label]),
            )
            for label in shared
        ),
        only_before=tuple(label for label in samples[0] if label not in samples[1]),
        only_after=tuple(label for label in samples[1] if label not in samples[0]),
        changes=tuple(record_changes(*records)),
        bootstrap=options,
    )


def _samples(store: ResultStore, record: Mapping[str, Any], run: RunImages) -> Iterator[tuple[str, Sample]]:
    for measured in read_measured(store, record, run):
        if measured.rows:
            yield measured.label, sample_of(measured, run, judge(measured, run))


def check_comparable(
    folders: tuple[Path, Path],
    records: tuple[Mapping[str, Any], Mapping[str, Any]],
    runs: tuple[RunImages, RunImages],
) -> None:
    """Refuse two runs whose numbers answer different questions.

    Raises:
        IncomparableError: Protocol, data or detector differ.
    """
    differing = [*_protocol_changes(*records), *_data_changes(*runs), *_detector_changes(*records)]
    if not differing:
        return
    fields = ", ".join(change.field for change in differing)
    raise IncomparableError(
        f"The two runs cannot be compared: {fields} {'differ' if len(differing) > 1 else 'differs'}.",
        where=f"{folders[0]} and {folders[1]}",
        expected="; ".join(f"{change.field} = {change.before}" for change in differing),
        got="; ".join(f"{change.field} = {change.after}" for change in differing),
        todo="run both with the same protocol, data and detector; rows that are there are not measured again",
    )


def _protocol_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    yield from _changes("protocol", before["protocol"], after["protocol"])
    if before["protocol"] == after["protocol"]:
        yield from _changes("measure", before["measure"], after["measure"])


def _detector_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for key in ("name", "identity"):
        yield from _changes(f"detector.{key}", *(record["detector"].get(key) for record in (before, after)))


def _data_changes(before: RunImages, after: RunImages) -> Iterator[Change]:
    one, other = ({image.record.id: image for image in run.images} for run in (before, after))
    if one.keys() != other.keys():
        yield Change("data.images", _some_ids(one, other), _some_ids(other, one))
        return
    files = [i for i in sorted(one) if one[i].sha256 != other[i].sha256]
    if files:
        shown = [
            f"{_in_words(run[files[0]].sha256 or 'missing')} of {files[0]}{_and_more(files)}" for run in (one, other)
        ]
        yield Change("data.images.sha256", *shown)
    truths = [i for i in sorted(one) if one[i].record.objects != other[i].record.objects]
    if truths:
        shown = [f"{_count(run[truths[0]].record.objects)} in {truths[0]}{_and_more(truths)}" for run in (one, other)]
        yield Change("data.annotations", *shown)


def _some_ids(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    extra = sorted(mine.keys() - theirs.keys())
    named = f", with {', '.join(extra[:3])}{_and_more(extra[2:])}" if extra else ""
    return f"{len(mine)} images{named}"


def _and_more(ids: list[str]) -> str:
    return f" and {len(ids) - 1} more" if len(ids) > 1 else ""


def _count(objects: Any) -> str:
    return "no annotation" if objects is None else f"{len(objects)} objects"


def record_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """What else differs between two records: fingerprints, enhancers' weights, versions, commit, machine, device."""
    one, other = ({e["label"]: e for e in record["enhancers"]} for record in (before, after))
    for label in other:
        if label in one:
            for key in ("fingerprint", "weights"):
                yield from _changes(f"enhancers.{label}.{key}", one[label].get(key), other[label].get(key))
    yield from _changes("detector.fingerprint", *(record["detector"]["fingerprint"] for record in (before, after)))
    environments = [
        {k: v for k, v in record["environment"].items() if k not in ("started", "argv")} for record in (before, after)
    ]
    yield from _changes("environment", *environments)


def _changes(field: str, before: Any, after: Any) -> Iterator[Change]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from _changes(f"{field}.{key}", before.get(key), after.get(key))
    elif before != after:
        yield Change(field, _in_words(before), _in_words(after))


def _in_words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    # Sixty-four digits of a hash say no more than twelve.
    return value[:12] if isinstance(value, str) and len(value) == 64 and value.isalnum() else str(value)


def _title(folder: Path, record: Mapping[str, Any]) -> str:
    return f"{folder} ({record['environment']['started']})"


def build_comparison_table(comparison: RunComparison) -> Table:
    """Lay a comparison out; the differences are the second run minus the first."""
    has_map = any(e.after.map is not None or e.before.map is not None for e in comparison.enhancers)
    columns = [Column("label", "Enhancer")]
    for key, heading, better, digits, factor, part in _METRICS if has_map else _METRICS[:1]:
        columns += [
            Column(f"{key} before", f"{heading} 1st", None, digits, factor, part, bounds="shown"),
            Column(f"{key} after", f"{heading} 2nd", None, digits, factor, part, bounds="shown"),
            Column(key, f"Δ {heading}", better, digits, factor, part, bounds="shown", signed=True),
        ]
    columns.append(Column("n", "n", part=columns[-1].part))
    rows = tuple(_row(one) for one in comparison.enhancers)
    return Table("2nd run against 1st", tuple(columns), rows, tuple(_notes(comparison)))


def _row(one: EnhancerComparison) -> dict[str, Any]:
    # As a bound no row competes: the best difference is not the best enhancer.
    row: dict[str, Any] = {"label": one.label, "bound": True, "n": one.difference.n_images}
    for key, *_ in _METRICS:
        interval = getattr(one.difference, key)
        row |= ends(f"{key} before", getattr(one.before, key))
        row |= ends(f"{key} after", getattr(one.after, key))
        row |= ends(key, interval)
        row[f"{key} unsettled"] = interval.unsettled if interval is not None else None
    return row


def _notes(comparison: RunComparison) -> list[str]:
    first, second = comparison.titles
    notes = [f"1st: {first}. 2nd: {second}. Δ: 2nd minus 1st. Protocol, images, annotations and detector are the same."]
    notes += [bracket_note(comparison.bootstrap), mark_note("the difference")] if comparison.enhancers else []
    for one in comparison.enhancers:
        if one.difference.n_left_out:
            notes.append(pairing_note(f"The two runs of {one.label}", one.difference))
    for label, run in [(n, "1st") for n in comparison.only_before] + [(n, "2nd") for n in comparison.only_after]:
        notes.append(f"{label}: only in the {run} run.")
    notes += [f"{change.field}: {change.before} -> {change.after}" for change in comparison.changes]
    if not comparison.changes:
        notes.append("Fingerprints, versions, commit and machine are the same.")
    return notes
