"""The report of a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from duskbench.benchmarks.nightly.night import Night
from duskbench.benchmarks.report.content import read_content
from duskbench.benchmarks.report.render import render_report
from duskbench.data_tools.files import write_text
from duskbench.data_tools.progress import SILENT, Progress


def write_report(
    run_dir: Path,
    out: Path | None = None,
    *,
    images: int = 12,
    history: Sequence[Night] = (),
    device: str = "cpu",
    progress: Progress = SILENT,
) -> Path:
    """Write the report of a run's newest record, one HTML file that opens anywhere and fetches nothing.

    Args:
        run_dir: Folder of the run.
        out: The file; None for `report.html` in the run's folder.
        images: How many images to show before and after, those that changed most first; 0 for none.
        history: Nights, the oldest first; those of the run's configuration become the history curves.
        device: Torch device for making the pictures again.
        progress: Where pictures made are reported.

    Returns:
        The file.

    Raises:
        DataError: There are no results in the folder. A picture that cannot be made is no error: the report says why.
    """
    content = read_content(run_dir, images=images, history=history, device=device, progress=progress)
    path = out or run_dir / "report.html"
    write_text(path, render_report(content))
    return path
