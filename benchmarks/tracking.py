"""The numbers of a run or a night in a tracker of experiments, by mmengine's backends, which a training has too."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duskbench.benchmarks.record import RunRecord
from duskbench.benchmarks.store import RESULTS, ResultStore
from duskbench.benchmarks.table import Table
from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError

if TYPE_CHECKING:
    from mmengine.visualization import BaseVisBackend

# Each is the name of the package that it needs.
TRACKERS = ("tensorboard", "wandb", "mlflow")
# The strictest, MLflow, allows these in a name.
_NOT_ALLOWED = re.compile(r"[^\w\-. /]")


def check_tracker(tracker: str) -> None:
    """Raise before hours of measuring what would be raised after them.

    Raises:
        UnknownNameError: There is no such tracker.
        ConfigError: Its package is not installed.
    """
    if tracker not in TRACKERS:
        raise UnknownNameError("tracker", tracker, TRACKERS, where="--tracker")
    if find_spec(tracker) is None:
        raise ConfigError(f"{tracker} is not installed.", where="--tracker", todo=f"pip install {tracker}")


def table_numbers(table: Table) -> dict[str, float]:
    """`ROW/COLUMN` -> each number of a table as it is shown, and its interval under `ROW/COLUMN low` and `high`."""
    numbers, fields = {}, table.fields()
    for row in table.rows:
        for name, column, end in fields:
            value = getattr(row[column.key], end)
            if end != "unsettled" and isinstance(value, int | float):
                numbers[f"{row.label}/{name}"] = value * column.factor
    return numbers


def track_run(tracker: str, run_dir: Path, table: Table, record: RunRecord | None = None) -> None:
    """Hand over the table of a run; what a tracker keeps in files lies in the run's folder.

    Args:
        tracker: One of `TRACKERS`.
        run_dir: Folder of the run.
        table: Its table.
        record: What it measured; None for the newest record of the folder.

    Raises:
        ConfigError, DataError: As `check_tracker` and `track`.
    """
    if record is None:
        with ResultStore(run_dir / RESULTS, reading=True) as store:
            record = store.last_run()
    n_images = len(record.image_ids)
    track(tracker, run_dir, record, table_numbers(table), run=record.environment.started, n_images=n_images)


def track(
    tracker: str,
    folder: Path,
    record: RunRecord,
    numbers: Mapping[str, float],
    *,
    run: str,
    n_images: int,
    step: int = 0,
) -> None:
    """Hand numbers over.

    Args:
        tracker: One of `TRACKERS`.
        folder: Where a tracker keeps what it keeps in files.
        record: What they were measured with.
        numbers: Name -> number; characters that some tracker does not allow in a name become underscores, and names
            that this makes one get a hash behind them.
        run: Name of the run; the configuration is the project or experiment.
        n_images: Images of the run; the record of a night does not list them.
        step: Position on a curve of several runs.

    Raises:
        ConfigError: As `check_tracker`.
        DataError: The tracker failed.
    """
    check_tracker(tracker)
    about = _about(record, folder, n_images)
    try:
        backend = _backend(tracker, folder, record.name, run, about)
        if tracker != "wandb":
            # Of Weights & Biases it would upload the code in the current folder.
            from mmengine.config import Config

            backend.add_config(Config(about))
        backend.add_scalars(_with_allowed_names(numbers), step)
        backend.close()
    except Exception as error:
        raise DataError(
            f"{tracker} failed; the results themselves are written.",
            where=folder,
            got=f"{type(error).__name__}: {error}",
            todo="set it up as its documentation says and give the same command again: nothing is measured again",
        ) from error


def _with_allowed_names(numbers: Mapping[str, float]) -> dict[str, float]:
    allowed = {name: _NOT_ALLOWED.sub("_", name) for name in numbers}
    times = Counter(allowed.values())
    for name, made in allowed.items():
        if times[made] > 1:
            allowed[name] = f"{made}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return {allowed[name]: number for name, number in numbers.items()}


def _backend(tracker: str, folder: Path, project: str, run: str, about: dict[str, Any]) -> BaseVisBackend:
    from mmengine.visualization import MLflowVisBackend, TensorboardVisBackend, WandbVisBackend

    if tracker == "tensorboard":
        return TensorboardVisBackend(str(folder / "tensorboard"))
    if tracker == "wandb":
        return WandbVisBackend(str(folder), init_kwargs={"project": project, "name": run, "config": about})
    server = os.environ.get("MLFLOW_TRACKING_URI")
    return MLflowVisBackend(
        str(folder),
        exp_name=project,
        run_name=run,
        # MLflow no longer writes the folders of files that are the backend's default.
        tracking_uri=server or f"sqlite:///{folder.resolve() / 'mlflow.db'}",
        artifact_location=None if server else (folder.resolve() / "mlflow").as_uri(),
        artifact_suffix=(".md", ".csv"),
    )


def _about(record: RunRecord, folder: Path, n_images: int) -> dict[str, Any]:
    made = record.environment
    return {
        "title": record.title,
        "data": record.data.name,
        "split": record.data.split,
        "images": n_images,
        "detectors": ", ".join(detector.label for detector in record.detectors) or "none",
        "device": made.gpu or made.device,
        "commit": made.git or "unknown",
        "versions": made.packages,
        # Where the backend of MLflow looks for files to keep.
        "work_dir": str(folder),
    }
