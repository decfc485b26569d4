"""Evidence of a run packed into bytes, so that the run is compared with later ones when its results are gone."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO

import numpy as np

from duskbench.benchmarks.evidence import STAGES, EnhancerEvidence, RunEvidence
from duskbench.benchmarks.metrics.base import Ranked, Ranking
from duskbench.benchmarks.record import EnhancerEntry, RunRecord
from duskbench.benchmarks.rows import ImageState
from duskbench.benchmarks.statistics import Sample
from duskbench.data_tools.typed import from_values


def pack(evidence: EnhancerEvidence) -> bytes:
    """Bytes of one enhancer: a compressed NumPy archive without pickled objects."""
    sample = evidence.sample
    about = {
        "entry": asdict(evidence.entry),
        "failures": evidence.failures,
        "values": list(sample.values),
        "ranked": {
            key: {
                "mode": ranked.mode,
                "classes": {name: len(of) for name, of in ranked.by_class.items()},
                "pools": ranked.pools,
            }
            for key, ranked in sample.ranked.items()
        },
    }
    arrays = {
        # The order of the classes is that of the rankings behind them.
        "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
        "measured": sample.measured,
        **{f"value {number}": values for number, values in enumerate(sample.values.values())},
        **{f"ms {stage}": ms for stage, ms in evidence.ms.items()},
    }
    rankings = [r for ranked in sample.ranked.values() for of in ranked.by_class.values() for r in of]
    for number, ranking in enumerate(rankings):
        arrays[f"images {number}"] = ranking.images.astype(np.int32)
        arrays[f"tp {number}"] = np.packbits(ranking.tp)
    file = BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def unpack(content: bytes, record: RunRecord) -> EnhancerEvidence:
    """What `pack` packed, by this version of duskbench or an earlier one; `record` is its run's."""
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        about = json.loads(arrays["about"].tobytes())
        if "entry" not in about:
            from duskbench.benchmarks.first_version import enhancer_evidence

            return enhancer_evidence(about, arrays, record)
        ms = {stage: arrays[f"ms {stage}"] for stage in STAGES if f"ms {stage}" in arrays}
        numbers = iter(range(len(arrays.files)))
        ranked = {
            key: Ranked(
                {
                    name: tuple(unpacked_ranking(arrays, next(numbers)) for _ in range(n))
                    for name, n in of["classes"].items()
                },
                of["mode"],
                # An earlier version packed none.
                {name: tuple(classes) for name, classes in of.get("pools", {}).items()},
            )
            for key, of in about["ranked"].items()
        }
        values = {key: arrays[f"value {number}"] for number, key in enumerate(about["values"])}
        entry = from_values(EnhancerEntry, about["entry"])
        sample = Sample(entry.label, arrays["measured"], values, ranked)
        return EnhancerEvidence(entry, sample, about["failures"], ms)


def unpacked_ranking(arrays: Mapping[str, np.ndarray], number: int) -> Ranking:
    """The ranking of that number in an archive."""
    images = arrays[f"images {number}"].astype(np.int64)
    return Ranking(images, np.unpackbits(arrays[f"tp {number}"], count=len(images)).astype(bool))


def pack_images(evidence: RunEvidence) -> bytes:
    """Bytes of a run's images, with the number of objects to find in each."""
    states = [[state.id, state.sha256, state.truth] for state in evidence.images]
    objects = {name: counts.tolist() for name, counts in evidence.objects.items()}
    return zlib.compress(json.dumps({"images": states, "objects": objects}).encode())


def unpack_images(content: bytes) -> tuple[tuple[ImageState, ...], dict[str, np.ndarray]]:
    """What `pack_images` packed; without the objects where an earlier version packed it."""
    values = json.loads(zlib.decompress(content))
    if isinstance(values, list):
        return tuple(ImageState(*each) for each in values), {}
    states = tuple(ImageState(*each) for each in values["images"])
    return states, {name: np.array(counts, np.int64) for name, counts in values["objects"].items()}
