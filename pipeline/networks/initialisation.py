"""The initial weights that image-to-image GANs start from."""

from __future__ import annotations

from torch import nn

STANDARD_DEVIATION = 0.02


def initialise_gan(network: nn.Module) -> None:
    """Draw convolution weights from N(0, 0.02) and normalisation weights from N(1, 0.02), in place.

    Biases of convolutions keep torch's own draw, those of normalisation layers become 0.

    Args:
        network: Any network; its layers are visited in the order of `modules()`, so torch's seed decides the draw.

    Source: VITA-Group/EnlightenGAN and junyanz/pytorch-CycleGAN-and-pix2pix, models/networks.py, weights_init and
    init_weights; Radford et al. 2016, section 4.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, STANDARD_DEVIATION)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, STANDARD_DEVIATION)
            nn.init.zeros_(layer.bias)
