"""Time the torch enhancers against the same networks run plainly, and against the machine's convolution rate.

    python -m duskbench.benchmarks.speed.enhancers --width 600 --height 400 --threads 2

"plain" is one forward pass of the network written as in the official repositories, contiguous, on a ready float
tensor; of ours, for which there is none, the same modules. "ours" is the whole enhancer, uint8 picture in and out.
"floor" is the network's arithmetic at the rate that a 64 -> 64 3x3 convolution reaches in the same run. Weights are
random and the networks of their published widths; that of `guided` is the paper's configuration with the bundled
detector's base instead of VGG-16. The three are measured in turns, because a shared machine drifts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import save_file
from torch import Tensor, nn

from duskbench.benchmarks.speed.convolution import convolution_probe
from duskbench.benchmarks.speed.timing import time_in_turns
from duskbench.pipeline.enhancers.cyclegan import CycleGAN
from duskbench.pipeline.enhancers.enlightengan import EnlightenGAN
from duskbench.pipeline.enhancers.generator import GeneratorEnhancer
from duskbench.pipeline.enhancers.guided import Guided
from duskbench.pipeline.enhancers.retinexnet import RetinexNet
from duskbench.pipeline.enhancers.sci import SCI
from duskbench.pipeline.enhancers.torch_base import TorchEnhancer
from duskbench.pipeline.enhancers.zero_dce import ZeroDCE
from duskbench.pipeline.networks.build import build_network
from duskbench.pipeline.networks.features import frozen_features
from duskbench.pipeline.networks.instance_norm import InstanceNorm2d
from duskbench.pipeline.networks.retinexnet import DecomNet, RelightNet, ReplicateConv2d
from duskbench.pipeline.networks.sci import SCINet
from duskbench.pipeline.networks.zero_dce import DCENet

GENERATORS: dict[str, tuple[type[GeneratorEnhancer], dict[str, Any]]] = {
    "enlightengan": (EnlightenGAN, {"type": "EnlightenGANGenerator"}),
    "cyclegan": (CycleGAN, {"type": "ResnetGenerator"}),
    "guided": (
        Guided,
        {
            "type": "AttentionGuided",
            "generator": {"type": "UNet", "in_channels": 4, "width": 32, "blocks": 8, "norm": "batch"},
            "attention": {
                "type": "FeatureGuidedAttention",
                "features": {"type": "DetectorFeatures"},
                "gamma": 4.0,
            },
        },
    ),
}


class PlainDCENet(DCENet):
    """DCE-Net with every intermediate result kept, as printed."""

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch."""
        x1 = F.relu(self.e_conv1(batch))
        x2 = F.relu(self.e_conv2(x1))
        x3 = F.relu(self.e_conv3(x2))
        x4 = F.relu(self.e_conv4(x3))
        x5 = F.relu(self.e_conv5(torch.cat([x3, x4], 1)))
        x6 = F.relu(self.e_conv6(torch.cat([x2, x5], 1)))
        for alpha in torch.split(torch.tanh(self.e_conv7(torch.cat([x1, x6], 1))), 3, dim=1):
            batch = batch + alpha * (torch.pow(batch, 2) - batch)
        return batch


class PlainRelightNet(RelightNet):
    """Relight-Net with its three levels joined at full size before the fusion layer, as printed."""

    def _fuse(self, quarter: Tensor, half: Tensor, full: Tensor, quarter_index: tuple[Tensor, Tensor] | None) -> Tensor:
        size = full.shape[2:]
        joined = torch.cat([F.interpolate(quarter, size=size), F.interpolate(half, size=size), full], 1)
        return self.net2_output(self.net2_fusion(F.pad(joined, (1, 1, 1, 1), mode="replicate")))


