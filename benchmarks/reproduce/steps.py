"""Steps in order, each run once for the same inputs; a small record per step says what was done."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Any

from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.file_states import states_sha256
from duskbench.data_tools.files import file_sha256, only_one, write_text
from duskbench.data_tools.progress import SILENT, Progress


class State(StrEnum):
    """How things stand with a step."""

    DONE = "done"
    UNSURE = "done, unless an earlier step changes its inputs"
    STARTED = "started"
    TO_DO = "to do"


@dataclass(frozen=True)
class Estimate:
    """What a step takes from its beginning: seconds, None where they are not known, and bytes on the disk."""

    seconds: float | None = 0.0
    disk_bytes: float = 0.0


@dataclass(frozen=True)
class Step:
    """One step; building it does nothing, and none of its functions but `run` writes anything.

    Attributes:
        name: Unique among the steps, fit for a file name.
        what: What it does, for people.
        inputs: Everything its result depends on, as JSON values; None while an earlier step has yet to make it.
        outputs: Files and folders that it makes; if one of them was changed or removed since, the step runs again.
        run: Does it, and goes on with what an interrupted call left; True if it is complete.
        estimate: What it will take.
        started: Whether an interrupted call left something that `run` goes on with.
    """

    name: str
    what: str
    inputs: Callable[[], Mapping[str, Any] | None]
    outputs: tuple[Path, ...]
    run: Callable[[Progress], bool]
    estimate: Callable[[], Estimate] = Estimate
    started: Callable[[], bool] = lambda: False


def states(steps: Sequence[Step], work: Path) -> list[State]:
    """How things stand with all steps, in order; nothing is changed.

    Args:
        steps: The steps.
        work: Folder that has their records.
    """
    found: list[State] = []
    for step in steps:
        state = _state(step, work)
        unsure = state is State.DONE and any(earlier is not State.DONE for earlier in found)
        found.append(State.UNSURE if unsure else state)
    return found


def run_steps(steps: Sequence[Step], work: Path, progress: Progress = SILENT) -> bool:
    """Run the steps in order; those that are done for the same inputs are passed over.

    A step's record is written at its end, so one that was interrupted or failed runs again, and goes on.

    Args:
        steps: The steps.
        work: Folder for their records; made.
        progress: Where they report.

    Returns:
        Whether every step is complete.

    Raises:
        ConfigError: Another process works in the same folder.
        DuskbenchError: A step's; what was done before stays done.
    """
    work.mkdir(parents=True, exist_ok=True)
    complete = True
    with only_one(work, "work folder"):
        if all(state is State.DONE for state in states(steps, work)):
            progress.message(f"All {len(steps)} steps are done already: nothing has changed since, nothing is to do.")
            return True
        for number, step in enumerate(steps, start=1):
            state = _state(step, work)
            progress.message(f"[{number}/{len(steps)}] {step.name} ({state}): {step.what}")
            if state is not State.DONE:
                complete = _run(step, work, progress) and complete
    return complete


def _run(step: Step, work: Path, progress: Progress) -> bool:
    inputs = step.inputs()
    if inputs is None:
        raise ConfigError("An earlier step did not make what this one needs.", where=step.name)
    # Taken before the step runs: files that change meanwhile make it run again.
    key, start = fingerprint_of(inputs), time.monotonic()
    if not step.run(progress):
        return False
    record = {
        "step": step.name,
        "inputs": key,
        "outputs": _outputs(step, work),
        "seconds": round(time.monotonic() - start, 3),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "duskbench": metadata.version("duskbench"),
    }
    write_text(_record_path(step, work), json.dumps(record, indent=1, sort_keys=True) + "\n")
    return True


def _state(step: Step, work: Path) -> State:
    inputs, record = step.inputs(), _read_record(step, work)
    is_same = inputs is not None and record.get("inputs") == fingerprint_of(inputs)
    if is_same and record.get("outputs") == _outputs(step, work):
        return State.DONE
    return State.STARTED if step.started() else State.TO_DO


def fingerprint_of(inputs: Mapping[str, Any]) -> str:
    """Hash of JSON values, 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _record_path(step: Step, work: Path) -> Path:
    return work / "steps" / f"{step.name}.json"


def _read_record(step: Step, work: Path) -> dict[str, Any]:
    """Empty where there is none that can be read."""
    try:
        record = json.loads(_record_path(step, work).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _outputs(step: Step, work: Path) -> dict[str, str | None]:
    """State of a step's outputs, by path in the work folder: a file's content, a folder's names and sizes."""
    return {path.relative_to(work).as_posix(): _output_state(path) for path in step.outputs}


def _output_state(path: Path) -> str | None:
    if path.is_file():
        # A database changes when it is read.
        return "there" if path.suffix == ".sqlite" else file_sha256(path)
    # Names and sizes alone.
    return states_sha256([path], mark=lambda _: 0) if path.is_dir() else None
