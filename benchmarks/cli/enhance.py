"""`duskbench enhance`: images and videos without a benchmark."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from duskbench.benchmarks.cli.console import err_console
from duskbench.benchmarks.cli.options import EXIT_IMAGES_FAILED, Device, Weights, use_weights


def enhance(
    source: Annotated[Path, typer.Argument(metavar="IN", help="An image or video file, or a folder of them.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A file, or a folder for a folder.")],
    enhancer: Annotated[str, typer.Option(help="A name, name(key=value), file.py:callable, model.onnx.")] = "lime",
    weights: Weights = None,
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Enhance again what OUT has, or replace it.")] = False,
    png: Annotated[bool, typer.Option("--png", help="Write all images as PNG, which keeps every pixel.")] = False,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG and WebP.")] = 95,
    crf: Annotated[int, typer.Option(min=0, max=51, help="Of H.264 video; smaller is better and larger.")] = 18,
) -> None:
    """Enhance image and video files, or a folder of them.

    Names, formats and metadata stay. Videos are enhanced picture by picture, so they may flicker.
    """
    from duskbench.benchmarks.progress import RichProgress
    from duskbench.pipeline.apply.enhance import enhance_files
    from duskbench.pipeline.registry import load_enhancer

    use_weights(weights)
    logging.basicConfig(format="%(message)s")
    with RichProgress(err_console) as progress:
        failures = enhance_files(
            source,
            target,
            load_enhancer(enhancer, device=device),
            overwrite=overwrite,
            image_suffix=".png" if png else None,
            quality=quality,
            crf=crf,
            progress=progress,
        )
    for path, reason in failures:
        err_console.print(Text(f"{path}: {reason}", style="red"))
    if failures:
        raise typer.Exit(EXIT_IMAGES_FAILED)
