"""What must be equal for two nights to be compared, what differs, and what may have caused a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from duskbench.benchmarks.nightly.kept import ImageState, Kept, images_sha256
from duskbench.benchmarks.protocol import Protocol


def context_of(record: Mapping[str, Any], images: Sequence[ImageState]) -> dict[str, Any]:
    """The part of a run's record that must be equal; folders are not in it, the same files may lie elsewhere."""
    return {
        "protocol": record["protocol"],
        "measure": record["measure"],
        "detector": {key: record["detector"][key] for key in ("name", "identity")},
        "data": {"name": record["data"]["name"], "images": len(images), "sha256": images_sha256(images)},
    }


def differences(
    now: Mapping[str, Any],
    before: Mapping[str, Any],
    images_now: Sequence[ImageState],
    images_before: Sequence[ImageState],
) -> list[str]:
    """Every field in which two contexts differ, a line each; none where the nights can be compared."""
    # A field that the protocol did not have then had its default: that is what was done.
    fields_now, fields_before = ({**Protocol().to_dict(), **context["protocol"]} for context in (now, before))
    found = [
        f"protocol.{key}: {fields_before.get(key)!r} -> {fields_now.get(key)!r}"
        for key in sorted({*fields_now, *fields_before})
        if fields_now.get(key) != fields_before.get(key)
    ]
    if not found and now["measure"] != before["measure"]:
        found.append(f"measure: {before['measure']!r} -> {now['measure']!r}")
    if now["detector"] != before["detector"]:
        was, became = (f"{c['detector']['name']} {c['detector']['identity'][:12]}" for c in (before, now))
        found.append(f"detector: {was} -> {became}")
    if now["data"]["sha256"] != before["data"]["sha256"]:
        found += [f"data set: {line}" for line in _image_differences(images_now, images_before)]
    return found


def _image_differences(now: Sequence[ImageState], before: Sequence[ImageState]) -> list[str]:
    new, old = {image.id: image for image in now}, {image.id: image for image in before}
    both = [image_id for image_id in new if image_id in old]
    kinds = {
        "new": [image_id for image_id in new if image_id not in old],
        "gone": [image_id for image_id in old if image_id not in new],
        "missing from the tree": [i for i in both if new[i].sha256 is None and old[i].sha256 is not None],
        "back in the tree": [i for i in both if new[i].sha256 is not None and old[i].sha256 is None],
        "with other content": [
            i for i in both if new[i].sha256 != old[i].sha256 and None not in (new[i].sha256, old[i].sha256)
        ],
        "with other ground truth": [i for i in both if new[i].truth != old[i].truth],
    }
    lines = [f"{_count(ids)} {what} (the first: {', '.join(ids[:3])})" for what, ids in kinds.items() if ids]
    return lines or ["the same images in another order"]


def _count(ids: Sequence[str]) -> str:
    return f"{len(ids)} image" + ("" if len(ids) == 1 else "s")


def changed_versions(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Packages, interpreter, commit and machine that differ between two environments, `torch 2.14 -> 2.15`."""
    flat_now, flat_before = _flat(now), _flat(before)
    return [
        f"{name} {flat_before.get(name)} -> {flat_now.get(name)}"
        for name in dict.fromkeys([*flat_now, *flat_before])
        if flat_now.get(name) != flat_before.get(name)
    ]


def _flat(environment: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **environment["packages"],
        "python": environment["python"],
        "commit": environment["git"],
        "device": environment["device"],
        "GPU": environment["gpu"],
        "processor": environment["processor"],
        "cores": environment["cores"],
        "detector's code": environment.get("detector_code"),
    }


def cause(now: Kept, before: Kept, versions: Sequence[str]) -> str:
    """What may have caused other numbers: the enhancer itself, or what it stands on.

    Args:
        now: The enhancer tonight.
        before: In the baseline.
        versions: From `changed_versions`.
    """
    changed = ", ".join(versions)
    if now.fingerprint != before.fingerprint:
        part = "weights, and perhaps code or arguments" if now.weights != before.weights else "code or arguments"
        also = f"; also changed: {changed}" if changed else ""
        return f"its fingerprint changed ({part}: {before.fingerprint[:12]} -> {now.fingerprint[:12]}){also}"
    if changed:
        return f"same fingerprint, so not its code or weights; changed: {changed}"
    return "same fingerprint, same versions, same machine: it is not deterministic, or reads something unrecorded"
