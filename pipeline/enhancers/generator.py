"""The base of enhancers that are trained generators: shipped with duskbench, trained by its commands, or published."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from duskbench.data_tools.errors import WeightsError
from duskbench.data_tools.files import file_sha256
from duskbench.pipeline.enhancers.torch_base import TorchEnhancer
from duskbench.pipeline.network_weights import StoredWeights, load_into
from duskbench.pipeline.weights import PRETRAINED, bundled, find_trained


class GeneratorEnhancer(TorchEnhancer):
    """A generator and its weights.

    Args:
        weights: A file that `duskbench train --export` wrote, a checkpoint of `duskbench train`, or a file that the
            method's authors published. None takes
            `<default_weights>.safetensors` of `$DUSKBENCH_WEIGHTS`, where training on your own data puts it, and else
            the one that ships.
        device: See `TorchEnhancer`.
        amp: See `TorchEnhancer`.
        tile_pixels: See `TorchEnhancer`.

    Raises:
        WeightsError: The file is missing, does not fit, or needs a feature extractor other than the one there is.

    Attributes:
        default_weights: Name of the weights.
        published_network: Configuration of the network in files that do not say it themselves.
    """

    default_weights: ClassVar[str]
    published_network: ClassVar[Mapping[str, Any] | None] = None

    def __init__(
        self,
        weights: str | Path | None = None,
        device: str | torch.device = "cpu",
        *,
        amp: bool = False,
        tile_pixels: int | None = None,
    ) -> None:
        super().__init__(device=device, amp=amp, tile_pixels=tile_pixels)
        path = self.find(weights)
        network, extractors = self._build(path)
        self.weights = {self.default_weights: file_sha256(path), **extractors}
        self.network: nn.Module = self.prepare(network)
        self.origin = str(path)
        if path.parent == PRETRAINED:
            self.origin = "small ones that ship with duskbench (cards in pipeline/pretrained)"

    @classmethod
    def ships(cls) -> bool:
        """Whether duskbench has weights of its own for it."""
        return (PRETRAINED / f"{cls.default_weights}.safetensors").is_file()

    def find(self, weights: str | Path | None) -> Path:
        """The weight file that an argument names; see the class."""
        return find_trained(self.default_weights, weights)

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Bring the keys of a published file into the network's form; none to change here."""
        return state

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same."""
        return self.network(batch)

    def _build(self, path: Path) -> tuple[nn.Module, dict[str, str]]:
        from duskbench.pipeline.networks.build import build_network
        from duskbench.pipeline.networks.features import frozen_features

        stored = StoredWeights.read(path)
        described = stored.described
        adapt: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict
        if "network" in described:
            config = json.loads(described["network"])
        elif self.published_network is not None:
            config, adapt = self.published_network, self.published_state
        else:
            raise WeightsError(
                "The weight file does not say which network it is for.",
                where=path,
                expected="a file that `duskbench train configs/training/... --export` wrote",
                got="no configuration in its metadata",
            )
        network = build_network(config, where=path)
        extractors = frozen_features(network)
        for name, trained_with in json.loads(described.get("features", "{}")).items():
            if extractors.get(name) != trained_with:
                raise WeightsError(
                    "The feature extractor is not the one that these weights were trained with.",
                    where=path,
                    expected=f"{name} with sha256 {trained_with[:12]}",
                    got=extractors[name][:12] if name in extractors else "no such extractor",
                    todo="take the extractor's weights of the training, or train again",
                )
        ignore = tuple(f"{name}." for name in extractors)
        load_into(network, stored.tensors_of(network, adapt=adapt, ignore=ignore), where=path, ignore=ignore)
        return network, {f"features of {name}": sha256 for name, sha256 in extractors.items()}

    @classmethod
    def parameters(cls) -> int | None:
        """Parameters of the network that ships, its extractor included; None where none ships."""
        if not cls.ships():
            return None
        return sum(each.numel() for each in cls(bundled(cls.default_weights)).network.parameters())
