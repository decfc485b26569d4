"""Kinds of error: planted ones are found again, and what they cost is what a plain computation says."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from duskbench.benchmarks.cli import app
from duskbench.benchmarks.error_kinds import KINDS, ErrorKind, costs, errors_above, find_errors
from duskbench.benchmarks.error_kinds_table import read_errors_table
from duskbench.benchmarks.matched import Matched, best_f1_threshold, read_each_matched
from duskbench.benchmarks.metrics.boxes import Boxes
from duskbench.benchmarks.metrics.voc_ap import voc_ap_by_protocol
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.stored_run import read_run_images
from duskbench.data_tools.errors import DataError
from tests.benchmarks.fabricate import make_images, make_run

CLASSES = ("car", "dog", "person")
PROTOCOL = Protocol(classes=CLASSES)
CAR, DOG, PERSON = range(3)
Box = tuple[float, float, float, float]
# Objects of 100 x 100 pixels, far from each other; a box moved by `x` pixels overlaps by (100 - x) / (100 + x).
HERE: Box = (0, 0, 100, 100)
THERE: Box = (300, 0, 400, 100)


def moved(box: Box, by: float) -> Box:
    return box[0] + by, box[1], box[2] + by, box[3]


def boxes(listed: list[tuple[int, Box, float]], difficult: list[bool] | None = None) -> Boxes:
    """Of one image: class, box, score."""
    n = len(listed)
    return Boxes(
        np.array([box for _, box, _ in listed], float).reshape(-1, 4),
        np.array([label for label, _, _ in listed], int),
        np.zeros(n, int),
        np.array([score for _, _, score in listed], float),
        np.array(difficult or [False] * n, bool),
        np.arange(n),
    )


def matched(truth: Boxes, found: Boxes) -> Matched:
    n = 1 + max([0, *truth.images.tolist(), *found.images.tolist()])
    result = voc_ap_by_protocol(truth, found, PROTOCOL)
    return Matched(np.ones(n, bool), np.arange(len(truth.labels)), truth, found, result, ~truth.difficult)


@pytest.mark.parametrize(
    ("found", "kinds", "missed"),
    [
        ([(CAR, HERE, 0.9)], [None], 1),
        ([(CAR, moved(HERE, 60), 0.9)], ["place"], 1),
        ([(DOG, HERE, 0.9)], ["class"], 1),
        ([(DOG, moved(HERE, 60), 0.9)], ["both"], 2),
        ([(CAR, HERE, 0.9), (CAR, moved(HERE, 5), 0.8)], [None, "duplicate"], 1),
        ([(CAR, moved(HERE, 900), 0.9)], ["background"], 2),
        ([(CAR, moved(HERE, 90), 0.9)], ["background"], 2),
        ([], [], 2),
        # The object of the wrong class is a dog, and a dog stands there: the place is looked at first.
        ([(DOG, moved(THERE, 60), 0.9)], ["place"], 1),
        # Found already, so neither of these has missed it.
        ([(CAR, HERE, 0.9), (CAR, moved(HERE, 60), 0.8), (PERSON, HERE, 0.7)], [None, "place", "class"], 1),
        # Just at the overlap of a half, and the protocol asks for more.
        ([(CAR, (0, 0, 100, 50), 0.9)], ["place"], 1),
    ],
)  # fmt: skip
def test_each_kind(found: list[tuple[int, Box, float]], kinds: list[ErrorKind | None], missed: int) -> None:
    truth = boxes([(CAR, HERE, 1.0), (DOG, THERE, 1.0)])
    errors = find_errors(matched(truth, boxes(found)), PROTOCOL)
    assert [None if kind < 0 else KINDS[kind] for kind in errors.kinds] == kinds
    assert errors.counts()["missed"] == missed


def test_where_there_is_no_object_everything_found_is_background() -> None:
    found = boxes([(CAR, HERE, 0.9), (DOG, THERE, 0.5)])
    counts = find_errors(matched(boxes([]), found), PROTOCOL).counts()
    assert (counts["background"], counts["missed"]) == (2, 0)


def test_difficult_objects_count_neither_way() -> None:
    truth = boxes([(CAR, HERE, 1.0), (DOG, THERE, 1.0)], [True, False])
    # On a difficult one: ignored; near it, and of another class on it: there is no object.
    found = boxes([(CAR, HERE, 0.9), (CAR, moved(HERE, 60), 0.8), (PERSON, HERE, 0.7)])
    errors = find_errors(matched(truth, found), PROTOCOL)
    assert [KINDS[kind] if kind >= 0 else None for kind in errors.kinds] == [None, "background", "background"]
    assert errors.missed.tolist() == [False, True]


def test_a_threshold_is_as_if_the_others_were_not_there() -> None:
    truth = boxes([(CAR, HERE, 1.0), (DOG, THERE, 1.0)])
    found = boxes([(CAR, HERE, 0.9), (DOG, moved(THERE, 60), 0.5), (CAR, moved(HERE, 2), 0.3)])
    one = matched(truth, found)
    # A detection of just the threshold counts.
    for threshold, expected in ((0.0, (1, 1, 0)), (0.5, (1, 0, 0)), (0.9, (0, 0, 1)), (0.95, (0, 0, 2))):
        counts = errors_above(one, find_errors(one, PROTOCOL), threshold).counts()
        assert (counts["place"], counts["duplicate"], counts["missed"]) == expected


@pytest.mark.parametrize(
    ("found", "threshold"),
    [
        # F1 is 2/4 at 0.9 and 4/9 at 0.5: what has one score is taken whole.
        ([(CAR, HERE, 0.9), (DOG, THERE, 0.5), *[(PERSON, moved(HERE, 900 * n), 0.5) for n in range(1, 5)]], 0.9),
        ([(PERSON, moved(HERE, 900), 0.7)], 0.0),
    ],
)
def test_the_threshold_has_the_best_f1(found: list[tuple[int, Box, float]], threshold: float) -> None:
    truth = boxes([(CAR, HERE, 1.0), (DOG, THERE, 1.0), (PERSON, moved(HERE, 600), 1.0)])
    assert best_f1_threshold(matched(truth, boxes(found))) == threshold


def plant(n_images: int, seed: int) -> tuple[Boxes, Boxes, Counter[str]]:
    """Six objects an image in cells far apart, and one planted fate for each; scores at random."""
    rng = np.random.default_rng(seed)
    truth: list[tuple[float, ...]] = []
    found: list[tuple[float, ...]] = []
    planted: Counter[str] = Counter()
    fates = ("found", "class", "place", "both", "duplicate", "missed", "background")
    for image in range(n_images):
        for cell in range(6):
            label, x = int(rng.integers(3)), 1000.0 * cell
            size = rng.integers(20, 200)
            fate = fates[rng.integers(len(fates))]
            other, aside = (label + 1) % 3, 0.6 * size
            planted[fate] += 1
            if fate != "background":
                truth.append((x, 0, x + size, size, label, image, 1.0))
            if fate in ("found", "duplicate"):
                found.append((x + 1, 0, x + size, size, label, image, rng.random()))
            if fate == "duplicate":
                found.append((x, 0, x + size - 1, size, label, image, found[-1][-1] * rng.random()))
            if fate in ("class", "place", "both", "background"):
                shift = aside if fate in ("place", "both") else 0.0
                named = other if fate in ("class", "both") else label
                found.append((x + shift, 0, x + size + shift, size, named, image, rng.random()))
    # A box of both kinds wrong leaves its object missed.
    planted["missed"] += planted["both"]

    def flat(rows: list[tuple[float, ...]]) -> Boxes:
        array = np.array(rows).reshape(-1, 7)
        order = np.random.default_rng(seed + 1).permutation(len(array))
        array = array[order[np.argsort(array[order, 5], kind="stable")]]
        labels, images = array[:, 4].astype(int), array[:, 5].astype(int)
        return Boxes(array[:, :4], labels, images, array[:, 6], np.zeros(len(array), bool), np.arange(len(array)))

    return flat(truth), flat(found), planted


@pytest.mark.parametrize("seed", range(5))
def test_planted_errors_are_found_exactly(seed: int) -> None:
    truth, found, planted = plant(30, seed)
    errors = find_errors(matched(truth, found), PROTOCOL)
    assert errors.counts() == {kind: planted[kind] for kind in KINDS}
    assert int(errors.found.sum()) == planted["found"] + planted["duplicate"]


@pytest.mark.parametrize("seed", range(2))
def test_tidecv_finds_the_same_kinds_and_costs(seed: int) -> None:
    """The authors' own, where it is installed; its AP is read at 101 points, so costs differ by a little."""
    tidecv = pytest.importorskip("tidecv")
    names = {"Cls": "class", "Loc": "place", "Both": "both", "Dupe": "duplicate", "Bkg": "background", "Miss": "missed"}
    protocol = Protocol(classes=CLASSES, iou_match=">=", ap="area")
    truth, found, _ = plant(60, 20 + seed)
    one = replace(matched(truth, found), result=voc_ap_by_protocol(truth, found, protocol))
    errors = find_errors(one, protocol)
    ours = costs(one, errors, protocol, dict.fromkeys(CLASSES))
    given, made = tidecv.Data("truth"), tidecv.Data("found")
    for data, of in ((given, truth), (made, found)):
        for xyxy, label, image, score in zip(of.boxes_xyxy, of.labels, of.images, of.scores, strict=True):
            data._add(int(image), int(label), [*xyxy[:2], *(xyxy[2:] - xyxy[:2])], score=float(score))
    run = tidecv.TIDE().evaluate(given, made)
    for kind, cost in run.fix_main_errors().items():
        name = names[kind.short_name]
        expected = errors.missed if name == "missed" else errors.kinds == KINDS.index(name)
        assert sorted(error.get_id() for error in run.error_dict[kind]) == np.flatnonzero(expected).tolist(), name
        assert 100 * ours[name] == pytest.approx(cost, abs=0.3), name


