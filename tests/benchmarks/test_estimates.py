"""Estimates of time and disk, from images and training steps of known duration."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks.config import load_benchmark_config
from duskbench.benchmarks.provenance import available_cores
from duskbench.benchmarks.reproduce import estimates
from duskbench.benchmarks.reproduce.estimates import ImageTimes, time_benchmark, time_training
from duskbench.benchmarks.reproduce.training import steps_of
from duskbench.benchmarks.run_plan import RunOptions
from duskbench.data_tools.images import write_image
from duskbench.pipeline.training.zero_dce import ZeroDCE
from tests.benchmarks.conftest import Bench

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_WEIGHTS = """
import os
from duskbench.data_tools.errors import WeightsError
class Detector:
    classes = ("car",)
    def __init__(self):
        assert os.environ["DUSKBENCH_OFFLINE"], "a dry run must not download"
        raise WeightsError("No weights yet.")
    def detect(self, images):
        return []
"""


def test_reading_takes_what_a_few_images_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.zeros((30, 40, 3), np.uint8)
    for number in range(20):
        write_image(tmp_path / f"{number}.png", image)
    (tmp_path / "0.png").write_bytes(b"broken, which verifying says")

    def slow(path: Path) -> np.ndarray:
        if path.name == "0.png":
            raise OSError("broken")
        time.sleep(0.02)
        return image

    monkeypatch.setattr(estimates, "read_image", slow)
    sample = ImageTimes(sorted(tmp_path.iterdir()), tmp_path / "work" / "not there")
    seconds = sample.to_read(1000).seconds
    assert seconds is not None and 20 <= seconds * available_cores() < 200
    assert sample.pixels == 1200
    assert sample.to_collect(1000).seconds == seconds and sample.to_collect(1000).disk_bytes == 420_000, "links"
    assert ImageTimes([], tmp_path).to_read(0).seconds == 0


def test_a_benchmark_takes_what_a_few_images_take(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ndef slow(image):\n    time.sleep(0.3)\n    return image\n")
    config = replace(load_benchmark_config(str(bench.config)), enhancers=("input", f"{tmp_path / 'slow.py'}:slow"))
    before = sorted(tmp_path.rglob("*"))
    seconds = time_benchmark(config, RunOptions(out=tmp_path / "results", workers=1))
    assert seconds is not None and 0.3 <= seconds < 10
    assert [path for path in sorted(tmp_path.rglob("*")) if "__pycache__" not in path.parts] == before


def test_without_the_detectors_weights_the_time_is_not_known(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "detector.py").write_text(WITHOUT_WEIGHTS)
    config = replace(load_benchmark_config(str(bench.config)), detectors=(f"{tmp_path / 'detector.py'}:Detector",))
    assert time_benchmark(config, RunOptions(out=tmp_path / "results")) is None


@pytest.mark.slow
def test_a_training_takes_what_a_few_steps_take(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ZeroDCE.step

    def slow(*arguments: object) -> object:
        time.sleep(0.2)
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ZeroDCE, "step", slow)
    monkeypatch.setattr(estimates, "_TRAINING_SECONDS", 0.5)
    small = {"train_dataloader.batch_size": 2, "train_dataloader.dataset.crop": 32}
    times = time_training(ROOT / "configs/training/zero_dce.py", small)
    assert 0.2 <= times.step < 10 and 0 < times.enhance_pixel < 0.01 and times.batch_size == 2
    layers = [(3, 32), (32, 32), (32, 32), (32, 32), (64, 32), (64, 32), (64, 24)]
    parameters = sum(9 * inside * outside + outside for inside, outside in layers)
    assert times.parameters == parameters
    assert times.estimate(1000).seconds == 1000 * times.step and times.estimate(1).disk_bytes == 36 * parameters


def test_a_training_is_timed_without_the_weights_of_its_extractor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("DUSKBENCH_OFFLINE", "1")
    monkeypatch.setattr(estimates, "_TRAINING_SECONDS", 0.0001)
    small = {
        "train_dataloader.dataset.crop": 64,
        "model.generator.generator.width": 4,
        "model.discriminator.width": 4,
    }
    assert time_training(ROOT / "configs/training/guided.py", small).step > 0


@pytest.mark.parametrize(
    ("schedule", "dataset", "batch_size", "steps"),
    [
        # The paper on ExDark and VOC07+12 trainval: 200 epochs of the larger domain.
        ({"unit": "epochs", "constant": 100, "decay": 100}, {}, 1, 200 * 16551),
        ({"unit": "epochs", "constant": 100, "decay": 100}, {"domains": ["A"]}, 1, 200 * 7363),
        ({"unit": "epochs", "constant": 1, "decay": 0}, {}, 4, 4138),
        ({"unit": "steps", "constant": 30, "decay": 10}, {}, 8, 40),
    ],
)
def test_steps_of_a_schedule(
    schedule: dict[str, object], dataset: dict[str, object], batch_size: int, steps: int
) -> None:
    settings = {"schedule": schedule, "train_dataloader": {"dataset": dataset}}
    assert steps_of(settings, (7363, 16551), batch_size) == steps
