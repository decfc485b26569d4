"""Measure on a cluster: a Ray actor for each worker, on one machine or many."""

from __future__ import annotations

import importlib
import logging
import os
import platform
import socket
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from duskbench.benchmarks.executors.base import MakeMeasurer
from duskbench.benchmarks.executors.schedule import Gone, Ready, measure_by
from duskbench.benchmarks.measure import MeasureOptions, Measurer
from duskbench.benchmarks.provenance import package_versions
from duskbench.benchmarks.rows import Row
from duskbench.benchmarks.units import ImageFile, Unit
from duskbench.data_tools.errors import ConfigError, DataError, DuskbenchError

# What Ray is set to before it is imported, which is when it reads this. It reports usage to its makers, runs any code
# that reaches its ports unless it asks for a token, and under `uv run` it would upload the working directory and build
# the environment again.
SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
_SETTINGS_OF_LOCAL = {"RAY_AUTH_MODE": "token"}
_SECONDS_BETWEEN_LOOKS = 2.0
_SECONDS_TO_ANSWER = 10.0
_SECONDS_BETWEEN_MESSAGES = 60.0


def _silent(message: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Cluster:
    """Measures by actors of a Ray cluster.

    Args:
        address: `auto` for the cluster that this machine belongs to (or $RAY_ADDRESS), `local` for one of this machine
            that ends with the run, or host:port.
        workers: Actors; 0 for as many as there is room for, also on machines that join later.
        gpus_per_worker: GPUs that each actor has to itself; half a one is shared by two.
        send_images: Whether the bytes of the images travel, because not every machine has the files.
        tell: Called with a message when there is no room.
        measurer: What measures in the actors.
    """

    address: str
    workers: int = 0
    gpus_per_worker: float = 0.0
    send_images: bool = False
    tell: Callable[[str], None] = _silent
    measurer: MakeMeasurer = Measurer

    def measure(self, units: Sequence[Unit], options: MeasureOptions) -> Generator[Row]:
        """See `Executor.measure`.

        Raises:
            ConfigError: Ray is not installed, there is no such cluster, it has no machine for a worker, a machine has
                other versions, code or weights than this one, or the cluster itself is lost.
        """
        with _connected(self.address) as ray:
            try:
                yield from measure_by(_Crew(ray, self, options), units, options)
            except ray.exceptions.RayError as error:
                raise ConfigError(
                    "The connection to the Ray cluster was lost.",
                    where="--cluster",
                    got=f"{type(error).__name__}: {' '.join(str(error).split())}",
                    todo="the same command resumes the run",
                ) from error


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Ray, connected; a connection that is there already is used and kept."""
    for name, value in (SETTINGS | (_SETTINGS_OF_LOCAL if address == "local" else {})).items():
        os.environ.setdefault(name, value)
    try:
        ray = importlib.import_module("ray")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "Ray is not installed.", where="--cluster", todo='install the extra: pip install "duskbench[cluster]"'
        ) from error
    if "://" in address:
        raise ConfigError(
            "Ray's client protocol is not supported: it would bring every row over one more hop.",
            where="--cluster",
            expected="auto, local or host:port",
            got=address,
            todo="start the command on a machine of the cluster",
        )
    if ray.is_initialized():
        yield ray
        return
    starting = {"include_dashboard": False} if address == "local" else {}
    try:
        if address != "local":
            _knock(address)
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **starting)
    except Exception as error:
        raise ConfigError(
            "There is no connection to the Ray cluster.",
            where="--cluster",
            expected="auto or the address of a cluster that this machine belongs to (`ray start`), or local",
            got=f"{address}: {(str(error).strip() or type(error).__name__).splitlines()[0]}",
            todo="see docs/many-machines.md; `ray status` on this machine says whether there is one",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError where nobody listens; Ray itself would try for many minutes."""
    services = importlib.import_module("ray._private.services")
    host, _, port = str(services.canonicalize_bootstrap_address(address)).rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_ANSWER).close()


class _Actor:
    """Runs on a machine of the cluster."""

    def __init__(
        self, options: MeasureOptions, make: MakeMeasurer, environment: Mapping[str, str], folder: str
    ) -> None:
        self._options, self._make, self._environment, self._folder = options, make, environment, folder

    def start(self, versions: Mapping[str, str]) -> DuskbenchError | None:
        """Load everything; returns why this machine would not measure what was planned."""
        os.environ.update(self._environment)
        # Plug-ins and weights may be named relative to where the command was started.
        if Path(self._folder).is_dir():
            os.chdir(self._folder)
        try:
            _check_versions(versions, package_versions())
            self._measurer = self._make(self._options)
            self._measurer.load()
        except Exception as error:  # noqa: BLE001 - a machine that lacks something may raise anything
            return _refusal(error)
        return None

    def measure(self, units: list[Unit]) -> list[Row]:
        """Measure a chunk."""
        return list(self._measurer.measure(units))


def _check_versions(here: Mapping[str, str], there: Mapping[str, str]) -> None:
    different = [name for name in here if there.get(name) != here[name]]
    if different:
        raise ConfigError(
            "A machine of the cluster has other versions, which may give other numbers.",
            expected=", ".join(f"{name} {here[name]}" for name in different),
            got=", ".join(f"{name} {there.get(name, 'not installed')}" for name in different),
            todo="install the same environment on every machine (uv sync --frozen --all-extras)",
        )


