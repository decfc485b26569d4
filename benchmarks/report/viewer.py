"""What the script of the pictures reads: JSON values only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from duskbench.benchmarks.changes import Tally
from duskbench.benchmarks.report.content import ReportContent, best_first
from duskbench.benchmarks.report.gallery import LOWEST_SCORE, Drawn, Shown
from duskbench.benchmarks.report.pictures import PictureSet

# Of the boxes, where there is no baseline on which to find the best one.
_THRESHOLD = 0.3
_KINDS = {"found": 0, "false_alarm": 1, "ignored": 2}


def viewer_data(content: ReportContent, short: Callable[[str], str]) -> dict[str, Any]:
    """Images, their pictures, and what each detector found in them; `short` bounds the length of a reason."""
    record = content.record
    labels = [e.label for e in record.enhancers if any(e.label in one.views for one in content.shown)]
    thresholds = [_THRESHOLD if found.threshold is None else found.threshold for found in content.detectors]
    tallies = [
        {change.label: {image.image_id: image.tally for image in change.images} for change in found.changes}
        for found in content.detectors
    ]
    best = best_first(record, content.results, record.headline)
    ranked = [entry.label for result in best for entry in record.rows[result.label]]
    bounds = {entry.label for entry in record.enhancers if entry.upper_bound}
    competing = [label for label in [*ranked, *labels] if label in labels and label not in bounds]
    return {
        "labels": labels,
        "left": content.baseline or labels[0],
        "right": next((label for label in competing if label != content.baseline), labels[-1]),
        "detectors": [
            {"label": found.label, "threshold": threshold}
            for found, threshold in zip(content.detectors, thresholds, strict=True)
        ],
        "lowest": min([LOWEST_SCORE, *thresholds]),
        "classes": list(record.protocol.classes),
        "images": [
            _image(one, pictures, tallies, short) for one, pictures in zip(content.shown, content.pictures, strict=True)
        ],
    }


def _image(
    one: Shown,
    pictures: PictureSet,
    tallies: Sequence[Mapping[str, Mapping[str, Tally]]],
    short: Callable[[str], str],
) -> dict[str, Any]:
    record = one.record
    facts = [
        record.id,
        f"lighting: {record.lighting}" if record.lighting else "",
        {True: "indoors", False: "outdoors", None: ""}[record.indoor],
    ]
    return {
        "id": record.id,
        "facts": " · ".join(filter(None, facts)),
        "size": list(pictures.size) if pictures.size else None,
        "objects": [[o.name, [round(v, 1) for v in o.box_xyxy], int(o.difficult)] for o in record.objects or ()],
        "pictures": pictures.pictures,
        "reasons": {label: short(reason) for label, reason in pictures.reasons.items()},
        # Of each detector: label of the enhancer -> detections; objects gained less false alarms added.
        "detections": [
            {
                label: [_detection(d) for d in view.detections[number]]
                for label, view in one.views.items()
                if number < len(view.detections)
            }
            for number in range(len(tallies))
        ],
        "net": [
            {label: images[record.id].net if record.id in images else 0 for label, images in of.items()}
            for of in tallies
        ],
    }


def _detection(drawn: Drawn) -> list[Any]:
    return [
        drawn.name,
        list(drawn.box_xyxy),
        drawn.score,
        _KINDS[drawn.kind],
        -1 if drawn.object is None else drawn.object,
    ]
