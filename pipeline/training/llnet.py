"""Training of LLNet: layer by layer on clean patches first, then the whole stack on darkened ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.optim import OptimWrapperDict
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.pipeline.network_weights import load_file
from duskbench.pipeline.networks.llnet import PATCH, LLNet
from duskbench.pipeline.training.random_patches import draw_patches, random_patches
from duskbench.pipeline.training.trainable import Batch, TrainableEnhancer

WEIGHT_DECAY = 0.5e-5
SPARSITY, SPARSITY_WEIGHT = 0.2, 0.01
CORRUPTION = 0.1
# Of the synthetic darkening: exponents, and the most noise, in grey levels of 255.
GAMMA = (2.0, 5.0)
NOISE = 25.0
DARKENING, CORRUPTING = 2, 3


class LLNetStage(TrainableEnhancer):
    """What both stages share: patches out of crops of normal-light pictures.

    Args:
        generator: Configuration of an `LLNet`.
        patches: Patches taken out of each crop.
    """

    generator: LLNet

    def __init__(self, generator: Mapping[str, Any], patches: int = 10) -> None:
        super().__init__(generator)
        self.generator = MODELS.build(dict(generator))
        self.generator.initialise()
        self.patches = patches

    def _cut(self, batch: Batch) -> Tensor:
        """(M, 867) clean patches."""
        normal = batch["normal"]
        corners = draw_patches(batch["seed"].tolist(), self.patches, PATCH, (normal.shape[2], normal.shape[3]))
        return random_patches(normal, corners, PATCH).flatten(1)

    def enhance(self, low: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same."""
        return self.generator(low)


