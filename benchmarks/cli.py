"""The command line `duskbench`; nothing heavy is imported before a command needs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from benchmarks.cli_data import data_app
from benchmarks.cli_table2 import table2
from benchmarks.console import err_console, out_console
from data_tools.errors import ConfigError, DuskbenchError, UnknownNameError

EXIT_IMAGES_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class _Commands(TyperGroup):
    """Errors become a message and an exit code, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except DuskbenchError as error:
            err_console.print(Text.assemble(("Error: ", "bold red"), str(error)))
            raise typer.Exit(EXIT_USAGE) from error
        except KeyboardInterrupt:
            err_console.print("Stopped. What was done is kept: the same command takes it up again.")
            raise typer.Exit(EXIT_INTERRUPTED) from None


app = typer.Typer(
    cls=_Commands,
    help="Low-light pre-processing for object detectors, and the benchmark that says whether it helped.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    # Plain help: the rich one imports a Markdown parser and a syntax highlighter, and takes twice as long.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data_app, name="data")
app.command()(table2)

CfgOptions = Annotated[
    list[str] | None,
    typer.Option("--cfg-options", metavar="A.B=C ...", help="Settings over the configuration, as in mmdet's tools."),
]
Device = Annotated[str, typer.Option(help="Torch device: cpu, cuda, cuda:1.")]
Weights = Annotated[
    Path | None, typer.Option(help="Folder of weight files, searched before the cache; also $DUSKBENCH_WEIGHTS.")
]


def main() -> None:
    """Entry point."""
    app(args=_spread_cfg_options(sys.argv[1:]), prog_name="duskbench")


def _spread_cfg_options(arguments: list[str]) -> list[str]:
    """`--cfg-options a=1 b=2`, as mmdet's tools take it, becomes one flag per setting, as Typer takes it."""
    spread: list[str] = []
    inside = False
    for argument in arguments:
        if argument == "--cfg-options":
            inside = True
            continue
        inside = inside and not argument.startswith("-") and "=" in argument
        spread += ["--cfg-options", argument] if inside else [argument]
    return spread


@app.command()
def run(
    config: Annotated[
        str, typer.Argument(help="Configuration file, or the name of one that ships: miniature, table1, table2.")
    ],
    data: Annotated[Path | None, typer.Option(help="Root of the data set; the layout is detected.")] = None,
    split: Annotated[str | None, typer.Option(help="test, val, train, trainval, all, or a file of image ids.")] = None,
    enhancer: Annotated[
        list[str] | None,
        typer.Option(
            help="Run these instead of the configuration's: a name, name(key=value), file.py:callable, dir:FOLDER."
        ),
    ] = None,
    detector: Annotated[
        str | None, typer.Option(help="A name, an mmdet config, an .onnx file, or 'none' for NIQE alone.")
    ] = None,
    checkpoint: Annotated[str | None, typer.Option(help="Weights of the detector.")] = None,
    weights: Weights = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; by default runs/<configuration>.")] = None,
    device: Device = "cpu",
    batch_size: Annotated[int, typer.Option(min=1, help="Images the detector takes at a time.")] = 1,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 is one per core on a CPU, one on a GPU.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many images, spread evenly over the set.")] = None,
    save_images: Annotated[
        bool, typer.Option("--save-images", help="Keep the enhanced images under OUT/images.")
    ] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Images listed but absent are no failure.")
    ] = False,
    coco: Annotated[bool, typer.Option("--coco", help="Add COCO AP columns.")] = False,
    cfg_options: CfgOptions = None,
) -> None:
    """Run a benchmark and print its table.

    Enhance, detect and measure in one pass over the images. A run that was cut is taken up where it stopped.
    """
    from benchmarks.config import load_benchmark_config
    from benchmarks.progress import RichProgress
    from benchmarks.runner import RunOptions
    from benchmarks.runner import run as run_benchmark

    _use_weights(weights)
    overrides = {
        "data.root": str(data) if data else None,
        # Another tree need not have the layout of the configured one.
        "data.layout": "auto" if data else None,
        "data.split": split,
        "data.allow_missing": allow_missing or None,
        "enhancers": list(enhancer) if enhancer else None,
        "detector": detector,
    }
    benchmark = load_benchmark_config(config, cfg_options=cfg_options or (), overrides=overrides)
    options = RunOptions(
        out=out or Path("runs") / benchmark.name,
        device=device,
        checkpoint=checkpoint,
        batch_size=batch_size,
        workers=workers,
        limit=limit,
        save_images=save_images,
    )
    with RichProgress(err_console) as progress:
        summary = run_benchmark(benchmark, options, progress)
    _print_table(options.out, coco=coco)
    if not summary.ok:
        _report_failures(summary.failures, summary.missing, [e.label for e in summary.broken])
        raise typer.Exit(EXIT_IMAGES_FAILED)


