"""Numbers in TensorBoard, Weights & Biases and MLflow, read back with their own readers where these are installed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from duskbench.benchmarks import tracking
from duskbench.benchmarks.nightly.dashboards import tracked_numbers
from duskbench.benchmarks.nightly.history import History
from duskbench.benchmarks.nightly.outputs import Outputs
from duskbench.benchmarks.results import read_table
from duskbench.benchmarks.table import Table
from duskbench.benchmarks.tracking import check_tracker, table_numbers, track, track_run
from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from tests.benchmarks.fabricate import make_images, make_record, make_run
from tests.benchmarks.test_nightly_dashboards import timed
from tests.benchmarks.test_nightly_history import evidence, night
from tests.needs import need_module


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, Table]:
    make_run(tmp_path, make_images(8), {"Input": 0.4, "Ours (a=1)": 0.7})
    return tmp_path, read_table(tmp_path)


def test_the_numbers_are_those_of_the_table(run: tuple[Path, Table]) -> None:
    _, table = run
    numbers = table_numbers(table)
    row = table.rows[1]
    assert numbers["Ours (a=1)/mAP"] == 100 * row["map",].value and numbers["Ours (a=1)/NIQE"] == row["niqe",].value
    assert numbers["Ours (a=1)/Δ mAP to Input low"] == 100 * row["map", "less", "Input"].low
    assert numbers["Input/n"] == 8 and "Input/Δ mAP to Input" not in numbers
    assert tracked_numbers(timed()) == {
        "table2/LIME/NIQE": 4.0, "table2/LIME/mAP": 50.0, "table2/LIME/mAP low": 40.0, "table2/LIME/mAP high": 60.0,
        "table2/LIME/ms/image": 12.5, "table2/LIME/relative cost": 6.25, "table2/LIME/failed": 2,
    }  # fmt: skip


def test_a_label_that_ends_like_a_mark_is_a_row_of_its_own(tmp_path: Path) -> None:
    make_run(tmp_path, make_images(8), {"Ours": 0.4, "Ours *": 0.7})
    table = read_table(tmp_path)
    numbers = table_numbers(table)
    assert [numbers[f"{label}/mAP"] for label in ("Ours", "Ours *")] == [100 * row["map",].value for row in table.rows]


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Name -> (step, value) of all event files of a folder, by TensorBoard's reader."""
    reader = need_module("tensorboard.backend.event_processing.event_accumulator")
    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted(folder.glob("events.*")):
        events = reader.EventAccumulator(str(file))
        events.Reload()
        for tag in events.Tags()["scalars"]:
            found.setdefault(tag, []).extend((one.step, one.value) for one in events.Scalars(tag))
    return found


@pytest.mark.slow
def test_tensorboard_has_every_number_of_a_run(run: tuple[Path, Table]) -> None:
    folder, table = run
    need_module("tensorboard")
    track_run("tensorboard", folder, table)
    got, numbers = scalars(folder / "tensorboard"), table_numbers(table)
    assert len(got) == len(numbers)
    # TensorBoard keeps 32 bits.
    assert got["Ours _a_1_/mAP"] == [(0, pytest.approx(numbers["Ours (a=1)/mAP"], rel=1e-6))]
    assert got["Input/NIQE high"] == [(0, pytest.approx(numbers["Input/NIQE high"], rel=1e-6))]


@pytest.mark.slow
def test_nights_make_one_curve(tmp_path: Path) -> None:
    need_module("tensorboard")
    history, out = tmp_path / "history", tmp_path / "nights"
    for number in (1, 2):
        made = night(number)
        History(history).put(made, evidence(made))
        outputs = Outputs(history, "accept", tracker="tensorboard")
        # Without images there is no table to write.
        bare = replace(made, enhancers=tuple(replace(one, n_images=0) for one in made.enhancers))
        outputs.write(bare, out / made.id)
    assert scalars(out / "tensorboard")["table2/LIME/NIQE"] == [(0, 4.0), (1, 4.0)]


