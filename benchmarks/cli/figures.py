"""`duskbench sheet` and `duskbench attention`: pictures to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from duskbench.benchmarks.cli.console import err_console, out_console
from duskbench.benchmarks.cli.options import Device, Overwrite, Weights, use_weights


def sheet(
    out: Annotated[Path, typer.Argument(help="The sheet, .png or .jpg.")],
    photos: Annotated[list[Path], typer.Argument(help="Image files.")],
    enhancer: Annotated[
        list[str] | None, typer.Option(help="A column each; by default Input and the enhancers of Table 2.")
    ] = None,
    width: Annotated[int, typer.Option(min=16, help="Pixels of a column.")] = 240,
    weights: Weights = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Draw a contact sheet: photos in rows, enhancers in columns."""
    from duskbench.benchmarks.progress import RichProgress
    from duskbench.data_tools.files import check_place
    from duskbench.data_tools.image_opening import format_to_write
    from duskbench.data_tools.images import write_image
    from duskbench.pipeline.apply.contact_sheet import contact_sheet, sheet_size
    from duskbench.pipeline.registry import ENHANCERS, load_enhancer

    # Whoever forgets OUT names a photo first.
    check_place(out, overwrite=overwrite)
    use_weights(weights)
    labels = ENHANCERS.labels(enhancer or ["input", "lime", "zero_dce", "enlightengan", "cyclegan", "guided"])
    # Before the work: a name or a size that cannot be written would cost all of it.
    format_to_write(out, sheet_size(photos, len(labels), width=width))
    columns = {label: load_enhancer(spec, device=device) for spec, label in labels.items()}
    with RichProgress(err_console) as progress:
        write_image(out, contact_sheet(photos, columns, width=width, progress=progress))
    out_console.print(f"Written: {out}", soft_wrap=True)


def attention(
    image: Annotated[Path, typer.Argument(help="A photo.")],
    out: Annotated[Path, typer.Argument(help="The figure, .png or .jpg.")],
    enhancer: Annotated[str, typer.Option(help='An attention-guided enhancer, as "guided(weights=...)".')] = "guided",
    weights: Weights = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Draw what guides the method on a photo: x, x_gray, U(phi(x)), x_a and the result (figure 3)."""
    from duskbench.data_tools.files import check_place
    from duskbench.data_tools.images import read_image, write_image
    from duskbench.pipeline import load_enhancer
    from duskbench.pipeline.apply.attention_figure import attention_figure

    check_place(out, overwrite=overwrite)
    use_weights(weights)
    loaded = load_enhancer(enhancer, device=device, isolate=False)
    write_image(out, attention_figure(loaded, read_image(image)))
    out_console.print(f"Written: {out}", soft_wrap=True)