def _report_failures(failures: list[tuple[str, str, str]], missing: list[str], broken: list[str]) -> None:
    for label, image_id, reason in failures[:10]:
        err_console.print(Text(f"{label}, image {image_id}: {reason}", style="red"))
    if len(failures) > 10:
        err_console.print(f"... and {len(failures) - 10} more; all are in the results.", style="red")
    if missing:
        err_console.print(
            f"{len(missing)} images of the split are not in the tree (the first: {', '.join(missing[:3])}); "
            "--allow-missing says that this is meant.",
            style="red",
        )
    if broken:
        err_console.print(f"Not built: {', '.join(broken)}; the notes under the table say why.", style="red")


def _print_table(out: Path, *, coco: bool) -> None:
    from benchmarks import table as tables
    from benchmarks.evaluate import evaluate
    from benchmarks.store import ResultStore
    from data_tools.images import write_text

    with ResultStore(out / "results.sqlite", must_exist=True) as store:
        record = store.last_run()
        table = tables.build_table(record, evaluate(store, record, coco=coco))
    write_text(out / "table.md", tables.to_markdown(table))
    write_text(out / "table.csv", tables.to_csv(table))
    write_text(out / "table.tex", tables.to_latex(table))
    out_console.print(tables.to_terminal(table))
    out_console.print(Text(f"Written: {out}/table.md, table.csv, table.tex; results: {out}/results.sqlite"))


@app.command()
def table(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a run (its --out).")],
    form: Annotated[str, typer.Option("--format", help="terminal, markdown, csv or latex.")] = "terminal",
    coco: Annotated[bool, typer.Option("--coco", help="Add COCO AP columns.")] = False,
) -> None:
    """Print the table of a run again, from its stored rows."""
    from benchmarks import table as tables
    from benchmarks.evaluate import evaluate
    from benchmarks.store import ResultStore

    printers = {"markdown": tables.to_markdown, "csv": tables.to_csv, "latex": tables.to_latex}
    if form != "terminal" and form not in printers:
        raise UnknownNameError("table format", form, ["terminal", *printers])
    with ResultStore(run_dir / "results.sqlite", must_exist=True) as store:
        record = store.last_run()
        made = tables.build_table(record, evaluate(store, record, coco=coco))
    if form == "terminal":
        out_console.print(tables.to_terminal(made))
    else:
        typer.echo(printers[form](made), nl=False)


@app.command()
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

    _use_weights(weights)
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


@app.command()
def score(
    annotations: Annotated[Path, typer.Argument(help="A VOC tree.")],
    detections: Annotated[
        Path, typer.Argument(help="COCO-style results: a JSON list of image_id, category, bbox, score.")
    ],
    exclude: Annotated[list[str] | None, typer.Option(help="Leave a class out of the mean; repeatable.")] = None,
    split: Annotated[str, typer.Option(help="test, val, train, trainval, all, or a file of image ids.")] = "test",
    ap: Annotated[str, typer.Option(help="11point or area.")] = "11point",
    iou: Annotated[float, typer.Option(help="IoU threshold.")] = 0.5,
    match: Annotated[str, typer.Option(help="Whether the IoU must be > or >= the threshold.")] = ">",
    plus_one: Annotated[bool, typer.Option(help="Detections end at their last pixel: widths x2-x1+1.")] = False,
    coco: Annotated[bool, typer.Option("--coco", help="Add COCO AP.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in full precision.")] = False,
) -> None:
    """Score a detector's results file on a VOC tree."""
    from benchmarks import score as scoring

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
    )
    if as_json:
        typer.echo(result.to_json())
    else:
        out_console.print(scoring.to_terminal(result))


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="A training configuration: configs/training/guided.py.")],
    work_dir: Annotated[
        Path | None, typer.Option(help="Checkpoints and logs; by default work_dirs/<configuration>.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint.")] = False,
    export: Annotated[Path | None, typer.Option(help="Write the trained weights to this .safetensors file.")] = None,
    weights: Weights = None,
    cfg_options: CfgOptions = None,
) -> None:
    """Train a detector or an enhancer on mmengine's Runner.

    Started by torchrun or Slurm, it trains on all their processes.
    """
    from benchmarks.config import parse_cfg_options
    from pipeline.detectors.mmdet import load_config

    _use_weights(weights)
    loaded = load_config(config)
    if loaded.get("schedule"):
        from pipeline.training import enhancer as training
    else:
        from pipeline.training import detector as training  # type: ignore[no-redef]
    checkpoint = training.train(
        loaded,
        work_dir=work_dir or Path("work_dirs") / config.stem,
        resume=resume,
        cfg_options=parse_cfg_options(cfg_options or (), loaded.to_dict(), config),
    )
    if int(os.environ.get("RANK", "0")):
        return
    out_console.print(f"Trained: {checkpoint}")
    if export is not None:
        out_console.print(f"Written: {training.export(checkpoint, export)}")


