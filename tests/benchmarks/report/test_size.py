"""A report of a whole test split stays small enough to be mailed and opened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks.metrics.registry import load_metric, metric_entry
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.record import DataEntry, DetectorEntry, EnhancerEntry, Environment, RunRecord
from duskbench.benchmarks.report.write import write_report
from duskbench.benchmarks.rows import Detected, Key, Measured, Row, StoredImage
from duskbench.benchmarks.statistics import BootstrapOptions
from duskbench.benchmarks.store import ResultStore
from duskbench.data_tools.classes import LIGHTING_TYPES, SHARED_CLASSES
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.images import write_image
from duskbench.data_tools.records import ImageRecord, ObjectAnnotation
from duskbench.pipeline.registry import load_enhancer

N_IMAGES, N_ENHANCERS = 2563, 11
SIZE = 1280, 960
GAMMAS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35)


def make_full_run(root: Path) -> Path:
    """2563 images (one noisy file under many names), 11 enhancers, 15 detections an image."""
    rng = np.random.default_rng(0)
    # Noise all over: harder to encode than any photo.
    write_image(root / "noise.jpg", rng.integers(0, 255, (SIZE[1], SIZE[0], 3)).astype(np.uint8))
    digest = file_sha256(root / "noise.jpg")
    specs = {"Input": "input", **{f"Gamma {g:g}": f"gamma(gamma={g})" for g in GAMMAS}}
    metrics = tuple(metric_entry(load_metric(name, Protocol()), name) for name in ("niqe", "voc_ap"))
    record = RunRecord(
        name="full",
        title="A whole split",
        data=DataEntry("ExDark", "data"),
        detectors=(DetectorEntry("rfb", "rfb", "d", "i", SHARED_CLASSES),),
        enhancers=tuple(EnhancerEntry(label, spec, load_enhancer(spec).fingerprint) for label, spec in specs.items()),
        metrics=metrics,
        protocol=Protocol(),
        bootstrap=BootstrapOptions(20),
        environment=Environment("2026-11-22T03:00:00+00:00", "cpu"),
    )
    with ResultStore(root / "run" / "results.sqlite") as store:
        images = [_image(f"2015_{number:05d}", root / "noise.jpg", digest, rng) for number in range(N_IMAGES)]
        store.put_images(images)
        for rank, enhancer in enumerate(record.enhancers):
            for image in images:
                key = Key(image.record.id, digest, enhancer.fingerprint)
                store.put(_row(image, key, metrics[0].fingerprint, rank, rng))
        store.put_run(replace(record, image_ids=tuple(image.record.id for image in images)))
    return root / "run"


def _image(image_id: str, path: Path, digest: str, rng: np.random.Generator) -> StoredImage:
    objects = []
    for _ in range(int(rng.integers(1, 5))):
        x, y, w, h = rng.uniform(0, 600), rng.uniform(0, 400), rng.uniform(20, 600), rng.uniform(20, 500)
        objects.append(ObjectAnnotation(str(rng.choice(SHARED_CLASSES)), (x, y, x + w, y + h)))
    lighting = str(rng.choice(LIGHTING_TYPES))
    record = ImageRecord(image_id, path, tuple(objects), "test", lighting, bool(rng.integers(2)), "Car")
    return StoredImage(record, 1, 1, digest)


def _row(image: StoredImage, key: Key, metric: str, rank: int, rng: np.random.Generator) -> Row:
    """Most objects found, a little shifted, among false alarms."""
    objects = image.record.objects or ()
    hits = [(o.box_xyxy, SHARED_CLASSES.index(o.name)) for o in objects if rng.random() < 0.5 + rank / 30]
    n = 15
    boxes = np.sort(rng.uniform(0, 900, (n, 2, 2)), axis=1).reshape(n, 4).astype(np.float32)
    labels = rng.integers(0, len(SHARED_CLASSES), n)
    for place, (box, label) in enumerate(hits):
        boxes[place], labels[place] = np.array(box) + rng.normal(0, 2, 4), label
    scores = np.sort(rng.random(n).astype(np.float32))[::-1]
    found = Detected(boxes, scores, labels)
    return Row(key, ms_enhance=1.0, detections={"d": found}, values={metric: Measured(4 + rng.normal() * 0.5)})


@pytest.mark.slow
def test_a_full_split_with_eleven_enhancers_is_under_15_mb(tmp_path: Path) -> None:
    path = write_report(make_full_run(tmp_path))
    page = path.read_text(encoding="utf-8")
    assert 1_000_000 < path.stat().st_size < 15_000_000
    # All pictures of all twelve images are in it.
    assert page.count("data:image/webp;base64,") == 12 * N_ENHANCERS
    assert "2563 of 2563 images" in page
    without = page.index('id="viewer-data"')
    assert without < 2_500_000
