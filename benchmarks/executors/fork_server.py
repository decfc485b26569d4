"""Processes of this machine that start with what they need already imported."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from duskbench.data_tools.errors import ConfigError, DuskbenchError
from duskbench.data_tools.specs import split_spec
from duskbench.pipeline.registry import DETECTORS, ENHANCERS, detector_configs

Result = TypeVar("Result")

# A server process imports the packages once; every process that it forks has them. Windows has no fork.
_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
CONTEXT: Any = multiprocessing.get_context(_METHOD)

_MMDET = ("duskbench.pipeline.detectors.rfbnet", "duskbench.pipeline.networks.rfbnet", "duskbench.pipeline.nms")
_ALWAYS = ("duskbench.benchmarks.cli", "duskbench.benchmarks.measure")


def preload(enhancers: Iterable[Any], detectors: Iterable[Any], device: str) -> None:
    """Say what the server imports, by the specifications of a run; has no effect once the server has started.

    Nothing that it imports may use a GPU, whose state does not survive a fork, or start threads.
    """
    if device != "cpu" and not _can_count_gpus_without_cuda():
        CONTEXT.set_forkserver_preload(list(_ALWAYS))
        return
    # mmengine asks at its import whether there is a GPU; by default torch asks CUDA's runtime, with this the driver's
    # management library.
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    CONTEXT.set_forkserver_preload([*_ALWAYS, *_modules(enhancers, detectors)])


def _can_count_gpus_without_cuda() -> bool:
    import torch

    return torch.cuda._device_count_nvml() >= 0


def _modules(enhancers: Iterable[Any], detectors: Iterable[Any]) -> list[str]:
    own = [target for target in _targets(enhancers, "enhancer") if target in ENHANCERS]
    modules = {ENHANCERS[target].address.partition(":")[0] for target in own}
    for target in _targets(detectors, "detector"):
        if target in ("mmdet", "rfbnet") or target in detector_configs() or target.startswith("mmdet::"):
            modules.update(_MMDET)
        elif target in DETECTORS:
            modules.add(DETECTORS[target].address.partition(":")[0])
    return sorted(modules)


def _targets(specs: Iterable[Any], kind: str) -> list[str]:
    targets = [split_spec(spec, kind)[0] for spec in specs]
    return [target for target in targets if isinstance(target, str)]


def start(work: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Start a process that calls `work` with the arguments, in this process's environment; it ignores Ctrl-C.

    Raises:
        ConfigError: It cannot be started.
    """
    process = CONTEXT.Process(target=_with_environment, args=(dict(os.environ), work, arguments))
    # Not while the server imports, which takes seconds: then Ctrl-C is for this process.
    starts_by_itself = _METHOD == "spawn"
    try:
        with _ctrl_c_ignored():
            (process.start if starts_by_itself else forkserver.ensure_running)()
        if not starts_by_itself:
            process.start()
    except (EOFError, ConnectionError) as error:
        raise ConfigError(
            "Worker processes cannot be started.",
            where="--workers",
            got=f"the process that starts them ended while it imported torch or a detector ({type(error).__name__})",
            todo="see what `python -c 'import duskbench.pipeline.detectors.rfbnet'` says, or use --workers 1",
        ) from error
    return process


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """Ctrl-C goes to the whole process group; what is started here ignores it from its first line on, and its forks."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _with_environment(environment: Mapping[str, str], work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    # The server's is that of its start.
    os.environ.clear()
    os.environ.update(environment)
    work(*arguments)


def call(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function in a process of its own, so that what it imports and builds is not left in this one.

    Raises:
        DuskbenchError: What the function raised, or its process died.
    """
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process = start(_answer, theirs, function, arguments)
    theirs.close()
    try:
        answer = ours.recv()
    except EOFError:
        process.join()
        raise ConfigError(
            "The process that loads the run's enhancers and detectors died.",
            got=f"exit code {process.exitcode}",
            todo="it may have run out of memory; `duskbench doctor` says what a command would use",
        ) from None
    finally:
        ours.close()
    process.join()
    if isinstance(answer, BaseException):
        raise answer
    result: Result = answer
    return result


def _answer(connection: Connection[Any, Any], function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        answer = function(*arguments)
    except DuskbenchError as error:
        answer = error
    except Exception:  # noqa: BLE001 - a fault of ours, which the parent raises; it may not be picklable itself
        answer = RuntimeError(f"A process failed:\n{traceback.format_exc()}")
    connection.send(answer)
