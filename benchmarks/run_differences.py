"""What differs between two runs, and whether their numbers can be compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from duskbench.benchmarks.record import DetectorEntry, RunRecord
from duskbench.benchmarks.rows import ImageState
from duskbench.data_tools.classes import canonical


@dataclass(frozen=True)
class Change:
    """Something that is not the same in two runs.

    Attributes:
        field: Where: `protocol.ap`, `environment.packages.torch`, `enhancers.Ours.fingerprint`.
        before: Its value in the first run, in words.
        after: In the second.
        blocking: Whether the runs therefore answer different questions, so that their numbers do not compare.
    """

    field: str
    before: str
    after: str
    blocking: bool = False

    def __str__(self) -> str:
        return f"{self.field}: {self.before} -> {self.after}"


def differences(
    before: RunRecord,
    after: RunRecord,
    images_before: Sequence[ImageState],
    images_after: Sequence[ImageState],
) -> list[Change]:
    """Everything in which two runs differ: what blocks a comparison first, then what may explain other numbers.

    Protocol, images with their ground truth, and the identity of metrics and detectors that both have must be equal.
    Folders need not be: the same files may lie elsewhere. What only one of them has is left out, and blocks where
    nothing that both have is left to compare.
    """
    blocking = [
        *_changes("protocol", before.protocol.to_dict(), after.protocol.to_dict()),
        *_other_metrics(before, after),
        *_metric_changes(before, after, "identity"),
        *_detector_changes(before, after),
        *_image_changes(images_before, images_after),
    ]
    return [Change(c.field, c.before, c.after, blocking=True) for c in blocking] + list(_other_changes(before, after))


def _other_metrics(before: RunRecord, after: RunRecord) -> Iterator[Change]:
    one, other = ({metric.key: metric.heading for metric in record.metrics} for record in (before, after))
    if (one or other) and not one.keys() & other.keys():
        yield Change("metrics", ", ".join(one.values()) or "none", ", ".join(other.values()) or "none")


def _metric_changes(before: RunRecord, after: RunRecord, key: Literal["identity", "fingerprint"]) -> Iterator[Change]:
    one, other = ({metric.key: metric for metric in record.metrics} for record in (before, after))
    for name in one:
        # Of a first version's record only the rules are known, not the code.
        if name in other and not (key == "fingerprint" and "@" in one[name].fingerprint + other[name].fingerprint):
            yield from _changes(f"metrics.{name}.{key}", getattr(one[name], key), getattr(other[name], key))


def _detector_changes(before: RunRecord, after: RunRecord) -> Iterator[Change]:
    one, other = ({d.label: d for d in record.detectors} for record in (before, after))
    shared = [label for label in one if label in other]
    if not shared and (one or other):
        yield Change("detector.name", ", ".join(one) or "none", ", ".join(other) or "none")
    for label in shared:
        prefix = "detector" if len(one) == len(other) == 1 else f"detector.{label}"
        yield from _changes(f"{prefix}.identity", one[label].identity, other[label].identity)
        known = [_asked_classes(record, of[label]) for record, of in ((before, one), (after, other))]
        # Of a first version's record they may not be known.
        if all(known):
            yield from _changes(f"{prefix}.classes", *known)


def _asked_classes(record: RunRecord, detector: DetectorEntry) -> list[str]:
    """What a mAP is the mean over: a plug-in's identity may be the same though it has other classes."""
    asked = set(map(canonical, record.protocol.classes))
    return sorted(asked & set(map(canonical, detector.classes)))


def _image_changes(before: Sequence[ImageState], after: Sequence[ImageState]) -> Iterator[Change]:
    old, new = {image.id: image for image in before}, {image.id: image for image in after}
    both = [image_id for image_id in new if image_id in old]
    kinds = {
        "new": [i for i in new if i not in old],
        "gone": [i for i in old if i not in new],
        "missing from the tree": [i for i in both if new[i].sha256 is None and old[i].sha256 is not None],
        "back in the tree": [i for i in both if new[i].sha256 is not None and old[i].sha256 is None],
        "with other content": [
            i for i in both if new[i].sha256 != old[i].sha256 and None not in (new[i].sha256, old[i].sha256)
        ],
        "with other ground truth": [i for i in both if new[i].truth != old[i].truth],
    }
    for what, ids in kinds.items():
        if ids:
            count = f"{len(ids)} image{'' if len(ids) == 1 else 's'} {what} (the first: {', '.join(ids[:3])})"
            yield Change("data.images", f"{len(old)} images", f"{len(new)} images, {count}")


def _other_changes(before: RunRecord, after: RunRecord) -> Iterator[Change]:
    """Fingerprints, enhancers' weights, versions, commit, machine, device."""
    one, other = ({e.label: e for e in record.enhancers} for record in (before, after))
    for label in other:
        if label in one:
            for key in ("fingerprint", "weights"):
                yield from _changes(f"enhancers.{label}.{key}", getattr(one[label], key), getattr(other[label], key))
    mine, theirs = ({d.label: d for d in record.detectors} for record in (before, after))
    for label in theirs:
        if label in mine:
            yield from _changes(f"detector.{label}.fingerprint", mine[label].fingerprint, theirs[label].fingerprint)
    yield from _metric_changes(before, after, "fingerprint")
    environments = [
        {k: v for k, v in asdict(record.environment).items() if k not in ("started", "argv", "host")}
        for record in (before, after)
    ]
    yield from _changes("environment", *environments)


def _changes(name: str, before: Any, after: Any) -> Iterator[Change]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            yield from _changes(f"{name}.{key}", before.get(key), after.get(key))
    elif before != after:
        yield Change(name, in_words(before), in_words(after))


def in_words(value: Any) -> str:
    """A value of a record for people; of a hash the first twelve digits."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return value[:12] if isinstance(value, str) and len(value) == 64 and value.isalnum() else str(value)


def images_digest(states: Sequence[ImageState]) -> str:
    """One hash of all images, in their order."""
    lines = (f"{state.id} {state.sha256} {state.truth}\n" for state in states)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
