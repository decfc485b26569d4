"""The steps before training: verify the data sets, build the unpaired training set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from duskbench.benchmarks.reproduce.estimates import ImageTimes
from duskbench.benchmarks.reproduce.steps import Step
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.files import write_text
from duskbench.data_tools.findings import Report
from duskbench.data_tools.module_sources import source_hashes
from duskbench.data_tools.progress import Progress
from duskbench.data_tools.released import ReleasedData, ReleasedExDark, ReleasedVOC
from duskbench.data_tools.training_manifest import MANIFEST
from duskbench.data_tools.unpaired import build_unpaired
from duskbench.data_tools.verify import verify

# What a tree that is not complete has; --allow-missing says that it is meant.
INCOMPLETE = frozenset({"count", "missing-annotation", "missing-image"})
# VOC's images train, its boxes are not read.
ABOUT_BOXES = frozenset(
    {
        "box-off-image",
        "broken-annotation",
        "degenerate-box",
        "doubtful-boxes",
        "missing-annotation",
        "size-mismatch",
        "unknown-class",
    }
)
_FINDINGS_SHOWN = 3


def verify_steps(data: ReleasedData, work: Path, sample: ImageTimes, *, allow_missing: bool) -> Iterator[Step]:
    """Verify every data set; what would make numbers wrong stops there, the rest is said.

    Args:
        data: The data sets.
        work: Folder of the steps; reports go to `verified`.
        sample: For estimates.
        allow_missing: Whether an incomplete tree is meant.
    """
    tolerated = INCOMPLETE if allow_missing else frozenset[str]()
    yield _verify_step(data.exdark, work, sample, tolerated)
    for tree in data.voc:
        yield _verify_step(tree, work, sample, tolerated | ABOUT_BOXES)


def _verify_step(tree: ReleasedExDark | ReleasedVOC, work: Path, sample: ImageTimes, tolerated: frozenset[str]) -> Step:
    out = work / "verified" / f"{tree.name}.json"

    def run(progress: Progress) -> bool:
        report = verify(tree.root, tree.layout, progress=progress)
        write_text(out, json.dumps(report.to_json(), indent=1) + "\n")
        _stop_if_wrong(report, tolerated, out)
        progress.message(f"{tree.name}: {f'{_summary(report)}; see {out}' if report.findings else 'nothing is wrong'}")
        return True

    return Step(
        name=f"verify-{tree.name}",
        what=f"verify {tree.root}",
        inputs=lambda: {
            "root": str(tree.root.resolve()),
            "files": tree.listing,
            "tolerated": sorted(tolerated),
            "code": source_hashes(verify),
        },
        outputs=(out,),
        run=run,
        estimate=lambda: sample.to_read(len(tree.images)),
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
            todo=f"all findings are in {out}; fix them and run the same command again"
            + (", or say that it is meant: --allow-missing" if only_incomplete else ""),
        )


def _summary(report: Report) -> str:
    return ", ".join(f"{count} x {code} ({severity})" for (severity, code), count in report.by_code.items())


def unpaired_step(data: ReleasedData, work: Path, sample: ImageTimes) -> Step:
    """Build the unpaired set: A all images of ExDark, as section 4.2 of the paper says, B VOC's training images."""
    out = work / "unpaired"
    years = " and ".join(f"{tree.name} {tree.split}" for tree in data.voc)

    def run(progress: Progress) -> bool:
        low, normal = [data.exdark.dataset], [tree.dataset for tree in data.voc]
        # The paper takes all images, so pictures that look alike stay.
        progress.message(str(build_unpaired(low, normal, out, hash_distance=-1, progress=progress)))
        return True

    return Step(
        name="unpaired",
        what=f"unpaired set in {out}: A all of ExDark, B {years} without its dark images",
        inputs=lambda: {
            "low": data.exdark.listing,
            "normal": [[tree.name, tree.split, tree.listing] for tree in data.voc],
            "code": source_hashes(build_unpaired),
        },
        outputs=(out / MANIFEST, out / "trainA", out / "trainB"),
        run=run,
        estimate=lambda: sample.to_collect(sum(unpaired_counts(data))),
        started=(out / "trainA").is_dir,
    )


def unpaired_counts(data: ReleasedData) -> tuple[int, int]:
    """Images of A and at most of B, before any is looked at."""
    return len(data.exdark.images), sum(len(tree.images) for tree in data.voc)
