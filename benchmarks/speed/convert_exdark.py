"""Time of parsing and converting ExDark's annotations to a VOC tree, on one core.

Usage: python benchmarks/speed/convert_exdark.py BBGT_FOLDER_OR_ZIP IMAGECLASSLIST [--runs N]

The reference of the same run writes as many files of the same size with the same writer and parses nothing: what the
file system alone takes.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path


def main() -> None:
    """Print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", type=Path, help="folder or zip with <Class>/<image>.txt")
    parser.add_argument("class_list", type=Path, help="imageclasslist.txt")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(prepare(arguments.annotations, arguments.class_list, Path(folder)), Path(folder), arguments.runs)


def prepare(annotations: Path, class_list: Path, folder: Path) -> Path:
    """Lay out an ExDark tree without images."""
    tree = folder / "exdark"
    if annotations.is_dir():
        shutil.copytree(annotations, tree / "ExDark_Annno")
    else:
        with zipfile.ZipFile(annotations) as archive:
            archive.extractall(tree / "ExDark_Annno")
    shutil.copy(class_list, tree / "imageclasslist.txt")
    return tree


def measure(tree: Path, folder: Path, runs: int) -> None:
    """Time the stages and print the table."""
    from duskbench.data_tools.convert import exdark_to_voc
    from duskbench.data_tools.exdark import ExDark
    from duskbench.data_tools.files import write_text

    out = folder / "voc"

    def parse() -> None:
        dataset = ExDark(tree, "all")
        for image_id in dataset.ids:
            dataset.record(image_id)

    def convert() -> None:
        exdark_to_voc(tree, out, missing="annotate")

    convert()
    texts = {path.name: path.read_text() for path in out.rglob("*") if path.is_file()}

    def write_only() -> None:
        for name, text in texts.items():
            write_text(folder / "plain" / name, text)

    # Each with the folder that it must not find there; removing that is not timed.
    stages: dict[str, tuple[Callable[[], object], Path | None]] = {
        "write the same files, parse nothing (reference)": (write_only, folder / "plain"),
        "parse": (parse, None),
        "parse and convert": (convert, out),
        "convert again, all done": (convert, None),
    }
    reference = 0.0
    print(f"{len(texts)} files out; median of {runs}")
    print(f"{'stage':50s} {'wall s':>8s} {'CPU s':>8s} {'ratio':>6s}")
    for name, (stage, fresh) in stages.items():
        wall, cpu = zip(*(timed(stage, fresh) for _ in range(runs)), strict=True)
        reference = reference or statistics.median(wall)
        ratio = statistics.median(wall) / reference
        print(f"{name:50s} {statistics.median(wall):8.2f} {statistics.median(cpu):8.2f} {ratio:6.2f}")


def timed(stage: Callable[[], object], fresh: Path | None) -> tuple[float, float]:
    """Wall and processor seconds of one run, after removing the folder `fresh`."""
    if fresh:
        shutil.rmtree(fresh, ignore_errors=True)
    wall, cpu = time.perf_counter(), time.process_time()
    stage()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
