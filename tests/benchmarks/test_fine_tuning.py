"""Frozen and fine-tuned in one table: what is trained on what, what is measured with what, and the numbers of both."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duskbench.benchmarks import fine_tuning
from duskbench.benchmarks.breakdown_table import read_breakdown
from duskbench.benchmarks.compare import build_comparison_table, compare_runs
from duskbench.benchmarks.config import BenchmarkConfig, load_benchmark_config
from duskbench.benchmarks.descriptions import Known
from duskbench.benchmarks.fine_tuning import FineTuningOptions, fine_tune
from duskbench.benchmarks.plan import plan_enhancers
from duskbench.benchmarks.record import DetectorEntry, DetectorTraining, RunRecord
from duskbench.benchmarks.report.write import write_report
from duskbench.benchmarks.results import read_table
from duskbench.benchmarks.run_plan import RunOptions
from duskbench.benchmarks.statistics import interval_of
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.table_formats import to_markdown
from duskbench.benchmarks.training_images import check_apart, enhance_split
from duskbench.benchmarks.trainings import mean_with_luck, training_luck
from duskbench.data_tools.errors import ConfigError, DataError, TrainingError
from duskbench.data_tools.images import read_image, write_image
from tests.benchmarks.conftest import PLUGINS, Bench
from tests.benchmarks.fabricate import CLASSES, DETECTOR, make_images, make_run, results_of

SEEDS = (0, 1, 2)
TRAINED = DetectorEntry(
    "made, fine-tuned", "made", "t" * 64, "j" * 64, CLASSES, frozen="made", schedule="2 epochs",
    trainings=tuple(
        DetectorTraining(label, seed, "file", f"{label} {seed}", "h") for label in ("Input", "LIME") for seed in SEEDS
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Input and LIME with trainings, Gamma still without."""
    folder = tmp_path_factory.mktemp("made")
    make_run(folder, make_images(30), {"Input": 0.3, "LIME": 0.6, "Gamma": 0.5}, detectors=(DETECTOR, TRAINED))
    return folder


def test_frozen_numbers_are_those_of_a_run_without_trainings_and_fine_tuned_ones_those_of_each(made: Path) -> None:
    with ResultStore(made / "results.sqlite", reading=True) as store:
        record = store.last_run()
    assert RunRecord.from_json(record.to_json()) == record
    got = results_of(made)
    frozen = results_of(made, replace(record, detectors=(DETECTOR,)))
    for label in ("Input", "LIME", "Gamma"):
        for key, alone in (("map frozen", "map"), ("niqe", "niqe")):
            assert got[label].spread.scores[key] == frozen[label].spread.scores[alone]
            assert key not in got[label].spread.trainings
        assert got[label].spread.classes["map frozen"] == frozen[label].spread.classes["map"]
    for label in ("Input", "LIME"):
        each = [results_of(made, replace(record, detectors=(one,)))[label].spread for one in TRAINED.asked_of(label)]
        assert len({one.scores["map"].value for one in each}) == 3
        trained = got[label].spread
        assert trained.trainings["map fine-tuned"] == tuple(one.scores["map"].value for one in each)
        drawn = mean_with_luck([one.draws["map"].images for one in each], label, training_luck(label, 3, 50, 3))
        assert trained.draws["map fine-tuned"].total == pytest.approx(drawn.total)
        # Paired: the same resamples of images under both protocols.
        assert got[label].to_frozen["map fine-tuned"] == interval_of(drawn - frozen[label].spread.draws["map"], 0.9)
    assert got["Gamma"].number("map fine-tuned") is None and not got["Gamma"].to_frozen
    versus = got["LIME"].against["Input"].scores
    for key in ("map frozen", "map fine-tuned"):
        assert versus[key].value == pytest.approx(got["LIME"].number(key) - got["Input"].number(key))  # type: ignore[operator]


