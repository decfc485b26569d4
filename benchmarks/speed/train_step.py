"""Time one training step of a method against the machine's convolution rate.

    python -m duskbench.benchmarks.speed.train_step enlightengan zero_dce cyclegan guided --threads 2

A method is a file of `configs/training`, by name or path. Inputs are random and data loading is left out; VGG-16 has
random weights, which cost the same. "floor" is the step's arithmetic, forward and backward as torch counts it, at the
rate that a 64 -> 64 3x3 convolution reaches in the same run. On a GPU the memory is torch's peak, on a CPU the
process's, so name one method there.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS
from torch.utils.flop_counter import FlopCounterMode

from duskbench.benchmarks.reproduce.estimates import without_downloads
from duskbench.benchmarks.speed.convolution import convolution_probe
from duskbench.pipeline.training.enhancer import prepare

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "training"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="+", help="names of configs/training, or paths")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    layout = parser.add_mutually_exclusive_group()
    layout.add_argument("--channels-last", action="store_true", default=None, help="instead of what the config says")
    layout.add_argument("--contiguous", action="store_false", dest="channels_last")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(
        f"{arguments.size}x{arguments.size}, batch {arguments.batch}, {arguments.device}, "
        f"{arguments.threads} threads, median of {arguments.rounds} rounds"
    )
    print(
        f"{'':20}{'ms/step':>10}{'images/s':>10}{'GFLOP':>9}{'GFLOP/s':>9}{'floor ms':>10}{'step/floor':>12}{'MB':>8}"
    )
    for method in arguments.methods:
        step = build_step(method, arguments)
        print_row(Path(method).stem, step, arguments)


def build_step(method: str, arguments: argparse.Namespace) -> Callable[[], object]:
    """A method's whole training step on a fixed random batch."""
    path = Path(method)
    config = prepare(path if path.suffix == ".py" else CONFIGS / f"{method}.py", None)
    torch.manual_seed(0)
    with_crop = {"image_size": arguments.size} if "image_size" in config.model else {}
    model = MODELS.build({**without_downloads(config.model.to_dict()), **with_crop}).to(arguments.device).train()
    channels_last = config.get("channels_last") if arguments.channels_last is None else arguments.channels_last
    if channels_last:
        model.to(memory_format=torch.channels_last)
    optimizers = build_optim_wrapper(model, config.optim_wrapper)
    shape = (arguments.batch, 3, arguments.size, arguments.size)
    batch = {name: torch.randint(256, shape, dtype=torch.uint8) for name in ("low", "normal")}
    batch["seed"] = torch.arange(arguments.batch)
    return lambda: model.train_step(batch, optimizers)


def print_row(name: str, step: Callable[[], object], arguments: argparse.Namespace) -> None:
    """Measure a step and the machine in turns, and print the medians."""
    counter = FlopCounterMode(display=False)
    with counter:
        step()
    gflop = counter.get_total_flops() / 1e9
    probe, probe_gflop = convolution_probe(arguments.device)
    if arguments.device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    steps: list[float] = []
    probes: list[float] = []
    for turn in range(arguments.rounds + 1):
        seconds = timed(step, arguments.device)
        # As short a call is at the mercy of whoever else runs; several of them are not.
        several = [timed(probe, arguments.device) for _ in range(5)]
        if turn:
            steps.append(seconds)
            probes += several
    rate = probe_gflop / statistics.median(probes)
    seconds, floor = statistics.median(steps), gflop / rate
    print(
        f"{name:20}{seconds * 1e3:10.0f}{arguments.batch / seconds:10.2f}{gflop:9.0f}{rate:9.0f}"
        f"{floor * 1e3:10.0f}{seconds / floor:12.2f}{peak_megabytes(arguments.device):8.0f}"
    )


def timed(call: Callable[[], object], device: str) -> float:
    """Seconds of one call, what it left to the GPU included."""
    start = time.perf_counter()
    call()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def peak_megabytes(device: str) -> float:
    """Peak memory: torch's on a GPU, the process's on a CPU."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
