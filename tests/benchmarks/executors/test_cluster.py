"""What is a cluster's own: machines that come, go, lack room or hold other files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duskbench.benchmarks.config import load_benchmark_config
from duskbench.benchmarks.executors import cluster as cluster_module
from duskbench.benchmarks.executors.choice import ClusterOptions
from duskbench.benchmarks.executors.cluster import Cluster
from duskbench.benchmarks.rows import Row
from duskbench.benchmarks.run_plan import RunOptions
from duskbench.benchmarks.runner import run
from duskbench.data_tools.errors import ConfigError
from tests.benchmarks.conftest import Bench, stored_rows
from tests.benchmarks.executors.conftest import add_machine
from tests.benchmarks.executors.fakes import OPTIONS, FakeMeasurer, units

pytestmark = pytest.mark.slow


@pytest.fixture
def third(machines: Any) -> Iterator[Callable[[], Any]]:
    """Adds a machine of one core; it is gone after the test."""
    added: list[Any] = []

    def add() -> Any:
        added.append(add_machine(machines))
        return added[-1]

    yield add
    for node in added:
        if node in machines.worker_nodes:
            machines.remove_node(node, allow_graceful=False)


def machine(row: Row) -> str | None:
    return row.values["machine"].reason


@pytest.mark.parametrize("send", [False, True], ids=["files", "sent"])
def test_rows_are_those_of_one_process(bench: Bench, tmp_path: Path, machines: Any, send: bool) -> None:
    config = load_benchmark_config(bench.config)
    run(config, RunOptions(tmp_path / "one", workers=1))
    cluster = ClusterOptions(machines.address, send_images=send)
    summary = run(config, RunOptions(tmp_path / "two", cluster=cluster, batch_size=1 + 3 * send, save_images=not send))
    assert (summary.measured, summary.ok) == (12, True)
    assert stored_rows(tmp_path / "one") == stored_rows(tmp_path / "two")
    assert len(list((tmp_path / "two").glob("images/*/*.png"))) == (0 if send else 12)


def test_rows_of_a_machine_that_is_lost_are_measured_elsewhere(machines: Any, third: Callable[[], Any]) -> None:
    node = third()
    work, rows = units(*map(str, range(400))), []
    for row in Cluster(machines.address, 3, measurer=FakeMeasurer).measure(work, OPTIONS):
        rows.append(row)
        if node in machines.worker_nodes and machine(row) == node.node_id:
            machines.remove_node(node, allow_graceful=False)
    assert node not in machines.worker_nodes
    assert Counter(row.key for row in rows) == Counter(task.key for unit in work for task in unit.tasks)
    assert not [row for row in rows if row.error is not None]


def test_a_machine_that_joins_gets_work(machines: Any, third: Callable[[], Any]) -> None:
    node, rows = None, []
    for row in Cluster(machines.address, measurer=FakeMeasurer).measure(units(*map(str, range(4000))), OPTIONS):
        rows.append(row)
        if len(rows) == 10:
            node = third()
        if node is not None and machine(row) == node.node_id:
            break
    assert node is not None and machine(rows[-1]) == node.node_id


def test_images_travel(machines: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    executor = Cluster(machines.address, 1, send_images=True, measurer=FakeMeasurer)
    rows = list(executor.measure(units("a", "absent", folder=tmp_path), OPTIONS))
    assert {(row.key.image_id, row.values["bytes"].number) for row in rows} == {("a", 5), ("absent", None)}


def test_a_machine_with_other_code_is_refused_by_name(machines: Any) -> None:
    with pytest.raises(ConfigError, match=f"Not what was planned[\\s\\S]*machine {os.uname().nodename}"):
        list(Cluster(machines.address, measurer=FakeMeasurer).measure(units("1"), replace(OPTIONS, decoder="other")))


def test_a_machine_with_other_versions_is_refused(machines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "package_versions", lambda: {"torch": "0.1", "numpy": np.__version__})
    with pytest.raises(ConfigError, match=r"other versions[\s\S]*expected: torch 0\.1\n"):
        list(Cluster(machines.address, measurer=FakeMeasurer).measure(units("1"), OPTIONS))


def test_no_room_is_an_error_and_not_a_wait(machines: Any) -> None:
    with pytest.raises(ConfigError, match=r"has room[\s\S]*1 CPUs and 0 GPUs; 1 CPUs and 0 GPUs"):
        list(Cluster(machines.address, gpus_per_worker=1, measurer=FakeMeasurer).measure(units("1"), OPTIONS))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "no connection to the Ray cluster"),
        ("nonsense", "no connection to the Ray cluster"),
        ("ray://a:1", "not supported"),
    ],
)
def test_a_wrong_address_is_an_error(bench: Bench, tmp_path: Path, address: str, message: str) -> None:
    command = [sys.executable, "-m", "duskbench", "run", str(bench.config), "--out", str(tmp_path / "out")]
    command += ["--detector", "none", "--enhancer", "input", "--cluster", address]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr, done.stderr
