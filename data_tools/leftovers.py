"""Temporary files and folders of processes that were killed, removed by the next one that writes to the same place."""

from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path

logger = logging.getLogger(__name__)

# Every temporary name says which process it belongs to: `.placing.<pid>.x` of `files.place_file`,
# `.extract-<pid>-x` of `fetch`, `.<name>.<pid>.<thread>` of `files.replacing`, with `.part.<suffix>` behind it where
# that is kept; once `.manifest.x.<pid>`.
_TEMPORARY = re.compile(
    r"\.placing\.(?P<placing>\d+)\.\w+|\.extract-(?P<extract>\d+)-\w+|\.manifest\.\w+\.(?P<manifest>\d+)"
    r"|\..+\.(?P<file>\d+)\.\d{9,}(?:\.part(?:\.[^.]+)?)?"
)


def remove_leftovers(folder: str | Path, *, deep: bool = True) -> int:
    """Remove the temporary files and folders whose process is gone.

    Args:
        folder: Where output is written; it need not exist.
        deep: Look into the folders below it too.

    Returns:
        How many were removed. What cannot be removed stays.
    """
    removed = 0
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            if _is_abandoned(name):
                path = Path(place, name)
                shutil.rmtree(path, ignore_errors=True) if name in folders else path.unlink(missing_ok=True)
                removed += not path.exists()
        folders[:] = [name for name in folders if deep and not name.startswith(".")]
    if removed:
        logger.info("%s: removed %d temporary files of interrupted calls", folder, removed)
    return removed


def _is_abandoned(name: str) -> bool:
    found = _TEMPORARY.fullmatch(name)
    return found is not None and not _is_running(int(next(filter(None, found.groups()))))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
