"""A tiny unpaired set, and settings that make any training of an enhancer take a second."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duskbench.data_tools.images import write_image

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = ROOT / "configs" / "training"


@pytest.fixture(scope="module", autouse=True)
def _no_report_of_the_machine() -> Iterator[None]:
    """The Runner asks compilers for their versions, which takes longer than these trainings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mmengine.runner.runner.collect_env", dict)
        yield


@pytest.fixture(scope="session")
def unpaired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five dark and seven bright pictures of coarse blocks, 40x48."""
    root = tmp_path_factory.mktemp("unpaired")
    rng = np.random.default_rng(0)
    for folder, count, top in (("trainA", 5, 60), ("trainB", 7, 250)):
        for i in range(count):
            blocks = rng.integers(0, top, (5, 6, 3)).astype(np.uint8)
            write_image(root / folder / f"{i}.png", blocks.repeat(8, 0).repeat(8, 1))
    return root


@pytest.fixture(scope="session")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pairs of coarse blocks, dark and bright, 40x48."""
    root = tmp_path_factory.mktemp("paired")
    rng = np.random.default_rng(0)
    for i in range(5):
        blocks = rng.integers(0, 250, (5, 6, 3)).repeat(8, 0).repeat(8, 1)
        write_image(root / "high" / f"{i}.png", blocks.astype(np.uint8))
        write_image(root / "low" / f"{i}.png", (blocks // 5).astype(np.uint8))
    return root


@pytest.fixture
def tiny(unpaired: Path) -> dict[str, Any]:
    """`cfg_options` for a run of six steps with a record of every loss."""
    return {
        "data_root": str(unpaired),
        "train_dataloader.dataset.crop": 32,
        "train_dataloader.batch_size": 2,
        "train_dataloader.num_workers": 0,
        "train_dataloader.persistent_workers": False,
        "schedule": {"unit": "steps", "constant": 4, "decay": 2},
        "default_hooks.logger.interval": 1,
        "default_hooks.checkpoint.interval": 2,
        "default_hooks.checkpoint.max_keep_ckpts": 9,
        "custom_hooks": [{"type": "LossGuard"}, {"type": "SampleGrid", "interval": 3, "images": 2}],
        "log_processor.window_size": 1,
    }


@pytest.fixture
def tiny_guided(tiny: dict[str, Any]) -> dict[str, Any]:
    """The same for the paper's method, small."""
    return {
        **tiny,
        "model.generator.generator.width": 4,
        "model.generator.generator.blocks": 4,
        # The hard case for several processes, and steps that show after a few.
        "model.generator.generator.norm": "batch",
        "optim_wrapper.generator.optimizer.lr": 5e-3,
        "model.discriminator.width": 4,
        "model.discriminator.layers": 2,
    }


def losses(work_dir: Path) -> dict[int, dict[str, float]]:
    """Step -> losses as logged, of all runs of a folder; a later run's value wins."""
    found: dict[int, dict[str, float]] = {}
    for file in sorted(work_dir.glob("*/vis_data/scalars.json")):
        for line in file.read_text().splitlines():
            row = json.loads(line)
            if "step" in row:
                found[row["step"]] = {key: value for key, value in row.items() if key.startswith("loss")}
    return found
