"""From a run folder to numbers and intervals, against a plain computation on copied images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from duskbench.benchmarks.evaluate import EnhancerResult, evaluate, input_label
from duskbench.benchmarks.evidence import ground_truth
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.statistics import BootstrapOptions, Interval
from duskbench.benchmarks.store import ResultStore, StoredImage
from duskbench.data_tools.errors import UnknownNameError
from tests.benchmarks.fabricate import CLASSES, make_images, make_run

SKILLS = {"Input": 0.4, "Better": 0.8, "Other": 0.45}


def results(folder: Path, **options: Any) -> dict[str, EnhancerResult]:
    with ResultStore(folder / "results.sqlite", reading=True) as store:
        return {result.label: result for result in evaluate(store, store.last_run(), **options)}


def copied(folder: Path, target: Path, drawn: list[int], images: list[StoredImage]) -> dict[str, EnhancerResult]:
    """The same run on a data set in which image `drawn[i]` stands as image i, every copy under a name of its own."""
    with ResultStore(folder / "results.sqlite") as store, ResultStore(target / "results.sqlite") as made:
        record = store.last_run()
        made.put_detector(record["detector"]["fingerprint"], "made", CLASSES)
        copies = []
        for number, source in enumerate(drawn):
            image = images[source]
            copies.append(
                replace(image, record=replace(image.record, id=f"copy {number:03d}"), sha256=f"copy {number}")
            )
        made.put_images(copies)
        for label in SKILLS:
            rows = {
                r.key.image_id: r
                for r in store.rows(
                    enhancer=label, detector=record["detector"]["fingerprint"], measure=record["measure"]
                )
            }
            for number, source in enumerate(drawn):
                row = rows[images[source].record.id]
                made.put(replace(row, key=replace(row.key, image_id=f"copy {number:03d}", sha256=f"copy {number}")))
        made.put_run({**record, "image_ids": [image.record.id for image in copies]})
    return results(target, bootstrap=BootstrapOptions(0))


def test_intervals_are_those_of_data_sets_with_copied_images(tmp_path: Path) -> None:
    images = make_images(20)
    make_run(tmp_path / "run", images, SKILLS)
    options = BootstrapOptions(resamples=12, seed=9, level=0.8)
    got = results(tmp_path / "run", bootstrap=options, reference="Other")
    draws = np.random.default_rng(9).integers(0, 20, (12, 20))
    naive = [copied(tmp_path / "run", tmp_path / f"copy{i}", row.tolist(), images) for i, row in enumerate(draws)]

    def expect(interval: Interval | None, value: float, resampled: list[float], *, paired: bool = False) -> None:
        assert interval is not None
        ranks = np.array([0.1, 0.9])
        if not paired:
            below = float(np.mean([(one < value) + 0.5 * (one == value) for one in resampled]))
            ranks = norm.cdf(2 * norm.ppf(np.clip(below, 1 / 24, 23 / 24)) + norm.ppf(ranks))
        low, high = np.quantile(resampled, ranks)
        assert (interval.value, interval.low, interval.high) == pytest.approx((value, low, high), abs=1e-12)

    for label, one in got.items():
        assert one.map is not None and one.niqe is not None
        expect(one.map_interval, one.map, [n[label].map for n in naive])  # type: ignore[misc]
        expect(one.niqe_interval, one.niqe, [n[label].niqe for n in naive])  # type: ignore[misc]
        for name in CLASSES:
            expect(one.ap_intervals[name], one.ap[name], [n[label].ap[name] for n in naive])  # type: ignore[misc, arg-type]
        assert list(one.against) == [reference for reference in ("Input", "Other") if reference != label]
        for reference, difference in one.against.items():
            other = got[reference]
            assert (difference.n_images, difference.n_left_out) == (20, 0)
            moved = [n[label].map - n[reference].map for n in naive]  # type: ignore[operator]
            expect(difference.map, one.map - other.map, moved, paired=True)  # type: ignore[operator]
            moved = [n[label].niqe - n[reference].niqe for n in naive]  # type: ignore[operator]
            expect(difference.niqe, one.niqe - other.niqe, moved, paired=True)  # type: ignore[operator]


def test_a_failed_image_leaves_the_pair_and_not_the_others(tmp_path: Path) -> None:
    images = make_images(30)
    make_run(tmp_path / "run", images, SKILLS, failing={"Better": ["0003", "0004"]})
    got = results(tmp_path / "run")
    assert (got["Better"].n_images, len(got["Better"].failures), got["Input"].n_images) == (28, 2, 30)
    difference = got["Better"].against["Input"]
    assert (difference.n_images, difference.n_left_out) == (28, 2)
    both = [image for image in images if image.record.id not in ("0003", "0004")]
    with ResultStore(tmp_path / "run/results.sqlite") as store:
        record = store.last_run()
        kept = {**record, "image_ids": [image.record.id for image in both]}
        on_both = {r.label: r for r in evaluate(store, kept, bootstrap=BootstrapOptions(0))}
    assert difference.map is not None and difference.niqe is not None
    assert difference.map.value == pytest.approx(on_both["Better"].map - on_both["Input"].map)  # type: ignore[operator]
    assert difference.niqe.value == pytest.approx(on_both["Better"].niqe - on_both["Input"].niqe)  # type: ignore[operator]
    # The difference of the two cells, on different images, is another number.
    assert difference.map.value != pytest.approx(got["Better"].map - got["Input"].map)  # type: ignore[operator]


def test_the_record_says_how_to_resample(tmp_path: Path) -> None:
    make_run(tmp_path / "run", make_images(12), SKILLS, bootstrap={"resamples": 30, "seed": 4, "level": 0.5})
    told = results(tmp_path / "run", bootstrap=BootstrapOptions(30, 4, 0.5))
    assert results(tmp_path / "run") == told
    assert results(tmp_path / "run", bootstrap=BootstrapOptions(30, 5, 0.5)) != told
    # A record from before it was kept.
    make_run(tmp_path / "old", make_images(12), SKILLS, bootstrap={})
    assert results(tmp_path / "old") == results(tmp_path / "run", bootstrap=BootstrapOptions())


def test_input_is_found_by_what_it_is() -> None:
    record = {
        "enhancers": [{"label": "Raw", "spec": {"type": "input"}}, {"label": "Input", "spec": "file.py:something"}]
    }
    assert input_label(record) == "Raw"
    assert input_label({"enhancers": record["enhancers"][1:]}) is None


def test_an_unknown_reference_is_told(tmp_path: Path) -> None:
    make_run(tmp_path / "run", make_images(3), SKILLS)
    with pytest.raises(UnknownNameError, match="Better, Input, Other"):
        results(tmp_path / "run", reference="Bettr")


def test_no_row_at_all(tmp_path: Path) -> None:
    images = make_images(3)
    make_run(tmp_path / "run", images, {"Input": 0.5}, failing={"Input": [i.record.id for i in images]})
    got = results(tmp_path / "run")["Input"]
    assert (got.n_images, got.map, got.map_interval, got.niqe_interval) == (0, None, None, None)


def test_ground_truth_remembers_which_object_it_was() -> None:
    images = make_images(6)
    truth = ground_truth(images, Protocol(classes=("dog",)))
    assert len(truth.labels) > 0
    for image, ordinal, box in zip(truth.images, truth.ordinals, truth.boxes_xyxy, strict=True):
        found = images[image].record.objects[ordinal]  # type: ignore[index]
        assert (found.name, found.box_xyxy) == ("dog", tuple(box))
