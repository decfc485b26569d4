"""`duskbench data unpaired|paired|voc-dark|miniature`: make data sets to train and to measure on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from duskbench.benchmarks.cli.console import err_console, out_console
from duskbench.benchmarks.cli.options import Limit, OneSplit

if TYPE_CHECKING:
    from duskbench.data_tools.files import CopyMode

Copy = Annotated[bool, typer.Option("--copy", help="Copy images instead of hard-linking them.")]


def copy_mode(copy: bool) -> CopyMode:
    """How image files are put into a data set."""
    return "copy" if copy else "hardlink"


def unpaired(
    out: Annotated[Path, typer.Argument(help="Folder to write: trainA/, trainB/, manifest.json.")],
    low: Annotated[
        list[str],
        typer.Option(help="Low-light images: ExDark, VOC, a folder, a trainA/trainB tree; DIR@train for one split."),
    ],
    normal: Annotated[list[str], typer.Option(help="Normal-light images, likewise.")],
    min_brightness: Annotated[float, typer.Option(help="Least mean grey level of B, 0 to 1.")] = 0.25,
    max_low_brightness: Annotated[float, typer.Option(help="Most mean grey level of A, 0 to 1.")] = 1.0,
    hash_distance: Annotated[
        int, typer.Option(help="Near-duplicates differ in at most this many of 64 bits; -1 keeps them.")
    ] = 6,
    copy: Copy = False,
) -> None:
    """Build an unpaired training set, low and normal light."""
    from duskbench.benchmarks.progress import RichProgress
    from duskbench.data_tools.unpaired import build_unpaired

    with RichProgress(err_console) as progress:
        manifest = build_unpaired(
            low,
            normal,
            out,
            min_brightness=min_brightness,
            max_low_brightness=max_low_brightness,
            hash_distance=hash_distance,
            copy=copy_mode(copy),
            progress=progress,
        )
    out_console.print(str(manifest))


def paired(
    out: Annotated[Path, typer.Argument(help="Folder to write: low/, high/, manifest.json.")],
    source: Annotated[
        list[str],
        typer.Option(help="VOC-dark, the miniature, LOL, or a folder with low/ and high/; DIR@train for one split."),
    ],
    min_side: Annotated[int, typer.Option(min=1, help="Least width and height.")] = 1,
    copy: Copy = False,
) -> None:
    """Build a paired training set, each picture in low and in normal light."""
    from duskbench.benchmarks.progress import RichProgress
    from duskbench.data_tools.paired import build_paired

    with RichProgress(err_console) as progress:
        made = build_paired(source, out, min_side=min_side, copy=copy_mode(copy), progress=progress)
    out_console.print(str(made))


def voc_dark(
    root: Annotated[Path, typer.Argument(help="Lit VOC tree: VOCdevkit, VOCdevkit/VOC2007, or any in that layout.")],
    out: Annotated[Path, typer.Argument(help="Dark VOC tree to write; the originals go to its lit/.")] = Path(
        "data/voc_dark"
    ),
    split: OneSplit = "test",
    limit: Limit = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
    nights: Annotated[
        int, typer.Option(min=1, help="Of each photo, of this seed and the next ones; intervals draw them together.")
    ] = 1,
    exposure_ev: Annotated[
        tuple[float, float] | None, typer.Option(metavar="LOW HIGH", help="Stops below the original, as in -6.5 -4.")
    ] = None,
    lamps: Annotated[
        tuple[int, int] | None, typer.Option(metavar="LOW HIGH", help="Fewest and most lamps in a picture.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; as many as there are cores by default.")] = None,
) -> None:
    """Darken the photographs of a VOC tree with a camera model.

    The boxes stay exact, and the lit originals give PSNR, SSIM and an upper bound. What is done already is kept.
    """
    from duskbench.benchmarks.progress import RichProgress
    from duskbench.data_tools.night import Night
    from duskbench.data_tools.voc_dark import make_voc_dark

    night = Night(exposure_ev=exposure_ev or Night.exposure_ev, lamps=lamps or Night.lamps)
    with RichProgress(err_console) as progress:
        done = make_voc_dark(
            root,
            out,
            split=split,
            limit=limit,
            seed=seed,
            nights=nights,
            night=night,
            workers=workers,
            progress=progress,
        )
    out_console.print(str(done))


def miniature(
    root: Annotated[Path, typer.Argument(help="Folder to write.")] = Path("data/miniature"),
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    night_only: Annotated[
        bool, typer.Option("--night-only", help="Leave out the lit VOC part, which only training needs.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Render the bundled miniature data set.

    A lit VOC part, a night ExDark part, and the night part's lit twins.
    """
    from duskbench.benchmarks.progress import RichProgress
    from duskbench.data_tools.miniature import VOC_IMAGES, make_miniature

    with RichProgress(err_console) as progress:
        made = make_miniature(
            root,
            seed=seed,
            voc_images=0 if night_only else VOC_IMAGES,
            workers=workers,
            progress=progress,
        )
    for part, counts in made.images.items():
        images = ", ".join(f"{split} {number}" for split, number in counts.items()) or "none"
        out_console.print(f"{root}, {part} images: {images}")
