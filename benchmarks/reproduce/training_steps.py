"""The steps that train: one for each method without weights, on the unpaired set."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, Protocol

from duskbench.benchmarks.reproduce.machine import convolution_gflops
from duskbench.benchmarks.reproduce.steps import Estimate, Reporter, Step, fingerprint_of
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.files import place_file
from duskbench.data_tools.unpaired_manifest import MANIFEST, read_manifest
from duskbench.pipeline.registry import config_root

Schedule = Literal["paper", "small"]
# What a configuration says about where a run is, how fast it reads and what it shows, none of which changes a weight.
_OF_NO_EFFECT = ("data_root", "default_hooks", "log_processor", "visualizer")
_OF_NO_EFFECT_ON_LOADING = ("num_workers", "persistent_workers", "prefetch_factor", "pin_memory")
# A checkpoint has the weights and Adam's two moments, in four bytes each; two are kept while a third is written.
_CHECKPOINT_BYTES_A_PARAMETER = 3 * 3 * 4


class Trainer(Protocol):
    """What trains; the module `duskbench.pipeline.training.enhancer` is one."""

    def train(
        self, config: str | Path, *, work_dir: str | Path, resume: bool, cfg_options: Mapping[str, Any] | None
    ) -> Path:
        """Train, or go on with it, and return the last checkpoint."""
        ...

    def export(self, checkpoint: str | Path, path: str | Path) -> Path:
        """Write a checkpoint's network as safetensors."""
        ...


@dataclass(frozen=True)
class Training:
    """How methods are trained.

    Attributes:
        schedule: `paper`, the settings of the paper's section 4.1, or `small`, for two cores.
        cfg_options: Values over every configuration, dotted key -> value.
        trainer: What trains; None takes this project's.
    """

    schedule: Schedule = "paper"
    cfg_options: Mapping[str, Any] = field(default_factory=dict)
    trainer: Trainer | None = None

    def config_of(self, method: str) -> Path:
        """The configuration of a method.

        Raises:
            ConfigError: There is none.
        """
        path = config_root() / "training" / (f"{method}.py" if self.schedule == "paper" else f"{method}_small.py")
        if not path.is_file():
            raise ConfigError("The method has no training configuration.", where=path, got=f"{method!r}")
        return path


def training_step(method: str, training: Training, work: Path, expected_images: Callable[[], tuple[int, int]]) -> Step:
    """Train a method on `work/unpaired` and put its weights into `work/weights`.

    Checkpoints are in a folder named by the fingerprint of all inputs. So a run is only ever taken up with the
    settings and images it began with, and what another setting learned stays where it is.

    Args:
        method: Name of the method.
        training: How.
        work: Folder of the plan.
        expected_images: Images of A and of B, for the estimate while there is no unpaired set.
    """
    config, unpaired, weights = training.config_of(method), work / "unpaired", work / "weights"

    def inputs() -> Mapping[str, Any] | None:
        content = unpaired_content(unpaired)
        if content is None:
            return None
        settings = settings_of(config, training.cfg_options)
        return {"settings": settings, "images": content, "duskbench": metadata.version("duskbench")}

    def run(key: str, reporter: Reporter) -> bool:
        trainer = training.trainer or _own_trainer()
        folder = checkpoint_folder(work, method, key)
        options = {**training.cfg_options, "data_root": str(unpaired.resolve())}
        # mmengine logs to the standard output, which is for the table alone.
        with redirect_stdout(sys.stderr):
            checkpoint = trainer.train(config, work_dir=folder, resume=True, cfg_options=options)
        trainer.export(checkpoint, folder / f"{method}.safetensors")
        place_file(folder / f"{method}.safetensors", weights / f"{method}.safetensors", "copy")
        reporter.note(f"{method} is trained: {weights / f'{method}.safetensors'}, from {checkpoint}")
        return True

    return Step(
        name=f"train-{method}",
        what=f"train {method} by {config.name}, checkpoints below {work / 'training'}",
        inputs=inputs,
        outputs=(weights / f"{method}.safetensors",),
        run=run,
        estimate=lambda: _estimate(config, training.cfg_options, unpaired, expected_images),
        begun=lambda key: _newest_checkpoint(checkpoint_folder(work, method, key)),
    )


