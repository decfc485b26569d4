"""The photos of a VOC tree at a ladder of exposures, each measured as a run of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from duskbench.benchmarks.config import BenchmarkConfig
from duskbench.benchmarks.progress import RunProgress
from duskbench.benchmarks.run_plan import RunOptions
from duskbench.benchmarks.runner import RunSummary, run
from duskbench.benchmarks.store import RESULTS
from duskbench.data_tools.errors import ConfigError, UnknownNameError
from duskbench.data_tools.night import Exposure
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.data_tools.voc_dark import make_voc_dark

# Electrons at full scale, read noise, bits: the ends of the ranges of `Night`, and a camera without noise or steps.
SENSORS: dict[str, tuple[float | None, float, int | None]] = {
    "none": (None, 0.0, None),
    "low": (4000.0, 0.0006, 12),
    "high": (500.0, 0.002, 12),
}
_LEVEL = re.compile(r"-[0-9.]+ev")
EXPOSURES = (0.0, -1.0, -2.0, -3.0, -4.0, -5.0, -6.0)


@dataclass(frozen=True)
class Ladder:
    """Which levels.

    Attributes:
        exposures: Stops, 0 or below, to four decimals; 0, the lit photos as they are, is always among them.
        noise: Names of `SENSORS`; a curve for each.
        seed: Of the noise.
    """

    exposures: tuple[float, ...] = EXPOSURES
    noise: tuple[str, ...] = ("low",)
    seed: int = 0

    def __post_init__(self) -> None:
        # No finer than the names of the folders tell apart.
        exposures = {0.0, *(round(ev, 4) for ev in self.exposures)}
        object.__setattr__(self, "exposures", tuple(sorted(exposures, reverse=True)))
        for name in self.noise:
            if name not in SENSORS:
                raise UnknownNameError("noise", name, SENSORS)
        if len(exposures) < 2 or not all(-16 <= ev <= 0 for ev in exposures):
            raise ConfigError(
                "These exposures make no ladder.",
                where="--exposures",
                expected="stops below 0, down to -16",
                got=", ".join(f"{ev:g}" for ev in self.exposures),
            )

    def folder(self, noise: str, exposure: float) -> str:
        """Where a level lies below the folders of the pictures and of the runs; the lit photos have no noise."""
        return "lit" if exposure == 0 else f"noise_{noise}/{exposure:g}ev"


def measured_ladders(out: Path) -> Iterator[Ladder]:
    """What `measure_ladder` measured below a folder, a ladder for each noise; nothing where it measured nothing."""
    for noise in SENSORS:
        found = (out / "runs" / f"noise_{noise}").glob(f"*/{RESULTS}")
        exposures = [float(path.parent.name[:-2]) for path in found if _LEVEL.fullmatch(path.parent.name)]
        if exposures:
            yield Ladder(tuple(exposures), (noise,))


def measure_ladder(
    config: BenchmarkConfig, options: RunOptions, ladder: Ladder, progress: Progress = SILENT
) -> list[tuple[str, RunSummary]]:
    """Make every level's pictures below `OUT/levels`, and measure them into runs below `OUT/runs`; resumable.

    Args:
        config: Its data are lit photos in a VOC tree.
        options: `limit` takes only so many photos, the same at each level.
        ladder: Which levels.
        progress: Where it is reported.

    Returns:
        Of each level its folder and what became of the run.

    Raises:
        ConfigError, DataError: As `make_voc_dark` and `run`; the data are no VOC tree.
    """
    data = config.data
    if data.get("layout", "auto") not in ("auto", "voc"):
        raise ConfigError(
            "A night curve needs photos in the layout of VOC.", where="data.layout", got=str(data["layout"])
        )
    if data.get("root") is None:
        raise ConfigError("The configuration names no data set.", where=config.name, todo="give one: --data DIR")
    folders = dict.fromkeys(ladder.folder(noise, ev) for noise in ladder.noise for ev in ladder.exposures)
    made = {ladder.folder(noise, ev): (noise, ev) for noise in ladder.noise for ev in ladder.exposures}
    summaries = []
    for folder in folders:
        noise, ev = made[folder]
        progress.message(f"Level {folder}.")
        tree = options.out / "levels" / folder
        dark = make_voc_dark(
            data["root"],
            tree,
            split=data.get("split", "test"),
            year=data.get("year"),
            limit=options.limit,
            seed=ladder.seed,
            night=Exposure(ev, *(SENSORS[noise] if ev else SENSORS["none"])),
            workers=options.workers or None,
            progress=progress,
        )
        level = replace(config, data={"root": str(tree), "layout": "voc", "split": dark.split})
        done = run(level, replace(options, out=options.out / "runs" / folder, limit=None), RunProgress(progress))
        summaries.append((folder, done))
    return summaries
