"""CycleGAN, with weights trained here or published ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from duskbench.pipeline.enhancers.translation import TranslationEnhancer
from duskbench.pipeline.networks.resnet import ResnetGenerator
from duskbench.pipeline.networks.resnet_bands import translate_in_bands

# Written by torch before 0.4 for instance normalisation, which has no statistics of its own.
OBSOLETE = (".running_mean", ".running_var", ".num_batches_tracked")


class CycleGAN(TranslationEnhancer):
    """CycleGAN's residual generator from low to normal light; see `GeneratorEnhancer` for the arguments.

    `weights` may be a checkpoint of the official code, `latest_net_G_A.pth`. The network normalises by statistics of
    the whole picture, so there are no tiles; above `tile_pixels` its full-size layers go over the picture in bands,
    which needs about 330 bytes for each pixel: 8 GB for 24 megapixels.

    Source: Zhu et al. 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks";
    junyanz/pytorch-CycleGAN-and-pix2pix @ 00d5574, models/base_model.py, __patch_instance_norm_state_dict.
    """

    name = "cyclegan"
    paper = "Zhu et al.: Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, ICCV 2017"
    default_weights = "cyclegan"
    published_network: ClassVar[Mapping[str, Any] | None] = {"type": "ResnetGenerator"}
    stride: ClassVar[int] = ResnetGenerator.stride
    least_size: ClassVar[int] = ResnetGenerator.least_size
    overlap: ClassVar[int | None] = None

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Drop the statistics that old files hold for instance normalisation, as the official code does."""
        return {key: value for key, value in state.items() if not key.endswith(OBSOLETE)}

    def translate(self, batch: Tensor) -> Tensor:
        """Run the network, in bands where the picture is large."""
        height, width = batch.shape[2:]
        if isinstance(self.network, ResnetGenerator) and height * width > self.tile_pixels:
            return translate_in_bands(self.network, batch, self.tile_pixels // width)
        return self.network(batch)
