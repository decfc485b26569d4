"""Whether a run keeps the machine busy: against its parts alone, two workers against one, and memory as images grow.

    python -m duskbench.benchmarks.speed.throughput --data data/miniature

1. A run's images a second over those of its parts, each measured alone: decoding, each enhancer, the detector, each
   metric. Both are done block by block in turns, in this process, on one thread, rows written to a results file.
2. Rows a second of two workers over those of one, once every worker is at work.
3. Peak memory of `duskbench run` on a folder of more and more images.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from duskbench.benchmarks.config import load_benchmark_config
from duskbench.benchmarks.executors.local import Processes
from duskbench.benchmarks.measure import MeasureOptions, Measurer
from duskbench.benchmarks.metrics.registry import load_metric
from duskbench.benchmarks.run_plan import RunOptions, plan_run
from duskbench.benchmarks.speed.growth import cost
from duskbench.benchmarks.store import RESULTS, ResultStore
from duskbench.benchmarks.units import Unit, decoder_fingerprint, plan_units
from duskbench.pipeline.registry import load_detector, load_enhancer

_BLOCK = 8

# Name of a part -> its seconds on the clock and of the processor, (2,) float64.
Seconds = defaultdict[str, np.ndarray]


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/miniature"), help="the miniature data set")
    parser.add_argument("--limit", type=int, help="images; by default all")
    parser.add_argument("--enhancer", nargs="+", help="by default those of the miniature's configuration")
    parser.add_argument("--rounds", type=int, default=2, help="turns of one worker and two; 0 leaves this out")
    parser.add_argument("--memory", type=int, nargs="*", default=[1000, 10000], help="images; none leaves this out")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        units, options = planned(asked.data, asked.limit, asked.enhancer, Path(folder))
        print(f"{len(units)} images, {len(units[0].tasks)} enhancers")
        if asked.rounds and len(units) < 9:
            parser.error("nothing is left to time of fewer than 9 images: give --rounds 0")
        print_parts(units, options, Path(folder))
        if asked.rounds:
            print_workers(units, options, asked.rounds)
    for images in asked.memory:
        print(f"{images:6} images: peak {memory_of(units, images):5.0f} MB", flush=True)


def planned(
    data: Path, limit: int | None, enhancers: Sequence[str] | None, folder: Path
) -> tuple[list[Unit], MeasureOptions]:
    """The work of a run of the miniature, none of it done."""
    overrides = {"data.root": str(data), **({"enhancers": list(enhancers)} if enhancers else {})}
    config = load_benchmark_config("miniature", overrides=overrides)
    plan = plan_run(config, RunOptions(folder, device="cpu", limit=limit))
    metrics = tuple(metric for metric in plan.metrics if metric.kind == "image")
    images = plan.read_images({})
    decoder = decoder_fingerprint()
    wanted = frozenset([*(d.fingerprint for d in plan.detectors), *(m.fingerprint for m in metrics)])
    units = plan_units(images, plan.enhancers, [wanted] * len(plan.enhancers), decoder, {})
    return units, MeasureOptions(plan.enhancers, plan.detectors, metrics, config.protocol, decoder, "cpu")


def print_parts(units: Sequence[Unit], options: MeasureOptions, folder: Path) -> None:
    """A run in this process against its parts, block by block."""
    measurer, parts = Measurer(options), _Parts(options)
    list(measurer.measure(units[:1]))
    parts.measure(units[:1], defaultdict(lambda: np.zeros(2)))
    run: Seconds = defaultdict(lambda: np.zeros(2))
    alone: Seconds = defaultdict(lambda: np.zeros(2))
    with ResultStore(folder / RESULTS) as store:
        for start in range(0, len(units), _BLOCK):
            block = units[start : start + _BLOCK]
            with _timed(run, "the run"):
                for row in measurer.measure(block):
                    store.put(row)
            parts.measure(block, alone)
    total = np.sum([*alone.values()], axis=0)
    print(f"{'ms an image':28}{'clock':>10}{'CPU':>10}")
    for name, seconds in [*alone.items(), ("sum of the parts", total), *run.items()]:
        wall, cpu = 1e3 * seconds / len(units)
        print(f"{name:28}{wall:10.2f}{cpu:10.2f}")
    wall, cpu = total / run["the run"]
    print(f"images a second, the run over its parts: {wall:.3f}, by CPU {cpu:.3f}", flush=True)


class _Parts:
    """What a run does, one thing after the other."""

    def __init__(self, options: MeasureOptions) -> None:
        self._options = options
        self._enhancers = [load_enhancer(entry.spec) for entry in options.enhancers]
        self._detectors = [load_detector(entry.spec) for entry in options.detectors]
        self._metrics: list[Any] = [load_metric(entry.spec, options.protocol) for entry in options.metrics]

    def measure(self, units: Sequence[Unit], seconds: Seconds) -> None:
        """Add the seconds of each part."""
        with _timed(seconds, "decode"):
            originals = [unit.file.image() for unit in units]
        given = {"original_rgb": originals}
        if any("reference" in metric.needs for metric in self._metrics):
            with _timed(seconds, "decode references"):
                given["reference_rgb"] = [unit.reference.image() for unit in units if unit.reference]
        for entry, enhancer in zip(self._options.enhancers, self._enhancers, strict=True):
            with _timed(seconds, entry.label):
                images = [enhancer(i, image_id=u.image_id) for i, u in zip(originals, units, strict=True)]
            for detector_entry, detector in zip(self._options.detectors, self._detectors, strict=True):
                size = self._options.batch_size_of(detector_entry)
                with _timed(seconds, detector_entry.label):
                    for start in range(0, len(images), size):
                        detector.detect(images[start : start + size])
            for metric in self._metrics:
                with _timed(seconds, metric.key):
                    for number, image in enumerate(images):
                        metric.measure(image, **{f"{need}_rgb": given[f"{need}_rgb"][number] for need in metric.needs})


@contextmanager
def _timed(seconds: Seconds, name: str) -> Iterator[None]:
    start = _now()
    yield
    seconds[name] += _now() - start


def _now() -> np.ndarray:
    """Seconds on the clock, and of the processor."""
    return np.array([time.perf_counter(), time.process_time()])


def print_workers(units: Sequence[Unit], options: MeasureOptions, rounds: int) -> None:
    """One worker and two in turns, each in processes of their own."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for workers, found in rates.items():
            found.append(rows_a_second(units, options, workers))
            print(f"{workers} workers: {found[-1]:.2f} rows a second", flush=True)
    print(f"rows a second, two workers over one: {median(rates[2]) / median(rates[1]):.3f}", flush=True)


