"""The folders of nights under `--out`: one each, resumed where it was interrupted, removed when nothing needs it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from duskbench.benchmarks.store import RESULTS
from duskbench.data_tools.files import write_text

_RECORD = "night.json"
# A report that is so late is not worth a night without measuring.
_SAME_NIGHT = timedelta(hours=12)


@dataclass(frozen=True)
class NightFolder:
    """Where a night's rows are.

    Attributes:
        path: The folder, named like the night.
        config: Name of the configuration.
        started: ISO 8601, UTC.
        made_with: What must be equal for its rows to be used again: versions, commit, device.
        finished: Whether its night is in the history and its report is written.
        asked: Hash of what was asked: the configuration, and what is tolerated. None as earlier versions wrote it.
    """

    path: Path
    config: str
    started: str
    made_with: dict[str, Any]
    finished: bool = False
    asked: str | None = None

    @property
    def id(self) -> str:
        """Of the night."""
        return self.path.name

    def finish(self) -> NightFolder:
        """Say that nothing is left to do for it."""
        done = replace(self, finished=True)
        done.write()
        return done

    def write(self) -> None:
        """Write its record."""
        values = {key: getattr(self, key) for key in ("config", "started", "made_with", "finished", "asked")}
        write_text(self.path / _RECORD, json.dumps(values, indent=1, sort_keys=True) + "\n")


def night_folders(out: Path) -> list[NightFolder]:
    """The nights under a folder, the oldest first; what is no night, or half a record, is left out."""
    found = []
    for record in sorted(out.glob(f"*/{_RECORD}")):
        try:
            found.append(NightFolder(path=record.parent, **json.loads(record.read_text())))
        except (ValueError, TypeError):
            continue
    return sorted(found, key=lambda folder: (folder.started, folder.id))


def open_night(
    out: Path,
    config: str,
    made_with: Mapping[str, Any],
    taken: Collection[str],
    asked: str | None = None,
    is_same: Callable[[NightFolder], bool] = lambda _: True,
    others: Collection[str] = (),
) -> NightFolder:
    """The folder of the night that was interrupted, or of a new one.

    An interrupted night is begun anew where its rows were measured with other versions, another commit or another
    device: a night of two halves could not say what changed. One that is in the history and was interrupted before its
    report was written comes back as it is, unless another night is due since: because of the time (or the clock was set
    back and nobody knows how long ago that was), or because something else is asked, or of another commit, other code,
    other weights or other images.

    Args:
        out: `--out`.
        config: Name of the configuration.
        made_with: Of tonight.
        taken: Ids of the configuration's nights in the history.
        asked: As in `NightFolder`.
        is_same: Whether a night of the history would measure the same now; asked where all else is equal.
        others: Ids of the other nights in the history, whose folders are elsewhere: no two nights share one.
    """
    now = datetime.now(UTC)
    for folder in night_folders(out):
        if folder.finished or folder.config != config:
            continue
        results = folder.path / RESULTS
        if folder.id in taken:
            same = (folder.made_with, folder.asked) == (dict(made_with), asked)
            recent = results.is_file() and timedelta(0) <= now - _changed(results) < _SAME_NIGHT
            if same and recent and is_same(folder):
                return folder
            folder.finish()
        elif folder.made_with == dict(made_with) and results.is_file():
            resumed = replace(folder, asked=asked)
            resumed.write()
            return resumed
        else:
            shutil.rmtree(folder.path)
    first = now.strftime("%Y-%m-%dT%H-%M-%SZ")
    names = [first, *(f"{first}-{number}" for number in range(2, 1000))]
    name = next(name for name in names if name not in {*taken, *others} and not (out / name).exists())
    folder = NightFolder(out / name, config, now.isoformat(timespec="seconds"), dict(made_with), asked=asked)
    folder.write()
    return folder


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def prune(out: Path, config: str, keep: Collection[str]) -> None:
    """Remove the finished nights of a configuration that are not to be kept."""
    for folder in night_folders(out):
        if folder.finished and folder.config == config and folder.id not in keep:
            shutil.rmtree(folder.path)
