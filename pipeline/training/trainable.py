"""The base of every enhancer that trains: one step on an unpaired batch, and what of it is kept afterwards."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from mmengine import dist
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.networks.sync_batch_norm import synchronise_batch_norm

Batch = Mapping[str, Tensor]


def unwrapped(model: nn.Module) -> Any:
    """The model without what mmengine wraps around it for several processes."""
    return getattr(model, "module", model)


class UnpairedPreprocessor(BaseDataPreprocessor):
    """Move a batch to the model's device; pictures become float32 in [0, 1].

    Attributes:
        memory_format: Layout of the pictures, which convolutions then keep.
    """

    memory_format: torch.memory_format = torch.contiguous_format

    def forward(self, data: Mapping[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        """Prepare a batch.

        Args:
            data: Name -> tensor; (N, 3, H, W) uint8 ones are pictures, others pass as they are.
            training: Of no effect.

        Returns:
            The same names, on the device.
        """
        moved = self.cast_data(dict(data))
        return {name: self._picture(value) if value.dtype == torch.uint8 else value for name, value in moved.items()}

    def _picture(self, value: Tensor) -> Tensor:
        return value.to(torch.float32, memory_format=self.memory_format).div_(255)


class TrainableEnhancer(BaseModel):
    """A method: its networks as attributes, one optimisation step, and the network that enhances in the end.

    Randomness inside a step comes from the batch's `seed` alone, state beyond parameters is in buffers. So a
    resumed run has the same losses, and several processes compute what one computes on the same global batch.

    Args:
        generator: Configuration of the network that enhances. Building it is up to the method: `self.generator`, unless
            `exported` names another.

    Attributes:
        compiled: What `compile_networks` compiles: dotted names of networks, or of their methods. A compiled network
            computes the gradients of all its weights whenever it computes one, so discriminators are not among them.
    """

    data_preprocessor: UnpairedPreprocessor
    generator: nn.Module
    compiled: ClassVar[tuple[str, ...]] = ()

    def __init__(self, generator: Mapping[str, Any]) -> None:
        super().__init__(data_preprocessor=UnpairedPreprocessor())
        self.generator_config = dict(generator)

    @abstractmethod
    def step(self, batch: Batch, optimizers: OptimWrapperDict) -> dict[str, Tensor]:
        """Optimise every network once.

        Args:
            batch: `low` and `normal`, (N, 3, H, W) float32 RGB in [0, 1], and `seed`, (N,) int64, a function of the
                run's seed and the sample's number alone.
            optimizers: One for each network's attribute name.

        Returns:
            Losses for the log, scalars.
        """

    @abstractmethod
    def enhance(self, low: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same; for sample grids."""

    @property
    def exported(self) -> tuple[nn.Module, Mapping[str, Any]]:
        """The network that enhances, and the configuration that rebuilds it."""
        return self.generator, self.generator_config

    @property
    def exported_prefix(self) -> str:
        """What the keys of the network that enhances begin with in a checkpoint."""
        network, _ = self.exported
        return next(f"{name}." for name, module in self.named_modules() if module is network)

    def to(self, *args: Any, **kwargs: Any) -> nn.Module:
        """See torch; pictures take the layout that the weights get."""
        if "memory_format" in kwargs:
            self.data_preprocessor.memory_format = kwargs["memory_format"]
        return super().to(*args, **kwargs)

    def train_step(self, data: Any, optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        """Run one step; the losses returned are means over all processes."""
        losses = self.step(self.data_preprocessor(data), optim_wrapper)
        names = list(losses)
        values = torch.stack([losses[name].detach().float() for name in names])
        dist.all_reduce(values, op="mean")
        return dict(zip(names, values, strict=True))

    def compile_networks(self) -> None:
        """Have torch.compile translate what `compiled` names, each at its first use; weights and their keys stay.

        Raises:
            ConfigError: Nothing of this method is compiled.
        """
        if not self.compiled:
            raise ConfigError(
                "This method's networks are not compiled.",
                where="compile",
                expected="compile=False",
                got=f"compile=True with {type(self).__name__}",
            )
        for name in self.compiled:
            owner, _, last = name.rpartition(".")
            network = self.get_submodule(owner)
            part = getattr(network, last)
            if isinstance(part, nn.Module):
                part.compile()
            else:
                setattr(network, last, torch.compile(part))

    def descend(self, optimizer: OptimWrapper, loss: Tensor, *others: OptimWrapper) -> None:
        """One step of one optimizer, or of several, down a loss; gradients are averaged over the processes.

        Networks of other optimizers get no gradient, and none is computed for them.
        """
        together = (optimizer, *others)
        weights = [p for each in together for group in each.param_groups for p in group["params"] if p.requires_grad]
        for each in together:
            each.zero_grad()
        optimizer.backward(optimizer.scale_loss(loss), inputs=weights)
        if dist.get_world_size() > 1:
            gradients = [p.grad for p in weights if p.grad is not None]
            dist.all_reduce_params(gradients, coalesce=True, op="mean")
        for each in together:
            each.step()

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = "tensor") -> Tensor:
        """Enhance; the form that mmengine asks of a model."""
        return self.enhance(inputs)


class SharedGradients(nn.Module):
    """Stands for `DistributedDataParallel` around a `TrainableEnhancer`, which averages its gradients itself.

    A GAN calls its networks several times, some of them frozen, between two optimizer steps, which is what
    DistributedDataParallel's bookkeeping does not allow. Here every process starts from the first one's weights, batch
    statistics are those of the global batch, and `descend` averages what is about to be applied.
    """

    module: TrainableEnhancer

    def __init__(self, module: TrainableEnhancer, **_: Any) -> None:
        super().__init__()
        synchronise_batch_norm(module)
        self.module = module
        for tensor in (*module.parameters(), *module.buffers()):
            dist.broadcast(tensor.data)

    def train_step(self, data: Any, optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        """See `TrainableEnhancer.train_step`."""
        return self.module.train_step(data, optim_wrapper)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """See `TrainableEnhancer.forward`."""
        return self.module(*args, **kwargs)
