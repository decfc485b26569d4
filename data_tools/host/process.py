"""One process of a plug-in, seen from the one that uses it: started, asked, watched, and ended with it."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np

from duskbench.data_tools.host.shared_arrays import SharedArrays, memory_file

_MAIN = Path(__file__).with_name("__main__.py")
# Seconds for a process to end by itself, with what the plug-in registered for its end.
_GRACE = 2.0
# Seconds between looks at whether it still lives, where its end is not seen otherwise.
_LOOK = 0.5
_TAIL = 4096
_SHOWN_LINES = 5
_LAST_READS = 64
_FRAME = re.compile(r'File "(?P<file>.+)", line (?P<line>\d+) in (?P<name>.+)')


class TooLongError(Exception):
    """A process did not reply within its time."""


class HostProcess:
    """A started process.

    It is in a session of its own, so that Ctrl-C reaches only the process that uses it, and it is killed by the system
    with all that it started as soon as that one is gone.

    Args:
        folder: Its current folder.

    Raises:
        OSError: The system cannot start a process now.
    """

    def __init__(self, folder: str) -> None:
        self._tail = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._channel, channel = multiprocessing.Pipe()
        inputs, outputs, self._traces = memory_file(), memory_file(), memory_file()
        self._given, self._returned = SharedArrays(inputs), SharedArrays(outputs)
        self._noise, noise = os.pipe()
        os.set_blocking(self._noise, False)
        lifeline, self._lifeline = os.pipe()
        self._open = [inputs, outputs, self._traces, self._noise, self._lifeline]
        passed = [channel.fileno(), inputs, outputs, self._traces, lifeline]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-u", str(_MAIN), *map(str, passed)],
                stdin=subprocess.DEVNULL,
                stdout=noise,
                stderr=noise,
                cwd=folder,
                env=_environment(),
                pass_fds=passed,
                start_new_session=True,
            )
            _kill_when_closed(lifeline, self._process.pid)
        except OSError:
            self._close()
            raise
        finally:
            channel.close()
            os.close(noise)
            os.close(lifeline)

    def ask(self, request: dict[str, Any], arrays: Sequence[np.ndarray], limit: float) -> dict[str, Any]:
        """Send a request with arrays and wait for the reply.

        Args:
            request: What JSON can hold.
            arrays: Of numbers; the process gets copies of them.
            limit: Seconds to wait.

        Returns:
            The reply; under `arrays` copies of the arrays that came with it.

        Raises:
            EOFError, OSError, ValueError: The process has ended, or does not reply but writes something.
            TooLongError: It has not replied.
        """
        self.request({**request, "arrays": self._given.put(arrays)})
        reply = self.reply(limit)
        reply["arrays"] = self._returned.take(reply.get("arrays", ()))
        return reply

    def request(self, request: dict[str, Any]) -> None:
        """Send what JSON can hold."""
        self.send(json.dumps(request).encode())

    def send(self, message: bytes) -> None:
        """Send one message."""
        self._channel.send_bytes(message)

    def reply(self, limit: float) -> dict[str, Any]:
        """Wait for one message; errors as in `ask`."""
        end = time.monotonic() + limit
        sources: list[Any] = [self._channel, self._noise]
        while (left := end - time.monotonic()) > 0:
            ready = wait(sources, min(left, _LOOK))
            if self._noise in ready and not self._show_noise():
                # The plug-in closed its stdout and stderr.
                sources.remove(self._noise)
            if self._channel in ready:
                reply: dict[str, Any] = json.loads(self._channel.recv_bytes())
                return reply
            # What the plug-in started may hold the channel open after the plug-in has ended.
            if not ready and self.ended:
                raise EOFError
        raise TooLongError

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def kill(self, file: str | None = None) -> str:
        """Kill what has not replied; says what it was doing.

        Args:
            file: The plug-in's file; the line of it, or of what lies beside it, is named.
        """
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGUSR1)
        # On a busy machine it takes a while until the traceback is begun; then little is left of it.
        until = time.monotonic() + _GRACE
        while not os.fstat(self._traces).st_size and not self.ended and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.1)
        return self._bury("no result", file)

    def autopsy(self, file: str | None = None) -> str:
        """Say how it ended; arguments as in `kill`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            # Its channel is closed a moment before it has an exit code.
            self._process.wait(_GRACE)
        code = self._process.poll()
        if code is None:
            how = "its process closed the channel between them, or wrote to it"
        elif code >= 0:
            how = f"its process ended with exit code {code}"
        else:
            memory = ", as the system does when memory runs out" if code == -signal.SIGKILL else ""
            how = f"its process was ended by signal {-code} ({signal.strsignal(-code)}{memory})"
        return self._bury(how, file)

    def end(self) -> None:
        """Let it end by itself, or else kill it, and let go of it."""
        if not self._open:
            # Dead and gone; another process may have its number by now.
            return
        self._channel.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        self._kill_group()
        self._close()

    def let_go(self) -> None:
        """Leave it to the process that started it, of which this one is a fork."""
        self._close()
        # Not a child of this one, which can neither wait for it nor need warn of it.
        self._process.returncode = 0

    def _close(self) -> None:
        self._channel.close()
        while self._open:
            os.close(self._open.pop())

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        # Bounded: what left the group may go on printing.
        for _ in range(_LAST_READS):
            if not self._show_noise():
                break

    def _bury(self, how: str, file: str | None) -> str:
        self._kill_group()
        trace = os.pread(self._traces, 2**16, 0).decode("utf-8", "replace")
        self._close()
        place = _deepest_line(trace, Path(file).parent) if file is not None else None
        said = " | ".join(self._tail.strip().splitlines()[-_SHOWN_LINES:])
        return how + (f", at {place}" if place else "") + (f"; it said: {said}" if said else "")

    def _show_noise(self) -> bool:
        """Show on stderr some of what the plug-in printed; False where there was none, or no more can come."""
        try:
            read = os.read(self._noise, 2**16)
        except BlockingIOError:
            return False
        text = self._decoder.decode(read)
        self._tail = (self._tail + text)[-_TAIL:]
        # A run whose own stderr is closed goes on.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(text)
            sys.stderr.flush()
        return bool(read)


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    if "torch" in sys.modules:
        # Several workers run side by side; each was given so many cores.
        threads = str(sys.modules["torch"].get_num_threads())
        environment["OMP_NUM_THREADS"] = environment["OPENCV_FOR_THREADS_NUM"] = threads
    return environment


def _kill_when_closed(lifeline: int, group: int) -> None:
    """Have the system kill a process group when the other end of a pipe that the group has open is closed.

    That end is closed by the end of the process that holds it, also by `kill -9`; and no thread of a plug-in that
    hangs in native code need run for it.
    """
    if not hasattr(fcntl, "F_SETSIG"):
        return
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -group)
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _deepest_line(trace: str, folder: Path) -> str | None:
    """The plug-in's line in what Python's faulthandler wrote; None where it wrote none or has no line of it."""
    for frame in _FRAME.finditer(trace):
        file = Path(frame["file"])
        if folder in file.parents:
            return f"{file}:{frame['line']}, in {frame['name']}"
    return None
