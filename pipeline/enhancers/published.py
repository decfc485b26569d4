"""The base of enhancers that are one network with weights that its authors published."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from duskbench.data_tools.errors import UnknownNameError
from duskbench.data_tools.files import file_sha256
from duskbench.pipeline.enhancers.torch_base import TorchEnhancer, count_parameters
from duskbench.pipeline.network_weights import load_file
from duskbench.pipeline.weight_catalogue import WeightFile
from duskbench.pipeline.weights import find_weights


class PublishedEnhancer(TorchEnhancer):
    """A network and the weights that its authors published, which are fetched on request and never shipped.

    A subclass sets `paper`, `network_class` and `files`, and what `TorchEnhancer` must know of the network; the network
    has the keys of the authors' files, or `published_state` brings them into its form.

    Args:
        variant: Which of the authors' weights, a key of `files`; None for the first.
        weights: Path of a file with the same keys, used instead of the variant's; None looks that one up by name.
        device: See `TorchEnhancer`.
        amp: See `TorchEnhancer`.
        tile_pixels: See `TorchEnhancer`.

    Raises:
        UnknownNameError: There is no such variant.
        WeightsError: The file is missing or does not fit.

    Attributes:
        network_class: Builds the network, without arguments.
    """

    network_class: ClassVar[type[nn.Module]]
    files: ClassVar[Mapping[str, WeightFile]]

    def __init__(
        self,
        variant: str | None = None,
        weights: str | Path | None = None,
        device: str | torch.device = "cpu",
        *,
        amp: bool = False,
        tile_pixels: int | None = None,
    ) -> None:
        variant = next(iter(self.files)) if variant is None else str(variant)
        if variant not in self.files:
            raise UnknownNameError("variant", variant, self.files, where=self.name)
        super().__init__(device=device, amp=amp, tile_pixels=tile_pixels, variant=variant)
        self.variant, file = variant, self.files[variant]
        path = find_weights(file, weights)
        network = self.network_class()
        load_file(network, path, adapt=self.published_state)
        self.weights = {file.name: file_sha256(path)}
        self.network = self.prepare(network)
        self.origin = f"{file.name} of its authors ({file.licence})" if weights is None else str(path)

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Bring the keys of the authors' file into the network's form; none to change here."""
        return state

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same."""
        return self.network(batch)

    @classmethod
    def parameters(cls) -> int | None:
        """Parameters of the network."""
        return count_parameters(cls.network_class)
