"""What commands cost before they do anything: CPU seconds and memory of all their processes.

    python -m duskbench.benchmarks.speed.start --data data/miniature --workers 1 2

A run is `duskbench run miniature --enhancer input --limit 8`, cold and again with nothing to do. CPU seconds are of the
command and of every process below it, which become this one's when their parents end; memory is the largest sum of the
shared and private memory that these processes had at a time (proportional set size, looked at four times a second).
Linux only. Compiled byte code is part of a start: where Python may not write it, each start compiles again.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_SECONDS_BETWEEN_LOOKS = 0.25


def main() -> None:
    """Print a line for each start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data/miniature", help="the miniature data set")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    for _ in range(asked.rounds):
        for workers in asked.workers:
            with tempfile.TemporaryDirectory() as out:
                run = ["run", "miniature", "--enhancer", "input", "--limit", "8", "--data", asked.data, "--out", out]
                for state in ("cold", "nothing to do"):
                    _print(f"{workers} workers, {state}", _start([*run, "--workers", str(workers)]))
                _print("table", _start(["table", out]))
        for command in ("--help", "list", "data fetch"):
            _print(command, _start(command.split()))


def _print(name: str, cost: tuple[float, int]) -> None:
    print(f"{name:24}{cost[0]:6.2f} s of CPU  {cost[1] / 2**20:5.0f} MiB", flush=True)


def _start(arguments: Sequence[str]) -> tuple[float, int]:
    command = [sys.executable, "-m", "duskbench", *arguments]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended, peaks = threading.Event(), [0]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    watch = threading.Thread(target=_watch, args=(ended, peaks))
    watch.start()
    code = process.wait()
    # Those whose parent has ended.
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    ended.set()
    watch.join()
    if code:
        raise SystemExit(f"{' '.join(command)} failed with exit code {code}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, max(peaks)


def _watch(ended: threading.Event, peaks: list[int]) -> None:
    while not ended.wait(_SECONDS_BETWEEN_LOOKS):
        peaks.append(sum(_memory(pid) for pid in _below(os.getpid())))


def _below(pid: int) -> list[int]:
    """The processes that a process has started, and they in turn."""
    try:
        found = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*found, *(deeper for each in found for deeper in _below(each))]


def _memory(pid: int) -> int:
    """Bytes; what several processes share is divided among them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
