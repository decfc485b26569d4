"""A report's content made by hand: every number is known, and names of all kinds are hostile.

Its metrics of images are none of duskbench's own: the report knows no metric by name.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from duskbench.benchmarks.breakdown import Breakdown, Part
from duskbench.benchmarks.changes import Changes, Curve, ImageChange, Tally
from duskbench.benchmarks.evaluate import EnhancerResult
from duskbench.benchmarks.nightly.night import Calibration, GateFinding, Night, NightEnhancer
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.record import (
    DataEntry,
    DetectorEntry,
    EnhancerEntry,
    Environment,
    MetricEntry,
    RunRecord,
)
from duskbench.benchmarks.report.content import DetectorContent, ReportContent
from duskbench.benchmarks.report.gallery import Drawn, Shown, View
from duskbench.benchmarks.report.pictures import PictureSet, encode_within
from duskbench.benchmarks.statistics import BootstrapOptions, Difference, Draws, Interval, Spread
from duskbench.benchmarks.table import build_table
from duskbench.data_tools.records import ImageRecord, ObjectAnnotation

HOSTILE = "<script>window.hacked=1</script>"
LABELS = ("Input", "Bright", "Dim", HOSTILE, "Broken")
IDS = tuple(f"2015_{number:05d}" for number in range(1, 7))
CLASSES = ("car", "person", "dog")
METRICS = (
    MetricEntry("haze", "mine.py:Haze", "h" * 64, "i", "image", "Haze <i>", "lower", note="Haze <i>: by eye."),
    MetricEntry("map", "voc_ap", "a" * 64, "i", "detections", "mAP", "higher", digits=2, factor=100.0),
    MetricEntry("clear", "mine.py:Clear", "c" * 64, "i", "image", "Clearness", "higher", digits=4),
)
DETECTORS = (
    DetectorEntry("colours", "colours", "f" * 64, "i", CLASSES),
    DetectorEntry("shapes <u>", "mine.py:Shapes", "e" * 64, "i", CLASSES),
)
# Label -> score -> number and its difference to Input.
MAPS = {"Input": 0.40, "Bright": 0.55, "Dim": 0.31, HOSTILE: 0.42}
SCORES = {
    "map": MAPS,
    "map colours": MAPS,
    "map shapes <u>": {"Input": 0.30, "Bright": 0.50, "Dim": 0.45, HOSTILE: 0.25},
    "haze": {"Input": 8.5, "Bright": 6.25, "Dim": 9.75, HOSTILE: 10.5},
    "clear": {"Input": 0.5, "Bright": 0.625, "Dim": 0.25, HOSTILE: 0.75},
}
HALF = {"haze": 0.4, "clear": 0.05}
CHANGES = {
    "Bright": Interval(0.15, 0.10, 0.20),
    "Dim": Interval(-0.09, -0.15, -0.02),
    HOSTILE: Interval(0.02, -0.03, 0.08),
}


def make_record(detectors: int = 1) -> RunRecord:
    """The record of a run with five enhancers, one of which could not be built."""
    enhancers = tuple(
        EnhancerEntry(
            label,
            "input" if label == "Input" else f"mine.py:{number}",
            f"{number}" * 64,
            error="No weights.\n  where: </table><b>x.pth" if label == "Broken" else None,
        )
        for number, label in enumerate(LABELS)
    )
    return RunRecord(
        name="hand",
        title="Made by hand <b>&amp;",
        data=DataEntry("VOC", "data", groups=("A <b>", "B")),
        detectors=DETECTORS[:detectors],
        enhancers=enhancers,
        metrics=METRICS if detectors else METRICS[::2],
        protocol=Protocol(classes=CLASSES),
        bootstrap=BootstrapOptions(100),
        environment=Environment(
            started="2026-11-22T03:00:00+00:00",
            argv=("duskbench", "run", "</script><script>window.hacked=2</script>"),
            python="3.11.7",
            platform="Linux",
            device="cpu",
            packages={"duskbench": "0.1.0", "torch": "2.15.0"},
            git="0123456789ab",
        ),
        image_ids=IDS,
    )


def interval(value: float, half: float) -> Interval:
    """The same distance to both ends."""
    return Interval(value, value - half, value + half)


def moved(record: RunRecord, label: str) -> dict[str, Interval]:
    """Differences of all scores to Input; those of the first detector's mAP are `CHANGES`."""
    made = {}
    for key, numbers in SCORES.items():
        if key in {score.key for score in record.columns()}:
            made[key] = interval(numbers[label] - numbers["Input"], HALF.get(key, 0.06))
            if numbers is MAPS:
                made[key] = CHANGES[label]
    return made


