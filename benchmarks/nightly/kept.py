"""What a night keeps for the next one to compare with: results by image, in a form that the bootstrap takes."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field
from io import BytesIO
from typing import Any

import numpy as np

from duskbench.benchmarks.evidence import RunImages, read_measured
from duskbench.benchmarks.judge import judge, sample_of
from duskbench.benchmarks.statistics import Ranking, Sample
from duskbench.benchmarks.store import Key, ResultStore, Row, StoredImage

STAGES = ("decode", "enhance", "detect", "niqe")
IMAGES = "images"
"""Name of the list of images among a night's evidence; enhancers are under `enhancer:` and their label."""


@dataclass(frozen=True)
class Kept:
    """One enhancer of a night, image by image; N are the images of the night.

    Attributes:
        fingerprint: Empty where it could not be built.
        sample: Measured images, NIQE and rankings.
        failures: Image id -> reason.
        error: Why it could not be built.
        weights: File -> sha256.
        ms: Stage -> (N,) float64 milliseconds; NaN where an image was not measured, or was before the night was cut.
    """

    fingerprint: str
    sample: Sample
    failures: dict[str, str] = field(default_factory=dict)
    error: str | None = None
    weights: dict[str, str] = field(default_factory=dict)
    ms: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is no number in it."""
        return not self.sample.measured.any()


def read_kept(store: ResultStore, record: Mapping[str, Any], run: RunImages, earlier: Set[Key]) -> dict[str, Kept]:
    """Read a run's rows.

    Args:
        store: The results.
        record: The run's record.
        run: Its images.
        earlier: Keys that an earlier start of the night had measured, perhaps on another machine: their results count,
            their times do not.

    Returns:
        Label -> what is kept, in the run's order.
    """
    entries = {enhancer["label"]: enhancer for enhancer in record["enhancers"]}
    return {
        measured.label: Kept(
            fingerprint=entries[measured.label]["fingerprint"],
            sample=sample_of(measured, run, judge(measured, run)),
            failures=measured.failures,
            error=measured.error,
            weights=dict(entries[measured.label]["weights"]),
            ms=_times(measured.rows, len(run.images), earlier),
        )
        for measured in read_measured(store, record, run)
    }


def _times(rows: Mapping[int, Row], n_images: int, earlier: Set[Key]) -> dict[str, np.ndarray]:
    times = {stage: np.full(n_images, np.nan) for stage in STAGES}
    for position, row in rows.items():
        if row.key not in earlier:
            for stage in STAGES:
                ms = getattr(row, f"ms_{stage}")
                times[stage][position] = np.nan if ms is None else ms
    return times


def pack(kept: Kept) -> bytes:
    """Bytes for the history: a compressed NumPy archive without pickled objects."""
    sample = kept.sample
    about = {
        "label": sample.label,
        "fingerprint": kept.fingerprint,
        "failures": kept.failures,
        "error": kept.error,
        "weights": kept.weights,
        "classes": list(sample.rankings),
    }
    arrays = {
        "about": np.frombuffer(json.dumps(about, sort_keys=True).encode(), np.uint8),
        "measured": sample.measured,
        "niqe": sample.niqe,
        **{f"ms {stage}": ms for stage, ms in kept.ms.items()},
    }
    for number, ranking in enumerate(sample.rankings.values()):
        arrays[f"images {number}"] = ranking.images.astype(np.int32)
        arrays[f"tp {number}"] = np.packbits(ranking.tp)
    file = BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def unpack(content: bytes) -> Kept:
    """What `pack` packed."""
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        about = json.loads(arrays["about"].tobytes())
        rankings = {}
        for number, name in enumerate(about["classes"]):
            images = arrays[f"images {number}"].astype(np.int64)
            rankings[name] = Ranking(images, np.unpackbits(arrays[f"tp {number}"], count=len(images)).astype(bool))
        return Kept(
            fingerprint=about["fingerprint"],
            sample=Sample(about["label"], arrays["measured"], arrays["niqe"], rankings),
            failures=about["failures"],
            error=about["error"],
            weights=about["weights"],
            ms={stage: arrays[f"ms {stage}"] for stage in STAGES if f"ms {stage}" in arrays},
        )


def same_numbers(a: Sample, b: Sample) -> bool:
    """Whether two samples are equal to the last digit."""
    return (
        np.array_equal(a.measured, b.measured)
        and np.array_equal(a.niqe, b.niqe, equal_nan=True)
        and list(a.rankings) == list(b.rankings)
        and all(
            np.array_equal(a.rankings[name].images, b.rankings[name].images)
            and np.array_equal(a.rankings[name].tp, b.rankings[name].tp)
            for name in a.rankings
        )
    )


@dataclass(frozen=True)
class ImageState:
    """What must be equal for two nights to have measured the same image.

    Attributes:
        id: Of the image.
        sha256: Of its content, and of its reference's where it has one; None where the file is missing.
        truth: Hash of its ground truth.
    """

    id: str
    sha256: str | None
    truth: str


def image_states(images: Sequence[StoredImage]) -> list[ImageState]:
    """The images of a run."""
    return [ImageState(image.record.id, image.content, _truth(image)) for image in images]


def _truth(image: StoredImage) -> str:
    objects = None if image.record.objects is None else [asdict(each) for each in image.record.objects]
    return hashlib.sha256(json.dumps(objects, sort_keys=True).encode()).hexdigest()[:16]


def pack_images(states: Sequence[ImageState]) -> bytes:
    """Bytes for the history."""
    return zlib.compress(json.dumps([[state.id, state.sha256, state.truth] for state in states]).encode())


def unpack_images(content: bytes) -> list[ImageState]:
    """What `pack_images` packed."""
    return [ImageState(*values) for values in json.loads(zlib.decompress(content))]


def images_sha256(states: Sequence[ImageState]) -> str:
    """One hash of all of them, in their order."""
    lines = (f"{state.id} {state.sha256} {state.truth}\n" for state in states)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
