"""What an enhancer costs apart from time: parameters, arithmetic and memory, each of one picture of 640x480.

`python -m duskbench.benchmarks.costs SPEC DEVICE` measures in a process of its own, so that nothing that ran before
counts, and prints JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from duskbench.data_tools.errors import DuskbenchError, EnhancerError
from duskbench.pipeline.allocator import give_back_freed_memory
from duskbench.pipeline.enhancers.base import Enhancer

WIDTH, HEIGHT = 640, 480
COSTS_NOTE = (
    f"Costs are of one picture of {WIDTH}x{HEIGHT} in a process of its own. Parameters: of the networks, with frozen "
    "extractors. GFLOPs: two for each multiplication with its addition in convolutions, matrix products and attention, "
    "by torch.utils.flop_counter; Fourier transforms, all else, and what overlapping tiles repeat are not counted. "
    "Peak memory (MB, 1e6 bytes): what the picture takes at most beside the loaded enhancer, in its default tiles, "
    "resident on a CPU and allocated on a GPU. A dash: the "
    "enhancer is not a network of duskbench's own, its work is done elsewhere, or the system does not say."
)
# Written to clear_refs it sets VmHWM, the peak, to what is resident now. Source: proc_pid_clear_refs(5).
_RESET_PEAK = "5"


@dataclass(frozen=True)
class Costs:
    """What one picture costs; None where it is not known.

    Attributes:
        parameters: Of the networks.
        gflops: Arithmetic, in 1e9, two for a multiplication with its addition.
        peak_mb: Memory at most, in 1e6 bytes, beside what the loaded enhancer takes.
        error: Why nothing could be measured.
    """

    parameters: int | None = None
    gflops: float | None = None
    peak_mb: float | None = None
    error: str | None = None


def measure_costs(spec: str | dict[str, Any], device: str) -> Costs:
    """Measure an enhancer in a process of its own.

    Args:
        spec: For `load_enhancer`.
        device: Torch device.

    Raises:
        EnhancerError: It cannot be loaded there, fails on the picture, or takes longer than a plug-in may.
    """
    from duskbench.data_tools.host.plugin import seconds_an_image

    command = [sys.executable, "-m", "duskbench.benchmarks.costs", json.dumps(spec, default=str), device]
    limit = seconds_an_image()
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired as error:
        raise EnhancerError(
            "The costs took too long to measure.",
            where=str(spec),
            got=f"more than {limit:g} s",
            todo="give it more time: --time-limit SECONDS",
        ) from error
    if done.returncode:
        said = " ".join(done.stderr.strip().splitlines()[-1:]) or f"exit code {done.returncode}"
        raise EnhancerError("The costs could not be measured.", where=str(spec), got=said)
    return Costs(**json.loads(done.stdout.splitlines()[-1]))


def costs_here(enhancer: Enhancer, device: str) -> Costs:
    """Measure an enhancer in this process."""
    from duskbench.pipeline.enhancers.command import Command
    from duskbench.pipeline.enhancers.folder import Folder

    if isinstance(enhancer, Command | Folder):
        return Costs()
    image = np.random.default_rng(0).integers(0, 64, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    # What compiles, and starts threads, does so before memory is looked at.
    enhancer(image[: HEIGHT // 8, : WIDTH // 8])
    peak = _peak_mb(lambda: enhancer(image), device)
    return Costs(*_of_networks(enhancer, image), peak)


def _of_networks(enhancer: Enhancer, image: np.ndarray) -> tuple[int | None, float | None]:
    """(parameters, GFLOPs) of the networks; None for what is no network of torch."""
    from torch import nn

    from duskbench.pipeline.enhancers.torch_base import TorchEnhancer

    networks = [each for each in vars(enhancer).values() if isinstance(each, nn.Module)]
    if not isinstance(enhancer, TorchEnhancer) or not networks:
        return None, None
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    batch, _ = enhancer.batch_of(image)
    # Tensors without numbers: counting takes no time, and half precision changes nothing.
    with FakeTensorMode(allow_non_fake_inputs=True) as fake, FlopCounterMode(display=False) as counter:
        enhancer.forward(fake.from_tensor(batch))
    parameters = sum(each.numel() for network in networks for each in network.parameters())
    return parameters, counter.get_total_flops() / 1e9


def _peak_mb(call: Callable[[], object], device: str) -> float | None:
    if device.startswith("cuda"):
        import torch

        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    # Blocks that are kept for reuse would hide what the call takes.
    give_back_freed_memory()
    try:
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
    except OSError:
        # Only Linux keeps a peak and resets it.
        return None
    before = _status_bytes("VmRSS")
    call()
    return (_status_bytes("VmHWM") - before) / 1e6


def _status_bytes(key: str) -> int:
    """A size of this process."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    """Print the costs of an enhancer as JSON."""
    from duskbench.pipeline.registry import load_enhancer

    spec, device = json.loads(sys.argv[1]), sys.argv[2]
    try:
        # In this process, which is its own: another one's memory would not be seen.
        costs = costs_here(load_enhancer(spec, device=device, isolate=False), device)
    except DuskbenchError as error:
        sys.exit(error.one_line)
    sys.stdout.write(json.dumps(asdict(costs)))


if __name__ == "__main__":
    main()
