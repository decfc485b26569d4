"""Time the training step that `duskbench train` runs against the convolutions that it is made of.

    python -m duskbench.benchmarks.speed.train_step enlightengan zero_dce cyclegan guided

A method is a file of `configs/training`, by name or path. It is trained for some steps by `duskbench train`'s own
function, on random photos of 500x375 pixels, with hooks, data loader, moving average and freed memory as the
configuration has them; VGG-16 has random weights, which cost the same. A step is timed from the moment its batch is
there until all hooks have seen its losses. Two floors are measured in turns with the steps:

- "mixed floor": forward, data gradient and weight gradient of each convolution of the step, each timed alone on tensors
  of the same shape and layout, summed;
- "floor": the step's arithmetic at the rate that a 64 -> 64 3x3 convolution, channels last, reaches.

"wait" is how long consecutive steps waited for their batch, as a share of their time, after the batches that were
loaded ahead are used up. With one thread on a CPU the seconds are CPU seconds, so that other work on the machine counts
little; else they are wall time. On a GPU the memory is torch's peak, on a CPU the process's, so name one method there.

With --compile the second step compiles the networks. How long it took is printed below the row, with the CPU seconds of
the compiler too where $TORCHINDUCTOR_COMPILE_THREADS is 1.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from duskbench.benchmarks.reproduce.estimates import without_downloads
from duskbench.benchmarks.speed.convolution import convolution_probe
from duskbench.benchmarks.speed.mixed_floor import KINDS, Convolutions
from duskbench.data_tools.images import write_image
from duskbench.data_tools.training_manifest import FOLDERS
from duskbench.pipeline.mmdet_config import load_config
from duskbench.pipeline.training.enhancer import train

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "training"
WARM_UP = 2
PHOTOS, PHOTO = 8, (375, 500, 3)


class StepTimer(Hook):
    """Times each step, the waiting before it, and in turns with the last ones the floors.

    Args:
        clock: Seconds, by which steps and convolutions are timed.
        device: Of the training.
        consecutive: Steps after the first ones whose waiting is measured, with nothing between them.
    """

    # After all other hooks.
    priority = "LOWEST"

    def __init__(self, clock: Callable[[], float], device: str, consecutive: int) -> None:
        self.clock, self.device, self.consecutive = clock, device, consecutive
        self.convolutions = Convolutions(device)
        self.probe, self.probe_gflop = convolution_probe(device)
        self.steps: list[float] = []
        self.probes: list[float] = []
        self.waited = self.ran = self.start = 0.0
        self.second_step = (0.0, 0.0)
        self.idle_since = time.perf_counter()

    def __deepcopy__(self, memo: Any) -> StepTimer:
        """Stay one, whoever copies the configuration."""
        return self

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """The batch is there."""
        if WARM_UP <= batch_idx < WARM_UP + self.consecutive:
            self.waited += time.perf_counter() - self.idle_since
        if not batch_idx:
            self.convolutions.__enter__()
        if batch_idx == 1:
            self.second_step = time.perf_counter(), sum(os.times()[:4])
        self.began, self.start = time.perf_counter(), self.clock()

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """The step is done."""
        seconds = self.clock() - self.start
        if not batch_idx:
            self.convolutions.__exit__(None, None, None)
        if batch_idx == 1:
            wall, cpu = self.second_step
            self.second_step = time.perf_counter() - wall, sum(os.times()[:4]) - cpu
        if batch_idx >= WARM_UP:
            self.steps.append(seconds)
        if WARM_UP <= batch_idx < WARM_UP + self.consecutive:
            self.ran += time.perf_counter() - self.began
        if batch_idx == WARM_UP + self.consecutive - 1:
            # The first time each convolution is prepared.
            self.convolutions.measure(self.timed)
            self.convolutions.seconds.clear()
        elif batch_idx >= WARM_UP + self.consecutive:
            self.convolutions.measure(self.timed)
            # As short a call is at the mercy of whoever else runs; several of them are not.
            self.probes += [self.timed(self.probe) for _ in range(5)]
        self.idle_since = time.perf_counter()

    def timed(self, call: Callable[[], object]) -> float:
        """Seconds of one call."""
        with torch.no_grad():
            start = self.clock()
            call()
            return self.clock() - start


def step_parser(description: str | None, methods: str) -> argparse.ArgumentParser:
    """The arguments of all that times training steps."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="+", help=methods)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    return parser


