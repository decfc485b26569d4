"""The steps that need no network: verify the data sets, convert ExDark, build the unpaired training set."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from duskbench.benchmarks.reproduce.locate import ReleasedData, VOCTree, present
from duskbench.benchmarks.reproduce.machine import Machine
from duskbench.benchmarks.reproduce.steps import Estimate, Reporter, Step
from duskbench.data_tools.convert import MissingMode, exdark_to_voc
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.files import write_text
from duskbench.data_tools.findings import Report
from duskbench.data_tools.fingerprint import source_hashes
from duskbench.data_tools.unpaired import build_unpaired
from duskbench.data_tools.unpaired_manifest import MANIFEST as UNPAIRED_MANIFEST
from duskbench.data_tools.verify import verify

# What a tree that is not complete has; --allow-missing says that it is meant.
INCOMPLETE = frozenset({"count", "missing-annotation", "missing-image"})
# VOC's images train, its boxes are not read.
ABOUT_BOXES = frozenset(
    {"box-off-image", "broken-annotation", "degenerate-box", "missing-annotation", "size-mismatch", "unknown-class"}
)
_FINDINGS_SHOWN = 3
_BLOCK = 4096  # a small file takes a block of the file system
_MANIFEST_ROW = 420  # bytes an image in manifest.json


def verify_steps(data: ReleasedData, work: Path, machine: Machine, *, allow_missing: bool) -> list[Step]:
    """Verify every data set; what `blocking` finds stops the plan, the rest is said.

    Args:
        data: The data sets.
        work: Folder of the plan; reports go to `verified`.
        machine: For estimates.
        allow_missing: Whether an incomplete tree is meant.
    """
    tolerated = INCOMPLETE if allow_missing else frozenset[str]()
    exdark = _Tree(
        "ExDark", data.exdark_root, "exdark", tolerated, lambda: data.exdark_listing, lambda: len(data.exdark_images)
    )
    years = [_year(tree, tolerated | ABOUT_BOXES) for tree in data.voc]
    return [_verify_step(tree, work, machine) for tree in (exdark, *years)]


@dataclass(frozen=True)
class _Tree:
    name: str
    root: Path
    layout: str
    tolerated: frozenset[str]
    listing: Callable[[], str]
    count: Callable[[], int]


def _year(tree: VOCTree, tolerated: frozenset[str]) -> _Tree:
    def count() -> int:
        return sum(1 for _ in (tree.root / "JPEGImages").glob("*"))

    return _Tree(tree.name, tree.root, "voc", tolerated, lambda: tree.listing, count)


def _verify_step(tree: _Tree, work: Path, machine: Machine) -> Step:
    out = work / "verified" / f"{tree.name}.json"

    def run(_: str, reporter: Reporter) -> bool:
        report = verify(tree.root, tree.layout, progress=partial(reporter.progress, f"Verifying {tree.name}"))
        write_text(out, json.dumps(report.to_json(), indent=1) + "\n")
        _stop_if_wrong(report, tree.tolerated, out)
        reporter.note(f"{tree.name}: {f'{_summary(report)}; see {out}' if report.findings else 'nothing is wrong'}")
        return True

    return Step(
        name=f"verify-{tree.name}",
        what=f"verify {tree.root}",
        inputs=lambda: {
            "root": str(tree.root.resolve()),
            "files": tree.listing(),
            "tolerated": sorted(tree.tolerated),
            "code": source_hashes(verify),
        },
        outputs=(out,),
        run=run,
        estimate=lambda: Estimate(tree.count() * machine.decode_s / machine.cores, _BLOCK),
    )


def blocking(report: Report, tolerated: frozenset[str]) -> list[str]:
    """The findings that would make Table 2's numbers wrong, `file: message` each, of a kind that is not tolerated.

    Errors, and counts other than the release's: in a set of one's own they are no fault, here they are.
    """
    return [
        f"{finding.file}: {finding.message}"
        for finding in report.findings
        if (finding.severity == "error" or finding.code == "count") and finding.code not in tolerated
    ]


def _stop_if_wrong(report: Report, tolerated: frozenset[str], out: Path) -> None:
    wrong = blocking(report, tolerated)
    if wrong:
        only_incomplete = not blocking(report, tolerated | INCOMPLETE)
        raise DataError(
            "The data set is not complete." if only_incomplete else "The data set would give wrong numbers.",
            where=report.root,
            expected="no error",
            got=f"{_summary(report)}; the first: {'; '.join(wrong[:_FINDINGS_SHOWN])}",
            todo=f"all findings are in {out}; mend them, and the same command goes on"
            + (", or say that it is meant: --allow-missing" if only_incomplete else ""),
        )


def _summary(report: Report) -> str:
    return ", ".join(f"{count} x {code} ({severity})" for (severity, code), count in report.by_code.items())


def convert_step(data: ReleasedData, work: Path, machine: Machine, *, allow_missing: bool) -> Step:
    """Convert ExDark to a VOC tree, images hard-linked."""
    out = work / "exdark_voc"

    def run(_: str, reporter: Reporter) -> bool:
        missing: MissingMode = "skip" if allow_missing else "error"
        progress = partial(reporter.progress, "Converting")
        reporter.note(str(exdark_to_voc(data.exdark_root, out, missing=missing, progress=progress)))
        return True

    def estimate() -> Estimate:
        images = len(data.exdark_images)
        copied = 0.0 if machine.can_link else images * machine.image_bytes
        # Class files of ImageSets are small beside an XML file an image.
        return Estimate(images * machine.read_s, images * _BLOCK + copied)

    return Step(
        name="convert",
        what=f"ExDark as a VOC tree in {out}",
        inputs=lambda: {
            "files": data.exdark_listing,
            "allow_missing": allow_missing,
            "code": source_hashes(exdark_to_voc),
        },
        outputs=(out,),
        run=run,
        estimate=estimate,
        begun=lambda _: _files_in(out / "Annotations"),
    )


def unpaired_step(data: ReleasedData, work: Path, machine: Machine) -> Step:
    """Build the unpaired set: A all images of ExDark, as section 4.2 of the paper says, B VOC's training images."""
    out = work / "unpaired"
    years = " and ".join(f"{tree.name} {tree.split}" for tree in data.voc)

    def run(_: str, reporter: Reporter) -> bool:
        made = build_unpaired(
            [data.exdark],
            [tree.training_images for tree in data.voc],
            out,
            # The paper takes all images, so pictures that look alike stay.
            hash_distance=-1,
            progress=partial(reporter.progress, "Building the unpaired set"),
        )
        reporter.note(str(made))
        return True

    def estimate() -> Estimate:
        images = sum(unpaired_counts(data))
        copied = 0.0 if machine.can_link else images * machine.image_bytes
        return Estimate(images * machine.decode_s / machine.cores, images * _MANIFEST_ROW + copied)

    return Step(
        name="unpaired",
        what=f"unpaired set in {out}: A all of ExDark, B {years} without its dark images",
        inputs=lambda: {
            "low": data.exdark_listing,
            "normal": [[tree.name, tree.split, tree.listing] for tree in data.voc],
            "code": source_hashes(build_unpaired),
        },
        outputs=(out / UNPAIRED_MANIFEST, out / "trainA", out / "trainB"),
        run=run,
        estimate=estimate,
        begun=lambda _: _files_in(out / "trainA"),
    )


def unpaired_counts(data: ReleasedData) -> tuple[int, int]:
    """Images of A and at most of B, before any is looked at."""
    return len(data.exdark_images), sum(len(present(tree.training_images)) for tree in data.voc)


def _files_in(folder: Path) -> str | None:
    number = sum(1 for path in folder.glob("*") if not path.name.startswith(".")) if folder.is_dir() else 0
    return f"{number} files are there" if number else None
