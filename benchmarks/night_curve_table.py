"""Night curves laid out: the score at each exposure, the stops gained, the area."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from duskbench.benchmarks.evidence import RunEvidence, open_evidence
from duskbench.benchmarks.night_curve import NightCurve, NightCurves, apart_from, night_curves
from duskbench.benchmarks.night_ladder import SENSORS, Ladder, measured_ladders
from duskbench.benchmarks.power_table import chosen_score
from duskbench.benchmarks.results import write_forms
from duskbench.benchmarks.table import Cell, Column, ColumnKey, Table, TableRow, cell_of, score_column


def _levels(out: Path, ladder: Ladder) -> Iterator[tuple[str, dict[float, RunEvidence]]]:
    """Noise and what was measured at each exposure; the lit photos, which all have, are read once."""
    evidence: dict[str, RunEvidence] = {}
    for noise in ladder.noise:
        for ev in ladder.exposures:
            folder = ladder.folder(noise, ev)
            if folder not in evidence:
                evidence[folder] = open_evidence(out / "runs" / folder)
        yield noise, {ev: evidence[ladder.folder(noise, ev)] for ev in ladder.exposures}


def measured_night_curves(out: Path) -> tuple[dict[str, NightCurves], list[str]]:
    """Noise -> the curves of all that was measured below a folder, and what is left out of them, a line each.

    Several commands may have measured there, with another detector or other photos; the lit photos are part of each,
    so what was measured as they were last is the newest.

    Raises:
        DataError: A level has no results.
    """
    made, left_out = {}, []
    for ladder in measured_ladders(out):
        for noise, levels in _levels(out, ladder):
            lit = levels[0.0]
            apart = {ev: said for ev, level in levels.items() if (said := apart_from(lit, level))}
            left_out += [
                f"Noise {noise}, {ev:g} stops: not in the curves, because it was not measured as the lit photos were "
                f"last (theirs -> its own: {'; '.join(said)}); `duskbench night-curve` with this exposure measures it "
                "again."
                for ev, said in apart.items()
            ]
            alike = {ev: level for ev, level in levels.items() if ev not in apart}
            if len(alike) > 1:
                made[noise] = _night_curves(alike)
    return made, left_out


def write_night_curves(out: Path, ladder: Ladder, title: str) -> Table:
    """Compute the curves of what `measure_ladder` measured, and write curve.md, .csv and .tex.

    Raises:
        DataError: A level has no results, or the levels do not make a curve.
    """
    curves = {noise: _night_curves(levels) for noise, levels in _levels(out, ladder)}
    table = build_curve_table(title, curves)
    write_forms(table, out, "curve")
    return table


def _night_curves(levels: Mapping[float, RunEvidence]) -> NightCurves:
    """The curves of the runs' first score of detections, or else of images."""
    return night_curves(levels, chosen_score(levels[0.0].record, None))


def build_curve_table(title: str, curves: Mapping[str, NightCurves]) -> Table:
    """Lay night curves out.

    Args:
        title: Of the table.
        curves: Noise -> curves.
    """
    columns = [Column("label", "Enhancer")]
    rows: dict[str, dict[ColumnKey, Cell]] = {}
    for noise, made in curves.items():
        score = made.score
        percent = ", %" if score.metric.factor == 100 else ""
        # The first block is the one with the labels.
        first = len(columns) == 1
        part = "" if first else f"Stops gained and area, noise {noise}{percent}"
        # Names of the CSV's columns are unique.
        which = f", noise {noise}" if len(curves) > 1 else ""
        mean = f"mean {score.heading}{which}"
        columns += [
            Column(f"{noise} stops", f"stops gained{which}", "higher", 2, part=part, bounds="shown", signed=True),
            score_column(score, key=f"{noise} area", heading=mean, part=part),
            score_column(score, key=f"{noise} area -", heading=f"Δ {mean}", part=part, signed=True),
        ]
        part = f"{score.heading} by exposure in stops, noise {noise}{percent}"
        columns += [
            score_column(
                score,
                key=f"{noise} {ev:g}",
                heading=f"{score.heading} at {ev:g}{which}",
                short=f"{ev:g}",
                digits=max(0, score.metric.digits - 1),
                part=part,
                bounds="kept",
            )
            for ev in made.exposures
        ]
        for curve in made.curves:
            rows.setdefault(curve.label, {}).update(_cells(noise, made, curve))
    made_rows = tuple(TableRow(label, cells) for label, cells in rows.items())
    table = Table(title, tuple(columns), made_rows, tuple(_notes(curves)))
    return table.with_cautions(tuple(dict.fromkeys(said for made in curves.values() for said in made.cautions)))


def _cells(noise: str, made: NightCurves, curve: NightCurve) -> dict[ColumnKey, Cell]:
    return {
        f"{noise} area": cell_of(curve.area),
        f"{noise} stops": cell_of(curve.stops, curve.stops),
        f"{noise} area -": cell_of(curve.area_difference, curve.area_difference),
        **{f"{noise} {ev:g}": cell_of(point) for ev, point in zip(made.exposures, curve.points, strict=True)},
    }


def _notes(curves: Mapping[str, NightCurves]) -> Iterator[str]:
    first = next(iter(curves.values()))
    baseline, bootstrap = first.baseline, first.bootstrap
    if baseline is not None:
        yield (
            f"stops gained: by how many stops less light an enhancer reaches the scores that {baseline} reaches, on "
            "average over the scores that both reach (Bjøntegaard's mean horizontal distance); a dash: none is."
        )
    yield "mean: over the ladder of exposures, by straight lines; 0 stops: the lit photos as they are."
    for noise, made in curves.items():
        electrons, read_noise, bits = SENSORS[noise]
        sensor = (
            "no noise and no steps but those of 8 bits"
            if electrons is None
            else f"{electrons:g} electrons at full scale, read noise {read_noise:g}, {bits} bits"
        )
        left = f"; {made.n_left_out} that some enhancer lacks at some exposure are left out" if made.n_left_out else ""
        yield f"Noise {noise}: {sensor}; {made.n_images} image{'s' if made.n_images > 1 else ''}{left}."
        if made.without:
            yield f"Without {made.score.heading} at some exposure, and so not here: {', '.join(made.without)}."
    yield (
        f"[low, high]: {100 * bootstrap.level:g} % interval, {bootstrap.resamples} resamples of the {bootstrap.drawn}, "
        f"seed {bootstrap.seed}, the same draws at every exposure and for every enhancer; ~ holds 0."
    )