def rows_a_second(units: Sequence[Unit], options: MeasureOptions, workers: int) -> float:
    """Of so many processes; the first units, with which they also load what they need, and the last do not count."""
    skipped = 2 * workers
    inside = sum(len(unit.tasks) for unit in units[skipped:-skipped])
    edge = sum(len(unit.tasks) for unit in units[:skipped])
    with closing(Processes(workers).measure(units, options)) as rows:
        next(islice(rows, edge - 1, None))
        start = time.perf_counter()
        next(islice(rows, inside - 1, None))
        return inside / (time.perf_counter() - start)


def memory_of(units: Sequence[Unit], images: int) -> float:
    """Peak memory in MB of a run on a folder of so many images, the data set's again and again under other names."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder, "images")
        pictures.mkdir()
        for number, unit in enumerate(islice(cycle(units), images)):
            source = unit.file.path.absolute()
            (pictures / f"{number:06d}{source.suffix}").symlink_to(source)
        options = ["--data", str(pictures), "--layout", "folder", "--detector", "none", "--workers", "1"]
        command = ["run", "table1", *options, "--enhancer", "input", "--out", str(Path(folder, "out"))]
        command += ["--cfg-options", "data.groups=[]"]
        return cost(command)[1]


if __name__ == "__main__":
    main()
