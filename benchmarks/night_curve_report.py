"""What `duskbench night-curve` leaves behind beside its runs: the table in three forms and the page."""

from __future__ import annotations

from pathlib import Path

from duskbench.benchmarks.night_curve_table import build_curve_table, read_night_curves
from duskbench.benchmarks.night_ladder import Ladder
from duskbench.benchmarks.report.night_curve import render_night_curves
from duskbench.benchmarks.statistics import BootstrapOptions
from duskbench.benchmarks.table import Table, to_csv, to_latex, to_markdown
from duskbench.data_tools.files import write_text


def write_night_curves(out: Path, ladder: Ladder, title: str, bootstrap: BootstrapOptions | None = None) -> Table:
    """Compute the curves of what `measure_ladder` measured, and write curve.html, .md, .csv and .tex.

    Raises:
        DataError: A level has no results, or the levels do not make a curve.
    """
    options = bootstrap or BootstrapOptions()
    curves = read_night_curves(out, ladder, bootstrap=options)
    table = build_curve_table(title, curves, options)
    write_text(out / "curve.csv", to_csv(table))
    write_text(out / "curve.tex", to_latex(table))
    write_text(out / "curve.md", to_markdown(table))
    write_text(out / "curve.html", render_night_curves(table, curves))
    return table