def _refusal(error: Exception) -> ConfigError:
    """Why this machine measures nothing, with its name."""
    machine = f"machine {platform.node()}"
    todo = (
        "give every machine of the cluster the same code, plug-ins, weights and versions as the one that starts the run"
    )
    if not isinstance(error, DuskbenchError):
        return ConfigError(
            "A worker cannot load what it needs.", where=machine, got=f"{type(error).__name__}: {error}", todo=todo
        )
    where = machine if error.where is None else f"{machine}, {error.where}"
    return ConfigError(error.what, where=where, expected=error.expected, got=error.got, todo=todo)


@dataclass(frozen=True, eq=False)
class _Worker:
    actor: Any


class _Crew:
    """Actors, and what each was asked last."""

    def __init__(self, ray: Any, cluster: Cluster, options: MeasureOptions) -> None:
        self._ray, self._cluster = ray, cluster
        self._gpus = cluster.gpus_per_worker
        self._options = replace(options, device="cuda" if self._gpus else "cpu")
        # No max_restarts: a dead actor is replaced by a new one, which Ray places where there is room. One that
        # restarts would answer everything with ActorUnavailable meanwhile.
        self._make = (
            ray.remote(_Actor).options(num_cpus=1, num_gpus=self._gpus, scheduling_strategy="SPREAD", max_restarts=0)
        ).remote
        self._environment = {name: value for name, value in os.environ.items() if name.startswith("DUSKBENCH_")}
        self._asked: dict[Any, _Worker] = {}
        self._ready: set[_Worker] = set()
        self._looked = self._told = -1e9
        self._room = 0

    def wanted(self) -> int:
        now = time.monotonic()
        if now - self._looked >= _SECONDS_BETWEEN_LOOKS:
            first, self._looked = self._looked < 0, now
            self._room = sum(map(self._room_of, self._ray.nodes()))
            if first and not (self._room or self._cluster.workers):
                raise ConfigError(
                    "No machine of the cluster has room for a worker.",
                    where="--cluster",
                    expected=f"1 CPU and {self._gpus:g} GPUs on one machine",
                    got=self._resources(),
                    todo="ask for less with --gpus-per-worker; a cluster that grows needs --workers N",
                )
        return self._cluster.workers or self._room

    def _room_of(self, node: Mapping[str, Any]) -> int:
        has = node["Resources"] if node["Alive"] else {}
        room = has.get("CPU", 0)
        return int(min(room, has.get("GPU", 0) / self._gpus) if self._gpus else room)

    def _resources(self) -> str:
        alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return "; ".join(f"{has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs" for has in alive) or "none"

    def start(self) -> _Worker:
        # Arguments that Ray keeps in its object store are lost with a machine, so there is nothing large among them.
        worker = _Worker(self._make(self._options, self._cluster.measurer, self._environment, str(Path.cwd())))
        self._asked[worker.actor.start.remote(package_versions())] = worker
        return worker

    def send(self, worker: _Worker, units: list[Unit]) -> None:
        travelling = [_with_data(unit) if self._cluster.send_images else _absolute(unit) for unit in units]
        self._asked[worker.actor.measure.remote(travelling)] = worker

    def wait(self) -> Iterator[tuple[_Worker, Ready | Gone | list[Row]]]:
        if not self._ready:
            self._tell_if_there_is_no_room()
        if not self._asked:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            return
        answered, _ = self._ray.wait([*self._asked], num_returns=1, timeout=_SECONDS_BETWEEN_LOOKS)
        for answer in answered:
            worker = self._asked.pop(answer)
            yield worker, self._answer(worker, answer)

    def _answer(self, worker: _Worker, answer: Any) -> Ready | Gone | list[Row]:
        try:
            said = self._ray.get(answer)
        except self._ray.exceptions.RayTaskError as error:
            # It was raised by our own code, and another worker would raise it again.
            raise error.cause from error
        except self._ray.exceptions.RayError as error:
            # Died, or cannot be reached, and then it shall not go on; what it answered may be lost with its machine.
            self.stop([worker])
            return Gone(" ".join(str(error).split()))
        if isinstance(said, list):
            return said
        if said is not None:
            raise said
        self._ready.add(worker)
        return Ready()

    def stop(self, workers: Iterable[_Worker]) -> None:
        stopped = set(workers)
        self._ready -= stopped
        self._asked = {answer: worker for answer, worker in self._asked.items() if worker not in stopped}
        for worker in stopped:
            self._ray.kill(worker.actor)

    def _tell_if_there_is_no_room(self) -> None:
        now = time.monotonic()
        if self._told < 0:
            self._told = now - _SECONDS_BETWEEN_MESSAGES / 2
        if now - self._told >= _SECONDS_BETWEEN_MESSAGES:
            self._told = now
            self._cluster.tell(
                f"No worker has started yet. Each needs 1 CPU and {self._gpus:g} GPUs; the cluster has "
                f"{self._resources()}, which other jobs may use."
            )


def _absolute(unit: Unit) -> Unit:
    """With paths that hold in any working directory."""
    reference = unit.reference and replace(unit.reference, path=unit.reference.path.absolute())
    return replace(unit, file=replace(unit.file, path=unit.file.path.absolute()), reference=reference)


def _with_data(unit: Unit) -> Unit:
    """With the bytes of its images."""
    return replace(unit, file=_filled(unit.file), reference=unit.reference and _filled(unit.reference))


def _filled(file: ImageFile) -> ImageFile:
    try:
        return replace(file, data=file.content())
    except DataError:
        # The worker cannot read it either, and its row says so.
        return file
