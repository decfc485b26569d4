from __future__ import annotations

import pytest

from duskbench.data_tools.classes import (
    COCO_CLASSES,
    EXDARK_CLASSES,
    EXDARK_TO_VOC,
    SHARED_CLASSES,
    VOC_CLASSES,
    canonical,
    is_known,
    is_synonym,
    match_classes,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TV Monitor", "tvmonitor"), ("tv/monitor", "tvmonitor"), ("tv", "tvmonitor"), ("TV", "tvmonitor"),
        (" Person\n", "person"), ("People", "person"), ("potted-plant", "pottedplant"), ("potted plant", "pottedplant"),
        ("dining_table", "diningtable"), ("Table", "diningtable"), ("motorcycle", "motorbike"),
        ("Motor Bike", "motorbike"),
        ("airplane", "aeroplane"), ("Couch", "sofa"), ("Cup", "cup"), ("traffic_light", "traffic light"),
        ("Face", "face"), ("\ufeffcar\u200b", "car"), ("Pedestrian", "Pedestrian"), ("  van  body ", "van body"),
    ],
)  # fmt: skip
def test_canonical(name: str, expected: str) -> None:
    assert canonical(name) == expected
    assert canonical(expected) == expected


def test_every_class_of_voc_keeps_its_name_and_no_two_meet() -> None:
    assert [canonical(name) for name in VOC_CLASSES] == list(VOC_CLASSES)
    # COCO's own list of which of its 80 are VOC's 20: every one of VOC has its counterpart.
    assert set(VOC_CLASSES) < {canonical(name) for name in COCO_CLASSES}
    assert len({canonical(name) for name in COCO_CLASSES}) == 80
    assert len({canonical(name) for name in EXDARK_CLASSES}) == 12


def test_exdark_in_voc_spelling_is_the_papers_table() -> None:
    assert EXDARK_TO_VOC["People"] == "person" and EXDARK_TO_VOC["Table"] == "diningtable"
    assert SHARED_CLASSES == (
        "bicycle", "boat", "bottle", "bus", "car", "cat", "chair", "dog", "motorbike", "person", "diningtable",
    )  # fmt: skip


def test_what_is_known() -> None:
    assert is_known("Traffic Light") and is_known("FACE") and not is_known("persn")
    assert is_synonym("People") and not is_synonym("Person") and not is_synonym("van")


def test_match_of_a_detector_and_a_protocol() -> None:
    match = match_classes(["car", "Dining Table", "zebra", "People", "persons"], ["person", "diningtable", "cow"])
    assert match.to_protocol == (None, 1, None, 0, 0)
    assert match.not_detectable == ("cow",)
    assert match_classes(["caf\xe9"], ["CAFE\u0301"]).to_protocol == (0,)
    assert match_classes([], ["face"]).not_detectable == ("face",)