def corrected(truth: Boxes, found: Boxes, one: Matched, kind: ErrorKind) -> float | None:
    """The mAP of a data set in which an oracle has corrected the boxes themselves."""
    errors = find_errors(one, PROTOCOL)
    these = errors.kinds == KINDS.index(kind)
    boxes_xyxy, labels = found.boxes_xyxy.copy(), found.labels.copy()
    for i in np.flatnonzero(these & errors.repairs):
        boxes_xyxy[i], labels[i] = truth.boxes_xyxy[errors.object[i]], truth.labels[errors.object[i]]
    kept = ~these | errors.repairs
    right = Boxes(boxes_xyxy, labels, found.images, found.scores, found.difficult, found.ordinals).take(kept)
    asked = truth.take(~errors.missed) if kind == "missed" else truth
    return voc_ap_by_protocol(asked, right, PROTOCOL).mean()


@pytest.mark.parametrize("seed", range(3))
def test_what_a_kind_costs_is_the_map_of_corrected_boxes(seed: int) -> None:
    truth, found, _ = plant(25, 10 + seed)
    one = matched(truth, found)
    before = one.result.mean()
    got = costs(one, find_errors(one, PROTOCOL), PROTOCOL, dict.fromkeys(CLASSES))
    assert before is not None and set(got) == set(KINDS)
    for kind in KINDS:
        after = corrected(truth, found, one, kind)
        assert after is not None
        assert got[kind] == pytest.approx(max(after - before, 0.0), abs=1e-12), kind
    assert all(got[kind] > 0 for kind in ("class", "place", "background", "missed"))


