"""This machine's workers: which device each gets, which executor a run gets, and what a row may be made of."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks.config import load_benchmark_config
from duskbench.benchmarks.descriptions import Known
from duskbench.benchmarks.executors import choice
from duskbench.benchmarks.executors.choice import ClusterOptions, check_cluster, choose, default_workers, worker_device
from duskbench.benchmarks.executors.cluster import Cluster
from duskbench.benchmarks.executors.local import InProcess, Processes
from duskbench.benchmarks.measure import MeasureOptions, Measurer
from duskbench.benchmarks.plan import plan_detectors, plan_enhancers, plan_metrics
from duskbench.benchmarks.units import ImageFile, decoder_fingerprint
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.images import write_image
from tests.benchmarks.conftest import Bench
from tests.benchmarks.executors.fakes import ENDLESS, OPTIONS, FakeMeasurer, until_all_work

AUTO = ClusterOptions("auto")


def test_worker_i_gets_device_i_modulo_their_number() -> None:
    executor = Processes(3, ["cuda:0", "cuda:1"], FakeMeasurer)
    with closing(executor.measure(ENDLESS, OPTIONS)) as measured:
        rows = until_all_work(measured, 3)
    device_of = {row.values["pid"].number: row.values["device"].reason for row in rows}
    assert sorted(map(str, device_of.values())) == ["cuda:0", "cuda:0", "cuda:1"]


@pytest.mark.parametrize(("device", "workers"), [("cuda", 4), ("cuda:2", 1), ("cpu", 3)])
def test_one_worker_for_each_gpu_or_core(device: str, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    monkeypatch.setattr(choice, "available_cores", lambda: 3)
    assert default_workers(device) == workers


@pytest.mark.parametrize(
    ("device", "cluster", "gpus", "works_on"),
    [
        ("cpu", AUTO, 0.0, "cpu"),
        ("cuda", AUTO, 1.0, "cuda"),
        ("cpu", ClusterOptions("auto", 0.5), 0.5, "cuda"),
        ("cuda", ClusterOptions("auto", 0), 0.0, "cpu"),
    ],
)
def test_gpus_of_a_clusters_workers(device: str, cluster: ClusterOptions, gpus: float, works_on: str) -> None:
    assert (cluster.gpus(device), worker_device(device, cluster)) == (gpus, works_on)


def test_a_run_gets_the_executor_that_was_asked_for() -> None:
    def tell(text: str) -> None:
        raise AssertionError(text)

    assert isinstance(choose("cpu", 1, None, tell), InProcess)
    assert isinstance(choose("cpu", 2, None, tell), Processes)
    wanted = Cluster("head:6379", 5, 0.5, True, tell)
    assert choose("cuda", 5, ClusterOptions("head:6379", 0.5, send_images=True), tell) == wanted


@pytest.mark.parametrize(
    ("device", "gpus", "save_images", "message"),
    [
        ("cuda:1", None, False, "gives each worker its GPU"),
        ("cpu", None, True, "do not come back"),
    ],
)
def test_contradictions_are_errors(device: str, gpus: float | None, save_images: bool, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_cluster(ClusterOptions("auto", gpus, send_images=True), device, save_images=save_images)


def test_options_of_a_cluster_need_one(duskbench: Callable[..., tuple[int, str, str]]) -> None:
    for options in (["--send-images"], ["--gpus-per-worker", "1"]):
        code, _, errors = duskbench("run", "miniature", *options)
        assert (code, "needs a cluster" in errors) == (2, True)


def test_nothing_of_ray_is_imported_without_a_cluster() -> None:
    code = "import sys, duskbench.benchmarks.executors.choice, duskbench.benchmarks.runner; print('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_another_image_at_the_same_path_is_no_result(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(path, np.zeros((4, 4, 3), np.uint8))
    file = ImageFile(path, file_sha256(path))
    sent = replace(file, data=path.read_bytes())
    assert file.image().max() == 0
    write_image(path, np.ones((4, 4, 3), np.uint8))
    assert sent.image().max() == 0
    with pytest.raises(DataError, match="not what it was when the run began"):
        file.image()


def _options(bench: Bench) -> MeasureOptions:
    config, known = load_benchmark_config(bench.config), Known(bench.root / "none.sqlite")
    metrics = plan_metrics(config, reference=False, detector=True)
    return MeasureOptions(
        enhancers=tuple(plan_enhancers(config, "cpu", known)),
        detectors=plan_detectors(config, None, "cpu", known),
        metrics=tuple(metric for metric in metrics if metric.kind == "image"),
        protocol=config.protocol,
        decoder=decoder_fingerprint(),
        device="cpu",
        batch_size=1,
    )


@pytest.mark.slow
def test_whatever_differs_from_the_plan_is_refused(bench: Bench) -> None:
    options = _options(bench)
    Measurer(options).load()
    other = "0" * 64
    for what, changed in {
        "code that reads images": replace(options, decoder=other),
        "Enhancer 'Brighten'": replace(
            options, enhancers=(options.enhancers[0], replace(options.enhancers[1], fingerprint=other))
        ),
        "Detector": replace(options, detectors=(replace(options.detectors[0], fingerprint=other),)),
        "Metric 'niqe'": replace(options, metrics=(replace(options.metrics[0], fingerprint=other),)),
    }.items():
        with pytest.raises(ConfigError, match=f"(?s){what}.*not what it was.*000000000000"):
            Measurer(changed).load()
