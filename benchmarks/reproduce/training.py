"""The steps that train: one for each method without weights, on the unpaired set."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from duskbench.benchmarks.reproduce.estimates import TrainingTimes, time_training
from duskbench.benchmarks.reproduce.steps import Estimate, Step, fingerprint_of
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.files import place_file
from duskbench.data_tools.progress import Progress
from duskbench.data_tools.training_manifest import MANIFEST, read_manifest
from duskbench.pipeline.registry import config_root

Schedule = Literal["paper", "small"]
# What the training makes of its configuration before the Runner sees it, and counts: a longer one has other weights.
_MADE_OF = ("schedule", "ema")


@dataclass(frozen=True)
class Training:
    """How methods are trained.

    Attributes:
        schedule: `paper`, the settings of the paper's section 4.1, or `small`, for two cores.
        cfg_options: Values over every configuration, dotted key -> value.
    """

    schedule: Schedule = "paper"
    cfg_options: Mapping[str, Any] = field(default_factory=dict)

    def config_of(self, method: str) -> Path:
        """The configuration of a method.

        Raises:
            ConfigError: There is none.
        """
        path = config_root() / "training" / (f"{method}.py" if self.schedule == "paper" else f"{method}_small.py")
        if not path.is_file():
            raise ConfigError("The method has no training configuration.", where=path, got=f"{method!r}")
        return path

    def settings_of(self, method: str) -> dict[str, Any]:
        """What of a method's configuration changes its weights, as JSON values.

        Raises:
            ConfigError: The configuration is not there or cannot be read.
        """
        from mmengine.config import Config

        from duskbench.pipeline.training.resuming import training_settings

        path = self.config_of(method)
        try:
            loaded = Config.fromfile(str(path))
            loaded.merge_from_dict(dict(self.cfg_options))
        except Exception as error:
            raise ConfigError(
                "Cannot read the training configuration.", where=path, got=f"{type(error).__name__}: {error}"
            ) from error
        return training_settings(loaded, _MADE_OF)

    def extractors_of(self, methods: Sequence[str]) -> list[dict[str, Any]]:
        """Configurations of the frozen feature extractors that trainings build, each once."""
        found: list[dict[str, Any]] = []
        for method in methods:
            found += [one for one in _features_in(self.settings_of(method)["model"]) if one not in found]
        return found

    def times_of(self, method: str) -> TrainingTimes:
        """What a step of a method takes on this machine; measured once."""
        return _times(self.config_of(method), tuple(self.cfg_options.items()))


@cache
def _times(config: Path, cfg_options: tuple[tuple[str, Any], ...]) -> TrainingTimes:
    return time_training(config, dict(cfg_options))


def _features_in(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if str(value.get("type", "")).endswith("Features"):
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _features_in(one)


def parse_training_options(cfg_options: Sequence[str]) -> dict[str, Any]:
    """Parse `a.b=c` settings that hold for every training configuration.

    Raises:
        ConfigError: An option is not `key=value`.
        UnknownNameError: No training configuration has such a key.
    """
    from mmengine.config import Config

    from duskbench.benchmarks.cfg_options import parse_cfg_options

    if not cfg_options:
        return {}
    path = config_root() / "_base_" / "training.py"
    # What the methods' own files add to the base.
    known = {"model": None, "optim_wrapper": None, **Config.fromfile(str(path)).to_dict()}
    return parse_cfg_options(cfg_options, known, path)


def training_step(method: str, training: Training, work: Path, expected_images: Callable[[], tuple[int, int]]) -> Step:
    """Train a method on `work/unpaired` and put its weights into `work/weights`.

    Checkpoints are in a folder named by the fingerprint of all inputs. So a run is only ever resumed with the settings
    and images it began with, and what was learned with other settings stays where it is.

    Args:
        method: Name of the method.
        training: How.
        work: Folder of the steps.
        expected_images: Images of A and of B, for the estimate while there is no unpaired set.
    """
    config, unpaired = training.config_of(method), work / "unpaired"
    weights = work / "weights" / f"{method}.safetensors"

    def inputs() -> dict[str, Any] | None:
        images = unpaired_content(unpaired)
        if images is None:
            return None
        settings = training.settings_of(method)
        return {"settings": settings, "images": images, "duskbench": metadata.version("duskbench")}

    def checkpoint_folder() -> Path | None:
        known = inputs()
        return None if known is None else work / "training" / f"{method}-{fingerprint_of(known)[:12]}"

    def run(progress: Progress) -> bool:
        from duskbench.pipeline.training import enhancer

        folder = checkpoint_folder()
        assert folder is not None  # noqa: S101 - a step without inputs does not run
        options = {**training.cfg_options, "data_root": str(unpaired.resolve())}
        # mmengine logs to the standard output, which is for the table alone.
        with redirect_stdout(sys.stderr):
            checkpoint = enhancer.train(config, work_dir=folder, resume=True, cfg_options=options)
        place_file(enhancer.export(checkpoint, folder / weights.name), weights, "copy")
        progress.message(f"{method} is trained: {weights}, from {checkpoint}")
        return True

    def started() -> bool:
        folder = checkpoint_folder()
        return folder is not None and any(folder.glob("*.pth"))

    def estimate() -> Estimate:
        times, taken = training.times_of(method), _taken(unpaired)
        images = expected_images() if taken is None else _images_of(taken)
        return times.estimate(steps_of(training.settings_of(method), images, times.batch_size))

    return Step(
        name=f"train-{method}",
        what=f"train {method} by {config.name}, checkpoints below {work / 'training'}",
        inputs=inputs,
        outputs=(weights,),
        run=run,
        estimate=estimate,
        started=started,
    )


def unpaired_content(unpaired: Path) -> str | None:
    """Hash of the images of an unpaired set, by name and content; None where there is no complete set."""
    rows = _taken(unpaired)
    if rows is None:
        return None
    return fingerprint_of({"taken": sorted([row["domain"], row["file"], row["sha256"]] for row in rows)})


def _taken(unpaired: Path) -> list[dict[str, Any]] | None:
    try:
        rows = read_manifest(unpaired / MANIFEST)["images"]
    except DataError:
        return None
    return [row for row in rows if row["rejected"] is None]


def _images_of(taken: list[dict[str, Any]]) -> tuple[int, int]:
    domains = [row["domain"] for row in taken]
    return domains.count("A"), domains.count("B")


def steps_of(settings: Mapping[str, Any], images: tuple[int, int], batch_size: int) -> int:
    """Optimisation steps of a schedule in one process.

    Args:
        settings: See `Training.settings_of`.
        images: Images of A and of B; an epoch is the larger of those that the method reads.
        batch_size: Crops a step.
    """
    domains = settings["train_dataloader"].get("dataset", {}).get("domains", ("A", "B"))
    epoch = -(-max(dict(zip("AB", images, strict=True))[domain] for domain in domains) // batch_size)
    schedule = settings["schedule"]
    return int((schedule["constant"] + schedule["decay"]) * (epoch if schedule["unit"] == "epochs" else 1))
