"""A cluster of two machines in one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from duskbench.benchmarks.executors.cluster import SETTINGS
from tests.needs import need_module

# Here and not in the fixture: whichever test imports Ray first, Ray reads them then.
for name, value in SETTINGS.items():
    os.environ.setdefault(name, value)


@pytest.fixture(scope="session")
def machines() -> Iterator[Any]:
    """A Ray cluster of two machines with a core each, and this process connected to it."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    ray = need_module("ray")
    cluster = _two_machines()
    ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def _two_machines() -> Any:
    from ray.cluster_utils import Cluster as Machines

    machines = Machines()
    add_machine(machines)
    add_machine(machines)
    return machines


def add_machine(machines: Any) -> Any:
    """Add a machine of one core; it must start within 30 seconds, so a busy computer gets three tries."""
    for attempt in range(3):
        try:
            return machines.add_node(num_cpus=1, include_dashboard=False)
        except Exception:
            if attempt == 2:
                raise
    raise AssertionError
