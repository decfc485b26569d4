"""Inside the process of a plug-in: builds it, answers requests, and says what went wrong."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pickle
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from duskbench.data_tools.errors import ConfigError, DuskbenchError
from duskbench.data_tools.fingerprint import definition_of
from duskbench.data_tools.host.plugin import FAILURES
from duskbench.data_tools.host.shared_arrays import SharedArrays
from duskbench.data_tools.plugins import raised_at

Answer = tuple[dict[str, Any], Sequence[np.ndarray]]


class Served(Protocol):
    """A plug-in of some kind in its process; built with the target, the arguments, and by name what is offered."""

    @property
    def code(self) -> object:
        """The plug-in's class or function: where errors point to."""

    def describe(self) -> dict[str, Any]:
        """What the other side must know of it, with `fingerprint`; what JSON can hold."""

    def answer(self, request: dict[str, Any], arrays: list[np.ndarray]) -> Answer:
        """Do what is asked for with arrays that nobody else has; what JSON can hold, and arrays of numbers."""


def serve(channel: Connection, inputs: int, outputs: int, request: dict[str, Any]) -> None:
    """Build what is asked for and answer requests until the channel is closed.

    Args:
        channel: Where requests come from and replies go, as JSON; the arguments of the plug-in come pickled.
        inputs: Descriptor of the memory of what requests bring.
        outputs: Descriptor of the memory of what replies bring.
        request: `kind`, `served` and `target` of the plug-in, and `failed`, the sentence for one that cannot be built.
    """
    kind = FAILURES[request["kind"]]
    given, returned = SharedArrays(inputs), SharedArrays(outputs)
    process = os.getpid()
    served: Served | None = None
    try:
        served = _build(request["served"], request["target"], channel.recv_bytes())
        reply = {**served.describe(), "file": _file_of(served.code)}
    except BaseException as error:  # noqa: BLE001 - nothing that foreign code raises may end this loop
        reply = _failed(error, kind, request)
    while True:
        _end_copies_of(process)
        channel.send_bytes(json.dumps(reply, default=repr).encode())
        try:
            request = json.loads(channel.recv_bytes())
        except (EOFError, OSError):
            return
        try:
            assert served is not None  # noqa: S101 - after an error the other side closes the channel
            reply, arrays = served.answer(request, given.take(request["arrays"]))
            # Before the memory is written to: by now it may hold the reply to a later request.
            _end_copies_of(process)
            reply["arrays"] = returned.put(arrays)
        except BaseException as error:  # noqa: BLE001 - as above
            reply = _failed(error, kind, request, served.code if served is not None else None)


def _end_copies_of(process: int) -> None:
    """End this process if the plug-in forked and its child came back from the call as well."""
    if os.getpid() != process:
        os._exit(0)


def _build(address: str, target: str, pickled: bytes) -> Served:
    folder = _folder_of(target)
    if folder is not None:
        # As for a script that Python runs: what lies beside a plug-in is found before what is installed.
        sys.path.insert(0, str(folder))
    module, _, name = address.partition(":")
    kind = getattr(importlib.import_module(module), name)
    try:
        arguments, offered = pickle.loads(pickled)  # noqa: S301 - from the process that started this one
    except Exception as error:
        raise ConfigError(
            "The arguments cannot be handed to the plug-in's process.", where=target, got=raised_at(error, None)
        ) from error
    served: Served = kind(target, arguments, **offered)
    return served


def _folder_of(target: str) -> Path | None:
    """The folder of a file, or the current one if it holds the module's package; None for what is installed."""
    place, colon, _ = target.rpartition(":")
    if place.endswith(".py"):
        return Path(place).expanduser().resolve().parent
    head = place.partition(".")[0]
    return Path.cwd() if colon and (Path(head).is_dir() or Path(f"{head}.py").is_file()) else None


def fields_of(error: DuskbenchError) -> dict[str, str | None]:
    """An error's five fields as text."""
    fields = {each: getattr(error, each) for each in ("what", "where", "expected", "got", "todo")}
    return {key: None if value is None else str(value) for key, value in fields.items()}


def _failed(
    error: BaseException, kind: type[DuskbenchError], request: dict[str, Any], code: object = None
) -> dict[str, Any]:
    """The reply that the other side makes an error from again, ours or whatever foreign code raised."""
    if not isinstance(error, DuskbenchError):
        error = kind(request["failed"], where=request.get("where"), got=raised_at(error, code))
    # Of a plug-in's own kind of error the nearest that the other side knows.
    ours = next(each for each in type(error).__mro__ if each.__module__.startswith("duskbench."))
    return {"error": {"type": ours.__name__, **fields_of(error)}}


def _file_of(code: object) -> str | None:
    try:
        return inspect.getfile(definition_of(code))  # type: ignore[arg-type]
    except (TypeError, OSError):
        return None
