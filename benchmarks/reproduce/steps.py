"""A plan of steps, each of which runs once for the same inputs; a small record per step says what was done."""

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

from duskbench.benchmarks.progress import RunProgress
from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.files import file_sha256, listing_sha256, only_one, write_text


class State(StrEnum):
    """What becomes of a step."""

    DONE = "done"
    AGAIN = "done, looked at again"
    """It is done, but a step before it is not: done again only if that changes its inputs."""
    RESUME = "resume"
    TODO = "to do"


@dataclass(frozen=True)
class Estimate:
    """What a step will take: seconds and bytes on the disk; None where nothing is known."""

    seconds: float | None = None
    disk_bytes: float | None = None


class Reporter:
    """What the steps report while they go on; this one is silent, the command line's draws bars."""

    @property
    def run_progress(self) -> RunProgress:
        """What a benchmark run reports to."""
        return RunProgress()

    def begin(self, step: Step, number: int, total: int, state: State) -> None:
        """A step's turn has come; where its state is `DONE` nothing else follows."""

    def note(self, text: str) -> None:
        """Say something that the user should read."""

    def progress(self, what: str, done: int, total: int) -> None:
        """`done` of `total` are done."""

    def end(self, step: Step, seconds: float) -> None:
        """A step is through, and recorded if it is complete."""


@dataclass(frozen=True)
class Step:
    """One step of a plan; building it does nothing, and none of its functions but `run` writes anything.

    Attributes:
        name: Unique in the plan, fit for a file name.
        what: What it does, for people.
        inputs: Everything its result depends on, as JSON values; None while an earlier step has yet to make it.
        outputs: Files and folders that it makes. They are in the record: one that was changed or removed since is
            made again.
        run: Does it, given the fingerprint of the inputs; True if it is complete, False if it must be run again.
        estimate: What it will take from the beginning.
        begun: What an earlier run of these inputs (their fingerprint) left, in words; None for nothing.
    """

    name: str
    what: str
    inputs: Callable[[], Mapping[str, Any] | None]
    outputs: tuple[Path, ...]
    run: Callable[[str, Reporter], bool]
    estimate: Callable[[], Estimate] = Estimate
    begun: Callable[[str], str | None] = lambda _: None


@dataclass(frozen=True)
class Look:
    """How things stand with a step: its state, and in words what is there of it."""

    state: State
    there: str = ""


def look(step: Step, work: Path, *, upstream_done: bool = True) -> Look:
    """Find out how things stand with a step, without changing anything.

    Args:
        step: The step.
        work: Folder of the plan, which has the records.
        upstream_done: Whether all steps before it are done.
    """
    inputs = step.inputs()
    if inputs is None:
        return Look(State.TODO)
    key = fingerprint_of(inputs)
    record = read_record(work, step.name)
    if record.get("inputs") == key and record.get("outputs") == _outputs(step, work):
        return Look(State.DONE if upstream_done else State.AGAIN, str(record.get("finished", "")))
    there = step.begun(key)
    return Look(State.TODO) if there is None else Look(State.RESUME, there)


def survey(steps: Sequence[Step], work: Path) -> list[Look]:
    """Look at all steps in order; what `--dry-run` prints."""
    looks: list[Look] = []
    for step in steps:
        looks.append(look(step, work, upstream_done=all(seen.state is State.DONE for seen in looks)))
    return looks


def work_through(steps: Sequence[Step], work: Path, reporter: Reporter | None = None) -> bool:
    """Run the steps in order; those that are done for the same inputs are passed over.

    A step's record is written at its end, so a step that was cut or failed is run again, and takes up what is there.

    Args:
        steps: The plan.
        work: Folder for records; made.
        reporter: Told how far it is.

    Returns:
        Whether every step is complete.

    Raises:
        ConfigError: Another process works in the same folder.
        DuskbenchError: A step's; what was done before stays done.
    """
    reporter = reporter or Reporter()
    complete = True
    work.mkdir(parents=True, exist_ok=True)
    with only_one(work, "work folder"):
        for number, step in enumerate(steps, start=1):
            state = look(step, work).state
            reporter.begin(step, number, len(steps), state)
            if state is State.DONE:
                continue
            inputs = step.inputs()
            if inputs is None:
                raise ConfigError("An earlier step did not make what this one needs.", where=step.name)
            # Taken before the step runs: files that change meanwhile make it run again.
            key, start = fingerprint_of(inputs), time.monotonic()
            if step.run(key, reporter):
                _write_record(step, work, key, time.monotonic() - start)
            else:
                complete = False
            reporter.end(step, time.monotonic() - start)
    return complete


def fingerprint_of(inputs: Mapping[str, Any]) -> str:
    """Hash of JSON values, 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def record_path(work: Path, name: str) -> Path:
    """Where a step's record is."""
    return work / "steps" / f"{name}.json"


def read_record(work: Path, name: str) -> dict[str, Any]:
    """A step's record; empty where there is none that can be read."""
    try:
        record = json.loads(record_path(work, name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _write_record(step: Step, work: Path, key: str, seconds: float) -> None:
    record = {
        "step": step.name,
        "inputs": key,
        "outputs": _outputs(step, work),
        "seconds": round(seconds, 3),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "duskbench": metadata.version("duskbench"),
    }
    write_text(record_path(work, step.name), json.dumps(record, indent=1, sort_keys=True) + "\n")


def _outputs(step: Step, work: Path) -> dict[str, str | None]:
    """State of a step's outputs, by path in the work folder: a file's content, a folder's names and sizes."""
    return {path.relative_to(work).as_posix(): _output_state(path) for path in step.outputs}


def _output_state(path: Path) -> str | None:
    if path.is_file():
        # A database changes when it is read.
        return "there" if path.suffix == ".sqlite" else file_sha256(path)
    return listing_sha256([path], times=False) if path.is_dir() else None
