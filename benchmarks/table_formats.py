"""A table in the terminal, as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from duskbench.benchmarks.table import ABSENT, Column, ColumnKey, Table

if TYPE_CHECKING:
    from rich.console import RenderableType

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$",
        "^": r"\textasciicircum{}", "†": r"$\dagger$", "~": r"$\sim$", "Δ": r"$\Delta$", ABSENT: "--",
    }
)  # fmt: skip
# Of a block in the terminal.
_WIDTH = 100


def to_csv(table: Table) -> str:
    """CSV in full precision; an absent number is an empty cell."""
    fields = table.fields()
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([name for name, *_ in fields])
    for row in table.rows:
        # The label without its mark: rows are joined by it, and `n` and `failed` say the same.
        writer.writerow([row.label, *(getattr(row[column.key], end) for _, column, end in fields[1:])])
    return file.getvalue()


def to_markdown(table: Table) -> str:
    """A Markdown table, the best of each column in bold, notes below."""
    of_part = _parts_to_name(table)
    lines = [
        f"## {_markdown(table.title)}",
        "",
        "| " + " | ".join(_markdown_cell(column.title + of_part[column.key]) for column in table.columns) + " |",
        "|" + "|".join("---" if column.key == "label" else "---:" for column in table.columns) + "|",
    ]
    for row in table.rows:
        cells = [
            _markdown_cell(column.cell(row[column.key], "**{}**" if table.is_best(column, row) else "{}"))
            for column in table.columns
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"- {_markdown(note)}" for note in table.notes), ""])


def _parts_to_name(table: Table) -> dict[ColumnKey, str]:
    """What each heading is of, where it stands in several parts and these are not titled."""
    repeated = table.repeated()
    return {each.key: f" ({each.part})" if each.part and each.heading in repeated else "" for each in table.columns}


def _markdown(text: str) -> str:
    """On one line, without HTML and no list item; other markup is left as whoever wrote the text has it."""
    line = _one_line(text).replace("<", "\\<")
    return f"\\{line}" if line.startswith("* ") else line


def _markdown_cell(text: str) -> str:
    return _markdown(text).replace("|", "\\|")


def _one_line(text: str) -> str:
    """What follows a line break would stand outside of its heading, list item or comment."""
    return " ".join(text.splitlines())


def to_latex(table: Table) -> str:
    """A booktabs table, the best of each column in bold, notes as comments below."""
    alignment = "l" + "r" * (len(table.columns) - 1)
    of_part = _parts_to_name(table)
    head = " & ".join(_latex(column.heading + of_part[column.key]) + _latex_arrow(column) for column in table.columns)
    body = []
    for row in table.rows:
        cells = []
        for column in table.columns:
            # Not braces: they would be escaped.
            text = _latex(column.cell(row[column.key], "\0{}\1" if table.is_best(column, row) else "{}"))
            cells.append(text.replace("\0", r"\textbf{").replace("\1", "}"))
        body.append("  " + " & ".join(cells) + r" \\")
    notes = [f"% {_one_line(note)}" for note in table.notes]
    lines = [
        f"% {_one_line(table.title)}",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"  \toprule",
        f"  {head} \\\\",
        r"  \midrule",
        *body,
    ]
    return "\n".join([*lines, r"  \bottomrule", r"\end{tabular}", *notes, ""])


def to_terminal(table: Table) -> RenderableType:
    """Rich renderables: the main columns, the other parts, the notes; 100 columns at most where no label is long."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    label = table.columns[0]
    parts: list[RenderableType] = []
    for part in dict.fromkeys(column.part for column in table.columns):
        columns = [column for column in table.columns if column.part == part and column is not label]
        # A title that wraps, as with a long path in it, could not be searched or copied.
        title = Text(part or table.title, "italic", no_wrap=True, overflow="ignore")
        if not columns:
            parts.append(title)
        for number, block in enumerate(_blocks(table, columns)):
            parts.append(title + ", continued" if number else title)
            drawn = RichTable(box=SIMPLE_HEAD)
            for column in (label, *block):
                heading = column.short or column.title
                is_label = column is label
                drawn.add_column(
                    heading,
                    justify="left" if is_label else "right",
                    no_wrap=not is_label,
                    overflow="fold",
                    min_width=len(heading),
                )
            for row in table.rows:
                cells = (
                    Text(column.cell(row[column.key]), style="bold green" if table.is_best(column, row) else "")
                    for column in (label, *block)
                )
                drawn.add_row(*cells)
            parts.append(drawn)
    parts += [Text(note, style="dim") for note in table.notes]
    return Group(*parts)


def _blocks(table: Table, columns: Sequence[Column]) -> Iterator[list[Column]]:
    """The columns of a part, as many at a time as fit beside the labels."""
    label, width = table.columns[0], 0
    block: list[Column] = []
    for column in columns:
        wide = _width(table, column)
        if block and _width(table, label) + width + wide > _WIDTH:
            yield block
            block, width = [], 0
        block.append(column)
        width += wide
    if block:
        yield block


def _width(table: Table, column: Column) -> int:
    """Of its heading and its longest cell, with the space beside them; a label is folded before it takes all room."""
    cells = max((len(column.cell(row[column.key])) for row in table.rows), default=0)
    return max(len(column.short or column.title), min(cells, _WIDTH // 3) if column.key == "label" else cells) + 3


def _latex(text: str) -> str:
    return _one_line(text).translate(_LATEX)


def _latex_arrow(column: Column) -> str:
    return {"lower": r" $\downarrow$", "higher": r" $\uparrow$", None: ""}[column.better]
