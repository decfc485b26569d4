"""DRIT, with weights trained here."""

from __future__ import annotations

from typing import ClassVar

from duskbench.pipeline.enhancers.translation import TranslationEnhancer
from duskbench.pipeline.networks.drit import DRITGenerator


class DRIT(TranslationEnhancer):
    """DRIT's translation from low to normal light with attributes 0, the middle of the prior; no weights ship.

    See `GeneratorEnhancer` for the arguments. The network normalises by statistics of the whole picture, so there are
    no tiles; the authors' script reduces every picture to 256x256 first, this takes it as it is.

    Source: Lee, Tseng, Huang, Singh, Yang, "Diverse Image-to-Image Translation via Disentangled Representations", ECCV
    2018.
    """

    name = "drit"
    paper = "Lee et al.: Diverse Image-to-Image Translation via Disentangled Representations, ECCV 2018"
    default_weights = "drit"
    stride: ClassVar[int] = DRITGenerator.stride
    least_size: ClassVar[int] = DRITGenerator.least_size
