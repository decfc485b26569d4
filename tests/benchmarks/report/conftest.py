"""A report's content made by hand: every number is known, and one enhancer has a hostile name."""

from __future__ import annotations

import numpy as np
import pytest

from duskbench.benchmarks.breakdown import Breakdown, Part
from duskbench.benchmarks.changes import Changes, Curve, ImageChange, Tally
from duskbench.benchmarks.evaluate import EnhancerResult
from duskbench.benchmarks.nightly.night import Finding, Night, NightEnhancer, Reference
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.report.content import ReportContent
from duskbench.benchmarks.report.gallery import Drawn, Shown, View
from duskbench.benchmarks.report.pictures import PictureSet, encode_within
from duskbench.benchmarks.statistics import BootstrapOptions, Difference, Interval, Spread
from duskbench.benchmarks.table import build_table
from duskbench.data_tools.records import ImageRecord, ObjectAnnotation

HOSTILE = "<script>window.hacked=1</script>"
LABELS = ("Input", "Bright", "Dim", HOSTILE, "Broken")
IDS = tuple(f"2015_{number:05d}" for number in range(1, 7))
CLASSES = ("car", "person", "dog")
MAPS = {"Input": 0.40, "Bright": 0.55, "Dim": 0.31, HOSTILE: 0.42}
NIQES = {"Input": 8.5, "Bright": 6.25, "Dim": 9.75, HOSTILE: 10.5}
CHANGES = {
    "Bright": Interval(0.15, 0.10, 0.20),
    "Dim": Interval(-0.09, -0.15, -0.02),
    HOSTILE: Interval(0.02, -0.03, 0.08),
}


def make_record() -> dict[str, object]:
    """The record of a run with five enhancers, one of which could not be built."""
    enhancers = [
        {
            "label": label,
            "spec": "input" if label == "Input" else f"mine.py:{number}",
            "fingerprint": f"{number}" * 64,
            "error": "No weights.\n  where: </table><b>x.pth" if label == "Broken" else None,
            "upper_bound": False,
            "origin": None,
        }
        for number, label in enumerate(LABELS)
    ]
    return {
        "name": "hand",
        "title": "Made by hand <b>&amp;",
        "data": {"root": "data", "layout": "voc", "split": "test", "name": "VOC"},
        "detector": {"name": "colours", "fingerprint": "f" * 64},
        "enhancers": enhancers,
        "protocol": Protocol(classes=CLASSES).to_dict(),
        "measure": "niqe=rgb2gray",
        "paper": {},
        "image_ids": list(IDS),
        "limit": None,
        "environment": {
            "started": "2026-11-22T03:00:00+00:00",
            "argv": ["duskbench", "run", "</script><script>window.hacked=2</script>"],
            "python": "3.11.7",
            "platform": "Linux",
            "device": "cpu",
            "gpu": None,
            "packages": {"duskbench": "0.1.0", "torch": "2.15.0"},
            "git": "0123456789ab",
        },
    }


def make_results() -> tuple[EnhancerResult, ...]:
    """Bright is better than Input, Dim worse, the hostile one is not settled, Broken has nothing."""
    results = []
    for label in LABELS[:-1]:
        difference = Difference(
            "Input",
            6,
            0,
            map=CHANGES.get(label),
            niqe=Interval(NIQES[label] - 8.5, NIQES[label] - 8.9, NIQES[label] - 8.1),
        )
        results.append(
            EnhancerResult(
                label,
                6 if label != "Dim" else 5,
                6,
                failures={"2015_00006": "ValueError: <img src=x onerror=alert(1)>"} if label == "Dim" else {},
                niqe=NIQES[label],
                map=MAPS[label],
                ap=dict.fromkeys(CLASSES, MAPS[label]),
                ms_enhance=1.25,
                map_interval=Interval(MAPS[label], MAPS[label] - 0.05, MAPS[label] + 0.05),
                niqe_interval=Interval(NIQES[label], NIQES[label] - 0.2, NIQES[label] + 0.2),
                against={} if label == "Input" else {"Input": difference},
            )
        )
    return (*results, EnhancerResult("Broken", 0, 6, error="No weights.\n  where: </table><b>x.pth"))


def make_breakdown(by: str, names: tuple[str, ...]) -> Breakdown:
    """The same numbers in each part."""
    spreads = {label: Spread(map=Interval(MAPS[label], MAPS[label] - 0.1, MAPS[label] + 0.1)) for label in MAPS}
    differences = {label: Difference("Input", 3, 0, map=change) for label, change in CHANGES.items()}
    parts = tuple(Part(name, 3, 4, spreads, differences) for name in names)
    return Breakdown(by, "Input", tuple(MAPS), parts, (f"A note on {by}.",))  # type: ignore[arg-type]


