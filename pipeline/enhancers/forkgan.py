"""ForkGAN, with weights trained here."""

from __future__ import annotations

from typing import ClassVar

from duskbench.pipeline.enhancers.translation import TranslationEnhancer
from duskbench.pipeline.networks.forkgan import ForkGenerator


class ForkGAN(TranslationEnhancer):
    """ForkGAN's translation from night to day; no weights ship, and its authors published none.

    See `GeneratorEnhancer` for the arguments. This is the translation; the authors' pictures are a second pass of it
    through the other generator's noisy reconstruction, which is different each time. The network normalises by
    statistics of the whole picture, so there are no tiles.

    Source: Zheng, Wu, Han, Shi, "ForkGAN: Seeing into the Rainy Night", ECCV 2020.
    """

    name = "forkgan"
    paper = "Zheng, Wu, Han, Shi: ForkGAN: Seeing into the Rainy Night, ECCV 2020"
    default_weights = "forkgan"
    stride: ClassVar[int] = ForkGenerator.stride
    least_size: ClassVar[int] = ForkGenerator.least_size
