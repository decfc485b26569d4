"""The 3x3 convolution that tells what a device can do."""

from __future__ import annotations

from collections.abc import Callable

# Two cores or a GPU reach their rate with 64 channels, the usual width of the networks here.
_CHANNELS, _SIDE = 64, 256


def convolution_probe(device: str) -> tuple[Callable[[], object], float]:
    """A 64 -> 64 convolution of a 256 x 256 map: a call that waits for it, and its billions of operations.

    A multiply-add counts twice, as in torch's FLOP counter.
    """
    import torch

    layer = torch.nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1, bias=False)
    layer = layer.to(device).to(memory_format=torch.channels_last)
    batch = torch.rand(1, _CHANNELS, _SIDE, _SIDE, device=device).contiguous(memory_format=torch.channels_last)

    def convolve() -> None:
        with torch.inference_mode():
            layer(batch)
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)

    return convolve, 2 * 9 * _CHANNELS**2 * _SIDE**2 / 1e9