def test_table_breakdowns_and_report_have_both(made: Path) -> None:
    table = read_table(made)
    text = to_markdown(table)
    for heading in (
        "mAP frozen ↑", "mAP fine-tuned ↑", "SD mAP fine-tuned", "Δ mAP frozen to Input", "Δ mAP fine-tuned to Input",
        "Δ mAP fine-tuned to mAP frozen",
    ):  # fmt: skip
        assert heading in text
    assert "SD mAP frozen" not in text and "SD NIQE" not in text
    lime = table.rows[1]
    numbers = results_of(made)["LIME"].spread.trainings["map fine-tuned"]
    assert lime["map fine-tuned", "sd"].value == pytest.approx(np.std(numbers, ddof=1))
    assert lime["trainings"].value == 3
    tuned, frozen = lime["map fine-tuned",].value, lime["map frozen",].value
    assert lime["map fine-tuned", "less score", "map frozen"].value == pytest.approx(tuned - frozen)
    assert table.rows[2]["map fine-tuned",].value is None
    assert any("made trained further on each enhancer's images" in n and "seed 0, 1, 2" in n for n in table.notes)
    for by in ("class", "size", "lighting"):
        for part in read_breakdown(made, by)[1].parts:
            assert {"map frozen", "map fine-tuned"} <= set(part.spreads["LIME"].scores)
            assert "map fine-tuned" not in part.spreads["Gamma"].scores
            assert len(part.spreads["LIME"].trainings["map fine-tuned"]) == 3
    page = write_report(made, images=0).read_text(encoding="utf-8")
    assert "mAP fine-tuned" in page and "mAP frozen" in page and "mean of 3 trainings" in page
    # Single detections are those of one training.
    assert "made, fine-tuned, seed 0" in page


def test_a_comparison_of_runs_is_of_the_frozen_detectors_and_says_so(made: Path) -> None:
    table = build_comparison_table(compare_runs(made, made), ("a", "b"))
    keys = {column.key for column in table.columns}
    assert ("map frozen", "before") in keys and ("map fine-tuned", "before") not in keys
    assert any("made, fine-tuned, of the 1st run: not compared" in note for note in table.notes)


@pytest.fixture
def config(bench: Bench) -> BenchmarkConfig:
    """The bench with a training split: its last two images, which are no longer test images."""
    sets = bench.root / "ImageSets" / "Main"
    sets.joinpath("test.txt").write_text("\n".join(bench.ids[:4]) + "\n")
    sets.joinpath("train.txt").write_text("\n".join(bench.ids[4:]) + "\n")
    return load_benchmark_config(bench.config)


def test_training_images_are_enhanced_once_and_made_again_when_they_change(
    config: BenchmarkConfig, bench: Bench, tmp_path: Path
) -> None:
    options = RunOptions(tmp_path / "out", workers=1)
    enhancers = plan_enhancers(config, "cpu", Known(Path("nowhere")))
    assert [e.label for e in enhancers] == ["Input", "Brighten"]

    def enhanced() -> Any:
        return enhance_split(config, options, "train", enhancers)

    split = enhanced()
    detector = replace(DETECTOR, classes=("dog", "car"))
    first = {e.label: split.of(e, detector, ends_on_last_pixel=False) for e in enhancers}
    # The other image holds a person, which this detector does not know.
    assert [each.count for each in first.values()] == [1, 1]
    assert first["Input"].sha256 != first["Brighten"].sha256
    original = read_image(bench.root / "JPEGImages" / f"{bench.ids[5]}.png")
    files = {label: each.folder / f"{bench.ids[5]}.png" for label, each in first.items()}
    assert np.array_equal(read_image(files["Input"]), original)
    brightened = np.clip(original.astype(np.float32) * 2.5, 0, 255)
    assert np.abs(read_image(files["Brighten"]) - brightened).max() <= 1
    times = {label: file.stat().st_mtime_ns for label, file in files.items()}
    again = enhanced()
    assert {label: file.stat().st_mtime_ns for label, file in files.items()} == times
    assert again.of(enhancers[1], detector, ends_on_last_pixel=False) == first["Brighten"]
    write_image(files["Brighten"], original)
    repaired = enhanced().of(enhancers[1], detector, ends_on_last_pixel=False)
    assert repaired == first["Brighten"] and not np.array_equal(read_image(files["Brighten"]), original)
    files["Input"].unlink()
    enhanced()
    assert files["Input"].is_file()
    with pytest.raises(DataError, match=r"(?s)nothing to train on.*boat.*dog, person"):
        split.of(enhancers[0], replace(DETECTOR, classes=("boat",)), ends_on_last_pixel=False)