def main() -> None:
    """Print the table."""
    parser = step_parser(__doc__, methods="names of configs/training, or paths")
    parser.add_argument("--ema", type=float, help="instead of what the config says")
    parser.add_argument("--compile", action="store_true", default=None, help="instead of what the config says")
    layout = parser.add_mutually_exclusive_group()
    layout.add_argument("--channels-last", action="store_true", default=None, help="instead of what the config says")
    layout.add_argument("--contiguous", action="store_false", dest="channels_last")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    on_cpu_time = device == "cpu" and arguments.threads == 1
    print(
        f"{arguments.size}x{arguments.size}, batch {arguments.batch}, {device}, {arguments.threads} threads, "
        f"{'CPU' if on_cpu_time else 'wall'} time, median of {arguments.rounds} rounds"
    )
    columns = ("ms/step", "wait %", "GFLOP", "mixed ms", "/mixed", "floor ms", "/floor", "MB")
    print(f"{'':20}" + "".join(f"{name:>10}" for name in (*columns, *(f"GF/s {kind[:4]}" for kind in KINDS))))
    for method in arguments.methods:
        timer = time_steps(method, arguments, device, on_cpu_time)
        print_row(Path(method).stem, timer)
        if arguments.compile:
            print("{:20}the step that compiles: {:.0f} s on the clock, {:.0f} s of CPU".format("", *timer.second_step))


def time_steps(method: str, arguments: argparse.Namespace, device: str, on_cpu_time: bool) -> StepTimer:
    """Train a method for a few steps, timed."""
    path = Path(method)
    config = load_config(path if path.suffix == ".py" else CONFIGS / f"{method}.py")
    loader = config.train_dataloader
    # The first steps use what was loaded while the process was getting ready.
    timer = StepTimer(
        time.process_time if on_cpu_time else (lambda: now(device)), device, 2 + 2 * loader.get("num_workers", 0)
    )
    with tempfile.TemporaryDirectory() as folder:
        config = changed(config, arguments, Path(folder))
        steps = WARM_UP + timer.consecutive + arguments.rounds
        config.schedule = {"unit": "steps", "constant": steps, "decay": 0}
        config.custom_hooks = [*config.custom_hooks, timer]
        train(config, work_dir=Path(folder) / "run")
    return timer


def changed(config: Config, arguments: argparse.Namespace, folder: Path) -> Config:
    """The method's configuration for random photos, unpaired and paired, of the size and batch asked for."""
    draw = np.random.default_rng(0)
    for domain in (*FOLDERS.values(), "low", "high"):
        for number in range(PHOTOS):
            write_image(folder / domain / f"{number}.png", draw.integers(0, 256, PHOTO).astype(np.uint8))
    config.model = without_downloads(config.model.to_dict())
    if "image_size" in config.model:
        config.model.image_size = arguments.size
    config.data_root = str(folder)
    config.train_dataloader.batch_size = arguments.batch
    config.train_dataloader.dataset.crop = arguments.size
    if config.train_dataloader.dataset.get("resize"):
        config.train_dataloader.dataset.resize = arguments.size
    for key in ("channels_last", "ema", "compile"):
        if getattr(arguments, key) is not None:
            config[key] = getattr(arguments, key)
    config.log_level = "ERROR"
    return config


def now(device: str) -> float:
    """Seconds of the clock on the wall, when the GPU has done what it was given."""
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter()


def print_row(name: str, timer: StepTimer) -> None:
    """Print the medians."""
    step, convolutions = statistics.median(timer.steps), timer.convolutions
    mixed, gflop = convolutions.floor(), convolutions.operations()
    floor = gflop / timer.probe_gflop * statistics.median(timer.probes)
    rates = [convolutions.operations(kind) / convolutions.floor(kind) for kind in KINDS]
    print(
        f"{name:20}{step * 1e3:10.0f}{100 * timer.waited / (timer.waited + timer.ran):10.2f}{gflop:10.1f}"
        f"{mixed * 1e3:10.0f}{step / mixed:10.3f}{floor * 1e3:10.0f}{step / floor:10.2f}"
        f"{peak_megabytes(timer.device):10.0f}" + "".join(f"{rate:10.0f}" for rate in rates)
    )


def peak_megabytes(device: str) -> float:
    """Peak memory: torch's on a GPU, the process's on a CPU."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
