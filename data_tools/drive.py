"""Files on Google Drive, by way of gdown (extra `drive`), which knows the pages that stand before them.

gdown runs in a process of its own, which is ended when it is too slow or takes too much: it has no such limits.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ADDRESS = "https://drive.google.com/uc?id={}"
# gdown reads so many bytes before it writes any of them.
_PIECE = 512 * 1024
_LOOK = 0.1
_PROGRAM = """
import sys
import gdown
try:
    got = gdown.download(sys.argv[1], output=sys.argv[2], quiet=True, resume=True)
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
sys.exit(None if got else "Google Drive refused the file (too many downloads of it today, or it is gone)")
"""


class DriveError(Exception):
    """The file cannot be had."""


def download_from_drive(
    file_id: str,
    folder: Path,
    *,
    seconds: float,
    least_rate: float,
    max_bytes: int,
    progress: Callable[[int], None] = lambda size: None,
) -> Path:
    """Download a file, going on with what an earlier call left in the folder.

    Args:
        file_id: What Google Drive calls it.
        folder: Where to; made, and kept after a failure for the next call.
        seconds: Over which the rate is looked at.
        least_rate: Bytes a second; what is slower is given up.
        max_bytes: Most bytes that are taken.
        progress: Called with the bytes that are there.

    Returns:
        The file, in `folder`.

    Raises:
        DriveError: gdown is not installed or refuses, or one of the limits is reached.
    """
    if importlib.util.find_spec("gdown") is None:
        raise DriveError("Google Drive needs the extra `drive`: pip install 'duskbench[drive]'")
    folder.mkdir(exist_ok=True)
    file = folder / "file"
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        command = [sys.executable, "-c", _PROGRAM, ADDRESS.format(file_id), str(file)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            _watch(process, folder, max(seconds, _PIECE / least_rate), least_rate, max_bytes, progress)
        finally:
            process.kill()
            code = process.wait()
        said.seek(0)
        lines = said.read().strip().splitlines()
    if code != 0 or not file.is_file():
        raise DriveError(lines[-1][:200] if lines else f"gdown ended with exit code {code}")
    return file


def _watch(
    process: subprocess.Popen[bytes],
    folder: Path,
    seconds: float,
    least_rate: float,
    max_bytes: int,
    progress: Callable[[int], None],
) -> None:
    """Return when the process has ended."""
    start, before = time.monotonic(), _size(folder)
    while True:
        try:
            process.wait(_LOOK)
        except subprocess.TimeoutExpired:
            pass
        else:
            return
        size = _size(folder)
        progress(size)
        if size > max_bytes:
            shutil.rmtree(folder, ignore_errors=True)
            raise DriveError(f"sends more than the {max_bytes} bytes it may")
        passed = time.monotonic() - start
        if passed >= seconds:
            if size - before < least_rate * passed:
                raise DriveError(f"only {max(0, size - before)} bytes in {passed:.0f} s")
            start, before = time.monotonic(), size


def _size(folder: Path) -> int:
    total = 0
    for each in folder.iterdir():
        try:
            total += each.stat().st_size
        except FileNotFoundError:  # gdown renames its file when it is whole
            continue
    return total
