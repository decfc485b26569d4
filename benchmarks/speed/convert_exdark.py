"""Time of parsing and converting ExDark's annotations to a VOC tree, on one core.

Usage: python benchmarks/speed/convert_exdark.py BBGT_FOLDER_OR_ZIP IMAGECLASSLIST [--runs N]

The reference of the same run writes as many files of the same size with the same writer and parses nothing: what the
file system alone takes.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from duskbench.benchmarks.speed.timing import table, time_in_turns


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

    stages: dict[str, Callable[[], object]] = {
        "write the same files, parse nothing": write_only,
        "parse": parse,
        "parse and convert": convert,
        "convert again, all done": convert,
    }
    # What a stage must not find there.
    fresh = {"write the same files, parse nothing": folder / "plain", "parse and convert": out}

    def remove(stage: str) -> None:
        if stage in fresh:
            shutil.rmtree(fresh[stage], ignore_errors=True)

    print(f"{len(texts)} files out; median of {runs}")
    print(table(time_in_turns(stages, runs, remove)))


if __name__ == "__main__":
    main()
