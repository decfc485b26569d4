"""Hooks of a training run: stop on a loss that runs away, show samples, start from given weights."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import HOOKS
from torch import nn

from duskbench.data_tools.errors import ConfigError, TrainingError
from duskbench.data_tools.images import write_image
from duskbench.data_tools.settings import is_number, is_whole
from duskbench.pipeline.network_weights import load_file
from duskbench.pipeline.networks.features import frozen_features
from duskbench.pipeline.training.launch import checkpoints
from duskbench.pipeline.training.trainable import TrainableEnhancer, unwrapped


def _need(name: str, got: object, right: bool, expected: str) -> None:
    if not right:
        raise ConfigError("A hook of the training cannot be set so.", where=name, expected=expected, got=repr(got))


# Mean change of a pixel, in grey levels of 255, below which nothing is to be seen.
LEAST_CHANGE = 1.0


@HOOKS.register_module()
class LossGuard(Hook):
    """Stop a run whose loss is not finite or has grown far beyond what it was; keep bad weights out of checkpoints.

    Args:
        factor: A loss may be this many times the median of its recent values, and no more.
        window: How many values count as recent; the first so many of a run are not judged for size.

    Raises:
        TrainingError: The loss or the weights went wrong; names the loss, the iteration and the last good checkpoint.
    """

    # Before the checkpoint hook, which runs at VERY_LOW.
    priority = "LOW"

    def __init__(self, factor: float = 1000.0, window: int = 100) -> None:
        _need("factor", factor, is_number(factor) and factor >= 1, "1 or more")
        _need("window", window, is_whole(window, 1), "1 or more")
        self.factor, self.window = factor, window
        self.recent: dict[str, deque[float]] = {}

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Check the losses of an iteration."""
        for name, value in (outputs or {}).items():
            number = float(torch.as_tensor(value).detach())
            recent = self.recent.setdefault(name, deque(maxlen=self.window))
            if not np.isfinite(number):
                raise _stopped(runner, f"{name} is {number}", "a finite loss")
            usual = median(map(abs, recent)) if len(recent) == self.window else None
            if usual is not None and abs(number) > self.factor * max(usual, 1e-3):
                raise _stopped(runner, f"{name} is {number:.4g}", f"about {usual:.4g}, as in the iterations before")
            recent.append(number)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Refuse to save weights that are not finite."""
        for key, value in checkpoint["state_dict"].items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                raise _stopped(runner, f"{key} is not finite", "finite weights")


def _stopped(runner: Any, got: str, expected: str) -> TrainingError:
    good = checkpoints(runner.work_dir)
    return TrainingError(
        "Training went wrong and was stopped.",
        where=f"{runner.work_dir}, iteration {runner.iter + 1}",
        expected=expected,
        got=got,
        todo=f"the last good checkpoint is {good[-1]}; go on from it with --resume and a lower learning rate or "
        "gradient clipping"
        if good
        else "there is no checkpoint yet; start again with a lower learning rate or gradient clipping",
    )


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """In evaluation mode and without gradients, and afterwards as before."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


@HOOKS.register_module()
class SampleGrid(Hook):
    """Show what the generator makes of a few training images, through the run's visualiser and as a PNG file.

    The log says by how much enhancing changes them, as the mean absolute difference in grey levels of 255. A network
    that leaves them as they are is warned of: its losses can look as if all was well.

    Args:
        interval: Iterations between two grids.
        images: Low-light crops in a grid; the first ones of the data set, the same each time.
    """

    priority = "LOW"

    def __init__(self, interval: int = 500, images: int = 4) -> None:
        _need("interval", interval, is_whole(interval, 1), "1 or more")
        _need("images", images, is_whole(images, 1), "1 or more")
        self.interval, self.images = interval, images
        self.low: torch.Tensor | None = None

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Make a grid if it is time for one."""
        if not self.every_n_train_iters(runner, self.interval) or not is_main_process():
            return
        model = unwrapped(runner.model)
        assert isinstance(model, TrainableEnhancer)  # noqa: S101 - what the runner was built with
        if self.low is None:
            dataset = runner.train_dataloader.dataset
            self.low = torch.stack([dataset[number]["low"] for number in range(self.images)])
        grid = self._grid(model)
        runner.visualizer.add_image("samples", grid, step=runner.iter + 1)
        file = Path(runner.work_dir) / "samples" / f"iter_{runner.iter + 1}.png"
        write_image(file, grid)
        before, after = np.split(grid.astype(float), 2)
        moved = float(np.abs(after - before).mean())
        message, level = f"Enhancing changes the pictures in {file} by {moved:.2f} grey levels of 255", logging.INFO
        if moved < LEAST_CHANGE:
            message += (
                ": so far this network leaves them as they are. A GAN whose loss_discriminator is near zero may stay "
                "there (docs, Readings)"
            )
            level = logging.WARNING
        print_log(f"{message}.", "current", level)

    def _grid(self, model: TrainableEnhancer) -> np.ndarray:
        """Input above, enhanced below; (2 H, n W, 3) uint8 RGB."""
        with _evaluating(model):
            low = model.data_preprocessor({"low": self.low})["low"]
            # One after the other: statistics of a batch of different pictures are not what one picture sees.
            enhanced = torch.cat([model.enhance(each[None]) for each in low])
        rows = [torch.cat(list(batch), dim=2) for batch in (low, enhanced)]
        pixels = torch.cat(rows, dim=1).clamp(0, 1).mul(255).round().to(torch.uint8)
        return pixels.permute(1, 2, 0).cpu().numpy()


@HOOKS.register_module()
class BatchStatisticsCheck(Hook):
    """Warn where a network enhances otherwise than it learned to, because batches normalised it in training.

    Batch normalisation takes the statistics of the batch while it trains and averages of them afterwards. In a batch
    of few night photos that makes up for how dark these are, as averages over bright and dark ones cannot; what was
    natural in training is then grey fog or stays dark. The last batch is enhanced both ways.

    Args:
        share: How far the two may lie apart, as a share of how far the enhancement moves the pictures.
    """

    priority = "LOW"

    def __init__(self, share: float = 0.25) -> None:
        _need("share", share, is_number(share) and share > 0, "above 0")
        self.share = share
        self.batch: Any = None

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Keep the batch."""
        self.batch = data_batch

    def after_train(self, runner: Any) -> None:
        """Compare the two, and put the averages back."""
        model = unwrapped(runner.model)
        network = model.exported[0]
        layers = [
            each for each in network.modules() if getattr(each, "running_mean", None) is not None and each.training
        ]
        if self.batch is None or not layers:
            return
        kept = {name: value.clone() for name, value in network.named_buffers()}
        with _evaluating(model):
            low = model.data_preprocessor(self.batch)["low"]
            alone = model.enhance(low)
            for layer in layers:
                layer.train()
            together = model.enhance(low)
            for name, value in network.named_buffers():
                value.copy_(kept[name])
        apart, moved = ((together - each).abs().mean().item() * 255 for each in (alone, low))
        if apart > max(self.share * moved, LEAST_CHANGE):
            print_log(
                "With the averages of its batch normalisation this network enhances otherwise than it did in training, "
                f"by {apart:.0f} grey levels on the last batch of {len(low)}; in training it moved the pictures by "
                f"{moved:.0f}. Give its generator norm='instance', or train with larger batches.",
                "current",
                logging.WARNING,
            )


