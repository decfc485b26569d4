"""From a night's rows and the history's baseline to a night with a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from duskbench.benchmarks.config import BenchmarkConfig
from duskbench.benchmarks.evaluate import bootstrap_options
from duskbench.benchmarks.nightly.comparable import changed_versions, context_of, differences
from duskbench.benchmarks.nightly.folder import NightFolder
from duskbench.benchmarks.nightly.gate import (
    Earlier,
    Limits,
    failures_finding,
    judge_enhancer,
    missing_images_finding,
    moved_without_reason,
    vanished_finding,
)
from duskbench.benchmarks.nightly.history import History
from duskbench.benchmarks.nightly.kept import IMAGES, unpack, unpack_images
from duskbench.benchmarks.nightly.measuring import Measured
from duskbench.benchmarks.nightly.night import Finding, Night, NightEnhancer, Verdict
from duskbench.benchmarks.nightly.speed import stage_findings
from duskbench.benchmarks.statistics import Bootstrap
from duskbench.data_tools.errors import DataError


def judge(
    config: BenchmarkConfig, limits: Limits, folder: NightFolder, measured: Measured, history: History
) -> tuple[Night, list[str]]:
    """Compare a night with the baseline.

    Returns:
        The night, and the labels whose baseline it becomes by itself: all of a first night that is whole, and new ones.
    """
    baseline = history.baseline(config.name)
    nights = {night.id: night for night in history.nights(config.name)}
    context = context_of(measured.record, measured.images)
    differing: list[str] = []
    if baseline:
        # All nights that a baseline is made of can be compared with each other.
        before = nights[max(baseline.values())]
        images = unpack_images(_there(history.evidence(before.id, IMAGES), history, before.id))
        differing = differences(context, before.context, measured.images, images)
    bootstrap = _bootstrap(measured)
    notes: list[str] = []
    joins: list[str] = []
    if differing:
        findings = [failures_finding(kept, None) for kept in measured.kept.values()]
    else:
        earlier = {
            label: Earlier(
                kept=unpack(_there(history.evidence(night, f"enhancer:{label}"), history, night)),
                reference=nights[night].reference,
                versions=changed_versions(measured.environment, nights[night].environment),
            )
            for label, night in baseline.items()
        }
        findings = _findings(measured, earlier, baseline, bootstrap, limits)
        notes = [
            note
            for label, kept in measured.kept.items()
            if label in earlier and (note := moved_without_reason(kept, earlier[label])) is not None
        ]
        joins = _joins(measured, earlier, findings)
    failed = any(finding.outcome == "failed" for finding in findings)
    verdict: Verdict = "not comparable" if differing else "red" if failed else "green"
    night = Night(
        id=folder.id,
        config=config.name,
        title=config.title,
        started=folder.started,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        verdict=verdict,
        baseline=tuple(sorted(set(baseline.values()))),
        context=context,
        environment=measured.environment,
        reference=measured.reference,
        enhancers=tuple(_numbers(entry, measured, bootstrap) for entry in measured.record["enhancers"]),
        findings=tuple(findings),
        differences=tuple(differing),
        notes=tuple(notes),
        rows=measured.rows,
    )
    return night, joins


def _findings(
    measured: Measured,
    earlier: Mapping[str, Earlier],
    baseline: Mapping[str, str],
    bootstrap: Bootstrap,
    limits: Limits,
) -> list[Finding]:
    findings: list[Finding] = []
    for label, kept in measured.kept.items():
        findings += judge_enhancer(kept, earlier.get(label), measured.reference, bootstrap, limits)
    findings += [vanished_finding(label) for label in baseline if label not in measured.kept]
    if not baseline:
        return findings + ([missing_images_finding(measured.missing)] if measured.missing else [])
    # The stages are compared over the enhancers that share a baseline night, and with it a reference workload.
    night = Counter(baseline.values()).most_common(1)[0][0]
    both = [label for label in measured.kept if baseline.get(label) == night]
    pairs = [(measured.kept[label], earlier[label].kept) for label in both]
    pairs = [pair for pair in pairs if not any(each.is_empty for each in pair)]
    if pairs:
        first = earlier[both[0]]
        findings += stage_findings(pairs, measured.reference, first.reference, limits.throughput, first.versions)
    return findings


def _joins(measured: Measured, earlier: Mapping[str, Earlier], findings: list[Finding]) -> list[str]:
    failed = {finding.subject for finding in findings if finding.outcome == "failed"}
    if not earlier:
        return [] if failed else list(measured.kept)
    new = [label for label in measured.kept if label not in earlier or earlier[label].kept.is_empty]
    return [label for label in new if label not in failed and not measured.kept[label].is_empty]


def _bootstrap(measured: Measured) -> Bootstrap:
    anywhere = np.any([kept.sample.measured for kept in measured.kept.values()], axis=0)
    options = bootstrap_options(measured.record)
    return Bootstrap(measured.run.objects(), options, measured.run.protocol.ap, within=anywhere)


def _numbers(entry: Mapping[str, Any], measured: Measured, bootstrap: Bootstrap) -> NightEnhancer:
    kept = measured.kept[entry["label"]]
    times = kept.ms["enhance"][~np.isnan(kept.ms["enhance"])] if "enhance" in kept.ms else np.zeros(0)
    ms = float(np.median(times)) if len(times) else None
    spread = None if kept.is_empty else bootstrap.spread(kept.sample)
    return NightEnhancer(
        label=entry["label"],
        fingerprint=entry["fingerprint"],
        spec=entry["spec"],
        n_images=int(kept.sample.measured.sum()),
        n_failed=len(kept.failures),
        error=entry["error"],
        upper_bound=entry["upper_bound"],
        map=spread.map if spread else None,
        niqe=spread.niqe if spread else None,
        ms_enhance=ms,
        relative_cost=ms / measured.reference.ms if ms is not None and measured.reference.ms else None,
    )


def _there(content: bytes | None, history: History, night: str) -> bytes:
    if content is None:
        raise DataError(
            "The history lacks what its baseline needs; it is left as it is.",
            where=history.path,
            expected=f"the results of night {night}",
            todo="restore it from a copy, or name another file to begin a new history",
        )
    return content
