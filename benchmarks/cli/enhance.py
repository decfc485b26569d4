"""`duskbench enhance`: images without a benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from benchmarks.cli.console import err_console
from benchmarks.cli.options import EXIT_IMAGES_FAILED, Device, Weights, use_weights


def enhance(
    source: Annotated[Path, typer.Argument(metavar="IN", help="An image file or a folder of them.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="An image file, or a folder for a folder.")],
    enhancer: Annotated[str, typer.Option(help="A name, name(key=value), file.py:callable.")] = "lime",
    weights: Weights = None,
    device: Device = "cpu",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Enhance again what OUT already has.")] = False,
) -> None:
    """Enhance an image file or a folder of them."""
    from benchmarks.enhance import enhance_files
    from benchmarks.progress import track
    from pipeline.registry import load_enhancer

    use_weights(weights)
    failures = enhance_files(
        source,
        target,
        load_enhancer(enhancer, device=device),
        overwrite=overwrite,
        track=track(err_console, "Enhancing"),
    )
    for path, reason in failures:
        err_console.print(Text(f"{path}: {reason}", style="red"))
    if failures:
        raise typer.Exit(EXIT_IMAGES_FAILED)
