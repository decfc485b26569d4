"""Runs a program and ends it, with everything that it started, as soon as the process that asked for it is gone.

Started as a script, with a pipe from that process as standard input: `leash.py FOLDER PROGRAM ARGUMENT...`. A byte in
the pipe ends the program's process group. So does the pipe's end, because that process was stopped or killed; FOLDER,
its temporary files, is then removed too. Nobody else could do that after `kill -9`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading


def main(folder: str, command: list[str]) -> int:
    """Run a command in a session of its own; returns its exit code, 128 + n where signal n ended it."""
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    ending = threading.Event()

    def kill_when_let_go() -> None:
        asked = os.read(0, 1)
        ending.set()
        _kill_group(program.pid)
        if not asked:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(128 + signal.SIGKILL)

    watcher = threading.Thread(target=kill_when_let_go, daemon=True)
    watcher.start()
    code = program.wait()
    if ending.is_set():
        watcher.join()
    # What it may have left running in the background would go on writing.
    _kill_group(program.pid)
    return code if code >= 0 else 128 - code


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
