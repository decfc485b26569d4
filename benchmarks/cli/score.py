"""`duskbench score`: a results file of any detector, scored."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from duskbench.benchmarks.cli.console import err_console, out_console
from duskbench.benchmarks.cli.options import Coco, OneSplit


def score(
    annotations: Annotated[Path, typer.Argument(help="A VOC tree.")],
    detections: Annotated[
        Path, typer.Argument(help="COCO-style results: a JSON list of image_id, category, bbox, score.")
    ],
    exclude: Annotated[list[str] | None, typer.Option(help="Leave a class out of the mean; repeatable.")] = None,
    split: OneSplit = "test",
    ap: Annotated[str, typer.Option(help="11point or area.")] = "11point",
    iou: Annotated[float, typer.Option(help="IoU threshold.")] = 0.5,
    match: Annotated[str, typer.Option(help="Whether the IoU must be > or >= the threshold.")] = ">",
    plus_one: Annotated[bool, typer.Option(help="Detections end at their last pixel: widths x2-x1+1.")] = False,
    coco: Coco = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            help=r"Images drawn together for the intervals: ids that agree in a group, as in '(.+)_frame\d+'."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Keep the results here, as of a run: for table --by, compare and report.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in full precision.")] = False,
) -> None:
    """Score a detector's results file on a VOC tree."""
    from duskbench.benchmarks import score as scoring

    result = scoring.score(
        annotations,
        detections,
        exclude=tuple(exclude or ()),
        split=split,
        mode=ap,
        iou_threshold=iou,
        iou_match=match,
        plus_one=plus_one,
        coco=coco,
        cluster=cluster,
        out=out,
    )
    for doubt in result.doubts:
        err_console.print(Text(f"Warning: {doubt}", style="yellow"))
    if as_json:
        typer.echo(result.to_json())
    else:
        out_console.print(scoring.to_terminal(result))