@HOOKS.register_module()
class CompileNetworks(Hook):
    """Compile the networks that train, by torch.compile: fewer passes over memory, the same up to roundings.

    Checkpoints and exported weights are those of a run without it, and either kind of run resumes the other's.

    Raises:
        ConfigError: The compiler, or something that it needs, is missing; the method has nothing to compile; or there
            are several processes, whose batch normalisation has not been compiled.
    """

    def before_train(self, runner: Any) -> None:
        """Try the compiler, then have the networks compiled at their first use."""
        if get_world_size() > 1:
            raise ConfigError(
                "Several processes do not train compiled networks.",
                where="compile",
                expected="one process, or compile=False",
                got=f"compile=True in {get_world_size()} processes",
            )
        model = unwrapped(runner.model)
        try:
            # A program of one addition, not taken from an earlier run's files.
            add = torch.compile(lambda values: values + 1, options={"force_disable_caches": True})
            add(next(model.parameters()).detach().flatten()[:1])
        except Exception as error:  # what is missing decides on the kind
            reason = str(error).strip().partition("\n")[0]
            raise ConfigError(
                "The networks cannot be compiled.",
                where="compile",
                expected="a C++ compiler (g++, or the one that $CXX names) and Python's headers; on a GPU also Triton",
                got=reason or type(error).__name__,
                todo="install what is missing, or leave out compile=True",
            ) from error
        model.compile_networks()


@HOOKS.register_module()
class StartFrom(Hook):
    """Start the network that enhances from given weights, and average the last checkpoint with them.

    Fine-tuning on other data forgets; the mean of the weights before and after it keeps more of both.

    Args:
        weights: A file that `duskbench train` exported, or a checkpoint of it, of the same network.
        share: Of these weights in the last checkpoint, in [0, 1); 0 leaves what was trained.

    Raises:
        ConfigError: No such share.
        WeightsError: The file is missing or of another network.

    Source: Wortsman et al. 2022, Robust fine-tuning of zero-shot models (WiSE-FT), for the mean.
    """

    # After the moving average has been put in the checkpoint, and before the checkpoint hook sees it.
    priority = "VERY_LOW"

    def __init__(self, weights: str, share: float = 0.0) -> None:
        _need("share", share, is_number(share) and 0 <= share < 1, "0 <= share < 1")
        self.weights, self.share = weights, share

    def before_run(self, runner: Any) -> None:
        """Load the weights; a checkpoint that is resumed replaces them."""
        network, _ = unwrapped(runner.model).exported
        frozen = tuple(f"{name}." for name in frozen_features(network))
        self.start = load_file(network, self.weights, ignore=frozen)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Average the last checkpoint; the ones before it are resumed from, and stay what they are."""
        if not self.share or runner.iter + 1 < runner.max_iters:
            return
        prefix = unwrapped(runner.model).exported_prefix
        trained = checkpoint["state_dict"]
        for name, value in self.start.items():
            key = prefix + name
            if value.is_floating_point():
                trained[key] = torch.lerp(trained[key], value.to(trained[key]), self.share)