def test_nothing_wrong_costs_nothing_and_a_class_all_missed_stays_in_the_mean() -> None:
    truth = boxes([(CAR, HERE, 1.0), (DOG, THERE, 1.0)])
    right = matched(truth, boxes([(CAR, HERE, 0.9), (DOG, THERE, 0.8)]))
    assert set(costs(right, find_errors(right, PROTOCOL), PROTOCOL, dict.fromkeys(CLASSES)).values()) == {0.0}
    half = matched(truth, boxes([(CAR, HERE, 0.9)]))
    assert costs(half, find_errors(half, PROTOCOL), PROTOCOL, dict.fromkeys(CLASSES))["missed"] == 0.0


def test_the_table_of_a_run(tmp_path: Path) -> None:
    record = make_run(tmp_path, make_images(40), {"Input": 0.4, "Better": 0.9})
    table = read_errors_table(tmp_path)
    assert [row.label for row in table.rows] == ["Input", "Better"]
    with ResultStore(tmp_path / "results.sqlite", reading=True) as store:
        one = read_each_matched(store, read_run_images(store, record), lambda one: one)["Better"]
    better = table.rows[1]
    assert (
        better["cost missed"].value
        == costs(one, find_errors(one, record.protocol), record.protocol, dict.fromkeys(CLASSES))["missed"]
    )
    assert better["n found"].value > table.rows[0]["n found"].value
    assert any("where F1 is best for Input" in note for note in table.notes)
    result = CliRunner().invoke(app, ["table", str(tmp_path), "--errors"])
    assert result.exit_code == 0 and "background" in result.output
    assert CliRunner().invoke(app, ["table", str(tmp_path), "--errors", "--by", "size"]).exit_code == 2


def test_no_detections_no_errors(tmp_path: Path) -> None:
    record = make_run(tmp_path, make_images(3), {"Input": 0.4})
    with ResultStore(tmp_path / "results.sqlite") as store:
        store.put_run(replace(record, detectors=(), metrics=record.metrics[:1]))
    with pytest.raises(DataError, match="no detections"):
        read_errors_table(tmp_path)
