"""What a report says of each detection, against the boxes themselves."""

from __future__ import annotations

from pathlib import Path

from duskbench.benchmarks.report.gallery import LOWEST_SCORE, read_shown
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.stored_run import read_run_images
from tests.benchmarks.fabricate import make_images, make_run

Box = tuple[float, float, float, float]


def overlap(a: Box, b: Box) -> float:
    """IoU, written out."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def test_what_is_found_lies_on_an_object_and_nothing_is_found_twice(tmp_path: Path) -> None:
    images = make_images(30)
    gone = [images[0].record.id, images[7].record.id]
    record = make_run(tmp_path, images, {"Input": 0.5, "Better": 0.8}, failing={"Better": gone})
    with ResultStore(tmp_path / "results.sqlite", reading=True) as store:
        shown = read_shown(store, read_run_images(store, record), dict.fromkeys(("Input", "Better"), ("made",)))
    found, alarms = 0, 0
    for one in shown:
        objects = one.record.objects or ()
        assert one.views["Better"].reason == ("too dark" if one.record.id in gone else None)
        for detections in (found for view in one.views.values() for found in view.detections):
            hits = [d for d in detections if d.kind == "found"]
            assert len({d.object for d in hits}) == len(hits)
            for detection in hits:
                assert detection.object is not None
                target = objects[detection.object]
                assert target.name == detection.name and not target.difficult
                assert overlap(detection.box_xyxy, target.box_xyxy) > 0.5
            for detection in (d for d in detections if d.kind == "false_alarm"):
                rivals = [o for o in objects if o.name == detection.name]
                near = [o for o in rivals if overlap(detection.box_xyxy, o.box_xyxy) > 0.5]
                taken = {d.object for d in hits if d.score >= detection.score}
                assert all(objects.index(o) in taken for o in near)
                alarms += 1
            found += len(hits)
            scores = [d.score for d in detections]
            assert scores == sorted(scores, reverse=True) and all(s >= LOWEST_SCORE for s in scores)
    assert found > 20 and alarms > 20
