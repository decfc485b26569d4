"""Enhancers of your own, in one file: three ways, from the shortest to the most comfortable."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from duskbench.pipeline.enhancers.torch_base import TorchEnhancer

# duskbench run miniature --enhancer input --enhancer "examples/my_enhancer.py:brighten(gain=3.0)"
# duskbench run miniature --enhancer input --enhancer examples/my_enhancer.py:Curve
# duskbench run miniature --enhancer input --enhancer "examples/my_enhancer.py:TinyNetwork(strength=0.6)"


# 1. A function: (H, W, 3) uint8 RGB in, the same out. Leave the input as it is and return a new array.
#    Its further arguments can be given on the command line: "my_enhancer.py:brighten(gain=3.0)".
def brighten(image_rgb: np.ndarray, gain: float = 2.0) -> np.ndarray:
    """Multiply, and clip what becomes too bright."""
    return np.clip(np.rint(image_rgb * gain), 0, 255).astype(np.uint8)


# 2. A class, where something is made once and used for every image: here a table of 256 values.
class Curve:
    """Lifts the shadows by a power of the brightness."""

    def __init__(self, gamma: float = 0.5) -> None:
        self.table = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)

    def __call__(self, image_rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB to the same."""
        return self.table[image_rgb]


# 3. A network. `forward` gets (1, 3, H, W) float32 RGB in [0, 1] and returns the same; everything else is done by the
#    base class: uint8 and back, padding to `stride`, tiles of large images (`overlap` is half the receptive field),
#    the device, and the check that nothing is NaN.
#    With trained weights, load them in __init__ and note their hash, so that a retrained file is measured anew:
#        self.weights = {"mine": file_sha256(path)}         # from duskbench.data_tools.files
class TinyNetwork(TorchEnhancer):
    """Divides the picture by its own blurred brightness, softly."""

    stride = 1
    overlap = 8

    def __init__(self, strength: float = 0.5, device: str = "cpu") -> None:
        super().__init__(device=device, strength=strength)
        blur = nn.Conv2d(1, 1, 17, padding=8, padding_mode="replicate", bias=False)
        blur.weight.data.fill_(1 / 17**2)
        self.strength, self.blur = strength, self.prepare(blur)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] to the same; what is outside is clipped."""
        light = self.blur(batch.amax(dim=1, keepdim=True))
        return batch / torch.clamp(light, min=0.02) ** self.strength