@app.command()
def sheet(
    out: Annotated[Path, typer.Argument(help="The sheet, .png or .jpg.")],
    photos: Annotated[list[Path], typer.Argument(help="Image files.")],
    enhancer: Annotated[
        list[str] | None, typer.Option(help="A column each; by default Input and the enhancers of Table 2.")
    ] = None,
    width: Annotated[int, typer.Option(min=16, help="Pixels of a column.")] = 240,
    weights: Weights = None,
    device: Device = "cpu",
) -> None:
    """Draw a contact sheet: photos in rows, enhancers in columns."""
    from benchmarks.contact_sheet import contact_sheet
    from benchmarks.progress import track
    from data_tools.images import write_image
    from pipeline.registry import LABELS, load_enhancer

    _use_weights(weights)
    specs = enhancer or ["input", "lime", "zero_dce", "enlightengan", "cyclegan", "guided"]
    columns = {LABELS.get(spec, spec): load_enhancer(spec, device=device) for spec in specs}
    write_image(out, contact_sheet(photos, columns, width=width, track=track(err_console, "Enhancing")))
    out_console.print(f"Written: {out}")


@app.command()
def attention(
    image: Annotated[Path, typer.Argument(help="A photo.")],
    out: Annotated[Path, typer.Argument(help="The figure, .png or .jpg.")],
    enhancer: Annotated[str, typer.Option(help='An attention-guided enhancer, as "guided(weights=...)".')] = "guided",
    weights: Weights = None,
    device: Device = "cpu",
) -> None:
    """Draw what guides the method on a photo: x, x_gray, U(phi(x)), x_a and the result (figure 3)."""
    from benchmarks.attention_figure import attention_figure
    from data_tools.images import read_image, write_image
    from pipeline import load_enhancer

    _use_weights(weights)
    write_image(out, attention_figure(load_enhancer(enhancer, device=device), read_image(image)))
    out_console.print(f"Written: {out}")


@app.command("list")
def list_names() -> None:
    """List enhancers, detectors and configurations."""
    from pipeline.registry import ENHANCERS, config_root

    files = {
        "Detectors": (config_root() / "detectors").glob("*.py"),
        "Benchmarks (duskbench run)": config_root().glob("*.py"),
    }
    out_console.print(Text("Enhancers", style="bold"), Text("  " + "  ".join(ENHANCERS)), sep="\n")
    for heading, found in files.items():
        names = sorted(file.stem for file in found if not file.stem.startswith("_"))
        out_console.print(Text(heading, style="bold"), Text("  " + "  ".join(names)), sep="\n")


@app.command()
def version() -> None:
    """Print versions, as an issue report needs them."""
    from benchmarks.provenance import git_commit, package_versions

    for name, number in package_versions().items():
        typer.echo(f"{name} {number}")
    typer.echo(f"commit {git_commit() or 'unknown'}")


def _use_weights(folder: Path | None) -> None:
    """Worker processes inherit the environment, so this reaches them too."""
    if folder is not None:
        if not folder.is_dir():
            raise ConfigError("The folder of weights does not exist.", where="--weights", got=str(folder))
        earlier = os.environ.get("DUSKBENCH_WEIGHTS")
        os.environ["DUSKBENCH_WEIGHTS"] = os.pathsep.join(filter(None, [str(folder.resolve()), earlier]))


if __name__ == "__main__":
    main()
