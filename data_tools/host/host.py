"""A plug-in's process as long as it is used: started again after its death, but not without end."""

from __future__ import annotations

import os
import pickle
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from duskbench.data_tools.errors import ConfigError, DuskbenchError
from duskbench.data_tools.host.plugin import Plugin
from duskbench.data_tools.host.process import HostProcess, TooLongError

# A plug-in whose process is lost so many times in a row is not started again.
GIVE_UP_AFTER = 5
# Seconds; a limit for an image need not do for imports and weights.
LEAST_TIME_FOR_BUILDING = 30.0


class Host:
    """Runs a plug-in in a process of its own.

    It may be pickled, and used after a fork: the copy starts a process of its own when it is first asked.

    Args:
        plugin: What to run.

    Attributes:
        plugin: As given.
        about: What the plug-in says of itself: name, fingerprint and more.

    Raises:
        DuskbenchError: What the plug-in raised while it was built; the error of its kind where that ended its process
            or took longer than the time limit.
    """

    _process: HostProcess | None
    _finalizer: weakref.finalize[[HostProcess], Host]

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self.about: dict[str, Any] = {}
        self._without_process()
        self._start(None)

    def ask(
        self,
        request: dict[str, Any],
        arrays: Sequence[np.ndarray] = (),
        where: str | None = None,
        *,
        images: int = 1,
    ) -> dict[str, Any]:
        """Have the plug-in do something.

        Args:
            request: What JSON can hold, for `Served.answer`.
            arrays: Of numbers; the plug-in gets copies.
            where: The image's id, for errors.
            images: How many times the time limit of an image it may take.

        Returns:
            The reply; under `arrays` the arrays that came with it, which nobody else has.

        Raises:
            DuskbenchError: What the plug-in raised; the error of its kind where that ended its process, took longer
                than the time limit, or was tried too often.
        """
        request = {**request, "where": where, "failed": self.plugin.says("failed.")}
        limit = self.plugin.time_limit * max(1, images)
        with self._lock:
            process = self._process
            if process is None or process.ended:
                process = self._start(where)
            reply = self._watched(process, lambda: process.ask(request, arrays, limit), limit, where)
            self._lost = 0
        if "error" in reply:
            raise _remade(reply["error"], self.plugin.failure)
        return reply

    def close(self) -> None:
        """End the process; it is started again if the plug-in is used again."""
        if self._process is not None:
            self._finalizer.detach()
            self._process.end()
            self._process = None

    def _start(self, where: str | None) -> HostProcess:
        self.close()
        if self._lost >= GIVE_UP_AFTER:
            raise self.plugin.failure(
                self.plugin.says("is not started again."),
                where=where,
                got=f"{self._lost} failures in a row; the last one: {self._last_loss}",
                todo="run it on one of these images by itself",
            )
        arguments = self._pickled_arguments()
        try:
            process = HostProcess(self.plugin.folder)
        except OSError as error:
            raise self._loss("cannot be started.", f"{type(error).__name__}: {error}", where) from error
        self._process, self._finalizer = process, weakref.finalize(self, HostProcess.end, process)
        limit = max(self.plugin.time_limit, LEAST_TIME_FOR_BUILDING)
        about = self._watched(process, lambda: self._build(process, arguments, limit), limit, where)
        if "error" in about:
            self.close()
            reported = _remade(about["error"], self.plugin.failure)
            self._count(str(reported))
            raise reported
        if self.about and about["fingerprint"] != self.about["fingerprint"]:
            self.close()
            raise self._loss(
                "was started again and is another one now.",
                "another fingerprint: its code, weights or files were edited meanwhile, or it has none that stays",
                where,
            )
        self.about = about
        return process

    def _build(self, process: HostProcess, arguments: bytes, limit: float) -> dict[str, Any]:
        process.request(
            {
                "search_path": self.plugin.search_path,
                "kind": self.plugin.kind,
                "served": self.plugin.served,
                "target": self.plugin.target,
                "failed": self.plugin.says("fails while it is built."),
            }
        )
        process.send(arguments)
        return process.reply(limit)

    def _pickled_arguments(self) -> bytes:
        try:
            return pickle.dumps((dict(self.plugin.arguments), dict(self.plugin.offered)))
        except Exception as error:
            raise ConfigError(
                "The arguments cannot be handed to the plug-in's process.",
                where=self.plugin.target,
                expected="numbers, texts, lists, dicts and what else can be pickled",
                got=f"{type(error).__name__}: {error}",
            ) from error

    def _watched(
        self, process: HostProcess, reply: Callable[[], dict[str, Any]], limit: float, where: str | None
    ) -> dict[str, Any]:
        """A reply of the process; its death and its silence are errors."""
        file = self.about.get("file") or self.plugin.file
        try:
            return reply()
        except (EOFError, OSError, ValueError):
            how = process.autopsy(file)
            raise self._loss("ended its process.", how, where, "a result or an exception") from None
        except TooLongError:
            how = process.kill(file)
            raise self._loss(
                "took too long.",
                how,
                where,
                f"a result within {limit:g} s",
                "if it needs more: --time-limit SECONDS, or DUSKBENCH_TIME_LIMIT=SECONDS, for one image",
            ) from None
        except BaseException:
            # Ctrl-C: it works on what nobody wants any more.
            process.kill()
            raise

    def _loss(
        self, what: str, got: str, where: str | None, expected: str | None = None, todo: str | None = None
    ) -> DuskbenchError:
        self._count(got)
        return self.plugin.failure(self.plugin.says(what), where=where, expected=expected, got=got, todo=todo)

    def _count(self, last: str) -> None:
        self._lost, self._last_loss = self._lost + 1, last

    def _without_process(self) -> None:
        self._process = None
        self._lock = threading.Lock()
        self._lost, self._last_loss = 0, ""
        _HOSTS.add(self)

    def _after_fork(self) -> None:
        if self._process is not None:
            self._finalizer.detach()
            # Held open here, it would outlive the process that started it.
            self._process.let_go()
        self._without_process()

    def __getstate__(self) -> dict[str, Any]:
        return {"plugin": self.plugin, "about": self.about}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._without_process()


_HOSTS: weakref.WeakSet[Host] = weakref.WeakSet()


def _after_fork() -> None:
    for host in list(_HOSTS):
        host._after_fork()


os.register_at_fork(after_in_child=_after_fork)


def _remade(fields: dict[str, Any], kind: type[DuskbenchError]) -> DuskbenchError:
    """The error that a plug-in's process reported."""
    named = _known_errors().get(fields.pop("type"), kind)
    # Not its constructor: those of some take other arguments.
    error: DuskbenchError = named.__new__(named)
    DuskbenchError.__init__(error, **fields)
    return error


def _known_errors() -> dict[str, type[DuskbenchError]]:
    found, left = {}, [DuskbenchError]
    while left:
        error = left.pop()
        found[error.__name__] = error
        left += error.__subclasses__()
    return found