def make_changes() -> tuple[Changes, ...]:
    """Bright gains an object in the first image and loses one in the second."""
    changes = []
    for label in CHANGES:
        gained = ImageChange(IDS[0], Tally(gained=1, kept=1), (0,), (), (), ())
        lost = ImageChange(IDS[1], Tally(lost=1), (), (0,), (), ())
        changes.append(Changes(label, "Input", 0.4, 6, Tally(1, 1, 3, 1, 2, 5), {}, (gained, lost)))
    return tuple(changes)


def make_shown(image_id: str) -> Shown:
    """A car and a dog; Input finds the dog and raises a false alarm, the others find both."""
    objects = (ObjectAnnotation("car", (10.0, 10.0, 60.0, 50.0)), ObjectAnnotation("dog", (80.0, 40.0, 120.0, 80.0)))
    dog = Drawn("dog", (79.0, 40.0, 120.0, 81.0), 0.9, "found", 1)
    car = Drawn("car", (11.0, 9.0, 62.0, 50.0), 0.5, "found", 0)
    alarm = Drawn("person", (100.0, 5.0, 140.0, 30.0), 0.6, "false_alarm")
    views = {label: View((dog, car)) for label in MAPS} | {"Input": View((dog, alarm))}
    if image_id == IDS[1]:
        views["Dim"] = View(measured=False, reason="It <b>failed</b> here.")
    record = ImageRecord(image_id, f"{image_id}.jpg", objects, "test", "Low", False)  # type: ignore[arg-type]
    return Shown(record, None, views)


def make_pictures(shown: Shown) -> PictureSet:
    """Flat pictures, brighter by enhancer; an enhancer that failed has none."""
    pictures = {
        label: np.full((120, 160, 3), 40 + 50 * number, np.uint8)
        for number, label in enumerate(MAPS)
        if shown.views[label].reason is None
    }
    encoded = encode_within(pictures, 100_000)
    assert encoded is not None
    reasons = {label: view.reason for label, view in shown.views.items() if view.reason is not None}
    return PictureSet((160, 120), encoded, reasons)


def make_nights(n: int) -> list[Night]:
    """Nights of which the last is red; Bright rises by a point a night."""
    nights = []
    for number in range(n):
        enhancers = tuple(
            NightEnhancer(
                label,
                "f",
                "input",
                6,
                0,
                map=Interval(MAPS[label] + (0.01 * number if label == "Bright" else 0)),
                niqe=Interval(NIQES[label], NIQES[label] - 0.1, NIQES[label] + 0.1),
            )
            for label in MAPS
        )
        red = number == n - 1
        finding = Finding("Bright", "mAP", "failed" if red else "passed", "mAP fell by <2 points")
        nights.append(
            Night(
                id=f"n{number}",
                config="hand",
                title="Made by hand",
                started=f"2026-11-{number + 1:02d}T03:00:00+00:00",
                finished=f"2026-11-{number + 1:02d}T03:10:00+00:00",
                verdict="red" if red else "green",
                baseline=(),
                context={"protocol": "a"},
                environment={"git": "0123456789ab"},
                reference=Reference(1.0, 10, 1, 1),
                enhancers=enhancers,
                findings=(finding,),
                is_baseline=number == 0,
            )
        )
    return nights


def make_content() -> ReportContent:
    """Everything at once."""
    record, results = make_record(), make_results()
    options = BootstrapOptions(100)
    recall = np.linspace(0.01, 0.9, 90)
    curve = Curve(recall, 1 - recall**2, 1 - recall, 0.5, 4)
    shown = tuple(map(make_shown, IDS[:3]))
    return ReportContent(
        record=record,
        results=results,
        table=build_table(record, results, options),
        options=options,
        breakdowns=(make_breakdown("class", CLASSES), make_breakdown("lighting", ("Low", "Strong"))),
        curves={label: dict.fromkeys(CLASSES, curve) for label in MAPS},
        changes=make_changes(),
        shown=shown,
        pictures=tuple(map(make_pictures, shown)),
        remade=("Dim",),
        history=tuple(make_nights(6)),
    )


@pytest.fixture(scope="session")
def content() -> ReportContent:
    """The content; frozen, so one is enough."""
    return make_content()
