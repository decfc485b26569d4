"""Pure functions from a run's numbers to a table in the terminal, Markdown, CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.evaluate import EnhancerResult
from benchmarks.protocol import Protocol

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

_ABSENT = "–"


@dataclass(frozen=True)
class Column:
    """One column: its heading, which way is better, and how its numbers are shown."""

    key: str
    heading: str
    better: Literal["lower", "higher"] | None = None
    digits: int | None = None
    factor: float = 1.0
    part: Literal["main", "classes"] = "main"

    @property
    def title(self) -> str:
        """Heading with its arrow."""
        return self.heading + {"lower": " ↓", "higher": " ↑", None: ""}[self.better]

    def show(self, value: Any) -> str:
        """A cell's text; an absent number is a dash, never a zero."""
        if value is None:
            return _ABSENT
        return str(value) if self.digits is None else f"{value * self.factor:.{self.digits}f}"


@dataclass(frozen=True)
class Table:
    """Columns, rows of full-precision values, and the lines under them."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]

    def best(self, column: Column) -> Any:
        """The best value of a column over the rows that compete; a bound such as the lit twins does not."""
        values = [v for row in self.rows if not row["bound"] and (v := row.get(column.key)) is not None]
        if column.better is None or len(values) < 2:
            return None
        return min(values) if column.better == "lower" else max(values)


def build_table(record: Mapping[str, Any], results: Sequence[EnhancerResult]) -> Table:
    """Lay a run's numbers out.

    Args:
        record: The run's record.
        results: From `benchmarks.evaluate.evaluate`.

    Returns:
        The table; per-set NIQE columns where the images come in several groups, mAP and AP where there is a detector.
    """
    protocol = Protocol.from_config(record["protocol"])
    groups = list(record["data"].get("groups", ())) if len(record["data"].get("groups", ())) > 1 else []
    coco = next((list(r.coco) for r in results if r.coco), [])
    columns = [
        Column("label", "Enhancer"),
        *(Column(f"niqe {g}", f"NIQE {g}", "lower", 3) for g in groups),
        Column("niqe", "NIQE", "lower", 3),
    ]
    if record["detector"]["name"] is not None:
        columns.append(Column("map", "mAP", "higher", 2, 100))
        columns += [Column(f"coco {name}", f"COCO {name}", "higher", 2, 100) for name in coco]
    columns += [Column("ms", "ms/image", None, 1), Column("n", "n"), Column("failed", "failed")]
    if record["detector"]["name"] is not None:
        columns += [Column(f"ap {name}", name, "higher", 1, 100, "classes") for name in protocol.classes]
    bounds = {e["label"] for e in record["enhancers"] if e["upper_bound"]}
    rows = tuple(_row(result, groups, result.label in bounds) for result in results)
    return Table(record["title"], tuple(columns), rows, tuple(_notes(record, protocol, results)))


def _row(result: EnhancerResult, groups: Sequence[str], bound: bool) -> dict[str, Any]:
    incomplete = result.n_images < result.n_expected and result.error is None
    return {
        "label": result.label + (" *" if incomplete else " †" if result.error else ""),
        "bound": bound,
        **{f"niqe {g}": result.niqe_by_group.get(g) for g in groups},
        "niqe": result.niqe,
        "map": result.map,
        **{f"coco {name}": value for name, value in result.coco.items()},
        "ms": result.ms_enhance,
        "n": result.n_images,
        "failed": len(result.failures),
        **{f"ap {name}": value for name, value in result.ap.items()},
    }


def _notes(record: Mapping[str, Any], protocol: Protocol, results: Sequence[EnhancerResult]) -> list[str]:
    data, detector, made = record["data"], record["detector"], record["environment"]
    most = max((result.n_images for result in results), default=0)
    measured = f"{most} of {len(record['image_ids'])} images measured"
    notes = [
        f"Data: {data['name']} in {data['root']}, split {data.get('split', 'test')}, {measured}.",
        f"Detector: {detector['name'] or 'none'}"
        + (f", frozen, fingerprint {detector['fingerprint'][:12]}." if detector["name"] else ": no mAP."),
        *(protocol.describe() if detector["name"] else protocol.describe()[1:]),
        f"ms/image: mean time of the enhancer alone on {made['gpu'] or made['device']}; a dash: not available.",
    ]
    for origin in dict.fromkeys(e["origin"] for e in record["enhancers"] if e.get("origin")):
        labels = [e["label"] for e in record["enhancers"] if e.get("origin") == origin]
        notes.append(f"Weights of {', '.join(labels)}: {origin}.")
    absent = [name for name in protocol.classes if results and all(r.ap.get(name) is None for r in results)]
    if detector["name"] and absent and any(r.ap for r in results):
        notes.append(f"Without ground truth here and so not in the mean: {', '.join(absent)}.")
    for result in results:
        if result.error:
            notes.append(f"† {result.label} could not be built: {' '.join(result.error.split())}")
        elif result.n_images < result.n_expected:
            share = f"over {result.n_images} of {result.n_expected} images"
            notes.append(f"* {result.label}: {share}, {len(result.failures)} failed.")
        for reason, count in result.niqe_reasons.items():
            notes.append(f"{result.label}: {count} images without NIQE ({reason}).")
    notes += _paper_notes(record["paper"], data["name"], most)
    packages = ", ".join(
        f"{k} {v}" for k, v in made["packages"].items() if k in ("duskbench", "torch", "onedl-mmdetection")
    )
    notes.append(f"Made with {packages}, commit {made['git'] or 'unknown'}, {made['started']}.")
    return notes


def _paper_notes(paper: Mapping[str, Any], data: str, measured: int) -> list[str]:
    """The paper's own rows, where the table is the paper's: on its data set, and told apart where images differ."""
    if not paper or data != paper.get("data", data):
        return []
    n_images = paper.get("n_images", measured)
    other = "" if n_images == measured else f", on {n_images} images: not comparable with {measured}"
    lines = [f"The paper's own row ({paper['source']}{other}):"]
    for name, values in paper["rows"].items():
        lines.append(f"{name}: " + ", ".join(f"{column} {value}" for column, value in values.items()))
    return lines


def to_frame(table: Table) -> pd.DataFrame:
    """The table as a DataFrame, in full precision; mAP and AP from 0 to 1."""
    import pandas as pd

    return pd.DataFrame(
        [{column.heading: row.get(column.key) for column in table.columns} for row in table.rows],
        columns=[column.heading for column in table.columns],
    )


def to_csv(table: Table) -> str:
    """CSV in full precision; an absent number is an empty cell."""
    text: str = to_frame(table).to_csv(index=False, lineterminator="\n")
    return text


def to_markdown(table: Table) -> str:
    """A Markdown table, the best of each column in bold, notes below."""
    lines = [
        f"## {table.title}",
        "",
        "| " + " | ".join(column.title for column in table.columns) + " |",
        "|" + "|".join("---" if column.key == "label" else "---:" for column in table.columns) + "|",
    ]
    for row in table.rows:
        cells = [_emphasise(table, column, row, "**{}**").replace("|", "\\|") for column in table.columns]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"- {note}" for note in table.notes), ""])


def to_latex(table: Table) -> str:
    """A booktabs table, the best of each column in bold, notes as comments below."""
    alignment = "l" + "r" * (len(table.columns) - 1)
    head = " & ".join(_latex(column.heading) + _latex_arrow(column) for column in table.columns)
    body = []
    for row in table.rows:
        cells = []
        for column in table.columns:
            text = _latex(column.show(row.get(column.key)))
            cells.append(f"\\textbf{{{text}}}" if _is_best(table, column, row) else text)
        body.append("  " + " & ".join(cells) + r" \\")
    notes = [f"% {note}" for note in table.notes]
    lines = [
        f"% {table.title}",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"  \toprule",
        f"  {head} \\\\",
        r"  \midrule",
        *body,
    ]
    return "\n".join([*lines, r"  \bottomrule", r"\end{tabular}", *notes, ""])


def to_terminal(table: Table) -> RenderableType:
    """Rich renderables: the main columns, then the AP of each class, then the notes."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    label = table.columns[0]
    parts: list[RenderableType] = []
    for part, title in (("main", table.title), ("classes", "AP by class, %")):
        columns = [column for column in table.columns if column.part == part]
        if not columns:
            continue
        columns = columns if part == "main" else [label, *columns]
        drawn = RichTable(title=title, title_justify="left", box=SIMPLE_HEAD)
        for column in columns:
            # Eleven classes and a label fit a terminal of 100 columns when their names are cut.
            heading = column.title if column.part == "main" else column.heading[:5]
            is_label = column.key == "label"
            drawn.add_column(
                heading,
                justify="left" if is_label else "right",
                no_wrap=not is_label,
                overflow="fold",
                min_width=len(heading),
            )
        for row in table.rows:
            cells = (
                Text(column.show(row.get(column.key)), style="bold green" if _is_best(table, column, row) else "")
                for column in columns
            )
            drawn.add_row(*cells)
        parts.append(drawn)
    parts += [Text(note, style="dim") for note in table.notes]
    return Group(*parts)


def _is_best(table: Table, column: Column, row: Mapping[str, Any]) -> bool:
    best = table.best(column)
    return best is not None and not row["bound"] and row.get(column.key) == best


def _emphasise(table: Table, column: Column, row: Mapping[str, Any], form: str) -> str:
    text = column.show(row.get(column.key))
    return form.format(text) if _is_best(table, column, row) else text


def _latex(text: str) -> str:
    for raw, escaped in (
        ("\\", r"\textbackslash{}"),
        ("_", r"\_"),
        ("%", r"\%"),
        ("&", r"\&"),
        ("#", r"\#"),
        ("†", r"$\dagger$"),
    ):
        text = text.replace(raw, escaped)
    return text.replace(_ABSENT, "--")


def _latex_arrow(column: Column) -> str:
    return {"lower": r" $\downarrow$", "higher": r" $\uparrow$", None: ""}[column.better]
