"""Going on with a training: each checkpoint says which training it is of, and another one is refused."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log

from duskbench.data_tools.errors import ConfigError, WeightsError
from duskbench.data_tools.ids import shown
from duskbench.pipeline.checkpoint import safe_load, weight_format
from duskbench.pipeline.network_weights import check_fit
from duskbench.pipeline.training.trainable import unwrapped

# Under this key of a checkpoint's meta are the settings of its training and the number of its images, as JSON.
TRAINING = "duskbench_training"
# The parts of a configuration that decide what a training computes. Its length is not among them: where the learning
# rates do not depend on it, a training may be made longer.
_PARTS = ("model", "train_dataloader", "optim_wrapper", "param_scheduler", "auto_scale_lr")
# How images are loaded, which does not change what is loaded.
_LOADING = {
    "multiprocessing_context", "num_workers", "persistent_workers", "pin_memory", "prefetch_factor", "timeout",
    "worker_init_fn",
}  # fmt: skip
# Hooks that watch a training, or change its results by roundings at most.
_WATCHING = {
    "BatchStatisticsCheck", "CheckInvalidLossHook", "CompileNetworks", "DetVisualizationHook", "EmptyCacheHook",
    "ExportRecord", "LossGuard", "MemoryProfilerHook", "ProfilerHook", "RaiseDataErrors", "SampleGrid",
}  # fmt: skip
# Where something lies, which may have been moved.
_PLACES = {"ann_file", "data_prefix", "data_root", "root", "weights"}


class TrainingRecord(Hook):
    """Write into each checkpoint which training it is of, and go on from a checkpoint of the same training alone.

    Learning rates and the clipping of gradients may be changed on the way, and take effect; folders may be moved. The
    log says each such change.

    Args:
        config: The Runner's.
        earlier: Checkpoints, of which the last one is to be gone on from; none for a training that begins.

    Raises:
        ConfigError: The checkpoint is of a training with other settings, or of other images, or it leaves out what
            going on needs.
        WeightsError: The checkpoint cannot be read, or its weights, or those of `load_from`, do not fit the model.
    """

    # Before any other hook, and the model, take something from a checkpoint.
    priority = "HIGHEST"

    def __init__(self, config: Config, earlier: Sequence[Path]) -> None:
        self.checkpoint = earlier[-1] if earlier else None
        self.source = self.checkpoint or config.get("load_from")
        self.settings = training_settings(config)
        self.saved: dict[str, Any] | None = None
        if earlier:
            saved = (_newest(earlier).get("meta") or {}).get(TRAINING)
            self.saved = None if saved is None else json.loads(saved)
        self.changed: dict[str, tuple[Any, Any]] = {}
        self._images: dict[str, Any] = {}
        if self.saved is not None:
            self.changed = self._changed({key: self.saved.get(key) for key in self.settings}, self.settings)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Add the record to the checkpoint's meta."""
        checkpoint["meta"][TRAINING] = json.dumps({**self.settings, **self._images_of(runner)})

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Compare what is loaded with the model and the images, and bring it to the present learning rates."""
        check_fit(unwrapped(runner.model), checkpoint.get("state_dict", checkpoint), where=str(self.source))
        if self.checkpoint is None:
            return
        lacking = [
            key
            for key, needed in (("optimizer", True), ("param_schedulers", bool(self.settings["param_scheduler"])))
            if needed and key not in checkpoint
        ]
        if lacking:
            raise ConfigError(
                "The checkpoint holds too little for a training to go on.",
                where=self.checkpoint,
                expected="the state of the optimizers and of the learning rates",
                got=f"no {', '.join(lacking)}",
                todo="the checkpoints' hook leaves them out with save_optimizer=False or save_param_scheduler=False: "
                f"begin anew in another --work-dir; {_from_its_weights(self.checkpoint)}",
            )
        if self.saved is None:
            _warn(
                f"{self.checkpoint} does not say its settings (an earlier version wrote it): make sure that they are "
                "the configuration's, as learning rates follow the checkpoint's."
            )
            return
        # Of an earlier version's checkpoint only the number is known.
        images = {key: value for key, value in self._images_of(runner).items() if key in self.saved}
        self._changed({key: self.saved[key] for key in images}, images)
        for key, (was, value) in self.changed.items():
            _warn(f"From iteration {checkpoint['meta']['iter'] + 1} on, {key} is {value!r}; it was {was!r}.")
            if _is_rate(key):
                _scale_rates(checkpoint, key.split(".")[1:-2], value / was)

    def _images_of(self, runner: Any) -> dict[str, Any]:
        """Of the training's beginning in this process: looking at all files takes a while."""
        self._images = self._images or _images(runner)
        return self._images

    def _changed(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Setting -> value of the checkpoint's training and of this one, where they differ and may."""
        one, other = dict(_leaves(before)), dict(_leaves(now))
        pairs = {key: (one.get(key), other.get(key)) for key in one | other}
        # NaN is not equal to itself, and 1 has another text than 1.0.
        changed = {key: (a, b) for key, (a, b) in pairs.items() if a != b and repr(a) != repr(b)}
        wrong = [key for key, (was, value) in changed.items() if not _may_change(key, was, value)]
        if wrong:
            raise ConfigError(
                "The checkpoint is of another training.",
                where=self.checkpoint,
                expected=_listed({key: changed[key][0] for key in wrong}),
                got=_listed({key: changed[key][1] for key in wrong}),
                todo="resume with the settings and images that it began with, or begin anew in another --work-dir; "
                + _from_its_weights(self.checkpoint),
            )
        return changed


def check_start(load_from: str | None) -> None:
    """Refuse what `load_from` cannot start a training from; whether the weights fit is seen when they are loaded.

    Raises:
        WeightsError: The file is missing or damaged, or exported weights.
    """
    # mmengine fetches addresses.
    if load_from is None or "://" in str(load_from):
        return
    file = Path(load_from)
    expected = "a checkpoint of a training, iter_N.pth or epoch_N.pth"
    if not file.is_file():
        raise WeightsError("The checkpoint to start from is not there.", where=file, expected=expected)
    if ".safetensors" in (file.suffix, weight_format(file)):
        raise WeightsError(
            "A training does not load exported weights.",
            where=file,
            expected=expected,
            got="a .safetensors file",
            todo="name the checkpoint that it was exported from; to start the network that enhances alone: "
            f"custom_hooks=[dict(type='StartFrom', weights={str(file)!r})]",
        )
    if not isinstance(safe_load(file, mapped=True), Mapping):
        raise WeightsError("The file is not a checkpoint.", where=file, expected=expected)


def _newest(earlier: Sequence[Path]) -> Any:
    """The content of the last checkpoint.

    Raises:
        WeightsError: It cannot be read; names the last one that can.
    """
    try:
        return safe_load(earlier[-1], mapped=True)
    except WeightsError as error:
        good = next((number for number, path in reversed([*enumerate(earlier)]) if _is_readable(path)), None)
        damaged = earlier if good is None else earlier[good + 1 :]
        raise WeightsError(
            "The newest checkpoint cannot be read.",
            where=earlier[-1],
            expected="a whole file; a power cut or a full disk may have cut it short",
            got=error.got,
            todo=f"remove {', '.join(path.name for path in damaged)}; --resume "
            + (
                "then begins anew, as no checkpoint can be read"
                if good is None
                else f"then goes on from {earlier[good]}"
            ),
        ) from error


def _is_readable(checkpoint: Path) -> bool:
    try:
        safe_load(checkpoint, mapped=True)
    except WeightsError:
        return False
    return True


def training_settings(config: Config, further: Sequence[str] = ()) -> dict[str, Any]:
    """What of a training's configuration decides what it computes, as plain values.

    Args:
        config: The Runner's, or one that is still to be made the Runner's.
        further: Keys that count too.

    Returns:
        Key -> setting: without how images are loaded, the hooks that watch, and how long it takes.
    """
    given = config.to_dict()
    settings = {part: given.get(part) or None for part in (*_PARTS, *further)}
    loader = {key: value for key, value in (given.get("train_dataloader") or {}).items() if key not in _LOADING}
    # Several processes compute what one computes on the same global batch.
    loader["batch_size"] = loader.get("batch_size", 1) * get_world_size()
    settings["train_dataloader"] = loader
    settings["randomness"] = {"seed": (given.get("randomness") or {}).get("seed")}
    hooks = given.get("custom_hooks") or []
    settings["custom_hooks"] = [
        hook for hook in hooks if not (isinstance(hook, Mapping) and hook.get("type") in _WATCHING)
    ]
    plain: dict[str, Any] = json.loads(json.dumps(settings, default=_text))
    return plain


def _text(value: Any) -> str:
    """A path as it is, a class or function by its name: its own text has an address of this process."""
    return str(getattr(value, "__qualname__", value))


def _images(runner: Any) -> dict[str, Any]:
    """How many images the training has, of each kind where its data set knows kinds, and which, where it says so.

    By names and sizes: folders may be moved, and of a set that is drawn anew the number is often the same.
    """
    dataset = runner.train_dataloader.dataset
    found: dict[str, Any] = {"images": getattr(dataset, "counts", None) or len(dataset)}
    if (files := getattr(dataset, "files", None)) is not None:
        rows = json.dumps([[file.name, file.stat().st_size] for file in files])
        found["images_by_name_and_size"] = hashlib.sha256(rows.encode()).hexdigest()[:12]
    return found


def _leaves(value: Any, address: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key -> value; a list is a value unless it holds dicts."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{address}.{key}".removeprefix("."))
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{address}.{number}")
    else:
        yield address, value


def _is_rate(key: str) -> bool:
    return key.startswith("optim_wrapper.") and key.endswith(".optimizer.lr")


def _may_change(key: str, was: Any, value: Any) -> bool:
    parts = set(key.split("."))
    if "optim_wrapper" in parts:
        # A rate of 0 cannot be brought to another.
        return "clip_grad" in parts or (_is_rate(key) and bool(was))
    return bool(parts & _PLACES) and all(_is_place(each) for each in (was, value))


def _is_place(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value))


def _scale_rates(checkpoint: dict[str, Any], name: list[str], factor: float) -> None:
    """Multiply the learning rates of an optimizer and of its schedule, of which the next one is computed."""
    optimizer, schedules = checkpoint["optimizer"], checkpoint.get("param_schedulers") or {}
    for network in name:
        optimizer, schedules = optimizer[network], schedules.get(network, [])
    for group in optimizer["param_groups"]:
        group |= {key: group[key] * factor for key in ("lr", "initial_lr") if key in group}
    for schedule in schedules:
        if schedule.get("param_name") == "lr":
            schedule["base_values"] = [rate * factor for rate in schedule["base_values"]]


def _listed(values: Mapping[str, Any]) -> str:
    return shown(f"{key}={value!r}" for key, value in values.items())


def _from_its_weights(checkpoint: Path | None) -> str:
    return f"to start from its weights, if the networks are the same: --cfg-options load_from={checkpoint}"


def _warn(message: str) -> None:
    print_log(message, "current", logging.WARNING)
