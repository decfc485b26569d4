"""What every training run shares: its config, one process or several, mmengine's Runner, the checkpoints it leaves."""

from __future__ import annotations

import itertools
import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import barrier, init_dist, is_distributed, is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import print_log

from duskbench.data_tools.errors import ConfigError, DuskbenchError, TrainingError, WeightsError
from duskbench.data_tools.files import only_one, write_bytes
from duskbench.data_tools.plugins import raised_at
from duskbench.data_tools.settings import is_whole
from duskbench.pipeline.config_settings import check_file
from duskbench.pipeline.mmdet_config import load_config
from duskbench.pipeline.training.resuming import TrainingRecord, check_start
from duskbench.pipeline.training.trainable import unwrapped

_RUNS = itertools.count()


class AtomicBackend(LocalBackend):
    """mmengine's local files, flushed to disk, then renamed: a checkpoint is whole or not there, whatever happens."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to a file."""
        write_bytes(filepath, bytes(obj), durable=True)


register_backend("atomic", AtomicBackend, force=True)


def read_config(
    config: str | Path | Config,
    cfg_options: Mapping[str, Any] | None,
    keys: Sequence[str],
    effective: Collection[str],
) -> Config:
    """Read a training configuration.

    Args:
        config: A path, or a loaded one, which is copied.
        cfg_options: Values to put into it, dotted key -> value.
        keys: What it must say.
        effective: Top-level settings that the training reads.

    Raises:
        ConfigError: It cannot be read, lacks a key, or says something that has no effect.
    """
    loaded = load_config(config, cfg_options, effective)
    check_file(loaded, effective)
    missing = [key for key in keys if not loaded.get(key)]
    if missing:
        raise ConfigError(
            "The configuration does not say what a training needs.",
            where=loaded.filename,
            expected=", ".join(keys),
            got=f"no {', '.join(missing)}",
        )
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        _complete_loader(loaded.get(name) or {}, name)
    seed = (loaded.get("randomness") or {}).get("seed")
    if seed is not None and not (is_whole(seed, 0) and seed < 2**32):
        raise ConfigError(
            "The seed is not possible.", where="randomness.seed", expected="0 to 2**32 - 1, or None", got=repr(seed)
        )
    # Formatting the text takes seconds for each checkpoint that it is put into.
    return Config(
        loaded.to_dict(),
        cfg_text=loaded.text,
        filename=loaded.filename,
        env_variables=loaded.env_variables,
        format_python_code=False,
    )


def _complete_loader(loader: Any, name: str) -> None:
    """Check a data loader's sizes; without processes of its own it keeps none."""
    for key, least in (("batch_size", 1), ("num_workers", 0)):
        value = loader.get(key, least)
        if not is_whole(value, least):
            raise ConfigError(
                "The loading of images cannot be set so.",
                where=f"{name}.{key}",
                expected=f"{least} or more",
                got=repr(value),
            )
    if not loader.get("num_workers") and loader.get("persistent_workers"):
        loader["persistent_workers"] = False


def join_launcher(config: Config) -> None:
    """Set `config.launcher` by what started this process (torchrun, Slurm or nothing), and join the others.

    The Runner would join them later, after a schedule in epochs has asked how many they are.
    """
    if "LOCAL_RANK" in os.environ:
        config.launcher = "pytorch"
    else:
        slurm = "SLURM_PROCID" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1
        config.launcher = "slurm" if slurm else "none"
    if config.launcher == "none" or is_distributed():
        return
    if torch.cuda.is_available():
        init_dist(config.launcher, **config.get("env_cfg", {}).get("dist_cfg", {}))
    else:
        # mmengine's start-up asks each process for a GPU.
        torch.distributed.init_process_group("gloo")


def run(config: Config, work_dir: str | Path, *, resume: bool, hooks: Sequence[Hook] = ()) -> Path:
    """Train what a configuration says, by mmengine's Runner.

    Args:
        config: The Runner's, from `read_config` and after `join_launcher`; changed in place. `channels_last` brings the
            model into that layout.
        work_dir: Where checkpoints and the log go; made.
        resume: Go on from the newest checkpoint in `work_dir`, if there is one; the log says if there is none.
        hooks: Further ones, besides the configuration's.

    Returns:
        The last checkpoint.

    Raises:
        ConfigError: The checkpoint is of another training (`TrainingRecord`), or there is one and it is not to be
            resumed; another process trains in `work_dir`; or what the configuration describes cannot be built.
        WeightsError: `load_from` is not there, or its weights do not fit; or the run left no checkpoint.
        DataError: A training image cannot be read.
        TrainingError: Something raised an error on the way.
    """
    Path(work_dir).mkdir(parents=True, exist_ok=True)
    # The first process of a training stands for all of them.
    with only_one(Path(work_dir), "training folder") if is_main_process() else nullcontext():
        return _run(config, work_dir, resume=resume, hooks=hooks)


