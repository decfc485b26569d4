"""The gate of failures: images that fail and did not before, and enhancers that can no longer be built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from duskbench.benchmarks.evidence import EnhancerEvidence, RowEvidence, RunEvidence
from duskbench.benchmarks.nightly.night import GateFinding
from duskbench.benchmarks.notes import failures_by_reason

_REASONS_SHOWN = 3


def failures_finding(now: RowEvidence, before: RowEvidence | None, tonight: RunEvidence) -> GateFinding:
    """What is to say of failures of a row: of several trainings the worst, naming those that it is said of."""
    known = {one.entry.label: one for one in before.each} if before is not None else {}
    found = [_failures_finding(one, known.get(one.entry.label), tonight) for one in now.each]
    worst = max((finding.outcome for finding in found), key=("passed", "not gated", "failed").index)
    said = [finding for finding in found if finding.outcome == worst]
    messages = list(dict.fromkeys(finding.message for finding in said))
    if len(messages) == 1 and len(said) == len(found):
        return replace(said[0], subject=now.label)
    message = "; ".join(f"{finding.subject}: {finding.message}" for finding in said)
    return GateFinding(now.label, "failures", worst, message)


def _failures_finding(now: EnhancerEvidence, before: EnhancerEvidence | None, tonight: RunEvidence) -> GateFinding:
    """Red for an image that fails and did not in the baseline, for one that was not measured, and for an enhancer that
    can no longer be built.
    """  # noqa: D205 - a list of three
    label = now.sample.label
    if now.entry.error is not None:
        reason = " ".join(now.entry.error.split())
        known = before is not None and before.entry.error is not None
        ending = "; so it was in the baseline" if known else ""
        return GateFinding(label, "failures", "not gated" if known else "failed", f"cannot be built: {reason}{ending}")
    there = np.array([state.sha256 is not None for state in tonight.images], bool)
    lost = int((there & ~now.sample.measured).sum()) - len(now.failures)
    excused = set() if before is None else set(before.failures)
    new = [image_id for image_id in now.failures if image_id not in excused]
    known_failures = len(now.failures) - len(new)
    ending = f"; {known_failures} that failed in the baseline too" if known_failures else ""
    if lost > 0:
        return GateFinding(label, "failures", "failed", f"{lost} images were not measured{ending}")
    if not new:
        return GateFinding(label, "failures", "passed", f"no image fails that did not before{ending}")
    return GateFinding(label, "failures", "failed", f"{len(new)} images fail{ending}: {_reasons(now.failures, new)}")


def _reasons(failures: Mapping[str, str], image_ids: Sequence[str]) -> str:
    """Each reason once, with how many images have it and one of them."""
    each = failures_by_reason(("", image_id, " ".join(failures[image_id].split())) for image_id in image_ids)
    shown = [f"{images}: {reason}" for _, images, reason in each]
    more = f"; {len(shown) - _REASONS_SHOWN} other reasons" if len(shown) > _REASONS_SHOWN else ""
    return "; ".join(shown[:_REASONS_SHOWN]) + more
