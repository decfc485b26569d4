"""Which executor a run gets, and on which device its workers compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from duskbench.benchmarks.executors.base import Executor
from duskbench.benchmarks.executors.cluster import Cluster
from duskbench.benchmarks.executors.local import InProcess, Processes
from duskbench.benchmarks.provenance import available_cores
from duskbench.data_tools.errors import ConfigError


@dataclass(frozen=True)
class ClusterOptions:
    """How a run uses a cluster, see `Cluster`.

    Attributes:
        address: `auto`, `local` or host:port.
        gpus_per_worker: GPUs that each worker has to itself; None for one where the command's own device is a GPU, else
            none.
        send_images: Whether the bytes of the images travel to the workers.
    """

    address: str
    gpus_per_worker: float | None = None
    send_images: bool = False

    def gpus(self, device: str) -> float:
        """GPUs of each worker."""
        return float(device.startswith("cuda")) if self.gpus_per_worker is None else self.gpus_per_worker


def check_cluster(cluster: ClusterOptions | None, device: str, *, save_images: bool) -> None:
    """Raise ConfigError where a cluster's options contradict the run's others; `device` as it was asked for."""
    if cluster is None:
        return
    if device.startswith("cuda:"):
        raise ConfigError(
            "A cluster gives each worker its GPU.",
            where="--device",
            expected="auto, cpu or cuda",
            got=device,
            todo="to keep some GPUs free, start the cluster's machines with fewer: ray start --num-gpus N",
        )
    if save_images and cluster.send_images:
        raise ConfigError(
            "Images that are sent to the machines do not come back.",
            where="--save-images",
            got="--send-images",
            todo="to keep the enhanced images, work in a folder that all machines have, without --send-images",
        )


def worker_device(device: str, cluster: ClusterOptions | None) -> str:
    """What workers compute on: this machine's device, or on a cluster whether they have GPUs."""
    return device if cluster is None else "cuda" if cluster.gpus(device) else "cpu"


def local_devices(device: str) -> list[str]:
    """The devices of this machine that workers share: of `cuda` all GPUs, otherwise the one that is named."""
    if device != "cuda":
        return [device]
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def default_workers(device: str) -> int:
    """As many processes as this machine keeps busy: one for each core, or for each GPU."""
    return available_cores() if device == "cpu" else len(local_devices(device))


def choose(device: str, workers: int, cluster: ClusterOptions | None, tell: Callable[[str], None]) -> Executor:
    """The executor for so many workers.

    Args:
        device: Torch device of this machine.
        workers: Processes; 0 on a cluster for as many as it has room for.
        cluster: None for this machine.
        tell: See `Cluster`.
    """
    if cluster is not None:
        return Cluster(cluster.address, workers, cluster.gpus(device), cluster.send_images, tell)
    return InProcess() if workers == 1 else Processes(workers, local_devices(device))