class PlainRetinexNet(nn.Module):
    """Both networks of Retinex-Net and their product."""

    def __init__(self) -> None:
        super().__init__()
        self.decom, self.relight = DecomNet(), PlainRelightNet()
        for network in (self.decom, self.relight):
            for name, layer in list(network.named_modules()):
                if isinstance(layer, ReplicateConv2d):
                    network.set_submodule(name, _padding_copy(layer))

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch."""
        reflectance, illumination = self.decom(batch)
        return reflectance * self.relight(illumination, reflectance)


def _padding_copy(layer: ReplicateConv2d) -> nn.Conv2d:
    plain = nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size[0],
        stride=layer.stride[0],
        padding=layer.kernel_size[0] // 2,
        padding_mode="replicate",
    )
    plain.load_state_dict(layer.state_dict())
    return plain


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=600)
    parser.add_argument("--height", type=int, default=400)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="+", default=None, metavar="NAME", help="enhancers to time; all by default")
    parser.add_argument("--tile-pixels", type=int, default=None, help="of every enhancer, instead of its default")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    image = np.random.default_rng(0).integers(0, 256, (arguments.height, arguments.width, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        cases = build_cases(Path(folder), arguments.tile_pixels)
    print(f"{arguments.width}x{arguments.height}, {arguments.threads} threads, median of {arguments.rounds} rounds")
    print(f"{'':12}{'plain ms':>10}{'ours ms':>10}{'ours/plain':>12}{'GFLOP/s':>10}{'floor ms':>10}{'ours/floor':>12}")
    for name, (plain, ours) in cases.items():
        if arguments.only and name not in arguments.only:
            continue
        print_row(name, plain, ours, image, arguments.rounds)


def build_cases(folder: Path, tile_pixels: int | None) -> dict[str, tuple[nn.Module, TorchEnhancer]]:
    """Pair each enhancer with its plain network, both with the same random weights."""
    torch.manual_seed(0)
    dce, sci, retinex = PlainDCENet().eval(), SCINet().eval(), PlainRetinexNet().eval()
    networks = {"dce": dce, "sci": sci, "decom": retinex.decom, "relight": retinex.relight}
    paths = {name: folder / f"{name}.pt" for name in networks}
    for name, network in networks.items():
        torch.save(network.state_dict(), paths[name])
    return {
        "zero_dce": (dce, ZeroDCE(paths["dce"], tile_pixels=tile_pixels)),
        "retinexnet": (retinex, RetinexNet(paths["decom"], paths["relight"], tile_pixels=tile_pixels)),
        "sci": (sci, SCI("medium", paths["sci"], tile_pixels=tile_pixels)),
        **{name: build_generator(name, folder, tile_pixels) for name in GENERATORS},
    }


def build_generator(name: str, folder: Path, tile_pixels: int | None) -> tuple[nn.Module, TorchEnhancer]:
    """Pair a trained generator's enhancer with its plain network, both with the same random weights."""
    enhancer, config = GENERATORS[name]
    plain = build_network(config).eval()
    extractors = tuple(f"{key}." for key in frozen_features(plain))
    state = {key: value.contiguous() for key, value in plain.state_dict().items() if not key.startswith(extractors)}
    path = folder / f"{name}.safetensors"
    save_file(state, path, metadata={"network": json.dumps(config)})
    for key, layer in list(plain.named_modules()):
        if isinstance(layer, InstanceNorm2d):
            plain.set_submodule(key, nn.InstanceNorm2d(layer.num_features))
    return plain, enhancer(path, tile_pixels=tile_pixels)


def print_row(name: str, plain: nn.Module, ours: TorchEnhancer, image: np.ndarray, rounds: int) -> None:
    """Measure one enhancer, its plain network and the machine in turns, and print the medians."""
    # What the enhancer pads to is what a network with a stride is given in its official code too.
    padded = np.pad(image, [*((0, -side % ours.stride) for side in image.shape[:2]), (0, 0)])
    batch = torch.from_numpy(padded).permute(2, 0, 1)[None].contiguous().float() / 255
    probe, probe_gflop = convolution_probe("cpu")
    calls: dict[str, Callable[[], object]] = {
        "plain": lambda: plain(batch),
        "ours": lambda: ours(image),
        "probe": probe,
    }
    with torch.no_grad():
        seconds = [statistics.median(times.wall) for times in time_in_turns(calls, rounds).values()]
        gflop = count_gflop(plain, batch)
    rate = probe_gflop / seconds[2]
    floor = gflop / rate
    print(
        f"{name:12}{seconds[0] * 1e3:10.1f}{seconds[1] * 1e3:10.1f}{seconds[1] / seconds[0]:12.2f}"
        f"{rate:10.0f}{floor * 1e3:10.1f}{seconds[1] / floor:12.2f}"
    )


def count_gflop(network: nn.Module, batch: Tensor) -> float:
    """Arithmetic of one forward pass, two for a multiplication with its addition."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter:
        network(batch)
    return counter.get_total_flops() / 1e9


if __name__ == "__main__":
    main()
