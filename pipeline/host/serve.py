"""Inside the process of a plug-in: builds it, answers requests, and says what went wrong."""

from __future__ import annotations

import inspect
import json
import os
import pickle
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from duskbench.data_tools.errors import ConfigError, DetectorError, DuskbenchError, EnhancerError
from duskbench.data_tools.plugins import raised_at
from duskbench.data_tools.registry import load_foreign
from duskbench.pipeline.host.build import build_detector, build_enhancer
from duskbench.pipeline.host.shared_arrays import SharedArrays

Answer = tuple[dict[str, Any], Sequence[np.ndarray]]


class ServedEnhancer:
    """An enhancer and how requests to it are answered."""

    failure: type[DuskbenchError] = EnhancerError

    def __init__(self, target: str, arguments: dict[str, Any], device: str) -> None:
        self.enhancer = build_enhancer(load_foreign("enhancer", target), target, arguments, device)

    @property
    def code(self) -> object:
        """Where errors point to."""
        return self.enhancer.code

    def describe(self) -> dict[str, Any]:
        """What the other side shows of it and stores with its results."""
        return {
            "name": str(self.enhancer.name),
            "arguments": dict(self.enhancer.arguments),
            "weights": dict(self.enhancer.weights),
            "origin": self.enhancer.origin,
            "batch_size": int(self.enhancer.batch_size),
            "fingerprint": str(self.enhancer.fingerprint),
        }

    def answer(self, request: dict[str, Any], images: list[np.ndarray]) -> Answer:
        """Enhance; for each image an error or none, and the results of those without one."""
        ids = request["ids"]
        if request["together"]:
            results = self.enhancer.many(images, ids)
        else:
            results = [self.enhancer(images[0], image_id=ids[0])]
        errors = [_fields(each) if isinstance(each, EnhancerError) else None for each in results]
        return {"errors": errors}, [each for each in results if isinstance(each, np.ndarray)]


class ServedDetector:
    """A detector and how requests to it are answered."""

    failure: type[DuskbenchError] = DetectorError

    def __init__(self, target: str, arguments: dict[str, Any], device: str) -> None:
        self.detector = build_detector(load_foreign("detector", target), target, arguments, device)

    @property
    def code(self) -> object:
        """Where errors point to."""
        return type(self.detector.detector)

    def describe(self) -> dict[str, Any]:
        """What the other side shows of it and stores with its results."""
        return {each: getattr(self.detector, each) for each in ("name", "classes", "fingerprint", "identity")}

    def answer(self, request: dict[str, Any], images: list[np.ndarray]) -> Answer:
        """Detect; boxes, scores and labels of each image."""
        found = self.detector.detect(images)
        return {}, [array for each in found for array in (each.boxes_xyxy, each.scores, each.labels)]


SERVED: dict[str, type[ServedEnhancer | ServedDetector]] = {"enhancer": ServedEnhancer, "detector": ServedDetector}


def serve(channel: Connection, inputs: int, outputs: int, request: dict[str, Any]) -> None:
    """Build what is asked for and answer requests until the channel is closed.

    Args:
        channel: Where requests come from and replies go, as JSON; the arguments of the plug-in come pickled.
        inputs: Descriptor of the memory of what requests bring.
        outputs: Descriptor of the memory of what replies bring.
        request: `kind`, `target` and `device` of the plug-in, and `failed`, the sentence for one that cannot be built.
    """
    kind, target = SERVED[request["kind"]], request["target"]
    given, returned = SharedArrays(inputs), SharedArrays(outputs)
    process = os.getpid()
    served: ServedEnhancer | ServedDetector | None = None
    try:
        served = _build(kind, target, channel.recv_bytes(), request["device"])
        reply = {**served.describe(), "file": _file_of(served.code)}
    except BaseException as error:  # noqa: BLE001 - nothing that foreign code raises may end this loop
        reply = _failed(error, kind.failure, request)
    while True:
        _end_copies_of(process)
        channel.send_bytes(json.dumps(reply, default=repr).encode())
        try:
            request = json.loads(channel.recv_bytes())
        except (EOFError, OSError):
            return
        try:
            assert served is not None  # noqa: S101 - after an error the other side closes the channel
            reply, arrays = served.answer(request, given.take(request["images"]))
            # Before the memory is written to: by now it may hold the reply to a later request.
            _end_copies_of(process)
            reply["arrays"] = returned.put(arrays)
        except BaseException as error:  # noqa: BLE001 - as above
            reply = _failed(error, kind.failure, request, served.code if served is not None else None)


def _end_copies_of(process: int) -> None:
    """End this process if the plug-in forked and its child came back from the call as well."""
    if os.getpid() != process:
        os._exit(0)


def _build(
    kind: type[ServedEnhancer | ServedDetector], target: str, pickled: bytes, device: str
) -> ServedEnhancer | ServedDetector:
    folder = _folder_of(target)
    if folder is not None:
        # As for a script that Python runs: what lies beside a plug-in is found before what is installed.
        sys.path.insert(0, str(folder))
    try:
        arguments = pickle.loads(pickled)  # noqa: S301 - from the process that started this one
    except Exception as error:
        raise ConfigError(
            "The arguments cannot be handed to the plug-in's process.", where=target, got=raised_at(error, None)
        ) from error
    return kind(target, arguments, device)


def _folder_of(target: str) -> Path | None:
    """The folder of a file, or the current one if it holds the module's package; None for what is installed."""
    place, colon, _ = target.rpartition(":")
    if place.endswith(".py"):
        return Path(place).expanduser().resolve().parent
    head = place.partition(".")[0]
    return Path.cwd() if colon and (Path(head).is_dir() or Path(f"{head}.py").is_file()) else None


def _fields(error: DuskbenchError) -> dict[str, str | None]:
    fields = {each: getattr(error, each) for each in ("what", "where", "expected", "got", "todo")}
    return {key: None if value is None else str(value) for key, value in fields.items()}


def _failed(
    error: BaseException, kind: type[DuskbenchError], request: dict[str, Any], code: object = None
) -> dict[str, Any]:
    """The reply that the other side makes an error from again, ours or whatever foreign code raised."""
    if not isinstance(error, DuskbenchError):
        error = kind(request["failed"], where=request.get("where"), got=raised_at(error, code))
    return {"error": {"type": type(error).__name__, **_fields(error)}}


def _file_of(code: object) -> str | None:
    try:
        return inspect.getfile(code)  # type: ignore[arg-type]
    except (TypeError, OSError):
        return None
