"""UNIT, with weights trained here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from duskbench.pipeline.enhancers.translation import TranslationEnhancer
from duskbench.pipeline.networks.unit import UNITGenerator


class UNIT(TranslationEnhancer):
    """UNIT's translation from low to normal light, through the shared code without noise; no weights ship.

    `weights` may be a generator that the authors' code of 2017 saved. See `GeneratorEnhancer` for the arguments. The
    network normalises by statistics of the whole picture, so there are no tiles.

    Source: Liu, Breuel, Kautz, "Unsupervised Image-to-Image Translation Networks", NIPS 2017.
    """

    name = "unit"
    paper = "Liu, Breuel, Kautz: Unsupervised Image-to-Image Translation Networks, NIPS 2017"
    default_weights = "unit"
    published_network: ClassVar[Mapping[str, Any] | None] = {"type": "UNITGenerator"}
    stride: ClassVar[int] = UNITGenerator.stride
    least_size: ClassVar[int] = UNITGenerator.least_size
