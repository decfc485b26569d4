"""A report of a whole test split stays small enough to be mailed and opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.report.write import write_report
from duskbench.benchmarks.statistics import BootstrapOptions
from duskbench.benchmarks.store import Key, ResultStore, Row, StoredImage
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
    protocol = Protocol()
    with ResultStore(root / "run" / "results.sqlite") as store:
        images = [_image(f"2015_{number:05d}", root / "noise.jpg", digest, rng) for number in range(N_IMAGES)]
        store.put_images(images)
        store.put_detector("d", "rfb", SHARED_CLASSES)
        enhancers = []
        for rank, (label, spec) in enumerate(specs.items()):
            fingerprint = load_enhancer(spec).fingerprint
            enhancers.append(
                {"label": label, "spec": spec, "fingerprint": fingerprint, "error": None, "upper_bound": False}
            )
            for image in images:
                store.put(_row(image, Key(image.record.id, digest, fingerprint, "d", "niqe=rgb2gray"), rank, rng))
        store.put_run(
            {
                "name": "full",
                "title": "A whole split",
                "data": {"root": "data", "name": "ExDark", "split": "test"},
                "detector": {"name": "rfb", "fingerprint": "d"},
                "enhancers": enhancers,
                "protocol": protocol.to_dict(),
                "measure": "niqe=rgb2gray",
                "paper": {},
                "image_ids": [image.record.id for image in images],
                "limit": None,
                "environment": {
                    "started": "2026-11-22T03:00:00+00:00", "argv": ["duskbench"], "python": "3.11",
                    "platform": "Linux", "device": "cpu", "gpu": None, "packages": {}, "git": None,
                },
            }
        )  # fmt: skip
    return root / "run"


def _image(image_id: str, path: Path, digest: str, rng: np.random.Generator) -> StoredImage:
    objects = []
    for _ in range(int(rng.integers(1, 5))):
        x, y, w, h = rng.uniform(0, 600), rng.uniform(0, 400), rng.uniform(20, 600), rng.uniform(20, 500)
        objects.append(ObjectAnnotation(str(rng.choice(SHARED_CLASSES)), (x, y, x + w, y + h)))
    lighting = str(rng.choice(LIGHTING_TYPES))
    record = ImageRecord(image_id, path, tuple(objects), "test", lighting, bool(rng.integers(2)), "Car")
    return StoredImage(record, 1, 1, digest)


def _row(image: StoredImage, key: Key, rank: int, rng: np.random.Generator) -> Row:
    """Most objects found, a little shifted, among false alarms."""
    objects = image.record.objects or ()
    hits = [(o.box_xyxy, SHARED_CLASSES.index(o.name)) for o in objects if rng.random() < 0.5 + rank / 30]
    n = 15
    boxes = np.sort(rng.uniform(0, 900, (n, 2, 2)), axis=1).reshape(n, 4).astype(np.float32)
    labels = rng.integers(0, len(SHARED_CLASSES), n)
    for place, (box, label) in enumerate(hits):
        boxes[place], labels[place] = np.array(box) + rng.normal(0, 2, 4), label
    scores = np.sort(rng.random(n).astype(np.float32))[::-1]
    return Row(key, niqe=4 + rng.normal() * 0.5, boxes_xyxy=boxes, scores=scores, labels=labels, ms_enhance=1.0)


@pytest.mark.slow
def test_a_full_split_with_eleven_enhancers_is_under_15_mb(tmp_path: Path) -> None:
    path = write_report(make_full_run(tmp_path), bootstrap=BootstrapOptions(20))
    page = path.read_text(encoding="utf-8")
    assert 1_000_000 < path.stat().st_size < 15_000_000
    # All pictures of all twelve images are in it.
    assert page.count("data:image/webp;base64,") == 12 * N_ENHANCERS
    assert "2563 of 2563 images" in page
    without = page.index('id="viewer-data"')
    assert without < 2_500_000
