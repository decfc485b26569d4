"""Time a training step with compiled networks in turns with the plain one.

    python -m duskbench.benchmarks.speed.compiled_step enlightengan zero_dce guided cyclegan

A method is a name of `configs/training`. Both models start from the same weights and see the same random batch, without
hooks and data loader, which compiling does not change. With one thread on a CPU the seconds are CPU seconds. "first" is
the step that compiles, on the clock. Files of earlier runs make it shorter: set $TORCHINDUCTOR_CACHE_DIR to an empty
folder.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.registry import MODELS

from duskbench.benchmarks.speed.train_step import CONFIGS, changed, now, step_parser
from duskbench.pipeline.allocator import keep_freed_memory
from duskbench.pipeline.mmdet_config import load_config
from duskbench.pipeline.training.enhancer import PerNetworkOptimizers, prepare


def main() -> None:
    """Print the table."""
    parser = step_parser(__doc__, methods="names of configs/training")
    parser.set_defaults(ema=None, channels_last=None, compile=None)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    clock = time.process_time if device == "cpu" and arguments.threads == 1 else (lambda: now(device))
    print(f"{'':20}{'plain, ms':>12}{'compiled, ms':>14}{'ratio':>8}{'first, s':>10}")
    for method in arguments.methods:
        steps = [_step(method, arguments, device, compiled=compiled) for compiled in (False, True)]
        steps[0]()
        start = time.perf_counter()
        steps[1]()
        first = time.perf_counter() - start
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(1 + arguments.rounds):
            for step, found in zip(steps, seconds, strict=True):
                start = clock()
                step()
                found.append(clock() - start)
        plain, fast = (each[1:] for each in seconds)
        ratio = statistics.median(one / other for one, other in zip(fast, plain, strict=True))
        medians = [statistics.median(each) * 1e3 for each in (plain, fast)]
        print(f"{method:20}{medians[0]:12.0f}{medians[1]:14.0f}{ratio:8.3f}{first:10.0f}")


def _step(method: str, arguments: argparse.Namespace, device: str, *, compiled: bool) -> Callable[[], object]:
    """One training step of a method, as a call."""
    with tempfile.TemporaryDirectory() as folder:
        config = prepare(changed(load_config(CONFIGS / f"{method}.py"), arguments, Path(folder)))
    torch.manual_seed(0)
    model = MODELS.build(config.model).train().to(device)
    if compiled:
        model.compile_networks()
    wrappers = {name: each for name, each in config.optim_wrapper.items() if name != "constructor"}
    optimizers = PerNetworkOptimizers(wrappers)(model)
    draw, shape = torch.Generator().manual_seed(1), (arguments.batch, 3, arguments.size, arguments.size)
    pictures = {name: torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8) for name in ("low", "normal")}
    batch = {**pictures, "seed": torch.arange(arguments.batch)}
    return lambda: model.train_step(batch, optimizers)


if __name__ == "__main__":
    main()