@pytest.mark.slow
def test_mlflow_has_every_number_and_the_table(run: tuple[Path, Table], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, table = run
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (folder / "table.md").write_text("a table", encoding="utf-8")
    track_run("mlflow", folder, table)
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    [made] = client.search_runs([client.get_experiment_by_name("made").experiment_id])
    numbers = table_numbers(table)
    assert len(made.data.metrics) == len(numbers)
    assert made.data.metrics["Ours _a_1_/mAP"] == pytest.approx(numbers["Ours (a=1)/mAP"])
    assert (made.info.status, made.data.params["versions.torch"]) == ("FINISHED", "2")
    assert "table.md" in [file.path for file in client.list_artifacts(made.info.run_id)]


@pytest.mark.slow
def test_wandb_keeps_a_run_offline(run: tuple[Path, Table], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, table = run
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    kept: dict[str, float] = {}
    close = wandb.join
    monkeypatch.setattr(wandb, "join", lambda: (kept.update(dict(wandb.run.summary)), close()))
    track_run("wandb", folder, table)
    numbers = table_numbers(table)
    assert len([name for name in kept if not name.startswith("_")]) == len(numbers)
    assert kept["Ours _a_1_/mAP"] == pytest.approx(numbers["Ours (a=1)/mAP"])
    [file] = folder.glob("wandb/offline-run-*/run-*.wandb")
    assert file.stat().st_size > 0
    assert not list(folder.glob("wandb/offline-run-*/files/code/**/*.py"))


def test_what_is_missing_or_unknown_is_said_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, duskbench: Any
) -> None:
    with pytest.raises(UnknownNameError, match="tensorboard"):
        check_tracker("tensorbord")
    monkeypatch.setattr(tracking, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="pip install mlflow"):
        check_tracker("mlflow")
    code, _, err = duskbench("run", "miniature", "--out", tmp_path, "--tracker", "wandb")
    assert (code, "wandb is not installed" in err) == (2, True)
    assert not list(tmp_path.iterdir())


def test_a_tracker_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no key")

    monkeypatch.setattr(tracking, "find_spec", lambda _: True)
    monkeypatch.setattr(tracking, "_backend", fail)
    with pytest.raises(DataError, match="RuntimeError: no key"):
        track("wandb", tmp_path, make_record((), ()), {"a": 1.0}, run="r", n_images=0)


class Kept:
    """A backend that keeps what it is given."""

    def __init__(self) -> None:
        self.config: Any = None
        self.scalars: dict[str, float] = {}

    def add_config(self, config: Any) -> None:
        self.config = config

    def add_scalars(self, scalars: dict[str, float], step: int) -> None:
        self.scalars |= scalars

    def close(self) -> None:
        pass


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    backend = Kept()
    monkeypatch.setattr(tracking, "find_spec", lambda _: True)
    monkeypatch.setattr(tracking, "_backend", lambda *_: backend)
    return backend


def test_a_night_and_a_run_say_how_many_images_they_have(tmp_path: Path, kept: Kept, run: tuple[Path, Table]) -> None:
    made = night(1)
    History(tmp_path / "history").put(made, evidence(made))
    bare = replace(made, enhancers=tuple(replace(one, n_images=0) for one in made.enhancers))
    Outputs(tmp_path / "history", "accept", tracker="tensorboard").write(bare, tmp_path / made.id)
    assert made.n_images and kept.config.images == made.n_images
    track_run("tensorboard", *run)
    assert kept.config.images == 8


def test_names_that_a_tracker_would_make_one_stay_two(tmp_path: Path, kept: Kept) -> None:
    numbers = {"Ours (1)/mAP": 1.0, "Ours [1]/mAP": 2.0, "Ours_1/mAP": 3.0}
    track("tensorboard", tmp_path, make_record((), ()), numbers, run="r", n_images=0)
    assert list(kept.scalars.values()) == [1.0, 2.0, 3.0]
    assert [name[:12] for name in kept.scalars] == ["Ours _1_/mAP", "Ours _1_/mAP", "Ours_1/mAP"]