def _run(config: Config, work_dir: str | Path, *, resume: bool, hooks: Sequence[Hook]) -> Path:
    # Who only asks for checkpoints need not wait for this import.
    from mmengine.runner import Runner

    earlier = checkpoints(work_dir)
    if earlier and not resume:
        raise ConfigError(
            "The folder holds checkpoints of an earlier training.",
            where=work_dir,
            expected="none: they would be overwritten, or taken for the result of this one",
            got=", ".join(path.name for path in earlier),
            todo="go on from them with --resume, choose another --work-dir, or remove them",
        )
    config.work_dir = str(work_dir)
    # mmengine keeps loggers and visualisers by name and the second: of two runs in one process the later one would
    # write into the files of the earlier.
    config.experiment_name = f"{Path(config.filename or 'training').stem}_{next(_RUNS)}"
    if config.get("visualizer"):
        config.visualizer.name = config.experiment_name
    if config.get("default_hooks", {}).get("checkpoint"):
        config.default_hooks.checkpoint.backend_args = {"backend": "atomic"}
    record = TrainingRecord(config, earlier)
    config.resume = bool(earlier)
    if earlier:
        config.load_from = str(earlier[-1])
    else:
        check_start(config.get("load_from"))
    with _built_from(config):
        runner = Runner.from_cfg(config)
    _check_checkpoint_hook(config, runner.hooks)
    if resume and not earlier:
        print_log(f"There is no checkpoint in {work_dir}: training starts at step 0.", "current", logging.WARNING)
    if config.get("channels_last"):
        unwrapped(runner.model).to(memory_format=torch.channels_last)
    for hook in (record, *hooks):
        runner.register_hook(hook)
    with _built_from(config):
        # `train` would build them first of all.
        for note in _notes(runner.train_loop.dataloader.dataset):
            print_log(note, "current", logging.WARNING)
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    _train(runner)
    barrier()
    return last_checkpoint(work_dir)


def _notes(dataset: Any) -> Iterator[str]:
    """What a data set, or those that it wraps, say of themselves."""
    yield from getattr(dataset, "notes", ())
    for inner in (getattr(dataset, "dataset", None), *(getattr(dataset, "datasets", None) or ())):
        if inner is not None:
            yield from _notes(inner)


@contextmanager
def _built_from(config: Config) -> Iterator[None]:
    """Turn what the classes that a configuration names raise into an error of ours, but not what the system says."""
    try:
        yield
    except DuskbenchError as error:
        raise error.at(config.filename) from error.__cause__
    except (OSError, MemoryError):
        raise
    except Exception as error:
        raise ConfigError(
            "The training cannot be built as its configuration says.", where=config.filename, got=raised_at(error, None)
        ) from error


def _train(runner: Any) -> None:
    """Run it; of what is raised, the line of the model's folder is named, or else none."""
    try:
        runner.train()
    except (DuskbenchError, OSError, MemoryError):
        raise
    except Exception as error:
        kept = [f"{path} is kept: --resume goes on from it" for path in checkpoints(runner.work_dir)[-1:]]
        raise TrainingError(
            "The training was stopped by an error.",
            where=f"{runner.work_dir}, iteration {runner.iter + 1}",
            got=raised_at(error, type(unwrapped(runner.model))),
            todo="; ".join(["change the setting or the code that it comes from", *kept]),
        ) from error


def _check_checkpoint_hook(config: Config, hooks: Sequence[Hook]) -> None:
    """Refuse settings that mmengine's hook does not know: they fail with the first checkpoint, after hours."""
    for hook in hooks:
        if isinstance(hook, CheckpointHook) and hook.args:
            raise ConfigError(
                f"Nothing reads {', '.join(map(repr, hook.args))} of the checkpoints' hook.",
                where=config.filename,
                expected="the arguments of mmengine's CheckpointHook",
                got=", ".join(f"{key}={value!r}" for key, value in hook.args.items()),
            )


def checkpoints(work_dir: str | Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    found = {
        int(match[1]): path
        for path in Path(work_dir).glob("*.pth")
        if (match := re.fullmatch(r"(?:iter|epoch)_(\d+)\.pth", path.name))
    }
    return [found[number] for number in sorted(found)]


def last_checkpoint(work_dir: str | Path) -> Path:
    """The newest checkpoint of a run.

    Raises:
        WeightsError: There is none.
    """
    found = checkpoints(work_dir)
    if not found:
        raise WeightsError(
            "The training run has no checkpoint.", where=work_dir, expected="iter_N.pth or epoch_N.pth", got="none"
        )
    return found[-1]