@MODELS.register_module("LLNetPretraining")
class LLNetPretraining(LLNetStage):
    """Stage one: each layer of the encoder learns to restore its own corrupted input, with the transposed weights.

    The layers are trained one after the other, on clean patches through the layers below. The decoder takes over the
    transposed weights and the biases learned for the way back.

    Args:
        generator: Configuration of an `LLNet`.
        patches: Patches taken out of each crop.
        steps_a_layer: Steps after which the next layer is trained; the last one goes on to the end.

    Source: Lore et al. 2017, section 3; kglore/llnet_color @ 1d45245, dA.py and llnet.py.
    """

    done: Tensor

    def __init__(self, generator: Mapping[str, Any], patches: int = 10, steps_a_layer: int = 1000) -> None:
        super().__init__(generator, patches)
        self.steps_a_layer = steps_a_layer
        self.register_buffer("done", torch.zeros((), dtype=torch.int64), persistent=True)
        for layer in self.generator.layers[self.depth :]:
            nn.init.zeros_(cast(nn.Linear, layer).weight)

    @property
    def depth(self) -> int:
        """Layers of the encoder."""
        return len(self.generator.layers) // 2

    def step(self, batch: Batch, optimizers: OptimWrapperDict) -> dict[str, Tensor]:
        """Optimise one layer once; see `TrainableEnhancer.step`."""
        number = min(int(self.done) // self.steps_a_layer, self.depth - 1)
        layers = [cast(nn.Linear, layer) for layer in self.generator.layers]
        with optimizers["generator"].optim_context(self):
            with torch.no_grad():
                clean = self._cut(batch)
                for layer in layers[:number]:
                    clean = torch.sigmoid(layer(clean))
                noise = _normal(clean.shape, batch["seed"].tolist(), CORRUPTING, clean)
                corrupted = (clean + CORRUPTION * noise).clamp(0, 1)
            losses = pretraining_losses(layers[number], layers[-1 - number].bias, clean, corrupted)
        total = torch.stack(list(losses.values())).sum()
        self.descend(optimizers["generator"], total)
        with torch.no_grad():
            layers[-1 - number].weight.copy_(layers[number].weight.T)
            self.done += 1
        return {"loss": total, **losses}


def pretraining_losses(layer: nn.Linear, visible_bias: Tensor, clean: Tensor, corrupted: Tensor) -> dict[str, Tensor]:
    """Error, sparsity and weights of a layer as a denoising auto-encoder; sums over the batch of (M, D) inputs.

    Source: kglore/llnet_color, dA.py, get_cost_updates.
    """
    hidden = torch.sigmoid(layer(corrupted))
    restored = torch.sigmoid(F.linear(hidden, layer.weight.T, visible_bias))
    mean = hidden.mean(0, dtype=clean.dtype)
    divergence = SPARSITY * torch.log(SPARSITY / mean) + (1 - SPARSITY) * torch.log((1 - SPARSITY) / (1 - mean))
    return {
        "loss_restored": (restored - clean).square().sum(0).mean(),
        "loss_sparsity": SPARSITY_WEIGHT * divergence.sum(),
        # Of the weights both ways.
        "loss_weights": WEIGHT_DECAY * 2 * layer.weight.square().sum(),
    }


@MODELS.register_module("LLNetFinetuning")
class LLNetFinetuning(LLNetStage):
    """Stage two: the whole stack, from darkened patches with noise to the clean ones.

    Args:
        generator: Configuration of an `LLNet`.
        patches: Patches taken out of each crop.
        pretrained: What stage one exported, or a checkpoint of it; None starts from random weights.

    Source: Lore et al. 2017, section 4.1; kglore/llnet_color @ 1d45245, llnet.py.
    """

    def __init__(self, generator: Mapping[str, Any], patches: int = 10, pretrained: str | Path | None = None) -> None:
        super().__init__(generator, patches)
        if pretrained is not None:
            load_file(self.generator, pretrained)

    def step(self, batch: Batch, optimizers: OptimWrapperDict) -> dict[str, Tensor]:
        """Optimise the stack once; see `TrainableEnhancer.step`."""
        clean = self._cut(batch)
        dark = darkened(clean, batch["seed"].tolist())
        with optimizers["generator"].optim_context(self):
            losses = finetuning_losses(self.generator, dark, clean)
        total = torch.stack(list(losses.values())).sum()
        self.descend(optimizers["generator"], total)
        return {"loss": total, **losses}


def finetuning_losses(network: LLNet, dark: Tensor, clean: Tensor) -> dict[str, Tensor]:
    """Summed squared error of a patch, and the weights of all layers but the last; patches are (M, 867)."""
    error = (network.patches(dark) - clean).square().sum(1).mean()
    hidden = [cast(nn.Linear, layer).weight.square().sum() for layer in network.layers[:-1]]
    return {"loss_error": error, "loss_weights": WEIGHT_DECAY * torch.stack(hidden).sum()}


def darkened(clean: Tensor, seeds: Sequence[int]) -> Tensor:
    """Darken patches, (M, 867) in [0, 1], M a multiple of the number of seeds, each by its own exponent and noise.

    Source: Lore et al. 2017, section 4.1.
    """
    each = len(clean) // len(seeds)
    draws = np.concatenate([np.random.default_rng([seed, DARKENING]).random((each, 2)) for seed in seeds])
    gamma = torch.tensor(GAMMA[0] + (GAMMA[1] - GAMMA[0]) * draws[:, :1], dtype=clean.dtype, device=clean.device)
    deviation = torch.tensor(np.sqrt(draws[:, 1:]) * NOISE / 255, dtype=clean.dtype, device=clean.device)
    return (clean**gamma + deviation * _normal(clean.shape, seeds, DARKENING, clean)).clamp(0, 1)


def _normal(shape: Sequence[int], seeds: Sequence[int], stream: int, like: Tensor) -> Tensor:
    """Normal values, for each seed its own rows."""
    each = shape[0] // len(seeds)
    draws = [np.random.default_rng([seed, stream, 1]).standard_normal((each, shape[1]), np.float32) for seed in seeds]
    return torch.from_numpy(np.concatenate(draws)).to(like)
