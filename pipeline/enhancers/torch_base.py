"""The base of enhancers that are torch networks: batches, padding, tiles, devices and the checks of what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError, EnhancerError
from duskbench.data_tools.fingerprint import fingerprint
from duskbench.data_tools.settings import is_whole
from duskbench.pipeline.device import torch_device
from duskbench.pipeline.enhancers.base import Enhancer
from duskbench.pipeline.enhancers.padding import pad_to_multiple
from duskbench.pipeline.enhancers.tiling import Tile, plan_tiles

if TYPE_CHECKING:
    from duskbench.pipeline.weight_catalogue import WeightFile

Network = TypeVar("Network", bound=nn.Module)


class TorchEnhancer(Enhancer):
    """An enhancer whose work is a torch network on batches.

    A subclass passes its networks through `prepare`, implements `forward` and sets the class attributes. The base
    converts to (1, 3, H, W) float32 in [0, 1] on the device, pads and crops back, tiles, and rounds to uint8.

    Args:
        device: Where the networks run: "cpu", "cuda", "cuda:1". Not part of the fingerprint.
        amp: Half precision on a GPU. Part of the fingerprint when on, because it moves pixels.
        tile_pixels: Most pixels in one pass; None takes the class's value for the kind of device. Not part of the
            fingerprint, because tiles agree with the whole picture to rounding.
        **arguments: Everything that changes the result, for the fingerprint.

    Raises:
        ConfigError: The device does not exist, or `amp` is asked of a CPU, or `tile_pixels` is not positive.

    Attributes:
        stride: Total down-sampling of the network. Tiles start at multiples of it.
        margin: Pixels that are added on each side, by reflection, and taken off again: what a network makes of the
            zeros around a picture then falls outside it.
        pads_to_stride: Pad to a multiple of `stride` before the network; False for one that takes any size itself.
        overlap: Pixels on each side of a result pixel that it may depend on: half the receptive field, rounded up. None
            for a network that must see the whole picture; such a one is never tiled.
        memory_format: Layout of weights and batches; channels last is the faster one for wide convolutions.
        cpu_tile_pixels: Default of `tile_pixels` on a CPU.
        gpu_tile_pixels: Default of `tile_pixels` on a GPU.
        files: Published weight files that it can use, by what each is for.
    """

    stride: ClassVar[int] = 1
    margin: ClassVar[int] = 0
    pads_to_stride: ClassVar[bool] = True
    overlap: ClassVar[int | None] = None
    memory_format: ClassVar[torch.memory_format] = torch.channels_last
    cpu_tile_pixels: ClassVar[int] = 2**20
    gpu_tile_pixels: ClassVar[int] = 2**22
    files: ClassVar[Mapping[str, WeightFile]] = {}

    def __init__(
        self, *, device: str | torch.device = "cpu", amp: bool = False, tile_pixels: int | None = None, **arguments: Any
    ) -> None:
        super().__init__(**arguments, **({"amp": True} if amp else {}))
        self.device, self.amp = torch_device(device), amp
        on_cpu = self.device.type == "cpu"
        if amp and on_cpu:
            raise ConfigError(
                "Half precision (amp) is for a GPU.",
                where=type(self).__name__,
                expected="device='cuda' with amp=True",
                got=f"device={str(self.device)!r}",
                todo="leave amp off on a CPU: bfloat16 there is off by several grey levels",
            )
        if tile_pixels is not None and not is_whole(tile_pixels, 1):
            raise ConfigError(
                "tile_pixels is no number of pixels.",
                where=type(self).__name__,
                expected="a whole number from 1",
                got=repr(tile_pixels),
            )
        self.tile_pixels = tile_pixels or (self.cpu_tile_pixels if on_cpu else self.gpu_tile_pixels)
        self._network_types: list[type[nn.Module]] = []

    def prepare(self, network: Network) -> Network:
        """Make a network ready: on the device, in the memory format, in evaluation mode, without gradients.

        One whose normalisation sees the whole picture is not tiled.
        """
        self._network_types.append(type(network))
        if any(isinstance(module, nn.InstanceNorm2d) for module in network.modules()):
            self.overlap = None  # type: ignore[misc]
        network.requires_grad_(False).eval().to(self.device)
        # `Module.to` would ask it of tensors of five dimensions too, which raises for all but those that stay put.
        return network._apply(lambda each: each.to(memory_format=self.memory_format) if each.dim() == 4 else each)

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same; values outside are clipped afterwards."""
        raise NotImplementedError

    def forward_tile(self, batch: Tensor, tile: Tile) -> Tensor:
        """Enhance one window, (1, 3, H, W) to the same; for networks that need to know where in the picture it lies."""
        return self.forward(batch)

    def enhance(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        """Enhance one image, whole or in tiles; see `Enhancer.__call__`.

        Raises:
            EnhancerError: The network returned another shape, an integer type, NaN or infinity, or ran out of memory.
        """
        height, width = image_rgb.shape[:2]
        padded, top, left = self._padded(image_rgb)
        whole = self.overlap is None
        tiles = plan_tiles(
            *padded.shape[:2],
            pixels=padded.size if whole else self.tile_pixels,
            overlap=self.overlap or 0,
            stride=self.stride,
        )
        result = np.empty_like(padded, order="C")
        with self._inference():
            for tile in tiles:
                result[tile.core] = self._enhance_tile(padded[tile.window], tile, image_id)
        return result[top : top + height, left : left + width]

    def _padded(self, image_rgb: np.ndarray) -> tuple[np.ndarray, int, int]:
        return pad_to_multiple(image_rgb, self.stride if self.pads_to_stride else 1, self.margin)

    def batch_of(self, image_rgb: np.ndarray) -> tuple[Tensor, tuple[slice, slice]]:
        """Make of a whole image what the network is given.

        Args:
            image_rgb: (H, W, 3) uint8.

        Returns:
            (1, 3, H', W') float32 RGB in [0, 1], padded, on the device; and the rows and columns that are the image.
        """
        height, width = image_rgb.shape[:2]
        padded, top, left = self._padded(image_rgb)
        return self._batch(padded), (slice(top, top + height), slice(left, left + width))

    @property
    def fingerprint(self) -> str:
        """Hash of the enhancer, its networks' code, arguments and weights; keys every stored result."""
        code = [fingerprint(of, {}) for of in (TorchEnhancer, *self._network_types)]
        return fingerprint(type(self), {**self.arguments, "networks": code}, self.weights)

    def _batch(self, pixels: np.ndarray) -> Tensor:
        # A copy, because torch takes neither negative strides nor read-only memory.
        moved = torch.from_numpy(np.array(pixels, order="C")).to(self.device)
        return moved.permute(2, 0, 1)[None].to(torch.float32, memory_format=self.memory_format).div_(255)

    def _enhance_tile(self, window: np.ndarray, tile: Tile, image_id: str | None) -> np.ndarray:
        batch = self._batch(window)
        try:
            output = self.forward_tile(batch, tile)
        except torch.OutOfMemoryError as error:
            raise EnhancerError(
                f"Enhancer {self.name!r} ran out of memory on {self.device}.",
                where=image_id,
                got=f"a window of {window.shape[0]} x {window.shape[1]} pixels",
                todo=f"give a tile_pixels below {self.tile_pixels}"
                if self.overlap is not None
                else "enhance on the CPU: this network must see the whole picture at once",
            ) from error
        self._check(output, batch.shape, image_id)
        kept = output[0][(slice(None), *tile.core_in_window)].float()
        # The sum is one pass, and not finite if a value is not; the exact check is three.
        if not torch.isfinite(kept.sum()) and not torch.isfinite(kept).all():
            raise EnhancerError(
                f"Enhancer {self.name!r} returned NaN or infinity.",
                where=image_id,
                expected="finite float values, [0, 1] for black to white",
                got=f"{int((~torch.isfinite(kept)).sum())} of {kept.numel()} values not finite",
                todo="check the weights; with amp, run without it",
            )
        return kept.mul(255).round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()

    def _check(self, output: object, shape: torch.Size, image_id: str | None) -> None:
        if isinstance(output, Tensor) and output.shape == shape and output.is_floating_point():
            return
        got = f"{tuple(output.shape)} {output.dtype}" if isinstance(output, Tensor) else type(output).__name__
        raise EnhancerError(
            f"Enhancer {self.name!r} broke its contract.",
            where=image_id,
            expected=f"a float tensor {tuple(shape)} from forward",
            got=got,
        )

    @contextmanager
    def _inference(self) -> Iterator[None]:
        if self.device.type != "cuda":
            with torch.inference_mode():
                yield
            return
        # TF32 keeps ten bits: a GPU's rows in a table would differ from a CPU's by more than rounding.
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        with torch.inference_mode(), exact, torch.autocast("cuda", torch.float16, enabled=self.amp):
            yield


def count_parameters(*networks: Callable[[], nn.Module]) -> int:
    """Parameters of networks that are built without memory for them; running statistics are none."""
    with torch.device("meta"):
        return sum(each.numel() for network in networks for each in network().parameters())