@pytest.mark.slow
def test_classes_that_no_training_image_holds_are_named(
    config: BenchmarkConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training images hold a dog and a person; how a trained row is described is what the notes print."""
    described: list[str] = []

    def stop(_frozen: Any, _trainings: Any, schedule: str, *_: Any) -> None:
        described.append(schedule)
        raise KeyboardInterrupt

    monkeypatch.setattr(fine_tuning, "plan_trained", stop)
    monkeypatch.setattr(fine_tuning.FineTuning, "run", lambda *_: Path("checkpoint.pth"))
    asked = replace(config, detectors=("rfb_miniature",), enhancers=("input",))
    for classes, lacking in [(("dog", "person"), ""), (("car", "People", "bus"), " (none with car or bus)")]:
        protocol = replace(config.protocol, classes=classes)
        with pytest.raises(KeyboardInterrupt):
            fine_tune(replace(asked, protocol=protocol), RunOptions(tmp_path / "out", workers=1), FineTuningOptions())
        assert described.pop().startswith(f"2 images of split train{lacking}, 12 epochs")


def test_an_enhancer_that_fails_on_a_training_image_is_an_error(config: BenchmarkConfig, tmp_path: Path) -> None:
    failing = replace(config, enhancers=(f"{PLUGINS}:wrong_size",))
    enhancers = plan_enhancers(failing, "cpu", Known(Path("nowhere")))
    with pytest.raises(TrainingError, match=r"(?s)cannot all be enhanced.*--enhancer"):
        enhance_split(failing, RunOptions(tmp_path / "out", workers=1), "train", enhancers)


def test_a_test_image_under_another_name_is_no_training_image(config: BenchmarkConfig, bench: Bench) -> None:
    check_apart(config, "train")
    pictures = bench.root / "JPEGImages"
    # The same pixels in another file.
    write_image(pictures / f"{bench.ids[5]}.bmp", read_image(pictures / f"{bench.ids[1]}.png"))
    (pictures / f"{bench.ids[5]}.png").unlink()
    with pytest.raises(
        DataError, match=rf"(?s)1, the first: {bench.ids[5]} is {bench.ids[1]} of the test.*train-split"
    ):
        check_apart(config, "train")
    shutil.copy(bench.root / "ImageSets/Main/test.txt", bench.root / "ImageSets/Main/train.txt")
    with pytest.raises(DataError, match="4, the first"):
        check_apart(config, "train")


@pytest.mark.parametrize(
    ("detectors", "message"),
    [
        ((f"{PLUGINS}:ColourDetector",), r"cannot be trained further.*mmdet.*which only detects"),
        ((), r"no detector to train.*--detector"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    config: BenchmarkConfig, tmp_path: Path, detectors: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        fine_tune(replace(config, detectors=detectors), RunOptions(tmp_path / "out"), FineTuningOptions())
    assert not (tmp_path / "out" / "training").exists()


def test_a_split_that_is_not_there_is_said(config: BenchmarkConfig) -> None:
    with pytest.raises(ConfigError, match=r"(?s)image set.*ImageSets.*test, train.*'night'"):
        check_apart(config, "night")


def test_an_enhancer_of_several_weight_files_is_refused(config: BenchmarkConfig, tmp_path: Path) -> None:
    several = {"type": "zero_dce", "weights": ["a.safetensors", "b.safetensors"]}
    with pytest.raises(ConfigError, match=r"(?s)Zero-DCE has several weight files"):
        fine_tune(replace(config, enhancers=(several,)), RunOptions(tmp_path / "out"), FineTuningOptions())
    with pytest.raises(ConfigError, match="--seeds"):
        FineTuningOptions(seeds=0)
