"""How the commands that read a finished run grow with its images: processor time and peak memory of each.

The run is written by hand into a temporary folder: objects and detections drawn from a seed, no image decoded. Each
command runs in a process of its own, so that its peak is its own.

Run: python -m duskbench.benchmarks.speed.growth [--images 1000 10000] [--enhancers 8] [--per-image 200]
    [--commands table "table --coco"]
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from duskbench.benchmarks.metrics.registry import load_metric, metric_entry
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.record import DataEntry, DetectorEntry, EnhancerEntry, Environment, RunRecord
from duskbench.benchmarks.rows import Detected, Key, Measured, Row, StoredImage
from duskbench.benchmarks.store import RESULTS, ResultStore
from duskbench.data_tools.classes import LIGHTING_TYPES, SHARED_CLASSES
from duskbench.data_tools.records import ImageRecord, ObjectAnnotation

WIDTH, HEIGHT = 640.0, 480.0
OBJECTS_PER_IMAGE = 2.8
COMMANDS = ("table", "table --coco", "report --images 0", "compare")


def make_image(number: int, rng: np.random.Generator) -> StoredImage:
    """An image of ExDark's kind: 2.8 objects on average, of any size, with all labels."""
    objects = []
    for _ in range(rng.poisson(OBJECTS_PER_IMAGE)):
        x, y, width, height = rng.random(4) * (WIDTH, HEIGHT, 0.5 * WIDTH, 0.5 * HEIGHT)
        box = (x, y, min(x + 8 + width, WIDTH), min(y + 8 + height, HEIGHT))
        objects.append(ObjectAnnotation(SHARED_CLASSES[rng.integers(len(SHARED_CLASSES))], box))
    name = f"{number:06d}"
    record = ImageRecord(
        name, Path("nowhere") / f"{name}.jpg", tuple(objects), "test", LIGHTING_TYPES[number % 10], bool(number % 2)
    )
    return StoredImage(record, 1, 1, f"{number:064x}")


def detect(image: StoredImage, per_image: int, rng: np.random.Generator) -> Detected:
    """As a detector with a threshold of 0.01: three of four objects are found, the rest of the boxes are noise."""
    objects = [o for o in image.record.objects or () if rng.random() < 0.75][:per_image]
    hits = np.array([o.box_xyxy for o in objects]).reshape(-1, 4)
    hits += rng.normal(0, 0.05, hits.shape) * np.tile(hits[:, 2:] - hits[:, :2], 2)
    corner = rng.random((per_image - len(hits), 2)) * (WIDTH, HEIGHT)
    noise = np.hstack([corner, corner + 8 + rng.random(corner.shape) * 200])
    labels = np.array([SHARED_CLASSES.index(o.name) for o in objects], np.int64)
    labels = np.concatenate([labels, rng.integers(0, len(SHARED_CLASSES), len(noise))])
    scores = np.concatenate([rng.beta(4, 3, len(hits)), 0.01 + 0.5 * rng.beta(0.6, 8, len(noise))])
    order = np.argsort(-scores, kind="stable")
    return Detected(
        np.concatenate([hits, noise])[order].astype(np.float32), scores[order].astype(np.float32), labels[order], 2.0
    )


def write_run(folder: Path, n_images: int, n_enhancers: int, per_image: int) -> None:
    """A finished run of so many images and enhancers, the first of them Input."""
    rng = np.random.default_rng(0)
    images = [make_image(number, rng) for number in range(n_images)]
    protocol = Protocol()
    detector = DetectorEntry("made", "made", "d" * 64, "i" * 64, SHARED_CLASSES)
    names = ["input", *(f"enhancer {number}" for number in range(1, n_enhancers))]
    record = RunRecord(
        name="made",
        title="Made by hand",
        data=DataEntry("ExDark", "nowhere"),
        detectors=(detector,),
        enhancers=tuple(EnhancerEntry(name.capitalize(), name, name) for name in names),
        metrics=tuple(metric_entry(load_metric(name, protocol), name) for name in ("niqe", "voc_ap")),
        protocol=protocol,
        environment=Environment(started="now", device="cpu"),
        image_ids=tuple(image.record.id for image in images),
    )
    niqe = record.metrics[0].fingerprint
    with ResultStore(folder / RESULTS) as store:
        store.put_images(images)
        for name in names:
            for image in images:
                found = {detector.fingerprint: detect(image, per_image, rng)}
                key = Key(image.record.id, str(image.content(None)), name)
                store.put(Row(key, None, 0.2, 1.0, found, {niqe: Measured(float(rng.normal(4, 1)), ms=0.5)}))
        store.put_run(record)


def cost(arguments: list[str]) -> tuple[float, float]:
    """Seconds of processor time and peak memory in MB of one duskbench command, in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"), "COLUMNS": "100"}
    silent = os.open(os.devnull, os.O_WRONLY)
    process = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "duskbench", *arguments],
        environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, silent, 1)],
    )
    os.close(silent)
    _, status, used = os.wait4(process, 0)
    if status:
        raise SystemExit(f"duskbench {shlex.join(arguments)} failed")
    # Linux counts in KiB.
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6


def _on_run(command: str, folder: str) -> list[str]:
    """A command's arguments, with the run that it reads."""
    name, *options = shlex.split(command)
    return [name, *[folder] * (2 if name == "compare" else 1), *options]


def measured(commands: list[str], sizes: list[int], enhancers: int, per_image: int) -> Iterator[str]:
    """The rows of the table: a command and a number of images each."""
    for n_images in sizes:
        with tempfile.TemporaryDirectory() as folder:
            write_run(Path(folder), n_images, enhancers, per_image)
            for command in commands:
                seconds, megabytes = cost(_on_run(command, folder))
                yield f"| {command} | {n_images} | {seconds:.1f} | {megabytes:.0f} |"


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--enhancers", type=int, default=8)
    parser.add_argument("--per-image", type=int, default=200, help="detections")
    parser.add_argument("--commands", nargs="+", default=list(COMMANDS))
    options = parser.parse_args()
    print("| command | images | CPU, s | peak, MB |\n|---|---:|---:|---:|")
    for line in measured(options.commands, options.images, options.enhancers, options.per_image):
        print(line, flush=True)


if __name__ == "__main__":
    main()
