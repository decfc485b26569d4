"""`duskbench data ...`: fetch, convert, verify and make data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from duskbench.benchmarks.cli.console import err_console, out_console
from duskbench.benchmarks.cli.make_data import Copy, copy_mode, miniature, paired, unpaired, voc_dark
from duskbench.benchmarks.cli.options import OneSplit

if TYPE_CHECKING:
    from duskbench.data_tools.data_source import DataSource
    from duskbench.data_tools.findings import Report

EXIT_FINDINGS = 1
_FINDINGS_SHOWN = 10
Missing = Literal["error", "skip", "annotate"]

Layout = Annotated[str, typer.Option(help="exdark, voc, coco, ..., file.py:Class; recognised by default.")]


def fetch(
    name: Annotated[
        str | None, typer.Argument(help="What to fetch, or hf://OWNER/REPOSITORY/FILE; without it, the list.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Where to; the list shows the default, of a file of hf:// it is the cache.")
    ] = None,
    from_archive: Annotated[
        list[Path] | None, typer.Option(help="Take this file, do not download; repeatable.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Agree to the terms without being asked.")] = False,
    keep_archives: Annotated[bool, typer.Option("--keep-archives", help="Keep what was downloaded.")] = False,
) -> None:
    """Download a data set, or lay out your archives.

    Terms are shown first, hashes are checked, an interrupted download is resumed.
    """
    from duskbench.benchmarks.progress import RichProgress
    from duskbench.data_tools import sources
    from duskbench.data_tools.errors import ConfigError
    from duskbench.data_tools.fetch import fetch as fetch_source
    from duskbench.data_tools.hub import hub_file, is_hub_address
    from duskbench.pipeline.registry import weight_files
    from duskbench.pipeline.weights import find_weights

    if name is None:
        _list_sources()
        return

    def accept(source: DataSource) -> bool:
        out_console.print(Text(f"{source.title}\n{source.terms}\n{source.terms_url}"))
        out_console.print(Text(f"Cite:\n{source.citation}"), soft_wrap=True)
        return yes or typer.confirm("Do you agree to these terms?", default=False)

    with RichProgress(err_console) as progress:
        # Names of weights are paths; the others need not wait for torch.
        on_hub = is_hub_address(name)
        weights = weight_files().get(name) if "/" in name and not on_hub else None
        if on_hub:
            where = hub_file(name, progress=progress, folder=root)
        elif weights is not None:
            if root or from_archive:
                raise ConfigError(
                    "Published weights go to the cache.",
                    where=name,
                    got="--root" if root else "--from-archive",
                    todo="leave it out; a file that you have is used where it is: --weights DIR, or weights=FILE",
                )
            where = find_weights(weights, progress=progress)
        else:
            where = fetch_source(
                name,
                root or sources.default_root(name),
                accept_terms=accept,
                from_archives=from_archive,
                progress=progress,
                keep_archives=keep_archives,
            )
    out_console.print(Text(f"{name} is in {where}"), soft_wrap=True)


def _list_sources() -> None:
    from duskbench.data_tools import sources
    from duskbench.pipeline.registry import weight_files

    listing = Table("name", "what", "licence", "goes to", title="Data sets and weights", title_justify="left")
    for source in sources.SOURCES.values():
        listing.add_row(source.name, source.title, source.licence, str(sources.default_root(source.name)))
    for group, members in sources.GROUPS.items():
        listing.add_row(group, ", ".join(members), "", str(sources.default_root(group)))
    for weights in weight_files().values():
        listing.add_row(weights.name, f"weights, {weights.origin}", weights.licence, "the cache")
    out_console.print(listing)


def exdark(
    root: Annotated[Path, typer.Argument(help="ExDark as released: ExDark/, ExDark_Annno/, imageclasslist.txt.")],
    out: Annotated[Path, typer.Argument(help="VOC tree to write.")],
    copy: Copy = False,
    missing: Annotated[
        Missing, typer.Option(help="What becomes of a missing image; annotate converts its boxes alone.")
    ] = "error",
    split: Annotated[str, typer.Option(help="test, val, train, all, or a file of image ids.")] = "all",
) -> None:
    """Convert ExDark to a VOC tree with a manifest.

    What is done already is kept.
    """
    from duskbench.benchmarks.progress import RichProgress
    from duskbench.data_tools.convert import exdark_to_voc

    with RichProgress(err_console) as progress:
        conversion = exdark_to_voc(
            root,
            out,
            split=split,
            copy=copy_mode(copy),
            missing=missing,
            progress=progress,
        )
    out_console.print(str(conversion))


def voc(
    root: Annotated[Path, typer.Argument(help="VOCdevkit, VOCdevkit/VOC2007, or any tree in that layout.")],
    split: OneSplit = "all",
) -> None:
    """Count what a VOC tree holds: images and objects by class."""
    from collections import Counter

    from duskbench.data_tools.datasets import missing, open_dataset
    from duskbench.data_tools.errors import DataError

    dataset = open_dataset(root, layout="voc", split=split)
    absent = missing(dataset)
    normal: Counter[str] = Counter()
    difficult: Counter[str] = Counter()
    images: Counter[str] = Counter()
    broken = []
    for image_id in dataset.ids:
        try:
            objects = dataset.record(image_id).objects or ()
        except DataError as error:
            broken.append(error.one_line)
            continue
        images.update({o.name for o in objects})
        normal.update(o.name for o in objects if not o.difficult)
        difficult.update(o.name for o in objects if o.difficult)
    out_console.print(Text(f"{root}, {split}", "italic"), soft_wrap=True)
    listing = Table("class", "images", "objects", "difficult")
    for name in sorted(images):
        listing.add_row(name, str(images[name]), str(normal[name]), str(difficult[name]))
    listing.add_row("all", str(len(dataset.ids)), str(normal.total()), str(difficult.total()), style="bold")
    out_console.print(listing)
    if absent:
        out_console.print(f"{len(absent)} of {len(dataset.ids)} images are not in the tree.", style="yellow")
    if broken:
        listed = [*broken[:_FINDINGS_SHOWN], *(["..."] if len(broken) > _FINDINGS_SHOWN else [])]
        err_console.print(Text("\n".join([f"{len(broken)} annotations cannot be read:", *listed]), style="red"))
        raise typer.Exit(EXIT_FINDINGS)


def coco(
    root: Annotated[Path, typer.Argument(help="Any data set with boxes.")],
    out: Annotated[Path, typer.Argument(help="JSON file to write.")],
    split: Annotated[str, typer.Option(help="test, val, train, all, or a file of image ids.")] = "test",
    layout: Layout = "auto",
    run: Annotated[
        Path | None,
        typer.Option(help="Folder of a run: take its images alone; write what it detected too, a file each enhancer."),
    ] = None,
) -> None:
    """Write the boxes of a data set as COCO JSON, for pycocotools, FiftyOne or CVAT."""
    from duskbench.benchmarks.coco_export import images_of_run, write_run_detections
    from duskbench.benchmarks.progress import RichProgress
    from duskbench.data_tools.coco_json import write_coco_truth
    from duskbench.data_tools.datasets import open_dataset

    dataset = open_dataset(root, layout=layout, split=split)
    if run is not None:
        # Images that the run did not measure would count as those in which it found nothing.
        dataset.select(images_of_run(run))
    with RichProgress(err_console) as progress:
        written = write_coco_truth(out, dataset, progress)
    out_console.print(Text(str(written)))
    if run is not None:
        for results in write_run_detections(run, out):
            out_console.print(Text(str(results)))


def verify(
    root: Annotated[Path, typer.Argument(help="The data set.")],
    layout: Layout = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="List every finding, not the first ten of a kind.")] = False,
) -> None:
    """Say everything that is wrong with a data set.

    The exit code is 1 when there is an error.
    """
    from duskbench.benchmarks.progress import RichProgress
    from duskbench.data_tools.verify import verify as verify_tree

    with RichProgress(err_console) as progress:
        report = verify_tree(root, layout=layout, progress=progress)
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=1))
    else:
        _print_report(report, everything)
    if not report.ok:
        raise typer.Exit(EXIT_FINDINGS)


def _print_report(report: Report, everything: bool) -> None:
    out_console.print(Text(f"{report.root} ({report.layout})", "italic"), soft_wrap=True)
    listing = Table("severity", "code", "file", "what")
    for (severity, code), count in report.by_code.items():
        style = {"error": "red", "warning": "yellow"}.get(severity, "")
        found = [finding for finding in report.findings if (finding.severity, finding.code) == (severity, code)]
        shown = found if everything else found[:_FINDINGS_SHOWN]
        for finding in shown:
            listing.add_row(*map(Text, (severity, code, str(finding.file), finding.message)), style=style)
        if len(shown) < count:
            listing.add_row(severity, code, "", f"and {count - len(shown)} more (--all)", style=style)
    if report.findings:
        out_console.print(listing)
    out_console.print(", ".join(f"{key}: {value}" for key, value in report.counts.items()))
    out_console.print("No error." if report.ok else "This data set should not be measured on as it is.")


data_app = typer.Typer(help="Fetch, convert, verify and make data sets.", no_args_is_help=True, rich_markup_mode=None)
for _command in (fetch, exdark, voc, coco, unpaired, paired, voc_dark, verify, miniature):
    data_app.command(_command.__name__.replace("_", "-"))(_command)