def checkpoint_folder(work: Path, method: str, key: str) -> Path:
    """Folder of the checkpoints of a method that is trained on inputs of this fingerprint."""
    return work / "training" / f"{method}-{key[:12]}"


def unpaired_content(unpaired: Path) -> str | None:
    """Hash of the images of an unpaired set, by name and content; None where there is no complete set."""
    try:
        rows = read_manifest(unpaired / MANIFEST)["images"]
    except DataError:
        return None
    taken = sorted([row["domain"], row["file"], row["sha256"]] for row in rows if row["rejected"] is None)
    return fingerprint_of({"taken": taken})


def settings_of(config: Path, cfg_options: Mapping[str, Any]) -> dict[str, Any]:
    """What of a training configuration changes the weights, as JSON values.

    Raises:
        ConfigError: The configuration cannot be read.
    """
    from mmengine.config import Config

    try:
        loaded = Config.fromfile(str(config))
        loaded.merge_from_dict(dict(cfg_options))
    except Exception as error:
        raise ConfigError(
            "Cannot read the training configuration.", where=config, got=f"{type(error).__name__}: {error}"
        ) from error
    values = {key: value for key, value in loaded.to_dict().items() if key not in _OF_NO_EFFECT}
    values["train_dataloader"] = {
        key: value for key, value in values.get("train_dataloader", {}).items() if key not in _OF_NO_EFFECT_ON_LOADING
    }
    plain: dict[str, Any] = json.loads(json.dumps(values, default=repr))
    return plain


def parse_training_options(cfg_options: Sequence[str]) -> dict[str, Any]:
    """Parse `a.b=c` settings that hold for every training configuration.

    Raises:
        ConfigError: An option is not `key=value`.
        UnknownNameError: No training configuration has such a key.
    """
    from mmengine.config import Config

    from duskbench.benchmarks.config import parse_cfg_options

    if not cfg_options:
        return {}
    path = config_root() / "_base_" / "training.py"
    # What the methods' own files add to the base.
    known = {"model": None, "optim_wrapper": None, **Config.fromfile(str(path)).to_dict()}
    return parse_cfg_options(cfg_options, known, path)


def _own_trainer() -> Trainer:
    from duskbench.pipeline.training import enhancer

    return enhancer


def _newest_checkpoint(folder: Path) -> str | None:
    from duskbench.pipeline.training.launch import checkpoints

    found = checkpoints(folder) if folder.is_dir() else []
    return f"{found[-1].name} is there" if found else None


def steps_of(settings: Mapping[str, Any], images: tuple[int, int], batch_size: int) -> int:
    """Optimisation steps of a schedule in one process.

    Args:
        settings: See `settings_of`.
        images: Images of A and of B; an epoch is the larger of those that the method reads.
        batch_size: Crops a step.
    """
    domains = settings["train_dataloader"].get("dataset", {}).get("domains", ("A", "B"))
    epoch = -(-max(dict(zip("AB", images, strict=True))[domain] for domain in domains) // batch_size)
    schedule = settings["schedule"]
    return int((schedule["constant"] + schedule["decay"]) * (epoch if schedule["unit"] == "epochs" else 1))


def _estimate(
    config: Path, cfg_options: Mapping[str, Any], unpaired: Path, expected_images: Callable[[], tuple[int, int]]
) -> Estimate:
    import torch

    from duskbench.benchmarks.reproduce.training_cost import training_cost

    cost = training_cost(config, cfg_options)
    images = _images_taken(unpaired) or expected_images()
    steps = steps_of(settings_of(config, cfg_options), images, cost.batch_size)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Estimate(steps * cost.gflop / convolution_gflops(device), cost.parameters * _CHECKPOINT_BYTES_A_PARAMETER)


def _images_taken(unpaired: Path) -> tuple[int, int] | None:
    try:
        rows = read_manifest(unpaired / MANIFEST)["images"]
    except DataError:
        return None
    taken = [row["domain"] for row in rows if row["rejected"] is None]
    return taken.count("A"), taken.count("B")
