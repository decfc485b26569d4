"""`duskbench export`: a trained enhancer as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from duskbench.benchmarks.cli.console import err_console, out_console
from duskbench.benchmarks.cli.options import Overwrite, Weights, use_weights


def export(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help='An enhancer that is a network: guided, "zero_dce(weights=...)".')
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT.onnx", help="The file to write.")],
    opset: Annotated[int | None, typer.Option(min=18, help="Operator set; by default torch's choice.")] = None,
    weights: Weights = None,
    overwrite: Overwrite = False,
) -> None:
    """Export a trained enhancer to ONNX, for pictures of any size, checked against torch.

    The graph takes and gives float32 (N, 3, height, width) RGB in [0, 1]. Nothing is written unless onnxruntime agrees.
    """
    from duskbench.data_tools.files import check_place
    from duskbench.pipeline.export import export_onnx
    from duskbench.pipeline.registry import load_enhancer

    use_weights(weights)
    check_place(out, overwrite=overwrite)
    enhancer = load_enhancer(name, isolate=False)
    err_console.print(Text(f"Exporting {name}; this takes about a minute."))
    made = export_onnx(enhancer, out, opset=opset)
    out_console.print(
        Text(
            f"Written: {made.path}, {made.bytes / 1e6:.2f} MB, opset {made.opset}; within "
            f"{made.largest_difference:.1g} of torch on {len(made.checked)} sizes from 2x3 to 130x67"
        )
    )