def make_results(detectors: int = 1) -> tuple[EnhancerResult, ...]:
    """Bright is better than Input, Dim worse, the hostile one is not settled, Broken has nothing."""
    record, results = make_record(detectors), []
    for label in LABELS[:-1]:
        numbers = {score.key: SCORES[score.key][label] for score in record.columns()}
        spread = Spread(
            {key: interval(value, HALF.get(key, 0.1) / 2) for key, value in numbers.items()},
            {key: dict.fromkeys(CLASSES, Interval(value)) for key, value in numbers.items() if key[:3] == "map"},
            # Shapes orders them as drawn in every resample, and otherwise than colours in the first two.
            draws={key: Draws(np.full(5, value)) for key, value in numbers.items()},
        )
        results.append(
            EnhancerResult(
                label,
                6 if label != "Dim" else 5,
                6,
                failures={"2015_00006": "ValueError: <img src=x onerror=alert(1)>"} if label == "Dim" else {},
                spread=spread,
                reasons={"haze": {"too <b>small": 2}} if label == "Bright" else {},
                by_group={"haze": {"A <b>": 7.5, "B": 8.0}},
                ms_enhance=1.25,
                against={} if label == "Input" else {"Input": Difference(moved(record, label), {}, "Input", 6)},
            )
        )
    return (*results, EnhancerResult("Broken", 0, 6, error="No weights.\n  where: </table><b>x.pth"))


def make_breakdown(record: RunRecord, by: str, names: tuple[str, ...]) -> Breakdown:
    """The same numbers in each part; those of images not by class."""
    keys = [score.key for score in record.columns() if by != "class" or score.detector]
    spreads = {label: Spread({key: interval(SCORES[key][label], HALF.get(key, 0.1)) for key in keys}) for label in MAPS}
    differences = {label: Difference(moved(record, label), {}, "Input", 3) for label in CHANGES}
    parts = tuple(Part(name, 3, 4, spreads, differences) for name in names)
    return Breakdown(by, "Input", tuple(MAPS), parts, (f"A note on {by}.",))  # type: ignore[arg-type]


def make_changes(threshold: float) -> tuple[Changes, ...]:
    """Bright gains an object in the first image and loses one in the second."""
    changes = []
    for label in CHANGES:
        gained = ImageChange(IDS[0], Tally(gained=1, kept=1), (0,), (), (), ())
        lost = ImageChange(IDS[1], Tally(lost=1), (), (0,), (), ())
        changes.append(Changes(label, "Input", threshold, 6, Tally(1, 1, 3, 1, 2, 5), {}, (gained, lost)))
    return tuple(changes)


def make_shown(image_id: str, detectors: int = 1) -> Shown:
    """A car and a dog; Input finds the dog and raises a false alarm, the others find both. Shapes finds nothing."""
    objects = (ObjectAnnotation("car", (10.0, 10.0, 60.0, 50.0)), ObjectAnnotation("dog", (80.0, 40.0, 120.0, 80.0)))
    dog = Drawn("dog", (79.0, 40.0, 120.0, 81.0), 0.9, "found", 1)
    car = Drawn("car", (11.0, 9.0, 62.0, 50.0), 0.5, "found", 0)
    alarm = Drawn("person", (100.0, 5.0, 140.0, 30.0), 0.6, "false_alarm")
    views = {label: View(((dog, car), ())[:detectors]) for label in MAPS}
    views["Input"] = View(((dog, alarm), ())[:detectors])
    if image_id == IDS[1]:
        views["Dim"] = View(reason="It <b>failed</b> here.")
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
                6,
                0,
                scores={
                    "map": Interval(MAPS[label] + (0.01 * number if label == "Bright" else 0)),
                    "haze": interval(SCORES["haze"][label], 0.1),
                },
            )
            for label in MAPS
        )
        red = number == n - 1
        finding = GateFinding("Bright", "mAP", "failed" if red else "passed", "mAP fell by <2 points")
        nights.append(
            Night(
                id=f"n{number}",
                started=f"2026-11-{number + 1:02d}T03:00:00+00:00",
                finished=f"2026-11-{number + 1:02d}T03:10:00+00:00",
                verdict="red" if red else "green",
                baseline=(),
                record=replace(make_record(), image_ids=()),
                n_images=6,
                images_digest="s" * 64,
                calibration=Calibration({}, 10, 1, 1),
                enhancers=enhancers,
                findings=(finding,),
                is_baseline=number == 0,
            )
        )
    return nights


def make_content(detectors: int = 1) -> ReportContent:
    """Everything at once."""
    record, results = make_record(detectors), make_results(detectors)
    recall = np.linspace(0.01, 0.9, 90)
    curve = Curve(recall, 1 - recall**2, 1 - recall, 0.5, 4)
    shown = tuple(make_shown(image_id, detectors) for image_id in IDS[:3])
    found = [
        DetectorContent(detector.label, {label: dict.fromkeys(CLASSES, curve) for label in MAPS}, make_changes(at))
        for detector, at in zip(record.detectors, (0.4, 0.2), strict=False)
    ]
    return ReportContent(
        record=record,
        results=results,
        table=build_table(record, results),
        breakdowns=(make_breakdown(record, "class", CLASSES), make_breakdown(record, "lighting", ("Low", "Strong"))),
        detectors=tuple(found),
        shown=shown,
        pictures=tuple(map(make_pictures, shown)),
        remade=("Dim",),
        history=tuple(make_nights(6)),
    )


@pytest.fixture(scope="session")
def content() -> ReportContent:
    """The content; frozen, so one is enough."""
    return make_content()


@pytest.fixture(scope="session")
def two() -> ReportContent:
    """The same with two detectors."""
    return make_content(2)
