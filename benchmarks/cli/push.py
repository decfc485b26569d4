"""`duskbench push`: trained weights and their card to the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from duskbench.benchmarks.cli.console import out_console


def push(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="A .safetensors file, with its card beside it.")],
    address: Annotated[str, typer.Argument(metavar="hf://OWNER/REPOSITORY[/FILE]", help="Where they go.")],
    card: Annotated[Path | None, typer.Option(help="The card; by default WEIGHTS with the extension .md.")] = None,
    licence: Annotated[str | None, typer.Option(help="As the Hub names it; by default the card's.")] = None,
    private: Annotated[bool, typer.Option("--private", help="A repository that is made is private.")] = False,
) -> None:
    """Upload trained weights and their card to the Hugging Face Hub, in one commit.

    Weights without a card, or whose card names no licence, are refused. Needs the extra hub and a token of yours.
    """
    from duskbench.pipeline.push import push as push_weights

    out_console.print(Text(push_weights(weights, address, card=card, licence=licence, private=private)), soft_wrap=True)
