"""What duskbench 0.1.0 of November 2026 wrote, brought to today's form: results, evidence and nights.

It measured NIQE, and PSNR and SSIM against references; it had one detector, and no metric but these and its mAP. A
stored value's key was the text that told how all of them were measured; here that is `KEY@text`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from duskbench.benchmarks.protocol import Protocol

if TYPE_CHECKING:
    from duskbench.benchmarks.evidence import EnhancerEvidence
    from duskbench.benchmarks.record import MetricEntry, RunRecord

# A row of version 2 held all of an image, an enhancer, a detector and `measure`, the text that told how it was made.
# Detections were cut to `max_detections` where that text names it: then it becomes part of the detector's name.
TO_SCHEMA_3 = (
    "ALTER TABLE images RENAME TO images_2",
    "ALTER TABLE results RENAME TO results_2",
    "ALTER TABLE runs RENAME TO runs_2",
    "{create}",
    """INSERT INTO images SELECT *, checksum(image_id, path, bytes, mtime_ns, sha256, split, image_group, lighting,
        indoor, objects, reference, reference_bytes, reference_mtime_ns, reference_sha256) FROM images_2""",
    """INSERT INTO results
        SELECT image_id, sha256, enhancer, e, d, m, checksum(image_id, sha256, enhancer, e, d, m) FROM (
            SELECT image_id, sha256, enhancer, CASE WHEN min(error IS NOT NULL) = 1 THEN max(error) END AS e,
                max(ms_decode) AS d, max(ms_enhance) AS m
            FROM results_2 GROUP BY image_id, sha256, enhancer)""",
    """INSERT OR REPLACE INTO detections
        SELECT image_id, sha256, enhancer, name, NULL, boxes, scores, labels, ms_detect,
            checksum(image_id, sha256, enhancer, name, NULL, boxes, scores, labels, ms_detect) FROM (
                SELECT *, detector
                    || CASE WHEN instr(measure, 'max_detections') THEN '@' || measure ELSE '' END AS name
                FROM results_2 WHERE error IS NULL AND boxes IS NOT NULL)""",
    *(
        """INSERT OR REPLACE INTO measured
            SELECT image_id, sha256, enhancer, name, NULL, KEY, KEY_reason, ms,
                checksum(image_id, sha256, enhancer, name, NULL, KEY, KEY_reason, ms) FROM (
                    SELECT *, 'KEY@' || measure AS name, MS AS ms FROM results_2
                    WHERE error IS NULL AND (KEY IS NOT NULL OR KEY_reason IS NOT NULL))""".replace("KEY", key).replace(
            "MS", ms
        )
        for key, ms in (("niqe", "ms_niqe"), ("psnr", "NULL"), ("ssim", "NULL"))
    ),
    "INSERT INTO runs SELECT run_id, record, checksum(record) FROM runs_2",
    "DROP TABLE images_2",
    "DROP TABLE results_2",
    "DROP TABLE runs_2",
)


def record_values(values: dict[str, Any], classes_of: Callable[[str], Sequence[str]]) -> dict[str, Any]:
    """A run's record, as `RunRecord.from_json` takes it.

    Args:
        values: As they were written.
        classes_of: Classes of a detector by its fingerprint, which were kept elsewhere.
    """
    data, detector, measure = dict(values.pop("data")), dict(values.pop("detector")), values.pop("measure")
    protocol = Protocol.from_config(values["protocol"])
    limited = f"@{measure}" if "max_detections" in measure else ""
    detectors = []
    if detector["name"] is not None:
        detectors = [
            {
                "label": detector["name"],
                "spec": detector["name"],
                "fingerprint": detector["fingerprint"] + limited,
                # The oldest records have none; their detector's fingerprint stands for it.
                "identity": detector.get("identity", detector["fingerprint"]),
                "classes": list(classes_of(detector["fingerprint"])),
                "weights": detector.get("weights", {}),
                "checkpoint": detector.get("checkpoint"),
            }
        ]
    names = ["niqe", *(["psnr", "ssim"] if data.get("reference") is not None else [])]
    known = ("name", "root", "split", "groups", "reference")
    return {
        **values,
        "data": {
            **{key: data[key] for key in known if key in data},
            "options": {key: value for key, value in data.items() if key not in known},
        },
        "detectors": detectors,
        "enhancers": [{"spec": e["label"].lower(), **e} for e in values["enhancers"]],
        "metrics": [_built_in(name, f"{name}@{measure}", protocol) for name in names]
        + ([_built_in("voc_ap", "", protocol)] if detectors else []),
    }


def _built_in(name: str, fingerprint: str, protocol: Protocol) -> dict[str, Any]:
    entry = _entry(name, protocol)
    return asdict(replace(entry, fingerprint=fingerprint or entry.fingerprint))


@cache
def _entry(name: str, protocol: Protocol) -> MetricEntry:
    """A history has hundreds of records, and a fingerprint takes a quarter of a second."""
    from duskbench.benchmarks.metrics.registry import load_metric, metric_entry

    return metric_entry(load_metric(name, protocol), name)


def enhancer_evidence(
    about: Mapping[str, Any], arrays: Mapping[str, np.ndarray], record: RunRecord
) -> EnhancerEvidence:
    """What a night kept of an enhancer.

    Args:
        about: The JSON of its archive.
        arrays: The other arrays.
        record: Of the night's run.
    """
    from duskbench.benchmarks.evidence import STAGES, EnhancerEvidence
    from duskbench.benchmarks.evidence_archive import unpacked_ranking
    from duskbench.benchmarks.metrics.base import Ranked
    from duskbench.benchmarks.record import EnhancerEntry
    from duskbench.benchmarks.statistics import Sample

    entry = next((e for e in record.enhancers if e.label == about["label"]), None)
    entry = entry or EnhancerEntry(about["label"], about["label"].lower(), about["fingerprint"])
    entry = replace(entry, weights=about["weights"], error=about["error"])
    by_class = {name: (unpacked_ranking(arrays, number),) for number, name in enumerate(about["classes"])}
    ranked = {"map": Ranked(by_class, record.protocol.ap)} if by_class else {}
    names = {**{stage: stage for stage in STAGES}, "metrics": "niqe"}
    ms = {stage: arrays[f"ms {name}"] for stage, name in names.items() if f"ms {name}" in arrays}
    sample = Sample(entry.label, arrays["measured"], {"niqe": arrays["niqe"]}, ranked)
    return EnhancerEvidence(entry, sample, about["failures"], ms)


def night_values(night: dict[str, Any]) -> dict[str, Any]:
    """A night, as `Night.from_json` takes it."""
    context, environment = night.pop("context"), dict(night.pop("environment"))
    code = environment.pop("detector_code", "")
    entries = [{k: e[k] for k in ("label", "spec", "fingerprint", "error", "upper_bound")} for e in night["enhancers"]]
    numbers = ("label", "n_images", "n_failed", "error", "ms_enhance", "relative_cost")
    return {
        **{key: night[key] for key in ("id", "started", "finished", "verdict", "baseline", "differences", "notes")},
        "rows": night["rows"],
        "record": {
            "name": night["config"],
            "title": night["title"],
            "data": {"name": context["data"]["name"], "root": ""},
            "detector": {**context["detector"], "fingerprint": code},
            "enhancers": entries,
            "protocol": context["protocol"],
            "measure": context["measure"],
            "environment": environment,
            "image_ids": [],
        },
        "n_images": context["data"]["images"],
        "images_digest": context["data"]["sha256"],
        "calibration": night["reference"],
        "enhancers": [{**{key: e[key] for key in numbers}, "scores": _old_scores(e)} for e in night["enhancers"]],
        "findings": [_old_finding(finding) for finding in night["findings"]],
    }


def _old_scores(enhancer: Mapping[str, Any]) -> dict[str, Any]:
    return {key: enhancer[key] for key in ("map", "niqe") if enhancer[key] is not None}


def _old_finding(finding: dict[str, Any]) -> dict[str, Any]:
    outcome = "not gated" if finding["outcome"] == "not judged" else finding["outcome"]
    return {**finding, "outcome": outcome, "score": {"mAP": "map", "NIQE": "niqe"}.get(finding["gate"])}
