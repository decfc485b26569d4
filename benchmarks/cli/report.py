"""`duskbench report`: one HTML file of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from duskbench.benchmarks.cli.console import err_console, out_console
from duskbench.benchmarks.cli.options import Device, RunFolder, Weights, use_weights


def report(
    run_dir: RunFolder,
    out: Annotated[Path | None, typer.Option(help="The file; by default report.html in the run's folder.")] = None,
    images: Annotated[int, typer.Option(min=0, max=60, help="Images to show before and after.")] = 12,
    history: Annotated[Path | None, typer.Option(help="History of a nightly, for its curves.")] = None,
    weights: Weights = None,
    device: Device = "auto",
) -> None:
    """Write the report of a run: one HTML file that opens anywhere and fetches nothing."""
    from duskbench.benchmarks.nightly.history import read_history
    from duskbench.benchmarks.progress import RichProgress
    from duskbench.benchmarks.report.write import write_report

    use_weights(weights)
    nights = read_history(history) if history is not None else []
    with RichProgress(err_console) as progress:
        path = write_report(run_dir, out, images=images, history=nights, device=device, progress=progress)
    megabytes = path.stat().st_size / 1e6
    out_console.print(Text(f"Written: {path} ({megabytes:.1f} MB)"), soft_wrap=True)
